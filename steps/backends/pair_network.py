"""The network of the b-vector back end (steps/backends/bvector.py) and its training.

Shapes: ``N`` training embeddings, ``B`` pairs, ``D`` dimensions.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from steps.backends.speaker_pairs import SpeakerPairs, equal_error_rate

FIRST_WEIGHTS = 0.05
LEARNING_RATE, LEARNING_RATE_DECAY, WEIGHT_L2, ADAM_EPSILON = 1e-3, 1e-4, 5e-5, 1e-7
VALIDATION_PAIRS = 2000  # of each kind


class PairNetwork(nn.Module):
    """Two embeddings to the outputs for "different" and "same"; options as of BVector."""

    def __init__(
        self,
        dimensions: int,
        hidden_units: Sequence[int],
        input_dropout: float,
        hidden_dropout: float,
        leaky_slope: float,
    ):
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        widths = [3 * dimensions, *hidden_units, 2]
        self.dense = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        self.between = nn.Sequential(nn.Dropout(hidden_dropout), nn.LeakyReLU(leaky_slope))
        for layer in self.layers:
            nn.init.uniform_(layer.weight, -FIRST_WEIGHTS, FIRST_WEIGHTS)
            nn.init.zeros_(layer.bias)

    @property
    def layers(self) -> list[nn.Linear]:
        """The dense layers, from the input's."""
        return [layer for layer in self.dense if isinstance(layer, nn.Linear)]

    def forward(self, enrol_BD: torch.Tensor, test_BD: torch.Tensor) -> torch.Tensor:
        """Outputs (B, 2) before the softmax: different speakers, the same speaker."""
        enrol_BD, test_BD = self.input_dropout(enrol_BD), self.input_dropout(test_BD)
        inputs = [enrol_BD + test_BD, enrol_BD - test_BD, enrol_BD * test_BD]
        x = self.dense[0](torch.cat(inputs, dim=1))
        for layer in self.dense[1:]:
            x = layer(self.between(x))
        return x


@dataclass(frozen=True)
class PairTraining:
    """How a network is trained; as of `steps.backends.bvector.BVector`."""

    pairs_per_kind: int
    steps: int
    validate_every_steps: int
    symmetric: bool
    seed: int


def train_pair_network(
    network: PairNetwork,
    rows_ND: torch.Tensor,
    training: SpeakerPairs,
    held_out: SpeakerPairs | None,
    options: PairTraining,
) -> list[dict]:
    """Train a network on z-normalised rows; it ends with the weights of its best evaluation.

    Gives for each evaluation ``step``, the mean ``loss`` since the previous one, and
    ``validation_eer_percent``.  Without held-out speakers that is None and the last weights stay.
    """
    optimizer = _make_optimizer(network)
    best_eer = np.inf
    best: dict[str, torch.Tensor] = {}
    history: list[dict] = []
    losses: list[torch.Tensor] = []
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE / (1 + LEARNING_RATE_DECAY * step)
        enrol, test, is_target = training.draw(options.pairs_per_kind, [options.seed, step])
        logits = network.train()(rows_ND[enrol], rows_ND[test])
        labels = torch.from_numpy(is_target.astype(np.int64)).to(logits.device)
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        is_last = step + 1 == options.steps
        if (step + 1) % options.validate_every_steps and not is_last:
            continue
        eer = _validation_eer(network, rows_ND, held_out, options)
        evaluation = {
            "step": step + 1,
            "loss": float(torch.stack(losses).mean()),
            "validation_eer_percent": eer,
        }
        history.append(evaluation)
        losses.clear()
        if eer is None or eer < best_eer:
            if eer is not None:
                best_eer = eer
            best = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best)
    return history


def _make_optimizer(network: PairNetwork) -> torch.optim.Adam:
    """Adam with AMSGrad and an L2 term on the weights, not on the offsets."""
    weights = {
        "params": [layer.weight for layer in network.layers],
        "weight_decay": 2 * WEIGHT_L2,  # the gradient of an L2 term
    }
    offsets = {"params": [layer.bias for layer in network.layers], "weight_decay": 0.0}
    return torch.optim.Adam([weights, offsets], lr=LEARNING_RATE, eps=ADAM_EPSILON, amsgrad=True)


def _validation_eer(
    network: PairNetwork,
    rows_ND: torch.Tensor,
    held_out: SpeakerPairs | None,
    options: PairTraining,
) -> float | None:
    """Equal error rate in percent on pairs of held-out speakers; None without any."""
    if held_out is None:
        return None
    enrol, test, is_target = held_out.draw_evenly(VALIDATION_PAIRS, [options.seed])
    scores = log_odds(network, rows_ND[enrol], rows_ND[test], options.symmetric)
    return 100 * equal_error_rate(scores[is_target], scores[~is_target])


@torch.no_grad()
def log_odds(
    network: PairNetwork, enrol_BD: torch.Tensor, test_BD: torch.Tensor, symmetric: bool
) -> np.ndarray:
    """Log odds of "same", (B,) float32, in evaluation mode; symmetric: mean over both orders."""
    network.eval()
    output = network(enrol_BD, test_BD)
    odds = output[:, 1] - output[:, 0]
    if symmetric:
        output = network(test_BD, enrol_BD)
        odds = (odds + (output[:, 1] - output[:, 0])) / 2
    return odds.cpu().numpy()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Compute with so many threads inside the ``with`` block, since sums depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
