"""Embeddings that are vectors or matrices: some test protocols have a row for each piece.

Shapes: ``N`` utterances, ``P`` pairs, ``R`` and ``S`` rows, ``D`` dimensions.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from utils.archive import iterate_scp, read_object, read_scp, read_vectors
from utils.archive.read import describe
from utils.errors import UserError
from utils.files import split_words

PAIRS_AT_A_TIME = 1024  # two blocks of rows that stay in the processor's cache
CELLS_AT_A_TIME = 1 << 22  # of a grid: 32 MB of scores
COLUMNS_AT_A_TIME = 1 << 12  # of a grid: test sides that are scored at a time

Compare = Literal["all", "paired"]


class Scorer(Protocol):
    """Methods of a trained back end."""

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Scores (P,) of transformed rows (P, D) against as many others."""

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Scores (P, R, S) of all rows of matrices (P, R, D) against all rows of (P, S, D)."""


def read_embeddings(folder: Path) -> tuple[list[str], np.ndarray]:
    """All embeddings of a folder: N utterances and (N, D) or (N, R, D) floats, in the scp's order.

    UserError: not all entries are vectors of one length, or matrices of one size.
    """
    scp = folder / "xvector.scp"
    if not has_matrices(scp):
        return read_vectors(scp)
    entries = read_scp(scp)
    _, first = next(iterate_scp(scp))
    matrices = np.empty((len(entries), *first.shape), first.dtype)
    for row, (key, matrix) in enumerate(iterate_scp(scp)):
        is_alike = matrix.shape == first.shape and matrix.dtype == first.dtype
        if not is_alike or matrix.dtype.kind != "f":
            raise UserError(
                f"{entries[key]}: key '{key}': found {describe(matrix)}, expected "
                f"{describe(first)} like the first; extract them again"
            )
        matrices[row] = matrix
    return list(entries), matrices


def has_matrices(scp: Path) -> bool:
    """Whether the first entry is a matrix; other entries are reported when the list is read."""
    if not scp.is_file():
        return False
    with open(scp, "rb") as file:
        words = split_words(file.readline().decode("utf-8", "replace").removesuffix("\n"), 1)
    return len(words) == 2 and read_object(words[1], key=words[0]).ndim == 2


def transform_rows(
    transform: Callable[[np.ndarray], np.ndarray], embeddings: np.ndarray
) -> np.ndarray:
    """Transform vectors (N, D), or the rows of matrices (N, R, D), as a back end does."""
    rows = transform(embeddings.reshape(-1, embeddings.shape[-1]))
    return rows.reshape(*embeddings.shape[:-1], -1)


def score_pairs(
    scorer: Scorer,
    rows: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    compare: Compare = "all",
) -> np.ndarray:
    """Scores (P,) of pairs of transformed embeddings (N, D) or (N, R, D), by their (P,) rows.

    Of matrices the score is a mean: ``all``: over all R x R pairs of rows; ``paired``: over the
    pairs of the i-th with the i-th row.
    """
    at_a_time = PAIRS_AT_A_TIME
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]
    if rows.ndim == 2:
        if is_grid(enrol_rows, test_rows):
            return score_grid(scorer, rows, enrol_rows, test_rows)
        score = scorer.score
    else:
        at_a_time = max(1, PAIRS_AT_A_TIME // rows.shape[1])
        score = partial(score_matrices, scorer, compare=compare)
    scores = np.empty(len(enrol_rows))
    for start in range(0, len(scores), at_a_time):
        block = slice(start, start + at_a_time)
        scores[block] = score(rows[enrol_rows[block]], rows[test_rows[block]])
    return scores


def is_grid(enrol_rows: np.ndarray, test_rows: np.ndarray) -> bool:
    """Whether the trials are at least half of all pairs of their sides, as in some challenges."""
    return len(np.unique(enrol_rows)) * len(np.unique(test_rows)) <= 2 * len(enrol_rows)


def score_grid(
    scorer: Scorer, rows: np.ndarray, enrol_rows: np.ndarray, test_rows: np.ndarray
) -> np.ndarray:
    """Scores (P,) of pairs of vectors that are most of a grid, from matrix products in float64."""
    left, left_index = np.unique(enrol_rows, return_inverse=True)
    right, right_index = np.unique(test_rows, return_inverse=True)
    order = np.argsort(left_index, kind="stable")
    scores, height = np.empty(len(order)), max(1, CELLS_AT_A_TIME // len(right))
    for start in range(0, len(left), height):
        enrol = rows[left[start : start + height]].astype(np.float64)
        strip = np.empty((len(enrol), len(right)))
        for first in range(0, len(right), COLUMNS_AT_A_TIME):
            block = slice(first, first + COLUMNS_AT_A_TIME)
            strip[:, block] = scorer.score_matrices(enrol, rows[right[block]].astype(np.float64))
        begin, end = np.searchsorted(left_index[order], [start, start + height])
        pairs = order[begin:end]
        scores[pairs] = strip[left_index[pairs] - start, right_index[pairs]]
    return scores


def score_matrices(
    scorer: Scorer, enrol_PRD: np.ndarray, test_PSD: np.ndarray, compare: Compare
) -> np.ndarray:
    """Mean scores (P,) of the rows of pairs of matrices; R = S where rows are ``paired``."""
    if compare == "all":
        return scorer.score_matrices(enrol_PRD, test_PSD).mean(axis=(1, 2), dtype=np.float64)
    pairs, rows, dimensions = enrol_PRD.shape
    scores = scorer.score(enrol_PRD.reshape(-1, dimensions), test_PSD.reshape(-1, dimensions))
    return scores.reshape(pairs, rows).mean(axis=1, dtype=np.float64)


def mean_rows(embeddings: np.ndarray) -> np.ndarray:
    """One vector (N, D) for each utterance; of matrices (N, R, D) the means of their rows."""
    if embeddings.ndim == 2:
        return embeddings
    return embeddings.mean(axis=1)
