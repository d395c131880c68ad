"""Audio files of a corpus: order of the listing, cached measurements, refusals."""

import os

import numpy as np
import pytest
import soundfile

from local import audio_tree
from local.audio_tree import durations, list_audio, listing_digest
from utils.errors import UserError


def write(path, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        path,
        np.zeros(round(16000 * seconds)),
        16000,
        format="FLAC" if path.suffix.lower() == ".flac" else "WAV",
    )


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for name, seconds in (
        ("b/two words.wav", 0.1),
        ("b/1.WAV", 0.2),
        ("B/3.flac", 0.3),
        ("a/deep/er/4.wav", 0.4),
        ("5.wav", 0.5),
    ):
        write(root / name, seconds)
    (root / "b" / "text.txt").write_text("no sound")
    (root / "b" / "._1.wav").write_text("what a Mac leaves behind")
    return root


def test_every_audio_file_is_found_in_byte_order_with_its_size(tree):
    found = list_audio(tree, jobs=3)
    assert [path for path, _ in found] == [
        "5.wav",
        "B/3.flac",
        "a/deep/er/4.wav",
        "b/1.WAV",
        "b/two words.wav",
    ]
    assert dict(found)["b/1.WAV"] == os.path.getsize(tree / "b" / "1.WAV")
    assert list_audio(tree, jobs=1) == found
    assert [path for path, _ in list_audio(tree, (".flac",))] == ["B/3.flac"]


def test_links_are_followed_and_one_to_nothing_has_no_bytes(tree, tmp_path):
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "6.wav")
    (tree / "c").symlink_to(tmp_path / "other")
    (tree / "d.wav").symlink_to(tmp_path / "gone.wav")
    found = dict(list_audio(tree))
    assert "c/6.wav" in found
    assert found["d.wav"] == 0
    _, unreadable = durations(tree, sorted(found.items()), 1, tmp_path / "cache")
    assert list(unreadable) == ["d.wav"]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda root: (root / "b" / "loop").symlink_to(root),
            "b/loop: a link to a folder that contains it",
        ),
        (
            lambda root: (root / os.fsdecode(b"caf\xe9.wav")).touch(),
            r"the name b'caf\\xe9.wav' is not UTF-8",
        ),
        (lambda root: write(root / "two\nlines.wav"), "has a control character in it"),
    ],
)
def test_what_no_list_could_name_is_refused(tree, spoil, complaint):
    spoil(tree)
    with pytest.raises(UserError, match=complaint):
        list_audio(tree)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        list_audio(tmp_path / "nowhere")


def test_durations_are_those_of_the_headers_and_what_cannot_be_opened_is_named(tree, tmp_path):
    (tree / "broken.wav").write_bytes(b"no sound")
    write(tree / "empty.wav", 0)
    seconds, unreadable = durations(tree, list_audio(tree), 2, tmp_path / "cache")
    assert seconds == {
        "5.wav": "0.5000",
        "B/3.flac": "0.3000",
        "a/deep/er/4.wav": "0.4000",
        "b/1.WAV": "0.2000",
        "b/two words.wav": "0.1000",
    }
    assert set(unreadable) == {"broken.wav", "empty.wav"}
    assert unreadable["empty.wav"] == f"{tree}/empty.wav: no samples"


def test_what_was_measured_is_not_measured_again(tree, tmp_path, monkeypatch):
    """Parts of two files: the third part is missing after a kill, a file of the second changed."""
    monkeypatch.setattr(audio_tree, "FILES_PER_PART", 2)
    files, cache = list_audio(tree), tmp_path / "cache"
    first = durations(tree, files, 1, cache)
    assert [path.name for path in sorted(cache.iterdir())] == [
        "part.00001",
        "part.00002",
        "part.00003",
    ]
    (cache / "part.00003").unlink()
    write(tree / "B" / "3.flac", 0.6)
    opened = []
    measure = audio_tree.audio_header
    monkeypatch.setattr(
        audio_tree,
        "audio_header",
        lambda entry: opened.append(os.path.relpath(entry, tree)) or measure(entry),
    )
    again, _ = durations(tree, list_audio(tree), 1, cache)
    assert opened == ["B/3.flac", "b/two words.wav"]
    assert again == first[0] | {"B/3.flac": "0.6000"}
    assert {path.name for path in tree.rglob("*")} == {
        "5.wav",
        "B",
        "3.flac",
        "a",
        "deep",
        "er",
        "4.wav",
        "b",
        "1.WAV",
        "two words.wav",
        "text.txt",
        "._1.wav",
    }


def test_processes_measure_what_one_does(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_tree, "FEW_FILES", 0)
    files = list_audio(tree)
    assert durations(tree, files, 2, tmp_path / "two") == durations(
        tree, files, 1, tmp_path / "one"
    )


def test_the_fingerprint_tells_names_and_sizes(tree):
    before = listing_digest(list_audio(tree))
    write(tree / "5.wav", 0.5)
    assert listing_digest(list_audio(tree)) == before
    write(tree / "5.wav", 0.7)
    assert listing_digest(list_audio(tree)) != before
