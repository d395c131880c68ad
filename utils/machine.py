"""Facts about this process and machine: processor time, memory, cores, control groups, commit."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def core_seconds() -> float:
    """Processor time of this process and its finished children, all threads, in seconds."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_memory_bytes() -> int:
    """Peak memory of this process or of one of its finished children, in bytes."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(own, children)
    if sys.platform == "darwin":
        return peak
    return 1024 * peak


def commit() -> str:
    """Short hash of the checkout's commit; empty outside git."""
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


def process_start_time(process: int) -> str:
    """Start time of a process as text; empty where there is no such process."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-o", "lstart=", "-p", str(process)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *fields = stat.rpartition(") ")[2].split()
    if state in "ZX":  # dead
        return ""
    return fields[18]  # clock ticks since the machine started


def cgroup_limits(
    names: tuple[str, ...], root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")
) -> list[str]:
    """Contents of files of this process' control groups, the innermost first.

    Parameters
    ----------
    names : tuple of str
        Files of version 2 and 1: ``memory.max``, ``memory.limit_in_bytes``.
    root : path
        Where control groups are mounted.
    membership : path
        File that names the groups of this process.
    """
    groups = []
    if membership.exists():
        for line in membership.read_text().splitlines():
            groups.append(line.split(":", 2)[2].lstrip("/"))
    limits = []
    for folder in _group_folders(root, [*groups, ""]):
        for name in names:
            if (folder / name).is_file():
                limits.append((folder / name).read_text().strip())
    return limits


def _group_folders(root: Path, groups: list[str]) -> list[Path]:
    """Folders of some groups and of those around them, each once, the innermost first."""
    folders: dict[Path, None] = {}
    for base in (root, root / "memory", root / "cpu"):
        for group in groups:
            innermost = base / group
            for folder in (innermost, *innermost.parents):
                if folder.is_relative_to(root):
                    folders[folder] = None
    return list(folders)


def usable_cores() -> float:
    """Cores that this process may use: its affinity, within the quota of its control groups."""
    if hasattr(os, "sched_getaffinity"):
        cores = float(len(os.sched_getaffinity(0)))
    else:
        cores = float(os.cpu_count() or 1)
    for limit in cgroup_limits(("cpu.max",)):
        quota, period = limit.split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    quotas, periods = cgroup_limits(("cpu.cfs_quota_us",)), cgroup_limits(("cpu.cfs_period_us",))
    for quota, period in zip(quotas, periods):  # noqa: B905 - the doctor runs on Python 3.9, too
        if int(quota) > 0:
            cores = min(cores, int(quota) / int(period))
    return cores


def usable_memory() -> tuple[int, int]:
    """Total and free memory in bytes, within the limits of this process' control groups."""
    known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(known["MemTotal"].split()[0]) * 1024
    free = int(known["MemAvailable"].split()[0]) * 1024
    for limit in cgroup_limits(("memory.max", "memory.limit_in_bytes")):
        if limit != "max":
            total = min(total, int(limit))
    return total, min(free, total)


def existing_parent(path: Path) -> Path:
    """The folder itself, or the nearest existing one above it."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest existing one above it, which may be a file in the way."""
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
