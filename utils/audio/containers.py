"""Bytes of sound files: a part of a file as a file, and what a wave file or an ogg lacks."""

import io
import struct
from typing import IO

STREAMED_BYTES = 0x7FFFF000  # writers into a pipe (sox, ffmpeg) put this or more where they cannot know the length
USUAL_PAGE_BYTES = 8192  # of an ogg, and more: encoders begin a new one behind 4 KiB
MOST_PAGE_BYTES = 65_307  # of an ogg: 27, 255 lengths, and 255 times 255 of sound
LAST_PAGE = 4  # the bit of a page's flags that says that the sound ends there


def window(file: IO[bytes], start: int, length: int) -> IO[bytes]:
    """A part of a file as a file of its own.

    Parameters
    ----------
    file : binary file
        Seekable.
    start, length : int
        First byte and number of bytes of the part.
    """
    return _Window(file, start, length)  # type: ignore[return-value]  # IO has more methods


class _Window(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, length: int):
        self.file, self.start, self.length, self.place = file, start, length, 0

    def readinto(self, buffer) -> int:
        self.file.seek(self.start + self.place)
        data = self.file.read(max(0, min(len(buffer), self.length - self.place)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        )
        return self.place

    def tell(self) -> int:
        return self.place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def missing_wave_bytes(file: IO[bytes]) -> int:
    """How many bytes the samples of a wave file (RIFF, RF64) lack: libsndfile reads such a file to its early end without a word.

    Parameters
    ----------
    file : binary file
        Of any kind; 0 for what is no wave, and for one that was written into a pipe and has no length.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head, long_length = file.read(12), 0
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return 0
    while len(chunk := file.read(8)) == 8:
        length, start = int.from_bytes(chunk[4:], "little"), file.tell()
        if chunk[:4] == b"ds64":  # lengths for which 32 bits are too few
            long_length = int.from_bytes(file.read(16)[8:], "little")
        if chunk[:4] == b"data":
            if long_length and length == 0xFFFFFFFF:
                length = long_length
            elif length >= STREAMED_BYTES:
                length = 0
            return max(0, length - (size - start))
        file.seek(start + length + length % 2)
    return 0


def plain_wave_info(head: bytes, file_bytes: int) -> tuple[int, int, int] | None:
    """Samples per channel, sample rate and channels of a wave file whose header is the plain one of 44 bytes, in a tenth of the time that a library takes.

    Parameters
    ----------
    head : bytes
        The file's first 44.
    file_bytes : int
        Size of the file.

    Returns
    -------
    (int, int, int) or None
        Samples, Hz and channels; None: any other header, or fewer samples than it says, which is for others to look at.
    """
    if len(head) < 44:
        return None
    riff, wave, chunk, chunk_bytes, kind, channels, rate_hz, frame_bytes, bits, data, data_bytes = (
        struct.unpack("<4s4x4s4sIHHI4xHH4sI", head[:44])
    )
    if (riff, wave, chunk, chunk_bytes, kind, data) != (
        b"RIFF",
        b"WAVE",
        b"fmt ",
        16,
        1,
        b"data",
    ) or bits not in (16, 24, 32):
        return None
    sound = 0 < channels <= 256 and 0 < rate_hz < 1 << 31 and frame_bytes == channels * bits // 8
    if (
        not sound
        or data_bytes % frame_bytes
        or not 0 < data_bytes <= min(STREAMED_BYTES - 1, file_bytes - 44)
    ):
        return None
    return data_bytes // frame_bytes, rate_hz, channels


def is_cut_ogg(file: IO[bytes]) -> bool:
    """Whether an ogg (Vorbis, Opus) ends before its last page does: libsndfile takes the last page that it finds for the end.

    Parameters
    ----------
    file : binary file
        Of any kind; False for what is no ogg.

    References
    ----------
    RFC 3533, section 6: the header of a page.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"OggS":
        return False
    for tail_bytes in (USUAL_PAGE_BYTES, MOST_PAGE_BYTES):
        file.seek(max(0, size - tail_bytes))
        tail = file.read()
        if (start := tail.rfind(b"OggS")) >= 0:
            page = tail[start:]
            return (
                len(page) < 27
                or not page[5] & LAST_PAGE
                or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
            )
    return True
