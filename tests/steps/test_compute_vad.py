"""Stage 1 on a data directory of two speakers: decisions, segments and their summary."""

import sys

import numpy as np
import pytest
import soundfile

from steps.collect_vad import collect_vad
from steps.compute_vad import compute_vad
from tests.speechlike import RATE, babble, silence, voiced
from tests.steps.packing_cases import contents, damaged, decide, replace_sound
from utils.archive import read_scp, read_vector
from utils.audio import read_audio
from utils.data_dir import read_data_dir, read_map, validate_data_dir, write_data_dir
from utils.errors import UserError
from utils.receipts.contents import read_receipt
from utils.vad.base import runs
from utils.vad.registry import VADS
from utils.vad.segments import speech_summary, summary_lines


def decisions_of(data):
    return {
        utterance: read_vector(entry, key=utterance)
        for utterance, entry in read_scp(data / "vad.scp").items()
    }


def test_decisions_are_kaldi_vectors_of_one_number_per_10_ms(data):
    decide(data, jobs=2)
    for utterance, speech in decisions_of(data).items():
        samples, rate = read_audio(read_map(data / "wav.scp")[utterance])
        assert speech.dtype == np.float32
        assert set(speech) == {0.0, 1.0}
        assert len(speech) == round(100 * len(samples) / rate)
    validate_data_dir(data)


@pytest.mark.parametrize("name", VADS)
@pytest.mark.slow
def test_each_yaml_finds_the_voice_between_the_silences(data, name):
    if name == "silero":
        pytest.importorskip(
            "silero_vad", reason="optional: pip install -r requirements-optional.txt"
        )
    counts = decide(data, config=f"conf/vad/{name}.yaml")
    print(name, counts)
    assert counts["went_on"] == 10
    made = read_receipt(data / "vad" / "receipts" / "compute_vad.1of1.json")["options"]["detector"]
    assert made["name"] == name
    for utterance, speech in decisions_of(data).items():
        assert not speech[:10].any(), utterance
        assert name == "silero" or speech[40:90].all(), utterance


@pytest.mark.slow
def test_top_db_takes_the_place_of_the_yamls_and_is_for_detectors_that_have_it(data):
    quiet, loud = (
        decide(data, config="conf/vad/librosa_trim.yaml", top_db=top_db)["speech_frames"]
        for top_db in (60.0, 3.0)
    )
    print(f"speech frames within 60 dB: {quiet}, within 3 dB: {loud}")
    assert loud < quiet
    assert (
        read_receipt(data / "vad" / "receipts" / "compute_vad.1of1.json")["options"]["detector"][
            "top_db"
        ]
        == 3.0
    )
    with pytest.raises(UserError, match="top_db"):
        decide(data, top_db=20.0)


def test_segments_are_the_stretches_of_speech(data):
    silence_between = np.concatenate(
        [silence(0.5), voiced(1.0), silence(1.0), voiced(0.7), silence(0.5)]
    ).astype(np.float32)
    replace_sound(data, "b-5", lambda path: soundfile.write(path, silence_between, RATE))
    decide(data, jobs=3, config="conf/vad/energy.yaml")
    lines = [line.split() for line in (data / "vad" / "segments").read_text().splitlines()]
    assert lines == sorted(lines)
    expected = [
        [f"{utterance}-{start:07}-{end:07}", utterance, f"{start / 100:.2f}", f"{end / 100:.2f}"]
        for utterance, speech in decisions_of(data).items()
        for start, end in runs(speech > 0)
    ]
    assert lines == sorted(expected)
    assert [line[0] for line in lines if line[1] == "b-5"] == [
        "b-5-0000047-0000153",
        "b-5-0000247-0000323",
    ]


def test_segments_of_segments_count_from_the_start_of_their_recording(data, tmp_path):
    lists = read_data_dir(data)
    lists.segments = {"a-x": "a-8 0.1234 1.30", "a-y": "a-8 1.00 2.40"}
    lists.wav_scp, lists.utt2spk, lists.maps, lists.trials = (
        {"a-8": lists.wav_scp["a-8"]},
        {"a-x": "a", "a-y": "a"},
        {},
        None,
    )
    write_data_dir(lists, tmp_path / "cut")
    decide(tmp_path / "cut", config="conf/vad/energy.yaml")
    (first, *_), (second, *_) = (
        [
            line.split()
            for line in (tmp_path / "cut" / "vad" / "segments").read_text().splitlines()
            if line.startswith(key)
        ]
        for key in ("a-x", "a-y")
    )
    start, end = (int(number) / 100 for number in first[0].split("-")[2:])
    assert first[1:] == ["a-8", f"{0.1234 + start:.4f}", f"{0.1234 + end:.4f}"]
    assert second[0].startswith("a-y-0000000-")
    assert second[1:3] == ["a-8", "1.0000"]


def test_the_number_of_jobs_changes_no_decision_and_no_segment(data, tmp_path):
    decide(data, jobs=1)
    one, segments = decisions_of(data), (data / "vad" / "segments").read_bytes()
    for receipt in (data / "vad" / "receipts").glob("*.json"):
        receipt.unlink()
    decide(data, jobs=4)
    assert all(
        np.array_equal(one[utterance], speech) for utterance, speech in decisions_of(data).items()
    )
    assert (data / "vad" / "segments").read_bytes() == segments


def test_a_job_that_was_killed_is_done_again_with_the_same_bytes(data):
    decide(data, jobs=2)
    before = contents(data)
    (data / "vad" / "receipts" / "compute_vad.2of2.json").unlink()
    (data / "vad" / "vad.2.ark").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"compute_vad.2of2.json is missing"):
        collect_vad(data, jobs=2)
    decide(data, jobs=2)
    assert contents(data) == before


def test_another_detector_makes_the_decisions_anew_and_a_comment_in_its_yaml_does_not(
    data, tmp_path, capsys
):
    yaml = tmp_path / "vad.yaml"
    yaml.write_text("name: webrtc\n")
    decide(data)
    capsys.readouterr()
    decide(data, config=yaml)
    yaml.write_text("name: webrtc  # as it was\naggressiveness: 2\n")
    decide(data, config=yaml)
    assert capsys.readouterr().err == ""
    yaml.write_text("name: energy\n")
    decide(data, config=yaml)
    assert "redone: option detector was" in capsys.readouterr().err


def test_what_was_found_is_said_per_set_and_utterances_without_speech_are_named(data, capsys):
    for utterance in ("b-5", "b-7"):
        replace_sound(data, utterance, lambda path: soundfile.write(path, np.zeros(RATE), RATE))
    replace_sound(
        data, "b-9", lambda path: soundfile.write(path, babble(1.0)[6000:6320], RATE)
    )  # 0.02 s
    counts = decide(data, config="conf/vad/energy.yaml")
    said = capsys.readouterr().out
    print(said)
    assert counts["without_speech"] == 2
    assert counts["speech_fraction"][0] == 0.0
    assert counts["speech_fraction"] == sorted(counts["speech_fraction"])
    assert f"{data}: no speech in 2 of 10 utterances: b-5, b-7\n" in said
    assert f"speech in {counts['speech_frames'] / counts['frames']:.1%} of " in said


def test_the_summary_by_hand():
    num_frames, num_speech = (
        {"a": 100, "b": 200, "c": 100, "d": 0, "e": 100},
        {"a": 50, "b": 200, "c": 0, "d": 0, "e": 75},
    )
    summary = speech_summary(num_frames, num_speech)
    assert summary == {
        "frames": 500,
        "speech_frames": 325,
        "speech_fraction": [0.0, 0.0, 0.5, 0.75, 1.0],
        "without_speech": 2,
    }
    assert summary_lines("set", num_speech, summary) == [
        (
            "set: speech in 65.0% of 0.00 hours (0.00 hours); per utterance 0% / 0% / 50% / 75% "
            "/ 100% (minimum, quartiles, maximum)"
        ),
        "set: no speech in 2 of 5 utterances: c, d",
    ]
    silent = {f"u{k}": 0 for k in range(9)}
    assert (
        summary_lines("set", silent, speech_summary(silent, silent))[1]
        == "set: no speech in 9 of 9 utterances: u0, u1, u2, u3, u4, ..."
    )


def test_a_set_of_unreadable_sound_alone_is_summed_up_too():
    assert speech_summary({}, {}) == {
        "frames": 0,
        "speech_frames": 0,
        "speech_fraction": [0.0] * 5,
        "without_speech": 0,
    }


def test_a_detector_that_cannot_be_loaded_stops_the_stage(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(
        UserError, match="needs the package silero_vad, .* pip install silero-vad==6.2.3"
    ):
        compute_vad(data, config="conf/vad/silero.yaml")
    assert not list((data / "vad").glob("vad.*"))


def test_the_command_takes_a_yaml_and_refuses_a_wrong_one_in_one_line(data, tmp_path, command):
    (tmp_path / "vad.yaml").write_text("name: wbrtc\n")
    wrong = command("steps.compute_vad", data, "--config", tmp_path / "vad.yaml")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        f"steps.compute_vad: {tmp_path}/vad.yaml: name: no 'wbrtc'; did you mean 'webrtc'?\n",
    )
    done = command("steps.compute_vad", data, "--config", "conf/vad/energy.yaml", "--job", "1/1")
    assert done.returncode == 0, done.stderr


def test_unreadable_sound_is_no_part_of_the_summary(data):
    replace_sound(data, "b-5", damaged("truncated"))
    decide(data)
    assert "b-5" not in read_map(data / "vad" / "vad.1.num_frames")
    assert (data / "vad" / "dropped").read_text().startswith("b-5 unreadable")
