"""A recipe on its tiny corpus in a folder, run here or on the cluster of the tests."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.daemons import PATIENCE_SECONDS, ask, wait_for
from tests.conftest import ROOT
from tests.recipes.runs import contents, difference, tensors

TINY = ["--size", "tiny", "--num-threads", "1"]
TRAINING = ["--stage", "3", "--stop-stage", "3", "--steps", "150"]  # long enough to be caught at it
SETTINGS = "set poll_seconds=0.5\nset visible_seconds=30\n"
CHECKPOINT = re.compile(r"step-0*[1-9]\d*\.pt")


@dataclass
class Recipe:
    """The recipe and its workdir.

    Attributes
    ----------
    workdir : path
        Of the recipe.
    cmd : str
        ``slurm`` or ``sge``; ``local``: neither.
    environment : mapping
        In which the scheduler's commands work.
    conf : str
        Text of the site's file; empty for the project's own.
    name : str
        Of the recipe.
    options : list of str
        What it needs on its command line.
    """

    workdir: Path
    cmd: str = "local"
    environment: Mapping[str, str] = field(default_factory=dict)
    conf: str = ""
    name: str = "mini"
    options: Sequence[str] = tuple(TINY)

    def copy(self, workdir: Path, **changed) -> "Recipe":
        """The same in a copy of the workdir."""
        return Recipe(shutil.copytree(self.workdir, workdir), **changed)

    def start(self, *options: str) -> subprocess.Popen:
        """Start run.sh."""
        cluster = []
        if self.cmd != "local":
            path = self.workdir.with_suffix(".conf")
            path.write_text(
                (self.conf or (ROOT / "conf" / "cluster" / f"{self.cmd}.conf").read_text())
                + SETTINGS
            )
            cluster = ["--cmd", self.cmd, "--cluster-conf", str(path)]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SV_", "OMP_"))
        }
        words = [
            str(ROOT / "recipes" / self.name / "run.sh"),
            *self.options,
            "--workdir",
            str(self.workdir),
            *cluster,
            *options,
        ]
        return subprocess.Popen(
            words,
            text=True,
            env=clean | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *options: str, code: int = 0) -> str:
        """Run it to its end."""
        return self.finish(self.start(*options), code)

    def finish(self, process: subprocess.Popen, code: int = 0) -> str:
        """Wait for its end; what it printed."""
        text, _ = process.communicate(timeout=PATIENCE_SECONDS)
        print(text)
        assert process.returncode == code
        assert "Traceback" not in text
        return text

    def ask(self, *words: str) -> str:
        """What a command of the scheduler prints."""
        return ask(self.environment, *words)

    def wait_until_training(self, process: subprocess.Popen) -> None:
        """Until some steps are taken."""

        def taken():
            assert process.poll() is None, process.communicate()[0]
            return self.has_trained()

        wait_for(taken)

    def has_trained(self) -> bool:
        """Some steps are taken."""
        return any(
            CHECKPOINT.fullmatch(path.name)
            for path in self.workdir.glob("exp/*/checkpoints/step-*.pt")
        )

    def weights(self):
        """Fingerprint of the averaged weights."""
        (path,) = self.workdir.glob("exp/*/checkpoints/average.pt")
        return tensors(path)


def unlike(one: Recipe, other: Recipe) -> list[str]:
    """Files that differ; the locks of arrays are left out."""
    sides = [
        {
            name: value
            for name, value in contents(recipe.workdir).items()
            if not name.endswith("jobs.lock")
        }
        for recipe in (one, other)
    ]
    print(f"{len(sides[0])} files compared")
    return difference(*sides)
