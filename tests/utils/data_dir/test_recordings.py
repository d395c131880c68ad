"""Recordings by what a person types, and a data directory as folders of files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.models_for_tests import write_voice
from utils.audio import read_audio
from utils.data_dir.__main__ import export_audio
from utils.data_dir.recordings import RecordingFinder, key_of_name
from utils.errors import UserError


@pytest.fixture
def data(tmp_path):
    """Two utterances of one recording, and a stereo file that is no part of it."""
    path = write_voice(tmp_path / "call.wav", seconds=3)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text(f"call {path}\n")
    (folder / "segments").write_text("a/1 call 0.00 1.00\nb-2 call 1.00 2.50\n")
    (folder / "utt2spk").write_text("a/1 a/x\nb-2 b\n")
    (folder / "spk2utt").write_text("a/x a/1\nb b-2\n")
    return folder


def test_an_utterance_is_named_behind_its_data_directory(data, tmp_path):
    recording = RecordingFinder().open(f"{data}:b-2")
    whole, _ = read_audio(tmp_path / "call.wav")
    assert recording.name == f"{data}:b-2"
    assert np.array_equal(recording.read(0, recording.num_samples), whole[16000:40000])
    with pytest.raises(UserError, match="no such utterance"):
        RecordingFinder().open(f"{data}:c-3")
    (data / "segments").unlink()
    assert RecordingFinder().open(f"{data}:call").num_samples == 48000


def test_a_file_comes_before_an_utterance(data):
    path = Path(f"{data}:b-2")
    write_voice(data.parent / "x.wav", seconds=1).rename(path)
    assert RecordingFinder().open(path).num_samples == 16000


def test_folders_have_their_files_and_data_directories_their_utterances(data, tmp_path):
    folder = tmp_path / "folder"
    for name in ("b/x.wav", "a.wav", "notes.txt", ".hidden.wav", ".git/x.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    finder = RecordingFinder()
    assert list(finder.expand([folder, data, "x.wav"])) == [
        ("a.wav", folder / "a.wav"),
        ("b/x.wav", folder / "b" / "x.wav"),
        ("a/1", f"{data}:a/1"),
        ("b-2", f"{data}:b-2"),
        ("x.wav", "x.wav"),
    ]
    assert finder.left_out == {".*": 2, ".txt": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no audio in this folder"):
        list(finder.expand([tmp_path / "empty"]))


def test_keys_are_ids_of_kaldi():
    assert key_of_name("a/b[1]:x.wav") == "a/b[1]:x.wav"
    assert key_of_name("my fïle%.wav") == "my%20f%C3%AFle%25.wav"


def test_audio_is_exported_by_speaker_and_no_id_leads_elsewhere(data, tmp_path):
    export_audio(data, tmp_path / "out")
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.wav"))
    assert files == ["a%2Fx/a%2F1.wav", "b/b-2.wav"]
    whole, _ = soundfile.read(tmp_path / "call.wav", dtype="int16")
    exported, rate = soundfile.read(tmp_path / "out" / files[0], dtype="int16")
    assert rate == 16000
    assert np.array_equal(exported, whole[:16000])
    with pytest.raises(UserError, match="exists already"):
        export_audio(data, tmp_path / "out")


def test_an_unreadable_utterance_leaves_no_folder(data, tmp_path):
    (tmp_path / "call.wav").write_text("no audio")
    with pytest.raises(UserError, match=r"call\.wav"):
        export_audio(data, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.wav", "data"]
