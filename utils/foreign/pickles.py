"""Foreign pickles: Python's own unpickler with an allow-list of names.

A pickle is a program, and its GLOBAL opcodes name what it calls.  Here each allowed pair of module
and name stands for a function of ours; any other pair is refused before anything is called.  Arrays
are views of bytes of the file; NumPy itself never gets a state from the file.

The functions run in the sandbox (sandbox.py), but for `read_pickle`, which starts it.
"""

import math
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from utils.foreign.sandbox import Parts, UnexpectedContentError, read_in_sandbox

NUMBERS = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f[248]|c8|c16)")
PLAIN_ONLY = "only arrays of numbers, containers, text and numbers are read"
Names = Mapping[tuple[str, str], Any]


class ForbiddenNameError(ValueError):
    """The pickle asks for something that is not allowed."""

    def __init__(self, asked: str) -> None:
        self.asked = re.sub(r"[^\w. ,']", "?", asked)[:80]
        super().__init__(f"it asks for {self.asked}")


def read_pickle(path: Path, parts: list[str]) -> Parts:
    """Arrays of a pickled dictionary; or of several dictionaries in one, by their names."""
    expected = "not a whole pickle of protocols 0 to 5"
    return read_in_sandbox(pickled_arrays, [path], expected, parts)


def pickled_arrays(path: Path, parts: list[str]) -> Parts:
    """Runs in the sandbox: the arrays of `read_pickle`; part "" is the whole dictionary."""
    with open(path, "rb") as file:
        try:
            content = load_pickle(file, NAMES)
        except ForbiddenNameError as error:
            raise UnexpectedContentError(
                f"the pickle asks for {error.asked}; {PLAIN_ONLY} (nothing of it was run)"
            ) from None
        if file.read(1):
            raise ValueError("bytes after its end")
    arrays = {}
    for part in parts:
        vectors = content
        if part:
            vectors = content.get(part) if isinstance(content, dict) else None
        arrays[part] = _named_arrays(vectors, part)
    return arrays


def load_pickle(
    file: IO[bytes], names: Names, persistent: Callable[[Any], Any] | None = None
) -> Any:
    """Unpickle with these names only; ValueError, or any other error of the unpickler."""
    try:
        return _Unpickler(file, names, persistent).load()
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from None


class _Unpickler(pickle.Unpickler):
    """Python's unpickler; the byte strings of Python 2 become text by latin-1."""

    def __init__(self, file: IO[bytes], names: Names, persistent: Callable | None) -> None:
        super().__init__(file, encoding="latin1")
        self._names, self._persistent = names, persistent

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._names:
            raise ForbiddenNameError(f"{module}.{name}")
        return self._names[module, name]

    def persistent_load(self, identity: Any) -> Any:
        if self._persistent is None:
            raise ForbiddenNameError("a persistent id")
        return self._persistent(identity)


class Allowed:
    """An allowed name: calls go to a function of ours, or are refused where there is none."""

    __slots__ = ("function", "label")

    def __init__(self, label: str, function: Callable | None = None) -> None:
        self.label, self.function = label, function

    @property
    def kind(self) -> str:
        """The name in the pickle, for messages."""
        return self.label

    def __call__(self, *arguments: Any) -> Any:
        if self.function is None:
            raise ForbiddenNameError(f"a call of {self.label}")
        return self.function(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise ForbiddenNameError(f"a state for {self.label}")


class Skipped:
    """A harmless value that is not needed, such as a namespace of options or a path."""

    __slots__ = ()
    kind = "object"

    def __init__(self, *_arguments: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


class _Dict(dict):
    """A dictionary whose attributes, which PyTorch's state dictionaries have, are left out."""

    __slots__ = ()
    kind = "dict"

    def __setstate__(self, _state: Any) -> None:
        pass


class _Dtype:
    """The type of an array; its byte order comes as a state."""

    __slots__ = ("dtype",)
    kind = "dtype"

    def __init__(self, name: Any, *_arguments: Any) -> None:
        text = _to_text(name)
        if not NUMBERS.fullmatch(text):
            raise ForbiddenNameError(f"an array of type '{text[:20]}'")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        byte_order: Any = _to_text(state[1])
        self.dtype = self.dtype.newbyteorder(byte_order)


class Array:
    """An array; its type, shape and bytes come as a state."""

    __slots__ = ("array",)
    kind = "ndarray"

    def __init__(self, kind: Any, *_arguments: Any) -> None:
        if kind is not NAMES["numpy", "ndarray"]:
            raise ForbiddenNameError("an array of another class than numpy.ndarray")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        if isinstance(content, list):
            raise ForbiddenNameError("an array of objects")
        order = "F" if is_fortran else "C"
        self.array = _make_array(content, dtype, shape, order)


def _make_array(content: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    """An array over bytes, which must be as many as its shape needs."""
    if type(dtype) is not _Dtype:
        raise ValueError(f"a {type(dtype).__name__} for the type of an array")
    numbers = _to_bytes(content)
    size = math.prod(shape) * dtype.dtype.itemsize
    if size != len(numbers):
        raise ValueError(f"an array of {size} bytes, of which the file has {len(numbers)}")
    return np.ndarray(shape, dtype.dtype, numbers, order=order)


def _make_scalar(dtype: Any, content: Any) -> np.ndarray:
    return _make_array(content, dtype, ())


def _to_bytes(content: Any = b"", encoding: str = "latin1") -> bytes | bytearray:
    """Bytes, or text of which each letter is one byte."""
    if encoding not in ("latin1", "latin-1"):
        raise ForbiddenNameError("an encoding other than latin1")
    if isinstance(content, str):
        return content.encode("latin-1")
    if not isinstance(content, bytes | bytearray):
        raise ValueError(f"a {type(content).__name__} where bytes belong")
    return content


def _to_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} where text belongs")
    return value


def _make_dict(*pairs: Any) -> _Dict:
    return _Dict(*pairs)


def _make_defaultdict(_factory: Any = None, *pairs: Any) -> _Dict:
    return _Dict(*pairs)


def _named_arrays(vectors: Any, part: str) -> dict[str, np.ndarray]:
    """The arrays of a dictionary by their names; other values must be lists of numbers."""
    is_dictionary = isinstance(vectors, dict) and all(isinstance(key, str) for key in vectors)
    if not is_dictionary or not vectors:
        kind = kind_name(vectors)
        if is_dictionary:
            kind = "an empty dict"
        where = f"{part}: " if part else ""
        raise UnexpectedContentError(
            f"{where}found {kind}, expected a dictionary of utterances; is --kind right?"
        )
    arrays = {}
    for key, value in vectors.items():
        array = to_array(value)
        if array is None:
            raise UnexpectedContentError(
                f"'{key}': found {kind_name(value)}, expected a vector of numbers"
            )
        arrays[key] = array
    return arrays


def kind_name(value: Any) -> str:
    """The type of an unpickled value, for messages; of a stand-in, the type that it replaces."""
    if value is None:
        return "nothing"
    return getattr(value, "kind", type(value).__name__.lstrip("_"))


def to_array(value: Any) -> np.ndarray | None:
    """An unpickled array, number or list of numbers as an array; None for anything else."""
    if isinstance(value, Array):
        return value.array
    if isinstance(value, list | tuple):
        value = [item.array if isinstance(item, Array) else item for item in value]
    elif not isinstance(value, np.ndarray | int | float):
        return None
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else None


def _allow(function: Callable | None, modules: Iterable[str], *names: str) -> dict:
    """(module, name) -> `Allowed` with the same function, for names of several modules."""
    return {
        (module, name): Allowed(f"{module}.{name}", function)
        for module in modules
        for name in names
    }


BUILTINS = ("builtins", "__builtin__")  # of Python 3, and of Python 2
PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
SCALAR_TYPES = ("bool_", "float16", "float32", "float64", "int8", "int16", "int32", "int64")
NAMES: Names = {
    **_allow(_Dtype, ["numpy"], "dtype"),
    **_allow(None, ["numpy"], "ndarray", *SCALAR_TYPES),
    **_allow(Array, ["numpy.core.multiarray", "numpy._core.multiarray"], "_reconstruct"),
    **_allow(_make_scalar, ["numpy.core.multiarray", "numpy._core.multiarray"], "scalar"),
    **_allow(_make_array, ["numpy.core.numeric", "numpy._core.numeric"], "_frombuffer"),
    **_allow(_to_bytes, ["_codecs"], "encode"),
    **_allow(_to_bytes, BUILTINS, "bytes", "bytearray"),
    **_allow(complex, BUILTINS, "complex"),
    **_allow(set, BUILTINS, "set", "frozenset"),
    **_allow(None, BUILTINS, "bool", "dict", "float", "int", "list", "long", "str", "tuple"),
    **_allow(_make_dict, ["collections"], "OrderedDict", "Counter"),
    **_allow(_make_defaultdict, ["collections"], "defaultdict"),
    **_allow(Skipped, ["pathlib"], *PATHS),
    **_allow(Skipped, ["datetime"], "date", "datetime", "timedelta"),
    ("argparse", "Namespace"): Skipped,
    ("types", "SimpleNamespace"): Skipped,
}
