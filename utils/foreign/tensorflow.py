"""TensorFlow's checkpoints, read without TensorFlow, as tf.train.Saver writes them since 0.12.

``<prefix>.index`` is a sorted table of names, ``<prefix>.data-00000-of-00001`` holds the numbers,
little-endian.  The table is LevelDB's: blocks of entries whose keys share prefixes, an index of the
blocks, and a footer; each value is a protocol buffer with type, shape, shard, offset, size and
checksum of a tensor.  `read_bundle` starts the sandbox (sandbox.py); the rest runs in it.

References
----------
https://github.com/tensorflow/tensorflow, tensorflow/core/protobuf/tensor_bundle.proto;
https://github.com/google/leveldb, doc/table_format.md.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.foreign.sandbox import Parts, read_in_sandbox

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 10: "?"}  # numbers of TensorFlow's DataType
CRC_POLYNOMIAL = 0x82F63B78  # Castagnoli's
INDEX, META, DATA = ".index", ".meta", ".data-00000-of-00001"


def bundle_files(path: Path) -> dict[str, Path]:
    """Index and data (one shard) of a checkpoint, from its prefix or any of its files."""
    name = str(path)
    for ending in (INDEX, META, DATA):
        name = name.removesuffix(ending)
    return {"index": Path(name + INDEX), "data": Path(name + DATA)}


def read_bundle(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a checkpoint by name; the path is as for `bundle_files`.

    UserError: a file is missing, damaged or of another format.
    """
    files = bundle_files(path)
    for file in files.values():
        if not file.exists():
            raise UserError(
                f"{file}: no such file; a TensorFlow checkpoint is {files['index'].name} and "
                f"{files['data'].name} (a checkpoint of one file, the older format, must be saved "
                "again)"
            )
    expected = "not a whole TensorFlow checkpoint"
    return read_in_sandbox(bundle_arrays, [*files.values()], expected)[""]


def bundle_arrays(index: Path, data: Path, _parts: list[str]) -> Parts:
    """Runs in the sandbox: the tensors of `read_bundle`."""
    numbers = data.read_bytes()
    arrays: dict[str, np.ndarray] = {}
    for key, value in _table(index.read_bytes()):
        if not key:  # the header of the checkpoint
            continue
        if key in arrays:
            raise ValueError(f"{key} occurs twice")
        arrays[key] = _tensor(key, _fields(value), numbers)
    return {"": arrays}


def _tensor(key: str, entry: dict[int, list], data: bytes) -> np.ndarray:
    """The array that a BundleEntryProto describes."""
    kind, (offset,), (size,) = entry.get(1, [0])[0], entry.get(4, [0]), entry.get(5, [0])
    if kind not in TYPES:
        raise ValueError(f"{key} is of TensorFlow's type {kind}, expected numbers of 32 or 64 bits")
    lengths = []
    for shape in entry.get(2, []):
        dimensions = _fields(shape).get(2, [])
        lengths += [_fields(dimension).get(1, [0])[0] for dimension in dimensions]
    content = data[offset : offset + size]
    if entry.get(3, [0]) != [0] or 7 in entry:
        raise ValueError(f"{key} is divided among files")
    if len(content) != size or size != math.prod(lengths) * np.dtype(TYPES[kind]).itemsize:
        raise ValueError(f"{key} of shape {tuple(lengths)} has {len(content)} bytes")
    if masked_crc32c(content) != entry[6][0]:
        raise ValueError(f"the checksum of {key} is wrong")
    return np.frombuffer(content, TYPES[kind]).reshape(lengths)


def _table(index: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and values of a table, in order."""
    footer = index[-FOOTER_BYTES:]
    if len(footer) != FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("the index does not end with the footer of a table")
    position = 0
    for _ in ("offset of the meta index", "its size"):
        _, position = _varint(footer, position)
    for _, handle in _block(index, footer[position:]):
        for key, value in _block(index, handle):
            yield key.decode(), value


def _block(index: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the block that a handle, offset and size, points at."""
    offset, position = _varint(handle, 0)
    size, _ = _varint(handle, position)
    kind, checksum = struct.unpack_from("<BI", index, offset + size)
    if kind != 0:
        raise ValueError("a block is compressed")
    if masked_crc32c(index[offset : offset + size + 1]) != checksum:
        raise ValueError("the checksum of a block is wrong")
    block = index[offset : offset + size]
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared + length
        yield key, block[position - length : position]


def _fields(message: bytes) -> dict[int, list]:
    """Values of a protocol buffer by field number: integers, or bytes where they have a length."""
    fields: dict[int, list] = {}
    value: int | bytes
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
        elif wire_type == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        elif wire_type == 5:
            (value,), position = struct.unpack_from("<I", message, position), position + 4
        else:
            raise ValueError(f"a field of wire type {wire_type}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, least significant first, and the position after it."""
    value, shift = 0, 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ CRC_POLYNOMIAL * (byte & 1)
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C as TensorFlow and LevelDB store it: rotated by 15 bits, plus a constant.

    A megabyte takes 0.1 s.
    """
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
