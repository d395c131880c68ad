"""Speakers drawn again: what the replicates must be."""

import numpy as np
import pytest

from utils.metrics.bootstrap import (
    drawn_weights,
    running_sums,
    sort_trials,
    speaker_rows,
    weighted_figures,
    weighted_rates,
)
from utils.metrics.rates import equal_error_rate, error_rates, min_detection_cost


def trials_of(num_speakers, per_speaker, separation, seed, digits=9):
    """Scores of trials between speakers who are unevenly distant, with ties (few digits)."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(num_speakers), per_speaker)
    enrol, test = (index.ravel() for index in np.triu_indices(len(speakers), 1))
    is_target = speakers[enrol] == speakers[test]
    goat = rng.normal(0, 0.5, num_speakers)
    scores = np.round(
        separation * is_target
        + goat[speakers[enrol]]
        + goat[speakers[test]]
        + rng.normal(0, 1, len(enrol)),
        digits,
    )
    names = np.array([f"speaker{k:03d}" for k in speakers])
    return scores, is_target, names[enrol], names[test]


def figures(scores, is_target, enrol, test, replicates=50, seed=0):
    """EER and minDCF of the replicates."""
    size, left, right = speaker_rows(enrol, test, is_target)
    return weighted_figures(
        sort_trials(scores, is_target, left, right), drawn_weights(size, replicates, seed)
    )


@pytest.mark.parametrize(("per_speaker", "digits"), [(3, 9), (3, 1), (3, 0), (20, 1)])
def test_each_replicate_equals_the_figures_of_the_repeated_trials(per_speaker, digits):
    """With ties and without, of few trials and of several blocks of them."""
    scores, is_target, enrol, test = trials_of(8, per_speaker, 2.0, seed=0, digits=digits)
    found = figures(scores, is_target, enrol, test, replicates=70, seed=5)
    size, left, right = speaker_rows(enrol, test, is_target)
    weights = drawn_weights(size, 70, 5)
    for replicate in range(70):
        times = (weights[left, replicate] * weights[right, replicate]).astype(int)
        target, nontarget = (
            np.repeat(scores, times * is_target),
            np.repeat(scores, times * ~is_target),
        )
        assert found["eer_percent"][replicate] == pytest.approx(
            100 * equal_error_rate(target, nontarget), abs=1e-4
        )
        for p in (0.01, 0.05):
            assert found[f"min_dcf_{p}"][replicate] == pytest.approx(
                min_detection_cost(target, nontarget, p), abs=1e-4
            )


def test_a_target_trial_counts_as_its_speaker_and_a_nontarget_one_as_both():
    size, left, right = speaker_rows(
        ["a", "a", "b"], ["a", "b", "c"], np.array([True, False, False])
    )
    assert size == 3
    weights = np.array([[2], [3], [5], [1]], np.float32)
    assert (weights[left] * weights[right]).ravel().tolist() == [2, 6, 15]


def test_weights_are_draws_with_replacement_that_depend_on_seed_and_number_alone():
    weights = drawn_weights(10, 2000, 1)
    assert np.array_equal(weights, drawn_weights(10, 2000, 1))
    assert not np.array_equal(weights, drawn_weights(10, 2000, 2))
    assert (weights[:-1].sum(axis=0) == 10).all()
    assert (weights[-1] == 1).all()
    assert weights[:-1].mean(axis=1) == pytest.approx(np.ones(10), abs=0.1)


@pytest.mark.parametrize("digits", [9, 0])
def test_order_of_trials_does_not_matter(digits):
    trials = trials_of(10, 3, 2.0, seed=2, digits=digits)
    turned = figures(*(column[::-1] for column in trials))
    for name, values in figures(*trials).items():
        assert turned[name] == pytest.approx(values, abs=1e-4)


def test_a_draw_without_a_class_has_no_figures():
    scores, is_target = np.array([1.0, 0.0, 2.0, 0.5]), np.array([True, False, True, False])
    found = figures(scores, is_target, ["a", "a", "b", "b"], ["a", "b", "b", "a"], replicates=200)
    lost = np.isnan(found["eer_percent"])
    print(f"{lost.sum()} of 200 draws took one speaker twice")
    assert 60 < lost.sum() < 140
    assert np.array_equal(lost, np.isnan(found["min_dcf_0.01"]))


def test_rates_at_thresholds_equal_those_of_the_repeated_trials():
    scores, is_target, enrol, test = trials_of(6, 12, 2.0, seed=4)
    size, left, right = speaker_rows(enrol, test, is_target)
    weights = drawn_weights(size, 20, 3)
    positions = np.array([0, 5, 700, 701, 2500, len(scores)])
    miss, false_alarm = weighted_rates(
        sort_trials(scores, is_target, left, right), weights, positions
    )
    order = np.argsort(scores)
    for replicate in range(20):
        times = weights[left, replicate] * weights[right, replicate]
        for place, position in enumerate(positions):
            below = order[:position]
            assert miss[place, replicate] == pytest.approx(
                (times * is_target)[below].sum() / times[is_target].sum()
            )
            assert 1 - false_alarm[place, replicate] == pytest.approx(
                (times * ~is_target)[below].sum() / times[~is_target].sum()
            )


def test_weights_of_one_change_nothing():
    scores, is_target, enrol, test = trials_of(8, 5, 2.0, seed=6)
    _, left, right = speaker_rows(enrol, test, is_target)
    found = weighted_figures(
        sort_trials(scores, is_target, left, right), np.ones((9, 1), np.float32)
    )
    assert found["eer_percent"][0] == pytest.approx(
        100 * equal_error_rate(scores[is_target], scores[~is_target]), abs=1e-4
    )
    assert len(error_rates(scores[is_target], scores[~is_target])[0]) > 500


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 64, 100])
def test_running_sums_are_cumulative(rows):
    values = np.random.default_rng(rows).integers(0, 5, (rows, 7)).astype(np.float32)
    assert np.array_equal(running_sums(values), np.cumsum(values, axis=0))
