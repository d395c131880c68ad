"""Unusual audio of every kind, read and packed: as the options ask, or dropped with a reason."""

import io
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from utils.archive import iterate_archive
from utils.audio import UtteranceReader, audio_info, read_audio
from utils.data_dir.ledger import Ledger
from utils.errors import UnreadableAudio
from utils.packed.packer import Packer

RATE = 16000
POLICY = {"min_seconds": 0.3}


def tone(seconds=1.0, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def encoded(samples, rate=RATE, format="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=format) as sound:
        for start in range(0, len(samples), rate):  # libsndfile dies of minutes of ogg at once
            sound.write(samples[start : start + rate])
    return file.getvalue()


def spoiled(value):
    samples = tone()
    samples[4321] = value
    return encoded(samples, subtype="FLOAT")


def chunks_before_data():
    """A wave with an odd-sized comment (padded), a chunk with 'data' in it, and one at the end."""
    wave = encoded(tone())
    odd = (
        b"note"
        + struct.pack("<I", 5)
        + b"hello\0"
        + b"junk"
        + struct.pack("<I", 12)
        + b"datadatadata"
    )
    return (
        wave[:4]
        + struct.pack("<I", len(wave) - 8 + len(odd) + 12)
        + wave[8:36]
        + odd
        + wave[36:]
        + b"LIST"
        + struct.pack("<I", 4)
        + b"INFO"
    )


def packed(path, folder, **options):
    """What the packer makes of one file: its samples and counts, or its line in the ledger."""
    ledger = Ledger(folder)
    reading = {name: options.pop(name) for name in ("channel",) if name in options}
    packer = Packer(UtteranceReader({"u": str(path)}, **reading), ledger, RATE, **POLICY | options)
    packer.write(folder / "packed.1", ["u"])
    sound = dict(iterate_archive(folder / "packed.1.ark"))
    dropped = (folder / "packed.1.dropped").read_text()
    assert bool(sound) != bool(dropped), "neither packed nor in the ledger, or both"
    assert ledger.counts["came_in"] == 1
    return (np.ravel(sound["u"]) / 32768, packer.counts) if sound else dropped


KEPT = {
    "8 kHz": (encoded(tone(rate=8000), 8000), 8000),
    "44.1 kHz": (encoded(tone(rate=44100), 44100), 44100),
    "96 kHz": (encoded(tone(rate=96000), 96000), 96000),
    "24 bits": (encoded(tone(), subtype="PCM_24"), RATE),
    "32 bits": (encoded(tone(), subtype="PCM_32"), RATE),
    "float": (encoded(tone(), subtype="FLOAT"), RATE),
    "double": (encoded(tone(), subtype="DOUBLE"), RATE),
    "8 bits": (encoded(tone(), subtype="PCM_U8"), RATE),
    "u-law": (encoded(tone(), subtype="ULAW"), RATE),
    "A-law": (encoded(tone(), subtype="ALAW"), RATE),
    "8 channels": (encoded(np.stack([tone()] * 8, axis=1)), RATE),
    "WAVE_FORMAT_EXTENSIBLE": (encoded(tone(), format="WAVEX"), RATE),
    "RF64": (encoded(tone(), format="RF64"), RATE),
    "chunks before and behind the samples": (chunks_before_data(), RATE),
    "flac": (encoded(tone(), format="FLAC"), RATE),
    "flac of 24 bits": (encoded(tone(), format="FLAC", subtype="PCM_24"), RATE),
    "ogg": (encoded(tone(), format="OGG", subtype="VORBIS"), RATE),
    "opus": (encoded(tone(), format="OGG", subtype="OPUS"), RATE),
    "mp3": (encoded(tone(), format="MP3", subtype="MPEG_LAYER_III"), RATE),
    "NIST SPHERE": (encoded(tone(), format="NIST"), RATE),
}


@pytest.mark.parametrize("kind", KEPT)
def test_it_is_read_at_its_rate_and_packed_at_that_of_the_archive(tmp_path, kind):
    content, rate = KEPT[kind]
    (tmp_path / "odd.wav").write_bytes(content)
    samples, found_rate = read_audio(tmp_path / "odd.wav")
    assert (found_rate, audio_info(tmp_path / "odd.wav")) == (rate, (len(samples), rate))
    sound, counts = packed(tmp_path / "odd.wav", tmp_path)
    assert (counts["clipped_utterances"], counts["samples"]) == (0, len(sound))
    assert len(sound) == pytest.approx(RATE, abs=0.1 * RATE if kind == "mp3" else 0)
    middle = slice(2000, 14000)
    spectrum = np.abs(np.fft.rfft(sound[middle]))
    assert np.argmax(spectrum) == 300 * 12000 / RATE
    assert np.square(sound[middle]).mean() == pytest.approx(0.125, rel=0.05)
    if kind not in (
        "mp3",
        "ogg",
        "opus",
    ):  # those have delays, and errors that the ear does not mind
        assert np.abs(sound - tone())[middle].max() < (
            0.02 if kind in ("u-law", "A-law", "8 bits") else 2e-3
        )


UNREADABLE = {
    "zero length": (b"", "cannot be read"),
    "no samples": (encoded(tone(0)), "no samples"),
    "no samples of flac": (
        encoded(tone(0), format="FLAC"),
        "no samples|its header does not say how many|cannot be read",
    ),
    "truncated header": (encoded(tone())[:30], "cannot be read"),
    "header without samples": (
        encoded(tone())[:44],
        "fewer samples than its header says: 32,000 bytes are missing",
    ),
    "truncated body": (
        encoded(tone())[:20_000],
        "fewer samples than its header says: 12,044 bytes are missing",
    ),
    "truncated WAVE_FORMAT_EXTENSIBLE": (
        encoded(tone(), format="WAVEX")[:20_000],
        "fewer samples than its header says",
    ),
    "truncated RF64": (
        encoded(tone(), format="RF64")[:20_000],
        "fewer samples than its header says",
    ),
    "truncated behind odd chunks": (
        chunks_before_data()[:20_000],
        "fewer samples than its header says: 12,0.. bytes are missing",
    ),
    "flac cut in the middle": (
        encoded(tone(), format="FLAC")[: len(encoded(tone(), format="FLAC")) // 2],
        "cannot be read|fewer samples",
    ),
    "ogg cut in the middle": (
        encoded(tone(), format="OGG", subtype="VORBIS")[:-1000],
        "the last page of the Ogg stream is missing",
    ),
    "ogg without its last byte": (
        encoded(tone(), format="OGG", subtype="VORBIS")[:-1],
        "the last page of the Ogg stream is missing",
    ),
    "opus cut in the middle": (
        encoded(tone(), format="OGG", subtype="OPUS")[:-1000],
        "the last page of the Ogg stream is missing",
    ),
    "NaN": (spoiled(np.nan), "NaN or Inf at sample 4321"),
    "Inf": (spoiled(np.inf), "NaN or Inf at sample 4321"),
    "minus Inf": (spoiled(-np.inf), "NaN or Inf at sample 4321"),
    "text": (b"this is not the sound that you are looking for\n" * 99, "cannot be read"),
    "an error page": (b"<!DOCTYPE html><html>404</html>", "cannot be read"),
    "zeros": (bytes(50_000), "cannot be read"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_it_is_unreadable_by_its_reason(tmp_path, kind):
    content, reason = UNREADABLE[kind]
    (tmp_path / "odd.wav").write_bytes(content)
    with pytest.raises(UnreadableAudio, match=reason) as refused:
        read_audio(tmp_path / "odd.wav")
    assert packed(tmp_path / "odd.wav", tmp_path) == f"u unreadable {refused.value.reason}\n"


def spoil_path(kind, path):
    if kind == "a folder":
        path.mkdir()
    elif kind == "a broken link":
        path.symlink_to(path.with_name("nowhere.wav"))
    elif kind == "a link to itself":
        path.symlink_to(path)
    elif kind == "no permission":
        path.write_bytes(encoded(tone()))
        path.chmod(0)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("a folder", "cannot be opened: Is a directory"),
        ("a broken link", "cannot be opened: No such file or directory"),
        ("a link to itself", "cannot be opened: Too many levels of symbolic links"),
        pytest.param(
            "no permission",
            "cannot be opened: Permission denied",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read all"),
        ),
    ],
)
def test_a_path_that_cannot_be_opened_is_unreadable_by_its_reason(tmp_path, kind, reason):
    spoil_path(kind, tmp_path / "odd.wav")
    with pytest.raises(UnreadableAudio, match=reason):
        read_audio(tmp_path / "odd.wav")
    assert packed(tmp_path / "odd.wav", tmp_path) == f"u unreadable {reason}\n"


def test_silence_is_dropped_by_policy(tmp_path):
    for silence in (np.zeros(RATE), np.full(RATE, 1e-6)):  # the second rounds to nothing but zeros
        soundfile.write(tmp_path / "odd.wav", silence, RATE, subtype="FLOAT")
        assert len(read_audio(tmp_path / "odd.wav")[0]) == RATE
        assert packed(tmp_path / "odd.wav", tmp_path) == "u policy:silent 1.00 s\n"


def test_002_seconds_are_dropped_by_policy_and_packed_where_the_options_allow_it(tmp_path):
    (tmp_path / "odd.wav").write_bytes(encoded(tone(0.02)))
    assert len(read_audio(tmp_path / "odd.wav")[0]) == 320
    assert packed(tmp_path / "odd.wav", tmp_path) == "u policy:short 0.02 s\n"
    assert len(packed(tmp_path / "odd.wav", tmp_path, min_seconds=0.01)[0]) == 320


def test_clipped_sound_stays_as_it_is_and_what_exceeds_full_scale_is_clipped_and_counted(tmp_path):
    (tmp_path / "odd.wav").write_bytes(encoded(np.clip(3 * tone(), -1, 32767 / 32768)))
    samples, _ = read_audio(tmp_path / "odd.wav")
    sound, counts = packed(tmp_path / "odd.wav", tmp_path)
    assert np.array_equal(sound, samples)
    assert counts["clipped_utterances"] == 0
    (tmp_path / "odd.wav").write_bytes(encoded(3 * tone(), subtype="FLOAT"))
    assert read_audio(tmp_path / "odd.wav")[0].max() == pytest.approx(1.5)
    sound, counts = packed(tmp_path / "odd.wav", tmp_path)
    assert (sound.max(), sound.min(), counts["clipped_utterances"]) == (32767 / 32768, -1, 1)


def test_a_constant_offset_is_kept(tmp_path):
    (tmp_path / "odd.wav").write_bytes(encoded(0.25 + tone(level=0.1), subtype="PCM_24"))
    assert packed(tmp_path / "odd.wav", tmp_path)[0].mean() == pytest.approx(0.25, abs=1e-4)


def test_of_several_channels_the_option_takes_one_or_the_mean(tmp_path):
    channels = np.stack([tone(level=0.05 * (k + 1)) for k in range(8)], axis=1)
    (tmp_path / "odd.wav").write_bytes(encoded(channels, subtype="FLOAT"))
    for channel, expected in (
        (0, channels[:, 0]),
        (7, channels[:, 7]),
        ("mean", channels.mean(axis=1)),
    ):
        assert np.allclose(
            read_audio(tmp_path / "odd.wav", channel=channel)[0], expected, atol=1e-7
        )
        assert np.allclose(
            packed(tmp_path / "odd.wav", tmp_path, channel=channel)[0], expected, atol=1 / 32768
        )
    assert (
        packed(tmp_path / "odd.wav", tmp_path, channel=8)
        == "u unreadable channel 8 was asked for, it has 8 (counted from 0)\n"
    )
    with pytest.raises(ValueError, match="expected none below 0"):
        read_audio(tmp_path / "odd.wav", channel=-1)
    (tmp_path / "one.wav").write_bytes(encoded(tone()))
    assert np.array_equal(
        read_audio(tmp_path / "one.wav", channel="mean")[0], read_audio(tmp_path / "one.wav")[0]
    )


def long_wave(path, hours, channels, rate, tail):
    """A wave of hours that takes almost no disk: a hole, and some samples at its end."""
    size = round(hours * 3600) * rate * channels * 2
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate,
        rate * channels * 2,
        channels * 2,
        16,
        b"data",
        size,
    )
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(44 + size)
        file.seek(44 + size - tail.nbytes)
        file.write(tail.tobytes())
    return size // (2 * channels)


def peak_bytes(function):
    """What it returns, and the most memory that it took on the way."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_of_3_hours_in_two_channels_one_is_held_in_memory_and_it_is_packed_whole(tmp_path):
    tail = np.repeat(np.int16(10_000 * tone()), 2)
    total = long_wave(tmp_path / "odd.wav", 3, 2, 8000, tail)
    (samples, _), taken = peak_bytes(lambda: read_audio(tmp_path / "odd.wav", channel="mean"))
    print(f"3 h: {samples.nbytes / 2**20:.0f} MiB of samples, at most {taken / 2**20:.0f} MiB")
    assert len(samples) == total == 3 * 3600 * 8000
    assert taken < samples.nbytes + 2**25
    del samples
    ledger = Ledger(tmp_path)
    packer = Packer(UtteranceReader({"u": str(tmp_path / "odd.wav")}), ledger, RATE)
    _, taken = peak_bytes(lambda: packer.write(tmp_path / "packed.1", ["u"]))
    print(f"packed at twice the rate: at most {taken / 2**20:.0f} MiB")
    assert packer.num_samples == {"u": 2 * total}
    assert taken < 10 * 2 * total  # 4 bytes a sample before, 4 after
    sound = np.memmap(tmp_path / "packed.1.ark", np.int16, offset=2 + 44)
    assert len(sound) == 2 * total
    assert not sound[:1000].any()
    assert np.abs(sound[-RATE:]).max() > 3000


def bytes_read():
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


@pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads"
)
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "archive"])
@pytest.mark.slow
def test_a_crop_reads_little_more_than_itself(tmp_path, kind):
    noise = 0.1 * np.random.default_rng(0).normal(size=300 * RATE)
    format, subtype = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}.get(
        kind, ("WAV", "PCM_16")
    )
    entry, before = str(tmp_path / "odd"), b"key " * (kind == "archive")
    Path(entry).write_bytes(before + encoded(noise, format=format, subtype=subtype))
    whole = os.path.getsize(entry)
    entry += ":4" if before else ""
    expected, start = read_audio(entry)[0], bytes_read()
    samples, _ = read_audio(entry, start_sample=200 * RATE, num_samples=RATE)
    taken = bytes_read() - start
    print(f"{kind}: {taken:,} of {whole:,} bytes for 1 of 300 s")
    assert np.allclose(
        samples, expected[200 * RATE : 201 * RATE], atol=0 if kind != "ogg" else 1e-6
    )
    assert taken < whole / 8


def test_odd_files_among_good_ones_do_not_stop_the_others(tmp_path):
    for number, (content, _) in enumerate(UNREADABLE.values()):
        (tmp_path / f"{number}.wav").write_bytes(content)
    (tmp_path / "good.wav").write_bytes(encoded(tone()))
    names = {f"u{number}": str(tmp_path / f"{number}.wav") for number in range(len(UNREADABLE))} | {
        "good": str(tmp_path / "good.wav")
    }
    ledger = Ledger(tmp_path)
    Packer(UtteranceReader(names), ledger, RATE).write(tmp_path / "packed.1", names)
    assert ledger.counts == {"came_in": len(names), "went_on": 1, "unreadable": len(UNREADABLE)}
