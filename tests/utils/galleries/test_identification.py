"""Identification: ranks, margin, and an open set at a false-alarm rate of the whole gallery."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steps.backends import FAMILIES
from utils.embeddings.recordings import EmbeddedRecording, Window
from utils.errors import UserError
from utils.galleries import Gallery, Identifier, Person
from utils.galleries.identification import speakers_needed
from utils.scoring.thresholds import Calibration, Threshold
from utils.scoring.thresholds.bounds import largest_rate
from utils.scoring.verification import ModelScoring, Rule

MODEL = "a" * 64
SCORING = ModelScoring(None, MODEL, FAMILIES, Path("model"))
# rows of threshold, false-alarm rate and its bound
CURVE = [[0.5, 0.05, 0.1], [0.7, 0.005, 0.01], [0.9, 0.0, 0.004]]
FITTED = Threshold(MODEL, 0.5, Calibration(-5, 10), false_alarms=CURVE)
RULE = Rule(FITTED, 0.5, 0.5, 1.0, 1.0, "a fit", is_own=False)


def direction(degrees):
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def gallery_of(*degrees):
    people = {}
    for at in degrees:
        person = Person(f"at {at}", direction(at)[None], "2026-01-01T00:00:00Z")
        people[person.name] = person
    return Gallery(MODEL, people)


def recorded(degrees, windows=()):
    return EmbeddedRecording("test.wav", direction(degrees), 5.0, 4.0, (), windows)


def identifier(gallery, rate, rule=RULE):
    return Identifier(SCORING, gallery, rule, rate, Path("model"))


def test_people_are_ranked_by_cosine_with_the_margin_to_the_second():
    result = identifier(gallery_of(80, 0, 30), 0.03).identify(recorded(10), top=2)
    assert [candidate.name for candidate in result.candidates] == ["at 0", "at 30"]
    cosines = np.cos(np.deg2rad([10, 20]))
    np.testing.assert_allclose([each.score for each in result.candidates], cosines, atol=1e-6)
    assert result.margin == pytest.approx(cosines[0] - cosines[1], abs=1e-6)
    assert result.candidates[0].ratio == pytest.approx(10 * cosines[0] - 5, abs=1e-5)


def test_equal_scores_are_ranked_by_name_and_one_person_has_no_margin():
    result = identifier(gallery_of(20, 0), 0.03).identify(recorded(10))
    assert {candidate.name for candidate in result.candidates} == {"at 0", "at 20"}
    assert identifier(gallery_of(20), 0.03).identify(recorded(10)).margin is None


def test_a_person_above_the_threshold_is_identified_and_a_stranger_is_not():
    chooser = identifier(gallery_of(0, 90, 180), 0.03)
    assert chooser.open_set.threshold == 0.7
    found = chooser.identify(recorded(44))  # cosine 0.72
    assert (found.name, found.decision) == ("at 0", "identified")
    stranger = chooser.identify(recorded(230))  # 0.64 with the nearest
    assert (stranger.name, stranger.decision) == (None, "unknown")


def test_each_person_has_the_threshold_of_a_share_of_the_rate_so_that_one_more_moves_it():
    one, ten = gallery_of(0), gallery_of(*range(0, 100, 10))
    assert identifier(one, 0.1).open_set.threshold == 0.5
    assert identifier(ten, 0.1).open_set.threshold == 0.7
    eleven = gallery_of(*range(0, 110, 10))
    assert identifier(eleven, 0.1).open_set.threshold == 0.9


def test_strangers_are_taken_for_somebody_no_more_often_than_at_the_rate():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 16))
    people = {
        f"p{number:02}": Person(f"p{number:02}", vector[None].astype(np.float32), "now")
        for number, vector in enumerate(vectors)
    }
    one, other = rng.normal(size=(2, 20000, 16))
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    curve = [[float(np.quantile(cosines, 1 - rate)), rate, rate] for rate in (0.05, 0.01, 0.0025)]
    rule = replace(RULE, fitted=replace(FITTED, false_alarms=curve))
    strangers = rng.normal(size=(200, 16)).astype(np.float32)
    chooser = identifier(Gallery(MODEL, people), 0.05, rule)
    results = [
        chooser.identify(EmbeddedRecording("x", stranger, 5.0, 4.0, (), ()))
        for stranger in strangers
    ]
    identified = np.mean([result.name is not None for result in results])
    assert identified < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    # the threshold of 5 % for one comparison would give 1 - 0.95 ** 20 = 64 %
    first = np.array([result.candidates[0].score for result in results])
    assert np.mean(first >= curve[0][0]) > 0.5


def test_a_rate_that_the_fit_cannot_show_gives_ranks_and_no_decision():
    result = identifier(gallery_of(*range(0, 50, 10)), 0.01).identify(recorded(1))
    assert result.candidates[0].name == "at 0"
    assert (result.decision, result.name) == (None, None)
    assert "0.01 for all 5 people takes one of 0.002 for each" in result.open_set.basis
    assert "fit a threshold on 56 speakers or more" in result.open_set.basis
    assert "--false-alarm-rate 0.02" in result.open_set.basis
    helped = identifier(gallery_of(*range(0, 50, 10)), 0.021)
    assert helped.identify(recorded(1)).decision == "identified"


@pytest.mark.parametrize("num_people", range(1, 60, 7))
def test_the_rate_that_is_proposed_gives_a_decision(num_people):
    gallery = gallery_of(*range(num_people))
    basis = identifier(gallery, 1e-4).open_set.basis
    proposed = float(basis.rpartition(" ")[2])
    assert identifier(gallery, proposed).open_set.threshold == 0.9


@pytest.mark.parametrize("rate", [0.2, 0.01, 0.0005])
def test_as_many_speakers_as_are_proposed_are_the_fewest(rate):
    number = speakers_needed(rate)
    assert largest_rate(0.0, number * (number - 1) / 2) <= rate
    fewer = number - 1
    assert largest_rate(0.0, fewer * (fewer - 1) / 2) > rate


def test_without_a_fit_there_are_ranks_and_the_command_that_would_fit_one():
    own = replace(RULE, is_own=True, basis="calibration of model")
    for rule, ratio in ((None, None), (own, pytest.approx(5, abs=0.1))):
        result = identifier(gallery_of(0, 50), 0.05, rule).identify(recorded(1))
        assert result.decision is None
        assert result.candidates[0].ratio == ratio
        assert "steps.fit_threshold model FOLDER" in result.open_set.basis


def test_a_recording_that_enrolled_somebody_is_refused():
    with pytest.raises(UserError, match="test.wav: one of the recordings that enrolled 'at 30'"):
        identifier(gallery_of(0, 30), 0.03).identify(recorded(30))


def test_an_empty_gallery_and_options_out_of_range_are_refused():
    with pytest.raises(UserError, match="the gallery is empty; enrol a person"):
        identifier(Gallery(MODEL), 0.01)
    for rate in (0, 1, -1, float("nan")):
        with pytest.raises(UserError, match="--false-alarm-rate"):
            identifier(gallery_of(0), rate)
    with pytest.raises(UserError, match="--top"):
        identifier(gallery_of(0), 0.01).identify(recorded(1), top=0)


def test_each_window_has_its_own_person():
    windows = tuple(
        Window(start, start + 5, 4.0, direction(at)) for start, at in ((0, 1), (5, 91), (10, 225))
    )
    result = identifier(gallery_of(0, 90), 0.02).identify(recorded(30, windows))
    assert [window.name for window in result.windows] == ["at 0", "at 90", None]
    assert [window.start_seconds for window in result.windows] == [0, 5, 10]


def test_another_number_of_recordings_than_the_fit_had_is_said():
    gallery = gallery_of(0, 50)
    assert identifier(gallery, 0.02).remarks() == []
    two = Person("two", np.stack([direction(70), direction(71)]), "now")
    remarks = identifier(gallery.with_person(two), 0.02).remarks()
    assert "1 of 3 people have another number of recordings than the 1" in remarks[0]
