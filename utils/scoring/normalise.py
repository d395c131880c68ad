"""Score normalisation: a score told in standard deviations of the scores that its own two sides
have against a cohort of other speakers.

z-norm takes the statistics of the enrolment side, t-norm those of the test side, s-norm the mean of
both results.  The adaptive kinds take of each side only its K closest members of the cohort:
``as_norm1`` those with the highest scores against that very side, ``as_norm2`` those that are
closest to the other side of the trial.

References
----------
Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification
systems", DSP 10, 2000 (z- and t-norm).
Shum, Dehak, Dehak and Glass, "Unsupervised speaker adaptation based on the cosine similarity",
Odyssey 2010 (s-norm).
Matejka et al., "Analysis of score normalization in multilingual speaker recognition", Interspeech
2017 (adaptive s-norm 1 and 2).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from utils.scoring.cohort_scores import (
    CohortScores,
    NoSpread,
    closest_members,
    cohort_statistics,
    statistics_by_others,
)

Method = Literal["z_norm", "t_norm", "s_norm", "as_norm1", "as_norm2"]
Statistics = tuple[np.ndarray, np.ndarray]

METHODS = ("z_norm", "t_norm", "s_norm", "as_norm1", "as_norm2")


@dataclass(frozen=True)
class Normalisation:
    """A kind of score normalisation.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    top_k : int
        Closest members of the cohort that the adaptive methods take.
    device : str
        Where scores that are dot products are computed; anything but ``cpu`` is torch's name of a
        device, and is not for ``as_norm2``.
    """

    method: Method
    top_k: int
    device: str = "cpu"


def normalise(
    scores: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    cohort: CohortScores,
    how: Normalisation,
) -> tuple[np.ndarray, Statistics | None]:
    """Normalised scores of trials.

    Parameters
    ----------
    scores : (P,) float array
        Raw ones.
    enrol_rows, test_rows : (P,) int arrays
        Row of either side of each trial among ``cohort.sides``.
    cohort : CohortScores
        Sides (N of them) and the cohort.
    how : Normalisation
        The method.

    Returns
    -------
    normalised : (P,) float64 array
    statistics : (N,), (N,) float64 arrays, or None
        Mean and standard deviation of each side, NaN of sides that the method does not look at;
        None where they depend on the trial.

    Raises
    ------
    ValueError
        ``top_k`` is not in [2, C], or the cohort has fewer than two members.
    NoSpread
        The cohort scores of a side do not differ.
    """
    if how.method == "as_norm2":
        return _by_others(scores, enrol_rows, test_rows, cohort, how.top_k), None
    looked_at = _sides_looked_at(how.method, enrol_rows, test_rows)
    used = np.unique(np.concatenate(looked_at))
    means, deviations = np.full((2, len(cohort.sides)), np.nan)
    try:
        found = _statistics(replace(cohort, sides=cohort.sides[used]), how)
    except NoSpread as error:
        raise NoSpread(int(used[error.side])) from None
    means[used], deviations[used] = found
    total = sum((scores - means[rows]) / deviations[rows] for rows in looked_at)
    return total / len(looked_at), (means, deviations)


def _by_others(
    scores: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    cohort: CohortScores,
    top_k: int,
) -> np.ndarray:
    """Scores normalised by as_norm2."""
    members = closest_members(cohort, top_k)
    pairs = (enrol_rows, test_rows), (test_rows, enrol_rows)
    per_trial = [statistics_by_others(cohort, members, own, other) for own, other in pairs]
    return sum((scores - mean) / deviation for mean, deviation in per_trial) / 2


def _sides_looked_at(
    method: Method, enrol_rows: np.ndarray, test_rows: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Rows of the sides whose statistics a method takes."""
    if method == "z_norm":
        return (enrol_rows,)
    if method == "t_norm":
        return (test_rows,)
    return enrol_rows, test_rows


def _statistics(cohort: CohortScores, how: Normalisation) -> Statistics:
    """Mean and standard deviation of each side, where the method wants them computed."""
    top_k = how.top_k if how.method == "as_norm1" else None
    if how.device == "cpu":
        return cohort_statistics(cohort, top_k)
    from utils.scoring.cohort_device import cohort_statistics_on

    return cohort_statistics_on(how.device, cohort.sides, cohort.cohort, top_k)
