"""What a threshold decides: at each operating point the threshold that one would take, and its errors.

A log-likelihood ratio has its threshold from the prior and the costs alone (Bayes).  Other scores
have it from trials: from those of a dev list where there is one, since a threshold that was found
on the test list looks better there than anywhere else.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from utils.metrics.llr import bayes_threshold

DEV = "dev"  # by this name a set is no test, whatever an option says
Rates = tuple[np.ndarray, np.ndarray, np.ndarray]  # thresholds, misses, false alarms
Thresholds = Mapping[str, float]  # operating point -> the lowest score that is accepted


def dev_last(names: Sequence[str], tuned: Sequence[str] = ()) -> list[str]:
    """Test sets before those that thresholds and calibrations may be learnt from, else as given.

    Parameters
    ----------
    names : sequence of str
        All sets.
    tuned : sequence of str
        Those that are no test.
    """
    return sorted(names, key=lambda name: name in tuned or name == DEV)


def cheapest_thresholds(rates: Rates, points: Mapping[str, float]) -> dict[str, float]:
    """The threshold of the lowest cost at each operating point; infinite where refusing all is it.

    Parameters
    ----------
    rates : three (K + 1,) float arrays
        Thresholds, miss and false-alarm rates, as of `utils.metrics.rates.error_rates`.
    points : mapping of str to float
        Effective prior of each operating point, by its name.
    """
    thresholds, miss, false_alarm = rates
    found = {}
    for point, prior in points.items():
        cost = prior * miss + (1 - prior) * false_alarm
        found[point] = float(thresholds[int(np.argmin(cost))])
    return found


def decisions_at(
    scores: np.ndarray,
    is_target: np.ndarray,
    points: Mapping[str, float],
    thresholds: Thresholds | None,
    chosen_on: str | None,
) -> list[dict]:
    """What is refused and accepted at the threshold of each operating point.

    Parameters
    ----------
    scores, is_target : (N,) float and bool arrays
        The trials that are decided on, of both classes.
    points : mapping of str to float
        Effective prior of each operating point, by its name.
    thresholds : mapping of str to float or None
        Found elsewhere, by `cheapest_thresholds`; None: Bayes' thresholds, of log-likelihood ratios.
    chosen_on : str or None
        Name of the set that they were found on; None: Bayes.

    Returns
    -------
    list of dict
        ``point``, ``prior`` (effective), ``bayes_threshold``, ``threshold`` (the lowest score that
        is accepted; None: nothing is), ``chosen_on``, ``miss`` and ``false_alarm`` (shares).
    """
    found = []
    for point, prior in points.items():
        bayes = bayes_threshold(prior)
        threshold = bayes if thresholds is None else thresholds[point]
        accepted = scores >= threshold
        found.append(
            {
                "point": point,
                "prior": float(f"{prior:.6g}"),
                "bayes_threshold": float(f"{bayes:.6g}"),
                "threshold": float(f"{threshold:.6g}") if np.isfinite(threshold) else None,
                "chosen_on": chosen_on,
                "miss": float(f"{1 - accepted[is_target].mean():.6g}"),
                "false_alarm": float(f"{accepted[~is_target].mean():.6g}"),
            }
        )
    return found
