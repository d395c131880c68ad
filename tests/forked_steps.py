"""A recipe's steps, each in a fork of a process that has imported everything."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.conftest import ROOT
from tests.fail_point_hooks import WRITING
from tests.recipes.runs import NOT_COMPARED, contents
from tests.tree import LIBRARY
from utils.cli import call
from utils.plan.stages import read_plan

OF_THE_MOMENT = (
    "seconds",
    "core_seconds",
    "peak_memory_bytes",
    "command",
    "commit",
    "finished",
)  # in receipts


@dataclass
class Step:
    """One process of a recipe.

    Attributes
    ----------
    stage : int or str
        Its number, or what else it belongs to.
    module : str
        ``steps.<name>`` or ``local.<name>``.
    words : list of str
        Its command line behind the module.
    """

    stage: int | str
    module: str
    words: list[str]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of points that it must have: where nothing is tried nothing is proved."""
        return *WRITING, "of receipts"

    @property
    def name(self) -> str:
        """Module, and the command in it where it has several."""
        return (
            f"{self.module} {self.words[0]}"
            if self.module.startswith("utils.") and self.words[0].replace("-", "").isalpha()
            else self.module
        )

    def call(self) -> None:
        """Do it in this process."""
        sys.argv = [self.module, *self.words]
        call(
            getattr(import_module(self.module), self.module.rpartition(".")[2]),
            self.words,
            self.module,
        )


def import_everything() -> None:
    """What the forks need not import again."""
    for path in LIBRARY:
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    import_module("torch.utils.tensorboard")


def remember_recordings(size: str, seed: int) -> None:
    """Make the recordings of the mini corpus once; the forks only write them."""
    module = import_module("local.prepare_mini")
    names = [name for names in module.plan(module.SIZES[size]).values() for name in names]
    made = {name: module.make_recording(module.SIZES[size], seed, name) for name in names}

    class Remembered:
        """In place of the pool of processes."""

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def map(self, _, names, chunksize):
            return map(made.__getitem__, names)

    module.speech_synthesiser().close()
    module.ProcessPoolExecutor = Remembered


def mirror(source: Path, target: Path) -> None:
    """Make a folder equal to another, changing only files of another size or time."""

    def facts(folder):
        return {
            path.relative_to(folder): (
                path.is_dir() or (path.stat().st_size, path.stat().st_mtime_ns)
            )
            for path in folder.rglob("*")
        }

    target.mkdir(exist_ok=True)
    wanted, found = facts(source), facts(target)
    for name in sorted(found.keys() - wanted.keys(), reverse=True):
        (target / name).rmdir() if (target / name).is_dir() else (target / name).unlink()
    for name, fact in sorted(wanted.items()):
        if fact is True:
            (target / name).mkdir(exist_ok=True)
        elif found.get(name) != fact:
            shutil.copy2(source / name, target / name)


def in_a_fork(work: Callable[[], None], log: Path) -> int:
    """Run something in a process group of its own; gives what `os.waitpid` says of its end.

    Parameters
    ----------
    work : callable
        Leaves by SystemExit; any other exception is printed and ends with 1.
    log : path
        Gets what it prints.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 1
    try:
        os.setsid()
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(opened, stream)
        work()
        code = 0
    except SystemExit as left:
        code = left.code
    finally:
        if sys.exc_info()[0] not in (None, SystemExit):
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def planned(recipe: str, workdir: Path, plan: Path, *options: str) -> list[Step]:
    """The steps of a recipe.

    Parameters
    ----------
    recipe, workdir, options
        As of `ForkedRecipe`.
    plan : path
        Gets its plan.
    """
    words = [str(ROOT / "recipes" / recipe / "run.sh"), *options, "--workdir", str(workdir)]
    plan.unlink(missing_ok=True)
    subprocess.run(words, check=True, env=os.environ | {"SV_PLAN": str(plan)})
    steps = []
    for stage in read_plan(plan):
        for command in stage.commands:
            place = command.index("-m") + 1
            steps.append(Step(stage.number, command[place], command[place + 1 :]))
    return steps


class ForkedRecipe:
    """A recipe whose steps run in forks, one after another.

    Parameters
    ----------
    recipe : str
        Its name.
    workdir : path
        Its data/ and exp/.
    folder : path
        For its plan, logs and copies of the workdir.
    options : str
        Of run.sh.
    """

    def __init__(self, recipe: str, workdir: Path, folder: Path, *options: str):
        self.workdir, self.folder, self.kept, self.log = (
            workdir,
            folder,
            folder / "kept",
            folder / "log",
        )
        self.steps = planned(recipe, workdir, folder / "plan", *options)

    def run(self, step: Step, prepare: Callable[[], None] = lambda: None) -> int:
        """Run a step to its end or death; ``prepare`` is called first in its process."""

        def work():
            prepare()
            step.call()

        self.log.unlink(missing_ok=True)
        return in_a_fork(work, self.log)

    def resume(self, last: Step) -> int:
        """Resume a stage, as run.sh does, up to a step; gives the status of `os.waitpid`."""

        def work():
            for step in self.steps[: self.steps.index(last) + 1]:
                if step.stage == last.stage:
                    step.call()

        self.log.unlink(missing_ok=True)
        return in_a_fork(work, self.log)

    def keep(self) -> None:
        """Copy the workdir as it is now."""
        mirror(self.workdir, self.kept)

    def restore(self) -> None:
        """Make the workdir what it was when it was kept."""
        mirror(self.kept, self.workdir)

    def contents(self) -> dict[str, str]:
        """All that must be equal after a death: files, receipts without times, temporary names."""
        found = contents(self.workdir) if any(self.workdir.rglob("*.*")) else {}
        found |= {
            str(path.relative_to(self.workdir)): "left over"
            for path in self.workdir.rglob(".*.tmp")
        }
        for path in self.workdir.rglob("receipts/*.json"):
            receipt = {
                key: value
                for key, value in json.loads(path.read_text()).items()
                if key not in OF_THE_MOMENT
            }
            # files with a comparison of their own in `contents`, or none, are not compared by
            # checksum
            receipt["outputs"] = {
                name: facts
                for name, facts in receipt["outputs"].items()
                if not name.endswith(".pt") and not NOT_COMPARED & set(Path(name).parts)
            }
            found[str(path.relative_to(self.workdir))] = json.dumps(receipt, sort_keys=True)
        return found
