"""Score normalisation: a score told in standard deviations of the scores that its own two sides have against a cohort of other speakers.

z-norm takes the statistics of the enrolment side, t-norm those of the test side, s-norm the mean of both results.  The adaptive kinds take of each
side only its K closest members of the cohort: ``as_norm1`` those with the highest scores against that very side, ``as_norm2`` those that are closest
to the other side of the trial.

References
----------
Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification systems", DSP 10, 2000 (z- and t-norm).
Shum, Dehak, Dehak and Glass, "Unsupervised speaker adaptation based on the cosine similarity", Odyssey 2010 (s-norm).
Matejka et al., "Analysis of score normalization in multilingual speaker recognition", Interspeech 2017 (adaptive s-norm 1 and 2).
"""

import numpy as np

from utils.scoring.cohort_scores import (
    NoSpread,
    ScoreMatrix,
    closest_members,
    cohort_statistics,
    statistics_by_others,
)

METHODS = ("z_norm", "t_norm", "s_norm", "as_norm1", "as_norm2")


def normalise(
    scores: np.ndarray,
    score_matrix: ScoreMatrix,
    sides: np.ndarray,
    enrol_rows: np.ndarray,
    test_rows: np.ndarray,
    cohort: np.ndarray,
    method: str,
    top_k: int,
    num_threads: int = 1,
    device: str = "cpu",
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Normalised scores of trials.

    Parameters
    ----------
    scores : (P,) float array
        Raw ones.
    score_matrix : callable
        As for `cohort_statistics`.
    sides : (N, ...) float array
        Transformed embeddings.
    enrol_rows, test_rows : (P,) int arrays
        Row of ``sides`` of either side of each trial.
    cohort : (C, D) float array
        Transformed embeddings of other speakers.
    method : str
        One of `METHODS`.
    top_k : int
        Of the adaptive methods.
    num_threads : int
        As for `cohort_statistics`.
    device : str
        Where scores that are dot products are computed; anything but ``cpu`` is torch's name of a device, and is not for ``as_norm2``.

    Returns
    -------
    normalised : (P,) float64 array
    statistics : (N,), (N,) float64 arrays, or None
        Mean and standard deviation of each side, NaN of sides that the method does not look at; None where they depend on the trial.

    Raises
    ------
    ValueError
        ``top_k`` is not in [2, C], or the cohort has fewer than two members.
    NoSpread
        The cohort scores of a side do not differ.
    """
    if method == "as_norm2":
        members = closest_members(score_matrix, sides, cohort, top_k, num_threads)
        pairs = (enrol_rows, test_rows), (test_rows, enrol_rows)
        per_trial = [
            statistics_by_others(score_matrix, sides, cohort, members, own, other, num_threads)
            for own, other in pairs
        ]
        return sum((scores - mean) / deviation for mean, deviation in per_trial) / 2, None
    looked_at = {"z_norm": (enrol_rows,), "t_norm": (test_rows,)}.get(
        method, (enrol_rows, test_rows)
    )
    used = np.unique(np.concatenate(looked_at))
    means, deviations = np.full((2, len(sides)), np.nan)
    top_k = top_k if method == "as_norm1" else None
    try:
        if device == "cpu":
            found = cohort_statistics(score_matrix, sides[used], cohort, top_k, num_threads)
        else:
            from utils.scoring.cohort_device import cohort_statistics_on

            found = cohort_statistics_on(device, sides[used], cohort, top_k)
    except NoSpread as error:
        raise NoSpread(int(used[error.side])) from None
    means[used], deviations[used] = found
    return sum((scores - means[rows]) / deviations[rows] for rows in looked_at) / len(looked_at), (
        means,
        deviations,
    )
