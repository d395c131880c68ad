"""Decisions in words, and the origin of thresholds."""

import re

import pytest

from utils.report.decisions import (
    decisions_in_words,
    explain_thresholds,
    format_threshold,
    share_in_words,
)
from utils.report.plots import histogram_plot

ROW = {"targets": 2640, "nontargets": 10560, "test_set": "test"}
POINT = {"point": "0.01", "prior": 0.01, "bayes_threshold": 4.59512, "chosen_on": "dev"}


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0299, ("100", "3", "are")),
        (0.0104, ("100", "1", "is")),
        (0.002, ("1,000", "2", "are")),
        (1 / 10560, ("10,000", "1", "is")),
        (0.0, ("10,560", "none", "is")),
        (1.0, ("10,560", "all 10,560", "are")),
        (0.9999, ("10,000", "9,999", "are")),
        (0.5, ("100", "50", "are")),
    ],
)
def test_a_share_is_of_the_smallest_group_that_shows_it(share, words):
    assert share_in_words(share, 10560) == words


def test_decisions_are_shares_of_refused_and_accepted_people():
    curve = {
        "test_set": "test",
        "decisions": [POINT | {"threshold": 0.5, "miss": 0.03, "false_alarm": 0.002}],
    }
    (decision,) = decisions_in_words(curve, ROW)
    assert (decision.threshold, decision.bayes) == ("0.50", "4.60")
    assert (decision.refused[:2], decision.accepted[:2]) == (("100", "3"), ("1,000", "2"))
    assert decisions_in_words({"test_set": "test"}, ROW) == []


@pytest.mark.parametrize(
    ("chosen_on", "words"),
    [
        (None, "log-likelihood ratios: the threshold is the Bayes threshold"),
        ("dev", "has the lowest cost on dev."),
        ("test", "on these same trials: expect more errors"),
    ],
)
def test_the_explanation_names_the_origin_of_the_threshold(chosen_on, words):
    curve = {"test_set": "test", "decisions": [POINT | {"chosen_on": chosen_on}]}
    assert words in explain_thresholds(curve)
    assert "both errors cost the same" in explain_thresholds(curve)
    curve["decisions"][0]["point"] = "0.01:10:1"
    assert "costs of a refused genuine attempt" in explain_thresholds(curve)


def test_small_thresholds_keep_their_digits():
    assert [format_threshold(value) for value in (0.5, -12.345, 0.0123, 0.0, -1e-4)] == [
        "0.50",
        "-12.35",
        "0.0123",
        "0.00",
        "-0.0001",
    ]


@pytest.mark.parametrize(
    ("threshold", "anchor", "label"),
    [
        (0.1, "start", "threshold 0.10"),
        (0.9, "end", "threshold 0.90"),
        (1.9, "end", "threshold 1.90"),
        (4.6, "end", "threshold 4.60 →"),
        (-4.6, "start", "← threshold -4.60"),
    ],
)
def test_a_histogram_shows_its_threshold_even_outside_the_scores(threshold, anchor, label):
    curve = {"name": "x", "edges": [0, 0.5, 1], "target_share": [0, 1], "nontarget_share": [1, 0]}
    drawn = histogram_plot(curve, threshold)
    assert f'text-anchor="{anchor}">{label}</text>' in drawn
    assert not re.search(">-?[34]</text>", drawn), "the axis is at most twice as wide as the scores"
    assert drawn.count('class="threshold"') == 1
    assert "threshold" not in histogram_plot(curve)
