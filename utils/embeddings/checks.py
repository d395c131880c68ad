"""Faults of embeddings as training material: zero vectors, and the same vector twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.errors import UserError

DUPLICATES_ALLOWED = 0.001  # fraction of the vectors; 1 always


def refuse_zero(keys: Sequence[str], vectors: np.ndarray, folder: Path) -> None:
    """Raise UserError, with the first name, if some (N, D) embeddings of a folder are zero."""
    with np.errstate(over="ignore"):  # the square of a huge number overflows, but is not 0
        candidates = np.flatnonzero(np.vecdot(vectors, vectors) == 0)
    bad = candidates[~vectors[candidates].any(axis=1)]  # the square of a tiny number may be 0
    if len(bad):
        raise UserError(
            f"{folder}: the embedding of '{keys[bad[0]]}' is zero; {len(bad)} of {len(keys)} are; "
            "extract them again"
        )


def count_duplicates(keys: Sequence[str], vectors: np.ndarray, folder: Path) -> int:
    """Number of (N, D) embeddings that equal an earlier one, bit by bit.

    UserError: more than the larger of 1 and 0.1 % are; copies of utterances teach a back end that
    utterances of a speaker do not differ.
    """
    first_rows: dict[int, int] = {}
    copies = []
    for row, vector in enumerate(vectors):
        first = first_rows.setdefault(hash(vector.tobytes()), row)
        if first != row and np.array_equal(vectors[first], vector):
            copies.append((first, row))
    if len(copies) > max(1, DUPLICATES_ALLOWED * len(keys)):
        first, row = copies[0]
        raise UserError(
            f"{folder}: the embeddings of '{keys[first]}' and '{keys[row]}' are the same; "
            f"{len(copies)} of {len(keys)} repeat an earlier one: remove the copies from the list"
        )
    return len(copies)
