"""Why each output of a stage is stale: `python -m utils.plan.why PLAN STAGE`, run.sh's --why."""

from collections.abc import Iterator
from pathlib import Path

from utils.cli import call, exit_with
from utils.plan.stages import Stage, examine, find_stage
from utils.receipts import DONE, Status
from utils.receipts.contents import bad_outputs, read_receipt

MOST_NAMES = 6  # of outputs in one line


def why(plan: Path, stage: int) -> None:
    """Show the outputs of a stage that are stale or unfinished, with all changes: old -> new.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    stage : int
        Number of the stage.
    """
    chosen = find_stage(examine(plan, stage), stage)
    print("\n".join(_explain(chosen)))


def _explain(stage: Stage) -> Iterator[str]:
    """Lines about the tasks of a stage; those of an array with the same lines are together."""
    yield stage.line()
    alike: dict[tuple, list[Status]] = {}
    for status in stage.statuses:
        state = "fresh" if status.state == DONE else status.state
        description = (status.task.home, status.task.name, state, tuple(_reasons(status)))
        alike.setdefault(description, []).append(status)
    for (home, name, state, reasons), statuses in alike.items():
        receipts = f", {len(statuses)} receipts" if len(statuses) > 1 else ""
        yield f"   {home}: {name}{receipts}: {state}"
        for line in reasons:
            yield f"      {line}"
        if state != "fresh":
            for line in _list_outputs(statuses):
                yield f"      {line}"


def _reasons(status: Status) -> Iterator[str]:
    """All reasons why a task is not done."""
    if status.state == DONE:
        return
    receipt = read_receipt(status.task.path)
    if receipt is None:
        if status.reason:
            yield status.reason
        return
    yield from bad_outputs(status.task.home, receipt["outputs"])
    for change in status.task.changes(receipt):
        yield change.detail
    for path, number in status.remade_by.items():
        yield f"input {path}: stage {number} has to make it again"


def _list_outputs(statuses: list[Status]) -> Iterator[str]:
    """One line with the outputs that these tasks made; no line if they made none."""
    sizes: dict[str, int] = {}
    for status in statuses:
        receipt = read_receipt(status.task.path) or {"outputs": {}}
        for name, facts in receipt["outputs"].items():
            sizes[name] = facts["bytes"]
    if sizes:
        names = ", ".join(list(sizes)[:MOST_NAMES])
        more = f" and {len(sizes) - MOST_NAMES} more" if len(sizes) > MOST_NAMES else ""
        yield f"outputs: {names}{more} ({sum(sizes.values()) / 1e6:,.1f} MB)"


if __name__ == "__main__":
    import sys

    exit_with(lambda: call(why, sys.argv[1:]))
