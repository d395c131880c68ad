"""Links that are linear maps: scales, LDA, whitening, WCCN; CORAL, for training vectors only."""

from collections.abc import Sequence

import numpy as np

from steps.backends.links import Amount, Link
from steps.backends.matrices import (
    check_adaptation,
    eigen_descending,
    largest_signs,
    mean_and_covariance,
    raise_eigenvalues,
    symmetric_power,
    whitening_rows,
)
from steps.backends.speaker_statistics import speaker_statistics

SMALL_LDA = 60  # of conf/backends/lda60_plda.yaml
ROUNDING = 1e-6  # a deviation below this share of the largest value is 0: vectors are float32


class Scale(Link):
    """Divide each dimension by the training vectors' deviation, without centring.

    A dimension that is the same in all training vectors has no scale: it becomes 0.
    """

    takes = "deviation"

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Scale":
        """Learn ``matrix_``, a diagonal one."""
        deviation = rows.std(axis=0, dtype=np.float64)
        varies = deviation > ROUNDING * np.abs(rows).max(axis=0)
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
        self.matrix_ = np.column_stack([np.diag(scale), np.zeros(len(scale))])
        return self


class Lda(Link):
    """Directions in which speakers differ most, relative to their utterances: ivector-compute-lda.

    Parameters
    ----------
    dim : int
        Dimensions of the output.
    total_covariance_factor : float
        In [0, 1]: weight of the total covariance in the covariance that is made unit; the rest is
        that within speakers.
    covariance_floor : float
        Smallest eigenvalue of that covariance, as a share of the largest.
    """

    needs_speakers = True
    takes = "mean"

    def __init__(
        self, dim: int, total_covariance_factor: float = 0.0, covariance_floor: float = 1e-6
    ):
        if dim < 1 or not 0 <= total_covariance_factor <= 1 or not 0 < covariance_floor < 1:
            raise ValueError(
                f"found dim {dim}, total_covariance_factor {total_covariance_factor}, "
                f"covariance_floor {covariance_floor}; "
                "expected dim from 1, a factor in [0, 1], a floor above 0 and below 1"
            )
        self.dim = dim
        self.total_covariance_factor = total_covariance_factor
        self.covariance_floor = covariance_floor

    def check(self, dimensions: int, amount: Amount) -> int:
        """Dimensions of the output."""
        if self.dim > dimensions:
            raise ValueError(_too_many_dimensions(self.dim, dimensions))
        super().check(dimensions, amount)
        return self.dim

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Lda":
        """Learn ``matrix_``, (dim, D + 1): its last column subtracts the mean.

        Raises ValueError for more output dimensions than input, and as `speaker_statistics`.
        """
        self.check(rows.shape[1], Amount())
        assert speakers is not None
        statistics = speaker_statistics(rows, speakers)
        within, between = statistics.within_covariance(), statistics.between_covariance()
        to_unit = within + self.total_covariance_factor * between
        whitening, _ = whitening_rows(to_unit, self.covariance_floor)
        _, rotation = eigen_descending(whitening @ between @ whitening.T)
        linear = rotation[:, : self.dim].T @ whitening
        linear *= largest_signs(linear.T)[:, None]
        mean = statistics.counts @ statistics.means / len(rows)
        self.matrix_ = np.column_stack([linear, -linear @ mean])
        return self


class Whiten(Link):
    """Make the total covariance unit, along its principal axes.

    Parameters
    ----------
    dim : int or None
        Principal axes that are kept; None: all.
    """

    takes = "mean"

    def __init__(self, dim: int | None = None):
        if dim is not None and dim < 1:
            raise ValueError(f"found dim {dim}, expected 1 or more")
        self.dim = dim

    def check(self, dimensions: int, amount: Amount) -> int:
        """Axes that are kept."""
        if self.dim is None:
            return dimensions
        most = dimensions
        if amount.utterances is not None:
            most = min(most, int(amount.utterances.sum()) - 1)
        if self.dim > most:
            raise ValueError(_too_many_axes(self.dim, most))
        return self.dim

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Whiten":
        """Learn ``matrix_``, which also subtracts the mean.

        Raises ValueError if more dimensions are to be kept than the vectors vary in.
        """
        mean, covariance = mean_and_covariance(rows)
        values, _ = eigen_descending(covariance)
        _, num_raised = raise_eigenvalues(values)
        num_axes = len(mean) - num_raised
        if self.dim is not None and self.dim > num_axes:
            raise ValueError(_too_many_axes(self.dim, num_axes))
        whitening, _ = whitening_rows(covariance)
        linear = whitening[: self.dim]
        self.matrix_ = np.column_stack([linear, -linear @ mean])
        return self


def _too_many_axes(dim: int, most: int) -> str:
    return (
        f"whiten: dim {dim} is more than the {most} directions in which the vectors vary; "
        f"in the YAML set dim of the link whiten to {most} or less"
    )


class Wccn(Link):
    """Within-class covariance normalisation: make the covariance within speakers unit.

    By a symmetric matrix, which does not rotate.

    Parameters
    ----------
    shrinkage : float
        In [0, 1]: how far that covariance is shrunk towards a multiple of the unit matrix.

    References
    ----------
    Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker
    recognition", Interspeech 2006.
    """

    needs_speakers = True

    def __init__(self, shrinkage: float = 0.0):
        if not 0 <= shrinkage <= 1:
            raise ValueError(f"found shrinkage {shrinkage}, expected a number in [0, 1]")
        self.shrinkage = shrinkage

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Wccn":
        """Learn ``matrix_``, the inverse square root of the covariance."""
        assert speakers is not None
        statistics = speaker_statistics(rows, speakers).shrunk(self.shrinkage)
        linear = symmetric_power(statistics.within_covariance(), -0.5)
        self.matrix_ = np.column_stack([linear, np.zeros(len(linear))])
        return self


class Coral(Link):
    """Correlation alignment: give the training vectors the adaptation vectors' mean and covariance.

    Trials stay as they are.

    Parameters
    ----------
    ridge : float
        Added to both covariances' diagonals, at least 0.

    References
    ----------
    Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016 (with
    ridge 1).
    """

    needs_adaptation = True
    acts_on_trials = False

    def __init__(self, ridge: float = 0.0):
        if ridge < 0:
            raise ValueError(f"found ridge {ridge}, expected 0 or more")
        self.ridge = ridge

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Coral":
        """Learn ``matrix_``, for training vectors."""
        assert adaptation is not None
        check_adaptation(adaptation)
        source_mean, source = mean_and_covariance(rows)
        target_mean, target = mean_and_covariance(adaptation)
        ridge = self.ridge * np.eye(len(source_mean))
        linear = symmetric_power(target + ridge, 0.5) @ symmetric_power(source + ridge, -0.5)
        self.matrix_ = np.column_stack([linear, target_mean - linear @ source_mean])
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """The rows themselves."""
        return rows

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """Rows with the adaptation vectors' mean and covariance."""
        return super().transform(rows)


def _too_many_dimensions(dim: int, most: int) -> str:
    smaller = ""
    if most >= SMALL_LDA:
        smaller = f", or take conf/backends/lda{SMALL_LDA}_plda.yaml"
    return (
        f"lda: dim {dim} is more than the {most} dimensions of the vectors; "
        f"in the back end's YAML set dim of the link lda to {most} or less{smaller}"
    )
