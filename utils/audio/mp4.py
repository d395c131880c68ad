"""Length of the sound in an mp4 (m4a, mov, 3gp) from its boxes, without decoding: the names in quotes are those of ISO/IEC 14496-12.

A box is its size (4 bytes, big-endian; 1: 8 more bytes follow; 0: to the end of what it is in), its name (4 bytes), and its content.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NamedTuple

MOST_HEADER_BYTES = 1 << 28  # of 'moov': 2 GB of sound have about 10 MB


class Mp4Sound(NamedTuple):
    """What the boxes say of the first sound.

    Parameters
    ----------
    num_samples : int or None
        After the edit list, which leaves out what the encoder put before the sound; None: a file in fragments does not say.
    sample_rate_hz : int
        Samples per second, those that `num_samples` counts.
    channels : int or None
        None: the header does not say.
    """

    num_samples: int | None
    sample_rate_hz: int
    channels: int | None = None


def read_mp4_header(file: IO[bytes]) -> Mp4Sound:
    """Read the boxes; of the sound itself not a byte is read.

    Parameters
    ----------
    file : binary file
        Seekable.

    Raises
    ------
    ValueError
        Bytes are missing, or there is no sound in it; the text is the reason.
    """
    size, header = file.seek(0, io.SEEK_END), None
    for name, start, end in _boxes(file, 0, size):
        if name in (b"moov", b"mdat", b"moof") and end > size:
            raise ValueError(
                f"fewer samples than its header says: {end - size:,} bytes are missing"
            )
        if name == b"moov" and end - start <= MOST_HEADER_BYTES:
            file.seek(start)
            header = file.read(end - start)
    if header is None:
        raise ValueError("its end, which says where the samples are ('moov'), is missing")
    try:
        return _first_sound(header)
    except (struct.error, StopIteration):
        raise ValueError("cannot be read: its header is damaged") from None


def _first_sound(header: bytes) -> Mp4Sound:
    movie = io.BytesIO(header)
    movie_clock_hz, _ = _clock_and_duration(_content(movie, 0, len(header), b"mvhd"))
    for name, start, end in _boxes(movie, 0, len(header)):
        if name != b"trak" or _content(movie, start, end, b"mdia", b"hdlr")[8:12] != b"soun":
            continue
        clock_hz, ticks = _clock_and_duration(_content(movie, start, end, b"mdia", b"mdhd"))
        described = _content(movie, start, end, b"mdia", b"minf", b"stbl", b"stsd")
        stated_hz = struct.unpack_from(">H", described, 40)[0]
        channels = _channels(described)
        # 16 bits cannot hold 96 kHz: 0; QuickTime's second version puts 1
        rate = stated_hz if stated_hz > 1 else clock_hz
        if not clock_hz or not movie_clock_hz:
            raise struct.error
        if any(name == b"mvex" for name, _, _ in _boxes(movie, 0, len(header))):
            return Mp4Sound(None, rate, channels)
        played: float = ticks  # all of them, without a list of edits
        with suppress(StopIteration):
            edits = _content(movie, start, end, b"edts", b"elst")
            played = _edited(edits, ticks, clock_hz / movie_clock_hz)
        return Mp4Sound(round(played * rate / clock_hz), rate, channels)
    raise ValueError("no sound in it")


def _channels(described: bytes) -> int | None:
    """Channels, from the box 'stsd': of AAC what its decoder is told, since the number beside it is 2 whatever the sound."""
    stated = struct.unpack_from(">H", described, 32)[0]
    if described[12:16] != b"mp4a":
        return stated
    told = described.find(b"esds") + 8
    if told < 8:
        return None
    # the descriptor of the stream, that of the decoder in it, and what the decoder is told
    for tag, skipped_bytes in ((3, 3), (4, 13), (5, 0)):
        if described[told : told + 1] != bytes([tag]):
            return None
        told += 1
        while described[told] & 0x80:  # a length of several bytes
            told += 1
        told += 1 + skipped_bytes
    bits = int.from_bytes(described[told : told + 5].ljust(5, b"\0"), "big")
    is_explicit_rate = bits >> 31 & 0xF == 15
    number = bits >> (3 if is_explicit_rate else 27) & 0xF
    return {0: None, 7: 8}.get(number, number)


def _edited(edits: bytes, ticks: int, ticks_per_movie_tick: float) -> float:
    """Ticks that are played: an edit's length is rounded to the movie's clock (milliseconds), so one that ends with the sound ends exactly there."""
    played: float = 0
    entry = struct.Struct(">QqI" if edits[:1] == b"\1" else ">IiI")
    for number in range(struct.unpack_from(">I", edits, 4)[0]):
        length, start, _ = entry.unpack_from(edits, 8 + number * entry.size)
        if start >= 0:
            length, rest = length * ticks_per_movie_tick, max(0, ticks - start)
            played += rest if not length or length > rest - 1.5 * ticks_per_movie_tick else length
    return played


def _clock_and_duration(content: bytes) -> tuple[int, int]:
    return (
        struct.unpack_from(">IQ", content, 20)
        if content[:1] == b"\1"
        else struct.unpack_from(">II", content, 12)
    )


def _content(file: IO[bytes], start: int, end: int, *names: bytes) -> bytes:
    """Content of the first box of that name, of the first box of that name, ...; StopIteration where there is none."""
    for name in names:
        start, end = next(
            (first, last) for found, first, last in _boxes(file, start, end) if found == name
        )
    file.seek(start)
    return file.read(end - start)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of the content of each box; damaged sizes end the walk."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        length, name = struct.unpack_from(">I4s", head)
        header_bytes = 8
        if length == 1 and len(head) == 16:
            length, header_bytes = struct.unpack_from(">Q", head, 8)[0], 16
        length = length or end - start
        if length < header_bytes:
            return
        yield name, start + header_bytes, start + length
        start += length
