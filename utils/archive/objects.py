"""Kaldi's objects as bytes: vectors, matrices, int32 vectors and 16-bit waves, binary and text.

Every size in a header is checked against the buffer before memory is allocated.  A defect raises
`MalformedObject`; the caller knows file, key and offset and adds them to the message.

kaldiio encodes float vectors and matrices and waves, and decodes float vectors and matrices.
The rest is our own, for reasons that tests/utils/archive/test_kaldiio.py checks (kaldiio 2.18.1):

- int32 vectors: it steps through the values in ``assert`` statements, which ``python -O`` removes,
  and it takes more than 50 times as long.
- text: it reads floats as float32, refuses ``[ 1 2.5 ]`` and ``[ nan ]``, and writes 12 digits.
- reading waves: it takes any 16-bit encoding for PCM, and accepts a truncated wave.
- compressed matrices: utils/archive/compressed.py.
"""

import mmap
import re
import struct
from io import BytesIO

import numpy as np

from utils.archive.compressed import CODES, decode_even, decode_quartiles

Buffer = bytes | mmap.mmap

# how Kaldi writes each element of a vector<int32> in a table
INT32_ITEM = np.dtype([("size", "u1"), ("value", "<i4")])
DTYPES: dict[bytes, np.dtype] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
FLOAT_TOKENS = (b"FV", b"DV", b"FM", b"DM")
MAX_WAVE_BYTES = 2**32 - 1 - 36  # RIFF sizes have 32 bits

_BLANKS = re.compile(rb"[ \t]*")
_LINE_END = re.compile(rb"[ \t\r]*(\n|\Z)")


class MalformedObject(ValueError):
    """There is no readable object at this position of a buffer."""


def decode_object(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    """Read the object at a position (in an archive: after the key and one blank); (array, end).

    Floats as stored, float64 from text, float32 from a compressed matrix; int32 vectors; int16
    samples of a wave.
    """
    if start >= len(buffer):
        raise MalformedObject(f"offset is beyond the end of the file ({len(buffer):,} bytes)")
    if buffer[start : start + 4] == b"RIFF":
        samples, _, end = decode_wave(buffer, start)
        return samples, end
    if buffer[start : start + 2] != b"\0B":
        return _decode_text(buffer, start)
    if buffer[start + 2 : start + 3] == b"\4":
        return _decode_int32_vector(buffer, start + 2)
    token, blank, _ = buffer[start + 2 : start + 6].partition(b" ")
    if blank and token in FLOAT_TOKENS:
        return _decode_floats(buffer, start, token)
    if blank and token in CODES:
        return _decode_compressed(buffer, start + 2 + len(token) + 1, token)
    raise MalformedObject(
        f"unknown kind of object {token!r}, "
        "expected FV, DV, FM, DM, CM, CM2, CM3 or an int32 vector"
    )


def decode_integer(buffer: Buffer, start: int) -> tuple[int, int]:
    """Read the integer at a position; (value, end).

    In a binary table of integers it looks like the header of an int32 vector.
    """
    is_binary = buffer[start : start + 3] == b"\0B\4" and start + 7 <= len(buffer)
    if is_binary and buffer[start + 7 : start + 8] != b"\4":
        return struct.unpack_from("<i", buffer, start + 3)[0], start + 7
    array, end = decode_object(buffer, start)  # text, or a vector of one number
    if array.dtype != np.int32 or array.shape != (1,):
        shape = " x ".join(map(str, array.shape))
        raise MalformedObject(f"found a {array.dtype} array of {shape}, expected one integer")
    return int(array[0]), end


def decode_wave(buffer: Buffer, start: int) -> tuple[np.ndarray, int, int]:
    """Read the 16-bit one-channel PCM wave at a position; (samples, sample rate in Hz, end)."""
    header = buffer[start : start + 12]
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        raise MalformedObject(f"found {header!r}, expected a RIFF WAVE header")
    end = start + 8 + struct.unpack_from("<I", buffer, start + 4)[0]
    if end > len(buffer):
        raise MalformedObject(
            f"truncated wave: its header announces {end - start:,} bytes, "
            f"{len(buffer) - start:,} are left in the file"
        )
    sample_rate_hz = 0
    position = start + 12
    while position + 8 <= end:
        name, size = struct.unpack_from("<4sI", buffer, position)
        body = position + 8
        position = body + size + size % 2
        if body + size > end:
            raise MalformedObject(
                f"damaged wave: chunk {name!r} of {size:,} bytes goes beyond the wave"
            )
        if name == b"fmt " and size >= 16:
            sample_rate_hz = _wave_sample_rate(buffer, body)
        elif name == b"data" and sample_rate_hz and size % 2 == 0:
            samples, _ = _take(buffer, body, np.dtype("<i2"), size // 2)
            return samples, sample_rate_hz, end
    raise MalformedObject("damaged wave: no format and data chunk")


def _wave_sample_rate(buffer: Buffer, start: int) -> int:
    """Sample rate of a format chunk; refuses all but 16-bit PCM of one channel."""
    fields = struct.unpack_from("<HHIIHH", buffer, start)
    encoding, channels, sample_rate_hz, _, _, bits = fields
    if (encoding, channels, bits) != (1, 1, 16):
        raise MalformedObject(
            f"wave of encoding {encoding}, {channels} channels, {bits} bits; "
            "expected 16-bit PCM, one channel"
        )
    return sample_rate_hz


def encode_object(array: np.ndarray, *, text: bool = False) -> bytes:
    """Encode a vector or a matrix: what follows a key and one blank, or a file like ``mean.vec``.

    (D,) or (R, C) float32 or float64, or (D,) int32; a matrix has no dimension of 0, or two.  Text
    has as many digits as restore the same float.
    """
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    is_float = kind in ("f4", "f8") and array.ndim in (1, 2)
    is_int32_vector = kind == "i4" and array.ndim == 1
    if not is_float and not is_int32_vector:
        raise ValueError(
            f"found {array.dtype} of {array.ndim} dimensions, "
            "expected a float32 or float64 vector or matrix, or an int32 vector"
        )
    if array.ndim == 2 and (array.shape[0] == 0) != (array.shape[1] == 0):
        raise ValueError(f"Kaldi has no matrix of {array.shape[0]} x {array.shape[1]}")
    if text:
        return _encode_text(array)
    if is_int32_vector:
        items = np.empty(len(array), INT32_ITEM)
        items["size"], items["value"] = 4, array
        return b"\0B\4" + struct.pack("<i", len(array)) + items.tobytes()
    from kaldiio.matio import write_array  # not at the start of every command

    stream = BytesIO()
    write_array(stream, array.astype(f"<{kind}", copy=False))
    return stream.getvalue()


def encode_wave(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """Encode int16 samples as a PCM wave with a 44-byte header: sample i is at byte 44 + 2 i."""
    if samples.dtype.kind != "i" or samples.dtype.itemsize != 2 or samples.ndim != 1:
        raise ValueError(
            f"found {samples.dtype} of {samples.ndim} dimensions, "
            "expected int16 samples of one channel"
        )
    if 2 * len(samples) > MAX_WAVE_BYTES:
        raise ValueError(f"{len(samples):,} samples are too many for a wave")
    from kaldiio.wavio import write_wav

    stream = BytesIO()
    write_wav(stream, sample_rate_hz, samples.astype("<i2", copy=False))
    return stream.getvalue()


def match_end(pattern: re.Pattern[bytes], buffer: Buffer, start: int) -> int:
    """Position after the match of a pattern that matches the empty text too."""
    match = pattern.match(buffer, start)
    assert match is not None, f"{pattern.pattern!r} matches the empty text"
    return match.end()


def _take(buffer: Buffer, start: int, dtype: np.dtype, count: int) -> tuple[np.ndarray, int]:
    """Copy ``count`` items from ``start``; (items, end)."""
    end = _checked_end(buffer, start, dtype, count)
    if count == 0:
        return np.empty(0, dtype), start
    return np.frombuffer(buffer, dtype, count, start).copy(), end


def _checked_end(buffer: Buffer, start: int, dtype: np.dtype, count: int) -> int:
    """Position after ``count`` items, which have to lie inside the buffer."""
    needed = count * dtype.itemsize
    left = max(0, len(buffer) - start)
    if needed > left:
        raise MalformedObject(
            f"truncated or damaged: its header announces {count:,} values ({needed:,} bytes), "
            f"{left:,} bytes are left in the file"
        )
    return start + needed


def _take_sizes(buffer: Buffer, start: int, count: int) -> tuple[list[int], int]:
    """Read ``count`` sizes, each a ``\\4`` and an int32; (sizes, end)."""
    items, end = _take(buffer, start, INT32_ITEM, count)
    if (items["size"] != 4).any() or (items["value"] < 0).any():
        raise MalformedObject(
            f"damaged header {buffer[start:end]!r}, "
            f"expected {count} sizes, each \\x04 and an integer from 0"
        )
    return items["value"].tolist(), end


class _Stream:
    """A part of a buffer for kaldiio's reader: an object with ``read``, which copies nothing.

    kaldiio reads the markers (``\\0B``, and ``\\4`` before a size) in ``assert`` statements.
    ``python -O`` removes those and with them the reads: then this stream leaves the markers out.
    """

    def __init__(self, buffer: Buffer, position: int, markers: set[int]):
        self.content, self.position = memoryview(buffer), position
        self.skipped: set[int] = set() if __debug__ else markers

    def read(self, size: int) -> memoryview:
        while self.position in self.skipped:
            self.position += 1
        start = self.position
        self.position += size
        return self.content[start : self.position]


def _decode_floats(buffer: Buffer, start: int, token: bytes) -> tuple[np.ndarray, int]:
    """Check the header and the size of a float vector or matrix; kaldiio reads the values."""
    from kaldiio.matio import read_matrix_or_vector

    first_size = start + 5
    sizes, body = _take_sizes(buffer, first_size, 1 if token[1:] == b"V" else 2)
    count = sizes[0]
    if len(sizes) == 2:
        if (sizes[0] == 0) != (sizes[1] == 0):
            raise MalformedObject(f"damaged header: a matrix of {sizes[0]} x {sizes[1]}")
        count = sizes[0] * sizes[1]
    end = _checked_end(buffer, body, DTYPES[token[:1]], count)
    markers = {start, start + 1, *range(first_size, body, INT32_ITEM.itemsize)}
    values = read_matrix_or_vector(_Stream(buffer, start, markers))
    return values.copy(), end


def _decode_int32_vector(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    (size,), start = _take_sizes(buffer, start, 1)
    items, end = _take(buffer, start, INT32_ITEM, size)
    if (items["size"] != 4).any():
        raise MalformedObject("damaged int32 vector: a value is not marked as one of 4 bytes")
    return items["value"].copy(), end


def _decode_compressed(buffer: Buffer, start: int, token: bytes) -> tuple[np.ndarray, int]:
    if start + 16 > len(buffer):
        raise MalformedObject("truncated in the header of a compressed matrix")
    minimum, extent, rows, columns = struct.unpack_from("<ffii", buffer, start)
    if min(rows, columns) < 0 or (rows == 0) != (columns == 0):
        raise MalformedObject(f"damaged header: a compressed matrix of {rows} x {columns}")
    position = start + 16
    if token != b"CM":
        codes, end = _take(buffer, position, CODES[token], rows * columns)
        return decode_even(minimum, extent, codes.reshape(rows, columns)), end
    quartiles, position = _take(buffer, position, np.dtype("<u2"), 4 * columns)
    codes, end = _take(buffer, position, CODES[token], rows * columns)
    quartiles_F4 = quartiles.reshape(columns, 4)
    return decode_quartiles(minimum, extent, quartiles_F4, codes.reshape(columns, rows)), end


def _decode_text(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    opening = match_end(_BLANKS, buffer, start)
    if buffer[opening : opening + 1] != b"[":
        return _decode_bare_integers(buffer, start)
    closing = buffer.find(b"]", opening)
    line_end = _LINE_END.match(buffer, closing + 1)
    if closing < 0 or not line_end:
        raise MalformedObject("truncated or damaged text: no ']' at the end of a line closes it")
    body = buffer[opening + 1 : closing]
    rows = [line.split() for line in body.split(b"\n") if line.strip()]
    row_lengths = {len(row) for row in rows}
    # Python's float() takes 1_0 for a number
    if len(row_lengths) > 1 or b"_" in body:
        raise MalformedObject("damaged text: not a vector, nor a matrix with rows of one length")
    try:
        values = np.array([[float(value) for value in row] for row in rows])
    except ValueError as error:
        raise MalformedObject(f"damaged text: {error}") from None
    if b"\n" not in body or not rows:
        values = values.reshape(-1)
    return values, line_end.end()


def _decode_bare_integers(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    newline = buffer.find(b"\n", start)
    line_end = newline if newline >= 0 else start + 100
    line = buffer[start:line_end]
    try:
        if b"_" in line:  # as above
            raise ValueError
        values = np.array([int(value) for value in line.split()], np.int32)
    except (ValueError, OverflowError):
        raise MalformedObject(
            f"no Kaldi object begins here: found {buffer[start : start + 12]!r}, "
            "expected binary, '[ numbers ]', int32 numbers or a wave"
        ) from None
    if newline < 0:
        raise MalformedObject("truncated text: the last line has no line end")
    return values, newline + 1


def _encode_text(array: np.ndarray) -> bytes:
    rows = []
    for row in np.atleast_2d(array.astype(str)):
        values = [value.removesuffix(".0") for value in row]
        rows.append(" ".join(values))
    if array.dtype.kind == "i":
        return f"{rows[0]} \n".encode()
    if array.size == 0:
        return b" [ ]\n"
    if array.ndim == 1:
        return f" [ {rows[0]} ]\n".encode()
    return (" [\n  " + " \n  ".join(rows) + " ]\n").encode()
