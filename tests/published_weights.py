"""Weights of a published class, computed from each key's name and shape, without a file.

The tables in tests/golden/models were made with these functions: each has the keys and shapes of a
published class, and the embeddings that this class gave with these weights for these inputs.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "models"
COUNT = 1000  # of batches that running statistics have seen: no computation depends on it


@dataclass
class Published:
    """A table of tests/golden/models."""

    name: str
    facts: dict
    embeddings: dict[int, np.ndarray]  # length of the input -> embedding

    def state(self) -> dict[str, np.ndarray]:
        """The published file's tensors."""
        scale = self.facts.get("scale_of_weights", 1)
        return {
            key: draw(key, tuple(shape), self.facts["seed"], scale)
            for key, shape in self.facts["keys"].items()
        }

    def input(self, length: int) -> np.ndarray:
        """Input of the reference embedding: samples, or frames of features."""
        if self.facts.get("input", "waveform") == "waveform":
            return waveform(length, self.facts["seed"]) * np.float32(self.facts.get("loudness", 1))
        return features(length, self.facts["num_features"], self.facts["seed"])


def read_published(name: str) -> Published:
    """A table and its embeddings."""
    with np.load(GOLDEN / f"{name}.npz") as embeddings:
        return Published(
            name,
            json.loads((GOLDEN / f"{name}.json").read_text()),
            {int(length): embeddings[length] for length in embeddings},
        )


def draw(name: str, shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """The tensor of a key, drawn from a hash of its name and shape.

    The range is one where signals neither vanish nor overflow.
    """
    last = re.split(r"[./]", name)[-1]
    if last in CONSTANTS:
        return CONSTANTS[last](shape)
    digest = hashlib.sha256(f"{seed} {name} {'x'.join(map(str, shape))}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    low, high = limits(last, shape)
    values = generator.uniform(low, high, size=shape).astype(np.float32)
    is_matrix = len(shape) > 1 and not name.endswith(("_hz_", "gamma", "alpha"))
    if is_matrix:
        values = values * scale
    return values.astype(np.float32)


def limits(last: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Range of the values."""
    if last == "low_hz_":
        return 0, 3000
    if last == "band_hz_":
        return 20, 2000
    if last in ("running_var", "moving_variance", "gamma", "alpha") or (
        last == "weight" and len(shape) == 1
    ):
        return 0.5, 1.5
    if len(shape) < 2:
        return -0.1, 0.1
    inputs = shape[1:]
    if last.endswith("kernel"):
        inputs = shape[:-1]
    high = (3 / math.prod(inputs)) ** 0.5  # variance 1 / fan-in
    return -high, high


CONSTANTS = {  # what a class computes when it is made, and saves with its weights
    "num_batches_tracked": lambda shape: np.full(shape, COUNT, np.int64),
    "flipped_filter": lambda shape: np.array([-0.97, 1], np.float32).reshape(shape),
    "window_": lambda shape: np.hamming(2 * shape[-1] + 1)[: shape[-1]].astype(np.float32),
    "n_": lambda shape: (
        (2 * np.pi * np.arange(-shape[-1], 0) / 16000).astype(np.float32).reshape(shape)
    ),
}


def waveform(num_samples: int, seed: int) -> np.ndarray:
    """Samples in [-0.5, 0.5)."""
    generator = np.random.default_rng([seed, num_samples])
    return generator.uniform(-0.5, 0.5, size=num_samples).astype(np.float32)


def features(num_frames: int, num_features: int, seed: int) -> np.ndarray:
    """Features in [-3, 3), (frames, features)."""
    generator = np.random.default_rng([seed, num_frames, num_features])
    return generator.uniform(-3, 3, size=(num_frames, num_features)).astype(np.float32)
