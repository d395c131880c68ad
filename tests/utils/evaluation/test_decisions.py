"""Thresholds of the lowest cost, and what they decide elsewhere."""

import math

import numpy as np
import pytest

from utils.evaluation.decisions import cheapest_thresholds, decisions_at, dev_last
from utils.metrics.rates import error_rates

SCORES = np.array([0.1, 0.4, 0.6, 0.9, -0.5, -0.2, 0.2, 0.5])
IS_TARGET = np.array([True] * 4 + [False] * 4)


def test_the_cheapest_threshold_is_the_lowest_score_that_is_accepted():
    """By hand: at even priors 0.1, 0.4 and 0.6 have two errors each, and the lowest is taken."""
    rates = error_rates(SCORES[IS_TARGET], SCORES[~IS_TARGET])
    found = cheapest_thresholds(rates, {"0.5": 0.5, "0.01": 0.01, "0.99": 0.99})
    assert found == {"0.5": 0.1, "0.01": 0.6, "0.99": 0.1}


def test_where_refusing_all_costs_least_there_is_no_threshold():
    points = {"0.01": 0.01}
    rates = error_rates(-SCORES[IS_TARGET], -SCORES[~IS_TARGET])
    backwards = cheapest_thresholds(rates, points)
    assert backwards == {"0.01": math.inf}
    (said,) = decisions_at(SCORES, IS_TARGET, points, backwards, "dev")
    assert (said["threshold"], said["miss"], said["false_alarm"]) == (None, 1.0, 0.0)


@pytest.mark.parametrize(
    ("threshold", "miss", "false_alarm"), [(0.5, 0.5, 0.25), (0.50001, 0.5, 0.0), (-9.0, 0.0, 1.0)]
)
def test_a_threshold_of_another_list_accepts_scores_from_itself_on(threshold, miss, false_alarm):
    (said,) = decisions_at(SCORES, IS_TARGET, {"0.05": 0.05}, {"0.05": threshold}, "dev")
    assert said == {
        "point": "0.05",
        "prior": 0.05,
        "bayes_threshold": 2.94444,
        "threshold": threshold,
        "chosen_on": "dev",
        "miss": miss,
        "false_alarm": false_alarm,
    }


def test_log_likelihood_ratios_have_the_threshold_of_the_prior():
    points = {"0.5": 0.5, "0.01:10:1": 1 / 10.9}
    even, costly = decisions_at(SCORES - 0.3, IS_TARGET, points, None, None)
    assert (even["threshold"], even["chosen_on"]) == (0.0, None)
    assert (even["miss"], even["false_alarm"]) == (0.25, 0.25)
    assert costly["threshold"] == costly["bayes_threshold"] == pytest.approx(math.log(9.9), 1e-5)


def test_dev_lists_come_last_by_what_they_are_for_or_by_name():
    assert dev_last(["a", "dev", "test"]) == ["a", "test", "dev"]
    assert dev_last(["voices_dev", "voices_eval"], ["voices_dev"]) == ["voices_eval", "voices_dev"]
    assert dev_last(["vox1_e", "vox1_o"]) == ["vox1_e", "vox1_o"]
