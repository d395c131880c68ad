"""How large error rates may be: approximate upper bounds, one-sided, 95 %.

Trials that share a speaker depend on each other, and so do pairs of speakers.  The rates are means
over speakers (misses) and pairs of speakers (false alarms).  A jackknife over speakers gives their
variance, and so the number of independent speakers or pairs that would vary as much, at most as
many as there are.  With that number, and the errors in it rounded up, the bound is that of Clopper
and Pearson; or the 95th percentile of a speaker bootstrap, where that is larger.

References
----------
Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
binomial", Biometrika 26, 1934.  Efron and Stein, "The jackknife estimate of variance", Annals of
Statistics 9, 1981.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from utils.metrics.bootstrap import drawn_weights

LEVEL = 0.95
REPLICATES, SEED = 1000, 0
LARGEST_NUMBER = 100_000  # of speakers that a forecast tries
LEAST_SPEAKERS = 5


@dataclass(frozen=True)
class Bound:
    """An error rate, its upper bound, the number of units behind it, and the effective one."""

    rate: float
    bound: float
    number: int
    effective: float

    def scaled(self, number: int) -> float:
        """The bound that the same rate would have with another number of units."""
        return largest_rate(self.rate, number * self.effective / self.number)


@dataclass(frozen=True)
class Errors:
    """Errors at one threshold: of each target speaker, and of each pair of speakers.

    ``misses`` (K,) are rates of K speakers, ``false_alarms`` (S, S) of each pair, symmetric, 0
    where ``has_trials`` (S, S) is False: on the diagonal, at least.
    """

    misses: np.ndarray
    false_alarms: np.ndarray
    has_trials: np.ndarray


@dataclass(frozen=True)
class Bounds:
    """Bounds of both errors, and of the normalised cost at an effective prior."""

    miss: Bound
    false_alarm: Bound
    prior: float

    @property
    def cost(self) -> float:
        """The normalised cost of the rates: 1 is that of the better of the two fixed answers."""
        return normalised_cost(self.miss.rate, self.false_alarm.rate, self.prior)

    @property
    def cost_bound(self) -> float:
        """The normalised cost of both bounds."""
        return normalised_cost(self.miss.bound, self.false_alarm.bound, self.prior)

    def speakers_needed(self) -> int | None:
        """About how many speakers would bring the cost's bound below 1, at the same rates.

        None if no number would.
        """
        if self.cost >= 1:
            return None
        low, high = LEAST_SPEAKERS - 1, LEAST_SPEAKERS
        while self._cost_of(high) >= 1:
            low, high = high, 2 * high
            if high > LARGEST_NUMBER:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if self._cost_of(middle) >= 1:
                low = middle
            else:
                high = middle
        return high

    def _cost_of(self, speakers: int) -> float:
        miss = self.miss.scaled(speakers)
        false_alarm = self.false_alarm.scaled(speakers * (speakers - 1) // 2)
        return normalised_cost(miss, false_alarm, self.prior)


def normalised_cost(miss: float, false_alarm: float, prior: float) -> float:
    """Detection cost over that of the better fixed answer, at an effective prior."""
    return (prior * miss + (1 - prior) * false_alarm) / min(prior, 1 - prior)


def largest_rate(rate: float, number: float) -> float:
    """Clopper and Pearson's upper bound of a rate seen in a number of independent units.

    The number of errors is rounded up.
    """
    from scipy.special import betaincinv

    errors = np.ceil(rate * number - 1e-9)
    if errors >= number:
        return 1.0
    return float(betaincinv(errors + 1, number - errors, LEVEL))


@lru_cache(maxsize=2)
def _draws(num_speakers: int) -> np.ndarray:
    """How often each speaker is drawn in each replicate, (S, R) float64."""
    draws = drawn_weights(num_speakers, REPLICATES, SEED)[:-1].astype(float)
    draws.flags.writeable = False
    return draws


def error_bounds(errors: Errors, prior: float) -> Bounds:
    """Rates and their bounds."""
    return Bounds(miss_bound(errors), false_alarm_bound(errors), prior)


def miss_bound(errors: Errors) -> Bound:
    """The miss rate of the mean speaker."""
    misses = errors.misses
    number = len(misses)
    rate = float(misses.mean())
    variance = 0.0
    if number > 1:
        variance = float(misses.var(ddof=1)) / number
    return _bound(rate, variance, number, misses @ _draws(number) / number)


def false_alarm_bound(errors: Errors) -> Bound:
    """The false-alarm rate of the mean pair of speakers."""
    alarms, has_trials = errors.false_alarms, errors.has_trials.astype(float)
    size, total, pairs = len(alarms), alarms.sum(), has_trials.sum()
    number = int(pairs) // 2
    rate = float(total / pairs)
    left = pairs - 2 * has_trials.sum(axis=1)
    variance = 0.0
    if size > 2 and (left > 0).all():
        without = (total - 2 * alarms.sum(axis=1)) / left
        variance = float((size - 1) * without.var())
    draws = _draws(size)
    drawn_pairs = ((has_trials @ draws) * draws).sum(axis=0)
    drawn = ((alarms @ draws) * draws).sum(axis=0)
    return _bound(rate, variance, number, drawn / np.maximum(drawn_pairs, 1))


def _bound(rate: float, variance: float, number: int, draws: np.ndarray) -> Bound:
    """The bound from the jackknife's variance, or from draws (R,) where that is larger."""
    effective = float(number)
    if variance > 0:
        effective = min(effective, max(1.0, rate * (1 - rate) / variance))
    bound = max(largest_rate(rate, effective), float(np.quantile(draws, LEVEL)))
    return Bound(rate, bound, number, effective)
