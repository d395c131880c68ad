"""Remove what a stage has made: `python -m utils.plan.clean PLAN STAGE WORKDIR [--yes true]`, for run.sh's --clean.

A stage's outputs are what its receipts name, what --force moved aside of them (``old.N``), and what a step left half written.  A receipt is renamed
before its outputs go, and goes after them: a clean which is killed leaves no receipt without outputs, and the next one knows what is left of them.
"""

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from utils.cli import call, exit_with
from utils.errors import UserError
from utils.locks.run_lock import locked
from utils.plan.stages import Stage, examine
from utils.plan.written_folders import places_to_write
from utils.receipts import Task
from utils.receipts.contents import read_receipt

LAST = ".removed"  # behind the name of a receipt whose outputs are going


@dataclass
class Heap:
    """What one receipt, or one folder of old output, stands for.

    Attributes
    ----------
    first : path
        Goes first: the receipt; or a folder or file that goes whole.
    outputs : list of path
        Files that the receipt names.
    """

    first: Path
    outputs: list[Path] = field(default_factory=list)


def clean(plan: Path, stage: int, workdir: Path, *, yes: bool = False) -> None:
    """Show what a stage has left and how much each part frees, then remove it: with --yes, or when the user at the terminal says so.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    stage : int
        Its number.
    workdir : path
        Nothing outside it is removed.
    yes : bool
        Do not ask.

    Raises
    ------
    UserError
        Another run is at work there, or a file of the stage lies outside the workdir.
    """
    stages = examine(plan)
    chosen = next(each for each in stages if each.number == stage)
    others = {
        path.absolute()
        for each in stages
        if each is not chosen
        for status in each.statuses
        for path in _named(status.task.path)
    }
    for status in chosen.statuses:
        status.state = "to be removed"
    with locked(places_to_write(plan, [chosen])) if yes or os.isatty(0) else nullcontext():
        heaps = list(_heaps_of(chosen, others))
        _check_inside(heaps, workdir)
        seen: set[Path] = set()
        sizes = [_size_of(heap, seen) for heap in heaps]
        for heap, size in zip(heaps, sizes, strict=True):
            print(
                f"{heap.first}{f' and what it names ({len(heap.outputs)})' if heap.outputs else ''}: {_megabytes(size)}"
            )
        total = f"what stage {stage} left: {_megabytes(sum(sizes))}"
        if not heaps:
            print(f"stage {stage} left nothing")
        elif yes or _may_remove(total):
            _remove(heaps)
            print(f"removed {total}")
        else:
            print(f"{total}; nothing was removed: --clean {stage} --yes removes it")


def _may_remove(total: str) -> bool:
    """Ask the user at the terminal; nobody there, and no answer, mean no."""
    try:
        return os.isatty(0) and input(f"{total}; remove it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _heaps_of(stage: Stage, others: Collection[Path]) -> Iterator[Heap]:
    """What a stage has left, the last work first, since it may name files of the work before."""
    seen = set(others)
    for status in reversed(stage.statuses):
        for heap in _heaps_of_task(status.task):
            if heap.first.absolute() not in seen:
                seen.add(heap.first.absolute())
                yield Heap(
                    heap.first, [path for path in heap.outputs if path.absolute() not in others]
                )


def _heaps_of_task(task: Task) -> Iterator[Heap]:
    """What one task has left: its receipts, of other numbers of jobs too, old output, and what is half written."""
    is_receipt = re.compile(
        rf"{re.escape(task.name)}(\.\d+of\d+)?\.json({re.escape(LAST)})?"
    ).fullmatch
    receipts = [
        path
        for path in sorted(task.path.parent.glob(f"{task.name}*.json*"))
        if is_receipt(path.name)
    ]
    outputs = {path for receipt in receipts for path in _named(receipt)}
    yield from (Heap(receipt, _named(receipt)[1:]) for receipt in receipts)
    for old in sorted(task.home.glob("old.*")):
        if re.fullmatch(r"old\.\d+", old.name) and any(
            is_receipt(path.name) for path in old.glob("receipts/*.json")
        ):
            yield Heap(old)
    # half moved aside
    is_of_others = re.compile(rf"\.old(?!\.{re.escape(task.name)}(\.\d+of\d+)?\.tmp).*").fullmatch
    for folder in sorted({task.home, *(path.parent for path in outputs)}):
        yield from (
            Heap(path) for path in sorted(folder.glob(".*.tmp")) if not is_of_others(path.name)
        )
    yield from (
        Heap(path)
        for pattern in task.leftover_patterns
        for path in sorted(task.home.glob(pattern))
        if path not in outputs
    )


def _named(receipt: Path) -> list[Path]:
    """A receipt and the files that it names; empty where there is none."""
    said = read_receipt(receipt)
    return (
        []
        if said is None
        else [
            receipt,
            *(Path(os.path.normpath(receipt.parent.parent / name)) for name in said["outputs"]),
        ]
    )


def _check_inside(heaps: list[Heap], workdir: Path) -> None:
    """Refuse to go on where anything lies outside data/ and exp/ of the workdir, through a link for example; these two may be links themselves."""
    roots = [(workdir / name).resolve() for name in ("data", "exp")]
    for path in (path for heap in heaps for path in (heap.first, *heap.outputs)):
        place = path.parent.resolve() / path.name
        if not any(place.is_relative_to(root) for root in roots):
            raise UserError(
                f"{path}: lies in {place.parent}, outside data/ and exp/ of {workdir}; nothing was removed; remove it by hand"
            )


def _size_of(heap: Heap, seen: set[Path]) -> int:
    """Bytes that a heap frees."""
    files = {
        path
        for top in (heap.first, *heap.outputs)
        for path in (top.rglob("*") if top.is_dir() and not top.is_symlink() else [top])
    }
    new = {path for path in files - seen if path.is_file() and not path.is_symlink()}
    seen |= new
    return sum(path.stat().st_size for path in new)


def _megabytes(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:,.2f} MB"


def _remove(heaps: list[Heap]) -> None:
    """Take each receipt out of the way, remove what it alone names, and it; then the folders that are left empty."""
    holders = Counter(path for heap in heaps for path in heap.outputs)
    folders = set()
    for heap in heaps:
        going = heap.first
        if heap.outputs and going.suffix != LAST:
            going = going.replace(f"{going}{LAST}")
        holders.subtract(heap.outputs)
        for path in heap.outputs:
            if holders[path] == 0:
                path.unlink(missing_ok=True)
        if going.is_dir() and not going.is_symlink():
            shutil.rmtree(going)
        else:
            going.unlink(missing_ok=True)
        folders |= {path.parent for path in (heap.first, *heap.outputs)}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # not empty
            folder.rmdir()


if __name__ == "__main__":
    exit_with(lambda: call(clean, sys.argv[1:]))
