"""Declare stale outputs good: `python -m utils.plan.accept PLAN STAGE`, run.sh's --accept."""

import sys
from pathlib import Path

from utils.cli import call, exit_with
from utils.errors import UserError
from utils.locks.run_lock import clear, locked
from utils.plan.stages import examine, find_stage
from utils.plan.written_folders import folders_to_lock, lockable_folders
from utils.receipts import NEVER, STALE, UNFINISHED, Status


def accept(plan: Path, stage: int) -> None:
    """Declare the stale outputs of a stage good, as if made from today's options and inputs.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    stage : int
        Number of the stage.

    Raises
    ------
    UserError
        There are no outputs, or one of them cannot be accepted: then none is accepted.
    """
    chosen = find_stage(examine(plan, stage), stage)
    if chosen.state == NEVER:
        raise UserError(f"--accept {stage}: there is nothing to keep: {chosen.line()}")
    stale = [each for each in chosen.statuses if each.state in (STALE, UNFINISHED)]
    if not stale:
        clear(lockable_folders(plan))
        print(f"nothing is stale: {chosen.line()}")
        return
    for each in stale:
        _check(each, stage)
    with locked(folders_to_lock(plan, [chosen])):
        # from the last: if this process is killed, the same command accepts the others
        for each in reversed(stale):
            each.task.accept()
            print(f"accepted: {each.task.path} ({each.reason})")


def _check(status: Status, stage: int) -> None:
    """Refuse what would be stale or unfinished even if accepted."""
    if status.state == UNFINISHED:
        raise UserError(
            f"{status.task.path}: only finished work can be accepted, and {status.reason}; "
            f"run stage {stage}"
        )
    before = min(status.remade_by.values(), default=stage)
    if before < stage:
        raise UserError(
            f"{status.task.path}: stage {before}, which it needs, has to run again: run that, "
            f"or --accept {before}, first"
        )


if __name__ == "__main__":
    exit_with(lambda: call(accept, sys.argv[1:]))
