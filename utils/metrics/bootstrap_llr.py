"""Figures of log-likelihood ratios, had the speakers of the test been others: Cllr and actual costs under the draws of utils/metrics/bootstrap.py.

They are means over trials.  A trial's weight is the product of two rows of the weight matrix, so that trials with the same two rows are summed
once, for all draws: what is left is a sparse matrix of rows by rows.
"""

from collections.abc import Mapping

import numpy as np

from utils.metrics.llr import LOG_2, bayes_threshold
from utils.metrics.operating_points import USUAL


def weighted_llr_figures(scores: np.ndarray, is_target: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray,
                         points: Mapping[str, float] = USUAL) -> dict[str, np.ndarray]:
    """Cllr and actual costs of each replicate.

    Parameters
    ----------
    scores : (N,) float array
        Log-likelihood ratios.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    left, right : (N,) int arrays
        Rows of the weight matrix, from `speaker_rows`.
    weights : (U, R) float32 array
        From `drawn_weights`.
    points : mapping of str to float
        Effective prior of each operating point, in (0, 1).

    Returns
    -------
    dict of str to (R,) float array
        ``cllr`` and ``act_dcf_<point>``; NaN where a class has no weight.
    """
    thresholds = [bayes_threshold(prior) for prior in points.values()]
    means = []
    for member, sign in ((is_target, -1), (~is_target, 1)):
        here = np.asarray(scores, np.float64)[member]
        wrong = [(here >= threshold) == (sign > 0) for threshold in thresholds]  # targets rejected, non-targets accepted
        columns = np.stack([np.logaddexp(0, sign * here), *wrong], axis=1)
        means.append(weighted_means(columns, left[member], right[member], weights))
    cllr, *errors = zip(*means, strict=True)
    costs = {f"act_dcf_{point}": (prior * miss + (1 - prior) * false_alarm) / min(prior, 1 - prior)
             for (point, prior), (miss, false_alarm) in zip(points.items(), errors, strict=True)}
    return {"cllr": (cllr[0] + cllr[1]) / (2 * LOG_2), **costs}


def weighted_means(values: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Means of some columns over trials, in each replicate.

    Parameters
    ----------
    values : (N, F) float array
        Of each trial.
    left, right : (N,) int arrays
        Rows of the weight matrix whose product is the trial's weight.
    weights : (U, R) float32 array
        Not negative.

    Returns
    -------
    list of F (R,) float64 arrays
        NaN where the trials have no weight.
    """
    from scipy.sparse import coo_array

    size, weights = len(weights), weights.astype(np.float64)

    def total(column: np.ndarray) -> np.ndarray:
        return ((coo_array((column, (left, right)), shape=(size, size)).tocsr() @ weights) * weights).sum(axis=0)

    whole = total(np.ones(len(left)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.where(whole > 0, total(column) / whole, np.nan) for column in values.T]
