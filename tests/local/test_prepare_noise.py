"""Noises and room responses of any tree."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.corpus import changed_listing
from local.prepare_noise import prepare_bank, prepare_noise, utterance_id
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError


def write_tree(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / file, np.zeros(1600) + 0.1, 16000)
    return folder


def test_every_audio_file_is_listed_under_its_path_with_its_first_folder_as_type(tmp_path):
    tree = write_tree(tmp_path / "tree", "music/rock/a.1.wav", "noise/b.FLAC", "top level.wav")
    (tree / "README").write_text("credits")
    counts = prepare_noise(tree, tmp_path / "noise")
    validate_data_dir(tmp_path / "noise", audio=True)
    assert counts == {"came_in": 3, "went_on": 3, "speakers": 3, "types": 3, "no_audio": 1}
    assert read_map(tmp_path / "noise" / "utt2type") == {
        "music-rock-a_1": "music",
        "noise-b": "noise",
        "top_level": "tree",
    }
    assert set(read_map(tmp_path / "noise" / "utt2dur").values()) == {"0.1000"}


def test_names_become_plain_ids():
    assert [utterance_id(Path(name)) for name in ("a b/ü.wav", "st._m.wav", "x.v2")] == [
        "a_b-u",
        "st__m",
        "x_v2",
    ]


@pytest.mark.parametrize("above", ["", "unpacked/"])
def test_the_published_sets_are_known_by_their_folders_and_noises_are_no_rooms(tmp_path, above):
    """Given by their own folder or by the one above, which is what an archive unpacks to."""
    write_tree(
        tmp_path,
        *(f"{above}musan/{name}/a.wav" for name in ("music", "noise", "speech")),
        *(
            f"{above}RIRS_NOISES/{name}.wav"
            for name in (
                "simulated_rirs/smallroom/Room001/Room001-00001",
                "pointsource_noises/noise-free-sound-0001",
                "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla",
                "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1",
            )
        ),
    )
    given = (
        (tmp_path / "unpacked",) * 2 if above else (tmp_path / "musan", tmp_path / "RIRS_NOISES")
    )
    counts = prepare_bank(tmp_path / "out", *given)
    assert set(read_map(tmp_path / "out" / "noise" / "utt2type").values()) == {
        "music",
        "noise",
        "speech",
    }
    assert sorted(read_map(tmp_path / "out" / "rirs" / "utt2type").values()) == [
        "real_rirs_isotropic_noises",
        "simulated_rirs",
    ]
    assert {name: each["went_on"] for name, each in counts.items()} == {"noise": 3, "rirs": 2}


def test_two_files_of_one_id_are_refused(tmp_path):
    tree = write_tree(tmp_path / "tree", "a/b.wav", "a-b.wav")
    with pytest.raises(UserError, match="a/b.wav and a-b.wav would both have the id 'a-b'"):
        prepare_noise(tree, tmp_path / "out")


def test_a_tree_without_audio_is_refused(tmp_path):
    with pytest.raises(UserError, match="tree: no such folder; correct the path"):
        prepare_noise(tmp_path / "tree", tmp_path / "out")
    (tmp_path / "tree").mkdir()
    with pytest.raises(UserError, match="tree: no audio among 0 files, expected some of"):
        prepare_noise(tmp_path / "tree", tmp_path / "out")


def test_links_are_followed_and_names_that_begin_with_a_dot_left_alone(tmp_path):
    """MUSAN with folders on several disks, or copied by a Mac, which adds a ``._`` file to each."""
    elsewhere = write_tree(tmp_path / "disk", "rock/a.wav", "rock/b.wav")
    tree = write_tree(tmp_path / "tree", "noise/c.wav")
    (tree / "music").symlink_to(elsewhere)
    for name in ("._c.wav", "._d.wav"):
        (tree / "noise" / name).write_bytes(bytes(100))
    counts = prepare_noise(tree, tmp_path / "out")
    assert (counts["came_in"], counts["went_on"], counts["types"]) == (3, 3, 2)
    assert read_map(tmp_path / "out" / "utt2type") == {
        "music-rock-a": "music",
        "music-rock-b": "music",
        "noise-c": "noise",
    }


def test_a_tree_of_which_nothing_can_be_read_is_refused(tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "a.wav").write_bytes(bytes(100))
    with pytest.raises(
        UserError,
        match=r"none of 1 audio files can be read, expected some \(.*a.wav: cannot be read",
    ):
        prepare_noise(tmp_path / "noise", tmp_path / "data")
    assert not (tmp_path / "data" / "wav.scp").exists()


def test_one_unreadable_file_is_entered_in_the_ledger_and_two_are_too_many(tmp_path):
    tree = write_tree(tmp_path / "tree", "a.wav", "b.wav", "c.wav")
    (tree / "b.wav").write_bytes(b"")
    assert prepare_noise(tree, tmp_path / "out")["went_on"] == 2
    assert (tmp_path / "out" / "dropped").read_text().startswith("b unreadable ")
    (tree / "c.wav").write_bytes(b"RIFF")
    with pytest.raises(
        UserError, match="2 of 3 utterances dropped as unreadable.*run the stage again$"
    ):  # no option raises the limit
        prepare_noise(tree, tmp_path / "out")


def test_a_new_file_makes_it_stale_and_nothing_new_leaves_it(tmp_path, capsys):
    tree = write_tree(tmp_path / "tree", "a.wav")
    prepare_noise(tree, tmp_path / "out")
    capsys.readouterr()
    prepare_noise(tree, tmp_path / "out")
    assert capsys.readouterr().out == ""
    write_tree(tree, "b.wav")
    assert prepare_noise(tree, tmp_path / "out")["went_on"] == 2
    assert f"redone: files of {tree} are new, gone or of another size" in capsys.readouterr().err
    (tree / "b.wav").unlink()
    assert prepare_noise(tree, tmp_path / "out")["went_on"] == 1
    assert f"redone: 1 file gone: {tree}/b.wav" in capsys.readouterr().err


def test_of_many_files_that_are_gone_a_few_are_named(tmp_path):
    tree = write_tree(tmp_path / "tree", *(f"{name}.wav" for name in "abcde"))
    prepare_noise(tree, tmp_path / "out")
    for name in "abcd":
        (tree / f"{name}.wav").unlink()
    said = changed_listing(tree, [tmp_path / "none", tmp_path / "out"])
    assert said == f"4 files gone: {tree}/a.wav, {tree}/b.wav, {tree}/c.wav and 1 more"
