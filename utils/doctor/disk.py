"""Checks of the workdir's disk (space, speed, renames, syncs, links, locks) and of the clocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.findings import BAD, OK, WARNING, Finding, graded, in_turn, joined
from utils.machine import existing_parent, nearest_existing

GIB, MIB = 2**30, 2**20
TESTED_BYTES = 64 * MIB
SLOW_BYTES_PER_SECOND = 30 * MIB  # a GPU's loader reads about as much
FEW_INODES = 100_000
CLOCK_SECONDS = 2.0
LOCKER = """
import fcntl, sys
with open(sys.argv[1], 'a') as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def check_disk(workdir: Path) -> Iterator[Finding]:
    """Run all checks, in a temporary folder of the workdir."""
    home, existing = existing_parent(workdir), nearest_existing(workdir)
    if home != existing:
        kind = "a file"
        if existing.is_symlink():
            kind = "a broken link"
        yield Finding(
            "disk",
            BAD,
            f"{existing}: {kind}, expected a folder",
            "--workdir DIR: a folder, on a disk that is mounted on this host",
        )
        return
    yield from in_turn([("room on disk", lambda: check_room(home))])
    try:
        folder = Path(tempfile.mkdtemp(prefix=".doctor-", dir=home))
    except OSError as error:
        yield Finding(
            "disk",
            BAD,
            f"{home}: cannot be written: {error.strerror}",
            "--workdir DIR: a folder that this user may write to",
        )
        return
    try:
        yield from in_turn(
            [
                ("speed of disk", lambda: check_speed(folder)),
                ("file system", lambda: check_behaviour(folder)),
                ("clock", lambda: check_clock(folder)),
                ("temporary files", lambda: check_temporary(home)),
            ]
        )
    finally:
        shutil.rmtree(folder)


def check_room(home: Path) -> Finding:
    """Free bytes and inodes for this user in an existing folder."""
    usage, inodes = shutil.disk_usage(home), os.statvfs(home)
    few = inodes.f_files > 0 and inodes.f_favail < FEW_INODES  # some file systems count none
    return graded(
        "room on disk",
        f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} at {home}; "
        f"{inodes.f_favail:,} more files",
        (
            usage.free < GIB,
            BAD,
            "free some, or --workdir DIR on another disk; --dry-run shows what a recipe needs",
        ),
        (
            usage.free < 10 * GIB or few,
            WARNING,
            "--dry-run shows what a recipe needs; quotas: quota -s, lfs quota",
        ),
    )


def check_speed(folder: Path, size: int = TESTED_BYTES) -> Finding:
    """Write and read a file of `size` bytes, synced and past the cache."""
    block = os.urandom(MIB)  # random: some disks compress
    # without a name: if this process is killed, the space is free again
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(size // MIB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        written = size / (time.perf_counter() - began)
        file.seek(0)
        uncached = hasattr(os, "posix_fadvise")
        if uncached:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        while file.read(MIB):
            pass
        read = size / (time.perf_counter() - began)
    facts = f"writes {written / MIB:,.0f} MiB/s, synced; reads {read / MIB:,.0f} MiB/s"
    if not uncached:
        facts += ", perhaps from the cache"
    return graded(
        "speed of disk",
        f"{facts} ({size // MIB} MiB)",
        (
            min(written, read) < SLOW_BYTES_PER_SECOND,
            WARNING,
            "training may wait for it: --workdir DIR on a local disk, or a copy of packed_* there",
        ),
    )


def check_behaviour(folder: Path) -> Finding:
    """Whether renames replace, folders sync, hard links work and locks exclude other processes."""
    old, new, linked = folder / "old", folder / "new", folder / "linked"
    for path in (old, new):
        path.write_text(path.name)
    return joined(
        "file system", [_replaces(new, old), _syncs(folder), _links(old, linked), _locks(old)]
    )


def _replaces(new: Path, old: Path) -> Finding:
    """Whether a rename replaces a file; every output of a step is published that way."""
    try:
        os.replace(new, old)
        whole = old.read_text() == new.name and not new.exists()
    except OSError as error:
        return Finding(
            "",
            BAD,
            f"a rename fails: {error.strerror}",
            "--workdir DIR on another file system: every output is renamed into place",
        )
    if not whole:
        remedy = "--workdir DIR on another file system"
        return Finding("", BAD, "a renamed file is not visible", remedy)
    return Finding("", OK, "renames replace")


def _syncs(folder: Path) -> Finding:
    """Whether a folder can be synced, so that names survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        return Finding(
            "",
            BAD,
            f"folders cannot be synced: {error.strerror}",
            "--workdir DIR on another file system: outputs are synced",
        )
    finally:
        os.close(handle)
    return Finding("", OK, "folders sync")


def _links(old: Path, linked: Path) -> Finding:
    """Whether hard links work; nothing here needs them, other tools (backups, conda) may."""
    try:
        os.link(old, linked)
    except OSError as error:
        return Finding("", OK, f"no hard links ({error.strerror}), which nothing here needs")
    return Finding("", OK, "hard links work")


def _locks(path: Path) -> Finding:
    """Whether a lock excludes another process, which protects a workdir from two recipes."""
    import fcntl

    with open(path, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return Finding(
                "",
                BAD,
                f"no locks: {error.strerror}",
                "mount it with locks (NFS: not nolock; Lustre: -o flock), or --workdir DIR",
            )
        other = subprocess.run(
            [sys.executable, "-c", LOCKER, str(path)], capture_output=True, check=False
        )
    if not other.returncode:
        return Finding(
            "",
            WARNING,
            "locks do not keep other processes out",
            "never start one recipe twice at once here; or mount it with locks (Lustre: -o flock)",
        )
    return Finding("", OK, "locks keep others out")


def check_clock(folder: Path) -> Finding:
    """Compare the host's clocks with each other and with that of the file system."""
    monotonic, wall = [], []
    for _ in range(20):
        time.sleep(0.01)
        monotonic.append(time.monotonic())
        wall.append(time.time())
    if monotonic != sorted(monotonic):
        remedy = "restart the machine, or its virtual clock (clocksource)"
        return Finding("clock", BAD, "the monotonic clock went backwards", remedy)
    jump = abs((wall[-1] - wall[0]) - (monotonic[-1] - monotonic[0]))
    path = folder / "clock"
    path.write_text("now")
    ahead = path.stat().st_mtime - time.time()
    direction = "behind"
    if ahead > 0:
        direction = "ahead of"
    return graded(
        "clock",
        f"the file system is {abs(ahead):.2f} s {direction} this host; no step backwards",
        (
            jump > CLOCK_SECONDS,
            WARNING,
            f"the clock was set by {jump:.1f} s during the check: let ntp or chrony run",
        ),
        (
            abs(ahead) > CLOCK_SECONDS,
            WARNING,
            "let ntp or chrony run on both hosts (times in logs differ; receipts use none)",
        ),
    )


def check_temporary(home: Path) -> Finding:
    """The folder of temporary files; another mount is fine, nothing is renamed out of it."""
    remedy = "export TMPDIR=DIR, a folder with some room that this user may write to"
    try:
        folder = Path(tempfile.gettempdir())
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
    except OSError as error:
        return Finding("temporary files", BAD, str(error), remedy)
    free = shutil.disk_usage(folder).free
    facts = f"{folder}, {free / GIB:.1f} GiB free"
    if folder.stat().st_dev != home.stat().st_dev:
        facts += ", another mount than the workdir, which does no harm"
    asked = os.environ.get("TMPDIR", "")
    is_refused = asked != "" and Path(asked).absolute() != folder.absolute()
    return graded(
        "temporary files",
        facts,
        (is_refused, BAD, f"TMPDIR={asked} cannot be used; {remedy}"),
        (free < 100 * MIB, WARNING, remedy),
    )
