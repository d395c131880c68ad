"""YAML read strictly, with its base: each mistake a user can make, and the line that names it."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from utils.config import build, make, read_yaml, resolved_options, yaml_files
from utils.errors import UserError


def written(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_yaml_gives_its_mapping(tmp_path):
    path = written(
        tmp_path,
        "model: {name: ghostvlad, blocks: [1, 2]}\n"
        "optimizer:\n  learning_rate: 1e-3\n  decay: 2.5E-4\nnote: 1e3x\nempty:\n",
    )
    assert read_yaml(path) == {
        "model": {"name": "ghostvlad", "blocks": [1, 2]},
        "optimizer": {"learning_rate": 1e-3, "decay": 2.5e-4},
        "note": "1e3x",
        "empty": None,
    }
    assert read_yaml(written(tmp_path, "# nothing\n")) == {}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_spelling_of_a_number_is_read_as_that_number(tmp_path_factory, value):
    spellings = [f"{value!r}", f"{value:e}", f"{value:E}", f"{value:.0e}"]
    path = written(
        tmp_path_factory.getbasetemp(),
        "".join(f"k{k}: {spelling}\n" for k, spelling in enumerate(spellings)),
    )
    assert list(read_yaml(path).values()) == [float(spelling) for spelling in spellings]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nmodel:\n  x: 1\n  x: 2\n", ":4: key 'x' is given twice"),
        ("model: 1\nmodel: 2\n", ":2: key 'model' is given twice"),
        ("- 1\n- 2\n", ":1: found [1, 2] (a list), expected a mapping"),
        ("just words\n", ":1: found 'just words' (text), expected a mapping"),
        ("a: [1, 2\nb: 3\n", ":2: "),
        ("a: 1\n  b: 2\n", ":2: mapping values are not allowed here"),
        ("a:\n\t- 1\n", ":2: found character '\\t' that cannot start any token"),
        ("? [1, 2]\n: 3\n", ":1: a key is not a plain word"),
        (
            "a: !!python/object/apply:os.getcwd []\n",
            ":1: a value of kind 'python/object/apply:os.getcwd', which no setting has",
        ),
        (b"a: \xff\n", ": byte 3 is not UTF-8"),
        (b"a: \x00\n", ": "),
    ],
)
def test_bad_yaml_is_one_line_with_its_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_yaml(path)
    print(error.value)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_missing_yaml_is_named(tmp_path):
    with pytest.raises(UserError, match="none.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")


BASE = """\
model: {name: net, width: 8, parts: [{size: 3}, {size: 4}], inner: {a: 1, b: 2}}
schedule: {name: restarts, cycle: 10}
training: {epochs: 3, average: 2}
extra: {x: null}
"""


def based(tmp_path, text, base=BASE):
    (tmp_path / "full.yaml").write_text(base)
    return written(tmp_path, f"base: full.yaml\n{text}")


def test_a_yaml_is_merged_into_its_base(tmp_path):
    path = based(
        tmp_path,
        "model: {width: 4, parts: [{size: 5}], inner: {b: 3}}\n"
        "schedule: {name: cosine}\n"
        "training: {epochs: null, steps: 7, limit: null}\n"
        "extra: {x: null}\nnew: {y: 1}\n",
    )
    content = read_yaml(path)
    assert content == {
        "model": {"name": "net", "width": 4, "parts": [{"size": 5}], "inner": {"a": 1, "b": 3}},
        "schedule": {"name": "cosine"},
        "training": {"average": 2, "steps": 7, "limit": None},
        "extra": {"x": None},
        "new": {"y": 1},
    }
    assert list(content) == ["model", "schedule", "training", "extra", "new"], "the base's order"
    assert yaml_files(path) == [path, tmp_path / "full.yaml"]
    assert yaml_files(tmp_path / "full.yaml") == [tmp_path / "full.yaml"]


def test_a_section_can_be_removed_and_the_same_name_merges(tmp_path):
    content = read_yaml(based(tmp_path, "schedule: {name: restarts, fall: 1}\nextra:\n"))
    assert content["schedule"] == {"name": "restarts", "cycle": 10, "fall": 1}
    assert "extra" not in content
    assert read_yaml(based(tmp_path, "extra: 3\n"))["extra"] == 3


def test_merged_values_can_be_written_and_copied(tmp_path):
    content = read_yaml(based(tmp_path, "model: {width: 4}\n"))
    assert yaml.safe_load(yaml.safe_dump(content)) == content
    copied = copy.deepcopy(content)  # as a worker process gets it
    assert copied == content
    assert next(iter(copied["schedule"])).base_path == str(tmp_path / "full.yaml")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("3", "found 3 (a whole number), expected the name of a YAML in the same folder"),
        ("", "found nothing, expected the name of a YAML"),
        ("[full.yaml]", "found ['full.yaml'] (a list), expected the name of a YAML"),
        ("../full.yaml", "found '../full.yaml' (text), expected the name of a YAML"),
        ("/full.yaml", "found '/full.yaml' (text), expected the name of a YAML"),
        ("..", "found '..' (text), expected the name of a YAML"),
        ("x.yaml", "x.yaml is this file itself; name another YAML of the same folder"),
        ("none.yaml", "no none.yaml in the same folder; copy it there"),
        ("middle.yaml", "middle.yaml has a base itself, expected a YAML without one; "),
    ],
)
def test_a_wrong_base_is_one_line(tmp_path, base, message):
    (tmp_path / "full.yaml").write_text(BASE)
    (tmp_path / "middle.yaml").write_text("base: full.yaml\n")
    path = written(tmp_path, f"base: {base}\n")
    with pytest.raises(UserError) as error:
        read_yaml(path)
    print(error.value)
    assert str(error.value).startswith(f"{path}: base: {message}")
    assert "\n" not in str(error.value)


def test_a_fault_of_the_base_names_the_base(tmp_path):
    path = based(tmp_path, "model: 3\n", base="model:\n  - [\n")
    with pytest.raises(UserError, match=r"^\S+full.yaml:3: "):
        read_yaml(path)


def net(*, width: int = 1, inner: dict | None = None, schedule: dict | None = None):
    if width < 1:
        raise ValueError(f"width is {width}, expected 1 or more")
    return inner and make(net, inner, "inner")


@pytest.mark.parametrize(
    ("base", "own", "message"),
    [
        ("{widht: 3}", "{width: 3}", "full.yaml: model: unknown key 'widht'"),
        ("{width: 3}", "{widht: 3}", "x.yaml: model: unknown key 'widht'"),
        ("{width: a}", "{inner: {}}", "full.yaml: model: width: found 'a' (text)"),
        ("{width: 3}", "{width: a}", "x.yaml: model: width: found 'a' (text)"),
        ("{width: a}", "{width: b}", "x.yaml: model: width: found 'b' (text)"),
        ("{width: 0}", "{}", "full.yaml: model: width is 0"),
        ("{width: 0}", "{inner: {}}", "x.yaml: model: width is 0"),
        ("{width: 3}", "{width: 0}", "x.yaml: model: width is 0"),
    ],
)
def test_a_wrong_key_names_the_file_that_holds_it(tmp_path, base, own, message):
    path = based(tmp_path, f"model: {own}\n", base=f"model: {base}\n")
    with pytest.raises(UserError) as error:
        make(net, read_yaml(path)["model"], f"{path}: model")
    assert str(error.value).startswith(f"{tmp_path}/{message}")


def test_a_wrong_name_names_the_file_that_holds_it(tmp_path):
    path = based(tmp_path, "model: {width: 3}\n", base="model: {name: nett}\n")
    with pytest.raises(UserError, match=r"full.yaml: model: name: no 'nett'; did you mean 'net'"):
        build({"net": net}, read_yaml(path)["model"], f"{path}: model")
    path = based(tmp_path, "model: {name: net, width: 3}\n", base="model: {name: nett}\n")
    assert build({"net": net}, read_yaml(path)["model"], f"{path}: model") is None
    assert resolved_options({"net": net}, read_yaml(path)["model"])["width"] == 3
