"""Pickles as programs outside write them: by this Python, by Python 2 (assembled opcode by opcode), and by an attacker."""

import os
import pickle
import struct
from collections import OrderedDict
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
    """An array as Python 2 and its NumPy wrote it: byte strings where Python 3 has text and bytes."""

    def string(value):
        if protocol == 0:
            return (
                b"S'"
                + "".join(
                    chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}"
                    for byte in value
                ).encode()
                + b"'\n"
            )
        return (
            b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))
        ) + value

    def number(value):
        return b"I%d\n" % value if protocol == 0 else b"J" + struct.pack("<i", value)

    shape = b"(" + b"".join(map(number, array.shape)) + b"t"
    dtype = (
        b"cnumpy\ndtype\n(" + string(array.dtype.str[1:].encode()) + number(0) + number(1) + b"tR"
    )
    dtype += b"(" + number(3) + string(b"<") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    created = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
        + number(0)
        + b"t"
        + string(b"b")
        + b"tR"
    )
    return created + b"(" + number(1) + shape + dtype + b"I00\n" + string(array.tobytes()) + b"tb"


def python2_dict(arrays: dict[str, np.ndarray], protocol: int) -> bytes:
    """A dictionary of arrays, as Python 2 pickled it."""
    start = b"(d" if protocol == 0 else b"\x80\x02}"
    keys = (
        b"S'%s'\n" % key.encode() if protocol == 0 else b"U" + bytes([len(key)]) + key.encode()
        for key in arrays
    )
    return (
        start
        + b"".join(
            key + python2_array(array, protocol) + b"s"
            for key, array in zip(keys, arrays.values(), strict=True)
        )
        + b"."
    )


def hostile(touched: Path) -> dict[str, bytes]:
    """What a refusal must name -> a pickle that asks for it; those that call something would make the file ``touched``."""
    command, expression = f"touch {touched}", f"open({str(touched)!r}, 'w')"
    asked = {
        "posix.system": Calling(os.system, command),
        "__builtin__.eval": {"a": [Calling(eval, expression)]},
        "__builtin__.exec": Calling(exec, expression),
        "__builtin__.getattr": Calling(getattr, 1, "real"),
        "__builtin__.__import__": Calling(__import__, "os"),
        "array of type 'O8'": np.array([Calling(os.system, command)], dtype=object),
        "numpy.matrix": np.array([[1.0]]).view(np.matrix),
        "pathlib": touched,
        "array of type 'V8'": np.array([("a", 1)], dtype=[("name", "S4"), ("age", "i4")]),
        "array of type 'M8'": np.array(["2020-01-01"], dtype="M8[D]"),
        "collections.OrderedDict": OrderedDict(a=1),
        "tuple as the key": {(1, 2): 3},
        "numpy.random": np.random.default_rng(1),
    }
    written = {name: pickle.dumps(value, 2) for name, value in asked.items()}
    array = python2_array(np.zeros(2, np.float32), 2)
    return written | {
        "posix.system (protocol 0)": b"cposix\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "posix.system (INST)": b"(S'" + command.encode() + b"'\niposix\nsystem\n.",
        "posix.system (OBJ)": b"(cposix\nsystem\nS'" + command.encode() + b"'\no.",
        "numpy.core.multiarray.fromfile (NumPy's own)": b"cnumpy.core.multiarray\nfromfile\n(S'/etc/passwd'\ntR.",
        "numpy.load (which unpickles)": b"cnumpy\nload\n(S'x'\ntR.",
        "numpy.core.multiarray._reconstruct (as a value)": b"\x80\x02]cnumpy.core.multiarray\n_reconstruct\na.",
        "opcode NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
        "opcode PERSID": b"Pfile\n.",
        "opcode EXT1": b"\x82\x01.",
        "opcode NEXT_BUFFER": b"\x80\x05\x97.",
        "a call of numpy.ndarray": b"cnumpy\nndarray\n(I1000000000000\ntR.",
        "a state for a dict": b"}(I1\ntb.",
        "an array of objects": array.replace(b"U" + bytes([8]) + bytes(8), b"]") + b".",
        "copies that are together larger": b"\x80\x02](c_codecs\nencode\nq\x00X"
        + struct.pack("<I", 9999)
        + bytes(9999)
        + b"U\x06latin1\x86q\x01R"
        + b"h\x00h\x01R" * 99
        + b"e.",
    }


def load_with_python(content: bytes) -> None:
    """What happens to a pickle where nobody looks at it first."""
    pickle.loads(content)
