"""Pickles from outside, read without running anything of theirs: arrays of numbers, plain containers, text and numbers.

Python's own unpickler calls whatever a file names.  This one is a machine of its own over the same opcodes: the few names that arrays need stand for
methods of ours, every other name is refused, and no object is asked to set its own state.  What a file declares never decides how much memory is
taken: an array is a view of bytes that are in the file, and all copies together are no larger than the file.

First `unpickle`, which reads a file; then the machine, what it expects of values, and the tables of the names and opcodes that it knows.
"""

import codecs
import math
import mmap
import pickletools
import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from utils.errors import UserError

HIGHEST_PROTOCOL = 5
NUMERIC = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f[248]|c8|c16)")
LEAVES = {type(None), bool, int, float, complex, str, bytes, bytearray, np.ndarray}


class Refused(ValueError):
    """What a pickle may not ask for."""


def unpickle(path: Path) -> Any:
    """Read a pickle of protocols 0 to 5, also one written by Python 2, whose byte strings become text by latin-1.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    object
        None, numbers, text, bytes, and dicts, lists, tuples and sets of them; arrays and NumPy's numbers as read-only arrays.

    Raises
    ------
    UserError
        The file is missing, damaged, or asks for anything else: names what it asks for.
    """
    try:
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _Machine(content).run()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Refused as refusal:
        raise UserError(
            f"{path}: the pickle asks for {refusal}; only arrays of numbers, dicts, lists, tuples, sets, text and numbers are read "
            "(nothing of it was run)"
        ) from None
    except (ValueError, LookupError, TypeError, OverflowError, struct.error) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{path}: not a whole pickle of protocols 0 to {HIGHEST_PROTOCOL} ({reason})"
        ) from None


class _Global:
    """A name that the file mentions; all that can be done with it is a call of the method of `CALLS` that it stands for."""

    def __init__(self, name: str) -> None:
        if name not in CALLS and name != "numpy.ndarray":
            raise Refused(re.sub(r"[^\w.]", "?", name)[:80])
        self.name = name


class _Dtype:
    """The type of an array, whose byte order comes later, as a state."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype


class _Unfilled:
    """An array whose content comes later, as a state, and the numbers under which it is remembered until then."""

    def __init__(self) -> None:
        self.memo_keys: list[int] = []


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.copies_left = content, len(content)
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Execute the opcodes up to STOP and return what is then on the stack."""
        file = cast("IO[bytes]", self.content)  # readers call read and readline alone
        while (code := self.content.read(1)) != b".":
            if code not in OPCODES:
                raise ValueError(
                    f"byte {self.content.tell()} is no opcode" if code else "it ends without STOP"
                )
            name, reader = OPCODES[code]
            if name not in METHODS:
                raise Refused(f"opcode {name}")
            METHODS[name](self, reader(file) if reader else None)
        if len(self.stack) != 1 or self.marks:
            raise ValueError(f"{len(self.stack)} objects at its end, expected 1")
        if behind := len(self.content) - self.content.tell():
            raise ValueError(f"{behind} bytes after its end")
        _refuse_other_types(self.stack[0])
        return self.stack[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def open_mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def close_mark(self) -> list:
        """Everything since the newest mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def pop_or_close(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.close_mark()

    def last(self, count: int) -> tuple:
        items = tuple(self.stack.pop() for _ in range(count))
        return items[::-1]

    def remember(self, key: int) -> None:
        self.memo[key] = value = self.stack[-1]
        if isinstance(value, _Unfilled):
            value.memo_keys.append(key)

    def extend(self, items: Iterable) -> None:
        _expect(self.stack[-1], list).extend(items)

    def set_items(self, items: list) -> None:
        _expect(self.stack[-1], dict).update(zip(_hashable(items[::2]), items[1::2], strict=True))

    def call(self) -> None:
        """REDUCE: a method of this machine in place of the function that is named."""
        function, arguments = self.last(2)
        function = _expect(function, _Global)
        if function.name not in CALLS:
            raise Refused(f"a call of {function.name}")
        self.push(CALLS[function.name](self, *_expect(arguments, tuple)))

    def build(self) -> None:
        """BUILD: the byte order of a type, or the content of an array."""
        target, state = self.last(2)
        state = _expect(state, tuple)
        if isinstance(target, _Dtype):
            target.dtype = target.dtype.newbyteorder(_expect(_text_of(state[1]), str))
            self.push(target)
        elif isinstance(target, _Unfilled):
            _, shape, dtype, is_fortran, content = state
            if isinstance(content, list):
                raise Refused("an array of objects")
            array = self.array(content, dtype, shape, "F" if is_fortran else "C")
            self.memo |= dict.fromkeys(target.memo_keys, array)
            self.push(array)
        else:
            raise Refused(f"a state for a {type(target).__name__.lstrip('_')}")

    def make_dtype(self, name: str, *_) -> _Dtype:
        name = _expect(_text_of(name), str)
        if not NUMERIC.fullmatch(name):
            raise Refused(f"an array of type {name[:20]!r}")
        return _Dtype(np.dtype(name))

    def reconstruct(self, kind: _Global, *_) -> _Unfilled:
        if _expect(kind, _Global).name != "numpy.ndarray":
            raise Refused(f"an array of class {kind.name}")
        return _Unfilled()

    def array(
        self, content: bytes, dtype: _Dtype, shape: tuple = (), order: str = "C"
    ) -> np.ndarray:
        numbers, kind = self.bytes_of(content), _expect(dtype, _Dtype).dtype
        is_shape = all(type(size) is int and size >= 0 for size in _expect(shape, tuple))
        if not is_shape or math.prod(shape) * kind.itemsize != len(numbers):
            raise ValueError(f"an array of another size than its {len(numbers)} bytes")
        array = np.ndarray(shape, kind, numbers, order=_expect(order, str))
        array.flags.writeable = False
        return array

    def scalar(self, dtype: _Dtype, content: bytes) -> np.ndarray:
        return self.array(content, dtype)

    def bytes_of(self, content: bytes = b"", encoding: str = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise Refused("an encoding other than latin1")
        if isinstance(content, str):
            self.copies_left -= len(content)
            if self.copies_left < 0:
                raise Refused("copies that are together larger than the file")
            return content.encode("latin-1")
        return content if isinstance(content, bytearray) else _expect(content, bytes)

    def make_complex(self, real: float, imaginary: float) -> complex:
        return complex(_expect(real, float), _expect(imaginary, float))

    def make_set(self, items: list) -> set:
        return set(_hashable(_expect(items, list)))


def _expect(value: Any, kind: type) -> Any:
    """The value, which must be of a type."""
    if type(value) is not kind:
        raise ValueError(
            f"a {type(value).__name__.lstrip('_')} where a {kind.__name__.lstrip('_')} belongs"
        )
    return value


def _text_of(value: Any) -> Any:
    """Bytes as text; anything else unchanged."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _hashable(items: list) -> list:
    """The items, which must be text, bytes or whole numbers: a tuple's hash would be computed as deep as the file nests it."""
    for item in items:
        if type(item) not in (str, bytes, int, bool):
            raise Refused(f"a {type(item).__name__.lstrip('_')} as the key of a dict or in a set")
    return items


def _refuse_other_types(result: Any) -> None:
    """Look at everything that was read, once: a name or an array without content may have been left in a container."""
    seen, waiting = set(), [result]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in LEAVES:
            continue
        if kind not in (dict, list, tuple, set):
            raise Refused(
                f"a {value.name if kind is _Global else kind.__name__.lstrip('_')} as a value"
            )
        if id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if kind is dict else value


def _quoted(content: IO[bytes]) -> str:
    """The text of a STRING, which Python 2 wrote with its quotation marks and escapes; pickletools reads ASCII only."""
    text = content.readline().rstrip(b"\r\n")
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("a text without quotation marks")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")


def _reader_of(opcode: pickletools.OpcodeInfo) -> Callable[[IO[bytes]], Any] | None:
    """What reads the argument of an opcode; None where it has none."""
    if opcode.name == "STRING":
        return _quoted
    return opcode.arg.reader if opcode.arg else None


def _expect_protocol(protocol: int) -> None:
    """Refuse protocols that are not known yet."""
    if protocol > HIGHEST_PROTOCOL:
        raise ValueError(f"protocol {protocol}")


def _python2_and_3(method: Callable, *names: str) -> dict[str, Callable]:
    return {f"{module}.{name}": method for name in names for module in ("builtins", "__builtin__")}


def _old_and_new_numpy(method: Callable, name: str) -> dict[str, Callable]:
    return {f"numpy.{core}.{name}": method for core in ("core", "_core")}


CALLS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _Machine.make_dtype,
    "_codecs.encode": _Machine.bytes_of,
    **_old_and_new_numpy(_Machine.reconstruct, "multiarray._reconstruct"),
    **_old_and_new_numpy(_Machine.scalar, "multiarray.scalar"),
    **_old_and_new_numpy(_Machine.array, "numeric._frombuffer"),
    **_python2_and_3(_Machine.bytes_of, "bytes", "bytearray"),
    **_python2_and_3(_Machine.make_complex, "complex"),
    **_python2_and_3(_Machine.make_set, "set", "frozenset"),
}
OPCODES = {
    opcode.code.encode("latin-1"): (opcode.name, _reader_of(opcode))
    for opcode in pickletools.opcodes
}
VALUES = (
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
)
METHODS: dict[str, Callable[[_Machine, Any], Any]] = dict.fromkeys(VALUES, _Machine.push) | {
    "PROTO": lambda machine, protocol: _expect_protocol(protocol),
    "FRAME": lambda machine, size: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "MARK": lambda machine, _: machine.open_mark(),
    "POP": lambda machine, _: machine.pop_or_close(),
    "POP_MARK": lambda machine, _: machine.close_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "TUPLE1": lambda machine, _: machine.push(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.last(3)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.close_mark())),
    "LIST": lambda machine, _: machine.push(machine.close_mark()),
    "DICT": lambda machine, _: (
        items := machine.close_mark(),
        machine.push({}),
        machine.set_items(items),
    ),
    "FROZENSET": lambda machine, _: (
        items := machine.close_mark(),
        machine.push(machine.make_set(items)),
    ),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.close_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.close_mark()),
    "ADDITEMS": lambda machine, _: (
        items := _hashable(machine.close_mark()),
        _expect(machine.stack[-1], set).update(items),
    ),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.remember),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.push(machine.memo[key])
    ),
    **dict.fromkeys(
        ("GLOBAL", "INST"), lambda machine, name: machine.push(_Global(".".join(name.split(" "))))
    ),
    "STACK_GLOBAL": lambda machine, _: machine.push(
        _Global(".".join(_expect(part, str) for part in machine.last(2)))
    ),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
