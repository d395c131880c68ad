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
    """Two embeddings to the log odds that they are of one speaker.

    Parameters
    ----------
    dimensions : int
        D.
    hidden_units : sequence of int
        Width of each hidden layer.
    input_dropout, hidden_dropout : float
        Parts that are dropped in training.
    leaky_slope : float
        Of LeakyReLU.
    """

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
        """Outputs (B, 2) before the softmax: different speakers, the same speaker.

        Parameters
        ----------
        enrol_BD, test_BD : (B, D) float tensors
            z-normalised embeddings.
        """
        enrol_BD, test_BD = self.input_dropout(enrol_BD), self.input_dropout(test_BD)
        x = self.dense[0](
            torch.cat([enrol_BD + test_BD, enrol_BD - test_BD, enrol_BD * test_BD], dim=1)
        )
        for layer in self.dense[1:]:
            x = layer(self.between(x))
        return x


@dataclass(frozen=True)
class PairTraining:
    """How a network is trained.

    Parameters
    ----------
    pairs_per_kind, steps, validate_every_steps, symmetric, seed
        As of `steps.backends.bvector.BVector`.
    """

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
    """Train a network; it ends with the weights of its best evaluation.

    Parameters
    ----------
    network : PairNetwork
        With its first weights, where it is to be trained.
    rows_ND : (N, D) float tensor
        z-normalised embeddings.
    training, held_out : SpeakerPairs, SpeakerPairs or None
        Pairs to learn from and to evaluate on; None: the last weights count.
    options : PairTraining
        How.

    Returns
    -------
    list of dict
        Of each evaluation ``step``, mean ``loss`` since the one before, and ``validation_eer_percent``, None without held-out speakers.
    """
    weights = {
        "params": [layer.weight for layer in network.layers],
        "weight_decay": 2 * WEIGHT_L2,  # the gradient of an L2 term
    }
    offsets = {"params": [layer.bias for layer in network.layers], "weight_decay": 0.0}
    optimizer = torch.optim.Adam(
        [weights, offsets], lr=LEARNING_RATE, eps=ADAM_EPSILON, amsgrad=True
    )
    best_eer = np.inf
    best: dict[str, torch.Tensor] = {}
    history: list[dict] = []
    losses: list[torch.Tensor] = []
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE / (1 + LEARNING_RATE_DECAY * step)
        enrol, test, is_target = training.draw(options.pairs_per_kind, [options.seed, step])
        logits = network.train()(rows_ND[enrol], rows_ND[test])
        loss = nn.functional.cross_entropy(
            logits, torch.from_numpy(is_target.astype(np.int64)).to(logits.device)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if (step + 1) % options.validate_every_steps == 0 or step + 1 == options.steps:
            eer = validation_eer(network, rows_ND, held_out, options)
            history.append(
                {
                    "step": step + 1,
                    "loss": float(torch.stack(losses).mean()),
                    "validation_eer_percent": eer,
                }
            )
            losses.clear()
            if eer is None or eer < best_eer:
                best_eer = np.inf if eer is None else eer
                best = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best)
    return history


def validation_eer(
    network: PairNetwork,
    rows_ND: torch.Tensor,
    held_out: SpeakerPairs | None,
    options: PairTraining,
) -> float | None:
    """Equal error rate in percent on pairs of speakers that are held out; None without any.

    Parameters
    ----------
    network, rows_ND, held_out, options
        As of `train_pair_network`.
    """
    if held_out is None:
        return None
    enrol, test, is_target = held_out.draw_evenly(VALIDATION_PAIRS, [options.seed])
    scores = log_odds(network, rows_ND[enrol], rows_ND[test], options.symmetric)
    return 100 * equal_error_rate(scores[is_target], scores[~is_target])


@torch.no_grad()
def log_odds(
    network: PairNetwork, enrol_BD: torch.Tensor, test_BD: torch.Tensor, symmetric: bool
) -> np.ndarray:
    """Log odds of "same".

    Parameters
    ----------
    network : PairNetwork
        Put in evaluation mode.
    enrol_BD, test_BD : (B, D) float tensors
        z-normalised embeddings.
    symmetric : bool
        The mean over both orders of the sides.

    Returns
    -------
    (B,) float32 array
    """
    network.eval()
    orders = [(enrol_BD, test_BD), (test_BD, enrol_BD)][: 1 + symmetric]
    outputs = [network(*order) for order in orders]
    return (sum(output[:, 1] - output[:, 0] for output in outputs) / len(outputs)).cpu().numpy()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Compute with so many threads inside the ``with`` block, since sums depend on them.

    Parameters
    ----------
    number : int
        1 or more.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
