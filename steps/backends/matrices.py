"""Linear algebra of the back ends, in float64: eigenvalues with a floor, powers, affine maps."""

from collections.abc import Callable

import numpy as np

ROWS_AT_A_TIME = 256  # what stays in the processor's cache
EIGENVALUE_FLOOR = 1e-10  # of the largest: float32 vectors do not resolve smaller ones


class BadVector(ValueError):
    """An embedding that cannot be used; the caller knows the name of the row (from 0)."""

    def __init__(self, row: int, reason: str):
        super().__init__(f"vector {row} {reason}")
        self.row, self.reason = row, reason


def eigen_descending(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix, from the largest, and their vectors as columns.

    The largest component of a vector is positive, so that it does not depend on the solver.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    return values, vectors * largest_signs(vectors)


def largest_signs(vectors: np.ndarray) -> np.ndarray:
    """Sign, -1 or 1, of the largest component of each column."""
    rows = np.abs(vectors).argmax(axis=0)
    largest = np.take_along_axis(vectors, rows[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)


def raise_eigenvalues(
    values: np.ndarray, floor: float = EIGENVALUE_FLOOR
) -> tuple[np.ndarray, int]:
    """Eigenvalues of a covariance, from the largest, raised to a share of it, and how many were.

    Raises ValueError if none is positive: nothing varies.
    """
    if not values[0] > 0:
        raise ValueError("the vectors do not vary in any direction")
    smallest = floor * values[0]
    return np.maximum(values, smallest), int((values < smallest).sum())


def symmetric_power(matrix: np.ndarray, power: float) -> np.ndarray:
    """A power of a covariance (with floored eigenvalues), symmetric itself; -0.5 whitens."""
    values, vectors = eigen_descending(matrix)
    values, _ = raise_eigenvalues(values)
    return (vectors * values**power) @ vectors.T


def whitening_rows(
    covariance: np.ndarray, floor: float = EIGENVALUE_FLOOR
) -> tuple[np.ndarray, int]:
    """Matrix that makes a covariance unit, strongest direction first; how many values were raised.

    ``rows @ covariance @ rows.T`` is the unit matrix.
    """
    values, vectors = eigen_descending(covariance)
    values, num_raised = raise_eigenvalues(values, floor)
    return (vectors * values**-0.5).T, num_raised


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Matrix that makes one covariance unit and another diagonal, as in Kaldi's PLDA.

    Gives the matrix, the diagonal psi (from the largest, at least 0), and how many eigenvalues of
    the first covariance were raised.
    """
    variances = np.diag(within)
    deviations = np.sqrt(np.where(variances > 0, variances, variances.max()))
    deviations[deviations == 0] = 1.0  # nothing varies: raise_eigenvalues refuses it
    whitening, num_raised = whitening_rows(within / np.outer(deviations, deviations))
    whitening = whitening / deviations
    psi, rotation = eigen_descending(whitening @ between @ whitening.T)
    transform = rotation.T @ whitening
    return transform * largest_signs(transform.T)[:, None], np.maximum(psi, 0.0), num_raised


def in_blocks(
    rows: np.ndarray, function: Callable[..., np.ndarray], *columns: np.ndarray
) -> np.ndarray:
    """Apply a function to blocks of rows that stay in the processor's cache.

    It takes (B, C) float64, which it may change, and B values of each of ``columns``, and gives
    (B, R) float64; the result, (N, R), has the type of ``rows``.  Every block has the same number
    of rows, the last one is padded: the rounding of a row does not depend on how many there are.
    """
    block = np.zeros((ROWS_AT_A_TIME, rows.shape[1]))
    mapped: np.ndarray | None = None
    with np.errstate(invalid="ignore", divide="ignore"):  # padding of the last block
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            here = slice(start, start + ROWS_AT_A_TIME)
            some = rows[here]
            block[: len(some)] = some
            padding = (0, ROWS_AT_A_TIME - len(some))
            values = [np.pad(column[here], padding, mode="edge") for column in columns]
            result = function(block, *values)
            if mapped is None:
                mapped = np.empty((len(rows), result.shape[1]), rows.dtype)
            mapped[here] = result[: len(some)]
    assert mapped is not None  # there is at least one row
    return mapped


def affine(block: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows (B, C) mapped by (R, C), or (R, C + 1) with the offset last: Kaldi's transform-vec."""
    dimensions = block.shape[1]
    mapped = block @ matrix[:, :dimensions].T
    mapped += matrix[:, dimensions:].sum(axis=1)
    return mapped


def to_length(block: np.ndarray, length: float) -> np.ndarray:
    """Rows of one length; a row of length 0 becomes NaN.

    In place: new memory for every block takes longer than the computation.
    """
    block *= (length / np.sqrt(np.vecdot(block, block)))[:, None]
    return block


def refuse_few_to_adapt_to(number: int, dimensions: int) -> None:
    """Raise ValueError for fewer vectors of the trials' domain than dimensions."""
    if number < dimensions:
        raise ValueError(
            f"found {number} vectors of {dimensions} dimensions to adapt to, "
            "expected more vectors than dimensions; give more, or reduce the dimensions first"
        )


def check_adaptation(rows: np.ndarray) -> None:
    """Raise ValueError for adaptation vectors (A, D) that give no covariance.

    They are fewer than their dimensions, or one had length 0 where lengths were normalised.
    """
    refuse_few_to_adapt_to(len(rows), rows.shape[1])
    if not np.isfinite(rows).all():
        raise ValueError(
            "a vector to adapt to is zero where its length is normalised; take it off the list"
        )


def mean_and_covariance(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance (divided by N) of vectors, in float64 without a copy of all of them."""
    mean = rows.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        centred = rows[start : start + ROWS_AT_A_TIME] - mean
        scatter += centred.T @ centred
    return mean, scatter / len(rows)
