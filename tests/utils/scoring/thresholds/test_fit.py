"""One fit: offset and slope of the ratio, the offset alone, and a threshold of scores."""

import numpy as np
import pytest

from utils.scoring.calibration import cross_entropy, train_calibration
from utils.scoring.thresholds.fit import Rule, cheapest_threshold, fit, fit_calibration


def drawn(size=400, distance=2.0, seed=0):
    """Scores, classes and weights of a class that is as large as the other."""
    rng = np.random.default_rng(seed)
    is_target = rng.random(size) < 0.3
    scores = 0.1 * rng.normal(np.where(is_target, distance, -distance), 1.5)
    weights = np.where(is_target, 1 / is_target.sum(), 1 / (~is_target).sum())
    return scores, is_target, weights


def test_slope_and_offset_are_those_of_calibration():
    scores, is_target, weights = drawn()
    fitted = fit_calibration(scores, is_target, weights, None)
    expected, offset = train_calibration(scores[:, None], is_target)
    assert fitted.slope == pytest.approx(expected[0], rel=1e-3)
    assert fitted.offset == pytest.approx(offset, abs=1e-3)


@pytest.mark.parametrize("size", [400, 50_000])  # the larger one in bins
def test_the_offset_alone_is_the_best_one_for_its_slope(size):
    scores, is_target, weights = drawn(size)
    fitted = fit_calibration(scores, is_target, weights, 12.0)
    assert fitted.slope == pytest.approx(12.0)
    costs = []
    for shift in (-0.05, 0, 0.05):
        costs.append(cross_entropy(fitted.offset + shift + 12.0 * scores, is_target))
    assert costs[1] == min(costs)


def test_a_far_start_converges():
    scores, is_target, weights = drawn()
    near = fit_calibration(scores, is_target, weights, 500.0)
    far = fit_calibration(scores + 40, is_target, weights, 500.0)
    assert far.offset == pytest.approx(near.offset - 500.0 * 40, abs=1e-3)


def test_the_threshold_of_a_ratio_is_bayes():
    scores, is_target, weights = drawn()
    fitted = fit(scores, is_target, weights, Rule(0.05, 12.0, fits_slope=False))
    assert fitted.calibration.ratio(fitted.threshold) == pytest.approx(np.log(19))
    assert fitted.calibration.slope == pytest.approx(12.0)
    free = fit(scores, is_target, weights, Rule(0.05, 12.0, fits_slope=True))
    assert abs(free.calibration.slope - 12.0) > 0.1


def test_without_a_slope_or_without_overlap_there_is_no_ratio():
    scores, is_target, weights = drawn()
    assert fit(scores, is_target, weights, Rule(0.5, None, fits_slope=False)).calibration is None
    apart = np.where(is_target, 0.8, 0.2)
    fitted = fit(apart, is_target, weights, Rule(0.5, 12.0, fits_slope=True))
    assert fitted.calibration is None
    assert fitted.threshold == pytest.approx(0.5)  # in the middle of the gap


def test_the_cheapest_threshold_by_head():
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    is_target = np.array([False, True, False, True, True])
    weights = np.array([0.5, 1 / 3, 0.5, 1 / 3, 1 / 3])
    # between 0.1 and 0.2: half of the nontargets pass; between 0.3 and 0.4: a third is missed
    assert cheapest_threshold(scores, is_target, weights, 0.5) == pytest.approx(0.35)
    assert cheapest_threshold(scores, is_target, weights, 0.9) == pytest.approx(0.15)
    assert cheapest_threshold(-scores, is_target, weights, 0.01) == np.inf


def test_trials_with_one_score_have_no_threshold_between_them():
    is_target = np.array([True, False])
    fitted = fit(np.array([0.3, 0.3]), is_target, np.ones(2), Rule(0.4, 10.0, fits_slope=False))
    assert fitted.threshold == np.inf
