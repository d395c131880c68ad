"""Speaker bootstrap: metrics recomputed on speakers resampled with replacement.

Trials that share a speaker are not independent, so speakers are resampled, not trials.  The weight
of a speaker in a replicate is the number of times that it was drawn; the weight of a target trial
is that of its speaker, the weight of a nontarget trial the product of those of its two speakers.
The draws depend on the seed and the number of speakers alone: systems that scored the same trials
get the same draws, so their differences are paired.  Why utterances within speakers are not
resampled as well: tests/bench/intervals.md.

`speaker_rows` and `drawn_weights` make the draws.  EER and minDCF (`weighted_figures`) and the
rates at given thresholds (`weighted_rates`) need trials sorted once; a replicate is then one pass
over cumulative weights, for a block of replicates and of trials at a time.  Cllr and actual costs
(`weighted_llr_figures`) are weighted means.

References
----------
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007 (products of weights).
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from utils.metrics.llr import LOG_2, bayes_threshold
from utils.metrics.operating_points import USUAL

TRIALS_AT_A_TIME, RUN = 2048, 16  # trials of a block, and of a stretch that is summed row by row
REPLICATES_AT_A_TIME = 64


def speaker_rows(
    enrol_speakers: ArrayLike, test_speakers: ArrayLike, is_target: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of speakers S, and for each of N trials its two rows (N,) of the weight matrix.

    A target trial depends on its speaker's row and on row S, which is always 1.
    """
    speakers, index = np.unique(
        np.concatenate([enrol_speakers, test_speakers]), return_inverse=True
    )
    half = len(index) // 2
    left, right = index[:half], np.where(is_target, len(speakers), index[half:])
    return len(speakers), left.astype(np.int32), right.astype(np.int32)


def drawn_weights(num_speakers: int, replicates: int, seed: int) -> np.ndarray:
    """How often each of S speakers is drawn in R replicates, and a row of ones: (S + 1, R)."""
    rng = np.random.default_rng(seed)
    weights = np.ones((num_speakers + 1, replicates), np.float32)
    for replicate in range(replicates):
        drawn = rng.integers(num_speakers, size=num_speakers)
        weights[:-1, replicate] = np.bincount(drawn, minlength=num_speakers)
    return weights


@dataclass
class SortedTrials:
    """Trials in the order of their scores.

    The weight of a trial is the product of the rows ``left`` and ``right`` (N,) of the weight
    matrix.  ``last_of_ties`` (N,) is True if the next score differs, so that a threshold can be
    there.
    """

    is_target: np.ndarray
    last_of_ties: np.ndarray
    left: np.ndarray
    right: np.ndarray


def sort_trials(
    scores: np.ndarray, is_target: np.ndarray, left: np.ndarray, right: np.ndarray
) -> SortedTrials:
    """Sort trials by score; ``left`` and ``right`` are rows of the weight matrix."""
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores)[order]
    return SortedTrials(
        np.asarray(is_target)[order],
        np.append(ordered[1:] != ordered[:-1], True),
        np.asarray(left)[order],
        np.asarray(right)[order],
    )


def weighted_figures(
    trials: SortedTrials, weights: np.ndarray, points: Mapping[str, float] = USUAL
) -> dict[str, np.ndarray]:
    """``eer_percent`` and ``min_dcf_<point>`` (R,) of each replicate.

    ``weights`` (U, R) are those of each unit in each replicate, ``points`` the effective priors of
    minDCF.  NaN if a class has no weight.
    """
    names = ["eer_percent", *(f"min_dcf_{point}" for point in points)]
    figures = np.full((len(names), weights.shape[1]), np.nan)
    for start in range(0, weights.shape[1], REPLICATES_AT_A_TIME):
        block = slice(start, start + REPLICATES_AT_A_TIME)
        some_weights = np.ascontiguousarray(weights[:, block])
        figures[:, block] = block_figures(trials, some_weights, list(points.values()))
    return dict(zip(names, figures, strict=True))


def block_figures(
    trials: SortedTrials, weights: np.ndarray, p_targets: Sequence[float]
) -> list[np.ndarray]:
    """EER in percent, and minDCF of each effective prior, for one block of replicates.

    ``weights`` (U, B) are contiguous, with so few replicates B that the weights of a block of
    trials fit the processor's cache.
    """
    starts = range(0, len(trials.left), TRIALS_AT_A_TIME)
    pieces = [slice(start, start + TRIALS_AT_A_TIME) for start in starts]
    totals = total_weights(trials, weights, pieces)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(totals.min(axis=0) > 0, 1 / totals, np.nan).astype(np.float32)
    passed = np.zeros_like(totals)  # shares of both classes in the blocks before
    point = np.zeros_like(totals)  # the same, up to the last threshold
    eer = np.full(weights.shape[1], np.nan)
    costs = np.empty((len(p_targets), weights.shape[1]))
    for k, p in enumerate(p_targets):
        costs[k] = (1 - p) / min(p, 1 - p)
    for piece in pieces:
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        target = running_sums(each * trials.is_target[piece, None])
        nontarget = running_sums(each) - target
        target *= shares[0]
        nontarget *= shares[1]
        ends = trials.last_of_ties[piece]
        block_end = None  # if it may differ from the last threshold
        if not ends.all():
            block_end = passed + (target[-1], nontarget[-1])
            target, nontarget = target[ends], nontarget[ends]
        if len(target):
            for k, p in enumerate(p_targets):
                lowest = (np.float32(p) * target - np.float32(1 - p) * nontarget).min(axis=0)
                cost = (p * passed[0] + (1 - p) * (1 - passed[1]) + lowest) / min(p, 1 - p)
                np.minimum(costs[k], cost, out=costs[k])
            last = passed + (target[-1], nontarget[-1])
            crossed = np.isnan(eer) & (last.sum(axis=0) >= 1)
            if crossed.any():
                eer[crossed] = crossing_in_block(target, nontarget, passed, point, crossed)
            point = last
        passed = point
        if block_end is not None:
            passed = block_end
    return [100 * eer, *np.where(np.isnan(eer), np.nan, costs)]


def total_weights(trials: SortedTrials, weights: np.ndarray, pieces: Sequence[slice]) -> np.ndarray:
    """Weight (2, B) of all targets and of all nontargets."""
    totals = np.zeros((2, weights.shape[1]))
    for piece in pieces:
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        both = each.sum(axis=0, dtype=np.float32)
        target = trials.is_target[piece].astype(np.float32) @ each
        totals += target, both - target
    return totals


def crossing_in_block(
    target: np.ndarray,
    nontarget: np.ndarray,
    passed: np.ndarray,
    point: np.ndarray,
    crossed: np.ndarray,
) -> np.ndarray:
    """Equal error rates of the replicates whose ROC meets miss = false alarm inside a block.

    ``target`` and ``nontarget`` (K, B) are shares of each class from the block's start to each of
    its thresholds, ``passed`` and ``point`` (2, B) those before the block, and up to the last
    threshold before it.  ``crossed`` (B,) selects the replicates.
    """
    miss = np.vstack([point[0, crossed], passed[0, crossed] + target[:, crossed]])
    rejected = np.vstack([point[1, crossed], passed[1, crossed] + nontarget[:, crossed]])
    after = np.argmax(miss + rejected >= 1, axis=0)
    rows = np.arange(len(after))
    before_miss, after_miss = miss[after - 1, rows], miss[after, rows]
    gap_before = 1 - before_miss - rejected[after - 1, rows]
    gap_after = after_miss + rejected[after, rows] - 1
    return before_miss + gap_before / (gap_before + gap_after) * (after_miss - before_miss)


def running_sums(values: np.ndarray) -> np.ndarray:
    """Cumulative sums down the columns of (K, B), several times as fast as `numpy.cumsum`."""
    whole = len(values) // RUN * RUN
    sums = values.copy()
    runs = sums[:whole].reshape(-1, RUN, values.shape[1])
    for k in range(1, RUN):
        runs[:, k] += runs[:, k - 1]
    if whole:
        runs[1:] += np.cumsum(runs[:-1, -1], axis=0)[:, None]
    for k in range(max(whole, 1), len(sums)):
        sums[k] += sums[k - 1]
    return sums


def weighted_rates(
    trials: SortedTrials, weights: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Miss and false-alarm rates (P, R) of each replicate at some thresholds.

    ``positions`` (P,), growing, are the numbers of trials below each threshold.  NaN if a class has
    no weight.
    """
    # of each trial: how many thresholds are at or below it
    passed = np.searchsorted(positions, np.arange(len(trials.left)), "right")
    sums = np.zeros((2, len(positions) + 1, weights.shape[1]))
    for start in range(0, len(trials.left), TRIALS_AT_A_TIME):
        piece = slice(start, start + TRIALS_AT_A_TIME)
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        rows, first = np.unique(passed[piece], return_index=True)
        target = np.add.reduceat(each * trials.is_target[piece, None], first, axis=0)
        sums[0, rows] += target
        sums[1, rows] += np.add.reduceat(each, first, axis=0) - target
    below = np.cumsum(sums, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(below[:, -1].min(axis=0) > 0, below[:, :-1] / below[:, -1:], np.nan)
    return shares[0], 1 - shares[1]


def weighted_llr_figures(
    scores: np.ndarray,
    is_target: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray,
    points: Mapping[str, float] = USUAL,
) -> dict[str, np.ndarray]:
    """``cllr`` and ``act_dcf_<point>`` (R,) of each replicate, of log-likelihood ratios (N,).

    ``left`` and ``right`` are from `speaker_rows`, ``weights`` (U, R) from `drawn_weights`.  NaN if
    a class has no weight.
    """
    scores = np.asarray(scores, np.float64)
    means = []
    for member, sign in ((is_target, -1), (~is_target, 1)):
        columns = [np.logaddexp(0, sign * scores[member])]
        for prior in points.values():
            accepted = scores[member] >= bayes_threshold(prior)
            columns.append(accepted == (sign > 0))  # targets rejected, nontargets accepted
        values = np.stack(columns, axis=1)
        means.append(weighted_means(values, left[member], right[member], weights))
    of_targets, of_nontargets = means
    figures = {"cllr": (of_targets[0] + of_nontargets[0]) / (2 * LOG_2)}
    for number, (point, prior) in enumerate(points.items(), 1):
        cost = prior * of_targets[number] + (1 - prior) * of_nontargets[number]
        figures[f"act_dcf_{point}"] = cost / min(prior, 1 - prior)
    return figures


def weighted_means(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> list[np.ndarray]:
    """Means (R,) of each of F columns (N, F) over trials, in each replicate; NaN without weight."""
    from scipy.sparse import coo_array

    size = len(weights)
    counts = weights.astype(np.float64)

    def total(column: np.ndarray) -> np.ndarray:
        pairs = coo_array((column, (left, right)), shape=(size, size)).tocsr()
        return ((pairs @ counts) * counts).sum(axis=0)

    whole = total(np.ones(len(left)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.where(whole > 0, total(column) / whole, np.nan) for column in values.T]
