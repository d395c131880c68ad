"""Checks of the machine: cores, memory, shared memory, open files; complete on Linux only."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.findings import BAD, OK, WARNING, Finding, graded, in_turn
from utils.machine import usable_cores, usable_memory

GIB = 2**30
SHARED = Path("/dev/shm")


def check_machine() -> Iterator[Finding]:
    """Check cores, memory, /dev/shm and open files."""
    yield from in_turn(
        [
            ("cores", check_cores),
            ("memory", check_memory),
            ("shared memory", check_shared_memory),
            ("open files", check_open_files),
        ]
    )


def check_cores() -> Finding:
    """Usable cores, of those of the machine."""
    usable, total = usable_cores(), os.cpu_count() or 1
    fitting = f"--nj {max(1, int(usable))} --num-threads {max(1, min(4, int(usable)))}"
    return graded(
        "cores",
        f"{usable:g} usable of {total}",
        (
            usable < 1,
            WARNING,
            "ask the scheduler or container for at least one core (--cpus-per-task, docker --cpus)",
        ),
        (usable < total, WARNING, f"{fitting}: more would only wait for each other"),
    )


def check_memory() -> Finding:
    """Memory within the limits of control groups."""
    if not Path("/proc/meminfo").exists():
        remedy = "make sure that 4 GiB are free"
        return Finding("memory", WARNING, "unknown on this system", remedy)
    total, free = usable_memory()
    return graded(
        "memory",
        f"{free / GIB:.1f} GiB free of {total / GIB:.1f}",
        (
            free < 1.5 * GIB,
            BAD,
            "free some, or ask for more (--mem, docker --memory): torch alone takes a gibibyte",
        ),
        (
            free < 4 * GIB,
            WARNING,
            "enough for small networks: fewer --nj, smaller batch_size in the YAML",
        ),
    )


def check_shared_memory() -> Finding:
    """/dev/shm, through which loaders and the processes of torchrun pass data."""
    if not SHARED.is_dir():
        return Finding(
            "shared memory",
            WARNING,
            f"no {SHARED}",
            "keep num_workers at 0 where torch complains about shared memory",
        )
    usage = shutil.disk_usage(SHARED)
    remedy = "docker run --shm-size 8g (or --ipc host); as root: mount -o remount,size=8G /dev/shm"
    return graded(
        "shared memory",
        f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} in {SHARED}",
        (not os.access(SHARED, os.W_OK), BAD, f"chmod 1777 {SHARED}, as root"),
        (usage.free < GIB // 8, BAD, remedy),
        (usage.free < GIB, WARNING, remedy),
    )


def check_open_files() -> Finding:
    """Limit of open files of a process: each worker of a loader opens every archive."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    facts = f"{_describe_limit(soft)}, may be raised to {_describe_limit(hard)}"
    if soft == resource.RLIM_INFINITY:
        return Finding("open files", OK, facts)
    remedy = f"ulimit -n {hard}"
    if hard == resource.RLIM_INFINITY:
        remedy = "ulimit -n 65536"
    elif hard < 1024:
        remedy = (
            "root has to allow more: nofile in /etc/security/limits.conf, "
            "docker run --ulimit nofile=65536"
        )
    return graded("open files", facts, (soft < 256, BAD, remedy), (soft < 1024, WARNING, remedy))


def _describe_limit(limit: int) -> str:
    if limit == resource.RLIM_INFINITY:
        return "no limit"
    return str(limit)
