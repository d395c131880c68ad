"""Lists of trials as columns: the same lines as plain text, read, kept in part and written."""

from hypothesis import given
from hypothesis import strategies as st

from utils.data_dir import trial_list as trial_lists
from utils.data_dir.formats import parse
from utils.data_dir.trial_list import Trials, has_repeated_pair, lines_left_out

LINES = ["m1 a target", "m1 b nontarget", "m2 a nontarget"]
sides = st.sampled_from("abcd")


def test_trials_are_the_sequence_of_their_lines():
    trials = Trials.of(LINES)
    assert list(trials) == LINES
    assert trials == LINES
    assert (trials[1], trials[-1], len(trials)) == (LINES[1], LINES[2], 3)
    assert trials[1:] == LINES[1:]
    assert trials != LINES[1:]
    assert Trials.of(trials) is trials
    assert len(Trials.of([])) == 0


def test_of_long_lists_equal_names_are_one_object_and_the_file_comes_back(monkeypatch):
    monkeypatch.setattr(trial_lists, "SHARED_BYTES", 10)
    content = ("\n".join(LINES) + "\n").encode()
    trials = Trials(*parse("trials", content))
    assert trials.enrol[0] is trials.enrol[1]
    assert trials.test[0] is trials.test[2]
    assert trials.kinds[1] is trials.kinds[2]
    assert trials.content() == content


def test_a_line_with_an_empty_word_is_not_taken_for_a_regular_one():
    assert parse("trials", b"a b target\na  target\n") is None


def test_trials_of_kept_sides_and_the_lines_that_went():
    kept = Trials.of(LINES).restricted({"m1", "m2"}, {"a"})
    assert kept == [LINES[0], LINES[2]]
    assert lines_left_out(LINES, kept) == [LINES[1]]
    assert lines_left_out(LINES, []) == LINES
    assert lines_left_out(LINES, LINES) == []


@given(st.lists(st.tuples(sides, sides), max_size=12))
def test_a_pair_that_stands_twice_is_seen(pairs):
    enrol, test = ([pair[side] for pair in pairs] for side in (0, 1))
    assert has_repeated_pair(enrol, test) == (len(set(pairs)) < len(pairs))
