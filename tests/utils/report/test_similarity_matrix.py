"""Similarity matrices and error rates by threshold, with numbers that are easy to check."""

import numpy as np
import pytest

from utils.report.similarity_matrix import (
    arrange_scores,
    published_eer,
    rates_at,
    score_thresholds,
    similarity_picture,
    speaker_ticks,
)


def test_rows_and_columns_are_sorted_by_speaker_and_missing_trials_are_nan():
    speaker_of = {"x-model": "ann", "a-model": "bob", "1": "bob", "2": "ann"}
    rows, columns, matrix = arrange_scores(
        ["a-model", "x-model", "a-model"], ["1", "1", "2"], np.array([0.9, 0.2, 0.3]), speaker_of
    )
    assert (rows, columns) == (["x-model", "a-model"], ["2", "1"])
    np.testing.assert_array_equal(matrix, np.array([[np.nan, 0.2], [0.3, 0.9]], np.float32))


def test_scores_above_a_threshold_are_accepted():
    far, frr = rates_at(
        np.array([0.0, 0.5, 0.8, 1.0]), np.array([0.5, 0.9]), np.array([0.1, 0.6, 0.8, -0.3])
    )
    assert far.tolist() == [0.75, 0.5, 0.0, 0.0]
    assert frr.tolist() == [0.0, 0.5, 0.5, 1.0]


def test_the_published_rule_uses_50_thresholds_only():
    """At 0.70 one of four impostors is accepted and one of four targets refused."""
    target, nontarget = np.array([0.65, 0.8, 0.9, 0.95]), np.array([0.2, 0.55, 0.6, 0.75])
    eer, threshold = published_eer(target, nontarget)
    assert (eer, threshold) == (0.25, 0.65)
    assert published_eer(np.array([0.4, 0.3]), np.array([0.1, 0.2])) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("scores", "first", "last"), [([-0.5, 0.9], -1.0, 1.0), ([-20.0, 5.0], -20.0, 5.0)]
)
def test_thresholds_are_those_of_cosines_or_span_the_scores(scores, first, last):
    thresholds = score_thresholds(np.array(scores))
    assert len(thresholds) == 201
    assert (thresholds[0], thresholds[-1]) == (first, last)


def test_axes_name_each_speaker_once_in_the_middle_of_its_rows():
    assert speaker_ticks(["ann", "ann", "bob"]) == [(1.0, "ann"), (2.5, "bob")]
    assert len(speaker_ticks([f"s{number:02d}" for number in range(100)])) == 20


def test_a_picture_has_names_note_and_the_first_model_on_top():
    svg = similarity_picture(
        np.array([[1.0, 0.0], [np.nan, 0.5]]),
        ["ann", "bob"],
        ["ann", "bob"],
        "same recording, other noise",
    )
    assert "same recording, other noise" in svg
    assert "0.00 dark to 1.00 bright" in svg
    positions = [
        float(
            svg.partition(f'text-anchor="end">{name}<')[0].rpartition(' y="')[2].partition('"')[0]
        )
        for name in ("ann", "bob")
    ]
    assert positions[0] < positions[1]
    assert svg == similarity_picture(
        np.array([[1.0, 0.0], [np.nan, 0.5]]),
        ["ann", "bob"],
        ["ann", "bob"],
        "same recording, other noise",
    )
