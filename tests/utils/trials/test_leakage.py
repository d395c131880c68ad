"""Which overlaps of speakers are wrong, and which are usual."""

import pytest

from utils.errors import UserError
from utils.trials.leakage import find_leakage, read_speakers, refuse_leakage

CLEAN = {
    "train": {"a", "b"},
    "dev": {"c"},
    "calibration": {"d"},
    "cohort": {"a"},
    "backend": {"a", "b"},
}


def test_clean_sets_have_notes_only():
    faults, notes = find_leakage({"test": {"x", "y"}}, CLEAN)
    assert faults == []
    assert notes == [
        "1 of 1 speakers of the cohort are in the network's training, which is normal",
        "2 of 2 speakers of back-end training are in the network's training, which is normal",
    ]


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("train", "the network's training"),
        ("dev", "dev"),
        ("calibration", "calibration"),
        ("cohort", "the cohort"),
        ("backend", "back-end training"),
    ],
)
def test_test_speakers_may_be_in_no_set_that_was_learnt_from(role, words):
    faults, _ = find_leakage({"test": {"x", "y", "z"}}, CLEAN | {role: CLEAN[role] | {"y"}})
    assert faults == [f"1 of 3 speakers of test set test are in {words} (y)"]


@pytest.mark.parametrize("role", ["dev", "calibration"])
def test_dev_and_calibration_speakers_may_not_be_in_training(role):
    faults, _ = find_leakage({}, CLEAN | {role: {"a", "b", "q"}})
    assert faults == [f"2 of 3 speakers of {role} are in the network's training (a, b)"]


def test_leakage_is_refused_unless_allowed_and_then_marked(capsys):
    tests = {"test": set("vwxyz")}
    with pytest.raises(
        UserError,
        match=(
            r"^4 of 5 speakers of test set test are in dev \(v, w, x, \.\.\.\); and 1 "
            r"more: .*--allow-leakage"
        ),
    ) as caught:
        refuse_leakage(tests, CLEAN | {"dev": set("vwxy"), "cohort": {"z"}})
    assert len(str(caught.value).splitlines()) == 1
    marks = refuse_leakage(tests, CLEAN | {"dev": {"v"}}, allow=True)
    assert marks == ["leakage: 1 of 5 speakers of test set test are in dev (v)"]
    assert "which is normal" in capsys.readouterr().out
    assert refuse_leakage(tests, CLEAN, allow=True) == []


def test_speakers_come_from_data_directories(tmp_path):
    (tmp_path / "utt2spk").write_text("u1 a\nu2 a\nu3 b\n")
    assert read_speakers([tmp_path, tmp_path]) == {"a", "b"}
    with pytest.raises(UserError, match="nowhere/utt2spk: no such file"):
        read_speakers([tmp_path / "nowhere"])
