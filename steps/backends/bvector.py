"""RawNet's b-vector back end: a network decides whether two embeddings are of one speaker.

Layers for embeddings of D dimensions, z-normalised by the training embeddings:

=============================  =====================  ===========================================
layer                          output                 parameters at D = 128
=============================  =====================  ===========================================
dropout 0.2 of each side       D, D
[a + b, a - b, a * b]          3 D
dense, dropout 0.5, LeakyReLU  1024, four times       394,240 and 3 x 1,049,600
dense                          2: different, same     2,050; 3,545,090 in all
=============================  =====================  ===========================================

As published: uniform first weights in +-0.05, L2 of 5e-5 on weights (not on offsets), Adam with
AMSGrad from 1e-3, divided by 1 + 1e-4 x step, batches of 60 pairs of each kind, the 60 speakers of
the target pairs all different, an evaluation every 1,000 steps.

Deviations: (1) The score is the log odds of "same": they order trials as the published probability
does, and do not saturate at 0 and 1.  (2) It is the mean over both orders of the two sides, since
a - b depends on the order; ``symmetric: false`` gives the published one.  (3) 5,000 steps instead
of a million.  (4) The weights of the best evaluation are kept, as published, but its speakers are
not trained on.

Source: Jung et al., RawNet, Interspeech 2019.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from steps.backends.links import Amount
from steps.backends.speaker_pairs import SpeakerPairs


class BVector:
    """A network that judges pairs of embeddings, trained on pairs of training embeddings.

    Parameters
    ----------
    hidden_units : tuple of int
        Width of each hidden layer; the published alternative is 512.
    input_dropout : float
        Share of the inputs dropped in training, in [0, 1).
    hidden_dropout : float
        Share of the hidden units dropped in training, in [0, 1).
    leaky_slope : float
        Slope of LeakyReLU below 0.
    pairs_per_kind : int
        Target pairs in a batch, each of another speaker, and as many nontarget pairs; fewer if
        there are fewer speakers.
    steps : int
        Batches of the training; published: 1,000,000.
    validate_every_steps : int
        Steps between evaluations.
    validation_share : float
        Share of the speakers held out for the evaluations, in [0, 1); 0: none, and the last weights
        are kept.
    symmetric : bool
        Scores are the mean over both orders of the sides.
    seed : int
        Of first weights, pairs and dropout, 0 or more.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    device : str
        Device of the training: ``cpu`` or ``cuda``.
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
        shares = {
            "input_dropout": input_dropout,
            "hidden_dropout": hidden_dropout,
            "validation_share": validation_share,
        }
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} is {share}, expected a share in [0, 1)")
        if not hidden_units or min(hidden_units) < 1:
            raise ValueError(
                f"hidden_units is {list(hidden_units)}, "
                "expected the width of one layer or more, each 1 or more"
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
        """Refuse what `fit` would refuse, as far as `Amount` shows it."""
        del dimensions
        if amount.utterances is not None:
            rows = np.arange(amount.utterances.sum())
            SpeakerPairs(np.split(rows, amount.utterances.cumsum()[:-1]))

    def fit(
        self, embeddings: np.ndarray, speakers: Sequence[str], adaptation: np.ndarray | None = None
    ) -> "BVector":
        """Learn statistics and weights from embeddings (N, D) and their speakers.

        ``adaptation`` is ignored.  ``report_`` has the step of each evaluation, the mean loss since
        the previous one, and the EER of held-out speakers (None without any).  Raises ValueError if
        too few speakers have two utterances, or if there is no such device.
        """
        del adaptation
        import torch  # not above: the other back ends score without it

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
        normalised = self.transform(embeddings).astype(np.float32)
        rows = torch.from_numpy(normalised).to(self.device)
        training, held_out = SpeakerPairs.split(speakers, self.validation_share, self.seed)
        options = PairTraining(
            self.pairs_per_kind,
            self.steps,
            self.validate_every_steps,
            self.symmetric,
            self.seed,
        )
        with (
            torch_threads(self.num_threads),
            torch.random.fork_rng(devices=range(torch.cuda.device_count())),
        ):
            torch.manual_seed(self.seed)
            network = PairNetwork(embeddings.shape[1], *self.network_options).to(self.device)
            history = train_pair_network(network, rows, training, held_out, options)
        self.network_, self.report_ = network.cpu(), {"evaluations": history}
        return self

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """z-normalised rows, of the type given, computed in float64; ``num_utts`` is ignored."""
        del num_utts
        return ((embeddings - self.mean_) / self.deviation_).astype(embeddings.dtype)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log odds, (N,) float32, that row i of both transformed sides is of one speaker.

        Not calibrated: half of the training pairs were target pairs.
        """
        import torch

        from steps.backends.pair_network import log_odds, torch_threads

        enrol_ND = torch.from_numpy(np.ascontiguousarray(enrol, np.float32))
        test_ND = torch.from_numpy(np.ascontiguousarray(test, np.float32))
        with torch_threads(self.num_threads):
            return log_odds(self.network_, enrol_ND, test_ND, self.symmetric)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log odds of each row of (..., R, D) with each of (..., S, D): (..., R, S) float32."""
        test_rows = test.reshape(-1, test.shape[-1])
        scores = []
        for row in range(enrol.shape[-2]):
            enrol_rows = np.broadcast_to(enrol[..., row, None, :], test.shape)
            row_scores = self.score(enrol_rows.reshape(test_rows.shape), test_rows)
            scores.append(row_scores.reshape(test.shape[:-1]))
        return np.stack(scores, axis=-2)

    def parts(self) -> dict[str, np.ndarray]:
        """Statistics, and each dense layer as an affine map (out, in + 1) with the bias last."""
        parts = {"mean.vec": self.mean_, "deviation.vec": self.deviation_}
        for number, layer in enumerate(self.network_.layers):
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            parts[f"dense{number}.mat"] = np.column_stack([weight, bias])
        return parts

    def from_parts(self, parts: Mapping[str, np.ndarray]) -> "BVector":
        """Take over `parts`; raises ValueError if one is missing or does not fit the options."""
        import torch

        from steps.backends.pair_network import PairNetwork

        hidden_units = self.network_options[0]
        layers = [f"dense{number}.mat" for number in range(len(hidden_units) + 1)]
        for name in ["mean.vec", "deviation.vec", *layers]:
            if name not in parts:
                raise ValueError(f"no {name}")
        self.mean_ = np.asarray(parts["mean.vec"], np.float64)
        self.deviation_ = np.asarray(parts["deviation.vec"], np.float64)
        self.network_ = PairNetwork(len(self.mean_), *self.network_options)
        for name, layer in zip(layers, self.network_.layers, strict=True):
            matrix = torch.from_numpy(np.array(parts[name], np.float32))
            expected = (layer.out_features, layer.in_features + 1)
            if matrix.shape != expected:
                raise ValueError(
                    f"{name} is {matrix.shape[0]} x {matrix.shape[-1]}, "
                    f"expected {expected[0]} x {expected[1]}"
                )
            with torch.no_grad():
                layer.weight.copy_(matrix[:, :-1])
                layer.bias.copy_(matrix[:, -1])
        return self
