"""What a plot of scores needs: a few of the error rates, shares in bins, how the scores of a fitted rule lie."""

from collections.abc import Sequence

import numpy as np

# of one kind of error at which a table shows the other
RATES = (0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2)


def det_positions(miss: np.ndarray, false_alarm: np.ndarray, num_points: int = 300) -> np.ndarray:
    """Places of a few points where both kinds of error occur, thinned to what a plot can show.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    num_points : int
        About how many points are kept, evenly spaced along the curve as it looks on log-odds axes, which are close to probit ones.

    Returns
    -------
    (P,) int array
        Growing; of a detector without errors the corner (0, 0) alone.
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
    """Error rates at `det_positions`: miss, false_alarm : (P,) float arrays.

    Parameters
    ----------
    miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    num_points : int
        As there.
    """
    kept = det_positions(miss, false_alarm, num_points)
    return miss[kept], false_alarm[kept]


def rate_table(
    thresholds: np.ndarray,
    miss: np.ndarray,
    false_alarm: np.ndarray,
    rates: Sequence[float] = RATES,
) -> list[tuple[float, float, float]]:
    """Both error rates (FAR, FRR) where either is just within a round rate, and where they are equal or closest to it.

    Parameters
    ----------
    thresholds, miss, false_alarm : (K + 1,) float arrays
        From `error_rates`.
    rates : sequence of float
        Round rates, in (0, 1).

    Returns
    -------
    list of (threshold, false alarms, misses)
        By growing thresholds; a rate that only rejecting everything could reach has no row.
    """
    lowest = np.searchsorted(-false_alarm, -np.asarray(rates), "left")
    highest = np.searchsorted(miss, rates, "right") - 1
    places = sorted(
        {*lowest.tolist(), *highest.tolist(), int(np.argmin(np.abs(miss - false_alarm)))}
    )
    return [
        (float(thresholds[k]), float(false_alarm[k]), float(miss[k]))
        for k in places
        if np.isfinite(thresholds[k])
    ]


def miss_band(
    miss: np.ndarray,
    false_alarm: np.ndarray,
    drawn_miss: np.ndarray,
    drawn_false_alarm: np.ndarray,
    reach: float,
    floor: float = 1e-4,
) -> tuple[np.ndarray, np.ndarray]:
    """Band of a DET curve: at the false-alarm rate of each of its points, the interval of the miss rate.

    Parameters
    ----------
    miss, false_alarm : (P,) float arrays
        The curve, from accept-all towards reject-all.
    drawn_miss, drawn_false_alarm : (P, R) float arrays
        The same thresholds under R draws of the speakers.
    reach : float
        How many standard deviations, on the log-odds scale, the band reaches to either side.
    floor : float
        Rates below it are taken as it: half an error of the rarer class is a good one.

    Returns
    -------
    low, high : (P,) float arrays
        Miss rates.
    """

    def held(rate: np.ndarray) -> np.ndarray:
        return log_odds(np.clip(rate, floor, 1 - floor))

    there = np.isfinite(drawn_miss).all(axis=0)
    places = held(false_alarm)
    drawn = zip(held(drawn_miss[:, there]).T, held(drawn_false_alarm[:, there]).T, strict=True)
    curves = [  # turned round, since false alarms fall along the curve
        np.interp(places, one_false_alarm[::-1], one_miss[::-1])
        for one_miss, one_false_alarm in drawn
    ]
    spread = np.full(len(miss), np.inf)
    if len(curves) > 1:
        spread = reach * np.std(curves, axis=0, ddof=1)
    low, high = (1 / (1 + np.exp(-(held(miss) + side * spread))) for side in (-1, 1))
    return low, high


def log_odds(rate: np.ndarray) -> np.ndarray:
    """Logarithm of rate / (1 - rate).

    Parameters
    ----------
    rate : float array
        In (0, 1).
    """
    return np.log(rate) - np.log1p(-rate)


def histogram(
    target_scores: np.ndarray, nontarget_scores: np.ndarray, num_bins: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    return (
        edges,
        np.histogram(target_scores, edges)[0] / len(target_scores),
        np.histogram(nontarget_scores, edges)[0] / len(nontarget_scores),
    )
