"""Trials against utt2spk, models and themselves: good ones, notes, and lists without classes."""

import pytest

from tests.utils.data_dir.cases import GOOD, write_lists
from utils.data_dir import (
    combine_data_dirs,
    copy_data_dir,
    data_dir_problems,
    read_data_dir,
    subset_data_dir,
    write_data_dir,
)
from utils.data_dir.__main__ import validate
from utils.data_dir.lists import read_trial_list
from utils.data_dir.trial_list import Trials
from utils.errors import UserError

PAIRS = "a-1 a-2\nm1 c-1\nb-1 c-1\n"
OWN = {"utt2spk": "a-1 a-1\na-2 a-2\nb-1 b-1\nc-1 c-1\n", "spk2gender": None}
OWN["spk2utt"] = OWN["utt2spk"]


def said_of(folder, capsys):
    """What validate prints of a good data directory, but for its name."""
    validate(folder)
    *notes, last = capsys.readouterr().out.splitlines()
    assert last == f"{folder}: good"
    return [note.removeprefix(f"{folder}/trials: ") for note in notes]


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, []),
        ({"trials": "a-1 a-2 target\na-2 a-1 target\nb-1 c-1 nontarget\n"}, []),
        (
            {"trials": PAIRS},
            [
                (
                    "3 trials without a class (target, nontarget): they can be scored, "
                    "but have no error rate"
                )
            ],
        ),
        (
            {"trials": "a-1 a-1\nm1 a-2\nb-1 c-1\n"},
            [
                (
                    "3 trials without a class (target, nontarget): they can be scored, "
                    "but have no error rate"
                ),
                "2 of 3 trials compare an utterance with itself or with a model of it",
            ],
        ),
        (
            {"trials": "a-1 a-2 target\n"},
            [
                (
                    "all 1 trials are target, expected both target and nontarget for an "
                    "error rate: they can be scored, but have none"
                )
            ],
        ),
        (
            OWN | {"trials": "a-1 c-1 target\na-2 c-1 nontarget\n"},
            [
                (
                    "the classes of 2 of 2 trials cannot be checked: utt2spk has no "
                    "speaker for 'c-1' (line 1)"
                )
            ],
        ),
        (
            {"utt2spk": "a-1 a\na-2 a\nb-1 b\nc-1 c-1\n", "spk2gender": None}
            | {"spk2utt": "a a-1 a-2\nb b-1\nc-1 c-1\n"}
            | {"trials": "a-1 a-2 target\na-1 b-1 nontarget\na-1 c-1 target\nc-1 b-1 target\n"},
            [
                (
                    "the classes of 2 of 4 trials cannot be checked: utt2spk has no "
                    "speaker for 'c-1' (line 3)"
                )
            ],
        ),
        (
            # Kaldi's SRE16: the speakers of enrolment utterances are the names of models.
            {"trials": "a b-1 target\na c-1 nontarget\n", "enroll_spk2utt": "a a-1 a-2\n"},
            [
                (
                    "the classes of 2 of 2 trials cannot be checked: utt2spk has no "
                    "speaker for 'a' (line 1)"
                )
            ],
        ),
    ],
)
def test_good_trials_and_what_cannot_be_known_of_them(changes, notes, tmp_path, capsys):
    data = write_lists(tmp_path / "d", GOOD, **changes)
    assert said_of(data, capsys) == notes


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (
            "a-1 c-1 target\nc-1 a-1 nontarget\n",
            ":2: trial 'c-1 a-1' is nontarget, in line 1 target, expected one class for a pair",
        ),
        (
            "a-1 c-1 target\nb-1 c-1 nontarget\na-1 c-1 nontarget\n",
            (
                ":3: trial 'a-1 c-1' again, as nontarget, expected each once (first: "
                "line 1, as target)"
            ),
        ),
        ("a-1 c-1 target\nb-1 b-1 nontarget\n", ":2: trial of utterance 'b-1' with itself"),
    ],
)
def test_what_needs_no_speaker_is_checked_without_one(trials, said, tmp_path):
    data = write_lists(tmp_path / "d", GOOD, **OWN, trials=trials)
    problems = data_dir_problems(data)
    assert [line.startswith(f"{data}/trials{said}") for line in problems] == [True], problems


def test_a_model_and_an_utterance_of_one_name_are_two_things(tmp_path):
    """The model 'b-1' is of speaker a: it may meet the utterance; neither is the same pair."""
    lists = {"enroll_spk2utt": "b-1 a-1\nc-1 c-1\n"}
    trials = "b-1 b-1 nontarget\nb-1 a-2 target\n"
    assert data_dir_problems(write_lists(tmp_path / "d", GOOD, **lists, trials=trials)) == []
    trials = "b-1 c-1 target\nc-1 b-1 nontarget\n"
    unknown = write_lists(tmp_path / "e", GOOD, **lists, **OWN, trials=trials)
    assert data_dir_problems(unknown) == []


def test_lists_without_classes_go_everywhere(tmp_path):
    source = read_data_dir(write_lists(tmp_path / "source", GOOD, trials=PAIRS))
    assert source.trials == PAIRS.splitlines()
    assert source.trials.kinds is None
    write_data_dir(source, tmp_path / "again")
    assert (tmp_path / "again" / "trials").read_text() == PAIRS
    part = subset_data_dir(source, utterances=["a-1", "a-2", "b-1"])
    assert list(part.trials) == ["a-1 a-2"]
    copy = copy_data_dir(source, utt_prefix="n-", spk_prefix="n-")
    assert copy.trials == ["n-a-1 n-a-2", "n-m1 n-c-1", "n-b-1 n-c-1"]
    assert combine_data_dirs([source, copy]).trials == [*source.trials, *copy.trials]
    labelled = read_data_dir(write_lists(tmp_path / "labelled", GOOD))
    with pytest.raises(UserError, match="source/trials: its trials have no classes, those of"):
        combine_data_dirs([copy_data_dir(labelled, utt_prefix="x-", spk_prefix="x-"), source])


def test_a_list_of_one_class_stays_one(tmp_path):
    source = read_data_dir(write_lists(tmp_path / "d", GOOD, trials="a-1 a-2 target\n"))
    assert subset_data_dir(source, utterances=["a-1", "a-2"]).trials == ["a-1 a-2 target"]
    assert subset_data_dir(source, utterances=["a-1", "b-1"]).trials is None


@pytest.mark.parametrize(
    ("content", "line"),
    [("a b\na c target\n", 2), ("a b target\na c\nb c target\n", 2), ("a b\nb c\na\n", 3)],
)
def test_all_lines_have_a_class_or_none(content, line, tmp_path):
    (tmp_path / "list").write_text(content)
    with pytest.raises(UserError, match=f"list:{line}: "):
        read_trial_list(tmp_path / "list")


def test_columns_without_classes_are_lines_of_two_words():
    trials = Trials(["a", "b"], ["x", "y"])
    assert (list(trials), trials[-1], list(trials[:1])) == (["a x", "b y"], "b y", ["a x"])
    assert trials.content() == b"a x\nb y\n"
    assert list(trials.restricted({"b"}, {"x", "y"})) == ["b y"]
    assert Trials.of(["a x", "b y"]) == trials
    assert (len(Trials.of([])), Trials.of([]).classes) == (0, set())
