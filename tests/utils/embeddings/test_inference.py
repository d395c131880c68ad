"""Batches of whole utterances: each comes once, lengths are as the network needs.

Tests of protocols: test_protocols.py.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.voices import RATE, make_packed
from utils.embeddings.inference import BATCH_SECONDS, batches, embed_utterances, open_packed
from utils.errors import UserError

LENGTHS = [500, 100, 300, 100, 900, 5000, 300, 100]


class Statistics(torch.nn.Module):
    """Mean, root mean square and length of the samples, which show any wrong sample."""

    embedding_dim, sample_rate_hz, min_samples = 3, RATE, 8000

    def __init__(self, batching="masked"):
        super().__init__()
        self.batching, self.calls = batching, []
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, waveforms_BS, lengths_B):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.calls.append(lengths_B.tolist())
        utterances = [row[:n] for row, n in zip(waveforms_BS, lengths_B, strict=True)]
        return self.scale * torch.tensor(
            [[row.mean(), row.square().mean().sqrt(), len(row)] for row in utterances]
        )


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    data = make_packed(
        tmp_path_factory.mktemp("packed") / "dev", {"a": 100, "b": 140, "c": 190}, utterances=5
    )
    return open_packed(data, RATE)[1]


@pytest.mark.parametrize("batching", ["masked", "equal_length"])
@pytest.mark.parametrize("max_samples", [1, 300, 1000, 10**6])
def test_every_utterance_comes_once_in_batches_that_are_not_too_large(batching, max_samples):
    made = list(batches(LENGTHS, batching, max_samples))
    assert sorted(position for batch in made for position in batch) == list(range(len(LENGTHS)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(LENGTHS[k] for k in batch) <= max_samples
        if batching == "equal_length":
            assert len({LENGTHS[k] for k in batch}) == 1


def test_masked_batches_hold_neighbours_in_length():
    assert list(batches(LENGTHS, "masked", 1000)) == [[1, 3, 7], [2, 6], [0], [4], [5]]
    assert list(batches(LENGTHS, "equal_length", 10**6)) == [[1, 3, 7], [2, 6], [0], [4], [5]]
    assert list(batches(LENGTHS, "fixed_samples", 10**6)) == list(
        batches(LENGTHS, "equal_length", 10**6)
    )
    assert list(batches([], "masked", 1000)) == []


@pytest.mark.parametrize("batching", ["masked", "equal_length"])
def test_embeddings_are_those_of_the_utterances_alone(reader, batching):
    network = Statistics(batching).train()
    order = [4, 0, 13, 7, 7, 2]
    embeddings = embed_utterances(network, reader, order)
    assert network.training, "it is left as it was"
    assert embeddings.dtype == np.float32
    assert any(len(set(lengths)) > 1 for lengths in network.calls) == (batching == "masked")
    for row, index in zip(embeddings, order, strict=True):
        samples = reader.read(index)
        samples = np.resize(samples, max(len(samples), network.min_samples))
        assert row == pytest.approx(
            [samples.mean(), np.sqrt(np.mean(samples**2)), len(samples)], rel=1e-5, abs=1e-7
        )
    assert reader.num_samples[order].min() < network.min_samples, "one of them had to be repeated"


def test_shares_of_several_processes_add_up_to_the_whole(reader, monkeypatch):
    monkeypatch.setattr("utils.embeddings.inference.BATCH_SECONDS", 2.0)
    assert BATCH_SECONDS > 2
    whole = embed_utterances(Statistics(), reader, range(15))
    networks = [Statistics() for _ in range(3)]
    shares = [
        embed_utterances(network, reader, range(15), share=(rank, 3))
        for rank, network in enumerate(networks)
    ]
    assert all(network.calls for network in networks)
    assert sum(len(lengths) for network in networks for lengths in network.calls) == 15
    assert np.array_equal(sum(shares), whole)


def test_audio_of_another_rate_is_refused(tmp_path):
    data = make_packed(tmp_path / "dev", {"a": 100, "b": 140}, utterances=2)
    keys, reader = open_packed(data, RATE)
    assert keys == ["a-0", "a-1", "b-0", "b-1"]
    assert len(reader) == 4
    with pytest.raises(
        UserError,
        match=r"dev: packed at 16000 Hz, the network takes 8000 Hz; pack at that rate \(stage 2\)",
    ):
        open_packed(data, 8000)


def test_no_utterances_give_no_embeddings():
    reader = SimpleNamespace(num_samples=np.empty(0, np.int64))
    assert embed_utterances(Statistics(), reader, []).shape == (0, 3)


class Frames:
    """Stored features of four frames per "second": what a FeatureReader gives."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.content = [rng.normal(size=(rows, 3)).astype(np.float32) for rows in (5, 2, 9, 7)]
        self.num_samples = np.array([len(matrix) for matrix in self.content])

    def read(self, index, start_sample=0, num_samples=None):
        return self.content[index][
            start_sample : None if num_samples is None else start_sample + num_samples
        ]


@pytest.mark.parametrize("batching", ["masked", "equal_length"])
def test_features_take_the_place_of_waveforms_and_short_ones_are_repeated_by_frames(batching):
    class FirstAndLast(torch.nn.Module):
        embedding_dim, sample_rate_hz, min_samples = 7, 4, 5

        def __init__(self):
            super().__init__()
            self.batching, self.scale = batching, torch.nn.Parameter(torch.ones(()))

        def forward(self, features_BTF, lengths_B):
            return (
                torch.stack(
                    [
                        torch.cat([row[0], row[n - 1], n[None]])
                        for row, n in zip(features_BTF, lengths_B, strict=True)
                    ]
                )
                * self.scale
            )

    reader = Frames()
    embeddings = embed_utterances(FirstAndLast(), reader, [1, 2, 0])
    for row, index in zip(embeddings, [1, 2, 0], strict=True):
        frames = np.concatenate([reader.content[index]] * 3)[: max(5, len(reader.content[index]))]
        assert row.tolist() == [*frames[0].tolist(), *frames[-1].tolist(), len(frames)]
