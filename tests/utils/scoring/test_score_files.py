"""Score files: written and read again, matched to trials, refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.scoring.score_files import LINES_AT_A_TIME, read_scores, scores_of_trials, write_scores


@pytest.fixture
def path(tmp_path):
    """Where a score file goes."""
    return tmp_path / "cosine.scores"


def test_lines_are_those_of_kaldi(path):
    write_scores(path, ["a", "a", "b"], ["x", "y", "x"], np.array([0.53344731, -12.0, 1e-9]))
    assert path.read_text() == "a x 0.5334473\na y -12\nb x 1e-09\n"


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_seven_digits_survive(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("scores") / "cosine.scores"
    names = [f"n{k}" for k in range(len(values))]
    write_scores(path, names, names[::-1], np.array(values))
    enrol, test, read = read_scores(path)
    assert (enrol, test) == (names, names[::-1])
    assert read == pytest.approx(np.array(values), rel=1e-6)


def test_more_lines_than_one_block(path):
    names = [str(k) for k in range(LINES_AT_A_TIME + 7)]
    write_scores(path, names, names, np.arange(len(names)))
    assert read_scores(path)[2].tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b 1\na b\n", ":2: 2 fields, expected 3: <enrol> <test> <score>"),
        ("a b 1 2\n", ":1: 4 fields, expected 3"),
        ("a b\nc 1.0 d 2.0\n", ":1: 2 fields"),
        ("a b 1\n\na b 1\n", ":2: 0 fields"),
        ("a b x\n", ":1: score 'x' is not a finite number"),
        ("a b 1\na b inf\n", ":2: score 'inf' is not a finite number"),
    ],
)
def test_a_bad_line_is_named(path, content, message):
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(f"{path}{message}")):
        read_scores(path)


@pytest.mark.parametrize(
    "content", ["a b 1 \nc d 2 \n", "a b 1\t\nc\td  2\n", "a  b 1\nc d \t2\n", " a b 1\nc d 2\r\n"]
)
def test_blanks_that_kaldis_scripts_leave_are_read(path, content):
    path.write_text(content, newline="\n")
    enrol, test, scores = read_scores(path)
    assert (enrol, test, scores.tolist()) == (["a", "c"], ["b", "d"], [1, 2])


def test_only_blanks_and_tabs_part_the_fields_and_a_mark_is_named(path):
    path.write_text("a\u3000b x\u2028y 1\n", newline="\n")
    assert read_scores(path)[:2] == (["a\u3000b"], ["x\u2028y"])
    path.write_bytes(b"\xef\xbb\xbfa b 1\n")
    with pytest.raises(UserError, match="cosine.scores: begins with a byte order mark; remove it"):
        read_scores(path)


def test_an_empty_file_has_no_scores(path):
    path.write_text("")
    assert read_scores(path)[:2] == ([], [])


def test_scores_find_their_trials_in_any_order(path):
    path.write_text("b y 2\na x 1\nc z 3\n")
    assert scores_of_trials(path, ["a", "b", "a"], ["x", "y", "x"], "trials").tolist() == [1, 2, 1]


def test_a_trial_without_score_and_one_with_two_are_named(path):
    path.write_text("a x 1\nb y 2\n")
    with pytest.raises(
        UserError, match=r"^trials:2: trial 'a y' has no score in .*; 2 of 3 trials lack one"
    ):
        scores_of_trials(path, ["a", "a", "c"], ["x", "y", "y"], "trials")
    path.write_text("b y 2\na x 1\nb y 3\n")
    with pytest.raises(UserError, match=":3: trial 'b y' has a second score 3, the first is 2"):
        scores_of_trials(path, ["a", "b"], ["x", "y"], "trials")
