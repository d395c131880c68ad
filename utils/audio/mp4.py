"""Length of the audio in an MP4 (m4a, mov, 3gp) from its boxes, without decoding.

Names in quotes are those of ISO/IEC 14496-12.  A box is its size (4 bytes, big-endian; 1: 8 more
bytes follow; 0: the rest of what contains it), its name (4 bytes), and its content.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NamedTuple

MAX_HEADER_BYTES = 1 << 28  # of 'moov', which takes about 10 MB for 2 GB of audio


class Mp4Audio(NamedTuple):
    """The first audio track.

    `num_samples` is counted at `sample_rate_hz` after the edit list, which removes the encoder's
    padding; None for a fragmented file.  `channels` is None if the header does not give it.
    """

    num_samples: int | None
    sample_rate_hz: int
    channels: int | None = None


def read_mp4_header(file: IO[bytes]) -> Mp4Audio:
    """Read the boxes of a seekable file, without the audio itself.

    ValueError with the reason: bytes are missing, or there is no audio track.
    """
    size, header = file.seek(0, io.SEEK_END), None
    for name, start, end in _boxes(file, 0, size):
        if name in (b"moov", b"mdat", b"moof") and end > size:
            raise ValueError(
                f"fewer samples than its header says: {end - size:,} bytes are missing"
            )
        if name == b"moov" and end - start <= MAX_HEADER_BYTES:
            file.seek(start)
            header = file.read(end - start)
    if header is None:
        raise ValueError("truncated: the box 'moov', which says where the samples are, is missing")
    try:
        return _first_audio_track(header)
    except (struct.error, StopIteration):
        raise ValueError("cannot be read: its header is damaged") from None


def _first_audio_track(header: bytes) -> Mp4Audio:
    movie = io.BytesIO(header)
    movie_clock_hz, _ = _clock_and_duration(_content(movie, 0, len(header), b"mvhd"))
    for name, start, end in _boxes(movie, 0, len(header)):
        if name != b"trak" or _content(movie, start, end, b"mdia", b"hdlr")[8:12] != b"soun":
            continue
        clock_hz, ticks = _clock_and_duration(_content(movie, start, end, b"mdia", b"mdhd"))
        description = _content(movie, start, end, b"mdia", b"minf", b"stbl", b"stsd")
        stated_hz = struct.unpack_from(">H", description, 40)[0]
        channels = _channels(description)
        # 16 bits cannot hold 96 kHz: the rate is 0 then, in QuickTime's second version 1
        rate = stated_hz if stated_hz > 1 else clock_hz
        if not clock_hz or not movie_clock_hz:
            raise struct.error
        if any(box == b"mvex" for box, _, _ in _boxes(movie, 0, len(header))):  # fragmented
            return Mp4Audio(None, rate, channels)
        played: float = ticks  # all of them, without an edit list
        with suppress(StopIteration):
            edits = _content(movie, start, end, b"edts", b"elst")
            played = _played_ticks(edits, ticks, clock_hz / movie_clock_hz)
        return Mp4Audio(round(played * rate / clock_hz), rate, channels)
    raise ValueError("it has no audio track")


def _channels(description: bytes) -> int | None:
    """Number of channels, from the box 'stsd'; for AAC from the decoder's configuration.

    The number of channels in the box of AAC is always 2.
    """
    stated = struct.unpack_from(">H", description, 32)[0]
    if description[12:16] != b"mp4a":
        return stated
    position = description.find(b"esds") + 8
    if position < 8:
        return None
    # the descriptors of the stream, of the decoder in it, and the decoder's configuration
    for tag, skipped_bytes in ((3, 3), (4, 13), (5, 0)):
        if description[position : position + 1] != bytes([tag]):
            return None
        position += 1
        while description[position] & 0x80:  # a length of several bytes
            position += 1
        position += 1 + skipped_bytes
    bits = int.from_bytes(description[position : position + 5].ljust(5, b"\0"), "big")
    is_explicit_rate = bits >> 31 & 0xF == 15
    number = bits >> (3 if is_explicit_rate else 27) & 0xF
    return {0: None, 7: 8}.get(number, number)


def _played_ticks(edits: bytes, ticks: int, ticks_per_movie_tick: float) -> float:
    """Ticks that the edit list plays.

    An edit's length is rounded to the movie's clock (milliseconds), so one that ends near the
    audio's end ends exactly there.
    """
    played: float = 0
    entry = struct.Struct(">QqI" if edits[:1] == b"\1" else ">IiI")
    for index in range(struct.unpack_from(">I", edits, 4)[0]):
        movie_ticks, start, _ = entry.unpack_from(edits, 8 + index * entry.size)
        if start < 0:
            continue
        length, rest = movie_ticks * ticks_per_movie_tick, max(0, ticks - start)
        if not length or length > rest - 1.5 * ticks_per_movie_tick:
            length = rest
        played += length
    return played


def _clock_and_duration(content: bytes) -> tuple[int, int]:
    if content[:1] == b"\1":
        return struct.unpack_from(">IQ", content, 20)
    return struct.unpack_from(">II", content, 12)


def _content(file: IO[bytes], start: int, end: int, *names: bytes) -> bytes:
    """Content of the box reached by the first box of each name in turn; StopIteration for none."""
    for wanted in names:
        boxes = _boxes(file, start, end)
        start, end = next((first, last) for name, first, last in boxes if name == wanted)
    file.seek(start)
    return file.read(end - start)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of the content of each box, up to a damaged size."""
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
