"""Metrics of log-likelihood-ratio scores: actual cost, Cllr, minCllr (PAV).

The pool-adjacent-violators algorithm (PAV) joins neighbouring scores until the share of targets
grows with the score.  Its blocks are the edges of the ROC's convex hull, so that one fit gives the
hull's EER, minCllr and a calibration plot.  Natural logarithms; ties are one point.

References
----------
Brummer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
Language 20, 2006 (Cllr, minCllr). Brummer and de Villiers, "The BOSARIS toolkit user guide", 2011
(PAV and the convex hull of the ROC).
"""

import numpy as np
from numpy.typing import ArrayLike

from utils.metrics.rates import counts_below, crossing, sorted_scores

LOG_2 = float(np.log(2))
SCORES_AT_A_TIME = 1 << 16


def bayes_threshold(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Log-likelihood ratio from which accepting costs less than rejecting.

    ValueError if the prior is outside (0, 1) or a cost is not positive.
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            "need 0 < p_target < 1 and positive costs, "
            f"got p_target {p_target}, c_miss {c_miss}, c_fa {c_fa}"
        )
    return float(np.log(c_fa * (1 - p_target)) - np.log(c_miss * p_target))


def actual_cost(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Detection cost (actDCF) at the Bayes threshold, over that of the better trivial decision."""
    threshold = bayes_threshold(p_target, c_miss, c_fa)
    miss = np.mean(np.asarray(target_scores) < threshold)
    false_alarm = np.mean(np.asarray(nontarget_scores) >= threshold)
    weight_miss, weight_fa = c_miss * p_target, c_fa * (1 - p_target)
    return float((weight_miss * miss + weight_fa * false_alarm) / min(weight_miss, weight_fa))


def cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 is the cost of 0 for every trial."""
    return (mean_softplus(target_scores, -1) + mean_softplus(nontarget_scores, 1)) / (2 * LOG_2)


def mean_softplus(scores: ArrayLike, sign: int) -> float:
    """Mean of log(1 + exp(sign x score)), in blocks of float64."""
    scores, total = np.asarray(scores), 0.0
    for start in range(0, len(scores), SCORES_AT_A_TIME):
        block = sign * scores[start : start + SCORES_AT_A_TIME].astype(np.float64)
        total += float(np.sum(np.maximum(block, 0) + np.log1p(np.exp(-np.abs(block)))))
    return total / len(scores)


def pav_blocks(
    targets: np.ndarray, nontargets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring scores joined to B blocks, until the share of targets grows with the score.

    ``targets`` and ``nontargets`` (K + 1,) are from `counts_below`.  Returns (B,) int arrays:
    the growing positions of the blocks' upper ends (the last is K), and the numbers of targets and
    of nontargets in each block.
    """
    from scipy.optimize import isotonic_regression

    step_targets, step_nontargets = np.diff(targets), np.diff(nontargets)
    pure = np.where(step_nontargets == 0, 1, np.where(step_targets == 0, -1, 0))
    # runs of one class stay together: a quarter of the work
    keep = np.append((pure[1:] != pure[:-1]) | (pure[1:] == 0), True)
    ends = np.flatnonzero(keep) + 1
    in_targets = np.diff(np.append(0, targets[ends]))
    in_all = np.diff(np.append(0, (targets + nontargets)[ends]))
    joined = isotonic_regression(in_targets / in_all, weights=in_all.astype(float)).blocks[1:] - 1
    ends = ends[joined]
    return ends, np.diff(np.append(0, targets[ends])), np.diff(np.append(0, nontargets[ends]))


def hull_error_rate(ends: np.ndarray, in_targets: np.ndarray, in_nontargets: np.ndarray) -> float:
    """Equal error rate of the ROC's convex hull, from `pav_blocks`.

    It is the largest value, over all priors, of the lowest error rate.
    """
    miss = np.append(0, np.cumsum(in_targets)) / in_targets.sum()
    rejected = np.append(0, np.cumsum(in_nontargets)) / in_nontargets.sum()
    return crossing(miss, 1 - rejected)


def hull_equal_error_rate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """`hull_error_rate` of scores."""
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _thresholds, targets, nontargets = counts_below(target, nontarget)
    return hull_error_rate(*pav_blocks(targets, nontargets))


def lowest_cllr(ends: np.ndarray, in_targets: np.ndarray, in_nontargets: np.ndarray) -> float:
    """Cllr after the best monotone map, which gives each PAV block its own likelihood ratio."""
    share_target = in_targets / in_targets.sum()
    share_nontarget = in_nontargets / in_nontargets.sum()
    cost = 0.0
    for own, other in ((share_target, share_nontarget), (share_nontarget, share_target)):
        used = own > 0
        cost += float(np.sum(own[used] * np.log1p(other[used] / own[used])))
    return cost / (2 * LOG_2)


def min_cllr(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """`lowest_cllr` of scores: the Cllr that remains with perfect calibration."""
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _thresholds, targets, nontargets = counts_below(target, nontarget)
    return lowest_cllr(*pav_blocks(targets, nontargets))


def calibration_points(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Mean score of each PAV block, and the log-likelihood ratio of its trials.

    Blocks of one class, with an infinite ratio, are left out.
    """
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _thresholds, targets, nontargets = counts_below(target, nontarget)
    ends, in_targets, in_nontargets = pav_blocks(targets, nontargets)
    target_sums = np.append(0.0, np.cumsum(target, dtype=np.float64))
    nontarget_sums = np.append(0.0, np.cumsum(nontarget, dtype=np.float64))
    below = target_sums[targets[ends]] + nontarget_sums[nontargets[ends]]
    means = np.diff(np.append(0.0, below)) / (in_targets + in_nontargets)
    both = (in_targets > 0) & (in_nontargets > 0)
    share_target = in_targets[both] / len(target)
    share_nontarget = in_nontargets[both] / len(nontarget)
    return means[both], np.log(share_target) - np.log(share_nontarget)
