"""The exception for what a user can mend, and its kind for sound, of which a few files may be lost."""


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
