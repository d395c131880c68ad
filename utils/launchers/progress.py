"""What the user sees of an array that runs: one line, which moves where there is a terminal.

``VAD train 1,200 utt 2/2 3 s``: what is done, to which set, utterances when all tasks are done, tasks, time.
"""

import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Steps that arrays are made of -> a word for what they do; others go by their names.
WORDS = {
    "compute_vad": "VAD",
    "pack_audio": "pack",
    "augment_copies": "copy",
    "make_feats": "features",
    "extract": "extract",
}
LINE_SECONDS = 60.0  # between two lines of an array that still runs, where there is no terminal
MOVE_SECONDS = 0.5  # between two looks of the line on a terminal
COUNTS = ("went_on", "utterances")  # the names that steps give to their numbers of utterances


def told_seconds(seconds: float) -> str:
    """A duration in one or two units.

    Parameters
    ----------
    seconds : float
        0 or more.
    """
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def utterances_in(counts: Sequence[Mapping]) -> int:
    """The utterances that tasks worked on, by what their receipts count; 0 where they count none.

    Parameters
    ----------
    counts : sequence of mapping
        Of the receipts.
    """
    named = [next((each[name] for name in COUNTS if name in each), 0) for each in counts]
    return sum(number for number in named if isinstance(number, int))


class ArrayLine:
    """The line of an array.

    Parameters
    ----------
    command : sequence of str
        Of its tasks.
    log : path
        Of its tasks: it lies in the folder ``log`` of what they work on.
    tasks, done : int
        How many there are, and how many of them were done before.
    """

    def __init__(
        self, command: Sequence[str] = (), log: Path = Path(), tasks: int = 0, done: int = 0
    ):
        self.tasks, self.done = tasks, done
        self.what = " ".join(filter(None, [_word_of(command), _set_of(log)]))
        self.started = self.printed = time.monotonic()
        self.moves = sys.stderr.isatty()
        self.shown = ""

    def ended(self, job: int, code: int | None, host: str = "") -> None:
        """Count a task that has ended; one that did not end well is named.

        Parameters
        ----------
        job : int
            Its number.
        code : int or None
            Its exit code; None where nobody knows it.
        host : str
            Where it ran, where that is another one.
        """
        if code == 0:
            self.done += 1
            return
        words = "no known exit code" if code is None else f"exit code {code}"
        self.say(f"task {job} ended with {words}" + (f" on {host}" if host else ""))

    def say(self, words: str) -> None:
        """Print something else, in a line of its own.

        Parameters
        ----------
        words : str
            The line.
        """
        self.clear()
        print(f"   {words}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Show how far it is, where it is time to."""
        now = time.monotonic()
        if now - self.printed < (MOVE_SECONDS if self.moves else LINE_SECONDS):
            return
        self.printed = now
        self._print("", "" if self.moves else "\n")

    def clear(self) -> None:
        """Leave the line empty, for what else is to be said."""
        if self.shown:
            print("\r" + " " * len(self.shown) + "\r", end="", file=sys.stderr, flush=True)
        self.shown = ""

    def finish(self, utterances: int) -> None:
        """Show the end.

        Parameters
        ----------
        utterances : int
            That its tasks worked on; 0 where they count none.
        """
        self.done = self.tasks
        self._print(f" {utterances:,} utt" if utterances else "", "\n")

    def _print(self, counted: str, end: str) -> None:
        seconds = told_seconds(time.monotonic() - self.started)
        line = f"   {self.what}{counted} {self.done}/{self.tasks} {seconds}"
        if not end:
            line = line[: shutil.get_terminal_size().columns - 1]  # one that wraps does not move
        over = f"\r{line:{len(self.shown)}}" if self.shown or not end else line
        print(over, end=end, file=sys.stderr, flush=True)
        self.shown = "" if end else line


def _word_of(command: Sequence[str]) -> str:
    """What a step does."""
    modules = [word for word in command if re.fullmatch(r"(steps|local)\.\w+", word)]
    if not modules:
        return Path(command[0]).name if command else ""
    name = modules[0].partition(".")[2]
    return WORDS.get(name, name.replace("_", " "))


def _set_of(log: Path) -> str:
    """The set, or the experiment, that the logs of an array belong to."""
    return log.parent.parent.name if log.parent.name == "log" else ""
