"""Speakers drawn again: what the replicates must be, and what they say about simulated systems."""

import numpy as np
import pytest

from utils.bootstrap import eer_replicates, interval, p_value
from utils.metrics import equal_error_rate


def trials_of(num_speakers, per_speaker, separation, seed):
    """Scores of trials between speakers whose distance to others varies, as it does with real ones."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(num_speakers), per_speaker)
    enrol, test = (index.ravel() for index in np.triu_indices(len(speakers), 1))
    is_target = speakers[enrol] == speakers[test]
    goat = rng.normal(0, 0.5, num_speakers)
    scores = separation * is_target + goat[speakers[enrol]] + goat[speakers[test]] + rng.normal(0, 1, len(enrol))
    names = [f"speaker{k:03d}" for k in speakers]
    return scores, is_target, [names[k] for k in enrol], [names[k] for k in test]


def test_each_replicate_equals_the_eer_of_the_repeated_trials():
    scores, is_target, enrol, test = trials_of(8, 3, 2.0, seed=0)
    names = np.unique(enrol)
    rng = np.random.default_rng(5)
    expected = []
    for _ in range(20):
        times = dict(zip(names, np.bincount(rng.integers(8, size=8), minlength=8), strict=True))
        weight = np.array([times[a] if target else times[a] * times[b] for a, b, target in zip(enrol, test, is_target, strict=True)])
        expected.append(equal_error_rate(np.repeat(scores, weight * is_target), np.repeat(scores, weight * ~is_target)))
    assert eer_replicates(scores, is_target, enrol, test, replicates=20, seed=5) == pytest.approx(expected)


def test_same_seed_same_replicates_and_another_seed_others():
    trials = trials_of(10, 3, 2.0, seed=1)
    first = eer_replicates(*trials, replicates=50, seed=3)
    assert np.array_equal(first, eer_replicates(*trials, replicates=50, seed=3))
    assert not np.array_equal(first, eer_replicates(*trials, replicates=50, seed=4))


def test_order_of_trials_does_not_matter():
    scores, is_target, enrol, test = trials_of(10, 3, 2.0, seed=2)
    turned = eer_replicates(scores[::-1], is_target[::-1], enrol[::-1], test[::-1], replicates=50)
    assert turned == pytest.approx(eer_replicates(scores, is_target, enrol, test, replicates=50))


def test_paired_difference_sees_what_single_intervals_hide():
    """A system that is a little better on every trial: the intervals overlap, the interval of the paired difference excludes zero."""
    scores, is_target, enrol, test = trials_of(30, 4, 2.0, seed=3)
    better = scores + 0.35 * is_target
    worse_draws, better_draws = (eer_replicates(values, is_target, enrol, test, replicates=400) for values in (scores, better))
    low, high = interval(worse_draws - better_draws)
    print(f"worse {interval(worse_draws)}, better {interval(better_draws)}, difference {low:.4f} to {high:.4f}")
    assert interval(better_draws)[1] > interval(worse_draws)[0]
    assert low > 0
    assert p_value(worse_draws - better_draws) < 0.01


def test_p_value_by_hand():
    assert p_value(np.array([1.0] * 99)) == pytest.approx(2 * 1 / 100)
    assert p_value(np.array([1.0] * 50 + [-1.0] * 49)) == pytest.approx(1.0)
    assert p_value(np.zeros(99)) == 1.0
