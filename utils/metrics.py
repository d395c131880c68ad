"""Error rates of a detector.

Conventions
-----------
Pure functions of score arrays: no files, no torch.  A trial is accepted when its score is greater than or equal to the
threshold, so that equal scores are always decided alike: no figure depends on the order of the trials.  Rates are fractions
in [0, 1].  Everything is O(n log n).

Metrics
-------
error_rates          miss and false-alarm rates at every threshold that separates distinct scores
equal_error_rate     where the ROC, interpolated between those points, meets miss = false alarm
min_detection_cost   lowest normalised detection cost (minDCF) over thresholds, C_miss = C_fa = 1
evaluate             the figures of one line of results.json
det_points           a few of the error rates, enough to draw the curve
histogram            both score distributions in shared bins
"""

import numpy as np
from numpy.typing import ArrayLike

P_TARGETS = (0.01, 0.05)  # priors at which minDCF is reported: VoxCeleb's papers use both


def error_rates(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    target, nontarget = np.sort(np.asarray(target_scores, float)), np.sort(np.asarray(nontarget_scores, float))
    if not (target.size and nontarget.size):
        raise ValueError(f"need target and non-target scores, got {target.size} and {nontarget.size}")
    both = np.sort(np.concatenate([target, nontarget]))
    if not (np.isfinite(both[0]) and np.isfinite(both[-1])):  # sorted: -inf stands first, inf and NaN last
        raise ValueError("scores must be finite, found NaN or Inf")
    thresholds = np.append(both[np.append(True, both[1:] != both[:-1])], np.inf)
    miss = np.searchsorted(target, thresholds, "left") / target.size
    false_alarm = 1 - np.searchsorted(nontarget, thresholds, "left") / nontarget.size
    return thresholds, miss, false_alarm


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
    return float(miss[before] + gap_before / (gap_before + gap_after) * (miss[after] - miss[before]))


def min_detection_cost(
    target_scores: ArrayLike, nontarget_scores: ArrayLike, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
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


def lowest_cost(miss: np.ndarray, false_alarm: np.ndarray, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
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
        raise ValueError(f"need 0 < p_target < 1 and positive costs, got p_target {p_target}, c_miss {c_miss}, c_fa {c_fa}")
    weight_miss, weight_fa = c_miss * p_target, c_fa * (1 - p_target)
    return float((weight_miss * miss + weight_fa * false_alarm).min() / min(weight_miss, weight_fa))


def evaluate(target_scores: ArrayLike, nontarget_scores: ArrayLike) -> dict[str, float | int]:
    """The figures of one line of results.json, from one sort of the scores.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.

    Returns
    -------
    dict
        ``eer_percent``, ``min_dcf_0.01``, ``min_dcf_0.05``, ``min_dcf`` (the one at 0.01), ``targets``, ``nontargets``.
    """
    _, miss, false_alarm = error_rates(target_scores, nontarget_scores)
    costs = {f"min_dcf_{p_target}": round(lowest_cost(miss, false_alarm, p_target), 6) for p_target in P_TARGETS}
    return {
        "eer_percent": round(100 * crossing(miss, false_alarm), 4), "min_dcf": costs["min_dcf_0.01"], **costs,
        "targets": len(target_scores), "nontargets": len(nontarget_scores),
    }


def det_points(miss: np.ndarray, false_alarm: np.ndarray, num_points: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Error rates at which both kinds of error occur, thinned to what a plot can show.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    num_points : int
        About how many points are kept, evenly spaced along the curve as it looks on log-odds axes, which are close to probit ones.

    Returns
    -------
    miss, false_alarm : (P,) float arrays
        In the order given; of a detector without errors the corner (0, 0) alone.
    """
    inside = (miss > 0) & (miss < 1) & (false_alarm > 0) & (false_alarm < 1)
    if not inside.any():
        corner = [int(np.argmin(miss + false_alarm))]
        return miss[corner], false_alarm[corner]
    miss, false_alarm = miss[inside], false_alarm[inside]
    steps = np.hypot(np.diff(log_odds(miss)), np.diff(log_odds(false_alarm)))
    length = np.append(0, np.cumsum(steps))
    piece = np.floor(length / max(length[-1], 1e-9) * num_points)
    kept = np.append(True, piece[1:] != piece[:-1])
    kept[-1] = True
    return miss[kept], false_alarm[kept]


def log_odds(rate: np.ndarray) -> np.ndarray:
    """Logarithm of rate / (1 - rate).

    Parameters
    ----------
    rate : float array
        In (0, 1).
    """
    return np.log(rate) - np.log1p(-rate)


def histogram(target_scores: np.ndarray, nontarget_scores: np.ndarray, num_bins: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both score distributions in shared bins.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        Finite scores.
    num_bins : int
        Number of bins of equal width from the lowest to the highest score.

    Returns
    -------
    edges, target, nontarget : (num_bins + 1,), (num_bins,) and (num_bins,) float arrays
        Bin edges in units of the score; share of each class in each bin, each summing to 1.
    """
    both = np.concatenate([target_scores, nontarget_scores])
    edges = np.histogram_bin_edges(both, num_bins)
    return edges, np.histogram(target_scores, edges)[0] / len(target_scores), np.histogram(nontarget_scores, edges)[0] / len(nontarget_scores)
