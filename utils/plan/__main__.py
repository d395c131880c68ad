"""What a recipe has done and what it would do: `python -m utils.plan status PLAN`.

run.sh writes its commands to a plan instead of running them; here each step is called in check mode, in which it goes no further than its receipts.
"""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import takewhile
from pathlib import Path

from utils.cli import call, run_subcommands
from utils.errors import UserError
from utils.files import look_anew
from utils.locks.run_lock import acquire, clear, lock_of
from utils.plan.written_folders import places_of, places_to_write, told_of_move
from utils.receipts import DONE, MODE, NEVER, STALE, VISIBLE_SECONDS, Status
from utils.receipts.contents import read_receipt

REPORT = 7  # runs even when it is done: it shows the results


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
        return NEVER if states == {NEVER} else "partly done"

    def line(self) -> str:
        """The stage in one line: number, title, state, reason."""
        done = sum(status.state == DONE for status in self.statuses)
        reason = next((status.reason for status in self.statuses if status.state == STALE), "") or next(
            (status.reason for status in self.statuses if status.state != DONE), "")
        partly = f": {done} of {len(self.statuses)} tasks" + (f"; {reason}" if reason else "")
        told = {DONE: "", NEVER: "", STALE: f" because {reason}", "partly done": partly}
        return f"{self.number}  {self.title:42} {self.state + told[self.state] if self.commands else 'empty in this recipe'}"


def read_plan(path: Path) -> list[Stage]:
    """The stages that a recipe wrote down.

    Parameters
    ----------
    path : path
        Lines ``places FOLDER...``, ``stage N title``, ``run COMMAND...``, ``launch [resources] JOB=1:N LOG COMMAND...``, quoted as a shell does.
    """
    from utils.launchers.__main__ import parse
    from utils.launchers.array import substitute

    stages: list[Stage] = []
    for line in path.read_text(encoding="utf-8").splitlines():
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


def evaluate(command: Sequence[str]) -> list[Status]:
    """Statuses of the tasks of one command, without running it.

    Parameters
    ----------
    command : sequence of str
        ``... -m steps.<name> arguments`` or ``-m local.<name>``.

    Raises
    ------
    UserError
        The command is no step, so that nothing could prove it done.
    """
    words = list(command)
    place = next((k for k, word in enumerate(words[:-1]) if word == "-m" and re.fullmatch(r"(steps|local)\.\w+", words[k + 1])), None)
    if place is None:
        raise UserError(f"'{shlex.join(words)}' is no step: stages run `python3 -m steps.<name>` or `python3 -m local.<name>`, whose receipts "
                        "prove them done")
    module = words[place + 1]
    function: Callable = getattr(import_module(module), module.split(".")[1])
    MODE.checking, MODE.collected = True, []
    try:
        call(function, words[place + 2:], module)
    finally:
        MODE.checking = False
    return MODE.collected


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
    to_be_made: dict[Path, int] = {}
    for stage in stages:
        for command in stage.commands:
            stage.statuses += evaluate(command)
        for status in stage.statuses:
            gathers = [folder.absolute() for folder in status.task.gathers]
            status.again = {path: to_be_made[path.absolute()] for path in status.task.inputs.values() if path.absolute() in to_be_made}
            status.again |= {path: number for path, number in to_be_made.items() if any(path.is_relative_to(folder) for folder in gathers)}
            if status.state == DONE and status.again:
                status.state, status.reason = STALE, f"stage {next(iter(status.again.values()))}, which it needs, has to run again"
            if status.state != DONE:
                receipt = read_receipt(status.task.path) or {"outputs": {}}
                for made in [status.task.path, *(status.task.home / name for name in receipt["outputs"])]:
                    to_be_made.setdefault(made.absolute(), stage.number)
    return stages


def examine_what_is_late(plan: Path, first: int, last: int) -> list[Stage]:
    """`examine`, where another host has just ended the stages before: their receipts are waited for as long as SV_VISIBLE_SECONDS says.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    first, last : int
        Stages asked for.
    """
    visible_seconds, began, said = float(os.environ.get(VISIBLE_SECONDS, 0)), time.monotonic(), False
    while True:
        stages = examine(plan, last)
        late = [stage for stage in stages if stage.number < first and stage.state not in (DONE, STALE)]
        if not late or time.monotonic() - began >= visible_seconds:
            return stages
        if not said:
            print(f"{late[0].line()}: waiting up to {visible_seconds:g} s for the file system", file=sys.stderr, flush=True)
        said = True
        time.sleep(min(1.0, visible_seconds / 10))
        for status in (status for stage in late for status in stage.statuses):
            look_anew(status.task.path.parent)


def status(plan: Path, *, first: int = 0, last: int = 7) -> None:
    """Show each stage: done, stale because ..., partly done, never run.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    first, last : int
        Stages to show.
    """
    for stage in examine(plan, last):
        if stage.number >= first:
            print(stage.line())


def verify(plan: Path, *, first: int = 0, last: int = 7) -> None:
    """Read every output of finished work again and compare it with the checksums that were taken while it was written.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    first, last : int
        Stages to verify.

    Raises
    ------
    UserError
        Some output is not what was written.
    """
    faults, outputs = set(), set()  # a file may stand in two receipts: of the job that wrote it and of the step that collected the jobs
    for stage in examine(plan, last):
        for each in stage.statuses if stage.number >= first else []:
            faults |= set(each.task.verify())
            outputs |= {each.task.home / name for name in (read_receipt(each.task.path) or {"outputs": ()})["outputs"]}
    for fault in sorted(faults):
        print(fault)
    if faults:
        raise UserError(f"{len(faults)} of {len(outputs)} outputs are not what was written; remove them and run their stage again")
    print(f"verified: {len(outputs)} outputs are what was written")


def finished(plan: Path, *, first: int = 0, last: int = 7, script: str = "run.sh", run: int = 0, command: str = "") -> None:
    """Print the numbers of the leading stages that are done, for run.sh; refuse to start behind unfinished or stale stages.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    first, last : int
        Stages asked for.
    script : str
        Named in the message.
    run, command : int and str
        Number of the process that goes on with this work, which gets the locks of the places that it writes to, and its command line; each lock is a
        line of output: the last stage that needs it, and its path.  0: none are taken.

    Raises
    ------
    UserError
        A stage before the first is not done, or another run is at the same places.
    """
    stages = examine_what_is_late(plan, first, last)
    for stage in stages:
        if stage.number < first and stage.state != DONE:
            raise UserError(f"--stage {first} needs stage {stage.number}, which is not done: {stage.line()}; run {script} --stage {stage.number}")
    leading = list(takewhile(lambda stage: stage.state == DONE, (stage for stage in stages if stage.number >= first)))
    if leading and leading[-1] is stages[-1]:
        print("nothing to do: every stage asked for is done", file=sys.stderr)
    needed = places_to_write(plan, [stage for stage in stages if stage.number >= first])
    if needed and (moved := told_of_move(stages)):
        print(f"note: {moved}", file=sys.stderr)
    if run:
        acquire(needed, run, command)
        clear(place for place in places_of(plan) if place not in needed)
    print(" ".join(str(stage.number) for stage in leading if stage.number != REPORT))
    for place, stage in needed.items() if run else ():
        print(stage, lock_of(place))


if __name__ == "__main__":
    run_subcommands({"status": status, "verify": verify, "finished": finished})
