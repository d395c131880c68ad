"""Differences between two configurations: by key, and regardless of how a value is spelled."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN_CHARACTERS = 40  # of a value in a message


def first_difference(before: object, now: object, name: str = "") -> str:
    """The first difference between two nested mappings, for a message; empty if they are equal.

    Parameters
    ----------
    before, now, name
        See `differences`.
    """
    for where, old, new in differences(before, now, name):
        return f"{where} was {shown(old)}, is {shown(new)}"
    return ""


def differences(before: object, now: object, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every difference between two nested values: its path of keys, the old and the new value.

    Parameters
    ----------
    before, now : JSON values
        A tuple equals a list, and 3 equals 3.0.  Of a mapping against nothing every value is a
        difference, by its own key.
    name : str
        Path of keys that the two values have in common.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(before.get(key), now.get(key), inner)
    elif _are_comparable_lists(before, now):
        assert isinstance(before, list | tuple)
        assert isinstance(now, list | tuple)
        for number, (old, new) in enumerate(zip(before, now, strict=True), start=1):
            yield from differences(old, new, f"{name}[{number}]")
    elif before is None or now is None:
        yield from _against_nothing(before, now, name)
    elif not _are_equal(before, now):
        yield name, before, now


def _against_nothing(before: object, now: object, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The values of a mapping, or of a list of mappings, that only one side has; or it as a whole.

    It is a difference as a whole if no value in it is one: the mapping is empty.
    """
    value = now if before is None else before
    nothing: object = None
    if isinstance(value, Mapping):
        nothing = {}
    elif isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
        nothing = [{}] * len(value)
    within = []
    if nothing is not None:
        sides = (nothing, now) if before is None else (before, nothing)
        within = list(differences(*sides, name))
    if within:
        yield from within
    elif value is not None:
        yield name, before, now


def shown(value: object) -> str:
    """A value as JSON, shortened for a message."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _are_comparable_lists(before: object, now: object) -> bool:
    """Whether both are lists of equally many mappings, which are compared one by one."""
    if not (isinstance(before, list | tuple) and isinstance(now, list | tuple)):
        return False
    return len(before) == len(now) and all(isinstance(item, Mapping) for item in [*before, *now])


def _are_equal(before: object, now: object) -> bool:
    """Whether two values, neither of them a mapping, are equal regardless of spelling."""
    if isinstance(before, list | tuple) and isinstance(now, list | tuple):
        if len(before) != len(now):
            return False
        pairs = zip(before, now, strict=True)
        return all(next(differences(old, new), None) is None for old, new in pairs)
    if _is_number(before) and _is_number(now) and before == now:
        return True
    return json.dumps(before) == json.dumps(now)


def _is_number(value: object) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
