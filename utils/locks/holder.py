"""Who holds a lock, and how it can be known that it is dead: what utils/locks/run_lock.py writes into a lock and reads from it."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from utils.errors import UserError
from utils.machine import started

BEAT_SECONDS = 30
# after which a run of this host, but of before its start, is dead
SILENT_SECONDS = 10 * BEAT_SECONDS
ANSWER_SECONDS = 60  # for squeue and qstat


def _machine() -> str:
    """Which start of which machine or container this is: process numbers of another one mean nothing here."""
    boot, names = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return (
        f"{boot.read_text().strip()} {os.readlink(names)}"
        if boot.exists() and names.exists()
        else ""
    )


def holder(run: int, command: str) -> dict:
    """What a lock says of a run of this host.

    Parameters
    ----------
    run : int
        Number of its process.
    command : str
        Its command line.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    job = " ".join(
        filter(None, (os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT")))
    )
    return {
        "command": command,
        "process": run,
        "started": started(run),
        "host": socket.gethostname(),
        "machine": _machine(),
        "user": user,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "slurm_job": job,
        "grid_engine_job": _grid_engine_job(),
    }


def _grid_engine_job() -> str:
    """Number of the job of Grid Engine that this process belongs to, whether it was queued again, and its cluster; empty where it is in none."""
    if "SGE_TASK_ID" not in os.environ:  # JOB_ID alone means many things
        return ""
    return f"{os.environ.get('JOB_ID', '')} {os.environ.get('RESTARTED', '')} {os.environ.get('SGE_ROOT', '')} {os.environ.get('SGE_CELL', '')}"


def is_the_same(one: dict, other: dict) -> bool:
    """True when two locks are of the same run; the host's name may have changed since, as that of a laptop does.

    Parameters
    ----------
    one, other : dict
        As of `holder`.
    """
    return all(one.get(key) == other.get(key) for key in ("process", "started", "machine"))


def death(held: dict, silent_seconds: float) -> str:
    """How it is known that a run is dead; empty where it lives, or where nobody here can know.

    Parameters
    ----------
    held : dict
        As of `holder`.
    silent_seconds : float
        Age of its heartbeat.
    """
    if held["host"] == socket.gethostname():
        if is_near(held):
            return (
                ""
                if held["started"] and started(held["process"]) == held["started"]
                else f"process {held['process']} is dead"
            )
        return (
            f"it is of before the last start, its heartbeat {age(silent_seconds)} old"
            if silent_seconds > SILENT_SECONDS
            else ""
        )
    return _job_death(held["slurm_job"]) or _grid_engine_death(held["grid_engine_job"])


def _job_death(held: str) -> str:
    """How Slurm knows that a job is over, or an earlier life of this very job; empty where it is not, or where Slurm is not here."""
    number, _, life = held.partition(" ")
    if not number or not shutil.which("squeue"):
        return ""
    if number == os.environ.get("SLURM_JOB_ID"):
        return (
            f"job {number} was queued again"
            if life != os.environ.get("SLURM_RESTART_COUNT", "")
            else ""
        )
    asked = subprocess.run(
        ["squeue", "--noheader", f"--jobs={number}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=ANSWER_SECONDS,
    )
    over = (
        not asked.stdout.strip()
        if asked.returncode == 0
        else "invalid job id" in asked.stderr.lower()
    )
    return f"job {number} is over" if over else ""


def _grid_engine_death(held: str) -> str:
    """`_job_death` for Grid Engine: of an array the whole has to be over."""
    if not held or not shutil.which("qstat"):
        return ""
    number, life, *cluster = held.split(" ", 3)
    own_number, own_life, *own_cluster = (_grid_engine_job() or "   ").split(" ", 3)
    if (number, cluster) == (own_number, own_cluster):
        return f"job {number} was queued again" if life != own_life else ""
    if any(
        os.environ.get(name, known) != known
        for name, known in zip(("SGE_ROOT", "SGE_CELL"), cluster, strict=True)
    ):
        return ""  # numbers of another cluster
    asked = subprocess.run(
        ["qstat", "-j", number], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
    )
    return (
        f"job {number} is over"
        if asked.returncode and "do not exist" in asked.stdout + asked.stderr
        else ""
    )


def age(seconds: float) -> str:
    """A duration in one unit.

    Parameters
    ----------
    seconds : float
        0 or more.
    """
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def is_near(held: dict) -> bool:
    """True where the numbers of a lock's processes mean something here.

    Parameters
    ----------
    held : dict
        As of `holder`.
    """
    return (held["host"], held["machine"]) == (socket.gethostname(), _machine())


def told(held: dict) -> str:
    """A holder in words.

    Parameters
    ----------
    held : dict
        As of `holder`.
    """
    return f"{held['command']} (process {held['process']} on host {held['host']}, user {held['user']}, since {held['since']})"


def read_holder(lock: Path, text: str, silent_seconds: float) -> dict:
    """What a lock says.

    Parameters
    ----------
    lock : path
        For the message.
    text : str
        Its content.
    silent_seconds : float
        Age of its heartbeat.

    Raises
    ------
    UserError
        It is not a lock, or not all of one.
    """
    try:
        held = {"grid_engine_job": ""} | json.loads(text)  # which older locks do not say
        if not holder(os.getpid(), "").keys() <= held.keys():
            raise ValueError("incomplete")
    except (ValueError, AttributeError, TypeError):
        raise UserError(
            f"{lock}: not a lock of a recipe, or half written, {age(silent_seconds)} old; "
            "see that no run is at work here and remove it"
        ) from None
    return held
