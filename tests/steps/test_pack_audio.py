"""Stage 2 on a data directory of two speakers, also killed, repeated, with other jobs."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from steps.collect_packed import collect_packed
from steps.compute_vad import compute_vad
from steps.pack_audio import pack_audio
from tests.speechlike import RATE, babble
from tests.steps.packing_cases import contents, decide, pack, replace_sound
from utils.archive import read_scp, read_vector
from utils.audio import read_audio, to_int16
from utils.data_dir import DataDir, read_data_dir, read_map, validate_data_dir, write_data_dir
from utils.errors import UserError
from utils.packed.facts import describe_cut
from utils.packed.reader import PackedReader


def test_a_data_directory_becomes_packed_audio_of_one_rate(data, tmp_path):
    packed = tmp_path / "packed"
    counts = decide(data)
    assert counts["came_in"] == counts["went_on"] == 10
    assert 0.5 < counts["speech_frames"] / counts["frames"] < 0.9
    counts = pack(data, packed)
    assert (counts["came_in"], counts["went_on"], counts["clipped_utterances"]) == (10, 10, 0)
    validate_data_dir(packed, audio=True)
    lists, source = read_data_dir(packed), read_data_dir(data)
    assert (lists.utt2spk, lists.trials) == (source.utt2spk, source.trials)
    assert lists.maps.keys() == {
        "spk2gender",
        "utt2condition",
        "utt2dur",
        "utt2num_samples",
        "vad.scp",
    }
    for utterance, entry in lists.wav_scp.items():
        samples, rate = read_audio(entry)
        original, original_rate = read_audio(source.wav_scp[utterance])
        seconds = len(original) / original_rate
        assert rate == RATE
        assert (
            len(samples) == int(lists.maps["utt2num_samples"][utterance]) == round(seconds * RATE)
        )
        assert float(lists.maps["utt2dur"][utterance]) == pytest.approx(seconds, abs=1e-4)
        if original_rate == RATE:
            assert np.array_equal(to_int16(samples), to_int16(original))
        else:
            assert np.dot(samples, samples) / RATE == pytest.approx(
                np.dot(original, original) / original_rate, rel=0.05
            )
    assert len(PackedReader(lists.wav_scp, lists.maps["utt2num_samples"])) == 10
    assert (packed / "dropped").read_text() == (packed / "lost_trials").read_text() == ""


def test_trimming_leaves_the_speech_only(data, tmp_path):
    decide(data)
    whole, trimmed = pack(data, tmp_path / "whole"), pack(data, tmp_path / "trimmed", trim=True)
    assert 0.5 < trimmed["hours"] / whole["hours"] < 0.9
    validate_data_dir(tmp_path / "trimmed", audio=True)
    speech = {
        utterance: read_vector(entry).sum() / 100
        for utterance, entry in read_scp(data / "vad.scp").items()
    }
    for utterance, seconds in read_map(tmp_path / "trimmed" / "utt2dur").items():
        assert float(seconds) == pytest.approx(speech[utterance], abs=0.011)
    assert not (tmp_path / "trimmed" / "vad.scp").exists()


def test_the_last_seconds_are_the_end_of_what_trimming_leaves_and_shorter_ones_stay_as_they_are(
    data, tmp_path
):
    decide(data)
    for name, options in (
        ("trimmed", {}),
        ("last", {"last_seconds": 1.0}),
        ("all", {"last_seconds": 60.0}),
    ):
        pack(data, tmp_path / name, trim=True, **options)
    trimmed, last, every = (
        read_map(tmp_path / name / "wav.scp") for name in ("trimmed", "last", "all")
    )
    for utterance, entry in trimmed.items():
        samples = read_audio(entry)[0]
        assert np.array_equal(read_audio(last[utterance])[0], samples[-RATE:])
        assert np.array_equal(read_audio(every[utterance])[0], samples)
    assert (describe_cut(tmp_path / "last"), describe_cut(tmp_path / "trimmed")) == (
        "cut to the last 1 s",
        "",
    )
    pack(data, tmp_path / "untrimmed", last_seconds=1.0)
    assert not (tmp_path / "untrimmed" / "vad.scp").exists(), "decisions are of the whole"
    validate_data_dir(tmp_path / "untrimmed", audio=True)


def test_the_number_of_jobs_changes_no_sample(data, tmp_path):
    decide(data)
    pack(data, tmp_path / "one", jobs=1)
    pack(data, tmp_path / "three", jobs=3)
    one, three = read_map(tmp_path / "one" / "wav.scp"), read_map(tmp_path / "three" / "wav.scp")
    assert list(one) == list(three)
    assert len({entry.split(":")[0] for entry in three.values()}) == 3
    for utterance in one:
        assert np.array_equal(read_audio(one[utterance])[0], read_audio(three[utterance])[0])
    lists = (
        "utt2spk",
        "utt2dur",
        "utt2num_samples",
        "trials",
        "dropped",
        "ledger.json",
        "spk2gender",
        "utt2condition",
    )
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
        for name in lists
    )


def test_more_jobs_than_utterances_are_harmless(data, tmp_path):
    decide(data, jobs=12)
    assert pack(data, tmp_path / "packed", jobs=12)["went_on"] == 10


def test_a_repeated_command_does_nothing_and_a_resumed_one_ends_with_the_same_bytes(data, tmp_path):
    packed = tmp_path / "packed"
    decide(data, jobs=2)
    pack(data, packed, jobs=2)
    before, stamps = contents(packed), {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    pack(data, packed, jobs=2)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == stamps
    (packed / "receipts" / "pack_audio.2of2.json").unlink()  # as a job that was killed leaves it
    (packed / "packed.2.ark").write_bytes(b"half a file")
    first_archive = (packed / "packed.1.ark").stat().st_mtime_ns
    with pytest.raises(UserError, match=r"pack_audio.2of2.json is missing"):
        collect_packed(data, packed, jobs=2)
    pack(data, packed, jobs=2)
    assert contents(packed) == before
    assert (packed / "packed.1.ark").stat().st_mtime_ns == first_archive


def test_packing_is_dear_and_other_options_stop_it(data, tmp_path, monkeypatch):
    packed = tmp_path / "packed"
    decide(data)
    pack(data, packed)
    with pytest.raises(UserError, match="option trim was false, is true; --force redoes it"):
        pack_audio(data, packed, trim=True)
    (tmp_path / "vad.yaml").write_text("name: webrtc\naggressiveness: 3\n")
    decide(data, config=tmp_path / "vad.yaml")
    with pytest.raises(UserError, match=r"collect_vad.json changed"):
        pack_audio(data, packed)
    monkeypatch.setenv("SV_FORCE", "1")
    pack(data, packed)
    assert (packed / "old.1" / "packed.1.ark").exists()


def test_segments_become_utterances(data, tmp_path):
    lists = read_data_dir(data)
    lists.segments = {"a-x": "a-8 0.30 1.30", "a-y": "a-8 1.00 2.40", "b-z": "b-9 0.3 1.0"}
    lists.wav_scp = {key: lists.wav_scp[key] for key in ("a-8", "b-9")}
    lists.utt2spk, lists.maps, lists.trials = (
        {key: key[0] for key in lists.segments},
        {"reco2dur": {"a-8": "2.4", "b-9": "2.5"}},
        None,
    )
    cut = tmp_path / "cut"
    write_data_dir(lists, cut)
    decide(cut)
    pack(cut, tmp_path / "packed")
    validate_data_dir(tmp_path / "packed", audio=True)
    packed = read_data_dir(tmp_path / "packed")
    assert packed.segments is None
    assert "reco2dur" not in packed.maps
    assert packed.maps["utt2dur"] == {"a-x": "1.0000", "a-y": "1.4000", "b-z": "0.7000"}


def test_of_several_channels_one_is_taken_or_the_mean(data, tmp_path):
    voice = babble(1.0)
    replace_sound(
        data,
        "b-5",
        lambda path: soundfile.write(
            path, np.stack([0 * voice, voice], axis=1), RATE, subtype="PCM_16"
        ),
    )
    packed = {}
    for channel in (1, "mean"):
        one = tmp_path / f"one-{channel}"
        write_data_dir(DataDir(one, {"b-5": read_map(data / "wav.scp")["b-5"]}, {"b-5": "b"}), one)
        assert decide(one, channel=channel)["without_speech"] == 0
        pack(one, tmp_path / f"packed-{channel}", channel=channel)
        packed[channel] = read_audio(read_map(tmp_path / f"packed-{channel}" / "wav.scp")["b-5"])[0]
    assert np.array_equal(
        packed[1], soundfile.read(read_map(data / "wav.scp")["b-5"], dtype="float32")[0][:, 1]
    )
    assert np.allclose(packed["mean"], packed[1] / 2, atol=1 / 32768)


def test_a_negative_channel_is_refused_in_one_line(data, tmp_path):
    with pytest.raises(UserError, match="--channel: -1, expected 0 or more, or mean"):
        pack(data, tmp_path / "packed", channel=-1, min_speech_seconds=0)


def test_pipes_run_only_with_leave(data, tmp_path):
    entries = read_map(data / "wav.scp")
    (data / "wav.scp").write_text("".join(f"{key} cat {path} |\n" for key, path in entries.items()))
    with pytest.raises(UserError, match="allow-pipes"):
        compute_vad(data)
    decide(data, allow_pipes=True)
    assert pack(data, tmp_path / "packed", allow_pipes=True)["went_on"] == 10


def test_relative_paths_start_from_the_root(data, tmp_path):
    entries = read_map(data / "wav.scp")
    (data / "wav.scp").write_text(
        "".join(f"{key} audio/{Path(path).name}\n" for key, path in entries.items())
    )
    decide(data, root=tmp_path)
    assert pack(data, tmp_path / "packed", root=tmp_path)["went_on"] == 10


@pytest.mark.slow
def test_the_commands_do_what_the_functions_do(data, tmp_path, command):
    packed = tmp_path / "packed"
    for words in (
        ["steps.compute_vad", data, "--job", "1/1"],
        ["steps.collect_vad", data, "--jobs", "1"],
        ["steps.pack_audio", data, packed, "--sample-rate-hz", "8000"],
        ["steps.collect_packed", data, packed],
    ):
        done = command(*words)
        assert done.returncode == 0, done.stderr
    assert (
        PackedReader(
            read_map(packed / "wav.scp"), read_map(packed / "utt2num_samples")
        ).sample_rate_hz
        == 8000
    )
    wrong = command("steps.compute_vad", data, "--config", "no.yaml")
    assert (wrong.returncode, wrong.stderr) == (1, "steps.compute_vad: no.yaml: no such file\n")
