"""Enrolment: recordings that disagree are named and nobody is enrolled."""

from pathlib import Path

import numpy as np
import pytest

from steps.backends import FAMILIES
from utils.embeddings.recordings import EmbeddedRecording
from utils.errors import UserError
from utils.galleries import Checker, enrol_person, read_gallery, rebuild_gallery
from utils.scoring.thresholds import Threshold
from utils.scoring.verification import ModelScoring, Rule

MODEL = "a" * 64
SCORING = ModelScoring(None, MODEL, FAMILIES, Path("model"))
FITTED = Threshold(MODEL, 0.7)
RULE = Rule(FITTED, 0.7, 0.5, 1.0, 1.0, "a test", is_own=False)
CHECKER = Checker(SCORING, RULE)


def recorded(name, degrees):
    """A recording whose vector has a direction in a plane, so that cosines are known."""
    angle = np.deg2rad(degrees)
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return EmbeddedRecording(name, vector, 5.0, 4.0, (), ())


def test_recordings_that_agree_are_enrolled(tmp_path):
    path = tmp_path / "gallery.json"
    recordings = [recorded("a.wav", 0), recorded("b.wav", 10), recorded("c.wav", 20)]
    enrolled = enrol_person(path, MODEL, "Ann", recordings, CHECKER)
    assert (enrolled.name, enrolled.num_files, enrolled.remarks) == ("Ann", 3, ())
    vectors = read_gallery(path).people["Ann"].vectors
    np.testing.assert_array_equal(vectors, [recording.vector for recording in recordings])


def test_the_one_that_differs_from_the_mean_of_the_others_is_named(tmp_path):
    path = tmp_path / "gallery.json"
    recordings = [recorded(f"{name}.wav", at) for name, at in (("a", 0), ("b", 10), ("odd", 70))]
    # odd with the mean of the others, at 5 degrees: cos 65 = 0.4226; a with (b + odd), cos 40
    with pytest.raises(
        UserError, match=r"^odd.wav \(score 0\.4226 with the others\): below the th"
    ):
        enrol_person(path, MODEL, "Ann", recordings, CHECKER)
    assert not path.exists()


def test_two_that_disagree_are_both_named(tmp_path):
    recordings = [recorded("a.wav", 0), recorded("b.wav", 60)]
    with pytest.raises(UserError, match=r"a.wav \(score 0.5000 .*b.wav \(score 0.5000 "):
        enrol_person(tmp_path / "gallery.json", MODEL, "Ann", recordings, CHECKER)


def test_one_that_differs_is_enrolled_on_request_and_named(tmp_path):
    checker = Checker(SCORING, RULE, allow_different=True)
    recordings = [recorded("a.wav", 0), recorded("b.wav", 60)]
    enrolled = enrol_person(tmp_path / "gallery.json", MODEL, "Ann", recordings, checker)
    assert enrolled.num_files == 2
    assert "b.wav (score 0.5000" in enrolled.remarks[0]


def test_without_a_scale_it_says_that_it_did_not_look(tmp_path):
    path, checker = tmp_path / "gallery.json", Checker(SCORING, None)
    enrolled = enrol_person(path, MODEL, "Ann", [recorded("a.wav", 0)], checker)
    assert not enrolled.remarks
    recordings = [recorded("a.wav", 0), recorded("b.wav", 60)]
    enrolled = enrol_person(path, MODEL, "Bob", recordings, checker)
    assert "were not compared with each other" in enrolled.remarks[0]


def test_a_name_is_enrolled_once_and_recordings_are_added_to_a_known_one(tmp_path):
    path = tmp_path / "gallery.json"
    with pytest.raises(UserError, match="nobody called 'Ann' is enrolled"):
        enrol_person(path, MODEL, "Ann", [recorded("a.wav", 0)], CHECKER, add=True)
    enrol_person(path, MODEL, "Ann", [recorded("a.wav", 0)], CHECKER)
    with pytest.raises(UserError, match="'Ann' is enrolled already; add recordings by"):
        enrol_person(path, MODEL, "Ann", [recorded("b.wav", 1)], CHECKER)
    assert (
        enrol_person(path, MODEL, "Ann", [recorded("b.wav", 1)], CHECKER, add=True).num_files == 2
    )
    with pytest.raises(UserError, match="far.wav"):
        enrol_person(path, MODEL, "Ann", [recorded("far.wav", 90)], CHECKER, add=True)
    with pytest.raises(UserError, match="b.wav: the same recording as recording 2 of 'Ann'"):
        enrol_person(path, MODEL, "Ann", [recorded("b.wav", 1)], CHECKER, add=True)
    assert read_gallery(path).people["Ann"].num_files == 2


def test_a_refused_name_costs_no_embedding(tmp_path):
    path = tmp_path / "gallery.json"
    enrol_person(path, MODEL, "Ann", [recorded("a.wav", 0)], CHECKER)

    def embed():
        raise AssertionError("embedded")
        yield

    with pytest.raises(UserError, match="enrolled already"):
        enrol_person(path, MODEL, "Ann", embed(), CHECKER)


def test_a_recording_given_twice_and_none_at_all_are_refused(tmp_path):
    path = tmp_path / "gallery.json"
    recordings = [recorded("a.wav", 3), recorded("b.wav", 3)]
    with pytest.raises(UserError, match="b.wav: the same recording as a.wav"):
        enrol_person(path, MODEL, "Ann", recordings, CHECKER)
    with pytest.raises(UserError, match="no recordings"):
        enrol_person(path, MODEL, "Ann", [], CHECKER)
    assert not path.exists()


def test_a_gallery_is_rebuilt_for_another_model_unless_it_has_changed(tmp_path):
    path, other = tmp_path / "gallery.json", "b" * 64
    enrol_person(path, MODEL, "Ann", [recorded("a.wav", 0)], CHECKER)
    before = read_gallery(path)
    recordings = {"Ann": [recorded("a.wav", 100), recorded("b.wav", 101)], "Bob": []}
    assert rebuild_gallery(path, other, recordings, before, CHECKER) == []
    rebuilt = read_gallery(path, other)
    assert rebuilt.people["Ann"].num_files == 2
    assert "Bob" not in rebuilt.people
    with pytest.raises(UserError, match="another process has changed it"):
        rebuild_gallery(path, other, recordings, before, CHECKER)
