"""What a recipe has done and what it would do: `python -m utils.plan status PLAN`.

run.sh writes its commands to a plan instead of running them; here each step is called in check
mode, in which it only compares its receipts.
"""

import os
import sys
import time
from pathlib import Path

from utils.cli import run_subcommands
from utils.errors import UserError
from utils.files import refresh_listing
from utils.locks.run_lock import acquire, active_runs, clear, lock_path
from utils.plan.stages import Stage, examine
from utils.plan.written_folders import describe_move, folders_to_lock, lockable_folders
from utils.receipts import DONE, STALE, VISIBLE_SECONDS
from utils.receipts.contents import read_receipt

REPORT = 7  # runs even when it is done, to show the results


def _examine_patiently(plan: Path, first: int, last: int) -> list[Stage]:
    """The stages of a plan; waits up to SV_VISIBLE_SECONDS for receipts of those before the first.

    Another host may just have written these receipts.
    """
    visible_seconds = float(os.environ.get(VISIBLE_SECONDS, "0"))
    start, is_announced = time.monotonic(), False
    while True:
        stages = examine(plan, last)
        late = [
            stage for stage in stages if stage.number < first and stage.state not in (DONE, STALE)
        ]
        if not late or time.monotonic() - start >= visible_seconds:
            return stages
        if not is_announced:
            print(
                f"{late[0].line()}: waiting up to {visible_seconds:g} s for the file system",
                file=sys.stderr,
                flush=True,
            )
        is_announced = True
        time.sleep(min(1.0, visible_seconds / 10))
        for stage in late:
            for each in stage.statuses:
                refresh_listing(each.task.path.parent)


def status(plan: Path, *, first: int = 0, last: int = 7) -> None:
    """Show the state of each stage, and the runs that are at work.

    States: done, stale because ..., partly done, running, interrupted, never run.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    first, last : int
        Stages to show.
    """
    for stage in examine(plan, last):
        if stage.number >= first:
            print(stage.line())
    for run in active_runs(lockable_folders(plan)):
        print(f"at work: {run}")


def verify(plan: Path, *, first: int = 0, last: int = 7) -> None:
    """Read all outputs of finished work again and compare them with their recorded checksums.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    first, last : int
        Stages to verify.

    Raises
    ------
    UserError
        Some output is not what was written.
    """
    # Sets: a file may be in two receipts, of a job and of the step that collects the jobs.
    faults: set[str] = set()
    outputs: set[Path] = set()
    for stage in examine(plan, last):
        if stage.number < first:
            continue
        for each in stage.statuses:
            faults |= set(each.task.verify())
            receipt = read_receipt(each.task.path) or {"outputs": {}}
            outputs.update(map(each.task.home.joinpath, receipt["outputs"]))
    for fault in sorted(faults):
        print(fault)
    if faults:
        raise UserError(
            f"{len(faults)} of {len(outputs)} outputs are not what was written; "
            "remove them and run their stage again"
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
    """Print the leading stages that are done, and the locks that the run has taken, for run.sh.

    Each lock is one line: the last stage that needs it, and its path.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    first, last : int
        Stages asked for.
    script : str
        Name of the script, for messages.
    run : int
        Process that will do the work and hold the locks; 0: take none.
    command : str
        Command line of that process.

    Raises
    ------
    UserError
        A stage before the first is not done, or another run works in the same folders.
    """
    stages = _examine_patiently(plan, first, last)
    for stage in stages:
        if stage.number < first and stage.state != DONE:
            raise UserError(
                f"--stage {first} needs stage {stage.number}, which is not done: {stage.line()}; "
                f"run {script} --stage {stage.number}"
            )
    wanted = [stage for stage in stages if stage.number >= first]
    done_numbers = []
    for stage in wanted:
        if stage.state != DONE:
            break
        done_numbers.append(stage.number)
    if wanted and len(done_numbers) == len(wanted):
        print("nothing to do: every stage asked for is done", file=sys.stderr)
    needed = folders_to_lock(plan, wanted)
    move = describe_move(stages) if needed else ""
    if move:
        print(f"note: {move}", file=sys.stderr)
    if run:
        acquire(needed, run, command)
        clear(folder for folder in lockable_folders(plan) if folder not in needed)
    print(" ".join(str(number) for number in done_numbers if number != REPORT))
    if run:
        for folder, last_stage in needed.items():
            print(last_stage, lock_path(folder))


if __name__ == "__main__":
    run_subcommands({"status": status, "verify": verify, "finished": finished})
