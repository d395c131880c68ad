"""Mistakes that a user can fix, and among them audio that a step may drop and count."""

import errno
from pathlib import Path

MACHINE_LACKS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
NO_MEMORY_FOR_TORCH = ("DefaultCPUAllocator", "failed to map segment from shared object")


def is_lack_of_memory(error: Exception) -> bool:
    """Whether memory ran out, as the system, NumPy, torch or the library loader report it."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    message = str(error)
    return any(text in message for text in NO_MEMORY_FOR_TORCH)


def is_resource_shortage(error: Exception) -> bool:
    """Whether memory or file handles ran out: no fault of the file that was being read."""
    return getattr(error, "errno", None) in MACHINE_LACKS or is_lack_of_memory(error)


class UserError(Exception):
    """A mistake that the user can fix, in one line: where, found, expected, what to do.

    The command wrapper (utils/cli.py) prints it and exits with 1, or with 2 for `WrongArguments`;
    other exceptions are bugs and keep their traceback.
    """


class WrongArguments(UserError):
    """Arguments of a command that do not go together: the exit code is 2."""


class UnreadableAudio(UserError):
    """Audio that cannot be read; the ledger counts it as unreadable.

    Parameters
    ----------
    entry : str or path
        Its entry in wav.scp, or a file.
    reason : str
        Why it cannot be read.
    """

    def __init__(self, entry: str | Path, reason: str):
        super().__init__(f"{entry}: {reason}")
        self.reason = reason
