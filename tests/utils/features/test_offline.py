"""Features of whole utterances: an hour in pieces equals the whole; no learned front ends."""

import numpy as np
import pytest
import torch

from utils.errors import UserError
from utils.features import offline as feature_making
from utils.features.kaldi import KaldiFbank
from utils.features.offline import build_fixed_front_end, compute_features
from utils.features.registry import FRONT_ENDS

KINDS = [
    {"name": "kaldi_fbank"},
    {"name": "kaldi_fbank", "snip_edges": False, "normalisation": "utterance_mean_variance"},
    {"name": "kaldi_mfcc", "normalisation": {"name": "sliding", "window_frames": 50}},
    {"name": "spectrogram", "normalisation": "frame"},
]


@pytest.mark.parametrize("options", KINDS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("num_samples", [16000 * 3, 16000 * 3 + 77, 160 * 200 + 400])
def test_a_long_utterance_gets_the_features_of_one_computed_at_once(
    monkeypatch, options, num_samples
):
    front_end, _ = build_fixed_front_end(options, "x.yaml")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, num_samples).astype(np.float32)
    whole = compute_features(front_end, samples)
    monkeypatch.setattr(feature_making, "PIECE_FRAMES", 40)
    pieces = compute_features(front_end, samples)
    assert pieces.shape == whole.shape == (front_end.num_frames(num_samples), front_end.num_bins)
    assert front_end.normalisation == build_fixed_front_end(options, "x.yaml")[0].normalisation
    print(
        f"largest difference {np.abs(pieces - whole).max():.1e} "
        f"of values up to {np.abs(whole).max():.1f}"
    )
    assert np.abs(pieces - whole).max() <= 1e-3


def test_an_utterance_without_a_frame_has_no_rows():
    front_end, _ = build_fixed_front_end({"name": "kaldi_fbank"}, "x.yaml")
    assert compute_features(front_end, np.ones(399, np.float32)).shape == (0, 80)
    assert compute_features(front_end, np.ones(400, np.float32)).shape == (1, 80)


def test_one_front_end_has_one_description_however_it_is_written():
    one = build_fixed_front_end(
        {"name": "kaldi_mfcc", "high_freq_hz": 7600, "normalisation": "sliding"}, "x.yaml"
    )[1]
    other = build_fixed_front_end(
        {"name": "kaldi_mfcc", "normalisation": {"name": "sliding", "window_frames": 300}}, "x.yaml"
    )[1]
    third = build_fixed_front_end(
        {"name": "kaldi_mfcc", "normalisation": {"name": "sliding", "window_frames": 200}}, "x.yaml"
    )[1]
    assert one == other != third
    assert one["frame_shift_seconds"] == 0.01
    assert one["front_end"]["cepstral_lifter"] == 22


class Learned(KaldiFbank):
    """Kaldi's filterbank with a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))


def test_a_front_end_that_learns_is_refused(monkeypatch):
    monkeypatch.setitem(FRONT_ENDS, "learned", Learned)
    with pytest.raises(
        UserError, match=r"x.yaml: name: 'learned' learns its filters with the network"
    ):
        build_fixed_front_end({"name": "learned"}, "x.yaml")
