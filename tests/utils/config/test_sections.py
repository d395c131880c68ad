"""Sections checked against signatures: each mistake a user can make, and the line that names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml

from utils.config import build, check_options, make, resolved_options
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
            (
                "found {'channels': 8} (a mapping), "
                "expected a mapping with a 'name', one of base, network"
            ),
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
