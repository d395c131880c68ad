"""Who is in which set: a property that holds for any speakers, and refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.speaker_split import Candidates, split_speakers
from utils.errors import UserError

SPEAKERS = [f"s{number:02d}" for number in range(10)]


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=4), st.sampled_from("fm"), min_size=8, max_size=16
    ),
    st.floats(0.05, 0.3),
    st.floats(0.05, 0.3),
    st.integers(0, 9),
)
@settings(max_examples=30)
def test_every_speaker_is_in_one_set_and_shares_are_met(spk2sex, dev_share, test_share, seed):
    sets = split_speakers(spk2sex, {}, dev_share, test_share, seed)
    assert sorted(speaker for speakers in sets.values() for speaker in speakers) == sorted(spk2sex)
    for name, share in (("dev", dev_share), ("test", test_share)):
        assert len(sets[name]) == max(2, round(share * len(spk2sex)))


@pytest.mark.parametrize(
    ("dev", "test", "message"),
    [(0, 0.1, "--dev-share is 0"), (0.1, 1.2, "--test-share is 1.2"), (0.5, 0.5, "leave nobody")],
)
def test_shares_that_leave_nobody_are_refused(dev, test, message):
    with pytest.raises(UserError, match=message):
        split_speakers(dict.fromkeys(SPEAKERS, "f"), {}, dev, test, 1)


def test_too_few_speakers_are_refused():
    with pytest.raises(
        UserError,
        match="5 speakers leave 1 for train, 2 for dev, 2 for test, expected 2 or more for each",
    ):
        split_speakers(dict.fromkeys(SPEAKERS[:5], "f"), {}, 0.1, 0.2, 1)


utterances_of_speakers = st.lists(st.integers(1, 4), min_size=6, max_size=30)


def candidates_of(numbers, enrol_utterances=1):
    """Speakers of so many utterances each, and whom dev and a test of models can be made of."""
    names = [f"s{place:02d}" for place in range(len(numbers))]
    in_dev, in_test = (
        frozenset(name for name, number in zip(names, numbers, strict=True) if number > least)
        for least in (1, enrol_utterances)
    )
    return names, Candidates({"dev": in_dev, "test": in_test}, "have one utterance", "add some")


@given(
    utterances_of_speakers,
    st.integers(1, 3),
    st.floats(0.05, 0.45),
    st.floats(0.05, 0.45),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_dev_and_test_are_of_speakers_who_can_be_tested_or_the_line_says_how_many_there_are(
    numbers, enrol_utterances, dev_share, test_share, seed
):
    names, testable = candidates_of(numbers, enrol_utterances)
    sexes = {name: "fm"[place % 2] for place, name in enumerate(names)}
    may = testable.speakers
    sets, told = {}, ""
    try:
        sets = split_speakers(sexes, {}, dev_share, test_share, seed, testable)
    except UserError as error:
        told = str(error)
    if told:
        enough = len(may["test"]) >= 2 and len(may["dev"]) >= 4
        assert not enough or "leave" in told, "then nobody is left to train on"
        return
    assert sorted(who for members in sets.values() for who in members) == names
    for name, share in (("dev", dev_share), ("test", test_share)):
        assert may[name] >= set(sets[name])
        assert 2 <= len(sets[name]) <= max(2, round(share * len(names)))
    if len(may["test"]) == len(names):
        assert sets == split_speakers(sexes, {}, dev_share, test_share, seed), "as it ever was"


def test_shares_that_too_many_speakers_of_one_utterance_leave_no_room_for_are_shared():
    names, testable = candidates_of([1] * 40 + [2] * 10)
    sets = split_speakers(dict.fromkeys(names, "f"), {}, 0.1, 0.3, 1, testable)
    assert {name: len(members) for name, members in sets.items()} == {
        "train": 40,
        "dev": 3,
        "test": 7,
    }


def test_too_few_who_can_be_tested_are_refused_with_what_helps():
    names, testable = candidates_of([1] * 9 + [2] * 3)
    with pytest.raises(
        UserError,
        match="3 of 12 speakers can be in dev and test, expected 2 or more for each; "
        "9 have one utterance and are for training only; add some",
    ):
        split_speakers(dict.fromkeys(names, "f"), {}, 0.1, 0.2, 1, testable)


def test_a_set_that_the_corpus_names_keeps_those_who_cannot_be_tested():
    names, testable = candidates_of([1] * 4 + [2] * 8)
    named = dict.fromkeys(names[:4], "test")
    sets = split_speakers(dict.fromkeys(names, "f"), named, 0.1, 0.2, 1, testable)
    assert sets["test"] == names[:4]
    assert len(sets["dev"]) == 2
    assert set(sets["dev"]) <= testable.speakers["dev"]
