"""Checks of the bytes of audio files: truncation, coding, and a byte range as a file."""

import io
import math
import struct
from typing import IO, Literal, NamedTuple

# Programs that write into a pipe (sox, ffmpeg) put such a length, or a larger one, in a header.
STREAMED_BYTES = 0x7FFFF000
STREAMED_LONG_BYTES = 1 << 48  # the same for lengths of 64 bits
USUAL_PAGE_BYTES = 8192  # of Ogg: encoders begin a new page after 4 KiB
MAX_PAGE_BYTES = 65_307  # of Ogg: a header of 27 bytes, 255 lengths, and 255 segments of 255 bytes
LAST_PAGE = 4  # flag of the last page of an Ogg stream
# Codings of WAV that libsndfile reads: PCM, Microsoft ADPCM, float, A-law, u-law, IMA ADPCM,
# GSM 6.10, NMS ADPCM, G.721, and the extensible format, which has the coding in a later field.
CODINGS_OF_LIBSNDFILE = (1, 2, 3, 6, 7, 0x11, 0x31, 0x38, 0x40, 0xFFFE)
W64_RIFF = b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
# Kinds of IFF files -> their chunk of samples.
IFF_DATA = {b"AIFF": b"SSND", b"AIFC": b"SSND", b"8SVX": b"BODY", b"16SV": b"BODY"}
PLAIN_WAVE_HEADER = struct.Struct("<4s4x4s4sIHHI4xHH4sI")


class ChunkLayout(NamedTuple):
    """How a container lays out its chunks."""

    first_byte: int
    name_bytes: int
    head_bytes: int  # of name and length
    order: Literal["little", "big"]
    alignment: int  # chunks fill a multiple of it
    counts_head: bool  # the length includes the head


WAVE_CHUNKS = ChunkLayout(12, 4, 8, "little", 2, False)
AIFF_CHUNKS = ChunkLayout(12, 4, 8, "big", 2, False)
W64_CHUNKS = ChunkLayout(40, 16, 24, "little", 8, True)
CAF_CHUNKS = ChunkLayout(8, 4, 12, "big", 1, False)


def byte_range(file: IO[bytes], start: int, length: int) -> IO[bytes]:
    """A byte range of a seekable file, as a file object."""
    return _ByteRange(file, start, length)  # type: ignore[return-value]  # IO has more methods


class _ByteRange(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, length: int):
        self.file, self.start, self.length, self.position = file, start, length, 0

    def readinto(self, buffer) -> int:
        self.file.seek(self.start + self.position)
        data = self.file.read(max(0, min(len(buffer), self.length - self.position)))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}
        self.position = origins[whence] + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def count_missing_bytes(file: IO[bytes]) -> int:
    """Bytes of audio that a truncated file lacks; libsndfile reads it without an error.

    Checks WAV (RIFF, RF64, W64), AIFF, AU, NIST SPHERE, CAF, SVX, VOC, AVR and WVE; 0 for other
    files, and for those that were written into a pipe and have no length.  ValueError: a WAV header
    without samples before a file with samples, since the recorder was stopped.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start, length = _stated_data(file, file.read(32), size)
    if length <= 0:
        return 0
    return max(0, start + length - size)


def _stated_data(file: IO[bytes], head: bytes, size: int) -> tuple[int, int]:
    """First byte of the samples and their length in bytes from the header; 0: none stated."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wave_data(file, size)
    if head[:16] == W64_RIFF:
        start, length = _find_chunk(file, W64_CHUNKS, b"data")
        return start, _known_length(length - W64_CHUNKS.head_bytes, STREAMED_LONG_BYTES)
    if head[:4] == b"caff":
        start, length = _find_chunk(file, CAF_CHUNKS, b"data")
        return start, _known_length(length, STREAMED_LONG_BYTES)
    if head[:4] == b"FORM" and head[8:12] in IFF_DATA:
        start, length = _find_chunk(file, AIFF_CHUNKS, IFF_DATA[head[8:12]])
        return start, _known_length(length)
    if head[:4] == b".snd":
        return _number(head[4:8]), _known_length(_number(head[8:12]))
    if head[:7] == b"NIST_1A":
        return _sphere_data(file)
    if head[:20] == b"Creative Voice File\x1a":
        return _last_voc_block(file, int.from_bytes(head[20:22], "little"), size)
    if head[:4] == b"2BIT":
        num_channels = 1 + (head[12:14] != b"\0\0")
        bytes_per_sample = _number(head[14:16]) // 8
        return 128, _number(head[26:30]) * num_channels * bytes_per_sample
    if head[:15] == b"ALawSoundFile**":
        return 32, _number(head[18:22])
    return 0, 0


def _number(big_endian: bytes) -> int:
    return int.from_bytes(big_endian, "big")


def _last_voc_block(file: IO[bytes], start: int, size: int) -> tuple[int, int]:
    """First byte and length of the last block of a VOC file that begins inside the file."""
    length = 0
    while start < size:
        file.seek(start)
        head = file.read(4)
        if head[:1] == b"\0" or len(head) < 4:  # the block that ends the file has no length
            break
        start += 4
        length = int.from_bytes(head[1:], "little")
        if start + length > size:
            break
        start += length
        length = 0
    return start, length


def _known_length(length: int, streamed_bytes: int = STREAMED_BYTES) -> int:
    """The length; 0 for one that stands for an unknown length."""
    return length if length < streamed_bytes else 0


def _find_chunk(file: IO[bytes], layout: ChunkLayout, name: bytes) -> tuple[int, int]:
    """First byte and length of the content of the first chunk of this name; zeros for none."""
    file.seek(layout.first_byte)
    while len(head := file.read(layout.head_bytes)) == layout.head_bytes:
        start = file.tell()
        length = int.from_bytes(head[layout.name_bytes :], layout.order)
        if head[:4] == name:
            return start, length
        content = length - layout.head_bytes if layout.counts_head else length
        if content > STREAMED_LONG_BYTES:
            break
        file.seek(start + max(0, content + -content % layout.alignment))
    return 0, 0


def _wave_data(file: IO[bytes], size: int) -> tuple[int, int]:
    """First byte of the samples of a WAV, and their length in bytes from its header."""
    start, length = _find_chunk(file, WAVE_CHUNKS, b"data")
    if length == 0xFFFFFFFF:  # the length is a 64-bit number in another chunk
        long_start, _ = _find_chunk(file, WAVE_CHUNKS, b"ds64")
        if not long_start:
            return start, 0
        file.seek(long_start + 8)
        return start, _known_length(int.from_bytes(file.read(8), "little"), STREAMED_LONG_BYTES)
    if start and not length and size > start and not _has_only_chunks(file, start, size):
        raise ValueError(
            f"its header says that it has no samples, and {size - start:,} bytes follow: "
            "the recorder was stopped before it wrote the length; "
            "`ffmpeg -i OLD.wav NEW.wav` repairs it"
        )
    return start, _known_length(length)


def _has_only_chunks(file: IO[bytes], start: int, size: int) -> bool:
    """Whether whole chunks fill the rest of a file; then it really has no samples."""
    file.seek(start)
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        start += 8 + length + length % 2
        if start > size + 1 or not head[:4].isascii() or not head[:4].decode().isprintable():
            return False
        file.seek(start)
    return start >= size


def _sphere_data(file: IO[bytes]) -> tuple[int, int]:
    """First byte and length of the samples of a NIST SPHERE file; zeros: compressed, or unknown."""
    fields = _sphere_fields(file)
    names = (b"NIST_1A", b"sample_count", b"sample_n_bytes", b"channel_count")
    values = [fields.get(name, b"") for name in names]
    is_compressed = b"shorten" in fields.get(b"sample_coding", b"")
    if is_compressed or not all(value.isdigit() for value in values):
        return 0, 0
    header_bytes, *numbers = (int(value) for value in values)
    return header_bytes, math.prod(numbers)


def _sphere_fields(file: IO[bytes]) -> dict[bytes, bytes]:
    """Name -> value of each line of a NIST SPHERE header; ``NIST_1A`` -> the header's size."""
    file.seek(0)
    first, size, *lines = (file.read(1024) + b"\n\n").split(b"\n")
    fields = {}
    for line in lines:
        words = line.split(b" ", 2)
        if len(words) == 3:
            name, _, value = words
            fields[name] = value
    return fields | {first: size.strip()}


def describe_coding(file: IO[bytes]) -> str:
    """A hint for libsndfile's error about a file of unknown coding; may be empty."""
    file.seek(0)
    is_sphere = file.read(7) == b"NIST_1A"
    coding = _sphere_fields(file).get(b"sample_coding") if is_sphere else None
    if coding:
        return (
            f" Its coding is '{coding.decode(errors='replace')}'; "
            "`sph2pipe -f wav OLD.sph NEW.wav` or `ffmpeg -i OLD.sph NEW.wav` converts it"
        )
    number = wave_coding(file)
    if number:
        return f" Its coding is {number:#06x}; `ffmpeg -i OLD.wav NEW.wav` converts it"
    return ""


def wave_coding(file: IO[bytes]) -> int | None:
    """Number of the coding of a RIFF WAV, None for other files; rewinds the file."""
    file.seek(0)
    head = file.read(12)
    start = 0
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        start, _ = _find_chunk(file, WAVE_CHUNKS, b"fmt ")
        file.seek(start)
    coding = int.from_bytes(file.read(2), "little") if start else None
    file.seek(0)
    return coding


def is_mp3_without_length(file: IO[bytes]) -> bool:
    """Whether a file is an MP3 without its number of frames, which libsndfile reads in part only.

    The number is in a tag of Xing and LAME ("Xing", "Info") or of Fraunhofer ("VBRI") in the first
    frame.  Rewinds the file.
    """
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum(byte << 7 * digit for digit, byte in enumerate(reversed(head[6:])))
    file.seek(start)
    frame = file.read(200)
    file.seek(0)
    # 11 bits of sync word, two of the version, then 01: layer III
    if len(frame) < 200 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return False
    if b"VBRI" in frame:
        return False
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    return tag < 0 or not frame[tag + 7] & 1  # flag of the number of frames


def plain_wave_info(head: bytes, file_bytes: int) -> tuple[int, int, int] | None:
    """Samples per channel, rate in Hz and channels of a WAV with the plain header of 44 bytes.

    Ten times faster than a library.  `head` is the file's first 44 bytes.  None for any other
    header, and for a truncated file.
    """
    if len(head) < PLAIN_WAVE_HEADER.size:
        return None
    riff, wave, chunk, chunk_bytes, coding, channels, rate_hz, frame_bytes, bits, data, length = (
        PLAIN_WAVE_HEADER.unpack(head[: PLAIN_WAVE_HEADER.size])
    )
    if (riff, wave, chunk, data) != (b"RIFF", b"WAVE", b"fmt ", b"data"):
        return None
    if (chunk_bytes, coding) != (16, 1) or bits not in (16, 24, 32):
        return None
    if not (0 < channels <= 256 and 0 < rate_hz < 1 << 31 and frame_bytes == channels * bits // 8):
        return None
    available = min(STREAMED_BYTES - 1, file_bytes - PLAIN_WAVE_HEADER.size)
    if length % frame_bytes or not 0 < length <= available:
        return None
    return length // frame_bytes, rate_hz, channels


def is_truncated_ogg(file: IO[bytes]) -> bool:
    """Whether an Ogg file ends before its last page does; False for other files.

    libsndfile accepts a file that lacks its last pages.  Page header: RFC 3533, section 6.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"OggS":
        return False
    for tail_bytes in (USUAL_PAGE_BYTES, MAX_PAGE_BYTES):
        file.seek(max(0, size - tail_bytes))
        tail = file.read()
        start = tail.rfind(b"OggS")
        if start >= 0:
            return not _is_whole_last_page(tail[start:])
    return True


def _is_whole_last_page(page: bytes) -> bool:
    if len(page) < 27 or not page[5] & LAST_PAGE:
        return False
    num_segments = page[26]
    segment_bytes = page[27 : 27 + num_segments]
    return len(page) >= 27 + num_segments + sum(segment_bytes)
