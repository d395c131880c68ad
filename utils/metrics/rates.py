"""Error rates of a detector.

Conventions
-----------
Pure functions of score arrays: no files, no torch.  A trial is accepted when its score is greater than or equal to the
threshold, so that equal scores are always decided alike: no figure depends on the order of the trials.  Rates are fractions
in [0, 1].  Everything is O(n log n), and takes scores in float32 as they are: 60 million trials fit (tests/bench/bench_metrics.py).

Metrics
-------
error_rates          miss and false-alarm rates at every threshold that separates distinct scores
equal_error_rate     where the ROC, interpolated between those points, meets miss = false alarm
kaldi_error_rate     the rule of Kaldi's compute-eer
min_detection_cost   lowest normalised detection cost (minDCF) over thresholds
best_accuracy        highest share of right decisions over thresholds
miss_at, tpr_at      what is missed, and what is found, at given false-alarm rates

What reads scores as log-likelihood ratios (actual cost, Cllr) or fits them (minCllr, the EER of the convex hull): utils/metrics/llr.py.
What draws (curves, histograms): utils/metrics/curves.py.  All figures of a line of results.json at once: utils/metrics/summary.py.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

FALSE_ALARM_RATES = (0.001, 0.01, 0.1)  # at which the share of targets found is reported


def sorted_scores(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Both classes, each sorted.

    Parameters
    ----------
    target_scores : (T,) float array
        Scores of trials whose two sides are the same speaker.
    nontarget_scores : (N,) float array
        Scores of trials whose two sides differ.

    Returns
    -------
    target, nontarget : (T,) and (N,) float arrays
        In float32 where both came so, otherwise in float64.

    Raises
    ------
    ValueError
        A side is empty, or a score is not finite.
    """
    given = [np.asarray(target_scores), np.asarray(nontarget_scores)]
    kind = np.float32 if all(scores.dtype == np.float32 for scores in given) else np.float64
    target, nontarget = (np.sort(scores.astype(kind, copy=False)) for scores in given)
    if not (target.size and nontarget.size):
        raise ValueError(
            f"need target and non-target scores, got {target.size} and {nontarget.size}"
        )
    if not np.isfinite(
        [target[0], target[-1], nontarget[0], nontarget[-1]]
    ).all():  # sorted: -inf stands first, inf and NaN last
        raise ValueError("scores must be finite, found NaN or Inf")
    return target, nontarget


def counts_below(
    target: np.ndarray, nontarget: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials of each class below every threshold that separates distinct scores.

    Parameters
    ----------
    target, nontarget : (T,) and (N,) float arrays
        From `sorted_scores`.

    Returns
    -------
    thresholds : (K + 1,) float array
        The K distinct scores, and infinity.
    targets, nontargets : (K + 1,) int arrays
        From (0, 0) to (T, N).
    """
    both = np.concatenate([target, nontarget])
    order = np.argsort(both, kind="stable")  # two sorted runs: merged in one pass
    both, is_target = both[order], order < len(target)
    del order
    first = np.flatnonzero(np.append(True, both[1:] != both[:-1]))
    targets = np.append(0, np.cumsum(is_target, dtype=np.int32))[np.append(first, len(both))]
    return (
        np.append(both[first], both.dtype.type(np.inf)),
        targets,
        np.append(first, len(both)) - targets,
    )


def error_rates(
    target_scores: ArrayLike, nontarget_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Miss and false-alarm rates at every threshold that separates distinct scores.

    Parameters
    ----------
    target_scores : (T,) float array
        Scores of trials whose two sides are the same speaker.
    nontarget_scores : (N,) float array
        Scores of trials whose two sides differ.

    Returns
    -------
    thresholds, miss, false_alarm : (K + 1,) float arrays
        For K distinct scores: from accept-all, (0, 1) at the lowest score, to reject-all, (1, 0) at infinity.

    Raises
    ------
    ValueError
        A side is empty, or a score is not finite.
    """
    thresholds, targets, nontargets = counts_below(*sorted_scores(target_scores, nontarget_scores))
    # rates of counts: 1 - 2/3 would lie above 1/3
    return thresholds, targets / targets[-1], (nontargets[-1] - nontargets) / nontargets[-1]


def reversal_note(eer_percent: float | None) -> str:
    """What an EER above chance means; empty of any other.

    Parameters
    ----------
    eer_percent : float or None
        The figure, in percent; None: there is none.
    """
    if eer_percent is None or eer_percent <= 50:
        return ""
    return (
        f"EER {eer_percent:.2f} % is above 50 %: chance, or the scores or the classes seem reversed"
    )


def equal_error_rate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Error rate where the straight line between neighbouring ROC points meets miss = false alarm.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.
    """
    return crossing(*error_rates(target_scores, nontarget_scores)[1:])


def crossing(miss: np.ndarray, false_alarm: np.ndarray) -> float:
    """Where the line through ROC points meets miss = false alarm.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From (0, 1) to (1, 0); their difference grows from point to point, so that there is one crossing only.
    """
    after = int(np.searchsorted(miss - false_alarm, 0.0))
    before = after - 1
    gap_before, gap_after = false_alarm[before] - miss[before], miss[after] - false_alarm[after]
    return float(
        miss[before] + gap_before / (gap_before + gap_after) * (miss[after] - miss[before])
    )


def min_detection_cost(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Lowest detection cost over thresholds, divided by that of the better trivial decision.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.
    p_target : float
        Prior probability of a target trial, in (0, 1).
    c_miss, c_fa : float
        Costs of a miss and of a false alarm, positive.
    """
    return lowest_cost(*error_rates(target_scores, nontarget_scores)[1:], p_target, c_miss, c_fa)


def lowest_cost(
    miss: np.ndarray,
    false_alarm: np.ndarray,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """`min_detection_cost` of error rates that are known already.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    p_target, c_miss, c_fa : float
        As for `min_detection_cost`.

    Raises
    ------
    ValueError
        The prior is outside (0, 1) or a cost is not positive.
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            f"need 0 < p_target < 1 and positive costs, got p_target {p_target}, c_miss {c_miss}, c_fa {c_fa}"
        )
    weight_miss, weight_fa = c_miss * p_target, c_fa * (1 - p_target)
    return float((weight_miss * miss + weight_fa * false_alarm).min() / min(weight_miss, weight_fa))


def kaldi_error_rate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Equal error rate by the rule of Kaldi's compute-eer: a step of the target scores, without interpolation.

    The k-th lowest target score is the threshold where it is the first to lie above as large a share of the non-targets as there are
    targets above; the rate is k / T.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.

    References
    ----------
    Kaldi, src/ivectorbin/compute-eer.cc.
    """
    return kaldi_step(*sorted_scores(target_scores, nontarget_scores))


def kaldi_step(target: np.ndarray, nontarget: np.ndarray) -> float:
    """`kaldi_error_rate` of scores that are sorted already.

    Parameters
    ----------
    target, nontarget : (T,) and (N,) float arrays
        From `sorted_scores`.
    """
    rank = np.arange(len(target))
    opposite = np.maximum(
        len(nontarget) - 1 - (len(nontarget) * rank / len(target)).astype(np.int64), 0
    )
    above = nontarget[opposite] < target
    above[-1] = True
    return float(np.argmax(above) / len(target))


def best_accuracy(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> float:
    """Highest share of right decisions over thresholds.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.
    """
    return highest_accuracy(*counts_below(*sorted_scores(target_scores, nontarget_scores))[1:])


def highest_accuracy(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """`best_accuracy` of counts that are known already.

    Parameters
    ----------
    targets, nontargets : (K + 1,) int arrays
        From `counts_below`.
    """
    return float((nontargets - targets).max() + targets[-1]) / float(targets[-1] + nontargets[-1])


def miss_at(
    miss: np.ndarray, false_alarm: np.ndarray, rates: Sequence[float] = FALSE_ALARM_RATES
) -> np.ndarray:
    """Lowest miss rate whose false-alarm rate is at most a given one.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    rates : sequence of float
        False-alarm rates, in [0, 1].
    """
    return miss[np.searchsorted(-false_alarm, -np.asarray(rates, float), "left")]


def tpr_at(target_scores: ArrayLike, nontarget_scores: ArrayLike, rate: float) -> float:
    """Share of the targets that are accepted where at most a given share of the non-targets is.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.
    rate : float
        False-alarm rate, in [0, 1].
    """
    return 1 - float(miss_at(*error_rates(target_scores, nontarget_scores)[1:], [rate])[0])
