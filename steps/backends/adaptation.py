"""PLDA for another domain, of which there are vectors without labels: what Kaldi's ivector-adapt-plda does, and CORAL+."""

import numpy as np

from steps.backends.matrices import (
    check_adaptation,
    covariance_of,
    diagonalise,
    eigen_descending,
    symmetric_power,
)


class KaldiAdaptation:
    """Where the new vectors vary more than the model says, share the excess between W and B.

    Parameters
    ----------
    within_covar_scale, between_covar_scale : float
        Parts of the excess variance that go to the covariance within and between speakers.
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
        """Adapt the parameters of a ``<Plda>``.

        Parameters
        ----------
        mean, transform, psi : (D,), (D, D), (D,) float arrays
            Of the trained model.
        vectors : (A, D) float array
            Of the new domain.

        Returns
        -------
        mean, transform, psi : (D,), (D, D), (D,) float64 arrays
            Of the adapted model.
        """
        check_adaptation(vectors)
        new_mean, covariance = covariance_of(vectors)
        shift = new_mean - mean
        covariance += self.mean_diff_scale * np.outer(shift, shift)
        # where the model's total covariance is unit
        to_unit = transform / np.sqrt(1 + psi)[:, None]
        variances, axes = eigen_descending(to_unit @ covariance @ to_unit.T)
        excess = np.maximum(variances - 1, 0)
        within = (axes.T / (1 + psi)) @ axes + np.diag(self.within_covar_scale * excess)
        between = (axes.T * (psi / (1 + psi))) @ axes + np.diag(self.between_covar_scale * excess)
        back = np.linalg.inv(axes.T @ to_unit)
        transform, psi, _ = diagonalise(back @ within @ back.T, back @ between @ back.T)
        return new_mean, transform, psi


class CoralPlus:
    """Recolour W and B by what makes the model's total covariance that of the new vectors, and let them only grow towards it.

    Parameters
    ----------
    within_scale, between_scale : float
        In [0, 1]: how far each goes; the paper's beta and gamma.

    References
    ----------
    Lee, Wang and Koshinaka, "The CORAL+ algorithm for unsupervised domain adaptation of PLDA", ICASSP 2019.
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
        """Adapt the parameters of a ``<Plda>``.

        Parameters
        ----------
        mean, transform, psi : (D,), (D, D), (D,) float arrays
            Of the trained model.
        vectors : (A, D) float array
            Of the new domain.

        Returns
        -------
        mean, transform, psi : (D,), (D, D), (D,) float64 arrays
            Of the adapted model.
        """
        check_adaptation(vectors)
        new_mean, covariance = covariance_of(vectors)
        back = np.linalg.inv(transform)
        within, between = back @ back.T, (back * psi) @ back.T
        recolour = symmetric_power(covariance, 0.5) @ symmetric_power(within + between, -0.5)
        grown = [
            grow(old, recolour @ old @ recolour.T, scale)
            for old, scale in ((within, self.within_scale), (between, self.between_scale))
        ]
        return new_mean, *diagonalise(*grown)[:2]


def grow(old: np.ndarray, new: np.ndarray, scale: float) -> np.ndarray:
    """A covariance moved towards another in the directions in which that one is larger, and in no other.

    Parameters
    ----------
    old, new : (D, D) float64 arrays
        Covariances.
    scale : float
        0: stays the old one, 1: the larger one of both in each direction.
    """
    to_unit, ratio, _ = diagonalise(old, new)
    back = np.linalg.inv(to_unit)
    return old + scale * (back * np.maximum(ratio - 1, 0)) @ back.T


ADAPTATIONS = {"kaldi": KaldiAdaptation, "coral_plus": CoralPlus}
