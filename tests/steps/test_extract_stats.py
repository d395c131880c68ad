"""The two baselines that need no training: what they compute, what they hear, what they write."""

import json

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
import soxr

from steps.extract_channel_stats import extract_channel_stats
from steps.extract_mfcc_stats import extract_mfcc_stats
from utils.archive import read_vectors
from utils.data_dir import DataDir, write_data_dir
from utils.embeddings.baselines import frame_statistics
from utils.errors import UserError

RATE_HZ = 16000
SPEAKERS = {"s1": 3, "s2": 2}


def write_set(folder, waves, rate_hz=RATE_HZ):
    """A data directory of {utterance: samples}; the speaker is the id up to the dash."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in waves.items():
        soundfile.write(folder / f"{name}.wav", samples, rate_hz, subtype="FLOAT")
    utt2spk = {name: name.split("-")[0] for name in waves}
    write_data_dir(
        DataDir(folder / "data", {name: str(folder / f"{name}.wav") for name in waves}, utt2spk),
        folder / "data",
    )
    return folder / "data"


def draw_waves(seed=0, seconds=1.0):
    random = np.random.default_rng(seed)
    return {
        f"{speaker}-{number}": 0.1
        * np.cumsum(random.standard_normal(int(seconds * RATE_HZ)) * random.uniform(0.01, 0.1))
        for speaker, count in SPEAKERS.items()
        for number in range(count)
    }


def kaldi_mfcc(samples):
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither, options.mel_opts.num_bins, options.num_ceps = 0, 30, 30
    computer = kaldi_native_fbank.OnlineMfcc(options)
    computer.accept_waveform(RATE_HZ, (samples * 32768).astype(np.float32))
    computer.input_finished()
    return np.array([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_mfcc_stats_are_those_of_an_independent_implementation(tmp_path, rate_hz):
    waves = draw_waves()
    extract_mfcc_stats(write_set(tmp_path, waves, rate_hz), tmp_path / "out")
    keys, embeddings = read_vectors(tmp_path / "out" / "xvector.scp")
    frames = [kaldi_mfcc(soxr.resample(samples, rate_hz, RATE_HZ)) for samples in waves.values()]
    expected = [np.concatenate([frames_TF.mean(0), frames_TF.std(0)]) for frames_TF in frames]
    difference = np.abs(embeddings - np.array(expected)).max()
    print(f"{embeddings.shape} embeddings differ by {difference:.1e} at most")
    assert keys == list(waves)
    assert embeddings.shape == (5, 60)
    assert difference < 1e-2
    scale = np.std(expected, 0)
    assert (np.abs(embeddings - np.array(expected)) / scale).max() < 1e-2


def test_an_utterance_does_not_depend_on_the_others_of_its_set(tmp_path):
    waves = draw_waves()
    alone = dict(list(waves.items())[:2])
    for name, case in (("whole", waves), ("part", alone)):
        extract_mfcc_stats(write_set(tmp_path / name, case), tmp_path / name / "out")
    whole, part = (
        read_vectors(tmp_path / name / "out" / "xvector.scp")[1] for name in ("whole", "part")
    )
    np.testing.assert_array_equal(whole[:2], part)


def test_frame_statistics_by_hand():
    np.testing.assert_array_equal(
        frame_statistics(np.array([[1.0, 4.0], [3.0, 4.0]], np.float32)), [2, 4, 1, 0]
    )


def test_the_folder_has_speaker_means_numbers_and_provenance(tmp_path):
    counts = extract_mfcc_stats(write_set(tmp_path, draw_waves()), tmp_path / "out")
    _keys, embeddings = read_vectors(tmp_path / "out" / "xvector.scp")
    speakers, means = read_vectors(tmp_path / "out" / "spk_xvector.scp")
    assert counts == {"utterances": 5}
    assert speakers == list(SPEAKERS)
    np.testing.assert_allclose(means, [embeddings[:3].mean(0), embeddings[3:].mean(0)], atol=1e-6)
    assert [
        line.split() for line in (tmp_path / "out" / "num_utts.ark").read_text().splitlines()
    ] == [["s1", "3"], ["s2", "2"]]
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["model"] == "mfcc_stats"
    assert (tmp_path / "out" / "receipts" / "collect_embeddings.json").exists()


def test_channel_stats_do_not_hear_what_is_between_the_margins(tmp_path):
    waves = draw_waves()
    margin = round(0.2 * RATE_HZ)
    spoken = {name: samples.copy() for name, samples in waves.items()}
    for samples in spoken.values():
        samples[margin:-margin] += 0.3 * np.sin(np.arange(len(samples) - 2 * margin))
    other_margins = {
        name: samples + 0.01 * (name == "s1-0") * np.sin(np.arange(len(samples)))
        for name, samples in waves.items()
    }
    embeddings = {}
    for name, case in {"plain": waves, "spoken": spoken, "margins": other_margins}.items():
        extract_channel_stats(
            write_set(tmp_path / name, case), tmp_path / name / "out", margin_seconds=0.2
        )
        embeddings[name] = read_vectors(tmp_path / name / "out" / "xvector.scp")[1]
    assert embeddings["plain"].shape == (5, 60)
    np.testing.assert_array_equal(embeddings["spoken"], embeddings["plain"])
    assert np.abs(embeddings["margins"] - embeddings["plain"]).max() > 0.1


@pytest.mark.parametrize("extract", [extract_mfcc_stats, extract_channel_stats])
def test_same_input_same_bytes_and_a_second_run_does_nothing(tmp_path, extract):
    data = write_set(tmp_path, draw_waves())
    extract(data, tmp_path / "out")
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    contents, times = (
        [path.read_bytes() for path in files],
        [path.stat().st_mtime_ns for path in files],
    )
    assert len(files) == 7
    assert extract(data, tmp_path / "out") == {"utterances": 5}
    assert [path.stat().st_mtime_ns for path in files] == times
    (tmp_path / "out" / "receipts" / "collect_embeddings.json").unlink()
    extract(data, tmp_path / "out")
    assert [path.read_bytes() for path in files] == contents
    assert [path.stat().st_mtime_ns for path in files] != times


@pytest.mark.parametrize(
    ("extract", "seconds", "complaint"),
    [
        (extract_mfcc_stats, 0.01, "utterance 's1-0': 0.010 s are too short for a frame"),
        (
            extract_channel_stats,
            0.3,
            "utterance 's1-0': 0.300 s are too short for two margins of 0.2 s",
        ),
    ],
)
def test_an_utterance_that_is_too_short_is_named(tmp_path, extract, seconds, complaint):
    with pytest.raises(UserError, match=complaint):
        extract(write_set(tmp_path, draw_waves(seconds=seconds)), tmp_path / "out")
    assert not (tmp_path / "out" / "xvector.scp").exists()


def test_a_margin_without_a_frame_is_refused(tmp_path):
    with pytest.raises(UserError, match="--margin-seconds is 0.01, expected 0.025"):
        extract_channel_stats(tmp_path, tmp_path / "out", margin_seconds=0.01)


def test_several_sets_in_one_process_give_what_each_gives_alone(tmp_path):
    for number, name in enumerate(("one", "two")):
        write_set(tmp_path / name, draw_waves(seed=number)).rename(tmp_path / f"sets-{name}")
    sets = tmp_path / "sets"
    sets.mkdir()
    for name in ("one", "two"):
        (tmp_path / f"sets-{name}").rename(sets / name)
    assert extract_mfcc_stats(sets, tmp_path / "out", sets=["one", "two"]) == {"utterances": 10}
    for name in ("one", "two"):
        extract_mfcc_stats(sets / name, tmp_path / "alone" / name)
        together, alone = (
            read_vectors(tmp_path / folder / name / "xvector.scp")[1] for folder in ("out", "alone")
        )
        np.testing.assert_array_equal(together, alone)
