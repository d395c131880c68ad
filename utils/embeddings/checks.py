"""What is wrong with embeddings as training material: vectors of nothing but zeros, and the same vector twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.errors import UserError

DUPLICATES_ALLOWED = 0.001  # part of the vectors; 1 always


def refuse_zero(keys: Sequence[str], vectors: np.ndarray, folder: Path) -> None:
    """Name the first embedding that is zero.

    Parameters
    ----------
    keys : sequence of N str
        Utterances.
    vectors : (N, D) float array
        Their embeddings.
    folder : path
        For messages.

    Raises
    ------
    UserError
        There is one.
    """
    with np.errstate(over="ignore"):  # the square of something huge is not 0 either
        candidates = np.flatnonzero(
            np.vecdot(vectors, vectors) == 0
        )  # that of something tiny may be
    bad = candidates[~vectors[candidates].any(axis=1)]
    if len(bad):
        raise UserError(
            f"{folder}: the embedding of '{keys[bad[0]]}' is zero; {len(bad)} of {len(keys)} are; extract them again"
        )


def count_duplicates(keys: Sequence[str], vectors: np.ndarray, folder: Path) -> int:
    """Count embeddings that equal an earlier one, bit by bit.

    Parameters
    ----------
    keys : sequence of N str
        Utterances.
    vectors : (N, D) float array
        Their embeddings.
    folder : path
        For messages.

    Raises
    ------
    UserError
        More than the larger of 1 and 0.1 % are: a list with copies of the same utterances teaches that utterances of a speaker do not differ.
    """
    first_of: dict[int, int] = {}
    copies = []
    for row, vector in enumerate(vectors):
        first = first_of.setdefault(hash(vector.tobytes()), row)
        if first != row and np.array_equal(vectors[first], vector):
            copies.append((first, row))
    if len(copies) > max(1, DUPLICATES_ALLOWED * len(keys)):
        first, row = copies[0]
        raise UserError(
            f"{folder}: the embeddings of '{keys[first]}' and '{keys[row]}' are the same; {len(copies)} of {len(keys)} repeat an earlier "
            "one: take the copies off the list"
        )
    return len(copies)
