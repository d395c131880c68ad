"""Decisions at a threshold: the threshold of each operating point, and its errors.

Log-likelihood ratios have Bayes' threshold, from the prior and the costs alone.  Thresholds of
other scores are chosen on trials: those of a dev list if there is one, since a threshold that was
chosen on the test list looks better there than on any other.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from utils.metrics.llr import bayes_threshold

DEV = "dev"  # a set of this name is never a test set
Rates = tuple[np.ndarray, np.ndarray, np.ndarray]  # thresholds, misses, false alarms
Thresholds = Mapping[str, float]  # operating point -> the lowest score that is accepted


def dev_last(names: Sequence[str], tuned: Sequence[str] = ()) -> list[str]:
    """Test sets first, then those that thresholds and calibrations may be learned from."""
    return sorted(names, key=lambda name: name in tuned or name == DEV)


def cheapest_thresholds(rates: Rates, points: Mapping[str, float]) -> dict[str, float]:
    """The threshold of the lowest cost at each operating point; infinite: everything is rejected.

    ``rates`` are thresholds, miss and false-alarm rates (K + 1,) of `error_rates`.
    """
    thresholds, miss, false_alarm = rates
    chosen = {}
    for point, prior in points.items():
        cost = prior * miss + (1 - prior) * false_alarm
        chosen[point] = float(thresholds[int(np.argmin(cost))])
    return chosen


def decisions_at(
    scores: np.ndarray,
    is_target: np.ndarray,
    points: Mapping[str, float],
    thresholds: Thresholds | None,
    chosen_on: str | None,
) -> list[dict]:
    """Errors at the threshold of each operating point, for N trials of both classes.

    ``thresholds`` are from `cheapest_thresholds`, on the set ``chosen_on``; None: Bayes'
    thresholds. An entry has ``point``, ``prior`` (effective), ``bayes_threshold``, ``threshold``
    (the lowest score that is accepted; None: none is), ``chosen_on``, ``miss`` and ``false_alarm``
    (shares).
    """
    decisions = []
    for point, prior in points.items():
        bayes = bayes_threshold(prior)
        threshold = bayes
        if thresholds is not None:
            threshold = thresholds[point]
        accepted = scores >= threshold
        decision = {
            "point": point,
            "prior": float(f"{prior:.6g}"),
            "bayes_threshold": float(f"{bayes:.6g}"),
            "threshold": None,
            "chosen_on": chosen_on,
            "miss": float(f"{1 - accepted[is_target].mean():.6g}"),
            "false_alarm": float(f"{accepted[~is_target].mean():.6g}"),
        }
        if np.isfinite(threshold):
            decision["threshold"] = float(f"{threshold:.6g}")
        decisions.append(decision)
    return decisions
