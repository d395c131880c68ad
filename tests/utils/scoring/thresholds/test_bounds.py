"""Upper bounds of error rates: numbers by head, the jackknife, and how many speakers would do."""

import numpy as np
import pytest
from scipy.stats import binom

from utils.scoring.thresholds.bounds import (
    Errors,
    error_bounds,
    false_alarm_bound,
    largest_rate,
    miss_bound,
)


def errors(misses, alarms=None):
    size = len(misses)
    if alarms is None:
        alarms = np.zeros((size, size))
    return Errors(np.asarray(misses, float), alarms, ~np.eye(size, dtype=bool))


def one_pair(size, rate):
    alarms = np.zeros((size, size))
    alarms[0, 1] = alarms[1, 0] = rate
    return alarms


def test_without_an_error_the_bound_is_what_so_many_could_hide():
    bounds = error_bounds(errors(np.zeros(8)), 0.5)
    assert bounds.miss.bound == pytest.approx(1 - 0.05 ** (1 / 8))  # 0.31
    assert bounds.false_alarm.bound == pytest.approx(1 - 0.05 ** (1 / 28))  # 0.10
    assert (bounds.miss.number, bounds.false_alarm.number) == (8, 28)


@pytest.mark.parametrize(("prior", "cost"), [(0.01, 10.4), (0.05, 2.24), (0.5, 0.414)])
def test_eight_speakers_without_an_error_have_these_costs(prior, cost):
    bounds = error_bounds(errors(np.zeros(8)), prior)
    assert bounds.cost == 0
    assert bounds.cost_bound == pytest.approx(cost, rel=0.005)


def test_the_bound_is_clopper_and_pearsons_with_errors_rounded_up():
    bound = largest_rate(0.21, 10)  # 2.1 errors of 10: 3
    assert binom.cdf(3, 10, bound) == pytest.approx(0.05)
    assert largest_rate(0.2, 10) == pytest.approx(largest_rate(0.11, 10))
    assert largest_rate(1.0, 10) == largest_rate(0.95, 10) == 1


def test_the_effective_number_of_speakers_is_that_of_a_jackknife():
    misses = np.array([0.9, 0, 0, 0, 0, 0.1, 0, 0.2])
    without = np.array([np.delete(misses, k).mean() for k in range(8)])
    variance = 7 / 8 * np.square(without - without.mean()).sum()
    rate = misses.mean()
    found = miss_bound(errors(misses))
    assert found.effective == pytest.approx(min(8, rate * (1 - rate) / variance))
    all_or_none = miss_bound(errors([1.0, 0, 0, 0, 0, 0, 0, 0]))
    assert all_or_none.effective == pytest.approx(7)  # 8 - 1: the jackknife's factor


def test_the_effective_number_of_pairs_is_that_of_a_jackknife_over_speakers():
    rng = np.random.default_rng(0)
    alarms = np.zeros((9, 9))
    alarms[0] = alarms[:, 0] = 0.5  # one speaker whom all others resemble
    alarms += np.triu(rng.uniform(0, 0.02, (9, 9)), 1)
    alarms = np.triu(alarms, 1) + np.triu(alarms, 1).T
    without = []
    for speaker in range(9):
        kept = np.delete(np.arange(9), speaker)
        part = alarms[np.ix_(kept, kept)]
        without.append(part.sum() / (8 * 7))
    variance = 8 / 9 * np.square(without - np.mean(without)).sum()
    found = false_alarm_bound(errors(np.zeros(9), alarms))
    assert found.rate == pytest.approx(alarms.sum() / 72)
    assert found.effective == pytest.approx(found.rate * (1 - found.rate) / variance)
    assert found.effective < 10  # of 36 pairs: they share the speaker
    assert found.bound > largest_rate(found.rate, 36)


def test_no_more_speakers_count_than_there_are():
    found = miss_bound(errors(np.full(8, 0.1) + 0.001 * np.arange(8)))
    assert found.effective == 8
    assert found.bound >= 1 - 0.05 ** (1 / 8)


def test_pairs_without_trials_do_not_count():
    has_trials = ~np.eye(4, dtype=bool)
    has_trials[2, 3] = has_trials[3, 2] = False
    found = false_alarm_bound(Errors(np.zeros(4), one_pair(4, 1.0), has_trials))
    assert found.number == 5
    assert found.rate == pytest.approx(1 / 5)


def test_about_as_many_speakers_would_do_as_bring_the_cost_below_1():
    bounds = error_bounds(errors(np.zeros(8)), 0.01)
    needed = bounds.speakers_needed()
    for size, holds in ((needed - 1, False), (needed, True)):
        assert (error_bounds(errors(np.zeros(size)), 0.01).cost_bound < 1) is holds
    hopeless = error_bounds(errors(np.full(8, 0.5), 0.5 * ~np.eye(8, dtype=bool)), 0.5)
    assert hopeless.cost == pytest.approx(1)
    assert hopeless.speakers_needed() is None
