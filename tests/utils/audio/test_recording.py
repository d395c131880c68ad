"""Recordings that are read part by part, and files whose names look like entries of wav.scp."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from utils.audio import read_audio
from utils.audio.recording import ArrayRecording, FileRecording, count_clipped, parts
from utils.errors import UnreadableAudio


@pytest.fixture
def stereo(tmp_path):
    """1.05 s of two channels; the left one is silent."""
    right = np.random.default_rng(0).uniform(-0.5, 0.5, 8400)
    soundfile.write(tmp_path / "stereo.wav", np.stack([0 * right, right], axis=1), 8000)
    return tmp_path / "stereo.wav"


def test_parts_joined_are_the_whole_and_know_their_times(stereo):
    recording = FileRecording(stereo, channel=1)
    whole, rate = read_audio(stereo, channel=1)
    pieces = list(parts(recording, 0.4))
    assert (recording.num_samples, recording.sample_rate_hz) == (8400, rate)
    assert [piece.start_seconds for piece in pieces] == [0, 0.4, 0.8]
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), whole)
    assert [len(piece.samples) for piece in parts(recording, None)] == [8400]


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_parts_of_compressed_files_are_those_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40000), 16000)
    whole, _ = read_audio(path)
    pieces = [piece.samples for piece in parts(FileRecording(path), 0.3)]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_a_fault_in_a_later_part_is_named_by_its_sample(tmp_path):
    samples = np.zeros(8000, np.float32)
    samples[5000] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, 8000, "FLOAT")
    with pytest.raises(UnreadableAudio, match="NaN or Inf at sample 5000"):
        list(parts(FileRecording(tmp_path / "x.wav"), 0.4))


def test_channels_are_remarks_and_a_silent_one_has_another_with_sound(stereo):
    assert FileRecording(stereo).remarks() == ["of 2 channels, channel 0 is taken"]
    assert FileRecording(stereo).sounding_channel() == 1
    assert FileRecording(stereo, channel=1).sounding_channel() is None


@pytest.mark.parametrize("name", ["call:12", "x.wav|", "[a].wav"])
def test_a_path_is_a_file_whatever_its_name(tmp_path, stereo, name):
    shutil.copy(stereo, tmp_path / name)
    assert FileRecording(tmp_path / name, channel=1).read(0, 10).any()
    assert read_audio(tmp_path / name)[1] == 8000


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg")
def test_compressed_audio_is_decoded_once(tmp_path, stereo):
    path = tmp_path / "x.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", stereo, path], check=True)
    recording = FileRecording(path, channel=1)
    path.unlink()
    samples = np.concatenate([piece.samples for piece in parts(recording, 0.25)])
    assert abs(len(samples) - 8400) <= 0.2 * 8000
    assert samples.std() > 0.1


def test_arrays_are_checked():
    recording = ArrayRecording(np.zeros(5), 16000)
    assert recording.read(1, 2).dtype == np.float32
    assert recording.remarks() == []
    faults = {
        "expected \\(n,\\) floats": np.zeros((5, 2)),
        "found int16": np.zeros(5, np.int16),
        "no samples": np.zeros(0),
        "NaN or Inf at sample 1": np.array([0, np.nan]),
    }
    for message, samples in faults.items():
        with pytest.raises(UnreadableAudio, match=message):
            ArrayRecording(samples, 16000)


def test_clipped_samples_are_those_at_full_scale():
    assert count_clipped(np.array([0.9, 1.0, -1.0, 32767 / 32768, 1.2, 0], np.float32)) == 4
