"""The exception for what a user can mend, and its kind for sound, of which a few files may be lost."""

import errno

MACHINE_LACKS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
NO_MEMORY_FOR_TORCH = ("DefaultCPUAllocator", "failed to map segment from shared object")


def is_lack_of_memory(error: Exception) -> bool:
    """Whether there was no memory for what was asked: the system, numpy, torch and the loader of libraries say it in ways of their own.

    Parameters
    ----------
    error : Exception
        What was raised.
    """
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or any(said in str(error) for said in NO_MEMORY_FOR_TORCH)
    )


def is_of_the_machine(error: Exception) -> bool:
    """Whether memory or file handles ran out, which is no fault of the file that was to be read: nothing may be dropped or passed over for it.

    Parameters
    ----------
    error : Exception
        What was raised.
    """
    return getattr(error, "errno", None) in MACHINE_LACKS or is_lack_of_memory(error)


class UserError(Exception):
    """A fault in what the user gave, said in one line: where, what was found, what was expected, what to do.

    The command wrapper (utils/cli.py) prints it and exits with 1; anything else is a bug and keeps its traceback.
    """


class UnreadableAudio(UserError):
    """Sound that cannot be used; the ledger counts it as unreadable.

    Parameters
    ----------
    entry : str
        Its entry in wav.scp.
    reason : str
        What is wrong with it.
    """

    def __init__(self, entry: str, reason: str):
        super().__init__(f"{entry}: {reason}")
        self.reason = reason
