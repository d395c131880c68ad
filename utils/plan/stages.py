"""The stages of a plan as a recipe wrote them down, and the statuses of their tasks."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from utils.files import read_lines
from utils.launchers.arguments import parse
from utils.launchers.array import substitute
from utils.plan.written_folders import places_of
from utils.receipts import DONE, MODE, NEVER, STALE, Status, Task
from utils.receipts.check import evaluate
from utils.receipts.contents import read_receipt


@dataclass
class Stage:
    """One stage of a plan.

    Attributes
    ----------
    number, title : int and str
        As in ``at_stage``.
    commands : list of list of str
        One for each process; an array is spread out.
    statuses : list of Status
        One for each task of these processes.
    """

    number: int
    title: str
    commands: list[list[str]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    @property
    def state(self) -> str:
        """One word or two for the stage: done, stale, partly done or never run."""
        states = {status.state for status in self.statuses}
        if states <= {DONE}:
            return DONE
        if STALE in states:
            return STALE
        own = {status.state for status in self.statuses if not status.is_shared}
        return NEVER if own == {NEVER} or states == {NEVER} else "partly done"

    def line(self) -> str:
        """The stage in one line: number, title, state, reason."""
        return f"{self.number}  {self.title:42} {self._said()}"

    def _said(self) -> str:
        """State and reason."""
        if not self.commands:
            return "empty in this recipe"
        done = sum(status.state == DONE for status in self.statuses)
        stale = next((status.reason for status in self.statuses if status.state == STALE), "")
        late = next((status.reason for status in self.statuses if status.state != DONE), "")
        reason = stale or late
        partly = f": {done} of {len(self.statuses)} tasks" + (f"; {reason}" if reason else "")
        begun = [status.reason for status in self.statuses if status.is_begun]
        if begun and self.state != STALE:
            return begun[0] + (f" ({done} of {len(self.statuses)} tasks done)" if done else "")
        why = {DONE: "", NEVER: "", STALE: f" because {reason}", "partly done": partly}
        return self.state + why[self.state]


def read_plan(path: Path) -> list[Stage]:
    """The stages that a recipe wrote down.

    Parameters
    ----------
    path : path
        Lines ``places FOLDER...``, ``stage N title``, ``run COMMAND...``, ``launch [resources] JOB=1:N LOG COMMAND...``, quoted as a shell does.
    """
    stages: list[Stage] = []
    for line in read_lines(path):
        kind, _, rest = line.partition(" ")
        if kind == "places":
            continue
        if kind == "stage":
            number, _, title = rest.partition(" ")
            stages.append(Stage(int(number), title))
            continue
        words = shlex.split(rest)
        if kind == "run":
            stages[-1].commands.append(words)
        else:
            _, jobs, _, command = parse(words)
            stages[-1].commands += [substitute(command, job) for job in jobs]
    return stages


def examine(path: Path, last: int = 7) -> list[Stage]:
    """The stages of a plan with the statuses of their tasks; what depends on stale or unfinished work is not done either.

    Parameters
    ----------
    path : path
        The plan.
    last : int
        Later stages are not looked at.
    """
    stages = [stage for stage in read_plan(path) if stage.number <= last]
    places = places_of(path)
    MODE.notes.clear()  # of another plan
    to_be_made: dict[Path, int] = {}
    for stage in stages:
        for command in stage.commands:
            stage.statuses += evaluate(command)
        for status in stage.statuses:
            home = status.task.home.absolute()
            outside = bool(places) and not any(map(home.is_relative_to, places))
            status.is_shared = outside or status.task.shared
            status.again = _inputs_to_be_made(status.task, to_be_made)
            if status.state == DONE and status.again:
                before = next(iter(status.again.values()))
                status.state = STALE
                status.reason = f"stage {before}, which it needs, has to run again"
            if status.state != DONE:
                for path in _files_of(status.task):
                    to_be_made.setdefault(path.absolute(), stage.number)
    return stages


def _inputs_to_be_made(task: Task, to_be_made: Mapping[Path, int]) -> dict[Path, int]:
    """Inputs, or files below what it gathers, that earlier stages make again, and these stages."""
    again = {
        path: to_be_made[path.absolute()]
        for path in task.inputs.values()
        if path.absolute() in to_be_made
    }
    folders = [folder.absolute() for folder in task.scanned_folders]
    gathered = {
        path: number
        for path, number in to_be_made.items()
        if any(path.is_relative_to(folder) for folder in folders)
    }
    return again | gathered


def _files_of(task: Task) -> list[Path]:
    """Its receipt, and the outputs that this names where it is there."""
    receipt = read_receipt(task.path)
    outputs = receipt["outputs"] if receipt else {}
    return [task.path, *(task.home / name for name in outputs)]
