"""Which tensor of a published file is which of ours: one YAML beside this module per kind of file, and what its patterns mean.

A pattern is a key with ``{i}`` for a number, ``{A}`` for a small letter, ``*`` for a last word and ``**`` for anything.  On our side the same names
stand for what was found, ``{i-2}`` for a sum, and ``{#i.j}`` for the place of these two among all such pairs of the file: block1.0 is 2 where block0
has two blocks.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from utils.config import make, read_yaml

Kind = Literal[
    "deep_speaker",
    "ge2e_tf",
    "mr_rawnet",
    "rawnet2",
    "rawnet2_modified",
    "rawnet2_original",
    "rawnet3",
    "rawnet_keras",
    "rawnet_port",
    "vgg_keras",
    "voxceleb_trainer",
    "wespeaker_ecapa",
    "wespeaker_resnet34",
]


@dataclass
class Head:
    """A loss whose weights a file may hold.

    Parameters
    ----------
    loss : dict
        Section `loss` of the configuration.
    keys : dict of str to str or list
        As those of `Table`; the pattern on our side names a weight of the loss.
    """

    loss: dict
    keys: dict[str, Any]


@dataclass
class Table:
    """How files of a kind are read.

    Parameters
    ----------
    container : str
        ``torch``, ``keras`` or ``tensor_bundle``.
    model : dict
        Section `model` of the configuration that such files fit, as published.
    keys : dict of str to str or list
        Pattern of a published key -> ours; or ours and the name of a transformation, the first perhaps a list, along whose weights the rows divide.
    heads : tuple of Head
        Losses; the first whose keys are exactly those that the network leaves is taken.
    constants : dict of str to str
        Keys that hold no weights but numbers that ours computes -> what they must be (see transforms.py).
    left_out : dict of str to str
        Pattern of keys that are reported and not used -> what they are.
    words : dict of str to str
        What ``*`` stands for, renamed on our side.
    rows : dict of str to str
        For files that do not say what their maps' rows are: value of the option --rows -> the transformation that ``by_rows`` stands for.
    """

    container: Literal["torch", "keras", "tensor_bundle"]
    model: dict
    keys: dict[str, Any]
    heads: tuple[Head, ...] = ()
    constants: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)


@dataclass
class Match:
    """What a published key is.

    Attributes
    ----------
    ours : tuple of str
        Names of our tensors; several where the rows divide among them.
    transform : str
        Name of a transformation.
    """

    ours: tuple[str, ...]
    transform: str


def read_table(kind: Kind) -> Table:
    """The table of a kind.

    Parameters
    ----------
    kind : str
        Any of `Kind` but voxceleb_trainer, whose files are of several kinds.
    """
    path = Path(__file__).with_name(f"{kind}.yaml")
    options = read_yaml(path)
    heads = tuple(make(Head, head, f"{path}: heads") for head in options.pop("heads", ()))
    return make(Table, options, str(path), heads=heads)


def kinds_of(kind: Kind) -> tuple[Kind, ...]:
    """The kinds that a file may be of: of voxceleb_trainer's ``.model`` files those whose networks we have.

    Parameters
    ----------
    kind : str
        As the user says it.
    """
    return ("rawnet3", "mr_rawnet") if kind == "voxceleb_trainer" else (kind,)


def match_keys(
    published: Iterable[str], rules: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Match]:
    """Find for each published key the rule that it fits.

    Parameters
    ----------
    published : iterable of str
        Keys of a file.
    rules, words : mapping
        As ``keys`` and ``words`` of `Table`.

    Returns
    -------
    dict of str to Match
        The keys that fit one, in the file's order.
    """
    published, found = tuple(published), {}
    for pattern, target in rules.items():
        targets, transform = target if isinstance(target, list) else (target, "as_is")
        for key, groups in keys_like(pattern, published).items():
            names = targets if isinstance(targets, list) else [targets]
            last = words.get(groups.get("last", ""), groups.get("last", ""))
            found[key] = Match(
                tuple(
                    _filled(name, groups, pattern, published).replace("*", last) for name in names
                ),
                transform,
            )
    return {key: found[key] for key in published if key in found}


def keys_like(pattern: str, published: Iterable[str]) -> dict[str, dict[str, str]]:
    """The keys that fit a pattern -> what its names stand for in them.

    Parameters
    ----------
    pattern : str
        See the head of this module.
    published : iterable of str
        Keys of a file.
    """
    expression = re.compile(_expression(pattern))
    return {key: hit.groupdict() for key in published if (hit := expression.fullmatch(key))}


def _expression(pattern: str) -> str:
    """The regular expression that a pattern stands for."""
    expression = re.sub(r"\\\{([a-z])\\\}", r"(?P<\1>[0-9]{1,4})", re.escape(pattern))
    expression = re.sub(r"\\\{([A-Z])\\\}", r"(?P<\1>[a-z])", expression)
    return expression.replace(r"\*\*", ".+").replace(r"\*", "(?P<last>[^./]+)")


def _filled(
    target: str, groups: Mapping[str, str], pattern: str, published: tuple[str, ...]
) -> str:
    """Our name, with what was found in place of its braces."""

    def value(hit: re.Match[str]) -> str:
        if hit[1].startswith("#"):
            names = tuple(hit[1][1:].split("."))
            return str(_blocks(pattern, names, published).index(_numbers(names, groups)))
        name, plus = hit[1][:1], hit[1][1:]
        return str(int(groups[name]) + int(plus or 0))

    return re.sub(r"\{([^}]+)\}", value, target)


@cache
def _blocks(pattern: str, names: tuple[str, ...], published: tuple[str, ...]) -> list[tuple]:
    """What these names stand for in all keys that begin as the pattern does up to the last of them, sorted."""
    prefix = re.compile(
        _expression(pattern[: max(pattern.index(f"{{{name}}}") for name in names) + 3])
    )
    hits = [hit for key in published if (hit := prefix.match(key))]
    return sorted({_numbers(names, hit.groupdict()) for hit in hits})


def _numbers(names: tuple[str, ...], groups: Mapping[str, str]) -> tuple:
    return tuple(int(groups[name]) if groups[name].isdigit() else groups[name] for name in names)
