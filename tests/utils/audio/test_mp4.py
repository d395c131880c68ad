"""Lengths from the boxes of an MP4 made by hand; files made by ffmpeg: test_ffmpeg.py."""

import io
import struct

import pytest
from hypothesis import given, strategies

from utils.audio.mp4 import Mp4Audio, read_mp4_header


def box(name, *contents):
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def track(kind=b"soun", clock_hz=16000, ticks=50998, stated_hz=16000, edits=(), long=False):
    """A track: clock, duration in ticks, rate, and edits as (length in ms, first tick)."""
    mdhd = (
        struct.pack(">IQQIQ", 1 << 24, 0, 0, clock_hz, ticks)
        if long
        else struct.pack(">IIIII", 0, 0, 0, clock_hz, ticks)
    )
    entry = struct.pack(">QqI" if long else ">IiI", *(0, 0, 65536))
    entries = [struct.pack(">QqI" if long else ">IiI", *edit, 65536) for edit in edits]
    assert all(len(each) == len(entry) for each in entries)
    edts = (
        box(b"edts", box(b"elst", struct.pack(">II", long << 24, len(entries)), *entries))
        if edits
        else b""
    )
    stsd = struct.pack(">II", 0, 1) + box(b"mp4a", bytes(24), struct.pack(">HH", stated_hz, 0))
    return box(
        b"trak",
        edts,
        box(
            b"mdia",
            box(b"mdhd", mdhd),
            box(b"hdlr", bytes(8) + kind + bytes(13)),
            box(b"minf", box(b"stbl", box(b"stsd", stsd))),
        ),
    )


def movie(*tracks, more=b""):
    return box(
        b"moov", box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 3124), bytes(80)), *tracks, more
    )


def length_of(content):
    return read_mp4_header(io.BytesIO(content))[:2]


FTYP, MDAT = box(b"ftyp", b"M4A "), box(b"mdat", bytes(1000))


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (track(), (50998, 16000)),  # no edits: all of it is played
        (
            track(edits=[(3124, 1024)]),
            (50998 - 1024, 16000),
        ),  # the encoder's 1,024 samples are left out; 3,124 ms are 10 samples more than the rest
        (track(edits=[(3123, 1024)]), (50998 - 1024, 16000)),
        (track(edits=[(0, 1024)]), (50998 - 1024, 16000)),  # 0: to the end
        (track(edits=[(1000, 1024)]), (16000, 16000)),  # the end was really cut away
        (
            track(edits=[(500, -1), (3124, 1024)]),
            (50998 - 1024, 16000),
        ),  # -1: a pause before it, of which a decoder makes nothing
        (track(edits=[(1000, 0), (500, 32000)]), (24000, 16000)),
        (track(long=True, edits=[(3124, 1024)]), (50998 - 1024, 16000)),
        (track(clock_hz=96000, stated_hz=0), (50998, 96000)),  # 16 bits are too few for this rate
        (track(clock_hz=48000, stated_hz=1), (50998, 48000)),
        (track(clock_hz=600, ticks=600, stated_hz=44100), (44100, 44100)),  # a clock of pictures
        (track(clock_hz=22050, ticks=22050, stated_hz=44100), (44100, 44100)),
        (track(ticks=0), (0, 16000)),
    ],
)
def test_the_length_is_what_is_played(sound, expected):
    assert length_of(FTYP + MDAT + movie(sound)) == expected
    assert length_of(FTYP + movie(sound) + MDAT) == expected


def test_the_first_sound_is_taken_whatever_tracks_stand_before_it():
    pictures = track(kind=b"vide", clock_hz=12800, ticks=99999)
    assert length_of(movie(pictures, track(ticks=7), track(ticks=8)) + MDAT) == (7, 16000)
    with pytest.raises(ValueError, match="it has no audio track"):
        length_of(movie(pictures) + MDAT)


def test_fragments_have_no_length():
    assert length_of(movie(track(ticks=0), more=box(b"mvex"))) == (None, 16000)


def test_boxes_of_more_than_4_gigabytes_and_boxes_to_the_end_are_walked():
    huge = struct.pack(">I4sQ", 1, b"mdat", 1016) + bytes(1000)
    assert length_of(FTYP + huge + movie(track())) == (50998, 16000)
    assert length_of(FTYP + movie(track()) + struct.pack(">I4s", 0, b"mdat") + bytes(77)) == (
        50998,
        16000,
    )
    with pytest.raises(ValueError, match="4,294,966,296 bytes are missing"):
        length_of(
            FTYP + movie(track()) + struct.pack(">I4sQ", 1, b"mdat", (1 << 32) + 16) + bytes(1000)
        )


def test_what_is_missing_is_said():
    whole = FTYP + movie(track()) + MDAT
    with pytest.raises(
        ValueError, match="fewer samples than its header says: 100 bytes are missing"
    ):
        length_of(whole[:-100])
    with pytest.raises(
        ValueError, match=r"the box 'moov', which says where the samples are, is missing"
    ):
        length_of(FTYP + MDAT)
    with pytest.raises(ValueError, match="its header is damaged"):
        length_of(whole.replace(b"mdhd", b"xxxx"))
    with pytest.raises(ValueError, match="its header is damaged"):
        length_of(movie(track(clock_hz=0)))


@given(strategies.data())
def test_damage_gives_a_length_or_a_reason_and_nothing_else(data):
    content = bytearray(
        FTYP + movie(track(edits=[(3124, 1024)]), track(long=True, edits=[(5, 6)])) + MDAT
    )
    for _ in range(data.draw(strategies.integers(0, 8))):
        content[data.draw(strategies.integers(0, len(content) - 1))] = data.draw(
            strategies.integers(0, 255)
        )
    try:
        found = read_mp4_header(
            io.BytesIO(bytes(content[: data.draw(strategies.integers(0, len(content)))]))
        )
    except ValueError as error:
        assert str(error)  # noqa: PT017
    else:
        assert isinstance(found, Mp4Audio)
