"""Differences of resolved values: named by key, regardless of spelling."""

from utils.config import differences, first_difference


def test_every_difference_of_values_is_named_and_spelling_is_none():
    before = {"a": {"x": 3, "y": "on"}, "chain": [{"p": 0.5, "name": "n"}], "gone": [1, 2]}
    now = {"chain": [{"name": "n", "p": 5e-1}], "a": {"y": "on", "x": 3.0}, "gone": (1, 2.0)}
    assert list(differences(before, now)) == []
    now = {"a": {"x": 4, "y": "on"}, "chain": [{"p": 0.6, "name": "n"}], "new": None}
    assert list(differences(before, now)) == [
        ("a.x", 3, 4),
        ("chain[1].p", 0.5, 0.6),
        ("gone", [1, 2], None),
    ]
    assert list(differences({"a": True}, {"a": 1})) == [("a", True, 1)], "no number"
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == "a was [1], is [1, 2]"


def test_a_mapping_against_nothing_is_named_key_by_key():
    section = {"name": "sgd", "nesterov": True, "clip": None, "chain": [{"name": "n", "p": 0.5}]}
    assert list(differences({}, {"optimizer": section})) == [
        ("optimizer.name", None, "sgd"),
        ("optimizer.nesterov", None, True),
        ("optimizer.chain[1].name", None, "n"),
        ("optimizer.chain[1].p", None, 0.5),
    ]
    assert list(differences({"a": {"x": 1}}, {"a": None})) == [("a.x", 1, None)]
    assert first_difference({}, {"loss": {"name": "softmax"}}) == 'loss.name was null, is "softmax"'
    without_values = {"a": {}, "b": [], "c": {"x": None}, "d": [{}]}
    assert [name for name, _, _ in differences(without_values, {})] == ["a", "b", "c", "d"]
