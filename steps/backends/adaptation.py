"""PLDA adapted to unlabelled vectors of another domain: Kaldi's ivector-adapt-plda and CORAL+."""

import numpy as np

from steps.backends.matrices import (
    check_adaptation,
    diagonalise,
    eigen_descending,
    mean_and_covariance,
    symmetric_power,
)


class KaldiAdaptation:
    """Where the new vectors vary more than the model predicts, share the excess between W and B.

    Parameters
    ----------
    within_covar_scale : float
        Share of the excess variance that goes to the covariance within speakers.
    between_covar_scale : float
        Share of the excess variance that goes to the covariance between speakers.
    mean_diff_scale : float
        How much of the difference of the two means counts as variance.
    """

    def __init__(
        self,
        within_covar_scale: float = 0.3,
        between_covar_scale: float = 0.7,
        mean_diff_scale: float = 1.0,
    ):
        if min(within_covar_scale, between_covar_scale, mean_diff_scale) < 0:
            raise ValueError("a scale is negative")
        self.within_covar_scale = within_covar_scale
        self.between_covar_scale = between_covar_scale
        self.mean_diff_scale = mean_diff_scale

    def __call__(
        self, mean: np.ndarray, transform: np.ndarray, psi: np.ndarray, vectors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, transform and psi of a ``<Plda>``, adapted to vectors (A, D) of the new domain."""
        check_adaptation(vectors)
        new_mean, covariance = mean_and_covariance(vectors)
        shift = new_mean - mean
        covariance += self.mean_diff_scale * np.outer(shift, shift)
        # the space where the model's total covariance is unit
        to_unit = transform / np.sqrt(1 + psi)[:, None]
        variances, axes = eigen_descending(to_unit @ covariance @ to_unit.T)
        excess = np.maximum(variances - 1, 0)
        within = (axes.T / (1 + psi)) @ axes + np.diag(self.within_covar_scale * excess)
        between = (axes.T * (psi / (1 + psi))) @ axes + np.diag(self.between_covar_scale * excess)
        back = np.linalg.inv(axes.T @ to_unit)
        transform, psi, _ = diagonalise(back @ within @ back.T, back @ between @ back.T)
        return new_mean, transform, psi


class CoralPlus:
    """Recolour W and B to the covariance of the new vectors, and let them only grow towards it.

    Parameters
    ----------
    within_scale : float
        In [0, 1]: how far W grows; the paper's beta.
    between_scale : float
        In [0, 1]: how far B grows; the paper's gamma.

    References
    ----------
    Lee, Wang and Koshinaka, "The CORAL+ algorithm for unsupervised domain adaptation of PLDA",
    ICASSP 2019.
    """

    def __init__(self, within_scale: float = 0.8, between_scale: float = 0.8):
        if not (0 <= within_scale <= 1 and 0 <= between_scale <= 1):
            raise ValueError(
                f"found scales {within_scale} and {between_scale}, expected numbers in [0, 1]"
            )
        self.within_scale, self.between_scale = within_scale, between_scale

    def __call__(
        self, mean: np.ndarray, transform: np.ndarray, psi: np.ndarray, vectors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, transform and psi of a ``<Plda>``, adapted to vectors (A, D) of the new domain."""
        check_adaptation(vectors)
        new_mean, covariance = mean_and_covariance(vectors)
        back = np.linalg.inv(transform)
        within, between = back @ back.T, (back * psi) @ back.T
        recolour = symmetric_power(covariance, 0.5) @ symmetric_power(within + between, -0.5)
        within = _grow(within, recolour @ within @ recolour.T, self.within_scale)
        between = _grow(between, recolour @ between @ recolour.T, self.between_scale)
        transform, psi, _ = diagonalise(within, between)
        return new_mean, transform, psi


def _grow(old: np.ndarray, new: np.ndarray, scale: float) -> np.ndarray:
    """A covariance moved towards another one, only in the directions where that one is larger.

    With a scale of 0 the old one, with 1 the larger of both in each direction.
    """
    to_unit, ratio, _ = diagonalise(old, new)
    back = np.linalg.inv(to_unit)
    return old + scale * (back * np.maximum(ratio - 1, 0)) @ back.T


ADAPTATIONS = {"kaldi": KaldiAdaptation, "coral_plus": CoralPlus}
