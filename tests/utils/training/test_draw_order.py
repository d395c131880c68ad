"""Which utterances an epoch draws: counted by hand, and what must hold for any corpus."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.training.draw_order import (
    EveryUtterance,
    SpeakersByUtterances,
    count_earlier_equals,
    most_batches,
)

corpora = st.lists(st.integers(1, 30), min_size=2, max_size=12)  # utterances of each speaker


def labels_of(counts, seed=0):
    """Speaker of each utterance, mixed."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def batches_of(order, labels, epoch=0):
    """Utterances and speakers of an epoch, (batches, speakers, rows)."""
    shape = -1, order.speakers, order.rows_per_speaker
    utterances = order.order(epoch).reshape(shape)
    return utterances, labels[utterances]


@given(
    corpora,
    st.integers(2, 6),
    st.integers(1, 5),
    st.sampled_from(["repeat", "leave_out"]),
    st.integers(0, 3),
)
@settings(max_examples=150)
def test_batches_are_different_speakers_with_different_utterances(
    counts, speakers, utterances, when_fewer, epoch
):
    labels = labels_of(counts)
    enough = [count for count in counts if when_fewer == "repeat" or count >= utterances]
    if max(counts) < utterances or len(enough) < speakers:
        with pytest.raises(ValueError, match="no speaker has that many|there are"):
            SpeakersByUtterances(
                labels, 1, speakers=speakers, utterances=utterances, when_fewer=when_fewer
            )
        return
    order = SpeakersByUtterances(
        labels, 1, speakers=speakers, utterances=utterances, when_fewer=when_fewer
    )
    drawn, of = batches_of(order, labels, epoch)
    assert drawn.size == order.epoch_size
    assert (of == of[:, :, :1]).all(), "rows of a group are of one speaker"
    assert all(len(set(batch)) == speakers for batch in of[:, :, 0].tolist()), (
        "no speaker is twice in a batch"
    )
    times = Counter(drawn.ravel().tolist())
    for speaker, count in enumerate(counts):
        most = max(times.get(utterance, 0) for utterance in np.flatnonzero(labels == speaker))
        assert most <= (1 if count >= utterances else -(-utterances // count))
        if count < utterances and when_fewer == "leave_out":
            assert most == 0
    assert order.speakers_left_out == len(counts) - len(enough)
    groups = np.array([max(count // utterances, when_fewer == "repeat") for count in counts])
    longer = len(drawn) + 1
    assert np.minimum(groups, longer).sum() < longer * speakers, (
        "not one batch more could be filled"
    )


def test_counted_by_hand():
    order = SpeakersByUtterances(
        labels_of([4, 4, 2]), 1, speakers=2, utterances=2
    )  # groups 2, 2, 1: two batches of two
    assert (order.num_batches, order.epoch_size, order.rows_per_speaker) == (2, 8, 2)
    assert (
        SpeakersByUtterances(labels_of([9, 1, 1]), 1, speakers=2).num_batches == 2
    )  # the first speaker can be in both, not in more
    assert SpeakersByUtterances(labels_of([5, 5, 5, 5]), 1, speakers=4).epoch_size == 20
    assert most_batches(np.array([3, 3, 3]), 3) == 3
    assert count_earlier_equals(np.array([7, 5, 7, 7, 5])).tolist() == [0, 0, 1, 2, 1]


def test_several_crops_of_an_utterance_are_neighbours():
    labels = labels_of([3, 3, 3])
    order = SpeakersByUtterances(labels, 1, speakers=2, utterances=1, crops_per_utterance=3)
    drawn, _ = batches_of(order, labels)
    assert order.rows_per_speaker == 3
    assert (drawn == drawn[:, :, :1]).all()


def test_a_speaker_with_too_few_is_repeated_or_left_out_and_counted():
    labels = labels_of([2, 6, 6])
    repeating = SpeakersByUtterances(labels, 1, speakers=3, utterances=3)
    drawn, of = batches_of(repeating, labels)
    rows = drawn[of == 0]
    assert repeating.speakers_left_out == 0
    assert sorted(Counter(rows.tolist()).values()) == [1, 2]
    leaving = SpeakersByUtterances(labels, 1, speakers=2, utterances=3, when_fewer="leave_out")
    assert leaving.speakers_left_out == 1
    assert 0 not in labels[leaving.order(0)]


@pytest.mark.parametrize(
    "make",
    [
        lambda labels, seed: EveryUtterance(labels, seed, 4),
        lambda labels, seed: SpeakersByUtterances(labels, seed, speakers=3, max_per_speaker=4),
        lambda labels, seed: SpeakersByUtterances(
            labels, seed, speakers=2, utterances=2, max_per_speaker=4
        ),
    ],
)
def test_a_cap_holds_in_every_epoch_and_the_utterances_change(make):
    labels = labels_of([20, 12, 7, 3])
    order = make(labels, 1)
    epochs = [order.order(epoch) for epoch in range(20)]
    for drawn in epochs:
        assert len(drawn) == order.epoch_size
        assert len(set(drawn.tolist())) == len(drawn)
        assert np.bincount(labels[drawn]).max() <= 4
    assert len({tuple(sorted(drawn.tolist())) for drawn in epochs}) > 15
    assert len(set(np.concatenate(epochs).tolist())) >= 40, "over 20 epochs nearly all are heard"
    assert all(
        (one == other).all()
        for one, other in zip(
            epochs, (make(labels, 1).order(epoch) for epoch in range(20)), strict=True
        )
    )
    assert any(
        (one != other).any()
        for one, other in zip(
            epochs, (make(labels, 2).order(epoch) for epoch in range(20)), strict=True
        )
    )


def test_without_a_cap_every_utterance_comes_once_and_the_order_is_the_plain_permutation():
    labels = labels_of([5, 9, 2])
    assert (
        EveryUtterance(labels, 3).order(4).tolist()
        == np.random.default_rng([3, 4]).permutation(16).tolist()
    )
    assert sorted(EveryUtterance(labels, 3, 9).order(4).tolist()) == list(range(16))


def test_speakers_meet_by_chance():
    """Of 30 equal speakers, four in a batch, all pairs meet equally often over many epochs."""
    labels = labels_of([12] * 30)
    order, met = SpeakersByUtterances(labels, 1, speakers=4), np.zeros((30, 30))
    for epoch in range(60):
        _, of = batches_of(order, labels, epoch)
        for batch in of[:, :, 0]:
            met[np.ix_(batch, batch)] += 1
    pairs = met[np.triu_indices(30, 1)]
    expected = 60 * 90 * 6 / len(pairs)
    print(
        f"pairs meet {pairs.mean():.1f} times, standard deviation {pairs.std():.1f}, "
        f"Poisson's {expected**0.5:.1f}"
    )
    assert pairs.mean() == pytest.approx(expected)
    assert pairs.std() < 1.3 * expected**0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"speakers": 2, "utterances": 9},
            "utterances is 9: no speaker has that many, the most is 8",
        ),
        ({"speakers": 5}, "speakers is 5: there are 4"),
        (
            {"speakers": 3, "utterances": 3, "when_fewer": "leave_out"},
            "speakers is 3: there are 2 with 3 utterances or more",
        ),
        (
            {"speakers": 2, "utterances": 3, "max_per_speaker": 2},
            "max_utterances_per_speaker is 2, a batch needs 3 utterances of each",
        ),
    ],
)
def test_what_speakers_cannot_fill_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SpeakersByUtterances(labels_of([8, 4, 2, 1]), 1, **options)
