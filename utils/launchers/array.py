"""An array of tasks as the launchers see it, and how one of its tasks ended."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from utils.launchers.progress import ArrayLine
from utils.launchers.site import Site

# Reasons of ends.
CANCELLED = "cancelled"  # by somebody
OVER_TIME = "over its time"  # its scheduler ended it
NOT_STARTED = "the scheduler could not start it"
GONE = "the scheduler no longer knows it"
NUMBER_GOES_HERE = re.compile(r"(?<![^=])JOB(?=(/\d+)?$)")


def substitute(command: Sequence[str], job: int) -> list[str]:
    """The command of one task.

    Parameters
    ----------
    command : sequence of str
        The number goes where a word, or its part behind a ``=``, is JOB or JOB/N; the JOB of a path (/data/JOBS) is a name.
    job : int
        From 1 on.
    """
    return [NUMBER_GOES_HERE.sub(str(job), word) for word in command]


@dataclass(frozen=True)
class Array:
    """What a launcher is given.

    Attributes
    ----------
    log : str
        Path of a task's log, with JOB in the file's name where its number goes.
    command : list of str
        Of the step; see `substitute`.
    jobs : list of int
        Numbers of the tasks that are to run.
    resources : dict of str to str
        ``num-threads``, ``mem``, ``gpu``, ``time``, ``nodes``; ``max``: tasks at once at most.
    site : Site or None
        Of a cluster.
    line : ArrayLine
        What the user sees of it.
    """

    log: str
    command: Sequence[str]
    jobs: Sequence[int]
    resources: Mapping[str, str] = field(default_factory=dict)
    site: Site | None = None
    line: ArrayLine = field(default_factory=ArrayLine)

    @property
    def cluster(self) -> Site:
        """The site, which every launcher of a cluster is given."""
        assert self.site is not None, "the local launcher has no site"
        return self.site

    def log_of(self, job: int) -> Path:
        """The log of one task.

        Parameters
        ----------
        job : int
            Its number.
        """
        log = Path(self.log)
        return log.with_name(log.name.replace("JOB", str(job)))

    def words(self, job: int) -> list[str]:
        """The command of one task, wrapped so that it writes its log.

        Parameters
        ----------
        job : int
            Its number.
        """
        return [
            sys.executable,
            "-m",
            "utils.launchers.task",
            str(self.log_of(job)),
            *substitute(self.command, job),
        ]

    def beside(self, suffix: str) -> Path:
        """A file of the array beside its logs.

        Parameters
        ----------
        suffix : str
            ``jobs.json`` gives ``vad.jobs.json`` for ``vad.JOB.log``.
        """
        log = Path(self.log)
        stem = log.name.replace("JOB.", "").replace("JOB", "").removesuffix(".log").strip(".")
        return log.with_name(f"{stem or 'array'}.{suffix}")


@dataclass(frozen=True)
class End:
    """How a task ended, as far as is known.

    Attributes
    ----------
    code : int or None
        Exit code; None where nobody knows it.
    host : str
        Where it ran.
    reason : str
        In the scheduler's words; empty where the exit code says it all.
    output : path or None
        What the scheduler kept of the task's own output, which is in its log otherwise; None where nothing.
    """

    code: int | None = None
    host: str = ""
    reason: str = ""
    output: Path | None = None


@dataclass(frozen=True)
class LogEnd:
    """What a log says of its task.

    Attributes
    ----------
    host : str
        From its first line.
    code : int or None
        From its last line; None where the task did not live to write it.
    lines : list of str
        The last ones.
    """

    host: str
    code: int | None
    lines: list[str]


def read_log(log: Path, job_name: str = "", lines: int = 8) -> LogEnd:
    """Read the ends of a log.

    Parameters
    ----------
    log : path
        Written by utils/launchers/task.py.
    job_name : str
        Of the submission; the log of an earlier one tells nothing of this one.
    lines : int
        How many of the last ones.
    """
    text = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    if not text or (job_name and f"| job {job_name}" not in text[0]):
        return LogEnd("", None, ["(no log)"])
    host, code = re.search(r"\| host (\S+)", text[0]), re.match(r"# exit code (\d+)", text[-1])
    return LogEnd(host[1] if host else "", int(code[1]) if code else None, text[-lines:])
