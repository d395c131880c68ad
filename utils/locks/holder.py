"""The holder of a lock: its description in the lock file, and how its death is detected."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from utils.errors import UserError
from utils.machine import process_start_time

BEAT_SECONDS = 30
# After this long without a heartbeat, a run from before the last boot of this host is dead.
SILENT_SECONDS = 10 * BEAT_SECONDS
ANSWER_SECONDS = 60  # for squeue and qstat


def _machine() -> str:
    """Id of this boot of the machine or container, within which process ids are unique."""
    boot, names = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not (boot.exists() and names.exists()):
        return ""
    return f"{boot.read_text().strip()} {os.readlink(names)}"


def holder(run: int, command: str) -> dict:
    """The description of a run on this host, from its process id and command line."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    job = [os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_RESTART_COUNT", "")]
    return {
        "command": command,
        "process": run,
        "started": process_start_time(run),
        "host": socket.gethostname(),
        "machine": _machine(),
        "user": user,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "slurm_job": " ".join(job).strip(),
        "grid_engine_job": _grid_engine_job(),
    }


def _grid_engine_job() -> str:
    """Number, restart flag and cluster of the Grid Engine job of this process; empty if none."""
    if "SGE_TASK_ID" not in os.environ:  # JOB_ID alone may come from another program
        return ""
    names = ("JOB_ID", "RESTARTED", "SGE_ROOT", "SGE_CELL")
    return " ".join(os.environ.get(name, "") for name in names)


def is_same_run(one: dict, other: dict) -> bool:
    """True if two holders are the same run; the host's name may have changed in between."""
    return all(one.get(key) == other.get(key) for key in ("process", "started", "machine"))


def death(held: dict, silent_seconds: float) -> str:
    """Why a holder is known to be dead; empty if it lives, or if this host cannot know.

    ``silent_seconds`` is the age of its heartbeat.
    """
    if held["host"] != socket.gethostname():
        return _slurm_death(held["slurm_job"]) or _grid_engine_death(held["grid_engine_job"])
    if is_from_this_boot(held):
        if held["started"] and process_start_time(held["process"]) == held["started"]:
            return ""
        return f"process {held['process']} is dead"
    if silent_seconds > SILENT_SECONDS:
        return f"it is from before the last boot, its heartbeat is {age(silent_seconds)} old"
    return ""


def _slurm_death(held: str) -> str:
    """What Slurm reports if a job, or an earlier run of this same job, is over; else empty."""
    number, _, restarts = held.partition(" ")
    if not number or not shutil.which("squeue"):
        return ""
    if number == os.environ.get("SLURM_JOB_ID"):
        if restarts != os.environ.get("SLURM_RESTART_COUNT", ""):
            return f"job {number} was queued again"
        return ""
    answer = _ask(["squeue", "--noheader", f"--jobs={number}"])
    if answer.returncode == 0:
        is_over = not answer.stdout.strip()
    else:
        is_over = "invalid job id" in answer.stderr.lower()
    return f"job {number} is over" if is_over else ""


def _grid_engine_death(held: str) -> str:
    """`_slurm_death` for Grid Engine: of an array, all tasks have to be over."""
    if not held or not shutil.which("qstat"):
        return ""
    number, restarts, *cluster = held.split(" ", 3)
    own_number, own_restarts, *own_cluster = (_grid_engine_job() or "   ").split(" ", 3)
    if (number, cluster) == (own_number, own_cluster):
        return f"job {number} was queued again" if restarts != own_restarts else ""
    for name, known in zip(("SGE_ROOT", "SGE_CELL"), cluster, strict=True):
        if os.environ.get(name, known) != known:
            return ""  # job numbers of another cluster
    answer = _ask(["qstat", "-j", number])
    if answer.returncode and "do not exist" in answer.stdout + answer.stderr:
        return f"job {number} is over"
    return ""


def _ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
    )


def age(seconds: float) -> str:
    """A duration in one unit: ``5 min``."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def is_from_this_boot(held: dict) -> bool:
    """True if a holder is from this boot of this host, so that its process can be checked."""
    return (held["host"], held["machine"]) == (socket.gethostname(), _machine())


def describe(held: dict) -> str:
    """A holder in one line."""
    return (
        f"{held['command']} (process {held['process']} on host {held['host']}, "
        f"user {held['user']}, since {held['since']})"
    )


def read_holder(lock: Path, text: str, silent_seconds: float) -> dict:
    """The holder in a lock file with this text; UserError if it is not a lock, or incomplete."""
    try:
        held = {"grid_engine_job": ""} | json.loads(text)  # which older locks do not have
        if not holder(os.getpid(), "").keys() <= held.keys():
            raise ValueError("incomplete")
    except (ValueError, AttributeError, TypeError):
        raise UserError(
            f"{lock}: not a lock of a recipe, or half written, {age(silent_seconds)} old; "
            "make sure that no run works here, and remove it"
        ) from None
    return held
