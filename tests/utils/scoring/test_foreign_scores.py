"""Scores in the columns that other toolkits write, and what is refused by name."""

import numpy as np
import pytest

from utils.errors import UserError
from utils.scoring.foreign_scores import read_foreign_scores, system_names
from utils.trials.foreign import read_foreign_trials

TRIALS = "1 id1/v/1.wav id1/v/2.wav\n0 id1/v/1.wav id2/w/1.wav\n0 id2/w/1.wav id1/v/2.wav\n"
VALUES = [0.9, 0.25, -0.5]
NAMES = [("id1/v/1.wav", "id1/v/2.wav"), ("id1/v/1.wav", "id2/w/1.wav")]
NAMES.append(("id2/w/1.wav", "id1/v/2.wav"))
DIGITS, WORDS = ("1", "0", "0"), ("target", "nontarget", "nontarget")


def lines(shape, names=NAMES, values=VALUES, classes=DIGITS):
    """A score file, the last line first; ``shape`` has e, t, s and c for the columns."""
    rows = [
        shape.format(e=enrol, t=test, s=score, c=word)
        for (enrol, test), score, word in zip(names, values, classes, strict=True)
    ]
    return "\n".join(reversed(rows)) + "\n"


@pytest.fixture
def read(tmp_path):
    """Scores and notes of a text, read for the list above or another one."""

    def call(text, columns=None, trials=TRIALS):
        (tmp_path / "trials.txt").write_text(trials)
        (tmp_path / "x.scores").write_text(text, newline="")
        found = read_foreign_scores(
            tmp_path / "x.scores", read_foreign_trials(tmp_path / "trials.txt"), columns
        )
        return found.values.tolist(), [note.partition(": ")[2] for note in found.notes]

    return call


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ("{e} {t} {s}", DIGITS),
        ("{e}\t{t}\t{s}", DIGITS),
        ("{e}  {t}\t {s} \r", DIGITS),
        ("{s} {e} {t}", DIGITS),
        ("{e} {t} {s} {c}", WORDS),
        ("{e} {t} {c} {s}", DIGITS),
        ("{s} {c} {e} {t}", DIGITS),
        ("{c} {e} {t} {s}", ("tgt", "imp", "imp")),
    ],
)
def test_columns_are_found_by_the_names_of_the_trials(read, shape, classes):
    assert read(lines(shape, classes=classes)) == (VALUES, [])


@pytest.mark.parametrize("turn", [str, lambda name: name.replace("/", "-")])
def test_names_may_lack_their_ending_and_slashes_and_that_is_said(read, turn):
    plain = [tuple(turn(name.removesuffix(".wav")) for name in pair) for pair in NAMES]
    values, notes = read(lines("{e} {t} {s}", plain))
    assert values == VALUES
    assert "without endings such as .wav" in notes[0]


def test_the_test_side_may_stand_first_and_that_is_said(read):
    models = "m1 a target\nm1 b nontarget\n"
    values, notes = read("b m1 -1\na m1 2\n", trials=models)
    assert (values, notes) == ([2, -1], ["the test side is before the enrolment side"])
    # where both orders are trials, the columns are in the usual one
    both = "a b target\nb a target\na c nontarget\nc a nontarget\n"
    assert read("b a 2\na b 1\nc a 4\na c 3\n", trials=both) == ([1, 2, 3, 4], [])


def test_columns_may_be_stated_and_have_to_be_where_they_cannot_be_told_apart(read, tmp_path):
    side = lines("{e} {t} a {s}")
    with pytest.raises(UserError, match=r"which of columns 3, 4 is the score\?") as caught:
        read(side)
    said = str(caught.value).partition('--columns "')[2].rstrip('"')
    assert read(side, said) == (VALUES, [])
    hard = lines("{e} {t} {s} {c}", values=[1, 0, 0])
    with pytest.raises(UserError, match="which of columns 3, 4 is the score"):
        read(hard)
    assert read(hard, "enrol test score class") == ([1, 0, 0], [])
    for stated in ("enrol test", "enrol enrol test score", "enrol test score x"):
        with pytest.raises(UserError, match="--columns"):
            read(hard, stated)
    with pytest.raises(UserError, match="4 fields, but --columns names 3"):
        read(hard, "enrol test score")


def test_numbers_without_names_are_in_the_order_of_the_trials(read, tmp_path):
    assert read("0.9\n0.25\n-0.5\n") == (VALUES, [])
    trials = read_foreign_trials(tmp_path / "trials.txt")
    for array in (np.array(VALUES, np.float32), np.array(VALUES)[:, None], np.array([1, 2, 3])):
        np.save(tmp_path / "x.npy", array)
        found = read_foreign_scores(tmp_path / "x.npy", trials)
        assert found.values.tolist() == pytest.approx(array.ravel().tolist())
    for array, reason in (
        (np.array([1.0, 2.0]), "2 scores without names, expected 3"),
        (np.array([1.0, np.nan, 2.0]), r"score 2, of trial 'id1/v/1\.wav id2/w/1\.wav', is nan"),
        (np.array([[1.0, 2.0, 3.0]] * 2), "expected a row of numbers"),
        (np.array(["a", "b", "c"]), "expected a row of numbers"),
        (np.array([{}, {}, {}]), "damaged, or not an npy file"),
    ):
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(UserError, match=reason):
            read_foreign_scores(tmp_path / "x.npy", trials)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            lines("{e} {t} {s}", values=[0.9, "nan", -0.5]),
            r"x\.scores:2: score 'nan' of trial 'id1",
        ),
        (lines("{e} {t} {s}", values=[0.9, "-inf", -0.5]), r"x\.scores:2: score '-inf' of trial"),
        (lines("{e} {t} {s}", values=[0.9, "0,5", -0.5]), r"x\.scores:2: score '0,5' of trial"),
        ("0.9\nnan\n0.1\n", r"x\.scores:2: score 'nan' is not"),
        ("a b score\n" + lines("{e} {t} {s}"), r"x\.scores:1: score 'score'.*line of titles"),
        (lines("{e} {t} {s}") * 2, r"x\.scores:4: .*second score.*in line 1; remove one"),
        (
            lines("{e} {t} {s}") + "id1/v/1.wav id1/v/2.wav 7\n",
            r"x\.scores:4: trial 'id1/v/1\.wav id1/v/2\.wav' has a second score 7, the first is 0",
        ),
        (
            lines("{e} {t} {s}", NAMES[:2], VALUES[:2], DIGITS[:2]),
            r"trials\.txt:3: trial 'id2/w/1\.wav id1/v/2\.wav' has no score .* 1 of 3 trials",
        ),
        (
            lines("{e} {t} {s}", [*NAMES[:2], NAMES[2][::-1]]),
            r"trials\.txt:3: .* only 'id1/v/2\.wav id2/w/1\.wav': write the enrolment side first",
        ),
        (
            lines("{s} {c} {e} {t}", classes=("0", "0", "0")),
            r"x\.scores:3: .* nontarget here and a target",
        ),
        (
            lines("{e} {t} {s}") + "id1/v/1.wav 0.3\n",
            r"x\.scores:4: 2 fields, expected 3 as in line 1",
        ),
        (lines("{e} {t}"), r"x\.scores:1: 2 fields, expected 3"),
        ("a b 0.5\n", "'a b 0.5', and no other line, scores a trial"),
        ("id1/v/1.wav,id1/v/2.wav,0.5\n", r"x\.scores:1: score .* is not a finite number"),
        ("", "empty, expected lines <enrol> <test> <score>"),
    ],
)
def test_what_is_missing_doubled_or_no_number_is_refused_by_name(read, text, reason):
    with pytest.raises(UserError, match=reason):
        read(text)


def test_a_list_that_has_a_trial_twice_takes_its_score_once_or_twice(read):
    twice = TRIALS + TRIALS.splitlines()[0] + "\n"
    once = lines("{e} {t} {s}")
    assert read(once, trials=twice) == ([*VALUES, 0.9], [])
    assert read(once + "id1/v/1.wav id1/v/2.wav 0.9\n", trials=twice) == ([*VALUES, 0.9], [])


def test_scores_of_other_pairs_are_counted(read):
    values, notes = read("x y 3\n" + lines("{e} {t} {s}") + "id1/v/2.wav id1/v/1.wav 3\n")
    assert (values, notes) == (VALUES, ["2 scores of pairs that are not trials are ignored"])


def test_systems_are_called_by_their_files_or_folders(tmp_path):
    assert system_names([tmp_path / "scores_vox1.plda"]) == ["scores_vox1.plda"]
    assert system_names([tmp_path / "a.scores", tmp_path / "b.npy"]) == ["a", "b"]
    assert system_names([tmp_path / "x/s.txt", tmp_path / "y/s.npy"]) == ["x", "y"]
    with pytest.raises(UserError, match="two systems are called 'a'"):
        system_names([tmp_path / "a.scores", tmp_path / "a.npy", tmp_path / "b.npy"])
