"""steps.identify: the people of a gallery for recordings, with or without a decision."""

import json

import pytest

from steps.api import load_model
from steps.identify import identify
from tests.models_for_tests import make_calibrated_model, make_model, write_voice
from utils.cli import call
from utils.errors import UserError
from utils.scoring.thresholds import Calibration, Threshold
from utils.scoring.thresholds.files import write_threshold

PITCHES = {"Ann": 100, "Bob": 130, "Eve": 170}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A calibrated model, a threshold for it, a gallery of three people and their recordings."""
    folder = tmp_path_factory.mktemp("identify")
    digest = make_calibrated_model(folder / "model").digest
    curve = [[0.9, 0.05, 0.1], [0.985, 0.0, 0.01]]
    calibration = Calibration(-197, 200)
    fitted = Threshold(digest, 0.985, calibration, false_alarms=curve, marks=["made up"])
    write_threshold(folder / "threshold.json", fitted)
    model = load_model(folder / "model")
    for name, hz in PITCHES.items():
        enrolled = write_voice(folder / f"{name}.wav", hz)
        write_voice(folder / "tests" / f"{name}.wav", hz, seed=1)
        model.enrol(folder / "gallery.json", name, [enrolled])
    write_voice(folder / "stranger.wav", 260)
    return folder


@pytest.fixture
def run(base, monkeypatch):
    """Calls the command with words, in the folder of the recordings."""
    monkeypatch.chdir(base)

    def run(*words, model="model", gallery="gallery.json"):
        return call(identify, [model, gallery, *map(str, words)])

    return run


def test_people_are_identified_and_a_stranger_is_not(run):
    options = "--threshold", "threshold.json", "--false-alarm-rate", "0.05"
    rows = run("tests", "stranger.wav", *options)
    assert [row["name"] for row in rows] == ["Ann", "Bob", "Eve", None]
    assert [row["decision"] for row in rows] == ["identified"] * 3 + ["unknown"]
    first = rows[0]
    assert (first["threshold"], first["num_people"], first["false_alarm_rate"]) == (0.985, 3, 0.05)
    scores = [candidate["score"] for candidate in first["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert first["margin"] == scores[0] - scores[1] > 0
    ratios = [candidate["ratio"] for candidate in first["candidates"]]
    assert ratios == pytest.approx([200 * score - 197 for score in scores])


def test_a_rate_that_the_threshold_cannot_show_gives_ranks_and_says_so(run, capsys):
    (row,) = run("tests/Ann.wav", "--threshold", "threshold.json", "--top", "2")
    assert (row["decision"], row["name"], row["threshold"]) == (None, None, None)
    assert row["candidates"][0]["name"] == "Ann"
    assert len(row["candidates"]) == 2
    out = capsys.readouterr().out
    assert "tests/Ann.wav: ranks without a decision\n  1. Ann: score" in out
    assert "no decision: a false-alarm rate of 0.01 for all 3 people takes one of 0.0033" in out


def test_a_calibration_alone_gives_ratios_and_no_decision(run, capsys):
    (row,) = run("tests/Bob.wav")
    assert row["decision"] is None
    assert row["candidates"][0]["name"] == "Bob"
    assert row["candidates"][0]["ratio"] > 0
    assert "python -m steps.fit_threshold model FOLDER threshold.json" in capsys.readouterr().out


def test_what_is_printed_is_the_person_or_nobody(run, capsys):
    options = "--threshold", "threshold.json", "--false-alarm-rate", "0.05"
    run("tests/Eve.wav", "stranger.wav", *options)
    out = capsys.readouterr().out
    assert "tests/Eve.wav: Eve\n  1. Eve: score" in out
    assert "stranger.wav: nobody of the gallery\n" in out
    assert "taken for anybody of 3 people at a rate of 0.05 at most" in out


def test_one_bad_recording_of_several_is_named_and_the_others_are_identified(run, tmp_path, capsys):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(UserError, match="1 of 2 recordings could not be used"):
        run(text, "tests/Ann.wav", "--json")
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert "text.wav" in rows[0]["error"]
    assert rows[1]["candidates"][0]["name"] == "Ann"
    assert "text.wav" in captured.err
    with pytest.raises(UserError, match=r"text.wav"):
        run(text)


def test_galleries_that_cannot_be_used_are_refused(run, base, tmp_path):
    make_model(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="a gallery of model .*, this one is "):
        run("tests/Ann.wav", model=str(tmp_path / "other"))
    with pytest.raises(UserError, match="no such gallery; enrol a person by steps.enrol"):
        run("tests/Ann.wav", gallery="missing.json")
    truncated = tmp_path / "truncated.json"
    truncated.write_bytes((base / "gallery.json").read_bytes()[:-20])
    with pytest.raises(UserError, match="truncated.json: not a gallery"):
        run("tests/Ann.wav", gallery=str(truncated))


def test_the_recording_of_an_enrolment_is_refused(run):
    with pytest.raises(UserError, match="Ann.wav: one of the recordings that enrolled 'Ann'"):
        run("Ann.wav")


def test_windows_are_identified_with_their_times(run, capsys):
    options = "--threshold", "threshold.json", "--false-alarm-rate", "0.05"
    (row,) = run("tests/Ann.wav", "--window-seconds", "2", *options)
    assert [window["start_seconds"] for window in row["windows"]] == [0, 2]
    assert {window["first"]["name"] for window in row["windows"]} == {"Ann"}
    assert "  0.0 to 2.0 s: Ann: score" in capsys.readouterr().out


def test_a_python_call_identifies_too(base):
    model = load_model(base / "model")
    result = model.identify(
        base / "gallery.json",
        base / "tests" / "Bob.wav",
        threshold=base / "threshold.json",
        false_alarm_rate=0.05,
    )
    assert (result.name, result.decision) == ("Bob", "identified")
    assert result.remarks == ("made up",)


@pytest.mark.slow
def test_the_command_prints_json(command, base):
    done = command(
        "steps.identify",
        str(base / "model"),
        str(base / "gallery.json"),
        str(base / "tests" / "Eve.wav"),
        "--json",
    )
    assert json.loads(done.stdout)["candidates"][0]["name"] == "Eve", done.stderr
    assert done.returncode == 0
