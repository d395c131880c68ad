"""The b-vector back end of RawNet (Jung et al. 2019): a network that is shown two embeddings and says whether one speaker uttered both.

Layers for embeddings of D dimensions, z-normalised by the training embeddings:

=============================  =====================  ===========================================
layer                          output                 parameters at D = 128
=============================  =====================  ===========================================
dropout 0.2 of each side       D, D
[a + b, a - b, a * b]          3 D
dense, dropout 0.5, LeakyReLU  1024, four times       394,240 and 3 x 1,049,600
dense                          2: different, same     2,050; 3,545,090 in all
=============================  =====================  ===========================================

As published: uniform first weights in +-0.05, L2 of 5e-5 on weights (not on offsets), Adam with AMSGrad from 1e-3, divided by
1 + 1e-4 x step, batches of 60 pairs of each kind, the 60 speakers of the target pairs all different, an evaluation every 1,000 steps.

Deviations: (1) The score is the log odds of "same": they order trials as the published probability does, and do not end at 0 and 1.  (2) It is the
mean over both orders of the two sides, since a - b depends on the order; ``symmetric: false`` gives the published one.  (3) 5,000 steps in place of a
million.  (4) The best evaluation counts, as published, but its speakers are not trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from steps.backends.links import Amount
from steps.backends.speaker_pairs import SpeakerPairs


class BVector:
    """Pairs of embeddings judged by a network that learned from pairs of training embeddings.

    Parameters
    ----------
    hidden_units : tuple of int
        Width of each hidden layer; the published alternative is 512.
    input_dropout, hidden_dropout : float
        Parts dropped in training, in [0, 1).
    leaky_slope : float
        Of LeakyReLU.
    pairs_per_kind : int
        Target pairs in a batch, each of another speaker, and as many non-target pairs; fewer where there are fewer speakers.
    steps : int
        Batches of the training; published: 1,000,000.
    validate_every_steps : int
        How often it is evaluated.
    validation_share : float
        Part of the speakers that is held out of the training to evaluate on, in [0, 1); 0: none, and the last weights count.
    symmetric : bool
        Scores are the mean over both orders of the sides.
    seed : int
        Of first weights, pairs and dropout, 0 or more.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    device : str
        Where it is trained: ``cpu`` or ``cuda``.
    """

    needs_speakers = True
    needs_adaptation = False
    takes = frozenset(("mean", "deviation"))

    def __init__(
        self,
        hidden_units: tuple[int, ...] = (1024, 1024, 1024, 1024),
        input_dropout: float = 0.2,
        hidden_dropout: float = 0.5,
        leaky_slope: float = 0.3,
        pairs_per_kind: int = 60,
        steps: int = 5000,
        validate_every_steps: int = 1000,
        validation_share: float = 0.1,
        symmetric: bool = True,
        seed: int = 0,
        num_threads: int = 2,
        device: Literal["cpu", "cuda"] = "cpu",
    ):
        self.report_: dict = {}
        counts = {
            "pairs_per_kind": pairs_per_kind,
            "steps": steps,
            "validate_every_steps": validate_every_steps,
            "num_threads": num_threads,
        }
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} is {count}, expected 1 or more")
        for name, part in {
            "input_dropout": input_dropout,
            "hidden_dropout": hidden_dropout,
            "validation_share": validation_share,
        }.items():
            if not 0 <= part < 1:
                raise ValueError(f"{name} is {part}, expected a part in [0, 1)")
        if not hidden_units or min(hidden_units) < 1:
            raise ValueError(
                f"hidden_units is {list(hidden_units)}, expected the width of one layer or more, each 1 or more"
            )
        if seed < 0:
            raise ValueError(f"seed is {seed}, expected 0 or more")
        self.network_options = (tuple(hidden_units), input_dropout, hidden_dropout, leaky_slope)
        self.pairs_per_kind = pairs_per_kind
        self.steps = steps
        self.validate_every_steps = validate_every_steps
        self.validation_share = validation_share
        self.symmetric = symmetric
        self.seed = seed
        self.num_threads = num_threads
        self.device = device

    def check(self, dimensions: int, amount: Amount) -> None:
        """Refuse what `fit` would refuse, as far as that shows in numbers.

        Parameters
        ----------
        dimensions, amount
            As of `Link.check`.
        """
        del dimensions
        if amount.utterances is not None:
            rows_of = np.split(np.arange(amount.utterances.sum()), amount.utterances.cumsum()[:-1])
            SpeakerPairs(rows_of)

    def fit(
        self, embeddings: np.ndarray, speakers: Sequence[str], adaptation: np.ndarray | None = None
    ) -> "BVector":
        """Learn statistics and weights.

        Parameters
        ----------
        embeddings : (N, D) float array
            Training embeddings, one per utterance.
        speakers : sequence of N str
            Their speakers.
        adaptation : ignored
            Every back end is given embeddings of the trials' domain, where there are any.

        Returns
        -------
        BVector
            With ``report_``: of each evaluation the step, the mean loss since the one before, and the EER of held-out speakers (None without any).

        Raises
        ------
        ValueError
            Too few speakers with two utterances, or no such device.
        """
        del adaptation
        import torch  # not above: the other back ends are scored without it

        from steps.backends.pair_network import (
            PairNetwork,
            PairTraining,
            torch_threads,
            train_pair_network,
        )

        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device is cuda, no CUDA device is visible; choose cpu")
        self.mean_ = embeddings.mean(axis=0, dtype=np.float64)
        deviation = embeddings.std(axis=0, dtype=np.float64)
        # a dimension that never changes becomes 0
        self.deviation_ = np.where(deviation > 0, deviation, 1)
        rows = torch.from_numpy(self.transform(embeddings).astype(np.float32)).to(self.device)
        training, held_out = SpeakerPairs.split(speakers, self.validation_share, self.seed)
        with (
            torch_threads(self.num_threads),
            torch.random.fork_rng(devices=range(torch.cuda.device_count())),
        ):
            torch.manual_seed(self.seed)
            network = PairNetwork(embeddings.shape[1], *self.network_options).to(self.device)
            options = PairTraining(
                self.pairs_per_kind,
                self.steps,
                self.validate_every_steps,
                self.symmetric,
                self.seed,
            )
            history = train_pair_network(network, rows, training, held_out, options)
        self.network_, self.report_ = network.cpu(), {"evaluations": history}
        return self

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """z-normalised rows.

        Parameters
        ----------
        embeddings : (N, D) float array
            One side of the trials.
        num_utts : ignored
            Every back end is told of how many utterances an embedding is the mean.

        Returns
        -------
        (N, D) float array
            What `score` compares; of the type given, computed in float64.
        """
        del num_utts
        return ((embeddings - self.mean_) / self.deviation_).astype(embeddings.dtype)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log odds that the rows of each pair are of one speaker.

        Parameters
        ----------
        enrol, test : (N, D) float arrays
            Transformed embeddings; row i of one is compared with row i of the other.

        Returns
        -------
        (N,) float32 array
            Higher is more alike; not calibrated: half of the training pairs were target pairs.
        """
        import torch

        from steps.backends.pair_network import log_odds, torch_threads

        enrol_ND, test_ND = (
            torch.from_numpy(np.ascontiguousarray(side, np.float32)) for side in (enrol, test)
        )
        with torch_threads(self.num_threads):
            return log_odds(self.network_, enrol_ND, test_ND, self.symmetric)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log odds of every row of one matrix with every row of another.

        Parameters
        ----------
        enrol, test : (..., R, D) and (..., S, D) float arrays
            Transformed; leading axes are pairs of matrices.

        Returns
        -------
        (..., R, S) float32 array
        """
        others = test.reshape(-1, test.shape[-1])
        scores = [
            self.score(
                np.broadcast_to(enrol[..., row, None, :], test.shape).reshape(others.shape), others
            )
            for row in range(enrol.shape[-2])
        ]
        return np.stack([of_row.reshape(test.shape[:-1]) for of_row in scores], axis=-2)

    def parts(self) -> dict[str, np.ndarray]:
        """What was learned: statistics, and each dense layer as an affine map, (out, in + 1), whose last column is added."""
        layers = {
            f"dense{number}.mat": np.column_stack(
                [layer.weight.detach().numpy(), layer.bias.detach().numpy()]
            )
            for number, layer in enumerate(self.network_.layers)
        }
        return {"mean.vec": self.mean_, "deviation.vec": self.deviation_, **layers}

    def from_parts(self, parts: Mapping[str, np.ndarray]) -> "BVector":
        """Take over what another one learned.

        Parameters
        ----------
        parts : mapping of str to array
            From `parts`.

        Raises
        ------
        ValueError
            One is missing, or has another size than the options say.
        """
        import torch

        from steps.backends.pair_network import PairNetwork

        names = [
            "mean.vec",
            "deviation.vec",
            *(f"dense{number}.mat" for number in range(len(self.network_options[0]) + 1)),
        ]
        if missing := [name for name in names if name not in parts]:
            raise ValueError(f"no {missing[0]}")
        self.mean_, self.deviation_ = (np.asarray(parts[name], np.float64) for name in names[:2])
        self.network_ = PairNetwork(len(self.mean_), *self.network_options)
        for name, layer in zip(names[2:], self.network_.layers, strict=True):
            matrix = torch.from_numpy(np.array(parts[name], np.float32))
            expected = (layer.out_features, layer.in_features + 1)
            if matrix.shape != expected:
                raise ValueError(
                    f"{name} is {matrix.shape[0]} x {matrix.shape[-1]}, expected {expected[0]} x {expected[1]}"
                )
            with torch.no_grad():
                layer.weight.copy_(matrix[:, :-1])
                layer.bias.copy_(matrix[:, -1])
        return self
