"""Figures of a test, had its speakers been others: every figure again under weights that stand for speakers drawn with replacement.

Trials share speakers, so speakers are what is resampled: in one replicate a speaker drawn twice counts twice; a target trial
counts as often as its speaker, a non-target trial as often as the product of its two.  The draws depend on the seed and the
number of speakers alone: systems that scored the same trials get the same draws, so their differences are paired.  Why this one
layer, and not utterances within speakers as well: tests/bench/intervals.md.

The trials are sorted once; a replicate is one walk over cumulative weights, done for a block of replicates and of trials at a time.

References
----------
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007 (weights that are products of both sides').
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


@dataclass
class SortedTrials:
    """Trials in the order of their scores, with the two units (rows of a weight matrix) that each depends on.

    Attributes
    ----------
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    last_of_ties : (N,) bool array
        The next score is another one: a threshold can stand here.
    left, right : (N,) int arrays
        The weight of a trial is the product of these two rows of the weight matrix.
    """

    is_target: np.ndarray
    last_of_ties: np.ndarray
    left: np.ndarray
    right: np.ndarray


def sort_trials(
    scores: np.ndarray, is_target: np.ndarray, left: np.ndarray, right: np.ndarray
) -> SortedTrials:
    """Bring trials into the order of their scores.

    Parameters
    ----------
    scores : (N,) float array
        One per trial, finite.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    left, right : (N,) int arrays
        Rows of the weight matrix.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores)[order]
    return SortedTrials(
        np.asarray(is_target)[order],
        np.append(ordered[1:] != ordered[:-1], True),
        np.asarray(left)[order],
        np.asarray(right)[order],
    )


def speaker_rows(
    enrol_speakers: ArrayLike, test_speakers: ArrayLike, is_target: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of speakers S, and the weight's two rows of each trial: of a target trial its speaker's and row S, which is always 1.

    Parameters
    ----------
    enrol_speakers, test_speakers : (N,) arrays of str or int
        Speaker of each side.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    """
    speakers, index = np.unique(
        np.concatenate([enrol_speakers, test_speakers]), return_inverse=True
    )
    half = len(index) // 2
    return (
        len(speakers),
        index[:half].astype(np.int32),
        np.where(is_target, len(speakers), index[half:]).astype(np.int32),
    )


def drawn_weights(num_speakers: int, replicates: int, seed: int) -> np.ndarray:
    """How often each speaker is drawn, and a row of ones.

    Parameters
    ----------
    num_speakers : int
        Number S of speakers; as many are drawn, with replacement.
    replicates : int
        Number R of draws.
    seed : int
        Of the draws.

    Returns
    -------
    (S + 1, R) float32 array
        Whole numbers.
    """
    rng = np.random.default_rng(seed)
    weights = np.ones((num_speakers + 1, replicates), np.float32)
    for replicate in range(replicates):
        weights[:-1, replicate] = np.bincount(
            rng.integers(num_speakers, size=num_speakers), minlength=num_speakers
        )
    return weights


def weighted_figures(
    trials: SortedTrials, weights: np.ndarray, points: Mapping[str, float] = USUAL
) -> dict[str, np.ndarray]:
    """EER and minDCF of each replicate.

    Parameters
    ----------
    trials : SortedTrials
        From `sort_trials`.
    weights : (U, R) float32 array
        Weight of each unit in each replicate, not negative.
    points : mapping of str to float
        Effective prior of each operating point of minDCF, in (0, 1).

    Returns
    -------
    dict of str to (R,) float array
        ``eer_percent`` and ``min_dcf_<point>``; NaN where a class has no weight.
    """
    found = {
        name: np.full(weights.shape[1], np.nan)
        for name in ("eer_percent", *(f"min_dcf_{point}" for point in points))
    }
    for start in range(0, weights.shape[1], REPLICATES_AT_A_TIME):
        block = slice(start, start + REPLICATES_AT_A_TIME)
        figures = block_figures(
            trials, np.ascontiguousarray(weights[:, block]), list(points.values())
        )
        for name, values in zip(found, figures, strict=True):
            found[name][block] = values
    return found


def block_figures(
    trials: SortedTrials, weights: np.ndarray, p_targets: Sequence[float]
) -> list[np.ndarray]:
    """EER in percent, and minDCF of each prior, of so few replicates that a block of trials times them stays in the processor's cache.

    Parameters
    ----------
    trials : SortedTrials
        As there.
    weights : (U, B) float32 array
        Contiguous.
    p_targets : sequence of float
        Effective priors.
    """
    pieces = [
        slice(start, start + TRIALS_AT_A_TIME)
        for start in range(0, len(trials.left), TRIALS_AT_A_TIME)
    ]
    totals = np.zeros((2, weights.shape[1]))  # of targets, of non-targets
    for piece in pieces:
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        both, target = (
            each.sum(axis=0, dtype=np.float32),
            trials.is_target[piece].astype(np.float32) @ each,
        )
        totals += target, both - target
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(totals.min(axis=0) > 0, 1 / totals, np.nan).astype(np.float32)
    passed = np.zeros_like(totals)  # shares of both classes below the present block
    point = np.zeros_like(totals)  # and below the last threshold
    limits = [min(p, 1 - p) for p in p_targets]
    eer, costs = (
        np.full(weights.shape[1], np.nan),
        [
            np.full(weights.shape[1], (1 - p) / limit)
            for p, limit in zip(p_targets, limits, strict=True)
        ],
    )
    for piece in pieces:
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        target = running_sums(each * trials.is_target[piece, None])
        nontarget = running_sums(each) - target
        target *= shares[0]
        nontarget *= shares[1]
        ends = trials.last_of_ties[piece]
        if not ends.all():
            whole = passed + (target[-1], nontarget[-1])
            target, nontarget = target[ends], nontarget[ends]
        else:
            whole = None
        if len(target):
            for k, p in enumerate(p_targets):
                lowest = (np.float32(p) * target - np.float32(1 - p) * nontarget).min(axis=0)
                np.minimum(
                    costs[k],
                    (p * passed[0] + (1 - p) * (1 - passed[1]) + lowest) / limits[k],
                    out=costs[k],
                )
            last = passed + (target[-1], nontarget[-1])
            crossed = np.isnan(eer) & (last.sum(axis=0) >= 1)
            if crossed.any():
                eer[crossed] = crossing_in_block(target, nontarget, passed, point, crossed)
            point = last
        passed = point if whole is None else whole
    return [100 * eer, *(np.where(np.isnan(eer), np.nan, cost) for cost in costs)]


def crossing_in_block(
    target: np.ndarray,
    nontarget: np.ndarray,
    passed: np.ndarray,
    point: np.ndarray,
    crossed: np.ndarray,
) -> np.ndarray:
    """Equal error rates of the replicates whose ROC meets miss = false alarm inside a block.

    Parameters
    ----------
    target, nontarget : (K, B) float arrays
        Share of each class from the block's beginning up to each of its thresholds.
    passed, point : (2, B) float arrays
        Shares of both classes before the block, and up to the last threshold before it.
    crossed : (B,) bool array
        For which replicates.
    """
    miss, rejected = (
        passed[0, crossed] + target[:, crossed],
        passed[1, crossed] + nontarget[:, crossed],
    )
    miss, rejected = np.vstack([point[0, crossed], miss]), np.vstack([point[1, crossed], rejected])
    after = np.argmax(miss + rejected >= 1, axis=0)
    rows = np.arange(len(after))
    before_miss, after_miss = miss[after - 1, rows], miss[after, rows]
    gap_before, gap_after = (
        1 - before_miss - rejected[after - 1, rows],
        after_miss + rejected[after, rows] - 1,
    )
    return before_miss + gap_before / (gap_before + gap_after) * (after_miss - before_miss)


def weighted_rates(
    trials: SortedTrials, weights: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Miss and false-alarm rates of each replicate at some thresholds.

    Parameters
    ----------
    trials : SortedTrials
        From `sort_trials`.
    weights : (U, R) float32 array
        As for `weighted_figures`.
    positions : (P,) int array
        How many trials lie below each threshold, growing.

    Returns
    -------
    miss, false_alarm : (P, R) float arrays
        NaN where a class has no weight.
    """
    place = np.searchsorted(
        positions, np.arange(len(trials.left)), "right"
    )  # below how many thresholds each trial does not lie
    sums = np.zeros((2, len(positions) + 1, weights.shape[1]))
    for start in range(0, len(trials.left), TRIALS_AT_A_TIME):
        piece = slice(start, start + TRIALS_AT_A_TIME)
        each = weights[trials.left[piece]] * weights[trials.right[piece]]
        here, first = np.unique(place[piece], return_index=True)
        target = np.add.reduceat(each * trials.is_target[piece, None], first, axis=0)
        sums[0, here] += target
        sums[1, here] += np.add.reduceat(each, first, axis=0) - target
    below = np.cumsum(sums, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(below[:, -1].min(axis=0) > 0, below[:, :-1] / below[:, -1:], np.nan)
    return shares[0], 1 - shares[1]


def running_sums(values: np.ndarray) -> np.ndarray:
    """Cumulative sums down the columns, several times as fast as `numpy.cumsum`, which walks each column by itself.

    Parameters
    ----------
    values : (K, B) float array
        Contiguous.
    """
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


def weighted_llr_figures(
    scores: np.ndarray,
    is_target: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray,
    points: Mapping[str, float] = USUAL,
) -> dict[str, np.ndarray]:
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
        wrong = [
            (here >= threshold) == (sign > 0) for threshold in thresholds
        ]  # targets rejected, non-targets accepted
        columns = np.stack([np.logaddexp(0, sign * here), *wrong], axis=1)
        means.append(weighted_means(columns, left[member], right[member], weights))
    cllr, *errors = zip(*means, strict=True)
    costs = {
        f"act_dcf_{point}": (prior * miss + (1 - prior) * false_alarm) / min(prior, 1 - prior)
        for (point, prior), (miss, false_alarm) in zip(points.items(), errors, strict=True)
    }
    return {"cllr": (cllr[0] + cllr[1]) / (2 * LOG_2), **costs}


def weighted_means(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> list[np.ndarray]:
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
        return (
            (coo_array((column, (left, right)), shape=(size, size)).tocsr() @ weights) * weights
        ).sum(axis=0)

    whole = total(np.ones(len(left)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.where(whole > 0, total(column) / whole, np.nan) for column in values.T]
