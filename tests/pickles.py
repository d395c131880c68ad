"""Pickles as other programs write them: this Python, Python 2 (opcode by opcode), an attacker."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np


def dump(path: Path, value, protocol: int = 4) -> Path:
    """Write what an honest program would."""
    path.write_bytes(pickle.dumps(value, protocol))
    return path


class Calling:
    """An object whose pickle calls a function when Python's own unpickler reads it."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def python2_array(array: np.ndarray, protocol: int) -> bytes:
    """An array as Python 2 wrote it: byte strings where Python 3 has text or bytes."""

    def string(value):
        if protocol == 0:
            return b"S'" + b"".join(map(escaped, value)) + b"'\n"
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def escaped(byte):
        if 32 <= byte < 127 and byte not in b"\\'":
            return bytes([byte])
        return b"\\x%02x" % byte

    def number(value):
        return b"I%d\n" % value if protocol == 0 else b"J" + struct.pack("<i", value)

    shape = b"(" + b"".join(map(number, array.shape)) + b"t"
    dtype = b"cnumpy\ndtype\n("
    dtype += string(array.dtype.str[1:].encode()) + number(0) + number(1) + b"tR"
    dtype += b"(" + number(3) + string(b"<") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    created = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
    created += number(0) + b"t" + string(b"b") + b"tR"
    return created + b"(" + number(1) + shape + dtype + b"I00\n" + string(array.tobytes()) + b"tb"


def python2_dict(arrays: dict[str, np.ndarray], protocol: int) -> bytes:
    """A dictionary of arrays, as Python 2 pickled it."""
    content = b"(d" if protocol == 0 else b"\x80\x02}"
    for key, array in arrays.items():
        name = b"S'%s'\n" % key.encode()
        if protocol:
            name = b"U" + bytes([len(key)]) + key.encode()
        content += name + python2_array(array, protocol) + b"s"
    return content + b"."


def hostile(touched: Path) -> dict[str, bytes]:
    """Part of the refusal -> a pickle; what they call would make the file ``touched``."""
    command, expression = f"touch {touched}", f"open({str(touched)!r}, 'w')"
    asked = {
        "asks for posix.system": Calling(os.system, command),
        "asks for __builtin__.eval": {"a": [Calling(eval, expression)]},
        "asks for __builtin__.exec": Calling(exec, expression),
        "asks for __builtin__.getattr": Calling(getattr, 1, "real"),
        "asks for __builtin__.__import__": Calling(__import__, "os"),
        "an array of type 'O8'": np.array([Calling(os.system, command)], dtype=object),
        "an array of type 'V8'": np.array([("a", 1)], dtype=[("name", "S4"), ("age", "i4")]),
        "an array of type 'M8'": np.array(["2020-01-01"], dtype="M8[D]"),
        "asks for numpy.matrix": np.array([[1.0]]).view(np.matrix),
        "asks for numpy.random": np.random.default_rng(1),
    }
    written = {message: pickle.dumps(value, 2) for message, value in asked.items()}
    array = python2_array(np.zeros(2, np.float32), 2)
    escaped = command.encode()
    nested = b"]q\0" + b"]" + b"h\0" * 10
    return written | {
        "asks for posix.system (protocol 0)": b"cposix\nsystem\n(S'" + escaped + b"'\ntR.",
        "asks for posix.system (INST)": b"(S'" + escaped + b"'\niposix\nsystem\n.",
        "asks for posix.system (OBJ)": b"(cposix\nsystem\nS'" + escaped + b"'\no.",
        "asks for os.path.os.system": b"\x80\x04\x8c\x02os\x8c\x0epath.os.system\x93.",
        "asks for numpy.f2py.os.system": b"\x80\x04\x8c\x05numpy\x8c\x0ef2py.os.system\x93.",
        "asks for numpy.core.multiarray.fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        "asks for numpy.load": b"cnumpy\nload\n(S'x'\ntR.",
        "asks for numpy.?? 31mred": b"cnumpy\n\x1b[ 31mred\n.",
        "found list": b"\x80\x02]cnumpy.core.multiarray\n_reconstruct\na.",
        "found numpy.core.multiarray._reconstruct": (
            b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ns."
        ),
        "must be a type": b"\x80\x04cnumpy\nndarray\n)}\x92.",
        "asks for a persistent id": b"Pfile\n.",
        "unregistered extension code": b"\x82\x01.",
        "no *buffers* argument": b"\x80\x05\x97.",
        "asks for a call of numpy.ndarray": b"cnumpy\nndarray\n(I1000000000000\ntR.",
        "asks for a call of builtins.list": b"cbuiltins\nlist\n(J\xff\xff\xff\x7ftR.",
        "state is not a dictionary": b"}(I1\ntb.",
        "a state for numpy.dtype": b"cnumpy\ndtype\n}U\x08functionU\x01xsb.",
        "an array of objects": array.replace(b"U" + bytes([8]) + bytes(8), b"]") + b".",
        "an array of another class": (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntU\x01btR."
        ),
        "found list (billion laughs)": b"\x80\x02" + nested * 40 + b".",
    }


def load_with_python(content: bytes) -> None:
    """What happens to a pickle where nobody looks at it first."""
    pickle.loads(content)
