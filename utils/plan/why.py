"""Why the work of a stage is stale, output by output: `python -m utils.plan.why PLAN STAGE`, for run.sh's --why."""

from collections.abc import Iterator
from pathlib import Path

from utils.cli import call, exit_with
from utils.plan.stages import Stage, examine
from utils.receipts import DONE, Status
from utils.receipts.contents import bad_outputs, read_receipt

SHOWN = 6  # names of outputs in a line


def why(plan: Path, stage: int) -> None:
    """Show each output of a stage that is stale or unfinished, with everything that changed: old -> new.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    stage : int
        Its number.
    """
    for each in examine(plan, stage):
        if each.number == stage:
            print("\n".join(_explain(each)))


def _explain(stage: Stage) -> Iterator[str]:
    """Lines about the tasks of a stage; those of an array that say the same are told together."""
    yield stage.line()
    alike: dict[tuple, list[Status]] = {}
    for each in stage.statuses:
        said = (
            each.task.home,
            each.task.name,
            "fresh" if each.state == DONE else each.state,
            tuple(_reasons(each)),
        )
        alike.setdefault(said, []).append(each)
    for (home, name, state, lines), statuses in alike.items():
        receipts = f", {len(statuses)} receipts" if len(statuses) > 1 else ""
        yield f"   {home}: {name}{receipts}: {state}"
        yield from (f"      {line}" for line in lines)
        if state != "fresh":
            yield from (f"      {line}" for line in _outputs_of(statuses))


def _reasons(status: Status) -> Iterator[str]:
    """Everything that is the matter with one task."""
    receipt = read_receipt(status.task.path)
    if status.state == DONE:
        return
    if receipt is None:
        yield from [status.reason] if status.reason else []
    else:
        yield from bad_outputs(status.task.home, receipt["outputs"])
        yield from (change.detail for change in status.task.changes(receipt))
        yield from (
            f"input {path}: stage {number} has to make it again"
            for path, number in status.again.items()
        )


def _outputs_of(statuses: list[Status]) -> Iterator[str]:
    """The outputs that these tasks made, in one line; nothing where they have made none."""
    facts: dict[str, int] = {}
    for status in statuses:
        facts |= {
            name: each["bytes"]
            for name, each in (read_receipt(status.task.path) or {"outputs": {}})["outputs"].items()
        }
    if facts:
        more = f" and {len(facts) - SHOWN} more" if len(facts) > SHOWN else ""
        yield f"outputs: {', '.join(list(facts)[:SHOWN])}{more} ({sum(facts.values()) / 1e6:,.1f} MB)"


if __name__ == "__main__":
    import sys

    exit_with(lambda: call(why, sys.argv[1:]))
