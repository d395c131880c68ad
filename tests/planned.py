"""A recipe of two steps for tests of plans: its plan, as run.sh would write it, and its work."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from utils.cli import call
from utils.plan.stages import read_plan

STEPS = '''"""Steps of a recipe of two stages."""
from pathlib import Path

from utils.files import atomic_write
from utils.receipts import Task


def {name}(source: Path, output: Path, *, x: int = 1, job: str = "1/1") -> dict:
    """Copy.

    Parameters
    ----------
    source, output : path
        File and folder.
    x : int
        An option.
    job : str
        Part.
    """
    part = job[0]
    inputs, options = {{"source": source}}, {{"x": x}}
    task = Task(output, "{name}", job=job, format=1, inputs=inputs, options=options)
    if task.is_done():
        return task.counts
    with atomic_write(output / f"copy.{{part}}") as file:
        file.write(source.read_text())
    return task.finish([output / f"copy.{{part}}"], {{"files": 1}})
'''


class PlannedRecipe:
    """Two steps, the first an array of two tasks.

    The second reads the receipt of the first's first task.

    Parameters
    ----------
    folder : path
        Its workdir: data/one and exp/two are made there.
    """

    def __init__(self, folder: Path):
        self.folder, self.one, self.two = folder, folder / "data" / "one", folder / "exp" / "two"
        (folder / "in").write_text("a")

    def plan(self, x: int = 1) -> Path:
        """The plan, with an option of the first step."""
        one = [
            "python3",
            "-m",
            "local.planned_one",
            f"{self.folder}/in",
            str(self.one),
            "--x",
            str(x),
            "--job",
            "JOB/2",
        ]
        two = [
            "python3",
            "-m",
            "local.planned_two",
            f"{self.one}/receipts/planned_one.1of2.json",
            str(self.two),
        ]
        array = "launch --num-threads 1 JOB=1:2 log.JOB " + shlex.join(one)
        lines = [
            f"places {self.one} {self.two}",
            "stage 0 first",
            array,
            "stage 1 second",
            "run " + shlex.join(two),
            "stage 2 nothing",
        ]
        (self.folder / "plan").write_text("\n".join(lines) + "\n")
        return self.folder / "plan"

    def work(self, path: Path, stages: Sequence[int] = (0, 1)) -> None:
        """Run the commands of some stages of a plan."""
        for stage in read_plan(path):
            for words in stage.commands if stage.number in stages else []:
                module = words[2].split(".")[1]
                call(getattr(__import__(words[2], fromlist=[module]), module), words[3:], module)
