"""Helpers for tests of training: variants of the tiny YAML, interruptions, comparisons."""

import json
import os
from pathlib import Path

import pytest
import torch

from steps.extract import load_network
from steps.train import train
from utils.training.checkpoints import load_checkpoint, saved_steps
from utils.training.sampling import CropDataset


def variant(corpus: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """The tiny YAML with some texts replaced."""
    text = (corpus / "config.yaml").read_text()
    for old, new in changes:
        text = text.replace(old, new)
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def train_tiny(corpus: Path, output: Path, config: str = "config.yaml", **options) -> dict:
    """Train on the tiny corpus, in this process."""
    return train(
        corpus / "train", corpus / "dev", corpus / config, output, num_threads=1, **options
    )


def history(experiment: Path) -> list[dict]:
    return [
        json.loads(line) for line in (experiment / "log" / "history.jsonl").read_text().splitlines()
    ]


def num_parameters(experiment: Path) -> int:
    """Size of the network that an experiment ended with."""
    network, _ = load_network(experiment, "average")
    return sum(parameter.numel() for parameter in network.parameters())


def steps_on_disk(experiment: Path) -> list[int]:
    return saved_steps(experiment / "checkpoints")


def stop_after(
    step: int, monkeypatch: pytest.MonkeyPatch, number: int, batch_size: int = 6
) -> None:
    """Have this process get a signal while it makes the last crop of a step."""
    plain = CropDataset.__getitem__

    def signalling(self, draw):
        if draw == step * batch_size - 1:
            os.kill(os.getpid(), number)
        return plain(self, draw)

    monkeypatch.setattr(CropDataset, "__getitem__", signalling)


def assert_same_end(one: Path, other: Path) -> None:
    """Equal tensors in the same checkpoints; history and configuration are equal in their bytes."""
    assert (one / "log" / "history.jsonl").read_text() == (
        other / "log" / "history.jsonl"
    ).read_text()
    assert (one / "config.yaml").read_text() == (other / "config.yaml").read_text()
    names = sorted(path.name for path in (one / "checkpoints").iterdir())
    assert names == sorted(path.name for path in (other / "checkpoints").iterdir())
    for name in names:
        assert_equal(
            *(load_checkpoint(experiment / "checkpoints" / name) for experiment in (one, other)),
            name,
        )


def assert_equal(one: object, other: object, where: str) -> None:
    """Nested containers with equal tensors and values."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}: {key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}: {place}")
    else:
        assert one == other, where
