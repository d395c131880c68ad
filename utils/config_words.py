"""Options, types and values in the words of messages."""

import difflib
import math
import reprlib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list", dict: "a mapping", Path: "a path",
              types.NoneType: "nothing"}
_SHORT = reprlib.Repr()  # of what a user wrote, in a message of one line
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200


def spelled(hint: Any) -> str:
    """A type hint in words.

    Parameters
    ----------
    hint : type hint
        Of an option.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(spelled(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple):
        if origin is tuple and arguments[-1] is not ...:
            return f"a list of {len(arguments)}: " + ", ".join(spelled(item) for item in arguments)
        return f"a list, each {spelled(arguments[0])}"
    return TYPE_NAMES.get(origin or hint, str(hint))


def found(value: Any) -> str:
    """A value of a YAML file and its type in words, no longer than a line.

    Parameters
    ----------
    value : YAML value
        As it was read.
    """
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f"{str(value).lower() if isinstance(value, bool) else _SHORT.repr(value)} ({TYPE_NAMES.get(type(value), type(value).__name__)})"


def suggestion(key: Any, known: Iterable[str]) -> str:
    """The name that may have been meant, or all that there are.

    Parameters
    ----------
    key : YAML value
        What was written.
    known : iterable of str
        Names.
    """
    close = difflib.get_close_matches(str(key), list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known) or 'none'}"
