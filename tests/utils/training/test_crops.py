"""The section `crops`: what it makes of its values, and what it refuses."""

import pytest

from utils.config import make
from utils.errors import UserError
from utils.training.crops import CropOptions, resolved_crops
from utils.training.draw_order import EveryUtterance, SpeakersByUtterances


def crops(**options):
    return make(CropOptions, options, "x.yaml: crops")


def test_a_length_in_seconds_is_one_in_samples():
    assert crops(crop_seconds=3.6905625).lengths(16000) == 59049
    assert crops().lengths(100) == 200


def test_two_lengths_are_all_between_them_ten_milliseconds_apart():
    drawn = crops(crop_seconds=[1.4, 1.8])
    assert list(drawn.lengths(100)) == list(range(140, 181))
    assert drawn.lengths(8000) == range(11200, 14401, 80)
    assert (drawn.shortest_seconds, drawn.longest_seconds) == (1.4, 1.8)
    shorter = crops(crop_seconds=3, short_crops={"crop_seconds": [1.0, 2.9]}).shorter_lengths(16000)
    assert (shorter.probability, shorter.lengths) == (0.5, range(16000, 46401, 160))


def test_batches_of_speakers_by_utterances_have_that_many_rows():
    labels = [speaker for speaker in range(6) for _ in range(10)]
    composed = crops(batches={"speakers": 4, "utterances": 5})
    assert (composed.rows_per_batch, composed.rows_per_speaker) == (20, 5)
    order = composed.order(labels, 1)
    assert isinstance(order, SpeakersByUtterances)
    assert order.epoch_size == 60
    assert crops(batches={"speakers": 4, "crops_per_utterance": 5}).rows_per_batch == 20
    plain = crops(batch_size=20, max_utterances_per_speaker=3).order(labels, 1)
    assert isinstance(plain, EveryUtterance)
    assert plain.epoch_size == 18
    assert (crops().rows_per_batch, crops().rows_per_speaker) == (64, 1)


def test_what_is_resolved_has_every_default():
    resolved = resolved_crops(
        {
            "crop_seconds": [1, 2],
            "batches": {"speakers": 4},
            "short_crops": {"crop_seconds": [0.5, 1.0]},
        }
    )
    assert resolved["batches"] == {
        "speakers": 4,
        "utterances": 1,
        "crops_per_utterance": 1,
        "when_fewer": "repeat",
    }
    assert resolved["short_crops"] == {"crop_seconds": [0.5, 1.0], "probability": 0.5}
    assert resolved["crop_seconds"] == [1, 2]
    assert crops(**resolved).rows_per_batch == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"crop_seconds": [2.0, 1.0]},
            r"crop_seconds is \[2.0, 1.0\], expected lengths above 0, the shortest first",
        ),
        (
            {"crop_seconds": [1.0, 2.0, 3.0]},
            "crop_seconds: found .*expected a number or a list of 2",
        ),
        ({"crop_seconds": -1}, "crop_seconds is -1.0"),
        (
            {"batch_size": 4, "batches": {"speakers": 2}},
            "batch_size and batches: expected one of the two",
        ),
        ({"batch_size": 1}, "batch_size is 1, expected 2 or more"),
        ({"batches": {}}, "batches: key 'speakers' is missing"),
        ({"batches": {"speakers": 1}}, "batches: speakers is 1, expected 2 or more"),
        ({"batches": {"speakers": 2, "utterances": 0}}, "batches: utterances is 0"),
        ({"batches": {"speaker": 2}}, "batches: unknown key 'speaker'; did you mean 'speakers'"),
        ({"batches": {"speakers": 2, "when_fewer": "drop"}}, "batches: when_fewer: found 'drop'"),
        ({"max_utterances_per_speaker": 0}, "max_utterances_per_speaker is 0, expected 1 or more"),
        ({"short_crops": {"crop_seconds": [0, 1]}}, r"short_crops: crop_seconds is \[0.0, 1.0\]"),
        (
            {"short_crops": {"crop_seconds": [1, 2], "probability": 0}},
            "short_crops: probability is 0.0",
        ),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(UserError, match=f"x.yaml: crops: {message}"):
        crops(**options)


@pytest.mark.parametrize(
    ("options", "world", "message"),
    [
        (
            {"batch_size": 7},
            2,
            "batch_size 7: expected equal shares of 2 rows or more for 2 processes",
        ),
        ({"batch_size": 2}, 2, "batch_size 2: expected"),
        (
            {"batches": {"speakers": 3, "utterances": 5}},
            2,
            "batches of 15 rows: expected equal shares of 2 rows or more for 2 processes",
        ),
    ],
)
def test_batches_that_processes_cannot_share_are_refused(options, world, message):
    with pytest.raises(ValueError, match=message):
        crops(**options).check_shares(world)
    crops(**options).check_shares(1)
