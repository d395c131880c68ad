"""Locks of the folders that a recipe writes to, so that no two runs work in the same place: ``data/.full.lock`` locks ``data/full``.

A lock is a file that says who holds it: command, process, host, user, since when.  A heartbeat renews its time for as long as the run lives.
What a dead run left is taken over where this host can know that it is dead, and said.  What a run on another host left is never taken from it:
the message says how old the heartbeat is and which file to remove.  Jobs of Slurm are an exception: Slurm knows which of them live.

`python -m utils.locks.run_lock beat RUN LOCK...` renews, `release RUN LOCK...` removes: both for the process number RUN.
"""

import errno
import fcntl
import glob
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from utils.cli import die_with_parent, exit_with
from utils.errors import UserError
from utils.files import make_folder, naming
from utils.locks.holder import (
    BEAT_SECONDS,
    age,
    death,
    holder,
    is_near,
    is_the_same,
    read_holder,
    told,
)
from utils.machine import started

# a file system without hard links
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def lock_of(place: Path) -> Path:
    """The lock of a folder: beside it, since the folder may not be there yet.

    Parameters
    ----------
    place : path
        ``data/full`` gives ``data/.full.lock``.
    """
    return place.with_name(f".{place.name}.lock")


def _take(lock: Path, held_by: dict) -> None:
    """Take one lock."""
    make_folder(lock.parent)
    _remove_half_written(lock)
    mine = lock.with_name(f"{lock.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with naming(mine), open(mine, "w", encoding="utf-8") as file:
            json.dump(held_by, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        while not _put(mine, lock):
            _remove_dead(lock, mine.stat().st_mtime)
    finally:
        mine.unlink(missing_ok=True)


def _remove_half_written(lock: Path) -> None:
    """Remove what processes of this host left that died while they wrote this lock."""
    for path in lock.parent.glob(f"{glob.escape(lock.name)}.*.tmp"):
        host, _, process = path.name[len(lock.name) + 1 : -len(".tmp")].rpartition(".")
        if host == socket.gethostname() and process.isdigit() and not started(int(process)):
            path.unlink(missing_ok=True)


def _put(mine: Path, lock: Path) -> bool:
    """Give a written file the name of the lock; False where the lock is there already."""
    try:
        os.link(mine, lock)
    except FileExistsError:
        return mine.stat().st_nlink == 2  # on NFS a link may be made, and its answer be lost
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            with open(lock, "x", encoding="utf-8") as file:
                file.write(mine.read_text(encoding="utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return False
    return True


def _remove_dead(lock: Path, now: float, said: str = "taken over from") -> None:
    """Remove the lock of a dead run; nothing where somebody else just did."""
    with suppress(FileNotFoundError):
        text, silent_seconds = lock.read_text(encoding="utf-8"), now - lock.stat().st_mtime
        held = read_holder(lock, text, silent_seconds)
        dead = death(held, silent_seconds)
        if not dead:
            mend = (
                "wait for it, or stop it"
                if is_near(held)
                else f"wait for it, stop it, or, if it is dead, remove {lock}"
            )
            raise UserError(
                f"{lock}: another run is at work here: {told(held)}; its heartbeat is {age(silent_seconds)} old; {mend}"
            )
        with naming(lock), open(lock, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of several runs that find it dead one removes it
            if os.path.samestat(os.fstat(file.fileno()), os.stat(lock)) and file.read() == text:
                lock.unlink()
                print(f"{lock}: {said} {told(held)}: {dead}", file=sys.stderr)


def acquire(places: Iterable[Path], run: int, command: str) -> None:
    """Take the locks of all these folders, or of none.

    Parameters
    ----------
    places : iterable of path
        The folders.
    run : int
        Number of the process that will hold them.
    command : str
        Its command line.

    Raises
    ------
    UserError
        Another run holds one of them.
    """
    taken: list[Path] = []
    try:
        for place in places:
            _take(lock_of(place), holder(run, command))
            taken.append(lock_of(place))
    except BaseException:
        release(run, taken)
        raise


def clear(places: Iterable[Path]) -> None:
    """Remove what dead runs left on folders in which nothing is left to be done; the locks of living ones stay, and those of other hosts.

    Parameters
    ----------
    places : iterable of path
        The folders.
    """
    for lock in map(lock_of, places):
        if os.access(lock.parent, os.W_OK):
            _remove_half_written(lock)
            if lock.exists():
                with suppress(UserError):
                    _remove_dead(lock, time.time(), "removed what was left by")


def at_work(places: Iterable[Path]) -> list[str]:
    """The runs that hold locks of these folders and are not known to be dead, in words; each once.

    Parameters
    ----------
    places : iterable of path
        The folders.
    """
    found: dict[str, None] = {}
    for lock in map(lock_of, places):
        with suppress(FileNotFoundError):  # no run is at work there, or it ends just now
            text = lock.read_text(encoding="utf-8")
            silent_seconds = time.time() - lock.stat().st_mtime
            held = read_holder(lock, text, silent_seconds)
            if not death(held, silent_seconds):
                found[told(held)] = None
    return list(found)


@contextmanager
def locked(places: Iterable[Path]) -> Iterator[None]:
    """Hold the locks of these folders for the length of a block of this process.

    Parameters
    ----------
    places : iterable of path
        The folders.
    """
    places = list(places)
    acquire(places, os.getpid(), shlex.join(sys.orig_argv))
    try:
        yield
    finally:
        release(os.getpid(), map(lock_of, places))


def own(lock: Path, run: int) -> bool:
    """True where a lock is that of a process of this host.

    Parameters
    ----------
    lock : path
        Its file.
    run : int
        Number of the process.
    """
    try:
        return is_the_same(json.loads(lock.read_text(encoding="utf-8")), holder(run, ""))
    except (FileNotFoundError, ValueError):
        return False


def release(run: int, locks: Iterable[Path]) -> None:
    """Remove the locks that a run holds; say so where one of them was taken from it.

    Parameters
    ----------
    run : int
        Number of its process.
    locks : iterable of path
        Their files.
    """
    for lock in locks:
        if own(lock, run):
            lock.unlink()
        else:
            print(
                f"{lock}: somebody removed this lock while process {run} held it: another run may have worked in the same place",
                file=sys.stderr,
            )


def beat(run: int, locks: list[Path]) -> None:
    """Renew the time of locks until the run that started this process dies.

    Parameters
    ----------
    run : int
        Number of its process.
    locks : list of path
        Their files; those that are released meanwhile are passed over.
    """
    while os.getppid() == run:
        for lock in locks:
            with suppress(FileNotFoundError):
                if own(lock, run):
                    os.utime(lock)
        time.sleep(BEAT_SECONDS)


if __name__ == "__main__":
    word, run, *locks = sys.argv[1:]
    if word == "beat":
        die_with_parent()
    exit_with(lambda: {"beat": beat, "release": release}[word](int(run), list(map(Path, locks))))
