"""Progress of a training that runs or was interrupted, for the status of a recipe."""

import json
import os
import time
from pathlib import Path
from typing import Self

from utils.errors import UserError
from utils.files import make_folder, naming, read_json_object
from utils.locks.holder import SILENT_SECONDS, age, death, holder, is_from_this_boot
from utils.training.checkpoints import saved_steps

PROGRESS = "log/progress.json"  # exists while a training runs, and after an interruption
INTERRUPTED = "interrupted"
NOTE_SECONDS = 1.0  # between two notes


class Progress:
    """Writes the current step of a training to a file, at most once a second.

    The file is overwritten in place, without fsync: a reader that gets half a note takes the step
    of the newest checkpoint instead.
    """

    def __init__(self, folder: Path, total_steps: int):
        self.path, self.noted = folder / PROGRESS, 0.0
        self.facts = holder(os.getpid(), "") | {"total_steps": total_steps}

    def __enter__(self) -> Self:
        make_folder(self.path.parent)
        with naming(self.path):
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        return self

    def __exit__(self, *_) -> None:
        os.close(self.file)

    def note(self, step: int) -> None:
        """Note a step, unless the last note is less than a second old."""
        now = time.monotonic()
        if self.noted and now - self.noted < NOTE_SECONDS:
            return
        self.noted = now
        content = (json.dumps({"step": step} | self.facts) + "\n").encode()
        with naming(self.path):
            os.pwrite(self.file, content, 0)
            os.ftruncate(self.file, len(content))

    def forget(self) -> None:
        """Remove the note of a finished training."""
        self.path.unlink(missing_ok=True)


def describe_progress(folder: Path, total_steps: int | None = None) -> str:
    """The progress of an unfinished training in words; empty if it has not started.

    ``total_steps`` is used if there is no note.
    """
    try:
        noted = _read_note(folder / PROGRESS)
        silent_seconds = time.time() - (folder / PROGRESS).stat().st_mtime
    except FileNotFoundError:
        noted, silent_seconds = {}, 0.0
    if noted and not death(noted, silent_seconds):
        where = f"host {noted['host']}, process {noted['process']}"
        at = f"step {noted['step']} of {noted['total_steps']}, {where}"
        if is_from_this_boot(noted) or silent_seconds < SILENT_SECONDS:
            return f"running: {at}"
        return f"running, or dead: silent for {age(silent_seconds)}: {at}"
    saved = saved_steps(folder / "checkpoints")
    if not saved:
        return ""
    length = noted.get("total_steps", total_steps)
    return f"{INTERRUPTED}: step {saved[-1]}" + (f" of {length}" if length else "")


def _read_note(path: Path) -> dict:
    """The last note; empty if it is half written."""
    try:
        noted = read_json_object(path)
    except UserError:
        return {}
    expected = {"step", "total_steps", *holder(os.getpid(), "")}
    return noted if expected <= noted.keys() else {}
