"""Windows of features: their places by hand, and their frames as those of the whole utterance."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from steps.models.network import EmbeddingNetwork
from tests.conftest import ROOT
from tests.speechlike import RATE, silence, vowels
from utils.config import build, read_yaml
from utils.embeddings.inference import embed_utterances
from utils.embeddings.protocols import PROTOCOLS, make_protocol, read_protocol
from utils.errors import UserError
from utils.features.kaldi import KaldiFbank
from utils.features.precomputed import Precomputed
from utils.features.spectra import PsfFbank, Spectrogram
from utils.features.waveform import Waveform

HOP = 160
FRONT_ENDS = {
    "centred": Spectrogram,  # mirrored at the ends
    "from the first sample": KaldiFbank,
    "zeros after the end": PsfFbank,  # pre-emphasis takes the sample before a frame
}


class Frames(EmbeddingNetwork):
    """The features of a window themselves, which show any wrong frame."""

    def __init__(self, front_end, num_frames):
        num_values = num_frames * front_end.num_bins
        super().__init__(
            front_end=front_end, spec_augment=None, embedding_dim=num_values, min_frames=1
        )
        self.scale = torch.nn.Parameter(torch.ones(()))

    def trunk(self, features_BTF, num_frames_B):
        assert set(num_frames_B.tolist()) == {features_BTF.shape[1]}
        return self.scale * features_BTF.flatten(1)


def windows(window_frames=160, step_frames=77, **options):
    given = {"name": "feature_windows", "window_frames": window_frames, "step_frames": step_frames}
    return build(PROTOCOLS, given | options, "test")


def reader(*utterances):
    def read(index, start=0, num_samples=None):
        return utterances[index][start : None if num_samples is None else start + num_samples]

    lengths = np.array([len(samples) for samples in utterances])
    return SimpleNamespace(sample_rate_hz=RATE, num_samples=lengths, read=read)


def first_frames(num_samples, **options):
    """The first frame of each window, for a front end that needs two frames before it."""
    network = Frames(Spectrogram(fft_samples=400), 1)
    _, starts = windows(**options).pieces(num_samples, network, "a")
    return [start // HOP + 2 for start in starts]


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [
        (0.3, [0]),  # shorter than a window
        (1.6, [0]),  # the next one would have 83 of 160 frames of audio
        (1.96, [0]),  # 119 frames
        (1.97, [0, 77]),  # 120 frames are three quarters
        (2.73, [0, 77]),
        (2.74, [0, 77, 154]),
        (3.2, [0, 77, 154]),
    ],
)
def test_the_last_window_counts_from_three_quarters_on(seconds, frames):
    assert first_frames(round(seconds * RATE), min_coverage=0.75) == frames


def test_every_frame_is_in_a_window_where_little_coverage_is_enough():
    for num_frames in range(1, 40):
        starts = first_frames(
            num_frames * HOP - 1, window_frames=8, step_frames=3, min_coverage=0.01
        )
        assert starts == list(range(0, starts[-1] + 1, 3))
        assert starts[-1] + 8 >= num_frames
        assert len(starts) == 1 or starts[-1] < num_frames


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_frames_of_windows_are_those_of_the_utterance_between_silences(name):
    front_end = FRONT_ENDS[name]()
    samples = vowels(0.5)
    chosen = windows(window_frames=16, step_frames=7, min_coverage=0.5)
    network = Frames(front_end, 16)
    margin = np.zeros(20 * HOP, np.float32)
    surrounded = torch.from_numpy(np.concatenate([margin, samples, margin]))[None]
    whole_1TF, _ = front_end(surrounded, torch.tensor([surrounded.shape[1]]))
    expected = [
        whole_1TF[0, 20 + first : 36 + first].flatten().numpy() for first in range(0, 43, 7)
    ]
    embedding = embed_utterances(network, reader(samples), [0], protocol=chosen)
    assert embedding[0] == pytest.approx(np.mean(expected, axis=0), rel=1e-4, abs=1e-4)


def test_batch_mates_change_nothing_and_the_mean_has_length_1():
    utterances = [vowels(seconds) for seconds in (0.1, 0.8, 2.5, 1.7)]
    network = Frames(Spectrogram(), 16)
    chosen = windows(window_frames=16, step_frames=7, unit_length=True)
    together = embed_utterances(network, reader(*utterances), range(4), protocol=chosen)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(4), rel=1e-5)
    for index, row in enumerate(together):
        alone = embed_utterances(network, reader(*utterances), [index], protocol=chosen)
        assert row == pytest.approx(alone[0], rel=1e-5, abs=1e-7)
    with pytest.raises(ValueError, match="cannot be summed"):
        embed_utterances(network, reader(*utterances), [0], share=(0, 2), protocol=chosen)


def test_the_preparation_comes_before_the_windows():
    options = read_yaml(ROOT / "conf" / "protocols" / "resemblyzer.yaml")
    prepared, plain = (
        make_protocol(options),
        make_protocol(options | {"preparation": None}),
    )
    sound = np.concatenate([silence(1), 0.01 * vowels(3), silence(2)])
    plan = prepared.preparation.plan(sound, RATE)
    network = Frames(Spectrogram(), 160)
    found = embed_utterances(network, reader(sound), [0], protocol=prepared)
    by_hand = embed_utterances(network, reader(plan.apply(sound)), [0], protocol=plain)
    assert found == pytest.approx(by_hand, rel=1e-5, abs=1e-7)
    assert not np.allclose(
        found, embed_utterances(network, reader(sound), [0], protocol=plain), atol=1e-3
    )
    assert "raised to -30 dBFS" in str(prepared)
    assert "training crops are not" in str(prepared)
    assert "raised" not in str(plain)


def test_resemblyzers_protocol_trims_as_the_detector_of_that_name():
    options = read_protocol("resemblyzer")[1]
    assert options["preparation"]["vad"] == read_yaml(ROOT / "conf" / "vad" / "resemblyzer.yaml")
    assert str(make_protocol(options)) == str(read_protocol("resemblyzer")[0])
    assert make_protocol(options).name == "resemblyzer"
    assert make_protocol({"name": "whole"}).name == "whole"


@pytest.mark.parametrize(
    ("front_end", "complaint"),
    [
        (Precomputed(num_bins=80, description="x"), "reads stored features or samples"),
        (Waveform(), "reads stored features or samples"),
        (KaldiFbank(normalisation="utterance_mean"), "over more than a frame .utterance_mean."),
    ],
)
def test_networks_without_frames_of_their_own_are_refused_by_name(front_end, complaint):
    chosen = windows()
    chosen.name = "mine"
    with pytest.raises(UserError, match=f"protocol 'mine' .* Frames .*{complaint}"):
        embed_utterances(Frames(front_end, 160), reader(vowels(1)), [0], protocol=chosen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_frames": 0}, "step_frames 0, expected a step of 1 to window_frames"),
        ({"step_frames": 161}, "window_frames is 160 and step_frames 161"),
        ({"min_coverage": 0.0}, "min_coverage is 0, expected more than 0"),
        ({"preparation": {"level": -30}}, "preparation: unknown key 'level'"),
        ({"preparation": {"vad": {"name": "energy"}}}, "key 'level_dbfs' is missing"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        windows(**options)
