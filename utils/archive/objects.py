"""Kaldi's objects as bytes: vectors, matrices, compressed matrices, int32 vectors and 16-bit waves, binary and text.

Pure functions of a buffer and a position.  Every announced size is held against the buffer before memory is taken for it, and a fault is a
``MalformedObject``; who calls knows the file, the key and the offset, and says them.
"""

import mmap
import re
import struct

import numpy as np

from utils.archive.compressed import CODES, decode_even, decode_quartiles

Buffer = bytes | mmap.mmap

# how Kaldi writes each element of a vector<int32> in a table
INT32_ITEM = np.dtype([("size", "u1"), ("value", "<i4")])
DTYPES: dict[bytes, np.dtype] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
MAX_WAVE_BYTES = 2**32 - 1 - 36  # RIFF sizes have 32 bits

_BLANKS = re.compile(rb"[ \t]*")
_LINE_END = re.compile(rb"[ \t\r]*(\n|\Z)")


class MalformedObject(ValueError):
    """What stands at a position of a buffer is not an object that we can read."""


def decode_object(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    """Read the object that begins at a position.

    Parameters
    ----------
    buffer : bytes or mmap
        Whole content of a file.
    start : int
        Where the object begins: for an archive, behind the key and one blank.

    Returns
    -------
    array, end : ndarray, int
        Vector or matrix, float32 or float64 (as stored; float64 from text between brackets; float32 if compressed), int32 vector, or the int16
        samples of a wave; and the position behind it.

    Raises
    ------
    MalformedObject
        Truncated, damaged, or nothing that we know.
    """
    if start >= len(buffer):
        raise MalformedObject(f"offset is beyond the end of the file ({len(buffer):,} bytes)")
    if buffer[start : start + 4] == b"RIFF":
        samples, _, end = decode_wave(buffer, start)
        return samples, end
    if buffer[start : start + 2] != b"\0B":
        return _decode_text(buffer, start)
    start += 2
    if buffer[start : start + 1] == b"\4":
        return _decode_int32_vector(buffer, start)
    token, blank, _ = buffer[start : start + 4].partition(b" ")
    if blank and token in (b"FV", b"DV", b"FM", b"DM"):
        return _decode_plain(buffer, start + 3, DTYPES[token[:1]], token[1:])
    if blank and token in (b"CM", b"CM2", b"CM3"):
        return _decode_compressed(buffer, start + len(token) + 1, token)
    raise MalformedObject(
        f"unknown kind of object {token!r}, expected FV, DV, FM, DM, CM, CM2, CM3 or an int32 vector"
    )


def decode_integer(buffer: Buffer, start: int) -> tuple[int, int]:
    """Read the whole number that begins at a position: in binary tables of numbers it looks like the head of an int32 vector.

    Parameters
    ----------
    buffer, start : bytes or mmap, int
        As of `decode_object`.

    Returns
    -------
    value, end : int, int
        ``end`` is the position behind it.

    Raises
    ------
    MalformedObject
        Something else stands there.
    """
    if (
        buffer[start : start + 3] == b"\0B\4"
        and start + 7 <= len(buffer)
        and buffer[start + 7 : start + 8] != b"\4"
    ):
        return struct.unpack_from("<i", buffer, start + 3)[0], start + 7
    array, end = decode_object(buffer, start)  # text, or a vector of one number
    if array.dtype != np.int32 or array.shape != (1,):
        raise MalformedObject(
            f"found a {array.dtype} array of {' x '.join(map(str, array.shape))}, expected one whole number"
        )
    return int(array[0]), end


def decode_wave(buffer: Buffer, start: int) -> tuple[np.ndarray, int, int]:
    """Read the 16-bit one-channel PCM wave that begins at a position.

    Parameters
    ----------
    buffer : bytes or mmap
        Whole content of a file.
    start : int
        Position of ``RIFF``.

    Returns
    -------
    samples, sample_rate_hz, end : (n,) int16 array, int, int
        ``end`` is the position behind the wave.

    Raises
    ------
    MalformedObject
        Truncated, no wave, or a wave of another kind.
    """
    if buffer[start : start + 4] != b"RIFF" or buffer[start + 8 : start + 12] != b"WAVE":
        raise MalformedObject(f"found {buffer[start : start + 12]!r}, expected a RIFF WAVE header")
    end = start + 8 + struct.unpack_from("<I", buffer, start + 4)[0]
    if end > len(buffer):
        raise MalformedObject(
            f"truncated wave: its header announces {end - start:,} bytes, {len(buffer) - start:,} are left in the file"
        )
    sample_rate_hz = 0
    position = start + 12
    while position + 8 <= end:
        name, size = struct.unpack_from("<4sI", buffer, position)
        body, position = position + 8, position + 8 + size + size % 2
        if body + size > end:
            raise MalformedObject(
                f"damaged wave: chunk {name!r} of {size:,} bytes goes beyond the wave"
            )
        if name == b"fmt " and size >= 16:
            encoding, channels, sample_rate_hz, _, _, bits = struct.unpack_from(
                "<HHIIHH", buffer, body
            )
            if (encoding, channels, bits) != (1, 1, 16):
                raise MalformedObject(
                    f"wave of encoding {encoding}, {channels} channels, {bits} bits; expected 16-bit PCM, one channel"
                )
        elif name == b"data" and sample_rate_hz and size % 2 == 0:
            return _take(buffer, body, np.dtype("<i2"), size // 2)[0], sample_rate_hz, end
    raise MalformedObject("damaged wave: no format and data chunk")


def encode_object(array: np.ndarray, *, text: bool = False) -> bytes:
    """Kaldi's bytes of a vector or a matrix.

    Parameters
    ----------
    array : (D,) or (R, C) float32 or float64 array, or (D,) int32 array
        A matrix has no side of 0, or both.
    text : bool
        Kaldi's text instead of its binary form; floats have as many digits as bring back the same value.

    Returns
    -------
    bytes
        Behind a key and one blank: an entry of an archive.  By itself: a file like ``mean.vec``.
    """
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    if (kind, array.ndim) not in {("f4", 1), ("f8", 1), ("f4", 2), ("f8", 2), ("i4", 1)}:
        raise ValueError(
            f"found {array.dtype} of {array.ndim} dimensions, expected a float32 or float64 vector or matrix, or an int32 vector"
        )
    if array.ndim == 2 and (array.shape[0] == 0) != (array.shape[1] == 0):
        raise ValueError(f"Kaldi has no matrix of {array.shape[0]} x {array.shape[1]}")
    if text:
        return _encode_text(array)
    sizes = b"".join(b"\4" + struct.pack("<i", size) for size in array.shape)
    if kind == "i4":
        items = np.empty(len(array), INT32_ITEM)
        items["size"], items["value"] = 4, array
        return b"\0B" + sizes + items.tobytes()
    token = ("F" if kind == "f4" else "D") + ("V" if array.ndim == 1 else "M")
    return b"\0B" + token.encode() + b" " + sizes + array.astype(f"<{kind}", copy=False).tobytes()


def encode_wave(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """A one-channel 16-bit PCM wave with the 44-byte header: sample ``i`` stands at byte 44 + 2 i.

    Parameters
    ----------
    samples : (n,) int16 array
        One channel.
    sample_rate_hz : int
        Samples per second.
    """
    if samples.dtype.kind != "i" or samples.dtype.itemsize != 2 or samples.ndim != 1:
        raise ValueError(
            f"found {samples.dtype} of {samples.ndim} dimensions, expected int16 samples of one channel"
        )
    size = 2 * len(samples)
    if size > MAX_WAVE_BYTES:
        raise ValueError(f"{len(samples):,} samples are too many for a wave")
    wave_format = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16
    )
    header = (
        struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        + wave_format
        + struct.pack("<4sI", b"data", size)
    )
    return header + samples.astype("<i2", copy=False).tobytes()


def end_of_match(pattern: re.Pattern[bytes], buffer: Buffer, start: int) -> int:
    """The position behind what a pattern takes, which may be nothing.

    Parameters
    ----------
    pattern : compiled pattern
        It matches the empty text too.
    buffer, start : bytes or mmap, int
        As of `decode_object`.
    """
    match = pattern.match(buffer, start)
    assert match is not None, f"{pattern.pattern!r} matches the empty text"
    return match.end()


def _take(buffer: Buffer, start: int, dtype: np.dtype, count: int) -> tuple[np.ndarray, int]:
    """``count`` items from ``start``, and the position behind them."""
    needed, left = count * dtype.itemsize, max(0, len(buffer) - start)
    if needed > left:
        raise MalformedObject(
            f"truncated or damaged: its header announces {count:,} values ({needed:,} bytes), {left:,} bytes are left in the file"
        )
    if count == 0:
        return np.empty(0, dtype), start
    return np.frombuffer(buffer, dtype, count, start).copy(), start + needed


def _take_sizes(buffer: Buffer, start: int, count: int) -> tuple[list[int], int]:
    """``count`` sizes, each written as \\4 and an int32."""
    items, end = _take(buffer, start, INT32_ITEM, count)
    if (items["size"] != 4).any() or (items["value"] < 0).any():
        raise MalformedObject(
            f"damaged header {buffer[start:end]!r}, expected {count} sizes, each \\x04 and a whole number from 0"
        )
    return items["value"].tolist(), end


def _decode_plain(
    buffer: Buffer, start: int, dtype: np.dtype, shape: bytes
) -> tuple[np.ndarray, int]:
    sizes, start = _take_sizes(buffer, start, 1 if shape == b"V" else 2)
    if len(sizes) == 2 and (sizes[0] == 0) != (sizes[1] == 0):
        raise MalformedObject(f"damaged header: a matrix of {sizes[0]} x {sizes[1]}")
    values, end = _take(buffer, start, dtype, sizes[0] * sizes[-1] if len(sizes) == 2 else sizes[0])
    return values.reshape(sizes), end


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
    quartiles, start = _take(
        buffer, start + 16, np.dtype("<u2"), 4 * columns if token == b"CM" else 0
    )
    codes, end = _take(buffer, start, CODES[token], rows * columns)
    if token == b"CM":
        return decode_quartiles(
            minimum, extent, quartiles.reshape(columns, 4), codes.reshape(columns, rows)
        ), end
    return decode_even(minimum, extent, codes.reshape(rows, columns)), end


def _decode_text(buffer: Buffer, start: int) -> tuple[np.ndarray, int]:
    opening = end_of_match(_BLANKS, buffer, start)
    if buffer[opening : opening + 1] != b"[":
        return _decode_bare_integers(buffer, start)
    closing = buffer.find(b"]", opening)
    line_end = _LINE_END.match(buffer, closing + 1)
    if closing < 0 or not line_end:
        raise MalformedObject("truncated or damaged text: no ']' at the end of a line closes it")
    body = buffer[opening + 1 : closing]
    rows = [line.split() for line in body.split(b"\n") if line.strip()]
    if (
        len({len(row) for row in rows}) > 1 or b"_" in body
    ):  # Python's float() takes 1_0 for a number
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
    line = buffer[start : newline if newline >= 0 else start + 100]
    try:
        if b"_" in line:  # as above
            raise ValueError
        values = np.array([int(value) for value in line.split()], np.int32)
    except (ValueError, OverflowError):
        found = buffer[start : start + 12]
        raise MalformedObject(
            f"no Kaldi object begins here: found {found!r}, expected binary, '[ numbers ]', int32 numbers or a wave"
        ) from None
    if newline < 0:
        raise MalformedObject("truncated text: the last line has no end")
    return values, newline + 1


def _encode_text(array: np.ndarray) -> bytes:
    rows = [
        " ".join([value.removesuffix(".0") for value in row])
        for row in np.atleast_2d(array.astype(str))
    ]
    if array.dtype.kind == "i":
        return f"{rows[0]} \n".encode()
    if array.ndim == 1 or array.size == 0:
        return f" [ {rows[0]} ]\n".encode() if array.size else b" [ ]\n"
    return (" [\n  " + " \n  ".join(rows) + " ]\n").encode()
