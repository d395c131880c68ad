"""Which trials belong to which subset."""

import pytest

from utils.errors import UserError
from utils.subsets import trial_speakers, trial_subsets

LISTS = {
    "utt2spk": "a1 ann\na2 ann\nb1 bob\nc1 cat\n",
    "spk2gender": "ann f\nbob m\ncat f\n",
    "spk2age_group": "ann adult\nbob adult\ncat child\n",
    "utt2condition": "a1 near\na2 far\nb1 near\n",
}
TRIALS = [("a1", "a2"), ("a1", "b1"), ("a2", "c1"), ("b1", "c1"), ("a2", "b1")]


@pytest.fixture
def data(tmp_path):
    """A data directory of three speakers; the condition of c1 is not known."""
    for name, content in LISTS.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def members(data, trials=TRIALS):
    """Positions of the trials of each subset."""
    subsets = trial_subsets(data, *zip(*trials, strict=True))
    return {name: [k for k, inside in enumerate(member) if inside] for name, member in subsets.items()}


def test_subsets_by_hand(data):
    assert members(data) == {
        "all": [0, 1, 2, 3, 4],
        "same sex": [0, 2], "same age group": [0, 1, 4], "same sex and age group": [0],
        "within condition": [1], "across conditions": [0, 4],
        "within condition, same sex": [], "within condition, same age group": [1], "within condition, same sex and age group": [],
        "across conditions, same sex": [0], "across conditions, same age group": [0, 4], "across conditions, same sex and age group": [0],
    }


def test_maps_that_are_not_there_make_no_subsets(data):
    for name in ("spk2age_group", "utt2condition"):
        (data / name).unlink()
    assert list(members(data)) == ["all", "same sex"]


def test_a_side_may_be_a_model_or_a_speaker(data):
    (data / "enroll.spk2utt").write_text("model-a a1 a2\n")
    assert trial_speakers(data, ["model-a", "bob", "c1"]) == ["ann", "bob", "cat"]
    assert members(data, [("model-a", "c1"), ("bob", "c1")])["same sex"] == [0]


def test_an_unknown_side_is_named(data):
    with pytest.raises(UserError, match="'dog' is neither an utterance nor a speaker of .*utt2spk"):
        trial_speakers(data, ["a1", "dog"])
