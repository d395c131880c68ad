"""The folders that a recipe writes to, which its run locks, and whether they were moved."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.files import read_lines
from utils.receipts import DONE, Task
from utils.receipts.contents import existing_receipt

if TYPE_CHECKING:
    from utils.plan.stages import Stage


def lockable_folders(plan: Path) -> list[Path]:
    """The folders that a recipe may lock, as its plan names them."""
    for line in read_lines(plan):
        if line.startswith("places "):
            return [Path(folder).absolute() for folder in shlex.split(line)[1:]]
    return []


def folders_to_lock(plan: Path, stages: Sequence["Stage"]) -> dict[Path, int]:
    """The folders that unfinished work of these stages writes to, each with its last stage.

    Work outside them, and shared work such as the statistics of the baselines, is small and used
    by several experiments: there the lock of each task (`Task.is_done`) is enough.
    """
    folders = lockable_folders(plan)
    needed: dict[Path, int] = {}
    for stage in stages:
        homes = {task.home.absolute() for task in stage.unfinished() if not task.shared}
        for home in homes:
            parents = [folder for folder in folders if home.is_relative_to(folder)]
            if parents:
                innermost = max(parents, key=lambda folder: len(folder.parts))
                needed[innermost] = stage.number
    return dict(sorted(needed.items()))


def describe_move(stages: Sequence["Stage"]) -> str:
    """A message if finished work was made at another path that its lists name; else empty."""
    for stage in stages:
        for status in stage.statuses:
            message = _describe_move_of_task(status.task) if status.state == DONE else ""
            if message:
                return message
    return ""


def _describe_move_of_task(task: Task) -> str:
    for label, source in existing_receipt(task.path)["inputs"].items():
        old = Path(source["path"])
        new = task.inputs.get(label, old)
        if old == new or not (old.is_absolute() and new.is_absolute()):
            continue
        if old.exists() and os.path.samefile(old, new):
            continue
        while old.name == new.name:
            old, new = old.parent, new.parent
        if task.home.is_relative_to(new):  # else a corpus was moved, which is another matter
            return (
                f"{new} was made as {old}, and its lists name files there: put a link at that "
                f"path (ln -s {new} {old}), or move it back"
            )
    return ""
