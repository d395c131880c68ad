"""The stages of a plan, and the statuses of their tasks."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from utils.files import read_lines
from utils.launchers.arguments import parse
from utils.launchers.array import substitute
from utils.plan.written_folders import lockable_folders
from utils.receipts import DONE, MODE, NEVER, STALE, UNFINISHED, Status, Task
from utils.receipts.check import evaluate
from utils.receipts.contents import read_receipt

PARTLY_DONE = "partly done"


@dataclass
class Stage:
    """One stage of a plan: a command for each process, and a status for each of their tasks."""

    number: int
    title: str
    commands: list[list[str]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def unfinished(self) -> list[Task]:
        """The tasks that are not done."""
        return [status.task for status in self.statuses if status.state != DONE]

    @property
    def state(self) -> str:
        """``done``, ``stale``, ``partly done`` or ``never run``."""
        states = {status.state for status in self.statuses}
        if states <= {DONE}:
            return DONE
        if STALE in states:
            return STALE
        own = {status.state for status in self.statuses if not status.is_shared}
        if own == {NEVER} or states == {NEVER}:
            return NEVER
        return PARTLY_DONE

    def line(self) -> str:
        """The stage in one line: number, title, state, reason."""
        return f"{self.number}  {self.title:42} {self._describe_state()}"

    def _describe_state(self) -> str:
        if not self.commands:
            return "empty in this recipe"
        state = self.state
        if state == STALE:
            return f"{state} because {self._first_reason(STALE)}"
        num_done = len(self.statuses) - len(self.unfinished())
        tasks = f"{num_done} of {len(self.statuses)} tasks"
        for status in self.statuses:
            if status.is_begun:
                return f"{status.reason} ({tasks} done)" if num_done else status.reason
        if state == PARTLY_DONE:
            reason = self._first_reason(UNFINISHED, NEVER)
            return f"{state}: {tasks}; {reason}" if reason else f"{state}: {tasks}"
        return state

    def _first_reason(self, *states: str) -> str:
        """Reason of the first task in one of these states."""
        for status in self.statuses:
            if status.state in states:
                return status.reason
        return ""


def read_plan(path: Path) -> list[Stage]:
    """The stages of a plan, with a command for each process of an array.

    Lines: ``places FOLDER...`` (folders that the run may lock), ``stage N title``,
    ``run COMMAND...`` and ``launch [resources] JOB=1:N LOG COMMAND...``, quoted as for a shell.
    """
    stages: list[Stage] = []
    for line in read_lines(path):
        kind, _, rest = line.partition(" ")
        if kind == "stage":
            number, _, title = rest.partition(" ")
            stages.append(Stage(int(number), title))
        elif kind == "run":
            stages[-1].commands.append(shlex.split(rest))
        elif kind != "places":
            _, jobs, _, command = parse(shlex.split(rest))
            stages[-1].commands += [substitute(command, job) for job in jobs]
    return stages


def find_stage(stages: Sequence[Stage], number: int) -> Stage:
    """The stage with a number, of stages that are known to include it."""
    for stage in stages:
        if stage.number == number:
            return stage
    raise AssertionError(f"no stage {number}")


def examine(path: Path, last: int = 7) -> list[Stage]:
    """The stages of a plan up to the last, with the statuses of their tasks.

    Work that depends on stale or unfinished work is not done either.
    """
    stages = [stage for stage in read_plan(path) if stage.number <= last]
    folders = lockable_folders(path)
    MODE.notes.clear()  # they may be of another plan
    remade: dict[Path, int] = {}  # path -> stage that makes it again
    for stage in stages:
        for command in stage.commands:
            stage.statuses += evaluate(command)
        for status in stage.statuses:
            home = status.task.home.absolute()
            is_outside = bool(folders) and not any(map(home.is_relative_to, folders))
            status.is_shared = is_outside or status.task.shared
            status.remade_by = _remade_inputs(status.task, remade)
            if status.state == DONE and status.remade_by:
                before = next(iter(status.remade_by.values()))
                status.state = STALE
                status.reason = f"stage {before}, which it needs, has to run again"
            if status.state != DONE:
                for output in _receipt_and_outputs(status.task):
                    remade.setdefault(output.absolute(), stage.number)
    return stages


def _remade_inputs(task: Task, remade: Mapping[Path, int]) -> dict[Path, int]:
    """Inputs of a task, and files in its scanned folders, that earlier stages make again."""
    inputs = {
        path: remade[path.absolute()] for path in task.inputs.values() if path.absolute() in remade
    }
    for folder in task.scanned_folders:
        parent = folder.absolute()
        inputs |= {path: number for path, number in remade.items() if path.is_relative_to(parent)}
    return inputs


def _receipt_and_outputs(task: Task) -> list[Path]:
    """Path of the receipt, and the outputs that it names if it exists."""
    receipt = read_receipt(task.path)
    outputs = receipt["outputs"] if receipt else {}
    return [task.path, *(task.home / name for name in outputs)]
