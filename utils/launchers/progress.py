"""The progress line of an array; a terminal shows it updated in place.

``VAD train 1,200 utt 2/2 3 s``: what is done, set, utterances (when all is done), tasks, time.
"""

import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Steps of arrays -> what they do; others are shown by their names.
WORDS = {
    "compute_vad": "VAD",
    "pack_audio": "pack",
    "augment_copies": "copy",
    "make_feats": "features",
    "extract": "extract",
}
LINE_SECONDS = 60.0  # between two lines without a terminal
MOVE_SECONDS = 0.5  # between two updates on a terminal
COUNTS = ("went_on", "utterances")  # keys of receipts with a number of utterances


def format_seconds(seconds: float) -> str:
    """A duration in one or two units: ``90 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def utterances_in(counts: Sequence[Mapping]) -> int:
    """Sum of the numbers of utterances in the counts of receipts; 0 if they have none."""
    total = 0
    for one in counts:
        number = next((one[key] for key in COUNTS if key in one), 0)
        if isinstance(number, int):
            total += number
    return total


class ArrayLine:
    """The line of an array: its command, the path of its logs, its tasks and how many are done."""

    def __init__(
        self, command: Sequence[str] = (), log: Path = Path(), tasks: int = 0, done: int = 0
    ):
        self.tasks, self.done = tasks, done
        self.what = f"{_verb(command)} {_set_name(log)}".strip()
        self.started = self.printed = time.monotonic()
        self.moves = sys.stderr.isatty()
        self.shown = ""

    def ended(self, job: int, code: int | None, host: str = "") -> None:
        """Count a task that has ended; report one that failed."""
        if code == 0:
            self.done += 1
            return
        text = f"task {job} ended with exit code {code}"
        if code is None:
            text = f"task {job} ended with no known exit code"
        if host:
            text += f" on {host}"
        self.say(text)

    def say(self, words: str) -> None:
        """Print a message on a line of its own."""
        self.clear()
        print(f"   {words}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Update the progress, if it is time to."""
        wait_seconds = LINE_SECONDS
        if self.moves:
            wait_seconds = MOVE_SECONDS
        now = time.monotonic()
        if now - self.printed < wait_seconds:
            return
        self.printed = now
        self._print("", moves=self.moves)

    def clear(self) -> None:
        """Erase the line that is updated in place."""
        if self.shown:
            print("\r" + " " * len(self.shown) + "\r", end="", file=sys.stderr, flush=True)
        self.shown = ""

    def finish(self, utterances: int) -> None:
        """Show the end, with the number of processed utterances; 0: unknown."""
        self.done = self.tasks
        counted = ""
        if utterances:
            counted = f" {utterances:,} utt"
        self._print(counted, moves=False)

    def _print(self, counted: str, moves: bool) -> None:
        seconds = format_seconds(time.monotonic() - self.started)
        line = f"   {self.what}{counted} {self.done}/{self.tasks} {seconds}"
        if moves:
            line = line[: shutil.get_terminal_size().columns - 1]  # a wrapped line does not move
        text = line
        if moves or self.shown:
            text = f"\r{line:{len(self.shown)}}"
        if moves:
            print(text, end="", file=sys.stderr, flush=True)
            self.shown = line
        else:
            print(text, file=sys.stderr, flush=True)
            self.shown = ""


def _verb(command: Sequence[str]) -> str:
    """A word for what a step does."""
    for word in command:
        if re.fullmatch(r"(steps|local)\.\w+", word):
            name = word.partition(".")[2]
            return WORDS.get(name, name.replace("_", " "))
    if not command:
        return ""
    return Path(command[0]).name


def _set_name(log: Path) -> str:
    """The set, or the experiment, that the logs belong to."""
    if log.parent.name != "log":
        return ""
    return log.parent.parent.name
