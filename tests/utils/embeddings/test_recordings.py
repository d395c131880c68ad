"""Embeddings of recordings: checked for speech, resampled, in windows, averaged."""

import numpy as np
import pytest
import torch

from steps.extract import load_network
from tests.models_for_tests import RATE, make_model, write_voice
from utils.audio import read_audio, resample
from utils.audio.recording import ArrayRecording, FileRecording
from utils.embeddings import recordings
from utils.embeddings.protocols import make_protocol, natural_protocol
from utils.embeddings.recordings import Limits, RecordingEmbedder, TooLittleSpeech, average_vectors
from utils.errors import UserError


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    network, _ = load_network(make_model(tmp_path_factory.mktemp("model") / "m").folder)
    return RecordingEmbedder(network, natural_protocol(network))


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """4 s at the network's rate."""
    samples, _ = read_audio(write_voice(tmp_path_factory.mktemp("voice") / "x.wav"))
    return samples


def alone(embedder, samples):
    """The network's vector of samples."""
    with torch.no_grad():
        return embedder.network(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))[0]


def test_a_recording_has_the_vector_of_its_samples(embedder, voice):
    embedded = embedder.embed(ArrayRecording(voice, RATE), Limits())
    assert embedded.vector == pytest.approx(alone(embedder, voice).numpy(), abs=1e-6)
    assert (embedded.seconds, embedded.remarks, len(embedded.windows)) == (4.0, (), 1)
    assert embedded.speech_seconds == pytest.approx(4.0, abs=0.1)


def test_another_rate_is_resampled_and_said(embedder, voice):
    low = resample(voice, RATE, 8000)
    embedded = embedder.embed(ArrayRecording(low, 8000), Limits())
    expected = alone(embedder, resample(low, 8000, RATE)).numpy()
    assert embedded.vector == pytest.approx(expected, abs=1e-6)
    assert embedded.remarks == ("resampled from 8000 Hz to 16000 Hz",)


def test_little_speech_is_refused_or_said(embedder, voice):
    for samples, found in ((voice[: RATE // 5], "0.20 s of speech in 0.20 s"), (0 * voice, "0.00")):
        with pytest.raises(TooLittleSpeech, match=f"{found}.*expected 0.5 s or more"):
            embedder.embed(ArrayRecording(samples, RATE, "x.wav"), Limits())
    embedded = embedder.embed(ArrayRecording(voice[: 4 * RATE // 5], RATE), Limits())
    little = "only 0.8 s of speech; {} s or more are reliable"
    assert embedded.remarks_as("test", Limits()) == [little.format(1)]
    assert embedded.remarks_as("enrolment", Limits()) == [little.format(3)]
    assert embedded.remarks_as("test", Limits(test_seconds=0.5)) == []
    short = ArrayRecording(voice[: RATE // 5], RATE)
    assert embedder.embed(short, Limits(min_speech_seconds=0.1)).vector.any()


def test_clipping_beyond_the_limit_is_said(embedder, voice):
    loud = ArrayRecording(np.clip(10 * voice, -1, 1), RATE)
    (remark,) = embedder.embed(loud, Limits()).remarks
    assert remark.endswith("% of the samples are clipped: recorded too loud")
    assert embedder.embed(loud, Limits(max_clipped_fraction=0.9)).remarks == ()


def test_windows_have_their_times_and_silent_ones_are_left_out(embedder, voice):
    samples = np.concatenate([voice, np.zeros(2 * RATE, np.float32), voice[: 3 * RATE]])
    embedded = embedder.embed(ArrayRecording(samples, RATE), Limits(), window_seconds=2.0)
    times = [(window.start_seconds, window.end_seconds) for window in embedded.windows]
    assert times == [(0, 2), (2, 4), (6, 8), (8, 9)]
    assert embedded.remarks == ("windows with too little speech, left out: 1",)
    second = alone(embedder, voice[2 * RATE :]).numpy()
    assert embedded.windows[1].vector == pytest.approx(second, abs=1e-6)
    vectors = np.stack([window.vector for window in embedded.windows])
    assert embedded.vector == pytest.approx(average_vectors(vectors))


def test_a_long_recording_is_embedded_in_windows_without_being_asked(
    embedder, voice, monkeypatch, tmp_path
):
    monkeypatch.setattr(recordings, "LONGEST_WHOLE_SECONDS", 3.0)
    monkeypatch.setattr(recordings, "LONG_WINDOW_SECONDS", 1.0)
    read = []

    class Watched(FileRecording):
        def blocks(self, block_samples):
            for samples in super().blocks(block_samples):
                read.append(len(samples))
                yield samples

    path = write_voice(tmp_path / "x.wav")
    embedded = embedder.embed(Watched(path), Limits())
    assert len(embedded.windows) == 4
    assert embedded.remarks == ("4 s long: embedded in windows of 1 s",)
    assert max(read) == RATE, "no more than a window is in memory"


def test_the_average_counts_each_direction_alike_and_keeps_the_length():
    vectors = np.array([[3, 0], [0, 1]], np.float32)
    assert average_vectors(vectors) == pytest.approx([2**0.5, 2**0.5])
    assert np.array_equal(average_vectors(vectors[:1]), vectors[0])
    for faulty in ([[0, 0], [1, 0]], [[1, 0], [-1, 0]]):
        with pytest.raises(UserError, match="length 0|cancel out"):
            average_vectors(np.array(faulty, np.float32))


def test_protocols_with_rows_are_refused(embedder):
    options = {"protocol": "p", "name": "crops", "num_crops": 2, "crop_seconds": 1, "keep": "rows"}
    with pytest.raises(UserError, match="keeps a row for each piece"):
        RecordingEmbedder(embedder.network, make_protocol(options))


@pytest.mark.parametrize(
    "limits", [{"min_speech_seconds": -1}, {"test_seconds": -1}, {"max_clipped_fraction": 2}]
)
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(UserError, match="expected 0"):
        Limits(**limits)
