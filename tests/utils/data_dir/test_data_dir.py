"""The rules of a data directory, each with one that breaks it; maps, trials, audio; exit codes."""

import re
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.data_dir.cases import (
    BREAKS,
    FEATURES,
    GOOD,
    SEGMENT_BREAKS,
    SEGMENTED,
    contents,
    write_lists,
)
from utils.archive import read_scp
from utils.data_dir import (
    data_dir_problems,
    job_utterances,
    read_data_dir,
    read_map,
    read_trials,
    validate_data_dir,
    write_data_dir,
    write_map,
)
from utils.data_dir.lists import read_spk2utt
from utils.data_dir.rules import MAY_LACK_UTTERANCES
from utils.errors import UserError


@pytest.mark.parametrize("lists", [GOOD, SEGMENTED], ids=["utterances", "segments"])
def test_a_good_directory_has_no_problems(lists, tmp_path):
    data = write_lists(tmp_path / "d", lists)
    assert data_dir_problems(data) == []
    validate_data_dir(data)


@pytest.mark.parametrize(
    ("lists", "changes", "said"),
    [pytest.param(GOOD, *case, id=name) for name, *case in BREAKS]
    + [pytest.param(SEGMENTED, *case, id=f"segments_{name}") for name, *case in SEGMENT_BREAKS],
)
def test_a_broken_rule_is_named_with_file_and_line(lists, changes, said, tmp_path):
    data = write_lists(tmp_path / "d", lists, **changes)
    problems = data_dir_problems(data)
    assert any(line.startswith(f"{data}/{said}") for line in problems), problems
    assert all(
        line.startswith(f"{data}/") and "\n" not in line and "expected" in line for line in problems
    ), problems
    with pytest.raises(UserError) as error:
        validate_data_dir(data)
    assert str(error.value) == problems[0]
    with pytest.raises(UserError):
        read_data_dir(data)


def test_tabs_paths_with_blanks_and_lists_of_other_kinds_are_good(tmp_path):
    tabs = {file: content.replace(" ", "\t", 1) for file, content in GOOD.items()}
    data = write_lists(
        tmp_path / "d",
        tabs,
        wav_scp="a-1\tmy x/a.wav\na-2 ü.wav\nb-1 x\nc-1 x\n",
        utt2origin="a-1 Türkiye\na-2 x\nb-1 x\nc-1 x\n",
        utt2num_frames="a-1 10\na-2 10\nb-1 10\nc-1 10\n",
        README="anything goes\r\n",
    )
    (data / "receipts").mkdir()
    assert data_dir_problems(data) == []
    assert read_map(data / "wav.scp")["a-1"] == "my x/a.wav"


@pytest.mark.parametrize(
    "blanks",
    [("", " "), ("", "\t"), (" ", ""), ("\t", " \t "), ("  ", "  ")],
    ids=["at_the_end", "tab_at_the_end", "before_the_value", "both", "more"],
)
@pytest.mark.parametrize(
    "lists", [GOOD, SEGMENTED, FEATURES], ids=["utterances", "segments", "features"]
)
def test_blanks_before_a_value_and_at_a_lines_end_are_read(lists, blanks, tmp_path):
    """As `wav-to-duration`, `feat-to-len` and `subset_data_dir.sh --per-spk` write them."""
    before, behind = blanks
    lists = lists | {"utt2num_frames": "a-1 10\n"}
    padded = {
        file: re.sub("^([^ ]+) (.*)$", rf"\1 {before}\2{behind}", content, flags=re.MULTILINE)
        for file, content in lists.items()
    }
    data, plain = write_lists(tmp_path / "d", padded), write_lists(tmp_path / "plain", lists)
    assert data_dir_problems(data) == []
    read, expected = read_data_dir(data), read_data_dir(plain)
    assert (read.keyed, read.trials) == (expected.keyed, expected.trials)
    assert read_map(data / "utt2num_frames") == {"a-1": "10"}
    write_data_dir(read, tmp_path / "written")
    write_data_dir(expected, tmp_path / "expected")
    assert contents(tmp_path / "written") == contents(tmp_path / "expected")


def test_blanks_inside_a_path_or_a_text_are_part_of_it(tmp_path):
    data = write_lists(
        tmp_path / "d",
        GOOD,
        wav_scp="a-1  my  x/a \t.wav \na-2 sox  a.wav  -t wav - | \nb-1 x\nc-1 x\n",
        text="a-1 one  two \na-2 x\ty\nb-1 x\nc-1 x\n",
    )
    read = read_data_dir(data, allow_pipes=True)
    assert read.wav_scp["a-1"] == read_scp(data / "wav.scp")["a-1"] == "my  x/a \t.wav"
    assert read.wav_scp["a-2"] == "sox  a.wav  -t wav - |"
    assert (read.maps["text"]["a-1"], read.maps["text"]["a-2"]) == ("one  two", "x\ty")


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_lf_ends_a_line_of_a_text(letter, tmp_path):
    text = f"a-1 one{letter}two\na-2 {letter}x\nb-1 x\nc-1 x\n"
    data = write_lists(tmp_path / "d", GOOD, text=text)
    assert data_dir_problems(data) == []
    read = read_data_dir(data)
    assert read.maps["text"]["a-1"] == f"one{letter}two"
    write_data_dir(read, tmp_path / "written")
    assert (tmp_path / "written" / "text").read_bytes() == text.encode()


def test_features_alone_are_a_data_directory(tmp_path, command):
    data = write_lists(tmp_path / "d", FEATURES)
    assert command("utils.data_dir", "validate", data).stdout.endswith("good\n")
    read = read_data_dir(data)
    assert (read.wav_scp, list(read.maps["feats.scp"])) == ({}, ["a-1", "a-2", "b-1"])
    with pytest.raises(UserError, match="wav.scp: no such file, expected recordings; .* features"):
        read_data_dir(data, needs_audio=True)
    with pytest.raises(UserError, match=f"--audio reads .*archive check {data}/feats.scp"):
        validate_data_dir(data, audio=True)
    (data / "feats.scp").write_text("a-1 f.ark:4\n")
    assert "utterance 'a-2' is not in feats.scp" in data_dir_problems(data)[0]


def test_lists_by_themselves_are_not_sent_to_a_fix_of_directories(tmp_path):
    for content, remedy in (
        (b"\xef\xbb\xbfa 1\n", "sed -i '1s/"),
        (b"a 1\r\n", "sed -i 's/"),
        (b"b 1\na 1\n", "repair the file"),
    ):
        (tmp_path / "utt2x").write_bytes(content)
        with pytest.raises(UserError, match=remedy) as error:
            read_map(tmp_path / "utt2x")
        assert "fix" not in str(error.value)
        if "sed" in remedy:
            subprocess.run(["bash", "-c", str(error.value).rpartition(": ")[2]], check=True)
            assert read_map(tmp_path / "utt2x") == {"a": "1"}


def test_models_are_read_with_kaldis_blanks_and_each_once(tmp_path):
    (tmp_path / "m").write_bytes(b"m1  a-1\ta-2 \nm2 b-1\t\n")
    assert read_spk2utt(tmp_path / "m") == {"m1": ["a-1", "a-2"], "m2": ["b-1"]}
    (tmp_path / "m").write_text("m1 a-1\nm1 a-2\n")
    with pytest.raises(UserError, match="m:2: 'm1' again"):
        read_spk2utt(tmp_path / "m")


def test_a_segment_may_end_with_its_recording_by_kaldis_minus_one(tmp_path):
    assert (
        data_dir_problems(
            write_lists(
                tmp_path / "d",
                SEGMENTED | {"segments": "a-1 r1 0 1.5\na-2 r1 1.5 -1\nb-1 r2 0.25 -1.0\n"},
            )
        )
        == []
    )


@pytest.mark.parametrize("file", sorted(MAY_LACK_UTTERANCES))
def test_what_a_step_with_a_ledger_makes_may_lack_utterances(file, tmp_path):
    assert (
        data_dir_problems(
            write_lists(
                tmp_path / "d",
                GOOD | {file: f"b-1 {'3' if file.startswith('utt2') else 'v.ark:1'}\n"},
            )
        )
        == []
    )


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="none: no such folder, expected a data directory"):
        validate_data_dir(tmp_path / "none")
    assert [line.split(":")[0] for line in data_dir_problems(tmp_path)] == [
        f"{tmp_path}/{file}" for file in ("wav.scp", "utt2spk", "spk2utt")
    ]


def test_all_kinds_of_problems_are_named_up_to_twenty(tmp_path):
    data = write_lists(
        tmp_path / "d", GOOD, spk2gender="a m\nb x\nc f\n", utt2dur="a-1 0\na-2 1\nb-1 1\nc-1 1\n"
    )
    assert len(data_dir_problems(data)) == 2
    (data / "wav.scp").write_text("".join(f"a-1-{n:03d} x\n" for n in range(100)))
    assert len(data_dir_problems(data)) == 20


def test_pipes_are_accepted_only_with_leave(tmp_path):
    data = write_lists(tmp_path / "d", GOOD, wav_scp="a-1 x\na-2 sox  x - |\nb-1 x\nc-1 x\n")
    assert data_dir_problems(data, allow_pipes=True) == []
    assert read_data_dir(data, allow_pipes=True).wav_scp["a-2"] == "sox  x - |"
    with pytest.raises(UserError, match="wav.scp:2: pipe .* --allow-pipes"):
        read_data_dir(data)


def test_without_check_only_lines_have_to_be_well_formed(tmp_path):
    data = write_lists(tmp_path / "d", GOOD, wav_scp="a-1 x\n")
    assert list(read_data_dir(data, check=False).wav_scp) == ["a-1"]
    (data / "wav.scp").write_text("a-1\n")
    with pytest.raises(UserError, match="wav.scp:1: 1 fields"):
        read_data_dir(data, check=False)


def test_audio_is_opened_on_demand(tmp_path, command):
    data = write_lists(tmp_path / "d", SEGMENTED, wav_scp="r1 r1.wav\nr2 r2.wav\n")
    for name in ("r1", "r2"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(24000, np.int16), 8000)
    assert data_dir_problems(data, audio=True, root=tmp_path) == []
    soundfile.write(tmp_path / "r2.wav", np.zeros(18000, np.int16), 8000)
    assert [
        line.split(", expected")[0] for line in data_dir_problems(data, audio=True, root=tmp_path)
    ] == [f"{data}/segments:3: 'b-1' ends at 3 s"]
    (tmp_path / "r1.wav").write_bytes((tmp_path / "r1.wav").read_bytes()[:1000])
    done = command("utils.data_dir", "validate", data, "--root", tmp_path, "--audio")
    assert done.returncode == 1
    assert (
        f"{data}/wav.scp:1: 'r1.wav' cannot be read: fewer samples than its header says"
        in done.stderr
    )
    print(done.stderr)


def test_the_command_names_every_problem_and_exits_with_1(tmp_path, command):
    data = write_lists(
        tmp_path / "d", GOOD, spk2gender="a m\nb x\nc f\n", utt2dur="a-1 1\na-2 0\nb-1 1\nc-1 1\n"
    )
    done = command("utils.data_dir", "validate", data)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(str(data))[1].split(",")[0] for line in done.stderr.splitlines()] == [
        "/spk2gender:2: 'x'",
        "/utt2dur:2: '0' seconds",
    ]
    done = command("utils.data_dir", "validate", write_lists(tmp_path / "good", GOOD))
    assert (done.returncode, done.stderr) == (0, "")
    assert "good" in done.stdout
    assert command("utils.data_dir", "validate").returncode == 2
    assert command("utils.data_dir", "mend", data).returncode == 2


def test_kaldi_wants_byte_order_of_utf8(tmp_path):
    ids = ["B", "_", "a", "~"]
    write_map(tmp_path / "utt2x", dict.fromkeys(reversed(ids), "1"))
    assert (tmp_path / "utt2x").read_text() == "B 1\n_ 1\na 1\n~ 1\n"
    assert list(read_map(tmp_path / "utt2x")) == ids


identifiers = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
words = st.text(
    st.characters(min_codepoint=0x21, blacklist_characters="\x7f", blacklist_categories=["Cs"]),
    min_size=1,
)


@settings(deadline=None, max_examples=40)  # each writes files, which a busy disk delays
@given(mapping=st.dictionaries(identifiers, words, min_size=1))
def test_a_map_comes_back_as_it_was_written(tmp_path_factory, mapping):
    path = tmp_path_factory.mktemp("map") / "utt2x"
    write_map(path, mapping)
    assert read_map(path) == mapping
    assert list(read_map(path)) == sorted(mapping, key=str.encode)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a b": "1"}, "id 'a b', expected printable ASCII without blanks"),
        ({"ä": "1"}, "id 'ä'"),
        ({"": "1"}, "id ''"),
        ({"a": "1 2"}, "3 fields"),
        ({"a": "1\nb 2"}, "control character"),
        ({"a": ""}, "1 fields"),
        ({"a": " 1"}, "value ' 1' of 'a', expected no blanks around it"),
        ({"a": "1\t"}, "value '1\t' of 'a'"),
        ({"a": "1\r"}, "CR LF at the end of the line, expected LF alone$"),
    ],
)
def test_a_map_that_would_not_come_back_is_not_written(mapping, said, tmp_path):
    with pytest.raises(UserError, match=f"utt2x: {said}"):
        write_map(tmp_path / "utt2x", mapping)
    assert list(tmp_path.iterdir()) == []


def test_maps_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match="utt2x: no such file"):
        read_map(tmp_path / "utt2x")
    for content, said in (
        ("b 1\na 1\n", ":2: 'a' after 'b'"),
        ("a 1\na 1\n", ":2: 'a' again"),
        ("a 1\r\n", ":1: CR LF"),
        ("", ": empty"),
    ):
        (tmp_path / "utt2x").write_bytes(content.encode())
        with pytest.raises(UserError, match=f"utt2x{said}"):
            read_map(tmp_path / "utt2x")


def test_trials_are_read_in_their_order(tmp_path):
    (tmp_path / "list").write_text("b x target\na y nontarget\nb a target\n")
    enrol, test, is_target = read_trials(tmp_path / "list")
    assert (enrol, test, is_target.tolist()) == (
        ["b", "a", "b"],
        ["x", "y", "a"],
        [True, False, True],
    )
    assert is_target.dtype == bool


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "list: no such file"),
        ("", "list: empty"),
        ("a b\n", "list:1: 2 fields"),
        ("a b target\r\n", "list:1: CR LF"),
        ("a b target\na c 1\n", "list:2: class '1', expected target or nontarget"),
        ("a b target\n", "list: all 1 trials are target, expected both"),
        ("a b nontarget\nc d nontarget\n", "list: all 2 trials are nontarget"),
        ("a b target\na c nontarget", "list:2: no line end"),
    ],
)
def test_bad_trials_are_named(content, said, tmp_path):
    if content is not None:
        (tmp_path / "list").write_bytes(content.encode())
    with pytest.raises(UserError, match=said):
        read_trials(tmp_path / "list")


@settings(deadline=None)
@given(keys=st.sets(identifiers), parts=st.integers(1, 9))
def test_jobs_share_the_utterances_in_order(keys, parts):
    shares = [job_utterances(keys, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sum(shares, []) == sorted(keys)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("job", ["0/4", "5/4", "4", "a/b", "1/", "-1/4", "1/4/2"])
def test_an_impossible_job_is_refused(job):
    with pytest.raises(UserError, match="expected J/N"):
        job_utterances(["a"], job)
