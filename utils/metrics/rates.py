"""Error rates of a detector.

Pure functions of score arrays: no files, no torch.  A trial is accepted if its score is at least
the threshold, so that equal scores are decided alike and no figure depends on the order of the
trials.  Rates are fractions in [0, 1].  Everything is O(n log n), and float32
scores are not converted: 60 million trials fit (tests/bench/bench_metrics.py).

error_rates          miss and false-alarm rates at every threshold that separates distinct scores
equal_error_rate     where the ROC, interpolated between those points, meets miss = false alarm
kaldi_error_rate     the rule of Kaldi's compute-eer
min_detection_cost   lowest normalised detection cost (minDCF) over thresholds
best_accuracy        highest share of right decisions over thresholds
miss_at, tpr_at      miss rate, and share of targets accepted, at given false-alarm rates

Metrics of log-likelihood ratios, and the EER of the convex hull: utils/metrics/llr.py.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

FALSE_ALARM_RATES = (0.001, 0.01, 0.1)  # at which the share of targets accepted is reported


def sorted_scores(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Target scores (T,) and nontarget scores (N,), each sorted; float32 if both are, else float64.

    ValueError if a class is empty, or a score is not finite.
    """
    target, nontarget = np.asarray(target_scores), np.asarray(nontarget_scores)
    if not target.dtype == nontarget.dtype == np.float32:
        target, nontarget = target.astype(np.float64), nontarget.astype(np.float64)
    target, nontarget = np.sort(target), np.sort(nontarget)
    if not (target.size and nontarget.size):
        raise ValueError(
            f"need target and nontarget scores, got {target.size} and {nontarget.size}"
        )
    ends = [target[0], target[-1], nontarget[0], nontarget[-1]]
    if not np.isfinite(ends).all():  # sorted: -inf is first, inf and NaN are last
        raise ValueError("scores must be finite, found NaN or Inf")
    return target, nontarget


def counts_below(
    target: np.ndarray, nontarget: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds (K + 1,), and the trials of each class below each: from (0, 0) to (T, N).

    The thresholds are the K distinct scores, and infinity.
    """
    both = np.concatenate([target, nontarget])
    order = np.argsort(both, kind="stable")  # two sorted runs: merged in one pass
    both, is_target = both[order], order < len(target)
    del order
    first = np.flatnonzero(np.append(True, both[1:] != both[:-1]))
    targets = np.append(0, np.cumsum(is_target, dtype=np.int32))[np.append(first, len(both))]
    thresholds = np.append(both[first], both.dtype.type(np.inf))
    return thresholds, targets, np.append(first, len(both)) - targets


def error_rates(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, miss rates and false-alarm rates (K + 1,), for K distinct scores.

    From accept-all, (0, 1) at the lowest score, to reject-all, (1, 0) at infinity.  ValueError if a
    class is empty, or a score is not finite.
    """
    thresholds, targets, nontargets = counts_below(*sorted_scores(target_scores, nontarget_scores))
    # rates of counts: 1 - 2/3 is above 1/3 in floating point
    return thresholds, targets / targets[-1], (nontargets[-1] - nontargets) / nontargets[-1]


def reversal_note(eer_percent: float | None) -> str:
    """A note on an EER above chance; empty for any other."""
    if eer_percent is None or eer_percent <= 50:
        return ""
    return (
        f"EER {eer_percent:.2f} % is above 50 %: chance, or the scores or the classes seem reversed"
    )


def equal_error_rate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Error rate where the line between neighbouring ROC points meets miss = false alarm."""
    return crossing(*error_rates(target_scores, nontarget_scores)[1:])


def crossing(miss: np.ndarray, false_alarm: np.ndarray) -> float:
    """Where the line through ROC points, from (0, 1) to (1, 0), meets miss = false alarm."""
    after = int(np.searchsorted(miss - false_alarm, 0.0))
    before = after - 1
    gap_before, gap_after = false_alarm[before] - miss[before], miss[after] - false_alarm[after]
    share = gap_before / (gap_before + gap_after)
    return float(miss[before] + share * (miss[after] - miss[before]))


def min_detection_cost(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Lowest detection cost over thresholds, divided by that of the better trivial decision."""
    return lowest_cost(*error_rates(target_scores, nontarget_scores)[1:], p_target, c_miss, c_fa)


def lowest_cost(
    miss: np.ndarray,
    false_alarm: np.ndarray,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """`min_detection_cost` from error rates; ValueError for a prior or a cost out of range."""
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            "need 0 < p_target < 1 and positive costs, "
            f"got p_target {p_target}, c_miss {c_miss}, c_fa {c_fa}"
        )
    weight_miss, weight_fa = c_miss * p_target, c_fa * (1 - p_target)
    return float((weight_miss * miss + weight_fa * false_alarm).min() / min(weight_miss, weight_fa))


def kaldi_error_rate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Equal error rate by the rule of Kaldi's compute-eer, without interpolation.

    The threshold is the lowest target score where the false-alarm rate is at most the share of the
    targets below it, k / T; that share is returned.  (Kaldi, src/ivectorbin/compute-eer.cc.)
    """
    return kaldi_step(*sorted_scores(target_scores, nontarget_scores))


def kaldi_step(target: np.ndarray, nontarget: np.ndarray) -> float:
    """`kaldi_error_rate` from `sorted_scores`."""
    rank = np.arange(len(target))
    num_above = (len(nontarget) * rank / len(target)).astype(np.int64)
    opposite = np.maximum(len(nontarget) - 1 - num_above, 0)
    above = nontarget[opposite] < target
    above[-1] = True
    return float(np.argmax(above) / len(target))


def best_accuracy(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Highest share of right decisions over thresholds."""
    return highest_accuracy(*counts_below(*sorted_scores(target_scores, nontarget_scores))[1:])


def highest_accuracy(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """`best_accuracy` from `counts_below`."""
    return float((nontargets - targets).max() + targets[-1]) / float(targets[-1] + nontargets[-1])


def miss_at(
    miss: np.ndarray, false_alarm: np.ndarray, rates: Sequence[float] = FALSE_ALARM_RATES
) -> np.ndarray:
    """Lowest miss rates with a false-alarm rate of at most each of ``rates``."""
    return miss[np.searchsorted(-false_alarm, -np.asarray(rates, float), "left")]


def tpr_at(target_scores: ArrayLike, nontarget_scores: ArrayLike, rate: float) -> float:
    """Share of the targets that are accepted at a false-alarm rate of at most ``rate``."""
    return 1 - float(miss_at(*error_rates(target_scores, nontarget_scores)[1:], [rate])[0])
