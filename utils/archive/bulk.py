"""Many objects at once, at C speed: vectors of an scp file, headers of matrices of an archive.

Binary archives are mapped, and vectors are copied out of them; anything else is read one by one.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.archive.compressed import CODES
from utils.archive.iterate import iterate_entries
from utils.archive.objects import DTYPES, Buffer
from utils.archive.read import describe, map_file, read_scp, split_entry
from utils.errors import UserError

VECTOR_HEADER_BYTES = 10
BATCH = 1024  # vectors copied at a time: no second copy of all of them in memory
_VECTOR_HEADER = re.compile(rb"\x00B([FD])V \x04(....)", re.DOTALL)

# Kinds of matrices; the plain ones come before the first of the compressed ones.
TOKENS = (b"FM", b"DM", b"CM", b"CM2", b"CM3")
ITEMS = tuple(CODES[token] if token in CODES else DTYPES[token[:1]] for token in TOKENS)
CM = TOKENS.index(b"CM")
UNKNOWN, CUT = len(TOKENS), len(TOKENS) + 1
# where the values begin, counted from the first byte of the object
BODY = tuple(2 + len(token) + 1 + (16 if token in CODES else 10) for token in TOKENS)
HEAD_BYTES = max(BODY)


def read_vectors(scp: str | Path, *, allow_renamed: bool = False) -> tuple[list[str], np.ndarray]:
    """Read all vectors that an scp file lists into one array.

    Parameters
    ----------
    scp : path
        Its entries are vectors of one length and one type.
    allow_renamed : bool
        As in ``iterate_scp``.

    Returns
    -------
    keys, vectors : list of N str, (N, D) float32 or float64 array
        In the scp's order, values as stored, NaN and Inf included.

    Raises
    ------
    UserError
        No entries, an entry that ``iterate_scp`` refuses, no float vector, another length or another type than the first.
    """
    entries = read_scp(scp)
    if not entries:
        raise UserError(
            f"{scp}: no entries, expected vectors; is the step that writes it finished?"
        )
    return list(entries), _vectors(entries, allow_renamed)


def vector_blocks(
    entries: Mapping[str, str], keys: Sequence[str], at_a_time: int
) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """Vectors of an scp file, so many at a time, for lists whose vectors do not fit into memory.

    Parameters
    ----------
    entries : mapping of str to str
        From `utils.archive.read_scp`.
    keys : sequence of N str
        Which of them, in this order.
    at_a_time : int
        Vectors of a block.

    Yields
    ------
    keys, vectors : sequence of B str, (B, D) float32 or float64 array

    Raises
    ------
    UserError
        As `read_vectors`, of those of one block.
    """
    for start in range(0, len(keys), at_a_time):
        some = keys[start : start + at_a_time]
        yield some, _vectors({key: entries[key] for key in some}, False)


def _vectors(entries: Mapping[str, str], allow_renamed: bool) -> np.ndarray:
    vectors = _gather(entries, allow_renamed)
    if vectors is None:  # text, files of one vector, or a fault: one by one, which names it
        return _stack(entries, iterate_entries(entries, allow_renamed=allow_renamed))
    return vectors


@dataclass
class _Places:
    """Where vectors lie in one file, what stands before them, and where they go."""

    positions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)


def _gather(entries: Mapping[str, str], allow_renamed: bool) -> np.ndarray | None:
    """Vectors of binary archives with one and the same header, copied out of the mapped files; None where an entry is anything else."""
    files = _places_by_file(entries, allow_renamed)
    if files is None:
        return None
    keys = list(entries)
    header = b""
    buffers: dict[str, Buffer] = {}
    for path, places in files.items():
        buffer = map_file(path, keys[places.positions[0]])
        first = places.offsets[0]
        header = header or buffer[first : first + VECTOR_HEADER_BYTES]
        match = _VECTOR_HEADER.fullmatch(header)
        if match is None:
            return None
        dtype, dimension = DTYPES[match[1]], struct.unpack("<i", match[2])[0]
        row_bytes = dimension * dtype.itemsize
        last_end = max(places.offsets) + VECTOR_HEADER_BYTES + row_bytes
        if dimension <= 0 or last_end > len(buffer) or not _all_begin(buffer, places, header):
            return None
        buffers[path] = buffer
    vectors = np.empty((len(entries), dimension), dtype)
    for path, places in files.items():
        _copy_rows(buffers[path], places, vectors)
    return vectors


def _places_by_file(entries: Mapping[str, str], allow_renamed: bool) -> dict[str, _Places] | None:
    """Where the entries lie, file by file; None where one of them is a file by itself, or a part of a vector."""
    files: dict[str, _Places] = {}
    for position, (key, entry) in enumerate(entries.items()):
        if entry[-1:] == "]":
            return None
        path, offset = split_entry(entry, key)
        if offset is None:
            return None
        places = files.setdefault(path, _Places())
        places.positions.append(position)
        places.offsets.append(offset)
        places.prefixes.append(b"" if allow_renamed else key.encode() + b" ")
    return files


def _all_begin(buffer: Buffer, places: _Places, header: bytes) -> bool:
    """Whether this header, and the key before it, stand at all these places."""
    return all(
        buffer[offset - len(prefix) : offset + VECTOR_HEADER_BYTES] == prefix + header
        for offset, prefix in zip(places.offsets, places.prefixes, strict=True)
    )


def _copy_rows(buffer: Buffer, places: _Places, vectors: np.ndarray) -> None:
    """Copy the vectors of one file to their places, in batches."""
    dimension = vectors.shape[1]
    row_bytes = dimension * vectors.dtype.itemsize
    # a row may begin at every byte of the file: overlapping items, of which only the wanted ones are copied
    rows = np.ndarray(len(buffer) - row_bytes + 1, f"V{row_bytes}", buffer, strides=1)
    for begin in range(0, len(places.offsets), BATCH):
        offsets = np.array(places.offsets[begin : begin + BATCH])
        batch = rows[offsets + VECTOR_HEADER_BYTES].view(vectors.dtype)
        vectors[places.positions[begin : begin + BATCH]] = batch.reshape(-1, dimension)


def _stack(entries: Mapping[str, str], items: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    arrays: list[np.ndarray] = []
    for key, array in items:
        first = arrays[0] if arrays else array
        if (
            array.ndim != 1
            or array.dtype.kind != "f"
            or len(array) != len(first)
            or array.dtype != first.dtype
        ):
            expected = f"{describe(first)} like the first" if arrays else "a float vector"
            raise UserError(
                f"{entries[key]}: key '{key}': found {describe(array)}, expected {expected}"
            )
        arrays.append(array)
    return np.stack(arrays)


@dataclass
class MatrixHeaders:
    """What the headers of N matrices say.

    Attributes
    ----------
    kind : (N,) uint8 array
        Place in TOKENS; UNKNOWN: something else stands there; CUT: the file ends before a header.
    rows, columns, ends : (N,) int64 arrays
        Sizes, and the positions behind the matrices; 0 where the kind is UNKNOWN or CUT.
    """

    kind: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    ends: np.ndarray


def read_matrix_headers(buffer: Buffer, offsets: np.ndarray) -> MatrixHeaders:
    """Read the headers of matrices by a few operations on all of them.

    Parameters
    ----------
    buffer : bytes or mmap
        Whole content of an archive.
    offsets : (N,) int64 array
        Where the matrices begin: behind the key and one blank.
    """
    inside = offsets + HEAD_BYTES <= len(buffer)
    heads = np.zeros((len(offsets), HEAD_BYTES), np.uint8)
    if inside.any():
        # a header may begin at every byte of the file: overlapping items, of which only the wanted ones are copied
        windows = np.ndarray(len(buffer) - HEAD_BYTES + 1, f"V{HEAD_BYTES}", buffer, strides=1)
        heads[inside] = windows[offsets[inside]].view(np.uint8).reshape(-1, HEAD_BYTES)
    found = MatrixHeaders(
        np.where(inside, UNKNOWN, CUT).astype(np.uint8),
        *(np.zeros(len(offsets), np.int64) for _ in range(3)),
    )
    for kind, (token, item, body) in enumerate(zip(TOKENS, ITEMS, BODY, strict=True)):
        start = np.frombuffer(b"\0B" + token + b" ", np.uint8)
        here = (heads[:, : len(start)] == start).all(axis=1)
        # a plain matrix has \4 before each size
        rows = _int32(heads[here], body - (9 if kind < CM else 8))
        columns = _int32(heads[here], body - 4)
        found.kind[here], found.rows[here], found.columns[here] = kind, rows, columns
        quartile_bytes = 8 * columns if kind == CM else 0
        value_bytes = rows * columns * item.itemsize
        found.ends[here] = offsets[here] + body + value_bytes + quartile_bytes
    return found


def _int32(heads: np.ndarray, at: int) -> np.ndarray:
    """The whole numbers that stand at one place of each header."""
    return np.ascontiguousarray(heads[:, at : at + 4]).view("<i4")[:, 0].astype(np.int64)
