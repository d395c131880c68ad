"""Minus the Euclidean distance of two embeddings of unit length.

RawNet3, MR-RawNet and others publish it, most often as a mean over pairs of crops.  For two vectors
it orders trials as their cosine does; a mean of distances over several pairs does not.
"""

import numpy as np

from steps.backends.cosine import Cosine


class Euclidean(Cosine):
    """Mean subtraction, length normalisation, minus the distance.

    Parameters
    ----------
    subtract_mean : bool
        Subtract the mean of the training embeddings first; the published systems do not.
    """

    def __init__(self, subtract_mean: bool = False):
        super().__init__(subtract_mean)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Minus the distance of row i of both transformed sides, (N,) in [-2, 0]."""
        difference = enrol - test
        return -np.sqrt(np.vecdot(difference, difference))

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Minus the distance of each row of (..., R, D) from each of (..., S, D): (..., R, S).

        From products, in float64, so that rows that are close lose no precision.
        """
        enrol, test = enrol.astype(np.float64), test.astype(np.float64)
        squares = np.vecdot(enrol, enrol)[..., :, None] + np.vecdot(test, test)[..., None, :]
        squared_distances = squares - 2 * super().score_matrices(enrol, test)
        return -np.sqrt(np.maximum(squared_distances, 0))
