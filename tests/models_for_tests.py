"""A tiny model folder with random weights, and recordings of tiny voices, for tests of its use."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch
import yaml

from steps.models import MODELS
from tests.speechlike import voiced
from tests.voices import CONFIG
from utils.config import build
from utils.pretrained import (
    Model,
    ModelCalibration,
    add_to_model,
    calibration_as_bytes,
    open_model,
    weights_as_bytes,
    write_model,
)

RATE = 16000
EMBEDDING_DIM = 16
# Cosines of two recordings of a pitch are above 0.99, of pitches 100 and 120 Hz below 0.98.
CALIBRATION = ModelCalibration(200.0, -197.0, "calibrated on made-up voices")


@cache
def _tiny_weights(seed: int) -> bytes:
    """Random weights of the tiny network of tests of training."""
    torch.manual_seed(seed)
    network = build(MODELS, yaml.safe_load(CONFIG)["model"], "the tiny network")
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return weights_as_bytes(tensors)


def make_model(
    folder: Path, seed: int = 0, more: Mapping[str, bytes | Path] | None = None
) -> Model:
    """Write a MODEL of 16 dimensions at 16 kHz; ``more`` has further files, such as calibration."""
    section = yaml.safe_load(CONFIG)["model"]
    provenance = {
        "network": section["name"],
        "sample_rate_hz": RATE,
        "converted_from": None,
        "licence": {"weights": "none", "data": "none"},
        "training_data": {
            "description": "random weights",
            "lists": {},
            "num_speakers": 0,
            "speakers": [],
            "may_have_heard": [],
        },
    }
    contents: dict[str, bytes | Path] = {
        "config.yaml": yaml.safe_dump({"model": section}).encode(),
        "weights.safetensors": _tiny_weights(seed),
        "provenance.json": as_json(provenance),
    }
    return write_model(folder, contents | dict(more or {}))


def make_calibrated_model(folder: Path, seed: int = 0) -> Model:
    """A MODEL whose cosine becomes a log-likelihood ratio: 200 x cosine - 197."""
    model = make_model(folder, seed)
    content = calibration_as_bytes(CALIBRATION, model.digest, None)
    add_to_model(folder, {"calibration.json": content})
    return open_model(folder)


def as_json(content: Mapping) -> bytes:
    """The content of a JSON file."""
    return (json.dumps(content, indent=1) + "\n").encode()


def write_voice(
    path: Path, hz: float = 120, seconds: float = 4.0, rate: int = RATE, seed: int = 0
) -> Path:
    """A recording that detectors take for speech: the pitch is the speaker, the seed the noise."""
    rng = np.random.default_rng([seed, round(hz)])
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = voiced(seconds, rate, hz * rng.uniform(0.99, 1.01))
    soundfile.write(path, samples + rng.normal(0, 1e-3, len(samples)), rate)
    return path
