"""What training says: a progress bar, TensorBoard, and a history that the report draws."""

import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Protocol, Self

from utils.files import atomic_write, read_entries
from utils.metrics.rates import reversal_note
from utils.training.progress import Progress

# 80 columns leave a bar beside a million steps.
BAR = "{n_fmt}/{total_fmt} |{bar}| {remaining} left {rate_fmt}{postfix}"
USUAL_SIZE = {"ncols": 80, "nrows": 24}  # of a terminal that does not tell its own
LINE_SECONDS = 15.0  # between two lines where there is no terminal


class Bar(Protocol):
    """What shows the steps: tqdm's bar, or lines."""

    def update(self) -> object:
        """Count one step more."""

    def set_postfix_str(self, text: str, refresh: bool) -> object:
        """Set what is shown beside the steps."""

    def write(self, text: str, file: IO[str]) -> object:
        """Print a line of its own."""

    def close(self) -> object:
        """End."""


class StepLines:
    """The steps as plain lines, for a file or a pipe: one now and then, and one after the last step.

    Parameters
    ----------
    step, total_steps : int
        Steps done, and length of the training.
    """

    def __init__(self, step: int, total_steps: int):
        self.step, self.first_step, self.total_steps = step, step, total_steps
        self.started = self.printed = time.monotonic()
        self.beside = ""

    def update(self) -> None:
        """Count one step more."""
        self.step += 1
        now = time.monotonic()
        if self.step < self.total_steps and now - self.printed < LINE_SECONDS:
            return
        self.printed = now
        seconds_per_step = (now - self.started) / (self.step - self.first_step)
        left = f"{seconds_per_step * (self.total_steps - self.step):,.0f} s left"
        words = [f"step {self.step} of {self.total_steps}", self.beside, left]
        self.write("   " + ", ".join(filter(None, words)), sys.stderr)

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        """Set what the next line says of the step.

        Parameters
        ----------
        text : str
            Loss, accuracy and the like.
        refresh : bool
            Not used: lines stay as they are.
        """
        self.beside = text

    def write(self, text: str, file: IO[str]) -> None:
        """Print a line.

        Parameters
        ----------
        text : str
            The line.
        file : file object
            Where to.
        """
        print(text, file=file, flush=True)

    def close(self) -> None:
        """Do nothing: every line is whole."""


def steps_shown(step: int, total_steps: int) -> Bar:
    """A bar on a terminal, as wide as that is; lines elsewhere.

    Parameters
    ----------
    step, total_steps : int
        Steps done, and length of the training.
    """
    if not sys.stderr.isatty():
        return StepLines(step, total_steps)
    from tqdm import tqdm

    size = os.get_terminal_size(sys.stderr.fileno())
    is_known = size.columns > 0 and size.lines > 0
    width: dict = {"dynamic_ncols": True} if is_known else USUAL_SIZE
    return tqdm(
        total=total_steps,
        initial=step,
        bar_format=BAR,
        mininterval=1,
        file=sys.stderr,
        **width,
    )


class TrainingLog:
    """A progress bar, TensorBoard, and the same entries in ``log/history.jsonl``; and a note of the present step for `standing`.

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

            if self.path.exists():
                entries = read_entries(self.path)
                self.entries = [entry for entry in entries if entry["step"] <= self.step]
            self.writer = SummaryWriter(self.folder / "tensorboard", purge_step=self.step + 1)
            self.bar = steps_shown(self.step, self.total_steps)
            self.progress = Progress(self.folder, self.total_steps).__enter__()
            self.progress.note(self.step)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if self.active:
            self.flush()
            self.bar.close()
            self.writer.close()
            self.progress.__exit__()
            if kind is None:
                self.progress.forget()

    def add(self, entry: dict, wait_fraction: float | None = None) -> None:
        """Log an entry.

        Parameters
        ----------
        entry : dict
            ``step``, and ``loss``, ``accuracy`` and ``learning_rate``, or ``dev_eer_percent`` and ``dev_centred_by``.
        wait_fraction : float or None
            Part of the step that was spent waiting for data; shown, not kept.
        """
        if not self.active:
            return
        self.entries.append(entry)
        for name, value in entry.items():
            if name not in ("step", "dev_centred_by"):
                self.writer.add_scalar(name, value, entry["step"])
        if wait_fraction is not None:
            loss, accuracy = f"loss {entry['loss']:.3f}", f"acc {entry['accuracy']:.2f}"
            self.bar.set_postfix_str(f"{loss} {accuracy} wait {wait_fraction:.0%}", refresh=False)
        else:
            number = entry["dev_centred_by"]
            how = f"centred by {number:,} training utterances" if number else "not centred"
            notes = [how, reversal_note(entry["dev_eer_percent"])]
            found = f"dev EER {entry['dev_eer_percent']:.2f} % ({'; '.join(filter(None, notes))})"
            self.bar.write(f"   step {entry['step']}: {found}", file=sys.stderr)

    def advance(self) -> None:
        """Count a step."""
        if self.active:
            self.step += 1
            self.bar.update()
            self.progress.note(self.step)

    def flush(self) -> None:
        """Write the history, whole."""
        if self.active:
            with atomic_write(self.path) as file:
                file.writelines(json.dumps(entry) + "\n" for entry in self.entries)
