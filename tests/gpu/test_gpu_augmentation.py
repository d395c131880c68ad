"""Augmentation in the GPU's memory; skipped without one.

Single transforms: tests/utils/augmentation/test_device.py.
"""

import pytest
import torch

from steps.train import train
from tests.banks import make_bank
from tests.training_runs import history, variant
from tests.voices import make_corpus

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_begins_with_the_same_losses_whether_loader_or_gpu_augments(
    tmp_path, num_workers
):
    corpus, losses = make_corpus(tmp_path), []
    make_bank(corpus / "bank")
    for device in ("false", "true"):
        links = (
            "{name: reverb, probability: 0.5}, {name: codec, probability: 0.3}, "
            "{name: noise, probability: 0.7}"
        )
        chain = f"device: {device}, chain: [{links}]"
        (tmp_path / device).mkdir()
        config = variant(
            corpus,
            tmp_path / device,
            ("speed_factors: [1.0, 1.1]", f"speed_factors: [1.0, 1.1], {chain}"),
        )
        train(
            corpus / "train",
            corpus / "dev",
            config,
            tmp_path / device / "exp",
            num_threads=1,
            steps=4,
            bank=corpus / "bank",
            device="cuda",
            num_workers=num_workers,
        )
        losses.append(
            [entry["loss"] for entry in history(tmp_path / device / "exp") if "loss" in entry]
        )
    print(f"losses {losses}")
    assert losses[0] == pytest.approx(losses[1], abs=1e-2)
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-4)
