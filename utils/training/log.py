"""Output of a training: a progress bar, TensorBoard, and a history for the report."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol, Self

from utils.files import atomic_write, read_entries
from utils.metrics.rates import reversal_note
from utils.training.progress import Progress

# wide enough for a bar in 80 columns, up to a million steps
BAR = "{n_fmt}/{total_fmt} |{bar}| {remaining} left {rate_fmt}{postfix}"
DEFAULT_SIZE = {"ncols": 80, "nrows": 24}  # of a terminal that does not report its own
LINE_SECONDS = 15.0  # between two lines if there is no terminal


class Bar(Protocol):
    """What shows the progress: tqdm's bar, or lines."""

    def update(self) -> object:
        """Count a step."""

    def set_postfix_str(self, text: str, refresh: bool) -> object:
        """Set the text beside the steps."""

    def write(self, text: str, file: IO[str]) -> object:
        """Print a separate line."""

    def close(self) -> object:
        """Finish the output."""


class StepLines:
    """Progress as plain lines for a file or a pipe: every 15 seconds, and after the last step."""

    def __init__(self, step: int, total_steps: int):
        self.step, self.first_step, self.total_steps = step, step, total_steps
        self.started = self.printed = time.monotonic()
        self.postfix = ""

    def update(self) -> None:
        """Count a step."""
        self.step += 1
        now = time.monotonic()
        if self.step < self.total_steps and now - self.printed < LINE_SECONDS:
            return
        self.printed = now
        seconds_per_step = (now - self.started) / (self.step - self.first_step)
        left = f"{seconds_per_step * (self.total_steps - self.step):,.0f} s left"
        parts = [f"step {self.step} of {self.total_steps}"]
        if self.postfix:
            parts.append(self.postfix)
        self.write("   " + ", ".join([*parts, left]), sys.stderr)

    def set_postfix_str(self, text: str, refresh: bool = False) -> None:
        """Set the text of the next line: loss, accuracy and the like."""
        self.postfix = text

    def write(self, text: str, file: IO[str]) -> None:
        """Print a line; what comes before the first step is not in the time of a step."""
        print(text, file=file, flush=True)
        if self.step == self.first_step:
            self.started = time.monotonic()

    def close(self) -> None:
        """Do nothing: every line is complete."""


def make_bar(step: int, total_steps: int) -> Bar:
    """A bar as wide as the terminal; lines if there is no terminal."""
    if not sys.stderr.isatty():
        return StepLines(step, total_steps)
    from tqdm import tqdm

    size = os.get_terminal_size(sys.stderr.fileno())
    is_known = size.columns > 0 and size.lines > 0
    width: dict = {"dynamic_ncols": True} if is_known else DEFAULT_SIZE
    return tqdm(
        total=total_steps,
        initial=step,
        bar_format=BAR,
        mininterval=1,
        file=sys.stderr,
        **width,
    )


class Pace:
    """Speed of the training since the last reading: validation and saving do not count."""

    def __init__(self, batch_size: int):
        self.batch_size = batch_size  # of the global batch
        self._restart()

    def _restart(self) -> None:
        self.steps, self.seconds, self.waited_seconds = 0, 0.0, 0.0

    def count_step(self, seconds: float, waited_seconds: float) -> None:
        """Count a step: how long it took, and for how much of that it waited for data."""
        self.steps += 1
        self.seconds += seconds
        self.waited_seconds += waited_seconds

    def read(self) -> dict[str, float]:
        """Share of the time spent waiting for data, and crops per second; counts again from 0."""
        pace = {
            "data_wait_fraction": self.waited_seconds / self.seconds,
            "crops_per_second": self.steps * self.batch_size / self.seconds,
        }
        self._restart()
        return pace


class TrainingLog:
    """A progress bar, and the entries of a training in TensorBoard and ``log/history.jsonl``.

    Entries after ``step``, of a run that died after its last checkpoint, are dropped.  Ranks that
    are not ``active`` write nothing.  The current step is noted for `describe_progress`.
    """

    def __init__(self, folder: Path, step: int, total_steps: int, active: bool):
        self.folder, self.step, self.total_steps, self.active = folder, step, total_steps, active
        self.path = folder / "log" / "history.jsonl"
        self.entries: list[dict] = []

    def __enter__(self) -> Self:
        if self.active:
            from torch.utils.tensorboard import SummaryWriter

            if self.step and self.path.exists():
                entries = read_entries(self.path)
                self.entries = [entry for entry in entries if entry["step"] <= self.step]
            self.writer = SummaryWriter(self.folder / "tensorboard", purge_step=self.step + 1)
            self.bar = make_bar(self.step, self.total_steps)
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

    def add(self, entry: dict, margin: float | None, pace: Mapping[str, float]) -> None:
        """Log an entry of a step: ``step``, ``loss``, ``accuracy`` and ``learning_rate``.

        The loss's margin and the pace (`Pace.read`) go to TensorBoard, not to the history, which
        does not depend on the machine.
        """
        if not self.active:
            return
        curves = {**entry, **pace}
        if margin is not None:
            curves["margin"] = margin
        self._add(entry, curves)
        loss, accuracy = f"loss {entry['loss']:.3f}", f"acc {entry['accuracy']:.2f}"
        waits = f"wait {pace['data_wait_fraction']:.0%}"
        self.bar.set_postfix_str(f"{loss} {accuracy} {waits}", refresh=False)

    def _add(self, entry: dict, curves: Mapping[str, float]) -> None:
        """Keep an entry for the history, and add its curves to TensorBoard."""
        self.entries.append(entry)
        for name, value in curves.items():
            if name not in ("step", "dev_centred_by"):
                self.writer.add_scalar(name, value, entry["step"])

    def add_validation(self, entry: dict) -> None:
        """Log an entry of a validation: ``step``, ``dev_eer_percent`` and ``dev_centred_by``."""
        if not self.active:
            return
        self._add(entry, entry)
        eer_percent, num_centring = entry["dev_eer_percent"], entry["dev_centred_by"]
        notes = "not centred"
        if num_centring:
            notes = f"centred by {num_centring:,} training utterances"
        note = reversal_note(eer_percent)
        if note:
            notes += f"; {note}"
        line = f"   step {entry['step']}: dev EER {eer_percent:.2f} % ({notes})"
        self.bar.write(line, file=sys.stderr)

    def advance(self) -> None:
        """Count a step."""
        if self.active:
            self.step += 1
            self.bar.update()
            self.progress.note(self.step)

    def flush(self) -> None:
        """Write the whole history."""
        if self.active:
            with atomic_write(self.path) as file:
                file.writelines(json.dumps(entry) + "\n" for entry in self.entries)
