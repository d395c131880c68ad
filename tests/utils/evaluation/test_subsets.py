"""Which trials belong to which subset."""

import pytest

from utils.errors import UserError
from utils.evaluation.subsets import trial_speakers, trial_subsets

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
    return {
        name: [k for k, inside in enumerate(member) if inside] for name, member in subsets.items()
    }


def test_subsets_by_hand(data):
    assert members(data) == {
        "all": [0, 1, 2, 3, 4],
        "same sex": [0, 2],
        "same age group": [0, 1, 4],
        "same sex and age group": [0],
        "within condition": [1],
        "across conditions": [0, 4],
        "within condition, same sex": [],
        "within condition, same age group": [1],
        "within condition, same sex and age group": [],
        "across conditions, same sex": [0],
        "across conditions, same age group": [0, 4],
        "across conditions, same sex and age group": [0],
        "sex: f": [0, 2],
        "age group: adult": [0, 1, 4],
        "condition: near": [1],
    }


def test_maps_that_are_not_there_make_no_subsets(data):
    for name in ("spk2age_group", "utt2condition"):
        (data / name).unlink()
    assert list(members(data)) == ["all", "same sex", "sex: f"]


def test_a_side_may_be_a_model_or_a_speaker(data):
    (data / "enroll.spk2utt").write_text("model-a a1 a2\n")
    assert trial_speakers(data, ["model-a", "bob", "c1"]) == ["ann", "bob", "cat"]
    assert members(data, [("model-a", "c1"), ("bob", "c1")])["same sex"] == [0]


def test_nothing_is_within_or_across_where_models_of_several_utterances_enrol(data):
    (data / "enroll.spk2utt").write_text("model-a a1 a2\n")
    assert list(members(data, [("model-a", "b1"), ("model-a", "c1")])) == [
        "all",
        "same sex",
        "same age group",
        "same sex and age group",
        "sex: f",
        "age group: adult",
        "condition: near",
    ]  # of the test side


def test_an_unknown_side_is_named(data):
    with pytest.raises(UserError, match="'dog' is neither an utterance nor a speaker of .*utt2spk"):
        trial_speakers(data, ["a1", "dog"])


def test_any_map_with_few_values_makes_subsets_and_one_with_many_none(data):
    data.joinpath("spk2nationality").write_text("ann Italy\nbob Italy\ncat New_Zealand\n")
    data.joinpath("utt2session").write_text("a1 1\na2 2\nb1 1\nc1 2\n")
    data.joinpath("utt2video").write_text(
        "a1 v0\na2 v0\n" + "".join(f"v{k:03d} v{k}\n" for k in range(100))
    )
    data.joinpath("utt2snr").write_text("a1 3.5\na2 -1.25\n")
    data.joinpath("spk2age").write_text(
        "ann 31\nbob 31\n" + "".join(f"s{k:03d} {k}\n" for k in range(10))
    )
    found = members(data)
    assert found["same nationality"] == found["nationality: Italy"] == [0, 1, 4]
    assert "nationality: New_Zealand" not in found  # no trial has both sides there
    assert (found["within session"], found["session: 2"]) == ([1, 2], [2])
    assert (
        found["within video"],
        [name for name in found if "video:" in name or "snr" in name],
    ) == ([0], [])
    assert not [
        name
        for name in found
        if name.startswith("age:") or "same age," in name or name == "same age"
    ]


def test_duration_bands_by_the_shorter_side(data):
    data.joinpath("utt2dur").write_text("a1 1.9\na2 2.0\nb1 20\nc1 16\n")
    found = {name: rows for name, rows in members(data).items() if name.startswith("seconds")}
    assert found == {
        "seconds: under 2": [0, 1],
        "seconds: 2 to 4": [2, 4],
        "seconds: 16 and more": [3],
    }
    data.joinpath("utt2dur").write_text("a1 2.5\na2 2.5\nb1 2.5\nc1 2.5\n")
    assert not [
        name for name in members(data) if name.startswith("seconds")
    ]  # one band is no breakdown


def test_where_enrolment_sides_are_models_the_test_side_decides(data):
    (data / "enroll.spk2utt").write_text("model-a a1\nmodel-b b1\n")
    found = members(data, [("model-a", "a2"), ("model-b", "a2"), ("model-b", "a1")])
    assert (found["condition: far"], found["condition: near"]) == ([0, 1], [2])
    assert "within condition" not in found
