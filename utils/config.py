"""YAML files read strictly, parts built from their sections, and the words of messages about both.

Defaults live in the constructors' signatures only; a section of a YAML file says what differs.  The signature is also what a section is checked
against: a name that it does not have, or a value of another type, is an error before anything is opened.
"""

import difflib
import inspect
import json
import math
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from utils.errors import UserError

TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping",
    Path: "a path",
    types.NoneType: "nothing",
}
_SHORT = reprlib.Repr()  # of what a user wrote, in a message of one line
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
# of a file, each counted as often as aliases name it: a few lines of aliases of aliases stand for millions
MOST_VALUES = 100_000
LONGEST_SHOWN = 40  # letters of a value in a message


def _refuse_kind(loader: yaml.SafeLoader, node: yaml.Node) -> NoReturn:
    """What a tag that no setting has is made of: a message."""
    problem = f"a value of kind '{node.tag.removeprefix('tag:yaml.org,2002:')}', which no setting has; put text in quotes"
    raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses repeated keys, and values of other kinds than settings have, such as dates; reads 1e-3 as a number."""

    yaml_constructors = {
        f"tag:yaml.org,2002:{tag}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"]
        for tag in ("null", "bool", "int", "float", "str", "seq")
    } | {None: _refuse_kind}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; one that its tag does not allow is an error of its line."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                problem=f"no value of its kind ({error})", problem_mark=node.start_mark
            ) from None
        if type(value) is int and abs(value) >= 1 << 64:
            raise yaml.constructor.ConstructorError(
                problem="a whole number of more than 64 bits", problem_mark=node.start_mark
            )
        return value


def _mapping(loader: _Loader, node: yaml.Node) -> dict:
    """The mapping of a node whose keys are plain words, each given once."""
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


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: str | Path) -> dict:
    """The mapping that a YAML file holds.

    Parameters
    ----------
    path : path
        UTF-8 file; an empty one is an empty mapping.

    Raises
    ------
    UserError
        No such file, not UTF-8, wrong syntax, a key given twice, something else than a mapping at the top, or more values than any of ours has.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
        if _num_values(content, {}) > MOST_VALUES:
            raise UserError(
                f"{path}: more than {MOST_VALUES:,} values, with those that its aliases repeat; expected settings"
            )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply; expected settings") from None
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark
        assert place is not None, "a fault of the syntax is somewhere"
        raise UserError(f"{path}:{place.line + 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}:1: found {_found(content)}, expected a mapping 'section: ...'")
    return content


def _num_values(value: Any, known: dict[int, int]) -> int:
    """How many values a value holds; one that aliases share is looked at once, and counted each time."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES  # for the case that it is in itself
        known[id(value)] = 1 + sum(
            _num_values(item, known)
            for item in (value.values() if isinstance(value, dict) else value)
        )
    return known[id(value)]


def build(family: Mapping[str, Callable], options: Any, where: str, **given: Any) -> Any:
    """Make the part of a family that ``options["name"]`` asks for.

    Parameters
    ----------
    family : dict of classes or functions
        A registry, such as MODELS.
    options : dict
        A section of a YAML file: ``name``, and arguments of that part.
    where : str
        File and section, for messages: ``conf/x.yaml: model``.
    **given
        Arguments that the program gives; the section may not.

    Raises
    ------
    UserError
        No such name, or as :func:`make`.
    """
    if not isinstance(options, dict) or "name" not in options:
        raise UserError(
            f"{where}: found {_found(options)}, expected a mapping with a 'name', one of {', '.join(sorted(family))}"
        )
    name = options["name"]
    if not isinstance(name, str) or name not in family:
        raise UserError(f"{where}: name: no '{name}'{_suggestion(name, family)}")
    return make(
        family[name],
        {key: value for key, value in options.items() if key != "name"},
        where,
        **given,
    )


def make(part: Callable, options: Any, where: str, **given: Any) -> Any:
    """Call a class or function with the options of a section, checked first.

    Parameters
    ----------
    part : class or function
        Its signature says which options there are and of which type.
    options, where, **given
        As :func:`build`.

    Raises
    ------
    UserError
        As :func:`check_options`; or the part refuses a value (ValueError).
    """
    arguments = check_options(part, options, where, given)
    try:
        return part(**arguments, **given)
    except (ValueError, UserError) as error:
        raise UserError(f"{where}: {error}") from None


def check_options(part: Callable, options: Any, where: str, given: Iterable[str] = ()) -> dict:
    """The options of a section as the arguments they are for: names known, types right, nothing missing.

    Parameters
    ----------
    part : class or function
        Its signature says which options there are and of which type; ``**options`` stands for those of the base class.
    options : dict or None
        The section; None (an empty section) is an empty dict.
    where : str
        File and section, for messages.
    given : names
        Arguments that the program gives; the section may not.

    Returns
    -------
    dict
        Lists as tuples, whole numbers as floats where the signature says so.

    Raises
    ------
    UserError
        An unknown key (with a suggestion), a wrong type, or a missing one.
    """
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise UserError(f"{where}: found {_found(options)}, expected a mapping 'key: value'")
    known = {
        name: parameter for name, parameter in parameters_of(part).items() if name not in given
    }
    for key in options:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'{_suggestion(key, known)}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise UserError(f"{where}: key '{name}' is missing")
    arguments = {}
    for key, value in options.items():
        try:
            arguments[key] = _converted(value, known[key].annotation)
        except TypeError:
            raise UserError(
                f"{where}: {key}: found {_found(value)}, expected {_spelled(known[key].annotation)}"
            ) from None
    return arguments


def parameters_of(part: Callable) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function, with their annotations evaluated.

    Parameters
    ----------
    part : class or function
        A class whose constructor takes ``**options`` hands them to its base class.
    """
    functions: list[Callable] = [part]
    num_bound = 0
    if isinstance(part, type):
        functions = _constructors(part)
        num_bound = 1  # self
    described: dict[str, inspect.Parameter] = {}
    for function in functions:
        hints, passes_on = typing.get_type_hints(function), False
        parameters = list(inspect.signature(function).parameters.values())
        for parameter in parameters[num_bound:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:  # of a class without a constructor
                continue
            hint = hints.get(parameter.name, Any)
            described.setdefault(parameter.name, parameter.replace(annotation=hint))
        if not passes_on:
            break
    return described


def _constructors(part: type) -> list[Callable]:
    """Of a class and its base classes, those that define one."""
    return [vars(base)["__init__"] for base in part.__mro__ if "__init__" in vars(base)]


def _converted(value: Any, hint: Any) -> Any:
    """The value as the hint says, or TypeError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return _converted(value, choice)
            except TypeError:
                continue
    elif hint is Any:
        return value
    elif origin is typing.Literal:
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif hint is Path:
        if isinstance(value, str):
            return Path(value)
    elif origin in (list, tuple):
        if isinstance(value, list | tuple) and (
            origin is list or arguments[-1] is ... or len(value) == len(arguments)
        ):
            hints = (
                arguments
                if origin is tuple and arguments[-1] is not ...
                else [arguments[0]] * len(value)
            )
            return origin(
                _converted(item, item_hint) for item, item_hint in zip(value, hints, strict=True)
            )
    elif origin is dict:
        if isinstance(value, dict):
            return {
                _converted(key, arguments[0]): _converted(item, arguments[1])
                for key, item in value.items()
            }
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise TypeError


def resolved_options(
    part: Callable | Mapping[str, Callable], options: dict | None, given: Iterable[str] = ()
) -> dict:
    """A section with the defaults filled in, as plain YAML values: enough to build the same part again.

    Parameters
    ----------
    part : class, function, or registry of them
        As for :func:`make` or :func:`build`.
    options : dict or None
        The section, already checked.
    given : names
        Arguments that the program gives; left out.
    """
    options = {} if options is None else options
    named = {"name": options["name"]} if isinstance(part, Mapping) else {}
    chosen = part[options["name"]] if isinstance(part, Mapping) else part
    defaults = {
        name: parameter.default
        for name, parameter in parameters_of(chosen).items()
        if parameter.default is not parameter.empty
    }
    return {
        name: _plain(value)
        for name, value in (named | defaults | options).items()
        if name not in given
    }


def _plain(value: Any) -> Any:
    """The value in YAML's own types."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _spelled(hint: Any) -> str:
    """A type hint in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spelled(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple):
        if origin is tuple and arguments[-1] is not ...:
            return f"a list of {len(arguments)}: " + ", ".join(_spelled(item) for item in arguments)
        return f"a list, each {_spelled(arguments[0])}"
    return TYPE_NAMES.get(origin or hint, str(hint))


def _found(value: Any) -> str:
    """A value of a YAML file and its type in words, no longer than a line."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f"{str(value).lower() if isinstance(value, bool) else _SHORT.repr(value)} ({TYPE_NAMES.get(type(value), type(value).__name__)})"


def _suggestion(key: Any, known: Iterable[str]) -> str:
    """The name that may have been meant, or all that there are."""
    close = difflib.get_close_matches(str(key), list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known) or 'none'}"


def first_difference(before: object, now: object, name: str = "") -> str:
    """Where two nested mappings part first, as a phrase; empty when they do not.

    Parameters
    ----------
    before, now, name
        As of `differences`.
    """
    for where, old, new in differences(before, now, name):
        return f"{where} was {shown(old)}, is {shown(new)}"
    return ""


def differences(before: object, now: object, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place where two nested values part: its path of keys, the value before, and the one now.

    Parameters
    ----------
    before, now : JSON values
        A tuple is a list, and 3 is 3.0: how a value is spelt makes no difference.
    name : str
        Path of keys that led here.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(before.get(key), now.get(key), inner)
    elif _are_lists_alike(before, now):
        assert isinstance(before, list | tuple)
        assert isinstance(now, list | tuple)
        for number, (old, new) in enumerate(zip(before, now, strict=True), start=1):
            yield from differences(old, new, f"{name}[{number}]")
    elif not _is_same(before, now):
        yield name, before, now


def shown(value: object) -> str:
    """A value as JSON, no longer than fits into a message.

    Parameters
    ----------
    value : JSON value
        As of `differences`.
    """
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def _are_lists_alike(before: object, now: object) -> bool:
    """Whether both are lists that can be compared member by member: mappings, as many here as there."""
    if not (isinstance(before, list | tuple) and isinstance(now, list | tuple)):
        return False
    return len(before) == len(now) and all(isinstance(each, Mapping) for each in [*before, *now])


def _is_same(before: object, now: object) -> bool:
    """Whether two values without mappings at the top are equal, however they are spelt."""
    if isinstance(before, list | tuple) and isinstance(now, list | tuple):
        return len(before) == len(now) and not any(
            next(differences(old, new), None) for old, new in zip(before, now, strict=True)
        )
    if _is_number(before) and _is_number(now):
        return before == now or json.dumps(before) == json.dumps(now)
    return json.dumps(before) == json.dumps(now)


def _is_number(value: object) -> bool:
    """Whether it counts something: true and false don't."""
    return isinstance(value, int | float) and not isinstance(value, bool)
