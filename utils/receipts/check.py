"""Statuses of the tasks of a command, without running it."""

import re
import shlex
from collections.abc import Callable, Sequence
from importlib import import_module

from utils.cli import call
from utils.errors import UserError
from utils.receipts import MODE, Status


def evaluate(command: Sequence[str]) -> list[Status]:
    """Statuses of the tasks of one command, without running it.

    Parameters
    ----------
    command : sequence of str
        ``... -m steps.<name> arguments`` or ``-m local.<name>``.

    Raises
    ------
    UserError
        The command is no step, so that nothing could prove it done.
    """
    words = list(command)
    place = next(
        (
            k
            for k, word in enumerate(words[:-1])
            if word == "-m" and re.fullmatch(r"(steps|local)\.\w+", words[k + 1])
        ),
        None,
    )
    if place is None:
        raise UserError(
            f"'{shlex.join(words)}' is no step: stages run `python3 -m steps.<name>` or `python3 -m local.<name>`, whose receipts "
            "prove them done"
        )
    module = words[place + 1]
    function: Callable = getattr(import_module(module), module.split(".")[1])
    MODE.checking, MODE.collected = True, []
    try:
        call(function, words[place + 2 :], module)
    finally:
        MODE.checking = False
    return MODE.collected
