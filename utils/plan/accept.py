"""Declare stale outputs of a stage good: `python -m utils.plan.accept PLAN STAGE`, for run.sh's --accept."""

import sys
from pathlib import Path

from utils.cli import call, exit_with
from utils.errors import UserError
from utils.locks.run_lock import clear, locked
from utils.plan.stages import examine
from utils.plan.written_folders import places_of, places_to_write
from utils.receipts import NEVER, STALE, UNFINISHED, Status


def accept(plan: Path, stage: int) -> None:
    """Declare the stale outputs of a stage good: they count as made from today's options and inputs.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    stage : int
        Its number.

    Raises
    ------
    UserError
        There are none, or one that cannot be blessed: then none is.
    """
    chosen = next(each for each in examine(plan, stage) if each.number == stage)
    if chosen.state == NEVER:
        raise UserError(f"--accept {stage}: there is nothing to keep: {chosen.line()}")
    stale = [each for each in chosen.statuses if each.state in (STALE, UNFINISHED)]
    if not stale:
        clear(places_of(plan))
        print(f"nothing is stale: {chosen.line()}")
        return
    for each in stale:
        _check(each, stage)
    with locked(places_to_write(plan, [chosen])):
        # A death leaves stale what comes first, and the same command blesses the rest again.
        for each in reversed(stale):
            each.task.accept()
            print(f"accepted: {each.task.path} ({each.reason})")


def _check(status: Status, stage: int) -> None:
    """Refuse to bless what would be stale or unfinished nevertheless."""
    if status.state == UNFINISHED:
        raise UserError(
            f"{status.task.path}: only finished work can be accepted, and {status.reason}; run stage {stage}"
        )
    before = min((number for number in status.again.values() if number < stage), default=stage)
    if before < stage:
        raise UserError(
            f"{status.task.path}: stage {before}, which it needs, has to run again: run that, or --accept {before}, first"
        )


if __name__ == "__main__":
    exit_with(lambda: call(accept, sys.argv[1:]))
