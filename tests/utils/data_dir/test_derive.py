"""Data directories written, cut, joined and copied."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.data_dir.cases import FEATURES, GOOD, SEGMENTED, contents, write_lists
from utils.data_dir import (
    DataDir,
    combine_data_dirs,
    copy_data_dir,
    data_dir_problems,
    read_data_dir,
    split_data_dir,
    subset_data_dir,
    write_data_dir,
)
from utils.data_dir import lists as data_dir_lists
from utils.errors import UserError


@pytest.fixture(params=[GOOD, SEGMENTED], ids=["utterances", "segments"])
def folder(request, tmp_path) -> Path:
    return write_lists(tmp_path / "source", request.param)


@pytest.fixture
def good(tmp_path) -> DataDir:
    return read_data_dir(write_lists(tmp_path / "source", GOOD))


names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=3)


@st.composite
def data_dirs(draw):
    """Good directories of any ids; utterances begin with their speaker and a low character."""
    members = draw(
        st.dictionaries(names, st.sets(names, min_size=1, max_size=4), min_size=1, max_size=5)
    )
    utt2spk = {
        f"{speaker:!<3}!{name}": f"{speaker:!<3}"
        for speaker, utterances in members.items()
        for name in utterances
    }
    spk2gender = {speaker: draw(st.sampled_from("mf")) for speaker in utt2spk.values()}
    maps = {"utt2x": {utterance: draw(names) for utterance in utt2spk}, "spk2gender": spk2gender}
    return DataDir(
        Path("drawn"),
        {
            utterance: draw(st.sampled_from(["x.wav", "x y.wav", "é.ark:3"]))
            for utterance in utt2spk
        },
        utt2spk,
        None,
        maps,
    )


@settings(deadline=None, max_examples=40)  # each writes files, which a busy disk delays
@given(data=data_dirs())
def test_what_is_written_is_good_and_comes_back(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("d") / "new"
    write_data_dir(data, path)
    assert data_dir_problems(path) == []
    back = read_data_dir(path)
    assert (back.keyed, back.spk2utt, back.trials) == (data.keyed, data.spk2utt, None)
    assert all(list(mapping) == sorted(mapping) for mapping in back.keyed.values())


@settings(deadline=None)
@given(data=data_dirs(), draw=st.data())
def test_parts_combined_are_the_whole(data, draw):
    by_speaker = draw.draw(st.booleans(), "by speaker")
    parts = split_data_dir(
        data,
        draw.draw(st.integers(1, len(data.spk2utt if by_speaker else data.utt2spk)), "parts"),
        by_speaker=by_speaker,
    )
    assert combine_data_dirs(parts).keyed == data.keyed
    whole, *cut = (
        list(one.spk2utt) if by_speaker else sorted(one.utt2spk) for one in (data, *parts)
    )
    assert sum(cut, []) == whole


def test_a_copy_has_the_same_bytes(folder, tmp_path, command):
    done = command("utils.data_dir", "copy", folder, tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "copy") == contents(folder)
    done = command("utils.data_dir", "copy", folder, tmp_path / "copy")
    assert (done.returncode, done.stderr) == (
        1,
        (
            f"utils.data_dir: {tmp_path}/copy: exists already, expected a new folder; "
            "choose another name or remove it\n"
        ),
    )


def test_what_breaks_a_rule_is_not_written(good, tmp_path):
    good.utt2spk["a b"] = "a"
    with pytest.raises(UserError, match="new/utt2spk: id 'a b'"):
        write_data_dir(good, tmp_path / "new")
    del good.utt2spk["a b"], good.maps["utt2dur"]["b-1"]
    with pytest.raises(UserError, match="new/utt2spk:3: utterance 'b-1' is not in utt2dur"):
        write_data_dir(good, tmp_path / "new")
    good.maps["utt2dur"]["b-1"] = "1"
    good.trials = [*good.trials, "a b-1 maybe so"]
    with pytest.raises(UserError, match="new/trials:4: 4 fields"):
        write_data_dir(good, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_writing_over_a_directory_replaces_its_lists_and_nothing_else(good, tmp_path):
    (tmp_path / "source" / "receipts").mkdir()
    (tmp_path / "source" / "packed.1.ark").write_bytes(b"dear")
    write_data_dir(subset_data_dir(good, first=1), tmp_path / "source")
    assert {path.name for path in (tmp_path / "source").iterdir()} == GOOD.keys() - {
        "trials",
        "enroll.spk2utt",
    } | {"receipts", "packed.1.ark"}
    assert data_dir_problems(tmp_path / "source") == []


def test_a_full_disk_leaves_no_half_a_directory(good, tmp_path, monkeypatch):
    real, calls = data_dir_lists.atomic_write, []

    def fill(path, mode):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(path, mode)

    monkeypatch.setattr(data_dir_lists, "atomic_write", fill)
    with pytest.raises(OSError, match="No space"):
        write_data_dir(good, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_subset_filters_every_list(good, tmp_path):
    write_data_dir(subset_data_dir(good, speakers=["a", "b"]), tmp_path / "new")
    assert {file: content.decode() for file, content in contents(tmp_path / "new").items()} == {
        "wav.scp": "a-1 x/a-1.wav\na-2 x/a-2.flac\nb-1 x.ark:12\n",
        "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
        "spk2utt": "a a-1 a-2\nb b-1\n",
        "utt2dur": "a-1 1.5\na-2 2\nb-1 3e0\n",
        "utt2condition": "a-1 near\na-2 far\nb-1 near\n",
        "spk2gender": "a m\nb f\n",
        "vad.scp": "a-1 v.ark:4\nb-1 v.ark:99\n",
        "text": "a-1 WE CALL IT\na-2 BÄR\nb-1 x\n",
        "enroll.spk2utt": "m1 a-1 a-2\n",
        "trials": "m1 b-1 nontarget\na a-1 target\n",
    }


def test_a_subset_of_segments_keeps_only_their_recordings(tmp_path):
    data = read_data_dir(write_lists(tmp_path / "d", SEGMENTED))
    part = subset_data_dir(data, utterances=["a-2"])
    assert (part.wav_scp, part.segments, part.maps) == (
        {"r1": "r1.wav"},
        {"a-2": "r1 1.5 2"},
        {"reco2dur": {"r1": "2.0"}},
    )


def test_trials_and_models_stay_only_whole(good):
    part = subset_data_dir(good, utterances=["a-1", "b-1", "c-1"])
    assert "enroll.spk2utt" not in part.maps, "m1 lost a-2"
    assert part.trials == ["a a-1 target", "b-1 c-1 nontarget"]
    assert subset_data_dir(good, utterances=["b-1", "c-1"]).trials is None, "one class only"
    good.maps["enroll.spk2utt"] = {"a": "a-1 a-2"}
    good.trials = ["a c-1 nontarget", "c c-1 target", "c b-1 nontarget"]
    assert subset_data_dir(good, utterances=["a-1", "b-1", "c-1"]).trials == [
        "c c-1 target",
        "c b-1 nontarget",
    ], "model a is not speaker a"


def test_a_draw_per_speaker_depends_on_seed_and_speaker_only(good):
    many = {f"{speaker}-{number}": speaker for speaker in "abc" for number in range(9)}
    data = DataDir(Path("d"), dict(many), many)
    some = subset_data_dir(data, per_speaker=3, seed=1)
    assert {speaker: len(members) for speaker, members in some.spk2utt.items()} == {
        "a": 3,
        "b": 3,
        "c": 3,
    }
    assert (
        subset_data_dir(subset_data_dir(data, speakers=["b"]), per_speaker=3, seed=1).spk2utt["b"]
        == some.spk2utt["b"]
    )
    assert subset_data_dir(data, per_speaker=3, seed=2).utt2spk != some.utt2spk
    assert subset_data_dir(data, per_speaker=99).utt2spk == many


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({}, "chosen in exactly one way"),
        ({"first": 1, "speakers": ["a"]}, "chosen in exactly one way"),
        ({"first": 0}, "0 utterances asked for"),
        ({"per_speaker": -1}, "-1 utterances asked for"),
        ({"utterances": []}, "no utterance would be left"),
        ({"utterances": ["a-1", "a-9"]}, r"no utterance 'a-9' \(1 of 2 are unknown\)"),
        ({"speakers": ["d"]}, "no speaker 'd'"),
    ],
)
def test_an_impossible_choice_is_refused(choice, said, good):
    with pytest.raises(UserError, match=said):
        subset_data_dir(good, **choice)


@pytest.mark.parametrize(("parts", "by_speaker"), [(0, False), (5, False), (4, True)])
def test_an_impossible_split_is_refused(parts, by_speaker, good):
    with pytest.raises(UserError, match=f"{parts} parts of"):
        split_data_dir(good, parts, by_speaker=by_speaker)


def test_clashing_ids_are_refused(good, tmp_path):
    with pytest.raises(UserError, match="enroll.spk2utt: 'm1' is in .*source/enroll.spk2utt too"):
        combine_data_dirs([good, copy_data_dir(good, utt_prefix="x-")])
    other = read_data_dir(write_lists(tmp_path / "other", GOOD, enroll_spk2utt=None, trials=None))
    with pytest.raises(
        UserError,
        match="/other/.*: 'a-1' is in .*source/.* too, expected ids of one directory only",
    ):
        combine_data_dirs([good, other])
    other = copy_data_dir(other, utt_prefix="a-x")
    other.maps["spk2gender"]["b"] = "m"
    with pytest.raises(UserError, match="/other/spk2gender: 'b' is in"):
        combine_data_dirs([good, other])
    segmented = read_data_dir(write_lists(tmp_path / "segmented", SEGMENTED))
    with pytest.raises(UserError, match="segmented/segments: exists, but .*source has none"):
        combine_data_dirs([good, segmented])


def test_combined_lists_cover_everything(good, tmp_path, command):
    write_data_dir(copy_data_dir(good, utt_prefix="z-", spk_prefix="z-"), tmp_path / "z")
    (tmp_path / "z" / "utt2dur").unlink()
    (tmp_path / "z" / "trials").unlink()
    done = command(
        "utils.data_dir", "combine", tmp_path / "source", tmp_path / "z", tmp_path / "both"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{tmp_path}/both: 8 utterances of 6 speakers; without utt2dur: they would be "
        "empty, or not every source has them\n"
    )
    assert data_dir_problems(tmp_path / "both") == []
    assert (tmp_path / "both" / "trials").read_text() == GOOD["trials"]


def test_a_copy_under_other_ids_changes_them_everywhere(good, tmp_path):
    write_data_dir(copy_data_dir(good, utt_prefix="n-1-", spk_prefix="n-"), tmp_path / "new")
    new = {file: content.decode() for file, content in contents(tmp_path / "new").items()}
    assert new["utt2spk"] == "n-1-a-1 n-a\nn-1-a-2 n-a\nn-1-b-1 n-b\nn-1-c-1 n-c\n"
    assert new["spk2gender"] == "n-a m\nn-b f\nn-c f\n"
    assert new["enroll.spk2utt"] == "n-m1 n-1-a-1 n-1-a-2\n"
    assert (
        new["trials"] == "n-m1 n-1-b-1 nontarget\nn-a n-1-a-1 target\nn-1-b-1 n-1-c-1 nontarget\n"
    )
    assert new["vad.scp"] == "n-1-a-1 v.ark:4\nn-1-b-1 v.ark:99\n"
    segmented = copy_data_dir(
        read_data_dir(write_lists(tmp_path / "d", SEGMENTED)), utt_prefix="n-", spk_prefix="n-"
    )
    assert (segmented.wav_scp, segmented.segments["n-b-1"]) == (
        {"r1": "r1.wav", "r2": "r2.wav"},
        "r2 0.25 3",
    )


def test_features_alone_are_cut_joined_and_copied(tmp_path):
    data = read_data_dir(write_lists(tmp_path / "d", FEATURES))
    chosen = subset_data_dir(data, utterances=["a-2", "b-1"])
    parts = split_data_dir(data, 2, by_speaker=True)
    copied = copy_data_dir(data, utt_prefix="n-", spk_prefix="n-")
    for name, made in {
        "chosen": chosen,
        "first": parts[0],
        "second": parts[1],
        "copied": copied,
        "joined": combine_data_dirs(parts),
        "both": combine_data_dirs([data, copied]),
    }.items():
        write_data_dir(made, tmp_path / name)
        assert data_dir_problems(tmp_path / name) == []
    assert contents(tmp_path / "joined") == contents(tmp_path / "d")
    assert (tmp_path / "chosen" / "feats.scp").read_text() == "a-2 f.ark:90[3:8]\nb-1 f.ark:99\n"
    assert list(copied.maps["feats.scp"]) == ["n-a-1", "n-a-2", "n-b-1"]


def test_recordings_and_features_are_not_joined(good, tmp_path):
    features = copy_data_dir(
        read_data_dir(write_lists(tmp_path / "d", FEATURES)), utt_prefix="f-", spk_prefix="f-"
    )
    with pytest.raises(
        UserError, match="d has no wav.scp and .*source no feats.scp, expected the same list"
    ):
        combine_data_dirs([good, features])
    with pytest.raises(UserError, match="neither recordings nor features"):
        write_data_dir(DataDir(tmp_path, {}, {"a-1": "a"}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_commands_take_features_alone(tmp_path, command):
    data = write_lists(tmp_path / "d", FEATURES)
    for words in (
        ["subset", data, tmp_path / "s", "--first", 2],
        ["split", data, tmp_path / "p", "--parts", 2],
        ["copy", data, tmp_path / "c", "--utt-prefix", "x-", "--spk-prefix", "x-"],
        ["combine", data, tmp_path / "c", tmp_path / "b"],
        ["fix", data],
        ["validate", tmp_path / "b"],
    ):
        done = command("utils.data_dir", *words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert len(read_data_dir(tmp_path / "b").utt2spk) == 6


@pytest.mark.slow
def test_the_commands_subset_and_split(good, tmp_path, command):
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfb-1 any\x0bthing\r\n\na-2\t\n")
    done = command(
        "utils.data_dir",
        "subset",
        tmp_path / "source",
        tmp_path / "two",
        "--utterances",
        tmp_path / "list",
    )
    assert done.stdout.startswith(
        f"{tmp_path}/two: 2 utterances of 2 speakers; without enroll.spk2utt, trials: "
    )
    assert list(read_data_dir(tmp_path / "two").utt2spk) == ["a-2", "b-1"]
    done = command("utils.data_dir", "split", tmp_path / "source", tmp_path / "parts", "--parts", 2)
    assert done.returncode == 0, done.stderr
    assert [list(read_data_dir(tmp_path / "parts" / part).utt2spk) for part in "12"] == [
        ["a-1", "a-2"],
        ["b-1", "c-1"],
    ]
    for words, said in (
        (["subset", "source", "x", "--speakers", "none"], "none: no such file"),
        (["split", "source", "x", "--parts", "9"], "9 parts of 4"),
        (["subset", "source", "x"], "exactly one way"),
        (["copy", "none", "x"], "none: no such folder"),
        (["copy", "source", "x", "--spk-prefix", "z", "--utt-prefix", "ä"], "x/wav.scp: id 'äa-1'"),
    ):
        done = command(
            "utils.data_dir", words[0], tmp_path / words[1], tmp_path / words[2], *words[3:]
        )
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list", "parts", "source", "two"]
