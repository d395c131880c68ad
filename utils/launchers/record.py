"""The record of what was submitted, beside the logs: ``vad.jobs.json`` for ``vad.JOB.log``.

It is written before a submission and names it; the scheduler's number is added after.  So a launcher that dies at any moment leaves enough behind for
the next one to find its jobs, by number or by name, and to wait for them instead of submitting them again.
"""

import fcntl
import json
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from utils.errors import UserError
from utils.files import atomic_write, make_folder, read_json


@dataclass
class Submission:
    """One job array at the scheduler.

    Attributes
    ----------
    digest : str
        Of the command; another one means that other work goes to the same outputs.
    tasks : dict of int to int
        The scheduler's number of a task -> JOB.
    name : str
        Unique; known before the scheduler is asked.
    job : str
        The scheduler's number of the job; empty as long as it is not known.
    unseen : dict of int to int
        The scheduler's number of a task -> how many looks in a row did not show it.
    """

    digest: str
    tasks: dict[int, int]
    name: str = field(default_factory=lambda: f"sv-{uuid.uuid4().hex[:12]}")
    job: str = ""
    unseen: dict[int, int] = field(default_factory=dict)


def read_record(path: Path) -> tuple[str, list[Submission]]:
    """Launcher and submissions of a record; nothing where there is none.

    Parameters
    ----------
    path : path
        The record.

    Raises
    ------
    UserError
        It is not what `write_record` writes.
    """
    try:
        said = read_json(path)
        return said["launcher"], [
            Submission(
                each["digest"],
                {int(number): job for number, job in each["tasks"].items()},
                each["name"],
                each["job"],
            )
            for each in said["submissions"]
        ]
    except FileNotFoundError:
        return "", []
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: not a record of submitted jobs; see whether any of them still run, cancel them and remove it"
        ) from None


def write_record(path: Path, launcher: str, submissions: Sequence[Submission]) -> None:
    """Write a record, or remove it where nothing is left.

    Parameters
    ----------
    path : path
        The record.
    launcher : str
        Who can ask about the jobs.
    submissions : sequence of Submission
        Those that may still run.
    """
    if not submissions:
        path.unlink(missing_ok=True)
        return
    told = [
        {"name": each.name, "job": each.job, "digest": each.digest, "tasks": each.tasks}
        for each in submissions
    ]
    with atomic_write(path) as file:
        json.dump({"launcher": launcher, "submissions": told}, file, indent=1)
        file.write("\n")


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Keep other launchers from the same array; the kernel drops the lock of a dead one.

    Parameters
    ----------
    path : path
        The record.

    Raises
    ------
    UserError
        Another launcher is at it; says which.
    """
    make_folder(path.parent)
    lock = path.with_name(f".{path.name}.lock")
    with open(lock, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{path}: another launcher is at this array ({file.read().strip()}); wait for it, or stop it"
            ) from None
        file.truncate(0)
        print(f"process {os.getpid()} on host {socket.gethostname()}", file=file, flush=True)
        yield
