"""Linear algebra of the back ends, in float64: eigenvalues with a floor, roots, simultaneous diagonalisation, affine maps of many rows."""

from collections.abc import Callable

import numpy as np

ROWS_AT_A_TIME = 256  # what stays in the processor's cache
EIGENVALUE_FLOOR = 1e-10  # of the largest: below it float32 vectors say nothing about a direction


class BadVector(ValueError):
    """An embedding that cannot be used; who knows its name says it.

    Parameters
    ----------
    row : int
        Which one, from 0.
    reason : str
        What is wrong with it.
    """

    def __init__(self, row: int, reason: str):
        super().__init__(f"vector {row} {reason}")
        self.row, self.reason = row, reason


def eigen_descending(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a symmetric matrix from the largest, and their vectors.

    Parameters
    ----------
    matrix : (D, D) float64 array
        Symmetric.

    Returns
    -------
    values, vectors : (D,), (D, D) float64 arrays
        Column k of the second is the vector of value k; its largest component is positive, so that it does not depend on the solver.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    return values, vectors * largest_signs(vectors)


def largest_signs(vectors: np.ndarray) -> np.ndarray:
    """Sign of the largest component of each column.

    Parameters
    ----------
    vectors : (D, K) float array
        Any.

    Returns
    -------
    (K,) float array
        -1 or 1.
    """
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)


def raise_eigenvalues(
    values: np.ndarray, floor: float = EIGENVALUE_FLOOR
) -> tuple[np.ndarray, int]:
    """Eigenvalues that a covariance can be inverted with.

    Parameters
    ----------
    values : (D,) float array
        Eigenvalues of a covariance, from the largest.
    floor : float
        Smallest one that stays, as a part of the largest.

    Returns
    -------
    raised, num_raised : (D,) float array, int
        How many were below the floor.

    Raises
    ------
    ValueError
        None is positive: nothing varies.
    """
    if not values[0] > 0:
        raise ValueError("the vectors do not vary in any direction")
    smallest = floor * values[0]
    return np.maximum(values, smallest), int((values < smallest).sum())


def symmetric_power(matrix: np.ndarray, power: float) -> np.ndarray:
    """A power of a covariance, symmetric itself.

    Parameters
    ----------
    matrix : (D, D) float64 array
        Covariance; its eigenvalues are floored.
    power : float
        Such as -0.5 for what makes it unit.
    """
    values, vectors = eigen_descending(matrix)
    return (vectors * raise_eigenvalues(values)[0] ** power) @ vectors.T


def whitening_rows(
    covariance: np.ndarray, floor: float = EIGENVALUE_FLOOR
) -> tuple[np.ndarray, int]:
    """Matrix that makes a covariance unit, its strongest direction first.

    Parameters
    ----------
    covariance : (D, D) float64 array
        Symmetric.
    floor : float
        As in `raise_eigenvalues`.

    Returns
    -------
    rows, num_raised : (D, D) float64 array, int
        ``rows @ covariance @ rows.T`` is the unit matrix.
    """
    values, vectors = eigen_descending(covariance)
    values, num_raised = raise_eigenvalues(values, floor)
    return (vectors * values**-0.5).T, num_raised


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Matrix that makes one covariance unit and another diagonal, as Kaldi's PLDA keeps the two.

    Parameters
    ----------
    within, between : (D, D) float64 arrays
        Symmetric; the eigenvalues of the first are floored, so that a singular one is no crash.

    Returns
    -------
    transform, psi, num_raised : (D, D), (D,) float64 arrays, int
        ``transform @ within @ transform.T`` is unit, with ``between`` it is diagonal: psi, from the largest, at least 0.
    """
    variances = np.diag(within)
    deviations = np.sqrt(np.where(variances > 0, variances, variances.max()))
    deviations[deviations == 0] = 1.0  # nothing varies, which is said below
    whitening, num_raised = whitening_rows(within / np.outer(deviations, deviations))
    whitening = whitening / deviations
    psi, rotation = eigen_descending(whitening @ between @ whitening.T)
    transform = rotation.T @ whitening
    return transform * largest_signs(transform.T)[:, None], np.maximum(psi, 0.0), num_raised


def in_blocks(
    rows: np.ndarray, function: Callable[..., np.ndarray], *columns: np.ndarray
) -> np.ndarray:
    """Do something to every row, so many at a time that they stay in the processor's cache.

    Every block has the same number of rows (the last one is filled up): then the result of a row does not depend, by rounding, on how many there are.

    Parameters
    ----------
    rows : (N, C) float array
        Vectors, at least one.
    function : callable
        (B, C) float64 array, and B values of each of ``columns``, -> (B, R) float64 array; it may change what it is given.
    *columns : (N,) arrays
        Something else that belongs to each row.

    Returns
    -------
    (N, R) float array
        Of the type of ``rows``.
    """
    block = np.zeros((ROWS_AT_A_TIME, rows.shape[1]))
    mapped: np.ndarray | None = None
    with np.errstate(invalid="ignore", divide="ignore"):  # rows that fill the last block up
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            here = slice(start, start + ROWS_AT_A_TIME)
            some = rows[here]
            block[: len(some)] = some
            filled = [
                np.pad(column[here], (0, ROWS_AT_A_TIME - len(some)), mode="edge")
                for column in columns
            ]
            result = function(block, *filled)
            if mapped is None:
                mapped = np.empty((len(rows), result.shape[1]), rows.dtype)
            mapped[here] = result[: len(some)]
    assert mapped is not None  # there is at least one row
    return mapped


def affine(block: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map rows by a matrix, as Kaldi's transform-vec does.

    Parameters
    ----------
    block : (B, C) float64 array
        Vectors.
    matrix : (R, C) or (R, C + 1) float64 array
        The last column of the second kind is added to the result.
    """
    dimensions = block.shape[1]
    mapped = block @ matrix[:, :dimensions].T
    mapped += matrix[:, dimensions:].sum(axis=1)
    return mapped


def to_length(block: np.ndarray, length: float) -> np.ndarray:
    """Rows of one length; those that have none become NaN.

    Parameters
    ----------
    block : (B, C) float64 array
        Vectors; changed in place, since new memory for every block takes longer than the work.
    length : float
        Positive.
    """
    block *= (length / np.sqrt(np.vecdot(block, block)))[:, None]
    return block


def refuse_few_to_adapt_to(number: int, dimensions: int) -> None:
    """Refuse fewer vectors of the trials' domain than they have dimensions.

    Parameters
    ----------
    number, dimensions : int
        Of the vectors.

    Raises
    ------
    ValueError
        They are fewer.
    """
    if number < dimensions:
        raise ValueError(
            f"found {number} vectors of {dimensions} dimensions to adapt to, expected more vectors than dimensions; give more, or "
            "reduce the dimensions first"
        )


def check_adaptation(rows: np.ndarray) -> None:
    """Refuse vectors of another domain whose covariance says nothing.

    Parameters
    ----------
    rows : (A, D) float array
        Vectors without labels, as the links before leave them.

    Raises
    ------
    ValueError
        Fewer vectors than dimensions, or one that has no length where it is normalised.
    """
    refuse_few_to_adapt_to(len(rows), rows.shape[1])
    if not np.isfinite(rows).all():
        raise ValueError(
            "a vector to adapt to is zero where its length is normalised; take it off the list"
        )


def covariance_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of vectors, in float64 without a copy of all of them.

    Parameters
    ----------
    rows : (N, D) float array
        Vectors.

    Returns
    -------
    mean, covariance : (D,), (D, D) float64 arrays
        Divided by N.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        centred = rows[start : start + ROWS_AT_A_TIME] - mean
        scatter += centred.T @ centred
    return mean, scatter / len(rows)
