"""The record of submitted jobs, beside the logs: ``vad.jobs.json`` for ``vad.JOB.log``.

It is written before a submission, with its name; the scheduler's job id is added after.  If a
launcher dies, the next one can find its jobs by id or name and wait for them.
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
    """One job array of the scheduler."""

    digest: str  # of the command; a different one writes other work to the same outputs
    tasks: dict[int, int]  # the scheduler's number of a task -> JOB
    name: str = field(default_factory=lambda: f"sv-{uuid.uuid4().hex[:12]}")  # unique
    job: str = ""  # the scheduler's job id; empty while unknown
    # the scheduler's number of a task -> how often in a row it was not shown
    unseen: dict[int, int] = field(default_factory=dict)


def read_record(path: Path) -> tuple[str, list[Submission]]:
    """Launcher and submissions of a record; empty if there is none.  UserError: it is damaged."""
    try:
        record = read_json(path)
        submissions = []
        for entry in record["submissions"]:
            tasks = {int(number): job for number, job in entry["tasks"].items()}
            submissions.append(Submission(entry["digest"], tasks, entry["name"], entry["job"]))
        return record["launcher"], submissions
    except FileNotFoundError:
        return "", []
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: not a record of submitted jobs; check whether any of them still run, "
            "cancel them and remove it"
        ) from None


def write_record(path: Path, launcher: str, submissions: Sequence[Submission]) -> None:
    """Write the submissions that may still run; without any, remove the record."""
    if not submissions:
        path.unlink(missing_ok=True)
        return
    entries = [
        {"name": each.name, "job": each.job, "digest": each.digest, "tasks": each.tasks}
        for each in submissions
    ]
    with atomic_write(path) as file:
        json.dump({"launcher": launcher, "submissions": entries}, file, indent=1)
        file.write("\n")


@contextmanager
def lock_array(path: Path) -> Iterator[None]:
    """Lock the array of a record; the kernel releases the lock of a dead launcher.

    UserError: another launcher works on the array.
    """
    make_folder(path.parent)
    lock = path.with_name(f".{path.name}.lock")
    with open(lock, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{path}: another launcher works on this array ({file.read().strip()}); "
                "wait for it, or stop it"
            ) from None
        file.truncate(0)
        print(f"process {os.getpid()} on host {socket.gethostname()}", file=file, flush=True)
        yield
