"""What training says: a progress bar, TensorBoard, and a history that the report draws."""

import json
import sys
from pathlib import Path
from typing import Self

from utils.files import atomic_write, read_entries
from utils.metrics.rates import reversal_note


class TrainingLog:
    """A progress bar, TensorBoard, and the same entries in ``log/history.jsonl``.

    Parameters
    ----------
    folder : path
        ``exp/<name>``.
    step : int
        Steps done: later entries, of a run that died behind its last checkpoint, are dropped.
    total_steps : int
        For the progress bar.
    active : bool
        False on ranks that keep silent.
    """

    def __init__(self, folder: Path, step: int, total_steps: int, active: bool):
        self.folder, self.step, self.total_steps, self.active = folder, step, total_steps, active
        self.path = folder / "log" / "history.jsonl"
        self.entries: list[dict] = []

    def __enter__(self) -> Self:
        if self.active:
            from torch.utils.tensorboard import SummaryWriter
            from tqdm import tqdm

            if self.path.exists():
                entries = read_entries(self.path)
                self.entries = [entry for entry in entries if entry["step"] <= self.step]
            self.writer = SummaryWriter(self.folder / "tensorboard", purge_step=self.step + 1)
            self.bar = tqdm(
                total=self.total_steps,
                initial=self.step,
                unit="step",
                mininterval=1 if sys.stderr.isatty() else 15,
            )
        return self

    def __exit__(self, *_) -> None:
        if self.active:
            self.flush()
            self.bar.close()
            self.writer.close()

    def add(self, entry: dict, wait_fraction: float | None = None) -> None:
        """Log an entry.

        Parameters
        ----------
        entry : dict
            ``step``, and ``loss``, ``accuracy`` and ``learning_rate`` or ``dev_eer_percent``.
        wait_fraction : float or None
            Part of the step that was spent waiting for data; shown, not kept.
        """
        if not self.active:
            return
        self.entries.append(entry)
        for name, value in entry.items():
            if name != "step":
                self.writer.add_scalar(name, value, entry["step"])
        if wait_fraction is not None:
            loss, accuracy = f"loss {entry['loss']:.3f}", f"accuracy {entry['accuracy']:.2f}"
            shown = f"{loss}, {accuracy}, data wait {wait_fraction:.0%}"
            self.bar.set_postfix_str(shown, refresh=False)
        else:
            note = reversal_note(entry["dev_eer_percent"])
            self.bar.write(
                f"   step {entry['step']}: dev EER {entry['dev_eer_percent']:.2f} %"
                + (f" ({note})" if note else ""),
                file=sys.stderr,
            )

    def advance(self) -> None:
        """Move the progress bar by one step."""
        if self.active:
            self.bar.update()

    def flush(self) -> None:
        """Write the history, whole."""
        if self.active:
            with atomic_write(self.path) as file:
                file.writelines(json.dumps(entry) + "\n" for entry in self.entries)
