"""Every coding of libsndfile: the header check agrees with the reader; truncation is an error."""

import io
import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from utils.audio import audio_info, read_audio
from utils.audio.containers import is_mp3_without_length
from utils.errors import UnreadableAudio, UserError

RATE = 8000
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
WITHOUT_HEADER = {"RAW", "SD2"}  # nobody can tell that they are sound
CODINGS = [
    (kind, coding)
    for kind in soundfile.available_formats()
    if kind not in WITHOUT_HEADER
    for coding in soundfile.available_subtypes(kind)
]
# Files of these say how much sound they hold; what ends before is refused from the header.
STATED = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST"}
STATED |= {"CAF", "SVX", "VOC", "AVR", "WVE"}


def tone(seconds=1.0, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * 300 / rate * np.arange(round(seconds * rate)))).astype("f4")


def write(path, kind, coding):
    """One second of a tone; its rate, or None where libsndfile cannot write it."""
    for rate in (RATE, 16000, 44100):
        try:
            soundfile.write(path, tone(rate=rate), rate, format=kind, subtype=coding)
            return rate
        except (soundfile.LibsndfileError, ValueError):
            continue
    return None


def length_and_rate(samples, rate):
    return len(samples), rate


def said_of(read):
    """What a function returns, or why the sound is refused."""
    try:
        return read()
    except UnreadableAudio as error:
        return error.reason


@pytest.mark.parametrize(("kind", "coding"), CODINGS)
def test_header_and_reader_agree(tmp_path, kind, coding):
    path = tmp_path / "x.snd"
    rate = write(path, kind, coding)
    if rate is None:
        pytest.skip("libsndfile cannot write it")
    header = said_of(lambda: audio_info(path))
    read = said_of(lambda: length_and_rate(*read_audio(path)))
    part = said_of(lambda: len(read_audio(path, start_sample=1000, num_samples=500)[0]))
    if "DWVW" in coding:
        assert "its coding" in header
        assert header == read == part
        return
    assert header == read
    assert part == 500
    assert header[0] == pytest.approx(rate, abs=600)  # codings of blocks fill the last
    assert np.array_equal(
        read_audio(path, start_sample=1000, num_samples=500)[0], read_audio(path)[0][1000:1500]
    ) or coding in ("MPEG_LAYER_III", "VORBIS", "OPUS")


@pytest.mark.parametrize(("kind", "coding"), [pair for pair in CODINGS if pair[0] in STATED])
def test_a_cut_file_is_refused_by_header_and_reader(tmp_path, kind, coding):
    path = tmp_path / "x.snd"
    if write(path, kind, coding) is None:
        pytest.skip("libsndfile cannot write it")
    content = path.read_bytes()
    path.write_bytes(content[: max(1200, len(content) * 3 // 5)])
    for read in (audio_info, read_audio):
        with pytest.raises(UnreadableAudio, match="fewer samples than its header says"):
            read(path)


def wave(samples=1000):
    file = io.BytesIO()
    soundfile.write(file, tone()[:samples], RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.mark.parametrize("riff_bytes", [0, 36])
def test_a_wave_whose_recorder_was_stopped_is_said_to_be_one(tmp_path, riff_bytes):
    good = wave()
    path = tmp_path / "stopped.wav"
    path.write_bytes(good[:4] + struct.pack("<I", riff_bytes) + good[8:40] + bytes(4) + good[44:])
    for read in (audio_info, read_audio):
        with pytest.raises(UnreadableAudio, match=r"2,000 bytes follow: the recorder was stopped"):
            read(path)
    if shutil.which("ffmpeg"):
        words = f"ffmpeg -v error -i {path} {tmp_path / 'new.wav'}"  # as the message says
        subprocess.run(words.split(), check=True)
        assert audio_info(tmp_path / "new.wav") == (1000, RATE)


def test_a_wave_without_samples_has_none_whatever_chunks_follow(tmp_path):
    empty = wave(0)
    (tmp_path / "empty.wav").write_bytes(empty)
    (tmp_path / "noted.wav").write_bytes(empty + b"LIST" + struct.pack("<I", 4) + b"INFO")
    for name in ("empty.wav", "noted.wav"):
        with pytest.raises(UnreadableAudio, match="no samples$"):
            read_audio(tmp_path / name)


def encode(path, *words, seconds=3):
    source = f"aevalsrc=random(0)*lt(t\\,1)*0.5:d={seconds}:s=16000"  # loud, then silent
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *words, str(path)]
    subprocess.run(command, check=True)
    return path


@needs_ffmpeg
@pytest.mark.parametrize(
    "words",
    [
        "-c:a libmp3lame -write_xing 0 -q:a 0 -f mp3",  # libsndfile stops after a fifth of it
        "-c:a libmp3lame -write_xing 0 -b:a 32k -f mp3",
        "-c:a libmp3lame -q:a 5 -f mp3",
        "-c:a libmp3lame -q:a 5 -f wav",
        "-c:a g722 -f wav",
        "-c:a adpcm_yamaha -f wav",
        "-c:a mp2 -f wav",
    ],
)
def test_what_libsndfile_would_guess_or_not_know_is_read_whole(tmp_path, words):
    path = encode(tmp_path / "x", *words.split())
    num_samples, rate = audio_info(path)
    assert len(read_audio(path)[0]) == num_samples
    assert num_samples / rate == pytest.approx(3, abs=0.1)


@needs_ffmpeg
def test_an_mp3_without_its_length_is_refused_in_a_pipe_and_one_with_it_is_read(tmp_path):
    guessed = encode(tmp_path / "a.mp3", "-write_xing", "0")
    stated = encode(tmp_path / "b.mp3")
    with open(guessed, "rb") as one, open(stated, "rb") as other:
        assert is_mp3_without_length(one)
        assert not is_mp3_without_length(other)
    with pytest.raises(UnreadableAudio, match="an MP3 whose header has no length"):
        audio_info(f"cat {guessed} |", allow_pipes=True)
    assert audio_info(f"cat {stated} |", allow_pipes=True) == (48000, 16000)


@needs_ffmpeg
def test_a_flac_from_a_pipe_is_refused_by_header_and_reader_alike(tmp_path):
    path = tmp_path / "piped.flac"
    words = "ffmpeg -v error -f lavfi -i sine=d=1:r=16000 -f flac -"
    path.write_bytes(subprocess.run(words.split(), check=True, capture_output=True).stdout)
    for read in (audio_info, read_audio):
        with pytest.raises(UnreadableAudio, match="does not say how many samples it has"):
            read(path)
    subprocess.run(f"ffmpeg -v error -i {path} {tmp_path / 'new.flac'}".split(), check=True)
    assert audio_info(tmp_path / "new.flac") == (16000, 16000)


def test_a_coding_that_is_not_read_is_named(tmp_path, monkeypatch):
    header = (
        b"NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 8000\nsample_n_bytes -i 2\n"
        b"sample_coding -s26 pcm,embedded-shorten-v2.00\nsample_count -i 4000\nend_head\n"
    )
    (tmp_path / "x.sph").write_bytes(header.ljust(1024, b"\0") + b"ajkg\x02" + bytes(99))
    with pytest.raises(UnreadableAudio, match="pcm,embedded-shorten-v2.00.*sph2pipe -f wav"):
        audio_info(tmp_path / "x.sph")
    coded = wave()[:20] + struct.pack("<H", 0x28F) + wave()[22:]
    (tmp_path / "g722.wav").write_bytes(coded)
    with pytest.raises(UnreadableAudio, match="Its coding is 0x028f; `ffmpeg"):
        audio_info(f"cat {tmp_path / 'g722.wav'} |", allow_pipes=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="decoded by ffmpeg, which is not on the PATH"):
        audio_info(tmp_path / "g722.wav")


def test_a_name_on_raw_says_nothing_of_the_header(tmp_path):
    path = tmp_path / "x.RAW"
    path.write_bytes(wave())
    assert audio_info(path) == (1000, RATE)
    part = read_audio(path, start_sample=10, num_samples=5)[0]
    assert np.abs(part - tone()[10:15]).max() < 1e-4
    path.write_bytes(wave()[44:])
    for read in (audio_info, read_audio):
        with pytest.raises(UnreadableAudio, match="cannot be read: Format not recognised"):
            read(path)
