"""YAML files, read strictly: safe types only, no key twice, and perhaps a base.

A YAML with ``base: NAME`` says only what differs from the YAML of that name in the same folder.
Mappings are merged key by key; anything else replaces the base's value.  ``key: null`` removes
the base's value, so that the default applies.  A mapping with another ``name`` than the base's
describes another class and replaces the whole mapping.  A base has no base itself.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from utils.config.messages import describe_value
from utils.errors import UserError

# aliases count as often as they occur: a few lines of nested aliases can hold millions of values
MOST_VALUES = 100_000


def read_yaml(path: str | Path) -> dict:
    """The mapping that a YAML file holds, merged into that of its base.

    Parameters
    ----------
    path : path
        UTF-8 file; an empty one is an empty mapping.

    Raises
    ------
    UserError
        The file is missing, not UTF-8, not YAML or not a mapping, has a key twice or too many
        values; or its base is not a YAML beside it without a base of its own.
    """
    own = _read_one(path)
    if "base" not in own:
        return own
    base_path = _base_path(Path(path), own.pop("base"))
    base = _read_one(base_path)
    if "base" in base:
        raise UserError(
            f"{path}: base: {base_path.name} has a base itself, expected a YAML without one; "
            f"copy what you need of it, or name its base ({base['base']})"
        )
    return merge(_mark_inherited(base, str(path), str(base_path)), own)


def yaml_files(path: Path) -> list[Path]:
    """The files that a YAML is read from: itself, and its base if it has one.

    Raises
    ------
    UserError
        As `read_yaml`.
    """
    own = _read_one(path)
    return [path, _base_path(path, own["base"])] if "base" in own else [path]


class InheritedKey(str):
    """A key that comes from the base of a YAML: messages about it name the base."""

    __slots__ = ("base_path", "own_path")
    own_path: str
    base_path: str

    def file_in(self, where: str) -> str:
        """``conf/x.yaml: model`` with the path of the base instead."""
        if not where.startswith(self.own_path):
            return where
        return self.base_path + where.removeprefix(self.own_path)


yaml.SafeDumper.add_representer(InheritedKey, yaml.SafeDumper.represent_str)


def _base_path(path: Path, name: Any) -> Path:
    """The file that ``base: NAME`` refers to."""
    if not isinstance(name, str) or not name or name in (".", "..") or "/" in name:
        raise UserError(
            f"{path}: base: found {describe_value(name)}, "
            "expected the name of a YAML in the same folder, without a path"
        )
    if name == path.name:
        raise UserError(
            f"{path}: base: {name} is this file itself; name another YAML of the same folder"
        )
    base_path = path.with_name(name)
    if not base_path.exists():
        raise UserError(f"{path}: base: no {name} in the same folder; copy it there")
    return base_path


def _mark_inherited(value: Any, own_path: str, base_path: str) -> Any:
    """The values of a base, with keys that remember where they come from."""
    if isinstance(value, list):
        return [_mark_inherited(item, own_path, base_path) for item in value]
    if not isinstance(value, dict):
        return value
    marked = {}
    for key, item in value.items():
        if isinstance(key, str):
            key = InheritedKey(key)
            key.own_path, key.base_path = own_path, base_path
        marked[key] = _mark_inherited(item, own_path, base_path)
    return marked


def merge(base: Mapping, own: Mapping) -> dict:
    """The values of a mapping over those of its base, in the base's order."""
    own_keys = {key: key for key in own}  # a dict keeps its first key object: the base's
    merged = {}
    for key, inherited in base.items():
        if key not in own:
            merged[key] = inherited
            continue
        value = own[key]
        if _are_mergeable(inherited, value):
            merged[own_keys[key]] = merge(inherited, value)
        elif value is not None or inherited is None:
            merged[own_keys[key]] = value
    return merged | {key: value for key, value in own.items() if key not in base}


def _are_mergeable(inherited: Any, value: Any) -> bool:
    """Whether both are mappings, and not options of two classes."""
    if not isinstance(inherited, dict) or not isinstance(value, dict):
        return False
    return "name" not in value or value["name"] == inherited.get("name", value["name"])


def _refuse_tag(_loader: yaml.SafeLoader, node: yaml.Node) -> NoReturn:
    """Raise an error for a YAML tag that no option has."""
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    problem = f"a value of kind '{kind}', which no setting has; put text in quotes"
    raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


ALLOWED_TAGS = [
    f"tag:yaml.org,2002:{tag}" for tag in ("null", "bool", "int", "float", "str", "seq")
]


class StrictLoader(yaml.SafeLoader):
    """Safe YAML without dates and other special types, without repeated keys; 1e-3 is a number."""

    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in ALLOWED_TAGS} | {
        None: _refuse_tag
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; an error names its line."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                problem=f"not a valid value ({error})", problem_mark=node.start_mark
            ) from None
        if type(value) is int and abs(value) >= 1 << 64:
            raise yaml.constructor.ConstructorError(
                problem="a whole number of more than 64 bits", problem_mark=node.start_mark
            )
        return value


def _construct_mapping(loader: StrictLoader, node: yaml.Node) -> dict:
    """The mapping of a node; keys are scalars, each given once."""
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(
            problem="expected a mapping", problem_mark=node.start_mark
        )
    loader.flatten_mapping(node)
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                problem="a key is not a plain word", problem_mark=key.start_mark
            )
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark
            )
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _read_one(path: str | Path) -> dict:
    """The mapping of one file; a base is not looked up."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), StrictLoader)
        num_values = count_values(content, {})
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply; expected settings") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        assert mark is not None, "every error of this loader has a line"
        raise UserError(f"{path}:{mark.line + 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    if num_values > MOST_VALUES:
        raise UserError(
            f"{path}: more than {MOST_VALUES:,} values, with those that its aliases repeat; "
            "expected settings"
        )
    if content is None:
        return {}
    if not isinstance(content, dict):
        found = describe_value(content)
        raise UserError(f"{path}:1: found {found}, expected a mapping 'section: ...'")
    return content


def count_values(value: Any, counts: dict[int, int]) -> int:
    """Number of values within a nested value; aliases count as often as they occur."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in counts:
        counts[id(value)] = MOST_VALUES  # if it contains itself
        items = value.values() if isinstance(value, dict) else value
        counts[id(value)] = 1 + sum(count_values(item, counts) for item in items)
    return counts[id(value)]
