"""Data for DET curves, histograms and tables of error rates."""

from collections.abc import Sequence

import numpy as np

# round values of either error rate, at which `rate_table` has rows
RATES = (0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2)


def det_positions(miss: np.ndarray, false_alarm: np.ndarray, num_points: int = 300) -> np.ndarray:
    """Indices (P,) of about ``num_points`` thresholds, evenly spaced along the DET curve.

    ``miss`` and ``false_alarm`` (K + 1,) are from `error_rates`.  Spaced on log-odds axes, which
    are close to probit ones, where both kinds of error occur; for a detector without errors only
    the corner (0, 0).
    """
    inside = np.flatnonzero((miss > 0) & (miss < 1) & (false_alarm > 0) & (false_alarm < 1))
    if not len(inside):
        return np.array([int(np.argmin(miss + false_alarm))])
    miss, false_alarm = miss[inside], false_alarm[inside]
    steps = np.hypot(np.diff(log_odds(miss)), np.diff(log_odds(false_alarm)))
    length = np.append(0, np.cumsum(steps))
    piece = np.floor(length / max(length[-1], 1e-9) * num_points)
    kept = np.append(True, piece[1:] != piece[:-1])
    kept[-1] = True
    return inside[kept]


def det_points(
    miss: np.ndarray, false_alarm: np.ndarray, num_points: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Miss and false-alarm rates (P,) at `det_positions`."""
    kept = det_positions(miss, false_alarm, num_points)
    return miss[kept], false_alarm[kept]


def rate_table(
    thresholds: np.ndarray,
    miss: np.ndarray,
    false_alarm: np.ndarray,
    rates: Sequence[float] = RATES,
) -> list[tuple[float, float, float]]:
    """Rows (threshold, false-alarm rate, miss rate) at round error rates, by growing thresholds.

    For each of ``rates``: the lowest threshold with at most that false-alarm rate, and the highest
    with at most that miss rate; and the threshold where both rates are closest.  Rejecting every
    trial has no row.
    """
    lowest = np.searchsorted(-false_alarm, -np.asarray(rates), "left")
    highest = np.searchsorted(miss, rates, "right") - 1
    equal = np.argmin(np.abs(miss - false_alarm))
    indices = np.unique([*lowest, *highest, equal])
    indices = indices[np.isfinite(thresholds[indices])]
    columns = thresholds[indices], false_alarm[indices], miss[indices]
    return [(float(a), float(b), float(c)) for a, b, c in zip(*columns, strict=True)]


def miss_band(
    miss: np.ndarray,
    false_alarm: np.ndarray,
    drawn_miss: np.ndarray,
    drawn_false_alarm: np.ndarray,
    reach: float,
    floor: float = 1e-4,
) -> tuple[np.ndarray, np.ndarray]:
    """Band (low, high) of the miss rate at the false-alarm rate of each point of a DET curve.

    ``miss`` and ``false_alarm`` (P,) are the curve, from accept-all towards reject-all; ``drawn_*``
    (P, R) the rates at the same thresholds in R replicates.  The band reaches ``reach`` standard
    deviations on the log-odds scale; rates below ``floor`` are raised to it.
    """

    def clipped_log_odds(rate: np.ndarray) -> np.ndarray:
        return log_odds(np.clip(rate, floor, 1 - floor))

    is_finite = np.isfinite(drawn_miss).all(axis=0)
    positions = clipped_log_odds(false_alarm)
    drawn_miss = clipped_log_odds(drawn_miss[:, is_finite])
    drawn_false_alarm = clipped_log_odds(drawn_false_alarm[:, is_finite])
    curves = []
    for one_miss, one_false_alarm in zip(drawn_miss.T, drawn_false_alarm.T, strict=True):
        # reversed, since false alarms fall along the curve
        curve = np.interp(positions, one_false_alarm[::-1], one_miss[::-1])
        curves.append(curve)
    spread = np.full(len(miss), np.inf)
    if len(curves) > 1:
        spread = reach * np.std(curves, axis=0, ddof=1)
    middle = clipped_log_odds(miss)
    low = 1 / (1 + np.exp(-(middle - spread)))
    high = 1 / (1 + np.exp(-(middle + spread)))
    return low, high


def log_odds(rate: np.ndarray) -> np.ndarray:
    """Logarithm of rate / (1 - rate), of rates in (0, 1)."""
    return np.log(rate) - np.log1p(-rate)


def histogram(
    target_scores: np.ndarray, nontarget_scores: np.ndarray, num_bins: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin edges (num_bins + 1,), and the share of each class in each of the equal bins."""
    both = np.concatenate([target_scores, nontarget_scores])
    edges = np.histogram_bin_edges(both, num_bins)
    target = np.histogram(target_scores, edges)[0] / len(target_scores)
    nontarget = np.histogram(nontarget_scores, edges)[0] / len(nontarget_scores)
    return edges, target, nontarget
