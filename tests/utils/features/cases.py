"""What the tests of front ends share."""

from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parents[2] / "golden"


def compute_features(front_end, samples):
    """Features (T, F) of one utterance."""
    features_BTF, _ = front_end(
        torch.as_tensor(samples, dtype=torch.float32)[None], torch.tensor([len(samples)])
    )
    return features_BTF[0].detach()


def speechlike(num_samples, seed=0):
    """Low-pass noise with a little white noise: energy over the whole band, as in recordings."""
    noise = np.random.default_rng(seed).standard_normal((2, num_samples))
    return (
        0.05 * np.convolve(noise[0], 0.9 ** np.arange(50))[:num_samples] + 0.01 * noise[1]
    ).astype(np.float32)


def largest_difference(found, expected):
    """Of features that Kaldi made: relative above 1, absolute below."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return (np.abs(found - expected) / np.maximum(1, np.abs(expected))).max()
