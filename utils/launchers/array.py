"""An array of tasks, how a task ended, and what its log says."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from utils.launchers.progress import ArrayLine
from utils.launchers.site import Site

# Reasons of ends.
CANCELLED = "cancelled"  # by a person
OVER_TIME = "over its time"  # ended by the scheduler
NOT_STARTED = "the scheduler could not start it"
GONE = "the scheduler no longer knows it"
NUMBER_GOES_HERE = re.compile(r"(?<![^=])JOB(?=(/\d+)?$)")


def substitute(command: Sequence[str], job: int) -> list[str]:
    """The command of a task: its number replaces JOB in JOB, JOB/N and --option=JOB only."""
    return [NUMBER_GOES_HERE.sub(str(job), word) for word in command]


@dataclass(frozen=True)
class Array:
    """An array to run: the argument of a launcher's ``submit``."""

    log: str  # path of a task's log, with JOB in the file's name
    command: Sequence[str]  # of the step; see `substitute`
    jobs: Sequence[int]  # numbers of the tasks to run
    # num-threads, mem, gpu, time, nodes; max: tasks at the same time
    resources: Mapping[str, str] = field(default_factory=dict)
    site: Site | None = None  # None: the local launcher
    line: ArrayLine = field(default_factory=ArrayLine)  # the progress line

    @property
    def cluster(self) -> Site:
        """The site, which every launcher of a cluster has."""
        assert self.site is not None, "the local launcher has no site"
        return self.site

    def log_path(self, job: int) -> Path:
        """Path of the log of one task."""
        log = Path(self.log)
        return log.with_name(log.name.replace("JOB", str(job)))

    def words(self, job: int) -> list[str]:
        """The command of one task, wrapped so that it writes its log."""
        wrapper = [sys.executable, "-m", "utils.launchers.task", str(self.log_path(job))]
        return wrapper + substitute(self.command, job)

    def beside(self, suffix: str) -> Path:
        """A file beside the logs: ``jobs.json`` gives ``vad.jobs.json`` for ``vad.JOB.log``."""
        log = Path(self.log)
        stem = log.name.replace("JOB.", "").replace("JOB", "").removesuffix(".log").strip(".")
        return log.with_name(f"{stem or 'array'}.{suffix}")


@dataclass(frozen=True)
class End:
    """How a task ended, as far as known."""

    code: int | None = None  # exit code; None: unknown
    host: str = ""
    reason: str = ""  # as the scheduler gives it; empty where the exit code says all
    output: Path | None = None  # output that the scheduler kept outside the log


@dataclass(frozen=True)
class LogEnd:
    """What a log says about its task."""

    host: str
    code: int | None  # None: the task died before it wrote its last line
    lines: list[str]  # the last ones


def read_log(log: Path, job_name: str = "", lines: int = 8) -> LogEnd:
    """Read the first and last lines of a log; ignore the log of another submission."""
    text = []
    if log.exists():
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if not text or (job_name and f"| job {job_name}" not in text[0]):
        return LogEnd("", None, ["(no log)"])
    host, code = "", None
    if match := re.search(r"\| host (\S+)", text[0]):
        host = match[1]
    if match := re.match(r"# exit code (\d+)", text[-1]):
        code = int(match[1])
    return LogEnd(host, code, text[-lines:])
