"""YAML read strictly, sections checked against signatures: each mistake a user can make, and the one line that names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from utils.config import (
    build,
    check_options,
    differences,
    first_difference,
    make,
    read_yaml,
    resolved_options,
)
from utils.errors import UserError


class Base:
    """Takes options by name."""

    def __init__(self, *, rate: float = 0.5, window: Literal["hann", "povey"] = "hann"):
        if not 0 < rate <= 1:
            raise ValueError(f"rate is {rate}, expected above 0 and at most 1")
        self.rate, self.window = rate, window


class Network(Base):
    """Hands the options that it does not name to its base class."""

    def __init__(
        self,
        input_dim: int,
        *,
        channels: int = 64,
        widths: tuple[int, ...] = (1, 2),
        part: dict | None = None,
        deep: bool = False,
        **options,
    ):
        super().__init__(**options)
        self.input_dim, self.channels, self.widths, self.deep = input_dim, channels, widths, deep
        self.part = None if part is None else make(Base, part, "part")


@dataclass
class Training:
    """A section without a registry."""

    steps: int
    snr_db: tuple[float, float] | dict[str, tuple[float, float]] = (5.0, 20.0)
    folder: Path | None = None
    names: list[str] | None = None


FAMILY = {"network": Network, "base": Base}
WHERE = "conf/x.yaml: model"


def written(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_yaml_gives_its_mapping(tmp_path):
    path = written(
        tmp_path,
        "model: {name: ghostvlad, blocks: [1, 2]}\noptimizer:\n  learning_rate: 1e-3\n  decay: 2.5E-4\nnote: 1e3x\nempty:\n",
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
def test_bad_yaml_is_one_line_with_its_place(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_yaml(path)
    print(error.value)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_missing_yaml_is_named(tmp_path):
    with pytest.raises(UserError, match="none.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")


def test_build_makes_the_named_part_with_checked_options():
    network = build(
        FAMILY,
        {
            "name": "network",
            "channels": 8,
            "widths": [3, 4, 5],
            "rate": 1,
            "part": {"window": "povey"},
        },
        WHERE,
        input_dim=7,
    )
    assert (network.input_dim, network.channels, network.widths, network.rate) == (
        7,
        8,
        (3, 4, 5),
        1.0,
    )
    assert isinstance(network.rate, float)
    assert network.part.window == "povey"
    assert build(FAMILY, {"name": "base"}, WHERE).rate == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "network", "chanels": 8}, "unknown key 'chanels'; did you mean 'channels'?"),
        (
            {"name": "network", "colour": 8},
            "unknown key 'colour'; known: channels, widths, part, deep, rate, window",
        ),
        ({"name": "network", 3: 8}, "unknown key '3'; known: "),
        ({"name": "network", "input_dim": 8}, "unknown key 'input_dim'"),
        (
            {"name": "network", "channels": "8"},
            "channels: found '8' (text), expected a whole number",
        ),
        (
            {"name": "network", "channels": 8.0},
            "channels: found 8.0 (a number), expected a whole number",
        ),
        (
            {"name": "network", "channels": True},
            "channels: found true (true or false), expected a whole number",
        ),
        ({"name": "network", "channels": None}, "channels: found nothing, expected a whole number"),
        ({"name": "network", "deep": 1}, "deep: found 1 (a whole number), expected true or false"),
        (
            {"name": "network", "deep": "yes please"},
            "deep: found 'yes please' (text), expected true or false",
        ),
        (
            {"name": "network", "widths": 3},
            "widths: found 3 (a whole number), expected a list, each a whole number",
        ),
        (
            {"name": "network", "widths": [3, "4"]},
            "widths: found [3, '4'] (a list), expected a list, each a whole number",
        ),
        ({"name": "network", "rate": "fast"}, "rate: found 'fast' (text), expected a number"),
        ({"name": "network", "rate": float("nan")}, "rate: found nan, expected a number"),
        ({"name": "network", "rate": 1.5}, "rate is 1.5, expected above 0 and at most 1"),
        (
            {"name": "network", "window": "han"},
            "window: found 'han' (text), expected one of hann, povey",
        ),
        (
            {"name": "network", "part": 3},
            "part: found 3 (a whole number), expected a mapping or nothing",
        ),
        (
            {"name": "network", "part": {"windw": "hann"}},
            "part: unknown key 'windw'; did you mean 'window'?",
        ),
        ({"name": "network", "part": {"rate": -1}}, "part: rate is -1.0, expected"),
        ({"name": "netwrk"}, "name: no 'netwrk'; did you mean 'network'?"),
        ({"name": ["network"]}, "name: no '['network']'"),
        (
            {"channels": 8},
            "found {'channels': 8} (a mapping), expected a mapping with a 'name', one of base, network",
        ),
        (None, "found nothing, expected a mapping with a 'name', one of base, network"),
        (
            "network",
            "found 'network' (text), expected a mapping with a 'name', one of base, network",
        ),
    ],
)
def test_wrong_sections_are_one_line_with_section_and_key(options, message):
    with pytest.raises(UserError) as error:
        build(FAMILY, options, WHERE, input_dim=7)
    assert str(error.value).startswith(f"{WHERE}: {message}")
    assert "\n" not in str(error.value)


def test_sections_without_a_registry_are_checked_against_a_dataclass():
    training = make(
        Training,
        {"steps": 3, "snr_db": [0, 15], "folder": "a/b", "names": ["x"]},
        "x.yaml: training",
    )
    assert training == Training(steps=3, snr_db=(0.0, 15.0), folder=Path("a/b"), names=["x"])
    assert make(
        Training, {"steps": 3, "snr_db": {"music": [5, 15]}}, "x.yaml: training"
    ).snr_db == {"music": (5.0, 15.0)}
    assert check_options(Training, {"steps": 3}, "x.yaml: training") == {"steps": 3}
    for section, message in (
        (None, "key 'steps' is missing"),
        ({"step": 3}, "unknown key 'step'; did you mean 'steps'?"),
        ([3], r"found \[3\] \(a list\), expected a mapping 'key: value'"),
        (
            {"steps": 3, "snr_db": [1, 2, 3]},
            "snr_db: found .* expected a list of 2: a number, a number or a mapping",
        ),
    ):
        with pytest.raises(UserError, match=f"^x.yaml: training: {message}"):
            make(Training, section, "x.yaml: training")


def test_resolved_sections_hold_every_default_as_plain_yaml_and_build_the_same_part():
    section = {"name": "network", "widths": [3], "rate": 0.25}
    resolved = resolved_options(FAMILY, section, given=("input_dim",))
    assert resolved == {
        "name": "network",
        "channels": 64,
        "widths": [3],
        "part": None,
        "deep": False,
        "rate": 0.25,
        "window": "hann",
    }
    assert next(iter(resolved)) == "name"
    again = yaml.safe_load(yaml.safe_dump(resolved))
    assert vars(build(FAMILY, again, WHERE, input_dim=7)) == vars(
        build(FAMILY, section, WHERE, input_dim=7)
    )
    assert resolved_options(Training, {"steps": 3}) == {
        "steps": 3,
        "snr_db": [5.0, 20.0],
        "folder": None,
        "names": None,
    }


def test_bugs_in_a_constructor_keep_their_traceback():
    def broken(*, size: int = 1):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        make(broken, {"size": 2}, "x.yaml: part")


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
