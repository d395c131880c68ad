"""Kinds of pairs, counted and found without a list, against the list."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.trials.pairs import KINDS, Pairs, Sides

SAME = {
    "target": lambda a, b: a[0] == b[0],
    "same_group": lambda a, b: a[1] == b[1] and a[0] != b[0],
    "cross_group": lambda a, b: a[1] != b[1],
    "random": lambda a, b: a[0] != b[0],
}
RULE = {
    "any": lambda a, b: True,
    "within": lambda a, b: a[2] == b[2],
    "across": lambda a, b: a[2] != b[2],
}
people = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=14
)  # speaker, session; the speaker's parity is the group


def expected(rows, columns, kind, rule, behind):
    return [
        (i, j)
        for i, a in enumerate(rows)
        for j, b in enumerate(columns)
        if (j > i or not behind) and SAME[kind](a, b) and RULE[rule](a, b)
    ]


def labels(triples):
    return {
        name: np.array([str(triple[place]) for triple in triples])
        for place, name in enumerate(("speaker", "group", "session"))
    }


def all_of(pairs):
    return list(zip(*[side.tolist() for side in pairs.at(np.arange(len(pairs)))], strict=True))


@settings(max_examples=40)
@given(people, st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(RULE)))
def test_the_pairs_at_all_places_are_all_pairs_of_the_kind_in_order(drawn, kind, rule):
    triples = [(speaker, speaker % 2, session) for speaker, session in drawn]
    pairs = Pairs(Sides.of_utterances(**labels(triples)), kind, rule)
    assert all_of(pairs) == expected(triples, triples, kind, rule, behind=True)


@settings(max_examples=40)
@given(people, people, st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(RULE)))
def test_enrolments_are_paired_with_tests_of_another_list(enrolments, tests, kind, rule):
    rows, columns = (
        [(speaker, speaker % 2, session) for speaker, session in side]
        for side in (enrolments, tests)
    )
    pairs = Pairs(Sides(labels(rows), labels(columns), np.zeros(len(rows), int)), kind, rule)
    assert all_of(pairs) == expected(rows, columns, kind, rule, behind=False)


def test_counts_that_can_be_worked_out_by_head():
    """Four speakers, two of each sex, with three utterances, each in another of three sessions."""
    names = [(speaker, speaker % 2, session) for speaker in range(4) for session in range(3)]
    sides = Sides.of_utterances(**labels(names))
    counts = {(kind, rule): len(Pairs(sides, kind, rule)) for kind in KINDS for rule in RULE}
    assert [counts[kind, "any"] for kind in KINDS] == [12, 18, 36, 54]
    assert [counts[kind, "within"] for kind in KINDS] == [0, 6, 12, 18]
    assert [counts[kind, "across"] for kind in KINDS] == [12, 12, 24, 36]


def test_draws_are_distinct_and_each_speaker_gives_no_more_than_asked_for():
    names = [(speaker, 0, 0) for speaker in (0, 0, 1, 1, 1, 1, 2)]
    sides = Sides.of_utterances(**labels(names))
    pairs, random = Pairs(sides, "target"), np.random.default_rng(1)
    assert len(pairs) == 1 + 6 + 0
    assert pairs.draw(100, random).tolist() == list(range(7))
    assert len(set(pairs.draw(3, random).tolist())) == 3
    rows, _ = pairs.at(pairs.draw_of_each(sides.rows["speaker"], 2, random))
    assert sorted(sides.rows["speaker"][rows].tolist()) == ["0", "1", "1"]
