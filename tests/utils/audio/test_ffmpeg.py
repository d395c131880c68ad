"""Audio that ffmpeg decodes: containers, parts, channels, damage, and errors without ffmpeg."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from steps.collect_packed import collect_packed
from steps.pack_audio import pack_audio
from utils.audio import UtteranceReader, audio_header, audio_info, read_audio
from utils.audio import ffmpeg as compressed
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.errors import UnreadableAudio, UserError

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed (apt install ffmpeg)"
)
RATE = 16000
AAC, ALAC = ("-c:a", "aac"), ("-c:a", "alac")


def chirp(seconds=1.1234, rate=RATE, level=0.4):
    """Samples of 16 bits, alike nowhere, so that a shift by one is seen."""
    times = np.arange(round(seconds * rate)) / rate
    return (
        np.rint(level * np.sin(2 * np.pi * (200 + 600 * times) * times) * 32768).astype(np.float32)
        / 32768
    )


@pytest.fixture
def encode(tmp_path):
    def encode(samples, name, *options, rate=RATE):
        source = tmp_path / f"{name}.source.wav"
        soundfile.write(source, samples, rate, subtype="PCM_16")
        subprocess.run(
            [
                "ffmpeg",
                "-nostdin",
                "-v",
                "error",
                "-y",
                "-i",
                source,
                *options,
                f"file:{tmp_path / name}",
            ],
            check=True,
        )
        source.unlink()
        return str(tmp_path / name)

    return encode


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("x.m4a", AAC, 16000),
        ("x.m4a", AAC, 44100),
        ("x.m4a", AAC, 96000),
        ("x.m4a", AAC, 8000),
        ("x.mp4", (*AAC, "-movflags", "+faststart"), 16000),
        ("x.m4a", ALAC, 16000),
        ("x.mp4", ("-c:a", "libopus"), 48000),
        ("x.webm", ("-c:a", "libopus"), 48000),
        ("x.mov", AAC, 16000),
    ],
)
@pytest.mark.slow
def test_a_container_gives_the_sound_at_its_place_and_in_its_length(encode, name, options, rate):
    sound = chirp(rate=rate)
    entry = encode(sound, name, *options, rate=rate)
    samples, found_rate = read_audio(entry)
    assert samples.dtype == np.float32
    assert found_rate == rate
    assert audio_info(entry) == (len(samples), rate) == (len(sound), rate)
    error = np.square(samples - sound)[rate // 10 : -rate // 10].mean() / np.square(sound).mean()
    print(f"{name} {options[1]} {rate} Hz: error {10 * np.log10(max(error, 1e-20)):.1f} dB")
    assert error == 0 if "alac" in options else error < 0.05


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.aac", AAC),
        ("x.mka", AAC),
        ("x.webm", ("-c:a", "libvorbis")),
        ("x.wma", ("-c:a", "wmav2")),
        ("x.flv", ("-c:a", "libmp3lame", "-ar", "22050")),
        ("x.ac3", ("-c:a", "ac3", "-ar", "32000")),
        ("x.m4a", (*AAC, "-use_editlist", "0")),
        ("x.mp4", (*AAC, "-movflags", "frag_keyframe+empty_moov")),
    ],
)
@pytest.mark.slow
def test_a_container_without_exact_length_gives_the_sound_within_the_tolerance(
    encode, name, options
):
    entry = encode(chirp(3.0), name, *options)
    samples, rate = read_audio(entry)
    assert abs(len(samples) / rate - 3.0) <= compressed.TOLERANCE_SECONDS
    assert np.square(samples).mean() == pytest.approx(np.square(chirp(3.0)).mean(), rel=0.2)
    assert audio_info(entry) == (len(samples), rate)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.m4a", "x.webm"])
@pytest.mark.slow
def test_a_part_is_the_part_of_the_whole(encode, name):
    entry = encode(chirp(3.0, 48000), name, rate=48000)
    whole, _ = read_audio(entry)
    for start, num in ((0, 10), (4321, 999), (100_000, 0), (len(whole) - 7, 7)):
        assert np.array_equal(
            read_audio(entry, start_sample=start, num_samples=num)[0], whole[start : start + num]
        )
    assert np.array_equal(read_audio(entry, start_sample=140_000)[0], whole[140_000:])
    with pytest.raises(ValueError, match="are outside its"):
        read_audio(entry, start_sample=len(whole) - 7, num_samples=8)


@needs_ffmpeg
def test_one_channel_or_the_mean_of_all(encode):
    channels = np.stack([chirp(level=0.1), chirp(level=0.3)], axis=1)
    entry = encode(channels, "x.m4a", *ALAC)
    assert np.array_equal(read_audio(entry)[0], channels[:, 0])
    assert np.array_equal(read_audio(entry, channel=1)[0], channels[:, 1])
    assert np.allclose(read_audio(entry, channel="mean")[0], channels.mean(axis=1), atol=1e-7)
    with pytest.raises(UnreadableAudio, match="channel 2 was asked for, it has 2"):
        read_audio(entry, channel=2)


@needs_ffmpeg
def test_of_a_video_with_two_sounds_the_first_is_read(encode, tmp_path):
    second = encode(chirp(level=0.1), "second.m4a", *ALAC)
    entry = encode(
        chirp(),
        "x.mp4",
        "-f",
        "lavfi",
        "-i",
        "testsrc=d=3:s=32x32",
        "-i",
        second,
        "-map",
        "1:v",
        "-map",
        "0:a",
        "-map",
        "2:a",
        "-c:v",
        "mpeg4",
        *ALAC,
    )
    assert np.array_equal(read_audio(entry)[0], chirp())
    assert audio_info(entry) == (len(chirp()), RATE)


@needs_ffmpeg
def test_the_kind_is_told_by_the_first_bytes_and_any_name_is_only_a_name(encode, tmp_path):
    for name in ("x.wav", "-y; touch gone 'x' $(touch gone) ü |%03d.m4a", "concat:a|b.m4a"):
        entry = tmp_path / name
        shutil.move(encode(chirp(), "y.m4a", *ALAC), entry)
        assert np.array_equal(read_audio(entry)[0], chirp())
        assert np.array_equal(read_audio(name, root=tmp_path)[0], chirp())
    assert not list(tmp_path.glob("*gone"))


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n",
    ],
)
def test_a_list_that_names_other_files_is_not_followed(tmp_path, text):
    soundfile.write(tmp_path / "secret.wav", chirp(), RATE)
    (tmp_path / "x.m4a").write_text(text)
    with pytest.raises(UnreadableAudio, match="cannot be read"):
        read_audio(tmp_path / "x.m4a")


def damaged(encode, kind):
    """A file with that fault, and what is to be said of it."""
    faststart = (*AAC, "-movflags", "+faststart")
    name, options = {
        "webm cut": ("x.webm", ("-c:a", "libopus")),
        "aac cut": ("x.aac", AAC),
        "sound cut": ("x.m4a", faststart),
        "too long": ("x.m4a", faststart),
    }.get(kind, ("x.m4a", AAC))
    entry = encode(chirp(3.0, 48000), name, *options, rate=48000)
    with open(entry, "rb") as file:
        content = bytearray(file.read())
    half = len(content) // 2
    if kind == "zeroed":
        content[half : half + 3000] = bytes(3000)
    elif kind == "too long":  # as if twice as much had been written
        at = content.index(b"mdhd") + 20
        content[at : at + 4] = (2 * int.from_bytes(content[at : at + 4], "big")).to_bytes(4, "big")
        content[content.index(b"edts") : content.index(b"edts") + 4] = b"free"
    elif kind == "header only":
        del content[40:]
    else:
        del content[half:]
    with open(entry, "wb") as file:
        file.write(content)
    return entry


@needs_ffmpeg
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut", "fewer samples than its header says: .* bytes are missing"),
        ("sound cut", "fewer samples than its header says: .* bytes are missing"),
        ("header only", r"the box 'moov', .*, is missing"),
        ("webm cut", "ffmpeg cannot decode it: File ended prematurely"),
        ("aac cut", "ffmpeg cannot decode it: "),
        ("zeroed", "ffmpeg cannot decode it: "),
        ("too long", "3.0. s could be decoded, its header says 6.0. s"),
    ],
)
def test_damage_is_unreadable_by_its_reason(encode, kind, reason):
    entry = damaged(encode, kind)
    with pytest.raises(UnreadableAudio, match=reason) as refused:
        read_audio(entry)
    assert "\n" not in str(refused.value)


@needs_ffmpeg
def test_lengths_come_from_the_header_without_a_process(encode, monkeypatch):
    entry = encode(chirp(), "x.m4a", *AAC)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert audio_info(entry) == (len(chirp()), RATE)


@needs_ffmpeg
def test_without_ffmpeg_it_is_said_how_to_install_it_before_anything_is_read(
    encode, monkeypatch, tmp_path
):
    entry = encode(chirp(), "x.m4a", *AAC)
    soundfile.write(tmp_path / "a.wav", chirp(), RATE)
    data = tmp_path / "data"
    write_data_dir(
        DataDir(data, {"a": str(tmp_path / "a.wav"), "b": entry}, {"a": "s", "b": "s"}), data
    )
    monkeypatch.setenv("PATH", "")
    for read in (
        lambda: read_audio(entry),
        lambda: UtteranceReader({"a": "none.wav", "b": entry}),
        lambda: pack_audio(data, tmp_path / "packed", min_speech_seconds=0),
    ):
        with pytest.raises(
            UserError,
            match=r"x\.m4a: audio of this format is decoded by ffmpeg, .*apt install ffmpeg",
        ) as refused:
            read()
        assert not isinstance(refused.value, UnreadableAudio)
        assert "\n" not in str(refused.value)
    assert not list((tmp_path / "packed").rglob("packed*"))
    assert UtteranceReader({"a": str(tmp_path / "a.wav")}).read("a")[1] == RATE


@needs_ffmpeg
def test_segments_of_one_recording_decode_it_once(encode, monkeypatch):
    entry, started = encode(chirp(3.0), "x.m4a", *ALAC), []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda *words, **options: started.append(words) or popen(*words, **options),
    )
    reader = UtteranceReader({"r": entry}, {"a": "r 0 1.0", "b": "r 0.5 1.5", "c": "r 2.0 -1"})
    assert [
        np.array_equal(reader.read(key)[0], chirp(3.0)[first:last])
        for key, first, last in (("a", 0, 16000), ("b", 8000, 24000), ("c", 32000, 48000))
    ] == [True] * 3
    assert len(started) == 1


@needs_ffmpeg
@pytest.mark.slow
def test_m4a_is_packed_in_parallel_like_the_wave_that_it_holds_and_damage_goes_to_the_ledger(
    encode, tmp_path
):
    folders, wav_scp = {}, {"wav": {}, "m4a": {}}
    for number in range(6):
        sound = chirp(0.5 + 0.1 * number)
        soundfile.write(tmp_path / f"{number}.wav", sound, RATE)
        wav_scp["wav"][f"u{number}"] = str(tmp_path / f"{number}.wav")
        wav_scp["m4a"][f"u{number}"] = encode(sound, f"{number}.m4a", *ALAC)
    for kind, entries in wav_scp.items():
        write_data_dir(
            DataDir(tmp_path / kind, entries, dict.fromkeys(entries, "s")), tmp_path / kind
        )
        for job in ("1/2", "2/2"):
            pack_audio(tmp_path / kind, tmp_path / f"packed_{kind}", min_speech_seconds=0, job=job)
        collect_packed(tmp_path / kind, tmp_path / f"packed_{kind}", jobs=2)
        folders[kind] = tmp_path / f"packed_{kind}"
    for name in ("packed.1.ark", "packed.2.ark", "utt2num_samples", "utt2dur", "dropped"):
        assert (folders["wav"] / name).read_bytes() == (folders["m4a"] / name).read_bytes()
    assert len(read_map(folders["m4a"] / "wav.scp")) == 6
    shutil.copy(damaged(encode, "cut"), wav_scp["m4a"]["u3"])
    pack_audio(tmp_path / "m4a", tmp_path / "again", min_speech_seconds=0)
    assert collect_packed(tmp_path / "m4a", tmp_path / "again")["went_on"] == 5
    assert (
        (tmp_path / "again" / "dropped")
        .read_text()
        .startswith("u3 unreadable fewer samples than its header says: ")
    )


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.m4a", ("-c:a", "aac")),
        ("x.m4a", ALAC),
        ("x.mp4", ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov")),
        ("x.webm", ("-c:a", "libopus")),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_headers_tell_how_many_channels_there_are(encode, name, options, channels):
    """Beside AAC an mp4 says 2, whatever the sound is: what the decoder is told counts."""
    entry = encode(np.stack([chirp(level=0.2)] * channels, axis=1), name, *options)
    assert audio_header(entry).channels == channels


@needs_ffmpeg
def test_the_only_channel_is_taken_for_any_other(encode):
    entry = encode(chirp(level=0.2), "x.m4a", *ALAC)
    assert np.array_equal(read_audio(entry, channel=1)[0], read_audio(entry)[0])
