"""verify as a command: pairs, decisions, windows, JSON, and what is refused or said."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from steps.verify import verify
from tests.models_for_tests import RATE, make_calibrated_model, make_model, write_voice
from utils.cli import call
from utils.errors import UserError, WrongArguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A calibrated model ``m`` and one without, and recordings of odd names."""
    folder = tmp_path_factory.mktemp("model")
    make_calibrated_model(folder / "m")
    make_model(folder / "plain")
    for name, hz in {"a": 100, "b": 100, "c c": 120, "d": 250, "[a,b]": 100, "-x": 100}.items():
        write_voice(folder / f"{name}.wav", hz, seed=len(name) + ord(name[0]))
    return folder


@pytest.fixture
def at_folder(folder, monkeypatch):
    """Names of files are those of the folder."""
    monkeypatch.chdir(folder)
    return folder


def run(*words):
    return call(verify, [str(word) for word in words], "steps.verify")


def test_accept_and_reject_are_said_with_their_reasons(at_folder, capsys):
    (row,) = run("m", "a.wav", "d.wav")
    assert row["decision"] == "reject"
    text = capsys.readouterr().out
    assert text.startswith(f"a.wav and d.wav: score {row['score']:.4f}\n")
    assert f"log-likelihood ratio: {row['ratio']:.2f}" in text
    assert "reject: scores of at least 0.9850 are accepted, for a prior of 0.5 and costs" in text
    assert "calibrated on made-up voices" in text


def test_json_has_what_is_printed(at_folder, capsys):
    rows = run(
        "m", "--json", "--more-enrol", "[a,b].wav", "--p-target", "0.6", "--", "a.wav", "-x.wav"
    )
    assert json.loads(capsys.readouterr().out) == rows[0]
    assert rows[0]["enrol"] == ["a.wav", "[a,b].wav"]
    assert (rows[0]["test"], rows[0]["decision"], rows[0]["p_target"]) == ("-x.wav", "accept", 0.6)


def test_without_calibration_there_is_a_score_and_the_command_that_fits_one(at_folder, capsys):
    (row,) = run("plain", "a.wav", "d.wav")
    assert (row["ratio"], row["decision"]) == (None, None)
    assert "python -m steps.fit_threshold plain FOLDER" in capsys.readouterr().out


def test_pairs_are_compared_in_one_process_and_a_broken_one_is_named(at_folder, capsys):
    at_folder.joinpath("pairs").write_text("a.wav\tc c.wav\n\na.wav none.wav\nb.wav a.wav\n")
    with pytest.raises(UserError, match="pairs: 1 of 3 pairs could not be compared"):
        run("m", "--pairs", "pairs")
    shown = capsys.readouterr()
    assert shown.err == "pairs:3: none.wav: cannot be opened: No such file or directory\n"
    assert shown.out.count("log-likelihood ratio") == 2
    at_folder.joinpath("pairs").write_text("a.wav c c.wav\n")
    with pytest.raises(UserError, match="pairs:1: found 3 names, expected two"):
        run("m", "--pairs", "pairs")


def test_windows_of_the_test_have_their_scores(at_folder, capsys):
    one, other = (soundfile.read(f"{name}.wav")[0] for name in ("b", "d"))
    soundfile.write("both.wav", np.concatenate([one, other]), RATE)
    (row,) = run("m", "a.wav", "both.wav", "--window-seconds", "4")
    assert [window["accepted"] for window in row["windows"]] == [True, False]
    assert "  4.0 to 8.0 s: score" in capsys.readouterr().out


def test_what_is_said_and_goes_on(at_folder, capsys):
    samples, _ = soundfile.read("b.wav")
    soundfile.write("stereo.wav", np.stack([samples, samples], axis=1), RATE)
    write_voice(at_folder / "low.wav", 100, rate=8000)
    soundfile.write("loud.wav", np.clip(8 * samples, -1, 1), RATE)
    soundfile.write("short.wav", samples[: 2 * RATE], RATE)
    said = {
        "stereo.wav": "of 2 channels, channel 0 is taken",
        "low.wav": "resampled from 8000 Hz to 16000 Hz",
        "loud.wav": "% of the samples are clipped",
    }
    for name, remark in said.items():
        run("m", "a.wav", name)
        assert remark in capsys.readouterr().err
    run("m", "short.wav", "a.wav")
    assert "short.wav: only 2.0 s of speech; 3 s or more are reliable" in capsys.readouterr().err
    run("m", "a.wav", "short.wav")
    assert capsys.readouterr().err == ""


BAD = {
    "silent.wav": r"0\.00 s of speech in 4\.00 s, expected 0\.5 s or more",
    "short.wav": r"0\.20 s of speech in 0\.20 s",
    "nan.wav": "NaN or Inf at sample 0",
    "text.wav": "cannot be read",
    "left.wav": "channel 0 is silent, channel 1 is not; give --channel 1",
    "none.wav": "No such file",
    "a.wav": "the same recording as a.wav",
}


@pytest.fixture
def bad_files(at_folder):
    samples, _ = soundfile.read("b.wav")
    soundfile.write("silent.wav", 0 * samples, RATE)
    soundfile.write("short.wav", samples[: RATE // 5], RATE)
    soundfile.write("nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    at_folder.joinpath("text.wav").write_text("no audio\n")
    soundfile.write("left.wav", np.stack([0 * samples, samples], axis=1), RATE)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.usefixtures("bad_files")
def test_bad_recordings_are_refused_on_either_side(name):
    for words in ((name, "a.wav"), ("a.wav", name)):
        with pytest.raises(UserError, match=BAD[name]):
            run("m", *words)


@pytest.mark.usefixtures("bad_files")
def test_another_channel_is_read_on_request():
    (row,) = run("m", "a.wav", "left.wav", "--channel", "1")
    assert row["decision"] == "accept"


def test_m4a_without_ffmpeg_is_refused(at_folder, monkeypatch):
    at_folder.joinpath("x.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="decoded by ffmpeg, which is not on the PATH"):
        run("m", "a.wav", "x.m4a")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m"], "expected MODEL, ENROL and TEST"),
        (["m", "a.wav"], "expected MODEL, ENROL and TEST"),
        (["m", "a.wav", "b.wav", "--pairs", "x"], "--pairs: the file has the recordings"),
        (["m", "--pairs", "x", "--more-enrol", "b.wav"], "--pairs: the file has the recordings"),
    ],
)
def test_arguments_that_do_not_go_together_are_a_wrong_command_line(words, message):
    with pytest.raises(WrongArguments, match=message):
        run(*words)


@pytest.mark.usefixtures("at_folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "a.wav", "b.wav"], "none: no such folder"),
        (["m", "a.wav", "b.wav", "--p-target", "1"], "--p-target, --c-miss, --c-fa"),
        (["m", "a.wav", "b.wav", "--window-seconds", "0"], "--window-seconds: 0"),
        (["m", "a.wav", "b.wav", "--threshold", "none.json"], r"none\.json: no such file"),
        (["m", "a.wav", "b.wav", "--channel", "-1"], "--channel: -1, expected 0 or more"),
        (["m", "a.wav", "b.wav", "--min-speech-seconds", "-1"], "expected 0 or more"),
    ],
)
def test_wrong_requests_are_refused(words, message):
    with pytest.raises(UserError, match=message):
        run(*words)


@pytest.mark.usefixtures("at_folder")
def test_cuda_without_a_device_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda: no CUDA device is visible"):
        run("m", "a.wav", "b.wav", "--device", "cuda")


def test_a_damaged_or_newer_model_is_refused(at_folder, tmp_path):
    shutil.copytree(at_folder / "m", tmp_path / "m")
    manifest = tmp_path / "m" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UserError, match="of format 2, this version reads up to 1"):
        run(tmp_path / "m", "a.wav", "b.wav")


@pytest.mark.slow
def test_the_command_exits_with_0_for_a_rejection_and_with_1_for_one_line(folder, command):
    names = [folder / name for name in ("m", "a.wav", "d.wav")]
    done = command("steps.verify", *names)
    assert (done.returncode, done.stderr) == (0, "")
    assert "reject" in done.stdout
    done = command("steps.verify", folder / "m", folder / "a.wav", folder / "none.wav")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
