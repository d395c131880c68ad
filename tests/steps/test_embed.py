"""embed as a command: archives and arrays, broken files, keys, and what is refused."""

import json

import numpy as np
import pytest
import soundfile

from steps.api import load_model
from steps.embed import embed
from tests.models_for_tests import EMBEDDING_DIM, RATE, make_model, write_voice
from tests.voices import make_packed
from utils.archive import read_vectors
from utils.cli import call
from utils.embeddings.export import read_arrays
from utils.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model ``m``, and a folder with two recordings, a broken one, a silent one and a text."""
    folder = tmp_path_factory.mktemp("model")
    make_model(folder / "m")
    write_voice(folder / "audio" / "x" / "my file.wav", 100)
    write_voice(folder / "audio" / "b.flac", 200)
    (folder / "audio" / "text.wav").write_text("no audio")
    (folder / "audio" / "notes.txt").write_text("no audio")
    soundfile.write(folder / "audio" / "silent.wav", np.zeros(RATE), RATE)
    return folder


def run(*words):
    return call(embed, [str(word) for word in words], "steps.embed")


def test_files_become_archives_of_kaldi(folder, tmp_path):
    files = [folder / "audio" / "x" / "my file.wav", folder / "audio" / "b.flac"]
    counts = run(folder / "m", *files, tmp_path / "out")
    assert counts == {"came_in": 2, "went_on": 2, "vectors": 2}
    keys, vectors = read_vectors(tmp_path / "out" / "xvector.scp")
    assert keys == [str(files[1]), str(files[0]).replace(" ", "%20")]
    model = load_model(folder / "m")
    assert vectors == pytest.approx(np.stack([model.embed(files[1]), model.embed(files[0])]))
    facts = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert facts["model"] == model.facts["model"]
    assert json.loads((tmp_path / "out" / "embed.json").read_text())["model"] == model.digest


def test_broken_files_are_named_and_listed_and_the_others_written(folder, tmp_path, capsys):
    with pytest.raises(UserError, match="written without 2 of 4 recordings"):
        run(folder / "m", folder / "audio", tmp_path / "out")
    shown = capsys.readouterr().err.strip().split("\n")
    assert [line.partition(":")[0] for line in shown] == ["left out", "dropped", "dropped"]
    assert "notes" not in "".join(shown)
    little = "0.00 s of speech in 1.00 s, expected 0.5 s or more; record more speech"
    assert (tmp_path / "out" / "dropped").read_text().split("\n") == [
        f"silent.wav policy:little_speech {little}",
        "text.wav unreadable cannot be read: Format not recognised.",
        "",
    ]
    keys, _ = read_vectors(tmp_path / "out" / "xvector.scp")
    assert keys == ["b.flac", "x/my%20file.wav"]


def test_an_npz_has_vectors_and_what_was_dropped(folder, tmp_path, capsys):
    counts = run(folder / "m", folder / "audio", tmp_path / "o.npz", "--allow-broken", "--json")
    assert json.loads(capsys.readouterr().out) == counts
    arrays, provenance = read_arrays(tmp_path / "o.npz")
    assert arrays["utterances"].tolist() == ["b.flac", "x/my%20file.wav"]
    assert arrays["embeddings"].shape == (2, EMBEDDING_DIM)
    assert provenance["network"] == "ghostvlad"
    with np.load(tmp_path / "o.npz") as content:
        assert content["dropped"].tolist() == ["silent.wav", "text.wav"]


def test_utterances_of_a_data_directory_have_their_ids(folder, tmp_path):
    data = make_packed(tmp_path / "data", {"a": 110, "b": 200}, 2)
    run(folder / "m", data, tmp_path / "all")
    assert read_vectors(tmp_path / "all" / "xvector.scp")[0] == ["a-0", "a-1", "b-0", "b-1"]
    run(folder / "m", f"{data}:b-1", tmp_path / "one")
    assert np.array_equal(
        read_vectors(tmp_path / "one" / "xvector.scp")[1],
        read_vectors(tmp_path / "all" / "xvector.scp")[1][3:],
    )


def test_windows_have_vectors_and_times(folder, tmp_path):
    path = folder / "audio" / "b.flac"
    counts = run(folder / "m", path.parent, tmp_path / "o", "--window-seconds", 2, "--allow-broken")
    assert counts["vectors"] == 4
    keys, _ = read_vectors(tmp_path / "o" / "xvector.scp")
    assert keys[:2] == ["b.flac-0000000-0000200", "b.flac-0000200-0000400"]
    segments = (tmp_path / "o" / "segments").read_text().split("\n")
    assert segments[1] == "b.flac-0000200-0000400 b.flac 2.00 4.00"


def test_nothing_is_written_where_nothing_can_be(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    broken = folder / "audio" / "text.wav"
    good = folder / "audio" / "b.flac"
    before = sorted(tmp_path.iterdir())
    faults = [
        ([broken, tmp_path / "out"], "no recording could be embedded: unreadable: cannot be read"),
        ([tmp_path / "empty", tmp_path / "out"], "no audio in this folder"),
        ([good, tmp_path / "file" / "out"], "cannot be written"),
        ([good, tmp_path / "file"], "cannot be written"),
        ([good, good, tmp_path / "out"], "its key .* is that of"),
    ]
    for words, message in faults:
        with pytest.raises(UserError, match=message):
            run(folder / "m", *words)
    assert sorted(tmp_path.iterdir()) == before


def test_finished_output_is_not_overwritten(folder, tmp_path):
    for output in ("out", "out.npz"):
        run(folder / "m", folder / "audio" / "b.flac", tmp_path / output)
        with pytest.raises(UserError, match="exists already"):
            run(folder / "m", folder / "audio" / "b.flac", tmp_path / output)
