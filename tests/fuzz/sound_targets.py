"""Target: sound, by our own readers of headers and by libsndfile behind them."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

from local.corpus import measure
from tests.fuzz.kept import kept_inputs
from tests.fuzz.target import Files, Place, Target
from utils.archive.objects import encode_wave
from utils.audio import UtteranceReader, audio_info, read_audio
from utils.errors import UnreadableAudio, UserError

RATE_HZ = 8000
SAMPLES = (8000 * np.sin(np.arange(1600) / 7)).astype(np.int16)


def _encoded(file_format: str, subtype: str, samples=SAMPLES, rate: int = RATE_HZ) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, samples, rate, format=file_format, subtype=subtype)
    content = made.getvalue()
    time = content.find(b"PEAK") + 12  # the hour of its making, which is another one each time
    return content[:time] + bytes(4) + content[time + 4 :] if time > 12 else content


def _box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def _mp4() -> bytes:
    """The boxes that our reader looks at, with no sound behind them."""
    clock = struct.pack(">IIIII", 0, 0, 0, 1000, 3000)
    sound = _box(
        b"stsd", struct.pack(">II", 0, 1), _box(b"mp4a", bytes(24), struct.pack(">HH", 16000, 0))
    )
    track = _box(
        b"trak",
        _box(b"edts", _box(b"elst", struct.pack(">IIIiI", 0, 1, 3000, 1024, 65536))),
        _box(
            b"mdia",
            _box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, 16000, 48000)),
            _box(b"hdlr", struct.pack(">II4s", 0, 0, b"soun")),
            _box(b"minf", _box(b"stbl", sound)),
        ),
    )
    return (
        _box(b"ftyp", b"M4A \0\0\0\0")
        + _box(b"moov", _box(b"mvhd", clock), track)
        + _box(b"mdat", bytes(100))
    )


def _chunks() -> bytes:
    """A wave with chunks before and behind its samples."""
    wave = encode_wave(SAMPLES[:200], RATE_HZ)
    more = b"LIST" + struct.pack("<I", 6) + b"abcdef"
    body = wave[8:36] + more + wave[36:] + b"junk" + struct.pack("<I", 3) + b"abc\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _seeds() -> list[Files]:
    stereo = np.stack([SAMPLES, SAMPLES // 2], axis=1)
    streamed = bytearray(encode_wave(SAMPLES, RATE_HZ))
    streamed[4:8] = streamed[40:44] = b"\xff\xff\xff\xff"
    kinds = [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "ULAW"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("NIST", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("MP3", "MPEG_LAYER_III"),
    ]
    oggs = [
        files["x"] for files in kept_inputs("sound").values()
    ]  # kept, since an encoder draws the number of its stream
    files = [
        *oggs,
        encode_wave(SAMPLES, RATE_HZ),
        bytes(streamed),
        _chunks(),
        _mp4(),
        _encoded("WAV", "PCM_16", stereo),
        _encoded("FLAC", "PCM_16", stereo),
        *(_encoded(*kind) for kind in kinds),
    ]
    # signatures of what ffmpeg would decode
    heads = [
        b"\x1a\x45\xdf\xa3" + bytes(60),
        b"#!AMR\n" + bytes(60),
        b"\xff\xf1" + bytes(60),
        b"FLV\1" + bytes(60),
        b"",
    ]
    return [{"x": content} for content in [*files, *heads]]


def _parts(place: Place) -> None:
    """Crops inside the length that the header states."""
    total, _ = audio_info(place.given / "x")
    for start, count in ((0, 1), (total // 2, min(100, total - total // 2)), (0, min(total, 10))):
        if start + count <= total:
            _audio(place, start_sample=start, num_samples=count)


def _audio(place: Place, **options) -> None:
    """The samples; ValueError where a part is missing: header and decoder differ in length."""
    try:
        read_audio(place.given / "x", **options)
    except ValueError as error:
        if "are outside its" not in str(error):
            raise
        raise UserError(str(error)) from None


def _segments(place: Place) -> None:
    reader = UtteranceReader({"r": "x"}, {"u": "r 0.01 0.05", "v": "r 0.1 -1"}, root=place.given)
    for utterance in ("u", "v"):
        reader.read(utterance)


def _archive(place: Place) -> None:
    """The same bytes at an offset of an archive."""
    audio_info(f"{place.given / 'x'}:0")
    read_audio(f"{place.given / 'x'}:0")


def _measured(place: Place) -> None:
    """As preparation measures a corpus: what cannot be read is told, not raised."""
    _, unreadable = measure({"u": Path(place.given / "x")})
    for reason in unreadable.values():
        raise UnreadableAudio("x", reason)


WORDS = [
    b"RIFF",
    b"RF64",
    b"WAVE",
    b"fmt ",
    b"data",
    b"ds64",
    b"LIST",
    b"fLaC",
    b"OggS",
    b"FORM",
    b"AIFF",
    b"moov",
    b"mdat",
    b"trak",
    b"elst",
    b"stsd",
    b"\xff\xff\xff\xff",
    b"\0\xf0\xff\x7f",
    b"\x10\0\0\0",
    b"\1\0\1\0",
    b"\xfe\xff",
    b"\3\0",
    b"\0\0\0\0",
    b"caff",
    b"riff",
    b"NIST_1A",
    b"ID3\4\0\0\xff\x7f\x7f\x7f",
]

WAV = Target(
    "wav",
    {
        "utils.audio.audio_info": lambda place: audio_info(place.given / "x"),
        "utils.audio.read_audio": _audio,
        "utils.audio.read_audio (all channels)": lambda place: _audio(place, channel="mean"),
        "utils.audio.read_audio (parts)": _parts,
        "utils.audio.read_audio (in an archive)": _archive,
        "utils.audio.UtteranceReader (segments)": _segments,
        "local.corpus.measure": _measured,
    },
    _seeds,
    WORDS,
)
