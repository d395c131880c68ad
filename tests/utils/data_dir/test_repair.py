"""What fix mends, what it leaves to the owner, and that nothing is lost."""

import shlex

import pytest
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
from utils.data_dir import data_dir_problems, fix_data_dir, read_data_dir
from utils.data_dir import repair as data_dir_fix
from utils.errors import UserError

LEFT_TO_THE_OWNER = {
    "no_wav_scp",
    "no_utt2spk",
    "empty_list",
    "not_utf8",
    "control_character",
    "blank_in_id",
    "utterance_not_ascii",
    "speaker_not_ascii",
    "too_few_fields",
    "byte_order_mark_of_utf16",
    "no_words",
    "map_of_three_fields",
    "twice_and_apart",
    "home_of_a_shell",
    "utterance_not_in_wav_scp",
    "gender",
    "duration_zero",
    "duration_negative",
    "duration_nan",
    "duration_infinite",
    "duration_of_python",
    "duration_a_word",
    "frames_broken",
    "speaker_order",
    "feats_of_unknown",
    "model_of_unknown",
    "trial_of_two_fields",
    "trial_class",
    "trial_of_two_fields_first",
    "trial_called_target",
    "trial_called_nontarget",
    "trial_of_a_model_called_target",
    "trial_of_a_model_with_a_speakers_name",
    "trial_of_a_speaker_called_target",
    "trial_with_itself",
    "trial_inside_its_model",
    "model_of_two_speakers",
    "trial_of_unknown_model",
    "trial_of_unknown_test",
    "trial_of_test_speaker",
    "trial_of_both_classes",
    "utt2dur_lacks_one",
    "any_map_lacks_one",
    "speaker_without_gender",
    "any_speaker_map",
    "segments_fields",
    "segments_start_negative",
    "segments_end_before_start",
    "segments_end_is_start",
    "segments_end_infinite",
    "segments_start_not_a_number",
}  # those that lack an utterance are here since trials or models name it
TWICE = next(changes for name, changes, _ in BREAKS if name == "twice_and_apart")
CASES = [
    pytest.param(GOOD, changes, name in LEFT_TO_THE_OWNER, id=name)
    for name, changes, _ in BREAKS
    if name != "pipe"  # which may stay
] + [
    pytest.param(SEGMENTED, changes, f"segments_{name}" in LEFT_TO_THE_OWNER, id=f"segments_{name}")
    for name, changes, _ in SEGMENT_BREAKS
]


@pytest.mark.parametrize(("lists", "changes", "refused"), CASES)
def test_what_is_broken_is_mended_or_refused_and_then_untouched(lists, changes, refused, tmp_path):
    data = write_lists(tmp_path / "d", lists, **changes)
    before = contents(data)
    if refused:
        assert "data_dir fix" not in data_dir_problems(data)[0] or changes == TWICE
        with pytest.raises(UserError, match=f"^{data}.*expected"):
            fix_data_dir(data)
        assert contents(data) == before
        assert not (data / ".backup").exists()
        return
    assert fix_data_dir(data, dry_run=True)
    assert contents(data) == before
    print("\n".join(fix_data_dir(data)))
    assert data_dir_problems(data) == []
    assert contents(data / ".backup") == {
        file: before[file] for file in before if contents(data)[file] != before[file]
    }
    assert fix_data_dir(data) == []
    assert not (data / ".backup.2").exists()


def test_a_good_directory_is_left_alone(tmp_path):
    data = write_lists(
        tmp_path / "d", {file: content.replace(" ", "\t", 1) for file, content in GOOD.items()}
    )
    before = contents(data)
    assert fix_data_dir(data) == []
    assert contents(data) == before
    assert not (data / ".backup").exists()


@pytest.mark.parametrize("file", GOOD)
def test_a_byte_order_mark_is_taken_away_from_any_list(file, tmp_path):
    """As Windows' editors write it; the other changes that they make go in the same stroke."""
    windows = b"\xef\xbb\xbf" + GOOD[file].replace("\n", "\r\n").encode()
    data = write_lists(tmp_path / "d", GOOD | {file: windows})
    assert f"{data}/{file}:1: begins with a byte order mark" in data_dir_problems(data)[0]
    said = fix_data_dir(data)
    assert file == "spk2utt" or f"{data}/{file}: 1 byte order marks removed" in said
    assert contents(data) == {name: text.encode() for name, text in GOOD.items()}
    assert (data / ".backup" / file).read_bytes() == windows


def test_what_kaldi_writes_is_good_and_tidied_where_a_fix_is_asked_for(tmp_path):
    blank = {file: GOOD[file].replace("\n", " \n") for file in ("utt2dur", "spk2utt", "text")}
    data = write_lists(tmp_path / "d", GOOD | blank)
    assert data_dir_problems(data) == []
    assert fix_data_dir(data) == [
        f"{data}/text: 4 lines stripped of extra blanks",
        f"{data}/utt2dur: 4 lines stripped of extra blanks",
        f"{data}/spk2utt: made again from utt2spk",
    ]
    assert contents(data) == {name: text.encode() for name, text in GOOD.items()}


def test_the_command_that_a_message_names_mends_what_it_names_pipes_or_not(tmp_path, command):
    """A pipe stays as it is, and is not run."""
    pipes = f"a-1 touch {tmp_path}/ran |\r\na-2 x\nb-1 x\nc-1 x\n"
    data = write_lists(tmp_path / "my data", GOOD, wav_scp=pipes)
    (problem,) = data_dir_problems(data, allow_pipes=True)
    remedy = shlex.split(problem.split("`")[1])
    assert remedy[:3] == ["python", "-m", "utils.data_dir"]
    done = command(*remedy[2:])
    assert (done.returncode, done.stderr) == (0, "")
    assert (data / "wav.scp").read_text() == pipes.replace("\r", "")
    assert data_dir_problems(data, allow_pipes=True) == []
    assert "pipe" in data_dir_problems(data)[0]
    assert command(*remedy[2:], "--allow-pipes").returncode == 0
    assert not (tmp_path / "ran").exists()


def test_features_alone_are_mended(tmp_path):
    lines = "b-1 f.ark:99 \r\na-1 f.ark:4\r\n"
    data = write_lists(tmp_path / "d", FEATURES, feats_scp=lines)
    assert fix_data_dir(data)
    assert data_dir_problems(data) == []
    assert contents(data) == {
        "feats.scp": b"a-1 f.ark:4\nb-1 f.ark:99\n",
        "utt2spk": b"a-1 a\nb-1 b\n",
        "spk2utt": b"a a-1\nb b-1\n",
    }


def test_every_change_is_counted(tmp_path, command):
    data = write_lists(
        tmp_path / "d",
        GOOD,
        trials=None,
        enroll_spk2utt=None,
        utt2spk="c-1 c\r\na-2 a\r\n\na-1  a\na-1 a\nb-1 b",
        utt2dur="a-1 1\nb-1 1\nc-1 1\nd-1 1\n",
        spk2gender="a m\nc f\nx f\n",
        text=None,
    )
    said = [f"utils.data_dir: {change}" for change in fix_data_dir(data, dry_run=True)]
    done = command("utils.data_dir", "fix", data, "--dry-run")
    assert [f"utils.data_dir: {line}" for line in done.stdout.splitlines()] == said
    assert command("utils.data_dir", "fix", data).stdout == done.stdout
    assert [line.removeprefix(f"utils.data_dir: {data}/") for line in said] == [
        "spk2gender: 1 of 3 lines removed, since another list lacks their ids",
        "utt2condition: 2 of 4 lines removed, since another list lacks their ids",
        "utt2dur: 2 of 4 lines removed, since another list lacks their ids",
        "utt2spk: 2 CR LF line ends made LF",
        "utt2spk: 1 empty lines removed",
        "utt2spk: 1 lines stripped of extra blanks",
        "utt2spk: line end added to the last line",
        "utt2spk: 5 lines sorted in byte order",
        "utt2spk: 1 repeated lines removed",
        "utt2spk: 2 of 4 lines removed, since another list lacks their ids",
        "vad.scp: 1 of 2 lines removed, since another list lacks their ids",
        "wav.scp: 2 of 4 lines removed, since another list lacks their ids",
        "spk2utt: made again from utt2spk",
    ]
    assert (data / "utt2spk").read_text() == "a-1 a\nc-1 c\n"
    assert (data / "spk2utt").read_text() == "a a-1\nc c-1\n"
    assert (data / "spk2gender").read_text() == "a m\nc f\n"
    assert (data / "vad.scp").read_text() == "a-1 v.ark:4\n"


def test_utterances_of_a_missing_recording_go(tmp_path):
    data = write_lists(tmp_path / "d", SEGMENTED, wav_scp="r2 r2.wav\nr3 r3.wav\n")
    fix_data_dir(data)
    assert data_dir_problems(data) == []
    assert {file: text.decode() for file, text in contents(data).items()} == {
        "wav.scp": "r2 r2.wav\n",
        "segments": "b-1 r2 0.25 3\n",
        "utt2spk": "b-1 b\n",
        "spk2utt": "b b-1\n",
        "reco2dur": "r2 3.0\n",
    }


def test_what_trials_name_is_not_sent_to_a_fix_that_would_refuse_it(tmp_path):
    """An utterance, a speaker and a recording that a trial or model needs, and one not needed."""
    for lists, changes, said in (
        (GOOD, {"utt2dur": "a-1 1\na-2 1\nb-1 1\n"}, "'c-1' is not in utt2dur"),
        (GOOD, {"spk2gender": "a m\nb f\n"}, "speaker 'c' is not in spk2gender"),
        (
            SEGMENTED | {"trials": "a-1 b-1 nontarget\na-1 a-2 target\n"},
            {"reco2dur": "r1 2.0\n"},
            "recording 'r2' is not in reco2dur",
        ),
    ):
        needed = write_lists(tmp_path / said[:12], lists, **changes)
        (problem,) = data_dir_problems(needed)
        assert said in problem
        assert problem.endswith("remove it here, and its trials and enrolment models")
        with pytest.raises(UserError):
            fix_data_dir(needed)
        free = write_lists(needed, {"trials": "", "enroll.spk2utt": ""})
        for name in ("trials", "enroll.spk2utt"):
            (free / name).unlink()
        assert "data_dir fix" in data_dir_problems(free)[0]
        assert fix_data_dir(free)
        assert data_dir_problems(free) == []


def test_two_lines_of_one_id_are_left_to_the_owner(tmp_path):
    data = write_lists(tmp_path / "d", GOOD, utt2spk="c-1 c\na-2 a\nb-1 b\na-1 a\na-2  b\n")
    with pytest.raises(
        UserError, match="utt2spk:5: 'a-2 b', but also 'a-2 a', expected one line per id"
    ):
        fix_data_dir(data)


def test_a_fault_that_stays_is_named_by_its_line_in_the_file(tmp_path, command):
    data = write_lists(tmp_path / "d", GOOD, utt2dur="c-1 1\nb-1 1\na-2 0\na-1 1\n")
    done = command("utils.data_dir", "fix", data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"utils.data_dir: {data}/utt2dur:3: '0' seconds, expected a positive number"
    )


def test_lists_of_different_directories_are_refused(tmp_path):
    data = write_lists(tmp_path / "d", {"utt2spk": "a-1 a\n", "wav.scp": "b-1 x\n"})
    with pytest.raises(
        UserError, match=r"no utterance is in every list \(1 in utt2spk, 1 in wav.scp\)"
    ):
        fix_data_dir(data)


def test_every_fix_keeps_its_own_originals(tmp_path):
    data = write_lists(tmp_path / "d", GOOD, spk2utt="a a-1\n")
    fix_data_dir(data)
    (data / "spk2utt").write_text("b b-1\n")
    fix_data_dir(data)
    assert (data / ".backup" / "spk2utt").read_text() == "a a-1\n"
    assert (data / ".backup.2" / "spk2utt").read_text() == "b b-1\n"


def test_a_fix_that_died_between_two_lists_is_finished_without_a_second_backup(tmp_path):
    data = write_lists(
        tmp_path / "d", GOOD, spk2utt="a a-1\n", utt2dur=GOOD["utt2dur"].replace("\n", "\r\n")
    )
    before = contents(data)
    fix_data_dir(data)
    mended = contents(data)
    (data / "spk2utt").write_bytes(before["spk2utt"])
    fix_data_dir(data)
    assert contents(data) == mended
    assert contents(data / ".backup") == {file: before[file] for file in ("spk2utt", "utt2dur")}
    assert not (data / ".backup.2").exists()


def test_a_full_disk_leaves_every_list_as_it_was(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    data = write_lists(tmp_path / "d", GOOD, spk2utt="a a-1\n")
    before = contents(data)
    monkeypatch.setattr(data_dir_fix, "write_contents", full)
    with pytest.raises(OSError, match="No space"):
        fix_data_dir(data)
    assert contents(data) == before


@settings(deadline=None, max_examples=40)  # each writes files, which a busy disk delays
@given(data=st.data())
def test_what_fix_leaves_is_good_and_was_there_before(tmp_path_factory, data):
    utterances = [f"{speaker}-{number}" for speaker in "abc" for number in range(3)]
    lists = {}
    for file, value in (
        ("utt2spk", lambda utterance: utterance[0]),
        ("wav.scp", lambda utterance: f"{utterance}.wav"),
        ("utt2x", lambda _: "1"),
        ("vad.scp", lambda _: "v.ark:1"),
    ):
        lines = data.draw(st.lists(st.sampled_from(utterances)), file)
        end = data.draw(st.sampled_from(["\n", "\r\n", " \n", "\n\n"]), "line end")
        lists[file] = "".join(f"{utterance} {value(utterance)}{end}" for utterance in lines)
    folder = write_lists(tmp_path_factory.mktemp("d"), lists)
    common = set.intersection(
        *(
            {line.split()[0] for line in lists[file].split("\n") if line.strip()}
            for file in ("utt2spk", "wav.scp", "utt2x")
        )
    )
    try:
        fix_data_dir(folder)
    except UserError as error:
        assert not common or "vad.scp: " in str(error), error  # noqa: PT017
        assert {file: text.decode() for file, text in contents(folder).items()} == lists
    else:
        assert data_dir_problems(folder) == []
        assert set(read_data_dir(folder).utt2spk) == common


def test_trials_without_classes_are_tidied_as_they_are(tmp_path):
    data = write_lists(tmp_path / "d", GOOD, trials="\na  b-1\r\nb-1 c-1")
    assert all("trials: " in change for change in fix_data_dir(data))
    assert (data / "trials").read_text() == "a b-1\nb-1 c-1\n"
    assert data_dir_problems(data) == []
