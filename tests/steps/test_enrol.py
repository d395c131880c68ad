"""steps.enrol: people go into a gallery, are listed, removed and rebuilt for another model."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from steps.api import load_model
from steps.enrol import enrol
from tests.models_for_tests import make_calibrated_model, make_model, write_voice
from utils.cli import call
from utils.errors import UserError, WrongArguments
from utils.galleries import read_gallery


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A calibrated model, one without calibration, and recordings of two voices."""
    folder = tmp_path_factory.mktemp("enrol")
    make_calibrated_model(folder / "model")
    make_model(folder / "other", seed=1)
    for name, hz in (("ann", 100), ("bob", 160)):
        for number in range(3):
            write_voice(folder / "people" / name / f"{number}.wav", hz, seed=number)
    return folder


@pytest.fixture
def run(base, tmp_path, monkeypatch):
    """Calls the command with words, from the folder of the recordings."""
    monkeypatch.chdir(base / "people")
    gallery = tmp_path / "gallery.json"

    def run(*words, model="model"):
        return call(enrol, [str(base / model), str(gallery), *map(str, words)])

    run.gallery = gallery
    return run


def names(run):
    return [person["name"] for person in run("--list")["people"]]


def test_a_person_is_enrolled_listed_and_removed(run, base, capsys):
    result = run("Ann Lee", "ann/0.wav", "ann/1.wav")
    assert (result["enrolled"], result["files"], result["remarks"]) == ("Ann Lee", 2, [])
    run("Bob/..", "bob/0.wav")
    run("Bob/..", "bob/1.wav", "bob/2.wav", "--add")
    assert [(each["name"], each["files"]) for each in run("--list")["people"]] == [
        ("Ann Lee", 2),
        ("Bob/..", 3),
    ]
    assert "Ann Lee: recordings: 2, enrolled 20" in capsys.readouterr().out
    embedded = load_model(base / "model").embed("ann/0.wav")
    np.testing.assert_array_equal(read_gallery(run.gallery).people["Ann Lee"].vectors[0], embedded)
    run("--remove", "Ann Lee")
    assert names(run) == ["Bob/.."]
    assert run.gallery.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in run.gallery.parent.iterdir()] == ["gallery.json"]


def test_removal_needs_no_model(run, base):
    run("Ann", "ann/0.wav")
    assert run("--remove", "Ann", model="gone")["num_people"] == 0
    assert names(run) == []


def test_a_folder_and_names_that_look_like_yaml_are_names(run, base, tmp_path):
    (base / "people" / "ann" / "notes.txt").touch()
    result = run("null", "ann")
    assert result["files"] == 3
    assert result["remarks"] == ["left out: 1 files of the kind .txt"]
    file = write_voice(tmp_path / "[a,b].wav", 100, seed=9)
    run("[1e3]", file)
    run("--", "-x", file)
    assert names(run) == ["-x", "[1e3]", "null"]
    run("--remove=-x")
    run("--remove", "null")
    assert names(run) == ["[1e3]"]


def test_a_recording_of_somebody_else_is_named_and_nobody_is_enrolled(run):
    with pytest.raises(UserError, match=r"bob/0.wav \(score .*another person, or a bad recording"):
        run("Ann", "ann/0.wav", "ann/1.wav", "ann/2.wav", "bob/0.wav")
    assert not run.gallery.exists()
    result = run("Ann", "ann/0.wav", "ann/1.wav", "ann/2.wav", "bob/0.wav", "--allow-different")
    assert "bob/0.wav" in result["remarks"][0]


def test_a_model_without_a_scale_says_that_it_did_not_look(run, capsys):
    run("Ann", "ann/0.wav", "bob/0.wav", model="other")
    assert "were not compared with each other" in capsys.readouterr().err


def test_names_are_checked_before_anything_is_embedded(run):
    run("Ann", "ann/0.wav")
    for words, message in (
        (("Ann", "missing.wav"), "'Ann' is enrolled already; add recordings by"),
        (
            ("Bob", "missing.wav", "--add"),
            "nobody called 'Bob' is enrolled; see steps.enrol --list",
        ),
        (("--remove", "Bob"), "nobody called 'Bob' is enrolled"),
        (("a\nb", "missing.wav"), "printable characters in one line"),
    ):
        with pytest.raises(UserError, match=message):
            run(*words)
    with pytest.raises(UserError, match="a gallery of model .*, this one is "):
        run("Bob", "bob/0.wav", model="other")
    assert names(run) == ["Ann"]


def test_recordings_that_cannot_be_used_leave_no_gallery(run, tmp_path):
    silence, text, empty = tmp_path / "silence.wav", tmp_path / "text.wav", tmp_path / "empty"
    soundfile.write(silence, np.zeros(16000), 16000)
    text.write_text("no sound")
    empty.mkdir()
    short = write_voice(tmp_path / "short.wav", seconds=0.2)
    for file in (silence, text, empty, short, tmp_path / "missing.wav"):
        with pytest.raises(UserError, match=file.name):
            run("Ann", "ann/0.wav", file)
    copy = shutil.copy("ann/0.wav", tmp_path / "copy.wav")
    with pytest.raises(UserError, match="copy.wav: the same recording as ann/0.wav; give it once"):
        run("Ann", "ann/0.wav", copy)
    assert not run.gallery.exists()


def test_little_speech_is_said(run, tmp_path):
    short = write_voice(tmp_path / "short.wav", seconds=1.5)
    remarks = run("Ann", short)["remarks"]
    assert len(remarks) == 1
    assert "s of speech; 3 s or more are reliable" in remarks[0]
    assert run("Bob", short, "--enrolment-seconds", "1")["remarks"] == []


def test_a_gallery_is_rebuilt_for_another_model(run, base, tmp_path):
    run("ann", "ann/0.wav", "ann/1.wav")
    before = read_gallery(run.gallery)
    result = run("--rebuild", base / "other", "--audio", base / "people", model="gone")
    assert (result["rebuilt"], result["not_enrolled"]) == (1, 1)
    rebuilt = read_gallery(run.gallery, load_model(base / "other").digest)
    assert rebuilt.model != before.model
    assert rebuilt.people["ann"].num_files == 3
    listed = tmp_path / "list.tsv"
    listed.write_text("ann\tann/0.wav\nann\tann/2.wav\n")
    run("--rebuild", base / "model", "--audio", listed)
    assert read_gallery(run.gallery, before.model).people["ann"].num_files == 2


def test_nobody_is_lost_by_rebuilding(run, base, tmp_path):
    run("ann", "ann/0.wav")
    run("Eve", "bob/0.wav")
    content = run.gallery.read_bytes()
    with pytest.raises(UserError, match="no recordings of 1 of 2 people, such as 'Eve'"):
        run("--rebuild", base / "other", "--audio", base / "people")
    (tmp_path / "list.tsv").write_text("Eve bob/0.wav\n")
    with pytest.raises(UserError, match="list.tsv:1: expected a name, a tab and a file"):
        run("--rebuild", base / "other", "--audio", tmp_path / "list.tsv")
    assert run.gallery.read_bytes() == content


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("Ann",),
        ("Ann", "--add"),
        ("--list", "--remove", "Ann"),
        ("Ann", "--list"),
        ("--rebuild", "x"),
        ("Ann", "ann/0.wav", "--audio", "x"),
    ],
)
def test_words_that_do_not_go_together_are_refused(run, words):
    with pytest.raises(WrongArguments, match="expected|go together"):
        run(*words)


def test_a_python_call_enrols_too(base, tmp_path):
    model = load_model(base / "model")
    files = [base / "people" / "ann" / f"{number}.wav" for number in range(2)]
    assert model.enrol(tmp_path / "gallery.json", "Ann", files).num_files == 2
    samples, rate = soundfile.read(base / "people" / "ann" / "2.wav")
    enrolled = model.enrol(
        tmp_path / "gallery.json", "Ann", [samples], add=True, sample_rate_hz=rate
    )
    assert enrolled.num_files == 3


@pytest.mark.slow
def test_it_prints_json_and_errors_in_one_line(command, base, tmp_path):
    words = str(base / "model"), str(tmp_path / "gallery.json"), "Ann"
    file = str(base / "people" / "ann" / "0.wav")
    done = command("steps.enrol", *words, file, "--json")
    assert json.loads(done.stdout)["enrolled"] == "Ann", done.stderr
    again = command("steps.enrol", *words, file)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("\n") == 1
