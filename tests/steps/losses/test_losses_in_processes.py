"""Two processes with half the rows of a batch each give the results of one process."""

import json
import os

import pytest
import torch
import torch.multiprocessing
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from steps.losses import LOSSES

NUM_SPEAKERS, NUM_UTTERANCES = 4, 3
PARTS = {
    "parts": [
        {"name": "softmax", "ohem_keep": 0.5},
        {"name": "center", "weight": 0.1},
        {"name": "triplet", "mining": "all", "margin": 0.5},
    ]
}
OPTIONS = {
    "weighted_sum": PARTS,
    "triplet": {"mining": "hard", "margin": 0.5},
    "softmax": {"ohem_keep": 0.3, "speaker_basis_weight": 1.0},
}


class NetworkAndLoss(nn.Module):
    def __init__(self, name):
        super().__init__()
        torch.manual_seed(1)
        self.network, self.loss = (
            nn.Linear(6, 5),
            LOSSES[name](5, NUM_SPEAKERS, **OPTIONS.get(name, {})),
        )

    def forward(self, x_BF, labels_B):
        return self.loss(self.network(x_BF), labels_B)


def two_steps(name, rank, world):
    """Loss, count, gradients and state after two steps; the first moves the second's centres."""
    both = NetworkAndLoss(name)
    model = DistributedDataParallel(both) if world > 1 else both
    torch.manual_seed(2)
    for _ in range(2):
        labels_B = torch.arange(NUM_SPEAKERS).repeat(NUM_UTTERANCES)[
            torch.randperm(NUM_SPEAKERS * NUM_UTTERANCES)
        ]
        x_BF = torch.randn(NUM_SPEAKERS, 6)[labels_B] + 0.5 * torch.randn(len(labels_B), 6)
        model.zero_grad()
        value, num_correct = model(x_BF[rank::world], labels_B[rank::world])
        value.backward()
    return {
        "loss": value.item(),
        "correct": num_correct.item(),
        "gradients": {key: p.grad.tolist() for key, p in both.named_parameters()},
        "state": {key: value.tolist() for key, value in both.state_dict().items()},
    }


def work(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    steps = {name: two_steps(name, rank, 2) for name in LOSSES}
    (folder / f"{rank}.json").write_text(json.dumps(steps))
    torch.distributed.barrier()  # neither ends while the other still needs it
    os._exit(0)  # as utils.cli does: gloo's threads can abort Python's exit (pytorch #179291)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.start_processes(work, (folder,), nprocs=2, start_method="spawn")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def close(result, expected):
    assert set(result) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(
            torch.tensor(result[key]),
            torch.tensor(value),
            rtol=1e-4,
            atol=1e-5,
            msg=lambda text, key=key: f"{key}: {text}",
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_equal_one(name, results):
    expected = two_steps(name, 0, 1)
    first, second = (result[name] for result in results)
    assert (first["loss"] + second["loss"]) / 2 == pytest.approx(expected["loss"], rel=1e-5)
    assert first["correct"] + second["correct"] == expected["correct"]
    close(first["gradients"], expected["gradients"])
    close(first["state"], expected["state"])
    assert first["gradients"] == second["gradients"]
    assert first["state"] == second["state"]
