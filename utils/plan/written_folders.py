"""Which folders a recipe is about to write to: those that its run has to lock; and whether they were moved."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.files import read_lines
from utils.receipts import DONE
from utils.receipts.contents import existing_receipt

if TYPE_CHECKING:
    from utils.plan.stages import Stage


def places_of(plan: Path) -> list[Path]:
    """The folders that a recipe may lock, as its plan names them.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    """
    lines = [line for line in read_lines(plan) if line.startswith("places ")]
    return [Path(word).absolute() for line in lines for word in shlex.split(line)[1:]]


def places_to_write(plan: Path, stages: Sequence["Stage"]) -> dict[Path, int]:
    """The folders of a recipe that unfinished work of these stages writes to, each with the last stage that does.

    What lies in none of them, or says that it is shared, is small and used by several experiments, like the statistics that networks have to
    beat: there the lock that each task has (`Task.is_done`) is enough.

    Parameters
    ----------
    plan : path
        As of `places_of`.
    stages : sequence of Stage
        Examined.
    """
    places = places_of(plan)
    needed: dict[Path, int] = {}
    for stage in stages:
        unfinished = [each.task for each in stage.statuses if each.state != DONE]
        for home in {task.home.absolute() for task in unfinished if not task.shared}:
            inside = [place for place in places if home.is_relative_to(place)]
            if inside:
                needed[max(inside, key=lambda place: len(place.parts))] = stage.number
    return dict(sorted(needed.items()))


def told_of_move(stages: Sequence["Stage"]) -> str:
    """A sentence where finished work was made at another place, which its lists still name; empty where it was not, or a link stands there.

    Parameters
    ----------
    stages : sequence of Stage
        Examined.
    """
    for task in (each.task for stage in stages for each in stage.statuses if each.state == DONE):
        for label, source in existing_receipt(task.path)["inputs"].items():
            old, new = Path(source["path"]), task.inputs.get(label, Path(source["path"]))
            if (
                old == new
                or not (old.is_absolute() and new.is_absolute())
                or (old.exists() and os.path.samefile(old, new))
            ):
                continue
            while old.name == new.name:
                old, new = old.parent, new.parent
            if task.home.is_relative_to(new):  # a corpus that was moved is another matter
                return f"{new} was made as {old}, and its lists name files there: put a link in that place (ln -s {new} {old}), or move it back"
    return ""
