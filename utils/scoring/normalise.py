"""Score normalisation: scores in units of the cohort scores' standard deviations.

A cohort is a set of other speakers, against whom both sides of a trial are scored.

z-norm uses the statistics of the enrolment side, t-norm those of the test side, s-norm the mean of
both results.  The adaptive kinds use only the K closest members of the cohort: ``as_norm1`` those
with the highest scores against the side itself, ``as_norm2`` those closest to the other side.

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

MOST_CLOSEST = 300  # usual where the cohort has some thousand speakers
METHODS = ("z_norm", "t_norm", "s_norm", "as_norm1", "as_norm2")


@dataclass(frozen=True)
class Normalisation:
    """A score normalisation: one of `METHODS`, and its number of closest members.

    With a ``device`` other than ``cpu`` torch computes the scores there; they must be dot products,
    and the method not ``as_norm2``.
    """

    method: Method
    top_k: int
    device: str = "cpu"


def usual_top_k(num_members: int) -> int:
    """The default number of closest members of a cohort."""
    return max(2, min(MOST_CLOSEST, num_members // 4))


def normalise(
    scores: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    cohort: CohortScores,
    normalisation: Normalisation,
) -> tuple[np.ndarray, Statistics | None]:
    """Normalised scores (P,) of P trials, and mean and deviation of each of the N sides.

    ``enrol_rows`` and ``test_rows`` (P,) are rows of ``cohort.sides``.  Statistics are NaN for
    sides that the method does not use, and None if they depend on the trial. ValueError if
    ``top_k`` is not in [2, C] or the cohort has fewer than two members; NoSpread if the cohort
    scores of a side do not differ.
    """
    if normalisation.method == "as_norm2":
        return _by_others(scores, enrol_rows, test_rows, cohort, normalisation.top_k), None
    sides = _side_rows(normalisation.method, enrol_rows, test_rows)
    used = np.unique(np.concatenate(sides))
    means, deviations = np.full((2, len(cohort.sides)), np.nan)
    try:
        statistics = _statistics(replace(cohort, sides=cohort.sides[used]), normalisation)
    except NoSpread as error:
        raise NoSpread(int(used[error.side])) from None
    means[used], deviations[used] = statistics
    total = sum((scores - means[rows]) / deviations[rows] for rows in sides)
    return total / len(sides), (means, deviations)


def _by_others(
    scores: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    cohort: CohortScores,
    top_k: int,
) -> np.ndarray:
    """Scores normalised by as_norm2."""
    members = closest_members(cohort, top_k)
    mean, deviation = statistics_by_others(cohort, members, enrol_rows, test_rows)
    by_enrol = (scores - mean) / deviation
    mean, deviation = statistics_by_others(cohort, members, test_rows, enrol_rows)
    return (by_enrol + (scores - mean) / deviation) / 2


def _side_rows(
    method: Method, enrol_rows: np.ndarray, test_rows: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Rows of the sides whose statistics a method uses."""
    if method == "z_norm":
        return (enrol_rows,)
    if method == "t_norm":
        return (test_rows,)
    return enrol_rows, test_rows


def _statistics(cohort: CohortScores, normalisation: Normalisation) -> Statistics:
    """Mean and standard deviation of each side, on the chosen device."""
    top_k = None
    if normalisation.method == "as_norm1":
        top_k = normalisation.top_k
    if normalisation.device == "cpu":
        return cohort_statistics(cohort, top_k)
    from utils.scoring.cohort_device import cohort_statistics_on

    return cohort_statistics_on(normalisation.device, cohort.sides, cohort.cohort, top_k)
