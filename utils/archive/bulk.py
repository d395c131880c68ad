"""All vectors of an scp file as one array: binary archives are mapped and copied from at C speed, anything else is read one by one."""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.archive.compressed import CODES
from utils.archive.iterate import iterate_entries
from utils.archive.objects import DTYPES, Buffer
from utils.archive.read import describe, map_file, read_scp, split_entry
from utils.errors import UserError

TOKENS = (b"FM", b"DM", b"CM", b"CM2", b"CM3")
ITEMS = tuple(CODES[token] if token in CODES else DTYPES[token[:1]] for token in TOKENS)
CM = TOKENS.index(b"CM")  # plain kinds come before it
UNKNOWN, CUT = len(TOKENS), len(TOKENS) + 1
# where the values begin, counted from the first byte of the object
BODY = tuple(2 + len(token) + 1 + (16 if token in CODES else 10) for token in TOKENS)
HEAD_BYTES = max(BODY)


BATCH = 1024  # vectors copied at a time: no second copy of all of them in memory
_VECTOR_HEADER = re.compile(rb"\x00B([FD])V \x04(....)", re.DOTALL)


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


def _gather(entries: Mapping[str, str], allow_renamed: bool) -> np.ndarray | None:
    """Vectors of binary archives with one and the same header, copied out of the mapped files; None where an entry is anything else."""
    files = {}
    for position, (key, entry) in enumerate(entries.items()):
        path, offset = split_entry(entry, key)
        if offset is None:
            return None
        positions, offsets, prefixes = files.setdefault(path, ([], [], []))
        positions.append(position)
        offsets.append(offset)
        prefixes.append(b"" if allow_renamed else key.encode() + b" ")
    header = b""
    for path, (positions, offsets, prefixes) in files.items():
        buffer = map_file(path, list(entries)[positions[0]])
        files[path] = (buffer, positions, offsets)
        header = header or buffer[offsets[0] : offsets[0] + 10]
        match = _VECTOR_HEADER.fullmatch(header)
        dimension = struct.unpack("<i", match[2])[0] if match else 0
        row_bytes = dimension * DTYPES[match[1]].itemsize if match else 0
        if dimension <= 0 or max(offsets) + 10 + row_bytes > len(buffer):
            return None
        if any(
            buffer[offset - len(prefix) : offset + 10] != prefix + header
            for offset, prefix in zip(offsets, prefixes, strict=True)
        ):
            return None
    vectors = np.empty((len(entries), dimension), DTYPES[match[1]])
    for buffer, positions, offsets in files.values():
        # a row may begin at every byte of the file: overlapping items, of which only the wanted ones are copied
        rows = np.ndarray(len(buffer) - row_bytes + 1, f"V{row_bytes}", buffer, strides=1)
        for begin in range(0, len(offsets), BATCH):
            batch = rows[np.array(offsets[begin : begin + BATCH]) + 10]
            vectors[positions[begin : begin + BATCH]] = batch.view(vectors.dtype).reshape(
                -1, dimension
            )
    return vectors


def _stack(entries: Mapping[str, str], items: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    arrays = []
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
    if inside.any():  # a header may begin at every byte of the file: overlapping items, of which only the wanted ones are copied
        windows = np.ndarray(len(buffer) - HEAD_BYTES + 1, f"V{HEAD_BYTES}", buffer, strides=1)
        heads[inside] = windows[offsets[inside]].view(np.uint8).reshape(-1, HEAD_BYTES)
    found = MatrixHeaders(
        np.where(inside, UNKNOWN, CUT).astype(np.uint8),
        *(np.zeros(len(offsets), np.int64) for _ in range(3)),
    )
    for kind, (token, item, body) in enumerate(zip(TOKENS, ITEMS, BODY, strict=True)):
        start = np.frombuffer(b"\0B" + token + b" ", np.uint8)
        here = (heads[:, : len(start)] == start).all(axis=1)
        rows, columns = (
            _int32(heads[here], at) for at in (body - (9 if kind < CM else 8), body - 4)
        )  # a plain matrix has \4 before each size
        found.kind[here], found.rows[here], found.columns[here] = kind, rows, columns
        found.ends[here] = (
            offsets[here]
            + body
            + rows * columns * item.itemsize
            + (8 * columns if kind == CM else 0)
        )
    return found


def _int32(heads, at):
    return np.ascontiguousarray(heads[:, at : at + 4]).view("<i4")[:, 0].astype(np.int64)
