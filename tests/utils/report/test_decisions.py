"""Shares in words, and where a threshold comes from."""

import re

import pytest

from utils.report.decisions import explanation, out_of, said_of, shown
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
def test_a_share_is_told_of_as_few_as_show_it(share, words):
    assert out_of(share, 10560) == words


def test_the_box_says_what_is_refused_and_accepted():
    curve = {
        "test_set": "test",
        "decisions": [POINT | {"threshold": 0.5, "miss": 0.03, "false_alarm": 0.002}],
    }
    (said,) = said_of(curve, ROW)
    assert (said.threshold, said.bayes) == ("0.50", "4.60")
    assert (said.refused[:2], said.accepted[:2]) == (("100", "3"), ("1,000", "2"))
    assert said_of({"test_set": "test"}, ROW) == []


@pytest.mark.parametrize(
    ("chosen_on", "words"),
    [
        (None, "log-likelihood ratios: their threshold is Bayes'"),
        ("dev", "costs least on dev."),
        ("test", "on these very trials: on others"),
    ],
)
def test_it_is_said_where_the_threshold_was_found(chosen_on, words):
    curve = {"test_set": "test", "decisions": [POINT | {"chosen_on": chosen_on}]}
    assert words in explanation(curve)
    assert "both errors cost the same" in explanation(curve)
    curve["decisions"][0]["point"] = "0.01:10:1"
    assert "costs of a refused one" in explanation(curve)


def test_small_thresholds_keep_their_digits():
    assert [shown(value) for value in (0.5, -12.345, 0.0123, 0.0, -1e-4)] == [
        "0.50",
        "-12.35",
        "0.0123",
        "0.00",
        "-0.0001",
    ]


@pytest.mark.parametrize(
    ("threshold", "anchor", "said"),
    [
        (0.1, "start", "threshold 0.10"),
        (0.9, "end", "threshold 0.90"),
        (1.9, "end", "threshold 1.90"),
        (4.6, "end", "threshold 4.60 →"),
        (-4.6, "start", "← threshold -4.60"),
    ],
)
def test_a_histogram_shows_its_threshold_wherever_it_lies(threshold, anchor, said):
    curve = {"name": "x", "edges": [0, 0.5, 1], "target_share": [0, 1], "nontarget_share": [1, 0]}
    drawn = histogram_plot(curve, threshold)
    assert f'text-anchor="{anchor}">{said}</text>' in drawn
    assert not re.search(">-?[34]</text>", drawn), "an axis of twice the scores at most"
    assert drawn.count('class="threshold"') == 1
    assert "threshold" not in histogram_plot(curve)
