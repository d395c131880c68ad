"""What the doctor asks of the machine: cores, memory, shared memory, open files.  Linux tells all of it; elsewhere some lines are shorter."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.findings import BAD, WARNING, Finding, graded, in_turn
from utils.machine import usable_cores, usable_memory

GIB = 2**30
SHARED = Path("/dev/shm")


def check_machine() -> Iterator[Finding]:
    """All of them, one after the other."""
    yield from in_turn(
        [
            ("cores", check_cores),
            ("memory", check_memory),
            ("shared memory", check_shared_memory),
            ("open files", check_open_files),
        ]
    )


def check_cores() -> Finding:
    """Cores of the machine, and those that may be used."""
    usable, there = usable_cores(), os.cpu_count() or 1
    fitting = f"--nj {max(1, int(usable))} --num-threads {max(1, min(4, int(usable)))}"
    return graded(
        "cores",
        f"{usable:g} usable of {there}",
        (
            usable < 1,
            WARNING,
            "ask the scheduler or the container for a core at least (--cpus-per-task, docker --cpus)",
        ),
        (usable < there, WARNING, f"{fitting}: more would only wait for each other"),
    )


def check_memory() -> Finding:
    """Memory within the limits of control groups."""
    if not Path("/proc/meminfo").exists():
        return Finding("memory", WARNING, "not told by this system", "see that 4 GiB are free")
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
    """/dev/shm, through which loaders and torchrun's processes hand data on."""
    if not SHARED.is_dir():
        return Finding(
            "shared memory",
            WARNING,
            f"no {SHARED}",
            "keep num_workers at 0 where torch complains about shared memory",
        )
    usage = shutil.disk_usage(SHARED)
    mend = "docker run --shm-size 8g (or --ipc host); as root: mount -o remount,size=8G /dev/shm"
    return graded(
        "shared memory",
        f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} in {SHARED}",
        (not os.access(SHARED, os.W_OK), BAD, f"chmod 1777 {SHARED}, as root"),
        (usage.free < GIB // 8, BAD, mend),
        (usage.free < GIB, WARNING, mend),
    )


def check_open_files() -> Finding:
    """How many files a process may hold open: loaders open each archive once for each worker."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = ["no limit" if limit == resource.RLIM_INFINITY else str(limit) for limit in (soft, hard)]
    mend = f"ulimit -n {told[1] if hard != resource.RLIM_INFINITY else 65536}"
    if 0 <= hard < 1024:
        mend = "more than that root has to allow: nofile in /etc/security/limits.conf, docker run --ulimit nofile=65536"
    few = soft != resource.RLIM_INFINITY
    return graded(
        "open files",
        f"{told[0]}, may be raised to {told[1]}",
        (few and soft < 256, BAD, mend),
        (few and soft < 1024, WARNING, mend),
    )
