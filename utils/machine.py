"""Facts of this process, its machine and its mounts.

Processor time, memory, cores, limits of control groups, the checkout's commit, what is there of a path.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def core_seconds() -> float:
    """Processor time of this process and the children that it waited for, all threads, in seconds."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def peak_memory_bytes() -> int:
    """Most memory that this process, or one of the children that it waited for, has held so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(
        resource.getrusage(whose).ru_maxrss
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def commit() -> str:
    """The checkout's commit, for the record; empty outside git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()


def started(process: int) -> str:
    """When a process began, in words that no later one of the same number has; empty where there is no such process.

    Parameters
    ----------
    process : int
        Its number.
    """
    stat = Path(f"/proc/{process}/stat")
    if not Path("/proc/self/stat").exists():
        return subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False
        ).stdout.strip()
    try:
        state, *fields = (
            stat.read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else fields[18]  # clock ticks since the start of the machine


def cgroup_limits(
    names: tuple[str, ...], place: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")
) -> list[str]:
    """What the control groups of this process say, of the innermost first.

    Parameters
    ----------
    names : tuple of str
        Files of a group, of version 2 and 1: ``memory.max``, ``memory.limit_in_bytes``.
    place : path
        Where they are mounted.
    membership : path
        Names this process' groups.
    """
    own = (
        [line.split(":", 2)[2].lstrip("/") for line in membership.read_text().splitlines()]
        if membership.exists()
        else []
    )
    folders = dict.fromkeys(
        folder
        for base in (place, place / "memory", place / "cpu")
        for name in [*own, ""]
        for folder in ((base / name), *(base / name).parents)
        if folder.is_relative_to(place)
    )
    return [
        (folder / name).read_text().strip()
        for folder in folders
        for name in names
        if (folder / name).is_file()
    ]


def usable_cores() -> float:
    """Cores that this process may use: those of its affinity, within the quota of its control groups."""
    cores = float(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    for words in map(str.split, cgroup_limits(("cpu.max",))):
        if words[0] != "max":
            cores = min(cores, int(words[0]) / int(words[1]))
    quotas, periods = cgroup_limits(("cpu.cfs_quota_us",)), cgroup_limits(("cpu.cfs_period_us",))
    for quota, period in zip(quotas, periods):  # noqa: B905 - the doctor runs on Python 3.9, too
        if int(quota) > 0:
            cores = min(cores, int(quota) / int(period))
    return cores


def usable_memory() -> tuple[int, int]:
    """Bytes that this process may use in all, and those that are free now, both within its control groups."""
    known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(known[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limits = [
        int(text)
        for text in cgroup_limits(("memory.max", "memory.limit_in_bytes"))
        if text != "max"
    ]
    total = min([total, *limits])
    return total, min(free, total)


def existing_parent(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists.

    Parameters
    ----------
    path : path
        May not be made yet.
    """
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def nearest(path: Path) -> Path:
    """The path itself, or the nearest one above it that is there: a folder, or what stands in the way of one.

    Parameters
    ----------
    path : path
        May not be made yet.
    """
    return next(
        there for there in (path.absolute(), *path.absolute().parents) if os.path.lexists(there)
    )
