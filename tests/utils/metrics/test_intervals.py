"""Intervals and paired comparisons, by hand and against simulated lists whose truth is known."""

import numpy as np
import pytest
from scipy.stats import t as student

from tests.bench.bench_intervals import coverage
from utils.metrics.bootstrap import drawn_weights, sort_trials, speaker_rows, weighted_figures
from utils.metrics.intervals import interval, paired_difference


def log_odds(share):
    """The scale on which intervals are symmetric."""
    return np.log(share / (1 - share))


def test_the_interval_is_symmetric_in_log_odds_and_as_wide_as_students_t_says():
    drawn = np.random.default_rng(0).beta(20, 180, 500)
    low, high = interval(0.1, drawn, 30)
    reach = student.ppf(0.975, 29) * log_odds(drawn).std(ddof=1)
    assert [log_odds(high) - log_odds(0.1), log_odds(0.1) - log_odds(low)] == pytest.approx(
        [reach, reach]
    )
    assert interval(0.1, drawn, 5)[1] > high  # fewer speakers, wider
    assert interval(0.1, drawn, 30, level=0.8)[1] < high


def test_no_error_seen_is_not_no_error():
    low, high = interval(0.0, np.zeros(100), 40)
    assert (low, high) == (0, pytest.approx(1 - 0.025 ** (1 / 40)))
    assert (1 - high) ** 40 == pytest.approx(0.025)


def test_an_interval_holds_the_figure_also_at_the_ends_of_the_scale():
    low, high = interval(1.0, np.append(np.ones(99), 0.9), 40)
    assert low < 1.0 <= high
    low, high = interval(1e-6, np.append(np.full(99, 1e-6), 2e-6), 40)
    assert low <= 1e-6 <= high


def test_too_few_draws_or_speakers_give_no_interval():
    half = np.append(np.full(60, np.nan), np.full(40, 0.1))
    assert interval(0.1, half, 40) is None
    assert interval(0.1, np.full(100, 0.1), 1) is None
    assert interval(0.1, np.full(100, 0.1), 40) is None, "no draw changes it"
    assert interval(0.1, np.append(half, np.full(60, 0.2)), 40) is not None


def test_a_paired_difference_by_hand():
    drawn = np.array([1.0, 2.0, 3.0, np.nan])  # standard deviation 1
    found = paired_difference(2.0, drawn, 10)
    reach = student.ppf(0.975, 9)
    assert (found.low, found.high) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert found.p == pytest.approx(2 * student.sf(2.0, 9))
    assert found.speakers_needed == int(np.ceil(10 * (1.959964 + 0.841621) ** 2 / 4))
    same = paired_difference(0.0, np.zeros(50), 10)
    assert (same.low, same.high, same.p, same.speakers_needed) == (0, 0, 1, None)
    assert same.rounded() == {"difference": 0, "low": 0, "high": 0, "p": 1, "speakers_needed": None}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="got 1 and 50"):
        paired_difference(1.0, np.ones(50), 1)
    with pytest.raises(ValueError, match="got 10 and 1"):
        paired_difference(1.0, np.array([1.0, np.nan]), 10)


def test_paired_difference_sees_what_single_intervals_hide():
    """A system that is a little better on every trial: its interval overlaps the other's.

    That of the paired difference excludes zero.
    """
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(30), 4)
    enrol, test = (index.ravel() for index in np.triu_indices(len(speakers), 1))
    is_target = speakers[enrol] == speakers[test]
    goat = rng.normal(0, 0.5, 30)
    scores = (
        2.0 * is_target
        + goat[speakers[enrol]]
        + goat[speakers[test]]
        + rng.normal(0, 1, len(enrol))
    )
    size, left, right = speaker_rows(speakers[enrol], speakers[test], is_target)
    weights = drawn_weights(size, 400, 0)
    worse, better = (
        weighted_figures(sort_trials(values, is_target, left, right), weights, {})["eer_percent"]
        / 100
        for values in (scores, scores + 0.35 * is_target)
    )
    found = paired_difference(float(np.mean(worse) - np.mean(better)), worse - better, size)
    print(found)
    assert (
        interval(float(better.mean()), better, size)[1]
        > interval(float(worse.mean()), worse, size)[0]
    )
    assert found.low > 0
    assert found.p < 0.01


@pytest.mark.parametrize(
    ("num_speakers", "eer"), [(40, 0.08), pytest.param(100, 0.18, marks=pytest.mark.slow)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(num_speakers, eer):
    """A small one of tests/bench/intervals.md; trials drawn as if they were independent fail it."""
    found = coverage(num_speakers, eer, lists=40, replicates=60, compared=40)
    for name, (lists, percent, width) in found.items():
        print(f"{', '.join(name)}: {percent:.1f} % of {lists} lists, width {width:.2f} points")
    assert found["speakers", "log-odds t"][1] >= 88
    assert found["paired", "t"][1] >= 88
    assert found["trials", "log-odds t"][1] < 85
