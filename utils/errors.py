"""The one exception for what a user can mend."""


class UserError(Exception):
    """A fault in what the user gave, said in one line: where, what was found, what was expected, what to do.

    The command wrapper (utils/cli.py) prints it and exits with 1; anything else is a bug and keeps its traceback.
    """
