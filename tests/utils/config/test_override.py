"""Values of --override: read, named, and laid over a YAML."""

import pytest
import yaml

from utils.config import canonical_override, override_name, parse_override
from utils.errors import WrongArguments

TWO = "optimizer.learning_rate=1e-3,loss.margin=0.3"


def test_values_are_those_of_yaml():
    text = "a.b=1e-3,a.c=[2, 3],d={e: true, f: x},g=null,h=1.1.1,i='x, y'"
    assert parse_override(text) == {
        "a": {"b": 0.001, "c": [2, 3]},
        "d": {"e": True, "f": "x"},
        "g": None,
        "h": "1.1.1",
        "i": "x, y",
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('a.b="p, q=3",a.c=1', {"a": {"b": "p, q=3", "c": 1}}),
        ("a.b='it''s, q=3',c=1", {"a": {"b": "it's, q=3"}, "c": 1}),
        (r'a="x\", y=3", b=1', {"a": 'x", y=3', "b": 1}),
        ("a.b={c: {d: 1}, e=f: 2},g=3", {"a": {"b": {"c": {"d": 1}, "e=f": 2}}, "g": 3}),
        ("a={b: ']', c: 1},d=[x, 'y, z=']", {"a": {"b": "]", "c": 1}, "d": ["x", "y, z="]}),
        ("a=it's,b=isn't", {"a": "it's", "b": "isn't"}),
        ("a=x[1,b=2", {"a": "x[1", "b": 2}),
    ],
)
def test_commas_in_quotes_brackets_and_braces_are_of_the_value(text, values):
    assert parse_override(text) == values


@pytest.mark.parametrize(
    "text", ["a.b.x=1,a.b={y: 2}", "a.b={y: 2},a.b.x=1", "a={b: {x: 1, y: 2}}"]
)
def test_a_mapping_and_keys_beside_it_go_together(text):
    assert parse_override(text) == {"a": {"b": {"x": 1, "y": 2}}}
    assert canonical_override(parse_override(text)) == "a.b.x=1,a.b.y=2"


def test_the_name_has_the_last_key_and_value_and_six_digits_whatever_the_order_and_spelling():
    name = override_name(parse_override(TWO))
    assert name == "margin0.3-fe83e3"
    other = "loss.margin=.3, optimizer.learning_rate=0.001"
    assert override_name(parse_override(other)) == name
    assert canonical_override(parse_override(other)) == canonical_override(parse_override(TWO))
    assert override_name(parse_override("loss={margin: 0.3},optimizer.learning_rate=1e-3")) == name
    assert override_name(parse_override("loss.margin=0.3")) != name


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("crops.crop_seconds=3.0", "crop_seconds3-"),
        ("crops.crop_seconds=[2, 4]", "crop_seconds2-4-"),
        ("model.name=a/../b c", "namea-..-b-c-"),
        ("teacher.experiment=" + 40 * "x", "experiment" + 24 * "x" + "-"),
        ("augmentation=null", "augmentationnull-"),
    ],
)
def test_the_name_is_a_part_of_a_folder_name(text, start):
    name = override_name(parse_override(text))
    assert name.startswith(start)
    assert len(name) == len(start) + 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"found '', expected section.key=value"),
        ("loss.margin", r"found 'loss.margin', expected section.key=value"),
        ("loss margin=3", r"found 'loss margin=3', expected"),
        ("loss..margin=3", r"found 'loss..margin=3', expected"),
        ("loss.margin=", r"loss.margin: no value, expected loss.margin=VALUE; null"),
        ("a.b=1,a.c=2,a.b=3", r"a.b is given twice"),
        ("a.b=1,a={b: 2}", r"a.b is given twice; give it once"),
        ("a=null,a.b=1", r"a is given twice; give it once"),
        ("a=x, y", r"found 'y', expected .*; put a value that has a comma in quotes"),
        ("a=1,", r"found '', expected"),
        ("a.b=[1", r"a.b: expected ',' or '\]'"),
        ("a.b=!!python/name:os.system", r"a.b: a value of kind 'python/name:os.system'"),
        ("a.b={c: 1, c: 2}", r"a.b: key 'c' is given twice"),
        ("a={}", r"'a=\{\}' sets no value"),
        ("a.b=" + "[" * 1000, "a.b: "),
    ],
)
def test_what_is_wrong_is_one_line(text, message):
    with pytest.raises(WrongArguments, match="^--override: " + message) as caught:
        parse_override(text)
    assert "\n" not in str(caught.value)


def test_keys_can_be_written_into_a_yaml():
    values = parse_override(TWO)
    assert yaml.safe_load(yaml.safe_dump(values)) == values
