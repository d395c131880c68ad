"""Remove the outputs of a stage: `python -m utils.plan.clean PLAN STAGE WORKDIR [--yes true]`.

This is run.sh's --clean.  A stage's outputs are the files that its receipts name, what --force
moved aside of them (``old.N``), and files that a step left half written.  A receipt is renamed
before its outputs are removed, and removed after them: a clean that is killed leaves no valid
receipt without outputs, and the next one still knows the rest of them.
"""

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from utils.cli import call, exit_with
from utils.errors import UserError
from utils.locks.run_lock import locked
from utils.plan.stages import Stage, examine, find_stage
from utils.plan.written_folders import folders_to_lock
from utils.receipts import Task
from utils.receipts.contents import read_receipt

REMOVED = ".removed"  # after the name of a receipt whose outputs are being removed


@dataclass
class Removal:
    """What is removed together: a receipt and the outputs that it names, or one file or folder."""

    first: Path
    outputs: list[Path] = field(default_factory=list)

    def paths(self) -> list[Path]:
        """The receipt, file or folder, then the outputs."""
        return [self.first, *self.outputs]


def clean(plan: Path, stage: int, workdir: Path, *, yes: bool = False) -> None:
    """Show the outputs of a stage and their size, then remove them if confirmed.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    stage : int
        Number of the stage.
    workdir : path
        Nothing outside it is removed.
    yes : bool
        Remove without asking at the terminal.

    Raises
    ------
    UserError
        Another run is at work there, or a file of the stage lies outside the workdir.
    """
    stages = examine(plan)
    chosen = find_stage(stages, stage)
    others: set[Path] = set()
    for each in stages:
        if each is not chosen:
            for status in each.statuses:
                others |= {path.absolute() for path in _receipt_and_outputs(status.task.path)}
    for status in chosen.statuses:
        status.state = "to be removed"
    may_remove = yes or os.isatty(0)
    with locked(folders_to_lock(plan, [chosen])) if may_remove else nullcontext():
        removals = list(_list_removals(chosen, others))
        _check_inside(removals, workdir)
        size = _show_sizes(removals)
        total = f"the output of stage {stage}: {_megabytes(size)}"
        if not removals:
            print(f"stage {stage} has no output")
        elif yes or _confirm(total):
            _remove(removals)
            print(f"removed {total}")
        else:
            print(f"{total}; nothing was removed: --clean {stage} --yes removes it")


def _show_sizes(removals: list[Removal]) -> int:
    """Show each removal with its size; return the bytes of all."""
    counted: set[Path] = set()
    total = 0
    for removal in removals:
        files = _list_files(removal) - counted
        counted |= files
        size = sum(path.stat().st_size for path in files)
        total += size
        outputs = f" and its outputs ({len(removal.outputs)})" if removal.outputs else ""
        print(f"{removal.first}{outputs}: {_megabytes(size)}")
    return total


def _confirm(total: str) -> bool:
    """Ask the user at the terminal; no terminal and no answer mean no."""
    try:
        return os.isatty(0) and input(f"{total}; remove it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _list_removals(stage: Stage, others: Collection[Path]) -> Iterator[Removal]:
    """Removals of a stage without the files of others, the last task first.

    Receipts of later tasks may name files of earlier ones.
    """
    seen = set(others)
    for status in reversed(stage.statuses):
        for removal in _list_task_removals(status.task):
            if removal.first.absolute() not in seen:
                seen.add(removal.first.absolute())
                outputs = [path for path in removal.outputs if path.absolute() not in others]
                yield Removal(removal.first, outputs)


def _list_task_removals(task: Task) -> Iterator[Removal]:
    """Removals of a task: receipts, for other numbers of jobs too, old and half-written output."""
    name = re.escape(task.name)
    is_receipt = re.compile(rf"{name}(\.\d+of\d+)?\.json({re.escape(REMOVED)})?").fullmatch
    outputs: set[Path] = set()
    for receipt in sorted(task.path.parent.glob(f"{task.name}*.json*")):
        if is_receipt(receipt.name):
            named = _receipt_and_outputs(receipt)
            outputs |= set(named)
            yield Removal(receipt, named[1:])
    for old in _list_old_output(task, is_receipt):
        yield Removal(old)
    is_of_other_task = re.compile(rf"\.old(?!\.{name}(\.\d+of\d+)?\.tmp).*").fullmatch
    for folder in sorted({task.home, *(path.parent for path in outputs)}):
        for path in sorted(folder.glob(".*.tmp")):
            if not is_of_other_task(path.name):
                yield Removal(path)
    for pattern in task.leftover_patterns:
        for path in sorted(task.home.glob(pattern)):
            if path not in outputs:
                yield Removal(path)


def _list_old_output(task: Task, is_receipt: Callable) -> Iterator[Path]:
    """Folders ``old.N`` with output of a task that --force moved aside."""
    for old in sorted(task.home.glob("old.*")):
        has_receipt = any(is_receipt(path.name) for path in old.glob("receipts/*.json"))
        if re.fullmatch(r"old\.\d+", old.name) and has_receipt:
            yield old


def _receipt_and_outputs(path: Path) -> list[Path]:
    """A receipt and the files that it names; empty if there is no such receipt."""
    receipt = read_receipt(path)
    if receipt is None:
        return []
    home = path.parent.parent
    return [path, *(Path(os.path.normpath(home / name)) for name in receipt["outputs"])]


def _check_inside(removals: list[Removal], workdir: Path) -> None:
    """Refuse to go on if a path is outside data/ and exp/ of the workdir, which may be links."""
    roots = [(workdir / "data").resolve(), (workdir / "exp").resolve()]
    for removal in removals:
        for path in removal.paths():
            folder = path.parent.resolve()
            real_path = folder / path.name
            if not any(map(real_path.is_relative_to, roots)):
                raise UserError(
                    f"{path}: lies in {folder}, outside data/ and exp/ of {workdir}; "
                    "nothing was removed; remove it by hand"
                )


def _list_files(removal: Removal) -> set[Path]:
    """Files of a removal, those in its folders too; no links."""
    files: set[Path] = set()
    for path in removal.paths():
        if path.is_dir() and not path.is_symlink():
            files |= set(path.rglob("*"))
        else:
            files.add(path)
    return {path for path in files if path.is_file() and not path.is_symlink()}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f} MB"


def _remove(removals: list[Removal]) -> None:
    """Remove everything; outputs go with the last receipt that names them, then empty folders."""
    num_owners: Counter[Path] = Counter()
    for removal in removals:
        num_owners.update(removal.outputs)
    folders = set()
    for removal in removals:
        first = removal.first
        if removal.outputs and first.suffix != REMOVED:
            first = first.replace(f"{first}{REMOVED}")
        num_owners.subtract(removal.outputs)
        for path in removal.outputs:
            if num_owners[path] == 0:
                path.unlink(missing_ok=True)
        if first.is_dir() and not first.is_symlink():
            shutil.rmtree(first)
        else:
            first.unlink(missing_ok=True)
        folders |= {path.parent for path in removal.paths()}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # not empty
            folder.rmdir()


if __name__ == "__main__":
    exit_with(lambda: call(clean, sys.argv[1:]))
