"""TensorFlow's checkpoints, read without TensorFlow: ``<prefix>.index``, a sorted table of names, and ``<prefix>.data-00000-of-00001``, the numbers.

The table is LevelDB's: blocks of entries whose keys share prefixes, an index of the blocks, and a footer; each value is a protocol buffer that says
type, shape, shard, offset, size and checksum of a tensor.  Numbers are little-endian.  This is what tf.train.Saver has written since TensorFlow 0.12.

References
----------
https://github.com/tensorflow/tensorflow, tensorflow/core/protobuf/tensor_bundle.proto; https://github.com/google/leveldb, doc/table_format.md.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.errors import UserError

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 10: "?"}  # numbers of TensorFlow's DataType
CRC_POLYNOMIAL = 0x82F63B78  # Castagnoli's


def bundle_files(path: Path) -> dict[str, Path]:
    """The files of a checkpoint.

    Parameters
    ----------
    path : path
        The prefix (``model.ckpt-5``), or any of the files.

    Returns
    -------
    dict of str to path
        ``index``, and ``data``: the only shard.
    """
    name = str(path)
    for ending in (".index", ".meta", ".data-00000-of-00001"):
        name = name.removesuffix(ending)
    return {"index": Path(name + ".index"), "data": Path(name + ".data-00000-of-00001")}


def read_bundle(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a checkpoint by name.

    Parameters
    ----------
    path : path
        As for `bundle_files`.

    Raises
    ------
    UserError
        A file is missing, damaged or of another format.
    """
    files = bundle_files(path)
    try:
        index, data = (file.read_bytes() for file in files.values())
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: no such file; a TensorFlow checkpoint is {files['index'].name} and {files['data'].name} (the format "
            "of one file, older, has to be saved again)"
        ) from None
    try:
        return {key: _tensor(key, _fields(value), data) for key, value in _table(index) if key}
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise UserError(
            f"{files['index']}: not a whole TensorFlow checkpoint ({' '.join(str(error).split())[:160]})"
        ) from None


def _tensor(key: str, entry: dict[int, list], data: bytes) -> np.ndarray:
    """The array that a BundleEntryProto describes."""
    kind, (offset,), (size,) = entry.get(1, [0])[0], entry.get(4, [0]), entry.get(5, [0])
    if kind not in TYPES:
        raise ValueError(
            f"{key} is of TensorFlow's type {kind}; numbers of 32 and 64 bits are read"
        )
    shape = tuple(
        _fields(dim).get(1, [0])[0]
        for shape in entry.get(2, [])
        for dim in _fields(shape).get(2, [])
    )
    content = data[offset : offset + size]
    if entry.get(3, [0]) != [0] or 7 in entry:
        raise ValueError(f"{key} is divided among files")
    if len(content) != size or size != math.prod(shape) * np.dtype(TYPES[kind]).itemsize:
        raise ValueError(f"{key} of shape {shape} has {len(content)} bytes")
    if masked_crc32c(content) != entry[6][0]:
        raise ValueError(f"the checksum of {key} is wrong")
    return np.frombuffer(content, TYPES[kind]).reshape(shape)


def _table(index: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and values of a table, in order."""
    footer = index[-FOOTER_BYTES:]
    if len(footer) != FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("its last bytes are not those of an index")
    place = 0
    _, place = _varint(footer, place)
    _, place = _varint(footer, place)
    for _, handle in _block(index, footer[place:]):
        for key, value in _block(index, handle):
            yield key.decode(), value


def _block(index: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the block that a handle, offset and size, points at."""
    offset, place = _varint(handle, 0)
    size, _ = _varint(handle, place)
    kind, checksum = struct.unpack_from("<BI", index, offset + size)
    if kind != 0:
        raise ValueError("a block is compressed")
    if masked_crc32c(index[offset : offset + size + 1]) != checksum:
        raise ValueError("the checksum of a block is wrong")
    block = index[offset : offset + size]
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        unshared, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + unshared]
        place += unshared + length
        yield key, block[place - length : place]


def _fields(message: bytes) -> dict[int, list]:
    """Number of each field of a protocol buffer -> its values: whole numbers, and bytes for what has a length."""
    found: dict[int, list] = {}
    value: int | bytes
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag & 7 == 0:
            value, place = _varint(message, place)
        elif tag & 7 == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif tag & 7 == 5:
            (value,), place = struct.unpack_from("<I", message, place), place + 4
        else:
            raise ValueError(f"a field of wire type {tag & 7}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, least first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
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
    """CRC-32C of bytes, as TensorFlow and LevelDB store it: turned by 15 bits, plus a constant.

    Parameters
    ----------
    data : bytes
        Any; a megabyte takes 0.1 s.
    """
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
