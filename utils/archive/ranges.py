"""Kaldi's ranges behind an entry of an scp file: ``f.ark:12[0:9]`` is rows 0 to 9 of a matrix, both ends included.

``[0:9,2:4]`` takes columns 2 to 4 of these rows, and a colon alone takes all of them.
"""

import re
from typing import NamedTuple

import numpy as np

from utils.archive.objects import MalformedObject

LENGTH_TOLERANCE = 3  # rows that a range may reach beyond a matrix: Kaldi cuts them off as well
WRITTEN = "[first:last] or [first:last,first:last], counted from 0, both ends included"
_PART = re.compile(r":|([0-9]{1,9}):([0-9]{1,9})")

Span = tuple[int, int]  # first and last, both included


class Range(NamedTuple):
    """What stands between the brackets.

    Attributes
    ----------
    text : str
        As it is written, with the brackets.
    rows : (int, int) or None
        First and last row of a matrix, or value of a vector; None: all.
    columns : (int, int) or None
        First and last column of a matrix; None: all.
    """

    text: str
    rows: Span | None
    columns: Span | None


def split_range(entry: str) -> tuple[str, Range | None]:
    """An entry without its range, and the range.

    Parameters
    ----------
    entry : str
        ``file``, ``file:offset``, perhaps with a range; a pipe has none.

    Raises
    ------
    MalformedObject
        It ends with a bracket, but there is no range before it.
    """
    if entry[-1:] != "]":
        return entry, None
    place, bracket, inside = entry[:-1].rpartition("[")
    text = f"{bracket}{inside}]"
    parts = [_PART.fullmatch(part) for part in inside.split(",")]
    if not place or len(parts) > 2 or not all(parts):
        raise MalformedObject(f"'{text}' is no range, expected {WRITTEN}")
    spans = [(int(part[1]), int(part[2])) if part and part[1] else None for part in parts]
    return place, Range(text, spans[0], spans[1] if len(spans) == 2 else None)


def rows_and_columns(array: np.ndarray, wanted: Range) -> np.ndarray:
    """The part of a matrix or vector that a range names.

    Parameters
    ----------
    array : (R, C) or (D,) float array
        Whole.
    wanted : Range
        Of a vector it has no columns.

    Raises
    ------
    MalformedObject
        It is a wave or a vector of whole numbers, for which Kaldi has no ranges, or it has no such rows or columns.
    """
    if array.dtype.kind != "f":
        raise MalformedObject(
            f"range {wanted.text} of a wave or of whole numbers, expected it behind a matrix or a vector"
        )
    if array.ndim == 1 and wanted.columns:
        raise MalformedObject(f"range {wanted.text} has columns, but this is a vector")
    rows = _slice(wanted, wanted.rows, len(array), LENGTH_TOLERANCE, "rows")
    if array.ndim == 1:
        return array[rows]
    return array[rows, _slice(wanted, wanted.columns, array.shape[1], 0, "columns")]


def _slice(wanted: Range, span: Span | None, size: int, tolerance: int, what: str) -> slice:
    """One side of a range as Python counts."""
    if span is None:
        return slice(None)
    first, last = span
    if not (first <= last < size + tolerance and first < size):
        raise MalformedObject(
            f"range {wanted.text}: {what} {first} to {last} of {size}, expected {what} that are there, the first before the last"
        )
    return slice(first, last + 1)
