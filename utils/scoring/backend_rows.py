"""Embeddings brought into the space where a trained back end compares, or refused by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import transform_rows
from utils.errors import UserError


def rows_of_backend(backend: Any, expected: int, names: Sequence[str], embeddings: np.ndarray, num_utts: np.ndarray, where: Path,
                    trained: Path) -> np.ndarray:
    """Transform embeddings.

    Parameters
    ----------
    backend : back end
        Trained.
    expected : int
        Dimensions of the embeddings that it takes.
    names : sequence of N str
        Whose embeddings they are.
    embeddings : (N, D) or (N, R, D) float array
        Vectors or matrices.
    num_utts : (N,) int array
        Of how many utterances each is the mean.
    where : path
        Folder of the embeddings, for messages.
    trained : path
        Folder of the back end, for messages.

    Returns
    -------
    (N, D') or (N, R, D') float array

    Raises
    ------
    UserError
        Other dimensions than those that the back end was trained on, or an embedding that is zero or not finite.
    """
    from utils.embeddings.checks import refuse_zero

    dimensions = embeddings.shape[-1]
    if expected != dimensions:
        raise UserError(f"{where}: embeddings of {dimensions} dimensions, {trained} was trained on {expected}")
    refuse_zero(names, embeddings.reshape(len(names), -1), where)
    counts = np.repeat(num_utts, embeddings.size // (dimensions * len(names)))
    rows = transform_rows(lambda vectors: backend.transform(vectors, counts), embeddings)
    refuse_not_finite(names, rows, where, "zero or not finite")
    return rows
