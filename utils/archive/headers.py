"""Headers of many matrices of one archive at once: kinds and sizes without their values, and where the values are."""

from dataclasses import dataclass

import numpy as np

from utils.archive.compressed import CODES
from utils.archive.objects import DTYPES, Buffer

TOKENS = (b"FM", b"DM", b"CM", b"CM2", b"CM3")
ITEMS = tuple(CODES[token] if token in CODES else DTYPES[token[:1]] for token in TOKENS)
CM = TOKENS.index(b"CM")  # plain kinds come before it
UNKNOWN, CUT = len(TOKENS), len(TOKENS) + 1
# where the values begin, counted from the first byte of the object
BODY = tuple(2 + len(token) + 1 + (16 if token in CODES else 10) for token in TOKENS)
HEAD_BYTES = max(BODY)


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
    found = MatrixHeaders(np.where(inside, UNKNOWN, CUT).astype(np.uint8), *(np.zeros(len(offsets), np.int64) for _ in range(3)))
    for kind, (token, item, body) in enumerate(zip(TOKENS, ITEMS, BODY, strict=True)):
        start = np.frombuffer(b"\0B" + token + b" ", np.uint8)
        here = (heads[:, :len(start)] == start).all(axis=1)
        rows, columns = (_int32(heads[here], at) for at in (body - (9 if kind < CM else 8), body - 4))  # a plain matrix has \4 before each size
        found.kind[here], found.rows[here], found.columns[here] = kind, rows, columns
        found.ends[here] = offsets[here] + body + rows * columns * item.itemsize + (8 * columns if kind == CM else 0)
    return found


def _int32(heads, at):
    return np.ascontiguousarray(heads[:, at:at + 4]).view("<i4")[:, 0].astype(np.int64)
