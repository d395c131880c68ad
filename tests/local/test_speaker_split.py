"""Who is in which set: a property that holds for any speakers, and refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.speaker_split import split_speakers
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
