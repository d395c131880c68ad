"""A step for tests of launchers, which fails as files in its folder say, and its array of three."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cluster.daemons import PATIENCE_SECONDS, wait_for
from tests.conftest import ROOT

STEP = '''"""A step that fails for the parts named in the file `fail`."""
import os
import time
from pathlib import Path

from utils.cli import run
from utils.files import atomic_write
from utils.receipts import Task


def launched(folder: Path, *, job: str = "1/1", device: str = "cpu") -> dict:
    """Do one part.

    Parameters
    ----------
    folder : path
        Where.
    job : str
        Part.
    device : str
        Asks for a GPU.
    """
    task = Task(folder, "launched", job=job, format=1, inputs={}, options={})
    if task.is_done():
        return task.counts
    part = job.split("/")[0]
    with open(folder / "runs", "a") as file:
        file.write(part + os.environ["OMP_NUM_THREADS"] + " ")
    how = (folder / f"fail.{part}").read_text() if (folder / f"fail.{part}").exists() else ""
    if how == "sleep":
        time.sleep(60)
    while how == "hold" and not (folder / "release").exists():
        time.sleep(0.05)
    if how == "kill once":
        (folder / f"fail.{part}").unlink()
        os.kill(os.getpid(), 9)
    if how == "silent":
        return {}
    if how == "loud":
        raise OSError(28, "No space left on device", "x.ark")
    with atomic_write(folder / f"out.{part}") as file:
        file.write(part)
    return task.finish([folder / f"out.{part}"])


if __name__ == "__main__":
    run(launched)
'''


class Launching:
    """Launches the step with its outputs in `folder`, its logs in `logs`.

    Parameters
    ----------
    folder : path
        Empty.
    launcher : str
        Name of the launcher.
    conf : str
        Text of a site's file for a cluster.
    environment : mapping
        Variables beside those of the tests.
    """

    def __init__(
        self, folder: Path, launcher: str = "local", conf: str = "", environment: dict | None = None
    ):
        self.folder, self.launcher, self.logs = folder, launcher, folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "launched.py").write_text(STEP)
        (folder / "sitecustomize.py").write_text(
            f"import local; local.__path__.append({str(folder)!r})"
        )
        self.environment = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"} | (environment or {})
        self.conf = []
        if conf:
            (folder / "site.conf").write_text(conf)
            self.conf = ["--conf", str(folder / "site.conf")]

    def words(self, *resources: str, tasks: int = 3, also: tuple = ()) -> list[str]:
        """The command line of the launcher."""
        return [
            sys.executable,
            "-m",
            "utils.launchers",
            self.launcher,
            *self.conf,
            *resources,
            f"JOB=1:{tasks}",
            f"{self.logs}/JOB.log",
            sys.executable,
            "-m",
            "local.launched",
            str(self.folder),
            "--job",
            f"JOB/{tasks}",
            *also,
        ]

    def __call__(
        self, *resources: str, tasks: int = 3, also: tuple = ()
    ) -> subprocess.CompletedProcess:
        """Launch, and wait for the end."""
        words = self.words(*resources, tasks=tasks, also=also)
        return subprocess.run(
            words, cwd=ROOT, env=self.environment, text=True, capture_output=True, check=False
        )

    def start(self, *resources: str, **how) -> subprocess.Popen:
        """Launch."""
        return subprocess.Popen(
            self.words(*resources), cwd=ROOT, env=self.environment, text=True, **how
        )

    def runs(self) -> list[str]:
        """Parts that were worked on, each as often as it was."""
        path = self.folder / "runs"
        return sorted(word[0] for word in path.read_text().split()) if path.exists() else []

    def hold(self, *parts: int) -> None:
        """Have tasks wait for `release`."""
        for part in parts:
            (self.folder / f"fail.{part}").write_text("hold")

    def release(self) -> None:
        """Let them go on."""
        (self.folder / "release").touch()

    def begin(self, *resources: str, **how) -> subprocess.Popen:
        """Launch; what it says is in a file."""
        self.said = self.folder / f"said.{len(list(self.folder.glob('said.*')))}"
        with open(self.said, "w") as file:
            return self.start(*resources, stderr=file, **how)

    def says(self, process: subprocess.Popen, words: str) -> str:
        """Wait until the output of the newest launcher matches a regular expression; its groups."""

        def found():
            ended = process.poll() is not None
            return re.search(words, self.said.read_text()) or ended

        match = wait_for(found, self.said.read_text)
        assert match is not True, f"no '{words}' in:\n{self.said.read_text()}"
        return match[0]

    def job_of(self, process: subprocess.Popen) -> str:
        """The scheduler's number of what the launcher that was begun last has submitted."""
        return self.says(process, r"(?<=as job )\d+")

    def finish(self, process: subprocess.Popen, code: int = 0) -> str:
        """Wait for the end of the launcher that was begun last; what it said."""
        process.wait(PATIENCE_SECONDS)
        print(self.said.read_text())
        assert process.returncode == code
        return self.said.read_text()

    def processes(self) -> str:
        """Numbers of the step's processes."""
        words = ["pgrep", "-f", f"local.launched {self.folder}"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout
