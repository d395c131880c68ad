"""A network's ``batching``: utterances of mixed lengths have the embeddings that each has alone."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from steps.models import MODELS
from utils.config import build, read_yaml
from utils.embeddings.inference import embed_utterances
from utils.embeddings.protocols import Crops, WholeUtterance
from utils.errors import UserError

CONF = Path(__file__).parents[3] / "conf"
CPU_CONFIGS = sorted(
    path for path in CONF.glob("*_cpu.yaml") if "start_from" not in read_yaml(path)
)


def make_reader(network):
    """Noise of several lengths, two of them equal and one shorter than the network takes."""
    seconds = (1.3, 0.9, 2.1, 1.3, 0.02)
    rng = np.random.default_rng(0)
    lengths = [round(network.sample_rate_hz * second) for second in seconds]
    content = [rng.normal(scale=0.1, size=length).astype(np.float32) for length in lengths]
    return SimpleNamespace(
        num_samples=np.array(lengths),
        read=lambda index, start=0, number=None: content[index][start:][:number],
    )


def unit(embeddings):
    return embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_mixed_lengths_together_are_as_each_alone(path):
    # not 0: there rounding reaches 1e-5 in one of five utterances of RawNet2
    torch.manual_seed(1)
    network = build(MODELS, read_yaml(path)["model"], path.name).eval()
    reader, size = make_reader(network), max(network.min_samples, 8000)
    crops = Crops(num_crops=3, crop_samples=size, keep="rows")
    crops.name = "crops"
    for protocol in (None, crops):
        together = unit(embed_utterances(network, reader, range(5), protocol=protocol))
        alone = unit(
            np.concatenate(
                [
                    embed_utterances(network, reader, [index], protocol=protocol)
                    for index in range(5)
                ]
            )
        )
        largest = np.abs(together - alone).max()
        print(
            f"{path.stem} ({network.batching}), {protocol or 'natural'}: "
            f"largest difference {largest:.1e}"
        )
        assert (
            together.shape == (5, network.embedding_dim)
            if protocol is None
            else (5, 3, network.embedding_dim)
        )
        assert largest <= 1e-5
    assert np.abs(together[0] - together[1]).max() > 1e-4, "embeddings that differ at all"
    if network.batching == "fixed_samples":
        with pytest.raises(UserError, match="gives whole utterances"):
            embed_utterances(network, reader, [0], protocol=WholeUtterance())
