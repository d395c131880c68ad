"""Objects built from the sections of a YAML file.

Only the signatures of constructors have defaults; a section has what differs.  It is checked
against the signature: an unknown name or a value of another type is an error before any file is
opened.
"""

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from utils.config.files import InheritedKey
from utils.config.messages import describe_type, describe_value, suggest_name
from utils.config.override import WITH_OVERRIDE, OverrideKey
from utils.errors import UserError, WrongArguments


def build(family: Mapping[str, Callable], options: Any, where: str, **given: Any) -> Any:
    """Make the object of a registry that ``options["name"]`` asks for.

    Parameters
    ----------
    family : dict of classes or functions
        A registry, such as MODELS.
    options : dict
        A section of a YAML file: ``name``, and arguments of that class.
    where : str
        File and section, for messages: ``conf/x.yaml: model``.
    **given
        Arguments that the program sets; the section may not.

    Raises
    ------
    UserError
        No such name, or as :func:`make`.
    """
    if not isinstance(options, dict) or "name" not in options:
        raise refusal(
            where,
            f"found {describe_value(options)}, "
            f"expected a mapping with a 'name', one of {', '.join(sorted(family))}",
        )
    name = options["name"]
    if not isinstance(name, str) or name not in family:
        key = next(key for key in options if key == "name")
        suggestion = suggest_name(name, family)
        raise refusal(_key_location(key, where), f"name: no '{name}'{suggestion}")
    arguments = {key: value for key, value in options.items() if key != "name"}
    return make(family[name], arguments, where, **given)


def make(part: Callable, options: Any, where: str, **given: Any) -> Any:
    """Call a class or function with the options of a section, after checking them.

    Parameters
    ----------
    part : class or function
        Its signature defines the options and their types.
    options, where, **given
        As :func:`build`.

    Raises
    ------
    UserError
        As :func:`check_options`; or the class refuses a value (ValueError).
    """
    arguments = check_options(part, options, where, given)
    try:
        return part(**arguments, **given)
    except (ValueError, UserError) as error:
        raise refusal(_options_location(options, where), str(error)) from None


def check_options(part: Callable, options: Any, where: str, given: Iterable[str] = ()) -> dict:
    """The options of a section as arguments: known names, right types, nothing missing.

    Parameters
    ----------
    part : class or function
        Its signature defines the options; ``**options`` stands for those of the base class.
    options : dict or None
        The section; None (an empty section) is an empty dict.
    where : str
        File and section, for messages.
    given : names
        Arguments that the program sets; the section may not.

    Returns
    -------
    dict
        Lists as tuples, whole numbers as floats where the signature asks for them.

    Raises
    ------
    UserError
        An unknown key (with a suggestion), a wrong type, or a missing key.
    """
    options = {} if options is None else options
    if not isinstance(options, dict):
        found = describe_value(options)
        raise refusal(where, f"found {found}, expected a mapping 'key: value'")
    parameters = signature_parameters(part).items()
    known = {name: parameter for name, parameter in parameters if name not in given}
    for key in options:
        if key not in known:
            suggestion = suggest_name(key, known)
            raise refusal(_key_location(key, where), f"unknown key '{key}'{suggestion}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise refusal(where, f"key '{name}' is missing")
    arguments = {}
    for key, value in options.items():
        hint = known[key].annotation
        try:
            arguments[key] = _converted(value, hint)
        except TypeError:
            found, expected = describe_value(value), describe_type(hint)
            raise refusal(
                _key_location(key, where), f"{key}: found {found}, expected {expected}"
            ) from None
    return arguments


def refusal(where: str, message: str) -> UserError:
    """The error of a fault in a section: of the command line if the place is in --override."""
    kind = UserError
    if where.startswith("--override") or where.endswith(WITH_OVERRIDE):
        kind = WrongArguments
    return kind(f"{where}: {message}")


def _key_location(key: Any, where: str) -> str:
    """File and section of a key: --override, or the base of the YAML, if the key comes from it."""
    if not isinstance(key, OverrideKey):
        where = where.removesuffix(WITH_OVERRIDE)
    return key.file_in(where) if isinstance(key, InheritedKey) else where


def _options_location(options: Any, where: str) -> str:
    """File and section of some options: in the base if all of them come from it.

    If some are of --override, it is named too.
    """
    keys = list(options or ())
    if any(isinstance(key, OverrideKey) for key in keys):
        return where.removesuffix(WITH_OVERRIDE) + WITH_OVERRIDE
    if keys and all(isinstance(key, InheritedKey) for key in keys):
        return keys[0].file_in(where)
    return where


def signature_parameters(part: Callable) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function, with their annotations evaluated.

    Parameters
    ----------
    part : class or function
        ``**options`` of a constructor stands for the parameters of the base class.
    """
    functions: list[Callable] = [part]
    num_bound = 0
    if isinstance(part, type):
        functions = [vars(base)["__init__"] for base in part.__mro__ if "__init__" in vars(base)]
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


def _converted(value: Any, hint: Any) -> Any:
    """The value in the type of its hint; TypeError if it cannot be."""
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
        if isinstance(value, list | tuple):
            return _converted_items(value, origin, arguments)
    elif origin is dict:
        if isinstance(value, dict):
            key_hint, item_hint = arguments
            return {
                _converted(key, key_hint): _converted(item, item_hint)
                for key, item in value.items()
            }
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise TypeError


def _converted_items(value: list | tuple, kind: type, hints: tuple) -> Any:
    """A list or tuple with converted items, or TypeError; of a fixed length if the hint has one."""
    if kind is list or hints[-1] is ...:
        return kind(_converted(item, hints[0]) for item in value)
    if len(value) != len(hints):
        raise TypeError
    return kind(_converted(item, hint) for item, hint in zip(value, hints, strict=True))


def resolved_options(
    part: Callable | Mapping[str, Callable], options: dict | None, given: Iterable[str] = ()
) -> dict:
    """A section with its defaults, as plain YAML values: enough to build the same object again.

    Parameters
    ----------
    part : class, function, or registry of them
        As for :func:`make` or :func:`build`.
    options : dict or None
        The section, already checked.
    given : names
        Arguments that the program sets; left out.
    """
    options = {} if options is None else options
    named = {}
    if isinstance(part, Mapping):
        named = {"name": options["name"]}
        part = part[options["name"]]
    defaults = {
        name: parameter.default
        for name, parameter in signature_parameters(part).items()
        if parameter.default is not parameter.empty
    }
    values = named | defaults | options
    return {name: _plain(value) for name, value in values.items() if name not in given}


def _plain(value: Any) -> Any:
    """The value in types that YAML has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
