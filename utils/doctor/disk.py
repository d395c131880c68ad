"""What the doctor asks of the disk under the workdir: room, speed, whether renames, syncs, links and locks do what receipts rest on; and clocks."""

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
from utils.machine import existing_parent, nearest

GIB, MIB = 2**30, 2**20
TESTED_BYTES = 64 * MIB
SLOW_BYTES_PER_SECOND = 30 * MIB  # a GPU's loader reads about as much
FEW_INODES = 100_000
CLOCK_SECONDS = 2.0
LOCKER = "import fcntl, sys\nwith open(sys.argv[1], 'a') as file: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"


def check_disk(workdir: Path) -> Iterator[Finding]:
    """All of them, in a folder of its own in the workdir, which is deleted afterwards.

    Parameters
    ----------
    workdir : path
        Where data/ and exp/ are or will be.
    """
    home, there = existing_parent(workdir), nearest(workdir)
    if home != there:
        yield Finding(
            "disk",
            BAD,
            f"{there}: {'a link to nowhere' if there.is_symlink() else 'a file'}, expected a folder",
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
    """Bytes and inodes that are free for this user.

    Parameters
    ----------
    home : path
        Existing folder.
    """
    usage, inodes = shutil.disk_usage(home), os.statvfs(home)
    few = inodes.f_files > 0 and inodes.f_favail < FEW_INODES  # some file systems count none
    return graded(
        "room on disk",
        f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} at {home}; {inodes.f_favail:,} more files",
        (
            usage.free < GIB,
            BAD,
            "free some, or --workdir DIR on another disk; --dry-run says how much a recipe takes",
        ),
        (
            usage.free < 10 * GIB or few,
            WARNING,
            "--dry-run says how much a recipe takes; quotas: quota -s, lfs quota",
        ),
    )


def check_speed(folder: Path, size: int = TESTED_BYTES) -> Finding:
    """Write and read a file, both to the disk itself: synced, and out of the memory that caches it.

    Parameters
    ----------
    folder : path
        Where.
    size : int
        Bytes.
    """
    block = os.urandom(MIB)  # random: some disks compress
    with tempfile.TemporaryFile(
        dir=folder
    ) as file:  # without a name: a doctor that is killed leaves no room taken
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
    cached = "" if uncached else ", perhaps out of the cache"
    told = f"writes {written / MIB:,.0f} MiB/s, synced; reads {read / MIB:,.0f} MiB/s{cached} ({size // MIB} MiB)"
    return graded(
        "speed of disk",
        told,
        (
            min(written, read) < SLOW_BYTES_PER_SECOND,
            WARNING,
            "training may wait for it: --workdir DIR on a local disk, or a copy of packed_* there",
        ),
    )


def check_behaviour(folder: Path) -> Finding:
    """Whether a rename replaces, folders can be synced, hard links work and locks keep others out.

    Parameters
    ----------
    folder : path
        Where.
    """
    old, new, linked = folder / "old", folder / "new", folder / "linked"
    for path in (old, new):
        path.write_text(path.name)
    return joined(
        "file system", [replaces(new, old), syncs(folder), links(old, linked), locks(old)]
    )


def replaces(new: Path, old: Path) -> Finding:
    """Whether a rename puts one file in the place of another, as every output of a step is published.

    Parameters
    ----------
    new, old : path
        Files.
    """
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
    return graded(
        "",
        "renames replace" if whole else "a renamed file is not seen",
        (not whole, BAD, "--workdir DIR on another file system"),
    )


def syncs(folder: Path) -> Finding:
    """Whether a folder can be synced, so that a name survives a power cut.

    Parameters
    ----------
    folder : path
        Which.
    """
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


def links(old: Path, linked: Path) -> Finding:
    """Whether hard links work; nothing here needs them, tools around it (backups, conda) may.

    Parameters
    ----------
    old, linked : path
        A file, and its second name.
    """
    try:
        os.link(old, linked)
    except OSError as error:
        return Finding("", OK, f"no hard links ({error.strerror}), which nothing here needs")
    return Finding("", OK, "hard links work")


def locks(path: Path) -> Finding:
    """Whether a lock keeps another process out: two recipes at one workdir rest on it.

    Parameters
    ----------
    path : path
        A file.
    """
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
    return graded(
        "",
        "locks keep others out" if other.returncode else "locks do not keep other processes out",
        (
            not other.returncode,
            WARNING,
            "never start one recipe twice at once here; or mount it with locks (Lustre: -o flock)",
        ),
    )


def check_clock(folder: Path) -> Finding:
    """The host's clock against itself and against that of the file system.

    Parameters
    ----------
    folder : path
        Where a file's time is looked at.
    """
    ticks = []
    for _ in range(20):
        time.sleep(0.01)
        ticks.append((time.monotonic(), time.time()))
    back = any(after < before for (before, _), (after, _) in zip(ticks, ticks[1:]))  # noqa: B905 - Python 3.9
    jumped = abs((ticks[-1][1] - ticks[0][1]) - (ticks[-1][0] - ticks[0][0]))
    path = folder / "clock"
    path.write_text("now")
    ahead = path.stat().st_mtime - time.time()
    return graded(
        "clock",
        f"the file system is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} this host; no step backwards"
        if not back
        else "the monotonic clock went backwards",
        (back, BAD, "restart the machine, or its virtual clock (clocksource)"),
        (
            jumped > CLOCK_SECONDS,
            WARNING,
            f"the clock was set by {jumped:.1f} s meanwhile: let ntp or chrony run",
        ),
        (
            abs(ahead) > CLOCK_SECONDS,
            WARNING,
            "let ntp or chrony run on both hosts (times in logs differ; receipts look at none)",
        ),
    )


def check_temporary(home: Path) -> Finding:
    """The folder of temporary files, which may lie on another mount: nothing is renamed out of it.

    Parameters
    ----------
    home : path
        Of the outputs, whose temporary names are beside their final ones.
    """
    mend = "export TMPDIR=DIR, a folder with some room that this user may write to"
    try:
        place = Path(tempfile.gettempdir())
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
    except OSError as error:
        return Finding("temporary files", BAD, str(error), mend)
    free, elsewhere = shutil.disk_usage(place).free, place.stat().st_dev != home.stat().st_dev
    asked = os.environ.get("TMPDIR", "")
    refused = asked != "" and Path(asked).absolute() != place.absolute()
    return graded(
        "temporary files",
        f"{place}, {free / GIB:.1f} GiB free{', another mount than the workdir, which is no harm' if elsewhere else ''}",
        (
            refused,
            BAD,
            f"TMPDIR={asked} cannot be used; {mend}",
        ),
        (free < 100 * MIB, WARNING, mend),
    )
