"""Figures of scores read as log-likelihood ratios, and of the best that any monotone rule could make of them.

The pool-adjacent-violators algorithm (PAV) joins neighbouring scores until the share of targets grows with the score.  Its blocks are the
edges of the ROC's convex hull, so that one fit gives the hull's EER, minCllr and a calibration plot.  Natural logarithms; ties are one point.

References
----------
Brummer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language 20, 2006 (Cllr, minCllr).
Brummer and de Villiers, "The BOSARIS toolkit user guide", 2011 (PAV and the convex hull of the ROC).
"""

import numpy as np
from numpy.typing import ArrayLike

from utils.metrics.rates import counts_below, crossing, sorted_scores

LOG_2 = float(np.log(2))
SCORES_AT_A_TIME = 1 << 16


def bayes_threshold(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Log-likelihood ratio from which accepting costs less than rejecting.

    Parameters
    ----------
    p_target : float
        Prior probability of a target trial, in (0, 1).
    c_miss, c_fa : float
        Costs of a miss and of a false alarm, positive.

    Raises
    ------
    ValueError
        The prior is outside (0, 1) or a cost is not positive.
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            f"need 0 < p_target < 1 and positive costs, got p_target {p_target}, c_miss {c_miss}, c_fa {c_fa}"
        )
    return float(np.log(c_fa * (1 - p_target)) - np.log(c_miss * p_target))


def actual_cost(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Detection cost (actDCF) of deciding by the threshold that the prior and the costs ask for, divided by that of the better trivial decision.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Log-likelihood ratios.
    p_target, c_miss, c_fa : float
        As for `bayes_threshold`.
    """
    threshold = bayes_threshold(p_target, c_miss, c_fa)
    miss, false_alarm = (
        np.mean(np.asarray(target_scores) < threshold),
        np.mean(np.asarray(nontarget_scores) >= threshold),
    )
    weight_miss, weight_fa = c_miss * p_target, c_fa * (1 - p_target)
    return float((weight_miss * miss + weight_fa * false_alarm) / min(weight_miss, weight_fa))


def cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Cost of the log-likelihood ratios in bits: 0 is perfect, 1 is what saying 0 of every trial costs, and more is worse than saying nothing.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Log-likelihood ratios, finite.
    """
    return (mean_softplus(target_scores, -1) + mean_softplus(nontarget_scores, 1)) / (2 * LOG_2)


def mean_softplus(scores: ArrayLike, sign: int) -> float:
    """Mean of log(1 + exp(sign x score)), in blocks of float64.

    Parameters
    ----------
    scores : (N,) float array
        Not empty.
    sign : int
        1 or -1.
    """
    scores, total = np.asarray(scores), 0.0
    for start in range(0, len(scores), SCORES_AT_A_TIME):
        block = sign * scores[start : start + SCORES_AT_A_TIME].astype(np.float64)
        total += float(np.sum(np.maximum(block, 0) + np.log1p(np.exp(-np.abs(block)))))
    return total / len(scores)


def pav_blocks(
    targets: np.ndarray, nontargets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring scores joined until the share of targets grows with the score.

    Parameters
    ----------
    targets, nontargets : (K + 1,) int arrays
        Trials of each class below every threshold, from `counts_below`.

    Returns
    -------
    ends : (B,) int array
        Position of each block's upper end in the arrays given, growing; the last is K.
    in_targets, in_nontargets : (B,) int arrays
        Trials of each class in each block.
    """
    from scipy.optimize import isotonic_regression

    step_targets, step_nontargets = np.diff(targets), np.diff(nontargets)
    pure = np.where(step_nontargets == 0, 1, np.where(step_targets == 0, -1, 0))
    keep = np.append(
        (pure[1:] != pure[:-1]) | (pure[1:] == 0), True
    )  # runs of one class stay together: a quarter of the work
    ends = np.flatnonzero(keep) + 1
    in_targets, in_all = (
        np.diff(np.append(0, counts[ends])) for counts in (targets, targets + nontargets)
    )
    joined = isotonic_regression(in_targets / in_all, weights=in_all.astype(float)).blocks[1:] - 1
    ends = ends[joined]
    return ends, np.diff(np.append(0, targets[ends])), np.diff(np.append(0, nontargets[ends]))


def hull_error_rate(ends: np.ndarray, in_targets: np.ndarray, in_nontargets: np.ndarray) -> float:
    """Equal error rate of the ROC's convex hull: the worst, over priors, of the lowest error rate.

    Parameters
    ----------
    ends, in_targets, in_nontargets : (B,) int arrays
        From `pav_blocks`.
    """
    miss, rejected = (
        np.append(0, np.cumsum(counts)) / counts.sum() for counts in (in_targets, in_nontargets)
    )
    return crossing(miss, 1 - rejected)


def equal_error_rate_of_hull(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """`hull_error_rate` of scores.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Finite.
    """
    return hull_error_rate(
        *pav_blocks(*counts_below(*sorted_scores(target_scores, nontarget_scores))[1:])
    )


def lowest_cllr(ends: np.ndarray, in_targets: np.ndarray, in_nontargets: np.ndarray) -> float:
    """Cllr after the best monotone rule, which gives each block the likelihood ratio of its own trials.

    Parameters
    ----------
    ends, in_targets, in_nontargets : (B,) int arrays
        From `pav_blocks`.
    """
    share_target, share_nontarget = (
        in_targets / in_targets.sum(),
        in_nontargets / in_nontargets.sum(),
    )
    cost = 0.0
    for own, other in ((share_target, share_nontarget), (share_nontarget, share_target)):
        there = own > 0
        cost += float(np.sum(own[there] * np.log1p(other[there] / own[there])))
    return cost / (2 * LOG_2)


def min_cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """`lowest_cllr` of scores: what of Cllr is left when calibration is perfect.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Finite.
    """
    return lowest_cllr(
        *pav_blocks(*counts_below(*sorted_scores(target_scores, nontarget_scores))[1:])
    )


def calibration_points(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """What scores say and what they should say: the mean score of each PAV block, and the log-likelihood ratio of its trials.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Log-likelihood ratios.

    Returns
    -------
    said, found : (B,) float arrays
        Growing; blocks of one class, whose ratio is infinite, are left out.
    """
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _thresholds, targets, nontargets = counts_below(target, nontarget)
    ends, in_targets, in_nontargets = pav_blocks(targets, nontargets)
    below = sum(
        np.append(0.0, np.cumsum(scores, dtype=np.float64))[counts[ends]]
        for scores, counts in ((target, targets), (nontarget, nontargets))
    )
    said = np.diff(np.append(0.0, below)) / (in_targets + in_nontargets)
    both = (in_targets > 0) & (in_nontargets > 0)
    found = np.log(in_targets[both] / len(target)) - np.log(in_nontargets[both] / len(nontarget))
    return said[both], found
