"""What a recipe has done and what it would do: `python -m utils.plan status PLAN`.

run.sh writes its commands to a plan instead of running them; here each step is called in check mode, in which it goes no further than its receipts.
"""

import os
import sys
import time
from itertools import takewhile
from pathlib import Path

from utils.cli import run_subcommands
from utils.errors import UserError
from utils.files import look_anew
from utils.locks.run_lock import acquire, at_work, clear, lock_of
from utils.plan.stages import Stage, examine
from utils.plan.written_folders import places_of, places_to_write, told_of_move
from utils.receipts import DONE, STALE, VISIBLE_SECONDS
from utils.receipts.contents import read_receipt

REPORT = 7  # runs even when it is done: it shows the results


def _examine_what_is_late(plan: Path, first: int, last: int) -> list[Stage]:
    """`examine`, where another host has just ended the stages before: their receipts are waited for as long as SV_VISIBLE_SECONDS says."""
    visible_seconds = float(os.environ.get(VISIBLE_SECONDS, "0"))
    began, said = time.monotonic(), False
    while True:
        stages = examine(plan, last)
        late = [
            stage for stage in stages if stage.number < first and stage.state not in (DONE, STALE)
        ]
        if not late or time.monotonic() - began >= visible_seconds:
            return stages
        if not said:
            print(
                f"{late[0].line()}: waiting up to {visible_seconds:g} s for the file system",
                file=sys.stderr,
                flush=True,
            )
        said = True
        time.sleep(min(1.0, visible_seconds / 10))
        for status in (status for stage in late for status in stage.statuses):
            look_anew(status.task.path.parent)


def status(plan: Path, *, first: int = 0, last: int = 7) -> None:
    """Show each stage: done, stale because ..., partly done, running, interrupted, never run; and which run is at work.

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
    for run in at_work(places_of(plan)):
        print(f"at work: {run}")


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
    # Sets: a file may stand in two receipts, that of a job and that of the step which collects the jobs.
    faults: set[str] = set()
    outputs: set[Path] = set()
    for stage in examine(plan, last):
        for each in stage.statuses if stage.number >= first else []:
            faults |= set(each.task.verify())
            outputs |= {
                each.task.home / name
                for name in (read_receipt(each.task.path) or {"outputs": ()})["outputs"]
            }
    for fault in sorted(faults):
        print(fault)
    if faults:
        raise UserError(
            f"{len(faults)} of {len(outputs)} outputs are not what was written; remove them and run their stage again"
        )
    print(f"verified: {len(outputs)} outputs are what was written")


def finished(
    plan: Path,
    *,
    first: int = 0,
    last: int = 7,
    script: str = "run.sh",
    run: int = 0,
    command: str = "",
) -> None:
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
    stages = _examine_what_is_late(plan, first, last)
    for stage in stages:
        if stage.number < first and stage.state != DONE:
            raise UserError(
                f"--stage {first} needs stage {stage.number}, which is not done: {stage.line()}; run {script} --stage {stage.number}"
            )
    leading = list(
        takewhile(
            lambda stage: stage.state == DONE, (stage for stage in stages if stage.number >= first)
        )
    )
    if leading and leading[-1] is stages[-1]:
        print("nothing to do: every stage asked for is done", file=sys.stderr)
    needed = places_to_write(plan, [stage for stage in stages if stage.number >= first])
    if needed and (moved := told_of_move(stages)):
        print(f"note: {moved}", file=sys.stderr)
    if run:
        acquire(needed, run, command)
        clear(place for place in places_of(plan) if place not in needed)
    print(" ".join(str(stage.number) for stage in leading if stage.number != REPORT))
    for place, last_stage in needed.items() if run else ():
        print(last_stage, lock_of(place))


if __name__ == "__main__":
    run_subcommands({"status": status, "verify": verify, "finished": finished})
