"""Values of the command line that replace those of a YAML.

``optimizer.learning_rate=1e-3,loss.margin=0.3`` changes a YAML as another one that is based on it
(`utils.config.files`) and holds these two values.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

import yaml

from utils.config.files import MOST_VALUES, InheritedKey, StrictLoader, count_values
from utils.config.messages import describe_value
from utils.errors import WrongArguments

EXAMPLE = "optimizer.learning_rate=1e-3,loss.margin=0.3"
KEY = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""")
WITH_OVERRIDE = " with --override"  # ends the place of a fault in a section that it changes
DIGITS, LONGEST_VALUE = 6, 24  # characters in the name of a folder
LONGEST_SHOWN = 60  # characters in a message


class OverrideKey(InheritedKey):
    """A key of an override: messages about it name the option."""

    __slots__ = ("section",)
    section: str

    def file_in(self, where: str) -> str:
        """The option, and the section that the key is in."""
        if not self.section:
            return "--override"
        return f"--override: {self.section}"


yaml.SafeDumper.add_representer(OverrideKey, yaml.SafeDumper.represent_str)


def parse_override(text: str) -> dict:
    """The nested values of ``section.key=value,section.key=value``; values are those of YAML.

    WrongArguments: not of this form, a value is not YAML, or a key is given twice.
    """
    nested: dict = {}
    for part in _split_at_commas(text):
        key, equals, written = part.partition("=")
        key = key.strip()
        if not equals or not KEY.fullmatch(key):
            raise WrongArguments(
                f"--override: found '{part.strip()}', expected section.key=value, several joined "
                f"by commas, for example {EXAMPLE}; put a value that has a comma in quotes"
            )
        value = _read_value(key, written)
        for name in reversed(key.split(".")):
            value = {name: value}
        _add(nested, value, "")
    if not any(override_leaves(nested)):
        raise WrongArguments(f"--override: '{text}' sets no value, expected for example {EXAMPLE}")
    return _mark(nested, "")


def _split_at_commas(text: str) -> list[str]:
    """The parts between commas that are outside of quotes, brackets and braces.

    As in YAML, these open where a value begins; within brackets another one opens anywhere.
    """
    parts, first, position, depth = [], 0, 0, 0
    begins_value = False
    while position < len(text):
        quoted = QUOTED.match(text, position)
        if quoted and begins_value:
            position, begins_value = quoted.end(), False
            continue
        letter = text[position]
        if letter in "[{" and (begins_value or depth):
            depth += 1
        elif letter in "]}" and depth:
            depth -= 1
        elif letter == "," and not depth:
            parts.append(text[first:position])
            first = position + 1
        begins_value = letter in "=:,[{" or (begins_value and letter.isspace())
        position += 1
    return [*parts, text[first:]]


def _add(values: dict, more: Mapping, section: str) -> None:
    """Add nested values to others; WrongArguments if one of them is there already."""
    for name, value in more.items():
        key = _inner_key(section, name)
        if name not in values:
            values[name] = value
        elif isinstance(values[name], dict) and isinstance(value, Mapping):
            _add(values[name], value, key)
        else:
            raise WrongArguments(f"--override: {key} is given twice; give it once")


def _read_value(key: str, written: str) -> Any:
    """The value of a key."""
    if not written.strip():
        raise WrongArguments(
            f"--override: {key}: no value, expected {key}=VALUE; null stands for the default"
        )
    try:
        value = yaml.load(written, StrictLoader)
        num_values = count_values(value, {})
    except yaml.MarkedYAMLError as error:
        shown = written[:LONGEST_SHOWN]
        raise WrongArguments(f"--override: {key}: {error.problem}, in '{shown}'") from None
    except (yaml.YAMLError, RecursionError):
        shown = written[:LONGEST_SHOWN]
        raise WrongArguments(f"--override: {key}: '{shown}' is no value of YAML") from None
    if num_values > MOST_VALUES:
        raise WrongArguments(f"--override: {key}: more than {MOST_VALUES:,} values; give one")
    return value


def _mark(value: Any, section: str) -> Any:
    """The values with keys that remember that they are of an override."""
    if not isinstance(value, dict):
        return value
    marked = {}
    for name, item in value.items():
        key = OverrideKey(name)
        key.section = section
        marked[key] = _mark(item, _inner_key(section, name))
    return marked


def _inner_key(section: str, name: str) -> str:
    """The dotted key of a name in a section; the outermost section has no name."""
    if not section:
        return str(name)
    return f"{section}.{name}"


def override_leaves(values: Mapping, section: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of an override that is no mapping, with its key: ``loss.margin``, 0.3."""
    for name, value in values.items():
        key = _inner_key(section, name)
        if isinstance(value, Mapping):
            yield from override_leaves(value, key)
        else:
            yield key, value


def canonical_override(values: Mapping) -> str:
    """An override as text that does not depend on order and spelling; empty if nothing is set."""
    leaves = sorted(override_leaves(values), key=itemgetter(0))
    return ",".join(f"{key}={_canonical(value)}" for key, value in leaves)


def override_option(text: str | None) -> dict[str, str]:
    """The option of a Task that stands for an override; none without an override."""
    if text is None:
        return {}
    return {"override": canonical_override(parse_override(text))}


def override_name(values: Mapping) -> str:
    """The part of a folder's name: last key and value, and a digest.

    The last in alphabetical order of the keys without their sections.
    """
    leaves = list(override_leaves(values))
    key, value = max(leaves, key=lambda leaf: (leaf[0].rpartition(".")[2], leaf[0]))
    written = _canonical(value)
    if isinstance(value, str):
        written = value
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", written)[:LONGEST_VALUE].strip("-")
    digest = hashlib.sha256(canonical_override(values).encode()).hexdigest()
    return f"{key.rpartition('.')[2]}{readable}-{digest[:DIGITS]}"


def _canonical(value: Any) -> str:
    """A value as JSON; 3.0 is 3."""
    if isinstance(value, list):
        return "[" + ", ".join(_canonical(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def section_of_override(values: Mapping, key: str) -> Mapping:
    """The mapping that an override has for a key; empty if it has none."""
    section = values.get(key, {})
    if not isinstance(section, Mapping):
        where = next(name for name in values if name == key).file_in("")
        raise WrongArguments(
            f"{where}: {key}: found {describe_value(section)}, expected {key}.KEY=VALUE"
        )
    return section
