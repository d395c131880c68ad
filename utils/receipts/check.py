"""Statuses of the tasks of a command, without running it."""

import re
import shlex
from collections.abc import Callable, Sequence
from importlib import import_module

from utils.cli import call
from utils.errors import UserError
from utils.receipts import MODE, Status


def evaluate(command: Sequence[str]) -> list[Status]:
    """Statuses of the tasks of a command ``... -m steps.<name> arguments``, without running it.

    UserError if the command is not of steps or local: no receipt could prove it done.
    """
    module, arguments = _split_command(command)
    function: Callable = getattr(import_module(module), module.split(".")[1])
    MODE.checking, MODE.collected = True, []
    try:
        call(function, arguments, module)
    finally:
        MODE.checking = False
    return MODE.collected


def _split_command(command: Sequence[str]) -> tuple[str, list[str]]:
    """Module of a step, and its arguments."""
    for index, word in enumerate(command[:-1]):
        module = command[index + 1]
        if word == "-m" and re.fullmatch(r"(steps|local)\.\w+", module):
            return module, list(command[index + 2 :])
    raise UserError(
        f"'{shlex.join(command)}' is not a step: stages run `python3 -m steps.<name>` or "
        "`python3 -m local.<name>`, whose receipts prove them done"
    )
