"""Locks of the folders that a recipe writes to: ``data/.full.lock`` locks ``data/full``.

A lock is a file that describes its holder: command, process, host, user, since when.  A heartbeat
renews its modification time while the run lives.  The lock of a run that is known to be dead is
taken over, with a message.  A run on another host cannot be known to be dead, except by Slurm or
Grid Engine: then the message says how old its heartbeat is and which file to remove.

`python -m utils.locks.run_lock beat RUN LOCK...` renews locks of the process RUN, and
`release RUN LOCK...` removes them.
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
    describe,
    holder,
    is_from_this_boot,
    is_same_run,
    read_holder,
)
from utils.machine import process_start_time

# a file system without hard links
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def lock_path(folder: Path) -> Path:
    """The lock of a folder: beside it, since the folder may not exist yet."""
    return folder.with_name(f".{folder.name}.lock")


def _take(lock: Path, held_by: dict) -> None:
    """Take one lock; UserError if a run that may be alive holds it."""
    make_folder(lock.parent)
    _remove_half_written(lock)
    temporary = lock.with_name(f"{lock.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with naming(temporary), open(temporary, "w", encoding="utf-8") as file:
            json.dump(held_by, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        while not _publish(temporary, lock):
            _remove_dead(lock, temporary.stat().st_mtime)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_half_written(lock: Path) -> None:
    """Remove temporary files of this lock by processes of this host that have died."""
    for path in lock.parent.glob(f"{glob.escape(lock.name)}.*.tmp"):
        host, _, process = path.name[len(lock.name) + 1 : -len(".tmp")].rpartition(".")
        if (
            host == socket.gethostname()
            and process.isdigit()
            and not process_start_time(int(process))
        ):
            path.unlink(missing_ok=True)


def _publish(temporary: Path, lock: Path) -> bool:
    """Give a temporary file the name of the lock; False if the lock exists already."""
    try:
        os.link(temporary, lock)
    except FileExistsError:
        # on NFS a link may be made although the call fails
        return temporary.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            with open(lock, "x", encoding="utf-8") as file:
                file.write(temporary.read_text(encoding="utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return False
    return True


def _remove_dead(lock: Path, now: float, action: str = "taken over from") -> None:
    """Remove the lock of a dead run, with a message; nothing if another run has just done so."""
    with suppress(FileNotFoundError):
        text, silent_seconds = lock.read_text(encoding="utf-8"), now - lock.stat().st_mtime
        held = read_holder(lock, text, silent_seconds)
        dead = death(held, silent_seconds)
        if not dead:
            remedy = "wait for it, or stop it"
            if not is_from_this_boot(held):
                remedy = f"wait for it, stop it, or, if it is dead, remove {lock}"
            raise UserError(
                f"{lock}: another run is at work here: {describe(held)}; "
                f"its heartbeat is {age(silent_seconds)} old; {remedy}"
            )
        with naming(lock), open(lock, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # only one of several runs removes it
            if os.path.samestat(os.fstat(file.fileno()), os.stat(lock)) and file.read() == text:
                lock.unlink()
                print(f"{lock}: {action} {describe(held)}: {dead}", file=sys.stderr)


def acquire(folders: Iterable[Path], run: int, command: str) -> None:
    """Take the locks of all these folders, or of none, for a process and its command line.

    UserError if another run holds one of them.
    """
    taken: list[Path] = []
    try:
        for folder in folders:
            _take(lock_path(folder), holder(run, command))
            taken.append(lock_path(folder))
    except BaseException:
        release(run, taken)
        raise


def clear(folders: Iterable[Path]) -> None:
    """Remove locks of dead runs on folders without unfinished work; keep all others."""
    for folder in folders:
        lock = lock_path(folder)
        if os.access(lock.parent, os.W_OK):
            _remove_half_written(lock)
            if lock.exists():
                with suppress(UserError):
                    _remove_dead(lock, time.time(), "removed what was left by")


def active_runs(folders: Iterable[Path]) -> list[str]:
    """The runs that hold locks of these folders and are not known to be dead, one line each."""
    runs: dict[str, None] = {}
    for folder in folders:
        lock = lock_path(folder)
        with suppress(FileNotFoundError):  # no run is at work there, or it has just ended
            text = lock.read_text(encoding="utf-8")
            silent_seconds = time.time() - lock.stat().st_mtime
            held = read_holder(lock, text, silent_seconds)
            if not death(held, silent_seconds):
                runs[describe(held)] = None
    return list(runs)


@contextmanager
def locked(folders: Iterable[Path]) -> Iterator[None]:
    """Hold the locks of these folders during a block of this process."""
    folders = list(folders)
    acquire(folders, os.getpid(), shlex.join(sys.orig_argv))
    try:
        yield
    finally:
        release(os.getpid(), [lock_path(folder) for folder in folders])


def is_own(lock: Path, run: int) -> bool:
    """True if a lock belongs to this process of this host."""
    try:
        return is_same_run(json.loads(lock.read_text(encoding="utf-8")), holder(run, ""))
    except (FileNotFoundError, ValueError):
        return False


def release(run: int, locks: Iterable[Path]) -> None:
    """Remove the locks that a process holds; print a message if one was removed before."""
    for lock in locks:
        if is_own(lock, run):
            lock.unlink()
        else:
            print(
                f"{lock}: this lock was removed while process {run} held it: "
                "another run may have worked in the same folder",
                file=sys.stderr,
            )


def beat(run: int, locks: list[Path]) -> None:
    """Renew the locks of the process that started this one, until it dies.

    Locks that are released meanwhile are skipped.
    """
    while os.getppid() == run:
        for lock in locks:
            with suppress(FileNotFoundError):
                if is_own(lock, run):
                    os.utime(lock)
        time.sleep(BEAT_SECONDS)


if __name__ == "__main__":
    action, run, *names = sys.argv[1:]
    locks = [Path(name) for name in names]
    if action == "beat":
        die_with_parent()
    exit_with(lambda: {"beat": beat, "release": release}[action](int(run), locks))
