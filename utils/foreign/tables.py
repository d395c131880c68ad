"""Names of published tensors -> names of ours: one YAML per kind of file, beside this module.

A pattern is a key with ``{i}`` for a number, ``{A}`` for a lower-case letter, ``*`` for a last word
and ``**`` for anything.  In our names the same placeholders have the matched values, ``{i-2}`` a
difference, and ``{#i.j}`` the index of this pair among all such pairs of the file: block1.0 has
index 2 if block0 has two blocks.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from utils.config import make, read_yaml

Kind = Literal[
    "campplus_3dspeaker",
    "deep_speaker",
    "ge2e_tf",
    "mr_rawnet",
    "rawnet2",
    "rawnet2_modified",
    "rawnet2_original",
    "rawnet3",
    "rawnet_keras",
    "rawnet_port",
    "resemblyzer",
    "speechbrain_ecapa",
    "vgg_keras",
    "voxceleb_trainer",
    "wespeaker_ecapa",
    "wespeaker_resnet34",
]


@dataclass
class Head:
    """A loss whose weights a file may hold: its section of the configuration, and its patterns."""

    loss: dict
    keys: dict[str, Any]


@dataclass
class Table:
    """How files of a kind are read: the content of a YAML."""

    container: Literal["torch", "keras", "tensor_bundle"]
    model: dict  # section `model` of the configuration that such files fit, as published
    # Pattern of a published key -> ours, or [ours, transform]; "ours" may be a list of names,
    # among which the rows divide.
    keys: dict[str, Any]
    heads: tuple[Head, ...] = ()  # the first whose keys are all among the remaining ones is used
    constants: dict[str, str] = field(default_factory=dict)  # keys without weights (transforms.py)
    left_out: dict[str, str] = field(default_factory=dict)  # pattern -> what the unused keys are
    words: dict[str, str] = field(default_factory=dict)  # what ``*`` matches -> its name here
    rows: dict[str, str] = field(default_factory=dict)  # value of --rows -> transform "by_rows"


@dataclass
class Match:
    """Our names for a published key (several if its rows are divided), and the transform."""

    ours: tuple[str, ...]
    transform: str


def read_table(kind: Kind) -> Table:
    """The table of a kind; voxceleb_trainer has none, since its files are of several kinds."""
    path = Path(__file__).with_name(f"{kind}.yaml")
    options = read_yaml(path)
    heads = []
    for head in options.pop("heads", ()):
        heads.append(make(Head, head, f"{path}: heads"))
    return make(Table, options, str(path), heads=tuple(heads))


def possible_kinds(kind: Kind) -> tuple[Kind, ...]:
    """The kinds that a file may be of: those networks of voxceleb_trainer that we have."""
    if kind == "voxceleb_trainer":
        return ("rawnet3", "mr_rawnet")
    return (kind,)


def match_keys(
    published: Iterable[str], rules: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Match]:
    """The keys of a file that fit a rule, in the file's order (`Table`: keys and words)."""
    keys, matches = tuple(published), {}
    for pattern, target in rules.items():
        names, transform = target, "as_is"
        if isinstance(target, list):
            names, transform = target
        if isinstance(names, str):
            names = [names]
        for key, groups in match_pattern(pattern, keys).items():
            last = groups.get("last", "")
            last = words.get(last, last)
            ours = []
            for name in names:
                ours.append(_fill(name, groups, pattern, keys).replace("*", last))
            matches[key] = Match(tuple(ours), transform)
    return {key: matches[key] for key in keys if key in matches}


def match_pattern(pattern: str, published: Iterable[str]) -> dict[str, dict[str, str]]:
    """The keys that fit a pattern -> the values of its placeholders."""
    expression = re.compile(_to_expression(pattern))
    groups = {}
    for key in published:
        match = expression.fullmatch(key)
        if match:
            groups[key] = match.groupdict()
    return groups


def _to_expression(pattern: str) -> str:
    """The regular expression of a pattern."""
    expression = re.sub(r"\\\{([a-z])\\\}", r"(?P<\1>[0-9]{1,4})", re.escape(pattern))
    expression = re.sub(r"\\\{([A-Z])\\\}", r"(?P<\1>[a-z])", expression)
    return expression.replace(r"\*\*", ".+").replace(r"\*", "(?P<last>[^./]+)")


def _fill(target: str, groups: Mapping[str, str], pattern: str, published: tuple[str, ...]) -> str:
    """Our name with the values of its placeholders."""

    def value(match: re.Match[str]) -> str:
        content = match[1]
        if content.startswith("#"):
            names = tuple(content[1:].split("."))
            pairs = _sorted_values(pattern, names, published)
            return str(pairs.index(_values(names, groups)))
        name, difference = content[0], content[1:]
        return str(int(groups[name]) + int(difference or 0))

    return re.sub(r"\{([^}]+)\}", value, target)


@cache
def _sorted_values(pattern: str, names: tuple[str, ...], published: tuple[str, ...]) -> list[tuple]:
    """Sorted values of these placeholders in all keys that match the pattern up to the last."""
    end = max(pattern.index(f"{{{name}}}") for name in names) + len("{i}")
    prefix = re.compile(_to_expression(pattern[:end]))
    values = set()
    for key in published:
        match = prefix.match(key)
        if match:
            values.add(_values(names, match.groupdict()))
    return sorted(values)


def _values(names: tuple[str, ...], groups: Mapping[str, str]) -> tuple:
    """The value of each placeholder, numbers as int."""
    values: list[int | str] = []
    for name in names:
        text = groups[name]
        values.append(int(text) if text.isdigit() else text)
    return tuple(values)
