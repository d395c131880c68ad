"""Cllr and actual costs under draws of the speakers, against repeating the trials."""

import numpy as np
import pytest

from utils.metrics.bootstrap import (
    drawn_weights,
    speaker_rows,
    weighted_llr_figures,
    weighted_means,
)
from utils.metrics.intervals import interval
from utils.metrics.llr import actual_cost, cllr


@pytest.fixture
def trials():
    """Scores, classes and the weights' rows of trials of five speakers."""
    rng = np.random.default_rng(3)
    enrol, test = rng.integers(5, size=(2, 200))
    is_target = enrol == test
    names = np.array([f"s{k}" for k in range(5)])
    size, left, right = speaker_rows(names[enrol], names[test], is_target)
    return rng.normal(2.0 * is_target - 1, 2), is_target, left, right, size


def test_each_replicate_equals_the_figures_of_the_repeated_trials(trials):
    scores, is_target, left, right, size = trials
    weights = drawn_weights(size, 20, 1)
    found = weighted_llr_figures(
        scores, is_target, left, right, weights, {"0.01": 0.01, "0.2": 0.2}
    )
    assert set(found) == {"cllr", "act_dcf_0.01", "act_dcf_0.2"}
    compared = 0
    for replicate in range(20):
        times = (weights[left, replicate] * weights[right, replicate]).astype(int)
        target, nontarget = (
            np.repeat(scores[kind], times[kind]) for kind in (is_target, ~is_target)
        )
        if len(target) and len(nontarget):
            compared += 1
            assert found["cllr"][replicate] == pytest.approx(cllr(target, nontarget))
            assert found["act_dcf_0.2"][replicate] == pytest.approx(
                actual_cost(target, nontarget, 0.2)
            )
            assert found["act_dcf_0.01"][replicate] == pytest.approx(
                actual_cost(target, nontarget, 0.01)
            )
    assert compared > 15


def test_a_draw_without_a_class_has_no_figures(trials):
    scores, is_target, left, right, size = trials
    weights = np.zeros((size + 1, 1), np.float32)
    weights[[0, -1]] = 1  # one speaker alone: no nontarget trial is left
    found = weighted_llr_figures(scores, is_target, left, right, weights)
    assert np.isnan(found["cllr"]).all()
    assert np.isnan(found["act_dcf_0.01"]).all()


def test_weighted_means_by_hand():
    weights = np.array([[1, 2], [3, 0]], np.float32)
    means = weighted_means(np.array([[1.0], [5.0]]), np.array([0, 1]), np.array([0, 0]), weights)
    assert means[0] == pytest.approx([(1 * 1 + 3 * 5) / 4, 1])


def test_figures_that_may_exceed_1_have_an_interval_on_the_logarithmic_scale():
    drawn = np.exp(np.random.default_rng(0).normal(np.log(1.4), 0.1, 2000))
    low, high = interval(1.4, drawn, 1000, bounded=False)
    assert (low * high) ** 0.5 == pytest.approx(1.4)
    assert high / 1.4 == pytest.approx(np.exp(0.196), rel=0.02)
