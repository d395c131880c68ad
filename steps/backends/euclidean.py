"""Minus the Euclidean distance of two embeddings of unit length: what RawNet3, MR-RawNet and others publish, above all for means over pairs of crops.

Of two vectors it orders trials as their cosine does; a mean of distances over several pairs does not.
"""

import numpy as np

from steps.backends.cosine import Cosine


class Euclidean(Cosine):
    """Mean subtraction, length normalisation, minus the distance.

    Parameters
    ----------
    subtract_mean : bool
        Take the mean of the training embeddings away first; the published systems do not.
    """

    def __init__(self, subtract_mean: bool = False):
        super().__init__(subtract_mean)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Minus the distance of each pair of rows.

        Parameters
        ----------
        enrol, test : (N, D) float arrays
            Transformed embeddings; row i of one is compared with row i of the other.

        Returns
        -------
        (N,) float array
            In [-2, 0]; higher is more alike.
        """
        difference = enrol - test
        return -np.sqrt(np.vecdot(difference, difference))

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Minus the distances of all rows of one matrix from all rows of the other, for each pair of matrices.

        Parameters
        ----------
        enrol, test : (..., R, D) and (..., S, D) float arrays
            Transformed; leading axes are pairs of matrices.

        Returns
        -------
        (..., R, S) float64 array
            From products, in float64: rows that are close lose nothing.
        """
        enrol, test = enrol.astype(np.float64), test.astype(np.float64)
        squares = np.vecdot(enrol, enrol)[..., :, None] + np.vecdot(test, test)[..., None, :]
        return -np.sqrt(np.maximum(squares - 2 * super().score_matrices(enrol, test), 0))
