"""Kaldi's ranges after an entry of an scp file: ``f.ark:12[0:9]`` is rows 0 to 9 of a matrix.

Both ends are included.  ``[0:9,2:4]`` selects columns 2 to 4 of these rows; a colon alone, all.
"""

import re
from typing import NamedTuple

import numpy as np

from utils.archive.objects import MalformedObject

LENGTH_TOLERANCE = 3  # rows by which a range may exceed a matrix: Kaldi cuts them off as well
SYNTAX = "[first:last] or [first:last,first:last], counted from 0, both ends included"
_PART = re.compile(r":|([0-9]{1,9}):([0-9]{1,9})")

Span = tuple[int, int]  # first and last, both included


class Range(NamedTuple):
    """A range as written, with its brackets, and the rows and columns it selects; None: all."""

    text: str
    rows: Span | None
    columns: Span | None


def split_range(entry: str) -> tuple[str, Range | None]:
    """Split an entry into ``file`` or ``file:offset`` and its range; a pipe has none."""
    if entry[-1:] != "]":
        return entry, None
    location, bracket, inside = entry[:-1].rpartition("[")
    text = f"{bracket}{inside}]"
    parts = inside.split(",")
    matches = [_PART.fullmatch(part) for part in parts]
    if not location or len(parts) > 2 or None in matches:
        raise MalformedObject(f"'{text}' is not a range, expected {SYNTAX}")
    rows = _parse_span(parts[0])
    columns = _parse_span(parts[1]) if len(parts) == 2 else None
    return location, Range(text, rows, columns)


def _parse_span(part: str) -> Span | None:
    """First and last of ``first:last``; None for a colon alone."""
    if part == ":":
        return None
    first, last = part.split(":")
    return int(first), int(last)


def take_range(array: np.ndarray, wanted: Range) -> np.ndarray:
    """The part of a float matrix or vector that a range selects."""
    if array.dtype.kind != "f":
        raise MalformedObject(
            f"range {wanted.text} of a wave or of integers, expected a matrix or a vector"
        )
    if array.ndim == 1 and wanted.columns:
        raise MalformedObject(f"range {wanted.text} has columns, but this is a vector")
    rows = _to_slice(wanted, wanted.rows, len(array), LENGTH_TOLERANCE, "rows")
    if array.ndim == 1:
        return array[rows]
    return array[rows, _to_slice(wanted, wanted.columns, array.shape[1], 0, "columns")]


def _to_slice(wanted: Range, span: Span | None, size: int, tolerance: int, what: str) -> slice:
    if span is None:
        return slice(None)
    first, last = span
    if not (first <= last < size + tolerance and first < size):
        raise MalformedObject(
            f"range {wanted.text}: {what} {first} to {last} of {size}, "
            f"expected {what} that exist, the first before the last"
        )
    return slice(first, last + 1)
