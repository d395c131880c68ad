"""Values, types and close names, described in a message of one line."""

import difflib
import math
import reprlib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping",
    Path: "a path",
    types.NoneType: "nothing",
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200


def describe_value(value: Any) -> str:
    """A value of a YAML file with its type, at most a line long."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = str(value).lower() if isinstance(value, bool) else _SHORT.repr(value)
    return f"{text} ({TYPE_NAMES.get(type(value), type(value).__name__)})"


def describe_type(hint: Any) -> str:
    """A type hint in words: "a whole number or nothing"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple and arguments[-1] is not ...:
        items = ", ".join(describe_type(item) for item in arguments)
        return f"a list of {len(arguments)}: {items}"
    if origin in (list, tuple):
        return f"a list, each {describe_type(arguments[0])}"
    return TYPE_NAMES.get(origin or hint, str(hint))


def suggest_name(key: Any, known: Iterable[str]) -> str:
    """The known name closest to a wrong one, or all known names; begins with "; "."""
    names = list(known)
    close = difflib.get_close_matches(str(key), names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names) or 'none'}"
