"""Reading audio: every kind, parts of it, every fault by its reason; golden files of Kaldi."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from utils.archive import ArchiveWriter, iterate_archive, read_scp
from utils.audio import UtteranceReader, audio_info, read_audio, resample, to_int16
from utils.audio.containers import CODINGS_OF_LIBSNDFILE, wave_coding
from utils.data_dir import read_map
from utils.errors import UnreadableAudio, UserError
from utils.packed.reader import PackedReader

GOLDEN = Path(__file__).parents[2] / "golden" / "kaldi"
RATE = 16000


def tone(seconds=1.0, rate=RATE, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def bytes_of(samples, rate=RATE, format="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(content, name="sound.wav"):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 1 / 127),
        ("WAV", "PCM_16", 1 / 32767),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("FLAC", "PCM_16", 1 / 32767),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.1),
        ("WAVEX", "PCM_16", 1 / 32767),
        ("AIFF", "PCM_16", 1 / 32767),
    ],
)
def test_every_format_and_depth_gives_the_samples_in_full_scale(write, format, subtype, error):
    samples, rate = read_audio(write(bytes_of(tone(), format=format, subtype=subtype)))
    assert rate == RATE
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    assert np.abs(samples - tone()).max() <= error


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_the_rate_is_that_of_the_file(write, rate):
    entry = write(bytes_of(tone(rate=rate), rate))
    assert read_audio(entry)[1] == rate
    assert audio_info(entry) == (rate, rate)


@example("PCM_U8", 1, 0, [(21, 4)])  # an empty wave of Intel's coding
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"]),
    st.integers(1, 3),
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 43), st.integers(0, 255)), max_size=2),
)
def test_a_header_is_read_as_libsndfile_reads_it(write, subtype, channels, frames, changed):
    content = bytearray(bytes_of(np.zeros((frames, channels), np.float32), subtype=subtype))
    for place, value in changed:
        content[place] = value
    entry = write(bytes(content))
    try:
        ours = audio_info(entry)
    except UnreadableAudio:  # what lacks samples is no sound, though libsndfile reads it
        assert changed
        return
    try:
        theirs = soundfile.info(entry)
    except soundfile.LibsndfileError:  # of a coding that only ffmpeg decodes
        assert wave_coding(io.BytesIO(content)) not in CODINGS_OF_LIBSNDFILE
        return
    assert ours == (theirs.frames, theirs.samplerate)


def test_of_eight_channels_one_is_read(write):
    channels = np.stack([tone(hz=100 * (k + 1)) for k in range(8)], axis=1)
    entry = write(bytes_of(channels, subtype="FLOAT"))
    assert np.array_equal(read_audio(entry)[0], channels[:, 0])
    assert np.array_equal(read_audio(entry, channel=7)[0], channels[:, 7])
    with pytest.raises(UnreadableAudio, match="channel 8 was asked for, it has 8"):
        read_audio(entry, channel=8)


@pytest.mark.parametrize("format", ["WAV", "FLAC"])
def test_a_part_is_the_part_of_the_whole(write, format):
    entry = write(bytes_of(tone(), format=format))
    whole = read_audio(entry)[0]
    assert np.array_equal(
        read_audio(entry, start_sample=1234, num_samples=500)[0], whole[1234:1734]
    )
    assert np.array_equal(read_audio(entry, start_sample=15000)[0], whole[15000:])
    with pytest.raises(ValueError, match="are outside its"):
        read_audio(entry, start_sample=15000, num_samples=1001)


def test_a_wave_archive_is_read_at_its_offsets():
    waves = read_scp(GOLDEN / "wav_copy.scp")
    assert len(waves) == 3
    for key, entry in waves.items():
        packed, plain = read_audio(entry, root=GOLDEN), read_audio(f"wav/{key}.wav", root=GOLDEN)
        assert packed[1] == plain[1]
        assert np.array_equal(packed[0], plain[0])
        assert audio_info(entry, root=GOLDEN) == (len(plain[0]), plain[1])


def test_a_part_of_an_archive_is_read_without_the_rest(write):
    content = b"a " + bytes_of(tone(hz=300)) + b"b " + bytes_of(tone(hz=500))
    entry = f"{write(content, 'x.ark')}:{content.index(b'b RIFF') + 2}"
    whole = read_audio(entry)[0]
    assert np.array_equal(read_audio(entry, start_sample=100, num_samples=50)[0], whole[100:150])


def test_segments_are_those_that_kaldi_cuts():
    segments = dict(line.split(" ", 1) for line in (GOLDEN / "segments").read_text().splitlines())
    reader = UtteranceReader(read_map(GOLDEN / "wav.scp"), segments, root=GOLDEN)
    cut = dict(iterate_archive(GOLDEN / "segments_wav.ark"))
    assert sorted(cut) == sorted(reader.segments)
    assert cut
    for utterance, expected in cut.items():
        assert np.array_equal(to_int16(reader.read(utterance)[0]), np.ravel(expected)), utterance


def test_a_segment_may_overshoot_by_half_a_second_and_no_more(write):
    entry = write(bytes_of(tone(2.0)))
    reader = UtteranceReader(
        {"r": entry},
        {
            "inside": "r 1.5 2.4",
            "to_the_end": "r 0.5 -1",
            "beyond": "r 1.0 2.6",
            "behind": "r 2.0 2.2",
        },
    )
    assert len(reader.read("inside")[0]) == RATE // 2
    assert len(reader.read("to_the_end")[0]) == 3 * RATE // 2
    for utterance in ("beyond", "behind"):
        with pytest.raises(UnreadableAudio, match="a segment from"):
            reader.read(utterance)


def faulty():
    good, flac = bytes_of(tone()), bytes_of(tone(), format="FLAC")
    with_nan, with_inf = tone(), tone()
    with_nan[7], with_inf[9] = np.nan, np.inf
    return {
        "truncated wave": (
            good[:-1000],
            "fewer samples than its header says: 1,000 bytes are missing",
        ),
        "truncated header": (good[:30], "cannot be read"),
        "truncated flac": (flac[: len(flac) // 2], "cannot be read|fewer samples"),
        "zero bytes": (b"", "cannot be read"),
        "no samples": (bytes_of(np.zeros(0, np.float32)), "no samples"),
        "no sound": (b"<html>not found</html>" * 50, "cannot be read"),
        "NaN": (bytes_of(with_nan, subtype="FLOAT"), "NaN or Inf at sample 7"),
        "Inf": (bytes_of(with_inf, subtype="DOUBLE"), "NaN or Inf at sample 9"),
    }


@pytest.mark.parametrize("fault", faulty())
def test_a_fault_of_the_sound_is_named(write, fault):
    content, reason = faulty()[fault]
    with pytest.raises(UnreadableAudio, match=reason):
        read_audio(write(content))


def test_a_missing_file_and_a_truncated_archive_are_unreadable(write, tmp_path):
    with pytest.raises(UnreadableAudio, match="cannot be opened: No such file"):
        read_audio(tmp_path / "none.wav")
    entry = write(b"a " + bytes_of(tone())[:-10], "x.ark")
    with pytest.raises(UnreadableAudio, match="fewer samples"):
        read_audio(f"{entry}:2")


def test_a_wave_that_was_written_into_a_pipe_has_no_length_and_is_read_to_its_end(write):
    content = bytearray(bytes_of(tone()))
    content[40:44] = b"\xff" * 4
    assert len(read_audio(write(bytes(content)))[0]) == RATE


def test_a_pipe_runs_only_with_leave(write):
    entry = f"cat {write(bytes_of(tone()))} |"
    with pytest.raises(UserError, match="--allow-pipes") as refused:
        read_audio(entry)
    assert not isinstance(refused.value, UnreadableAudio)
    assert np.array_equal(read_audio(entry, allow_pipes=True)[0], read_audio(entry[4:-2])[0])
    with pytest.raises(UnreadableAudio, match="exit code 3: oh dear"):
        read_audio("echo oh dear >&2; exit 3 |", allow_pipes=True)


def test_segments_of_a_pipe_run_it_once(write, tmp_path):
    entry = f"echo run >>{tmp_path}/runs; cat {write(bytes_of(tone()))} |"
    reader = UtteranceReader({"r": entry}, {"a": "r 0 0.5", "b": "r 0.5 1"}, allow_pipes=True)
    assert np.array_equal(
        np.concatenate([reader.read("a")[0], reader.read("b")[0]]),
        read_audio(tmp_path / "sound.wav")[0],
    )
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(8000, 16000), (44100, 16000), (96000, 16000), (16000, 8000)]
)
def test_resampling_keeps_a_tone_and_its_duration(from_hz, to_hz):
    resampled, expected = resample(tone(1.0, from_hz), from_hz, to_hz), tone(1.0, to_hz)
    assert len(resampled) == to_hz
    middle = slice(to_hz // 10, -to_hz // 10)
    assert np.abs(resampled - expected)[middle].max() < 1e-3


def test_16_bits_survive_the_way_through_floats_and_more_is_clipped(write):
    every = np.arange(-32768, 32768, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, every, RATE, format="WAV", subtype="PCM_16")
    assert np.array_equal(to_int16(read_audio(write(file.getvalue()))[0]), every)
    assert to_int16(np.array([1.5, -1.5, 1.0, 0.4 / 32768])).tolist() == [32767, -32768, 32767, 0]


@pytest.fixture
def packed(tmp_path):
    rng, sounds = np.random.default_rng(0), {}
    for part in (1, 2):
        with ArchiveWriter(
            tmp_path / f"packed.{part}.ark", tmp_path / f"packed.{part}.scp"
        ) as writer:
            for k in range(3):
                sounds[f"u{part}{k}"] = rng.integers(-32768, 32768, 1000 + 100 * k, dtype=np.int16)
                writer.write_wave(f"u{part}{k}", sounds[f"u{part}{k}"], RATE)
    return {
        key: entry
        for part in (1, 2)
        for key, entry in read_scp(tmp_path / f"packed.{part}.scp").items()
    }, sounds


def test_crops_of_packed_audio_are_the_samples(packed):
    wav_scp, sounds = packed
    reader = PackedReader(wav_scp, {key: len(sound) for key, sound in sounds.items()})
    assert (len(reader), reader.sample_rate_hz) == (6, RATE)
    for reader in (reader, pickle.loads(pickle.dumps(reader))):  # noqa: B020
        for index, key in enumerate(wav_scp):
            assert np.array_equal(reader.read(index) * 32768, sounds[key])
            assert np.array_equal(reader.read(index), read_audio(wav_scp[key])[0])
        batch = reader.read_batch([5, 0, 3], np.array([7, 900, 0]), 100)
        assert np.array_equal(
            batch * 32768, [sounds["u22"][7:107], sounds["u10"][900:1000], sounds["u20"][:100]]
        )
    with pytest.raises(ValueError, match="not inside"):
        reader.read(0, 950, 51)


def test_packed_audio_that_is_not_what_the_index_says_is_refused(packed, tmp_path):
    wav_scp, sounds = packed
    lengths = {key: len(sound) for key, sound in sounds.items()}
    with pytest.raises(UserError, match=r"packed.2.ark: .* bytes, its index needs"):
        PackedReader(wav_scp, lengths | {"u22": 5000})
    with pytest.raises(UserError, match="not a plain 16-bit mono wave"):
        PackedReader({"u10": wav_scp["u10"][:-1] + "0"}, lengths)
    with ArchiveWriter(tmp_path / "x.ark", tmp_path / "x.scp") as writer:
        writer.write_wave("x", sounds["u10"], 8000)
    with pytest.raises(UserError, match=r"\[8000, 16000\]"):
        PackedReader(wav_scp | read_scp(tmp_path / "x.scp"), lengths | {"x": 1000})
    (tmp_path / "packed.1.ark").unlink()
    with pytest.raises(
        UserError,
        match=r"packed.1.ark: no such file; if the workdir was moved, put a link to it at "
        r"its old path",
    ):
        PackedReader(wav_scp, lengths)


def test_what_keeps_packed_audio_from_being_opened_is_no_reason_to_pack_it_anew(
    packed, monkeypatch
):
    """Too few file handles, or a disk that does not answer: said in the system's own words."""
    wav_scp, sounds = packed

    def no_handle(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("builtins.open", no_handle)
    with pytest.raises(OSError, match="Too many open files"):
        PackedReader(wav_scp, {key: len(sound) for key, sound in sounds.items()})
