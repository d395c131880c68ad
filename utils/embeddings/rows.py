"""Embeddings that are vectors or matrices: by some test protocols an utterance has a row for each of its pieces.

Shapes: ``N`` utterances, ``P`` pairs, ``R`` and ``S`` rows, ``D`` dimensions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from utils.archive import iterate_scp, read_object, read_scp, read_vectors
from utils.archive.read import describe
from utils.errors import UserError
from utils.files import words_of

PAIRS_AT_A_TIME = 1024  # two blocks of rows that stay in the processor's cache
CELLS_AT_A_TIME = 1 << 22  # of a grid: 32 MB of scores
COLUMNS_AT_A_TIME = 1 << 12  # test sides that they are made from at a time

Compare = Literal["all", "paired"]


class Scorer(Protocol):
    """What is asked of a trained back end."""

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Scores (P,) of transformed rows (P, D) against as many others."""

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Scores (P, R, S) of all rows of matrices (P, R, D) against all rows of (P, S, D)."""


def read_embeddings(folder: Path) -> tuple[list[str], np.ndarray]:
    """All embeddings of a folder.

    Parameters
    ----------
    folder : path
        With ``xvector.scp``.

    Returns
    -------
    keys, embeddings : list of N str, (N, D) or (N, R, D) float array
        In the scp's order.

    Raises
    ------
    UserError
        Not all entries are vectors of one length, or matrices of one size.
    """
    scp = folder / "xvector.scp"
    if not has_matrices(scp):
        return read_vectors(scp)
    entries = read_scp(scp)
    first = next(iterate_scp(scp))
    shape = first[1].shape
    matrices = np.empty((len(entries), *shape), first[1].dtype)
    for row, (key, matrix) in enumerate(iterate_scp(scp)):
        if matrix.shape != shape or matrix.dtype != matrices.dtype or matrix.dtype.kind != "f":
            raise UserError(
                f"{entries[key]}: key '{key}': found {describe(matrix)}, expected {describe(first[1])} like the first; "
                "extract them again"
            )
        matrices[row] = matrix
    return list(entries), matrices


def has_matrices(scp: Path) -> bool:
    """Whether the first entry is a matrix, without reading the whole list; False where it is anything else, which who reads it will tell.

    Parameters
    ----------
    scp : path
        An scp file.
    """
    if not scp.is_file():
        return False
    with open(scp, "rb") as file:
        words = words_of(file.readline().decode("utf-8", "replace").removesuffix("\n"), 1)
    return len(words) == 2 and read_object(words[1], key=words[0]).ndim == 2


def transform_rows(
    transform: Callable[[np.ndarray], np.ndarray], embeddings: np.ndarray
) -> np.ndarray:
    """Bring vectors, or the rows of matrices, into the space where a back end compares.

    Parameters
    ----------
    transform : callable
        (n, D) array -> (n, D') array.
    embeddings : (N, D) or (N, R, D) float array
        As `read_embeddings` gives them.
    """
    rows = transform(embeddings.reshape(-1, embeddings.shape[-1]))
    return rows.reshape(*embeddings.shape[:-1], -1)


def score_pairs(
    scorer: Scorer,
    rows: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    compare: Compare = "all",
) -> np.ndarray:
    """Scores of pairs of utterances.

    Parameters
    ----------
    scorer : back end
        Trained.
    rows : (N, D) or (N, R, D) float array
        Transformed embeddings.
    enrol_rows, test_rows : (P,) int arrays
        Which two are compared.
    compare : str
        Of matrices: ``all``: the mean of the scores of all R x R pairs of their rows; ``paired``: of the i-th with the i-th.

    Returns
    -------
    (P,) float array
    """
    if rows.ndim == 2 and is_grid(enrol_rows, test_rows):
        return score_grid(scorer, rows, enrol_rows, test_rows)
    at_a_time = max(1, PAIRS_AT_A_TIME // (rows.shape[1] if rows.ndim == 3 else 1))
    score = (
        scorer.score
        if rows.ndim == 2
        else lambda enrol, test: score_matrices(scorer, enrol, test, compare)
    )
    scores = np.empty(len(enrol_rows))
    for start in range(0, len(scores), at_a_time):
        block = slice(start, start + at_a_time)
        scores[block] = score(rows[enrol_rows[block]], rows[test_rows[block]])
    return scores


def is_grid(enrol_rows: np.ndarray, test_rows: np.ndarray) -> bool:
    """Whether the trials are at least half of all pairs of their sides, as in challenges that test each model with each utterance.

    Parameters
    ----------
    enrol_rows, test_rows : (P,) int arrays
        Which two are compared.
    """
    return len(np.unique(enrol_rows)) * len(np.unique(test_rows)) <= 2 * len(enrol_rows)


def score_grid(
    scorer: Scorer, rows: np.ndarray, enrol_rows: np.ndarray, test_rows: np.ndarray
) -> np.ndarray:
    """Scores of pairs that are most of a grid, from matrix products in float64.

    Parameters
    ----------
    scorer, rows, enrol_rows, test_rows
        As of `score_pairs`, vectors only.

    Returns
    -------
    (P,) float array
    """
    (left, place), (right, column) = (
        np.unique(side, return_inverse=True) for side in (enrol_rows, test_rows)
    )
    order = np.argsort(place, kind="stable")
    scores, height = np.empty(len(order)), max(1, CELLS_AT_A_TIME // len(right))
    for start in range(0, len(left), height):
        enrol = rows[left[start : start + height]].astype(np.float64)
        strip = np.empty((len(enrol), len(right)))
        for first in range(0, len(right), COLUMNS_AT_A_TIME):
            block = slice(first, first + COLUMNS_AT_A_TIME)
            strip[:, block] = scorer.score_matrices(enrol, rows[right[block]].astype(np.float64))
        pairs = order[slice(*np.searchsorted(place[order], [start, start + height]))]
        scores[pairs] = strip[place[pairs] - start, column[pairs]]
    return scores


def score_matrices(
    scorer: Scorer, enrol_PRD: np.ndarray, test_PSD: np.ndarray, compare: Compare
) -> np.ndarray:
    """Mean score of the rows of pairs of matrices.

    Parameters
    ----------
    scorer : back end
        Trained.
    enrol_PRD, test_PSD : (P, R, D) and (P, S, D) float arrays
        Transformed; as many rows on both sides where they are ``paired``.
    compare : str
        As of `score_pairs`.

    Returns
    -------
    (P,) float array
    """
    if compare == "all":
        return scorer.score_matrices(enrol_PRD, test_PSD).mean(axis=(1, 2), dtype=np.float64)
    pairs, rows, dimensions = enrol_PRD.shape
    return (
        scorer.score(enrol_PRD.reshape(-1, dimensions), test_PSD.reshape(-1, dimensions))
        .reshape(pairs, rows)
        .mean(axis=1, dtype=np.float64)
    )


def vectors_of(embeddings: np.ndarray) -> np.ndarray:
    """One vector for each utterance: of a matrix the mean of its rows.

    Parameters
    ----------
    embeddings : (N, D) or (N, R, D) float array
        As `read_embeddings` gives them.
    """
    return embeddings if embeddings.ndim == 2 else embeddings.mean(axis=1)
