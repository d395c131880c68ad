"""A folder of people's recordings: speakers, sessions, copies, and recordings that are broken."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from utils.data_dir.recordings import RecordingFinder
from utils.errors import UserError
from utils.scoring.thresholds.recordings import (
    distinct,
    embed_recordings,
    embed_usable,
    list_recordings,
    middle_piece,
    narrow,
)

RATE = 16000


def write(path, seed=0, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    soundfile.write(path, samples, RATE)


def listed(folder):
    return list_recordings(folder, RecordingFinder())


class FakeModel:
    """Its vector is mean and deviation of the samples, and their number."""

    finder = RecordingFinder()

    def embed_recording(self, audio, sample_rate_hz=None):
        samples = audio
        if sample_rate_hz is None:
            recording = self.finder.open(audio)
            samples = recording.read(0, recording.num_samples)
        vector = np.array([samples.mean(), samples.std(), len(samples)], np.float32)
        return SimpleNamespace(vector=vector, remarks=("a remark",))


def test_speakers_are_folders_and_sessions_are_folders_in_them(tmp_path):
    write(tmp_path / "anna" / "monday" / "1.wav", 1)
    write(tmp_path / "anna" / "friday" / "1.wav", 2)
    write(tmp_path / "bo" / "x.wav", 3)
    found = [(one.speaker, one.session, one.source.name) for one in listed(tmp_path)]
    assert sorted(found) == [
        ("anna", "friday", "1.wav"),
        ("anna", "monday", "1.wav"),
        ("bo", "", "x.wav"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.wav"], "found 0 folders above it"),
        (["a/b/c/1.wav"], "found 3 folders above it"),
        (["a/1.wav", "a/b/1.wav"], "files beside folders of sessions"),
    ],
)
def test_a_file_whose_speaker_is_not_clear_is_refused(tmp_path, names, message):
    for number, name in enumerate(names):
        write(tmp_path / name, number)
    with pytest.raises(UserError, match=message):
        listed(tmp_path)


def test_an_empty_folder_and_no_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="no audio"):
        listed(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        listed(tmp_path / "other")


def test_utterances_of_a_data_directory_have_speakers_and_sessions(tmp_path):
    write(tmp_path / "long.wav", 1, seconds=3)
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"rec {tmp_path / 'long.wav'}\n")
    (data / "segments").write_text("a-1 rec 0 1\na-2 rec 1 2\nb-1 rec 0 1\n")
    (data / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    (data / "utt2session").write_text("a-1 monday\na-2 friday\nb-1 monday\n")
    found = listed(data)
    assert [(one.speaker, one.session) for one in found] == [
        ("a", "monday"),
        ("a", "friday"),
        ("b", "monday"),
    ]
    with pytest.raises(UserError, match="the same recording as .*a-1, of another speaker"):
        distinct(found)


def test_the_same_bytes_twice_are_one_file(tmp_path):
    write(tmp_path / "a" / "1.wav", 1)
    write(tmp_path / "a" / "2.wav", 1)
    write(tmp_path / "a" / "3.wav", 2)
    write(tmp_path / "b" / "1.wav", 3)
    names = [one.source.relative_to(tmp_path).as_posix() for one in distinct(listed(tmp_path))]
    assert names == ["a/1.wav", "a/3.wav", "b/1.wav"]
    write(tmp_path / "b" / "2.wav", 1)
    with pytest.raises(UserError, match="2.wav: the same recording as .*1.wav, of another speaker"):
        distinct(listed(tmp_path))


def test_a_broken_recording_is_named_and_left_out_only_where_allowed(tmp_path):
    write(tmp_path / "a" / "1.wav", 1)
    (tmp_path / "a" / "2.wav").write_text("no audio")
    recordings = listed(tmp_path)
    with pytest.raises(UserError, match=r"2.wav: .*\(1 of 2 recordings cannot be used"):
        embed_usable(recordings, FakeModel(), allow_broken=False)
    embedded = embed_usable(recordings, FakeModel(), allow_broken=True)
    assert [one.source.name for one in embedded.used] == ["1.wav"]
    assert embedded.embeddings.speakers == ["a"]
    assert "2.wav" in embedded.faults[0]
    assert embedded.remarks == {"a remark": 1}
    with pytest.raises(UserError, match="none of 1 recordings"):
        embed_recordings(recordings[1:], FakeModel())


def test_changed_recordings_are_at_8_khz_or_2_s_from_the_middle(tmp_path):
    samples, rate = narrow(np.ones(RATE, np.float32), RATE)
    assert (len(samples), rate) == (8000, 8000)
    ramp = np.arange(3 * RATE, dtype=np.float32)
    piece, rate = middle_piece(ramp, RATE)
    assert (piece[0], len(piece), rate) == (RATE // 2, 2 * RATE, RATE)
    write(tmp_path / "a" / "1.wav", 1, seconds=3)
    write(tmp_path / "a" / "2.wav", 1, seconds=2)
    embedded = embed_recordings(listed(tmp_path), FakeModel(), middle_piece)
    assert embedded.embeddings.vectors[:, 2].tolist() == [2 * RATE]
    assert "2.wav: too short" in embedded.faults[0]
