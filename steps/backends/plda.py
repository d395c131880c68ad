"""PLDA as a back end: the model, the transform and the scores of Kaldi's ivector-plda-scoring."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from steps.backends.adaptation import CoralPlus, KaldiAdaptation
from steps.backends.chain import Chain
from steps.backends.links import Amount, Link
from steps.backends.matrices import affine, in_blocks, refuse_few_to_adapt_to
from steps.backends.plda_training import refuse_rank, train_plda
from steps.backends.speaker_statistics import preflight, refuse_too_few, speaker_statistics


class Plda:
    """Log-likelihood ratio of "one speaker" to "two", with Gaussian speakers and utterances.

    Parameters
    ----------
    links : sequence of Link
        Maps of the embeddings before the model.
    iterations : int
        Iterations of EM.
    rank : int or None
        Rank of the covariance between speakers; None: full.
    shrinkage : float
        In [0, 1]: how far the scatter within speakers is shrunk towards a multiple of the unit
        matrix before the training.
    adaptation : KaldiAdaptation, CoralPlus or None
        Adaptation of the trained model to the adaptation vectors.
    smoothing : float
        At least 0: this times the covariance between speakers is added to that within, as by
        ivector-copy-plda; the last step of the training.
    normalize_length : bool
        Give every vector the length that the model expects.
    simple_length_normalization : bool
        That length is the square root of the number of dimensions, whatever the model.
    multi_session : str
        ``by_the_book``: the mean of n utterances is scored as such (Kaldi's --num-utts).
        ``average``: it is scored as if it were one utterance.

    References
    ----------
    Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006.
    """

    def __init__(
        self,
        links: Sequence[Link] = (),
        iterations: int = 10,
        rank: int | None = None,
        shrinkage: float = 0.0,
        adaptation: KaldiAdaptation | CoralPlus | None = None,
        smoothing: float = 0.0,
        normalize_length: bool = True,
        simple_length_normalization: bool = False,
        multi_session: Literal["by_the_book", "average"] = "by_the_book",
    ):
        if iterations < 1 or smoothing < 0 or not 0 <= shrinkage <= 1:
            raise ValueError(
                f"found iterations {iterations}, smoothing {smoothing}, shrinkage {shrinkage}; "
                "expected iterations from 1, smoothing from 0, shrinkage in [0, 1]"
            )
        self.chain = Chain(links)
        self.iterations = iterations
        self.rank = rank
        self.shrinkage = shrinkage
        self.adaptation, self.smoothing = adaptation, smoothing
        self.normalize_length = normalize_length
        self.simple_length_normalization = simple_length_normalization
        self.multi_session = multi_session
        self.needs_speakers = True
        self.takes = self.chain.takes | {"mean"}  # the model's own
        self.needs_adaptation = self.chain.needs_adaptation or adaptation is not None
        self.report_: dict = {}

    def check(self, dimensions: int, amount: Amount) -> None:
        """Refuse what `fit` would refuse, as far as `Amount` shows it."""
        dimensions = self.chain.check(dimensions, amount)
        if self.rank is not None:
            refuse_rank(self.rank, dimensions, amount.utterances)
        if amount.utterances is not None:
            refuse_too_few(amount.utterances, dimensions)
        if self.adaptation is not None and amount.adaptation is not None:
            refuse_few_to_adapt_to(amount.adaptation, dimensions)

    def fit(
        self, embeddings: np.ndarray, speakers: Sequence[str], adaptation: np.ndarray | None = None
    ) -> "Plda":
        """Learn the chain and the model from embeddings (N, D) and their speakers.

        ``adaptation`` are embeddings (A, D) of the trials' domain, for links and an adaptation that
        need them.  Raises ValueError if the embeddings do not determine the model, or if the
        likelihood fell.
        """
        rows, adaptation = self.chain.fit(embeddings, speakers, adaptation)
        statistics = speaker_statistics(rows, speakers)
        self.report_ = preflight(statistics)  # kept if the training fails: it shows the reason
        trained = train_plda(statistics.shrunk(self.shrinkage), self.iterations, self.rank)
        self.report_ |= {
            "floored_eigenvalues": trained.num_floored,
            "log_likelihood_per_vector": trained.log_likelihoods,
        }
        model = trained.mean, trained.transform, trained.psi
        if self.adaptation is not None:
            assert adaptation is not None
            model = self.adaptation(*model, adaptation)
        self._set_model(*smoothed(*model, self.smoothing))
        return self

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """Embeddings (N, D) in the space where W is unit and B diagonal, (N, R + 2).

        ``num_utts`` is the number of utterances, default 1, that each embedding is the mean of.
        The last two columns are minus the log-density of the row alone, without a constant, which
        every score needs; and the number of utterances.  Of the type given, or float64 if lengths
        are not normalised.
        """
        if num_utts is None or self.multi_session == "average":
            counts = np.ones(len(embeddings))
        else:
            counts = np.asarray(num_utts, np.float64)
        kept = embeddings.dtype
        if not self.normalize_length:
            # large squares are to cancel in the scores
            embeddings = embeddings.astype(np.float64)

        def map_block(block, counts):
            return self._map_block(block, counts, kept)

        return in_blocks(embeddings, map_block, counts)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio of row i of both transformed sides: (N,) float64, in nats.

        Both squares are sums of terms of one sign, so that float32 rows are precise enough (an
        expanded bilinear form would cancel).
        """
        counts = enrol[:, -1]
        if (counts == counts[:1]).all():
            counts = counts[:1]
        gain, precision, constant = self._posterior(counts, enrol.dtype)
        difference = test[:, :-2] - gain * enrol[:, :-2]
        difference *= difference
        return constant + test[:, -2] - np.vecdot(difference, precision)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio of each row of (..., R, D) with each of (..., S, D): (..., R, S).

        For cohorts, and for utterances with a row for each crop.  A bilinear form, in float64.
        """
        counts = enrol[..., -1]
        distinct = np.unique(counts)
        enrol, test = enrol[..., :-2].astype(np.float64), test[..., :-2].astype(np.float64)
        squares, alone = test * test, 0.5 / (1 + self.psi_)
        gains, precisions, constants = self._posterior(distinct, np.float64)
        number = np.searchsorted(distinct, counts)
        means = gains[number] * enrol
        own = constants[number] - np.vecdot(means * means, precisions[number])
        scores = (2 * precisions[number] * means) @ test.swapaxes(-1, -2) + own[..., None]
        for count, precision in zip(distinct, precisions, strict=True):
            term = (squares @ (alone - precision))[..., None, :]
            if len(distinct) > 1:
                term = np.where((counts == count)[..., None], term, 0)
            scores += term
        return scores

    def parts(self) -> dict[str, Any]:
        """What was learned, by the names of Kaldi's files; ``plda`` is mean, transform and psi."""
        return {**self.chain.parts_, "plda": (self.mean_, self.transform_, self.psi_)}

    def from_parts(self, parts: Mapping[str, Any]) -> "Plda":
        """Take over `parts` or Kaldi's own files, with the ``<Plda>`` unchanged.

        Raises ValueError if one is missing or they do not fit together.
        """
        self.chain.from_parts(parts)
        if "plda" not in parts:
            raise ValueError("no plda")
        mean, transform, psi = (np.asarray(part, np.float64) for part in parts["plda"])
        self._set_model(mean, transform, psi)
        dimensions = self.chain.output_dimensions()
        if dimensions and dimensions != len(mean):
            raise ValueError(
                f"plda takes vectors of {len(mean)} dimensions, "
                f"what comes before it leaves {dimensions}"
            )
        return self

    def _set_model(self, mean, transform, psi):
        self.mean_, self.transform_, self.psi_ = mean, transform, psi
        self.affine_ = np.column_stack([transform, -transform @ mean])

    def _map_block(self, block, counts, kept):
        rows = affine(self.chain.map_block(block), self.affine_)
        if not self.normalize_length:
            # Kaldi keeps rows in single precision, and computes in double
            rows = rows.astype(kept).astype(np.float64)
        squares = rows * rows
        alone = np.vecdot(squares, 0.5 / (1 + self.psi_))
        if self.normalize_length:
            gain = rows.shape[1] / np.vecdot(squares, 1 / self._expected_variance(counts))
            rows *= np.sqrt(gain)[:, None]
            alone *= gain
        return np.column_stack([rows, alone, counts])

    def _expected_variance(self, counts):
        """Variance of the mean of n utterances by the model: psi + 1 / n."""
        if self.simple_length_normalization:
            return np.ones((1, len(self.psi_)))
        if (counts == counts[0]).all():
            counts = counts[:1]
        return self.psi_ + 1 / counts[:, None]

    def _posterior(self, counts, dtype):
        """A test vector, given the mean of ``counts`` utterances of its speaker.

        Gives the gain of that mean, half the precision, and the constant of the ratio.
        """
        spread = 1 + counts[:, None] * self.psi_
        variance = 1 + self.psi_ / spread
        constant = 0.5 * (np.log1p(self.psi_).sum() - np.log(variance).sum(axis=1))
        gain = (counts[:, None] * self.psi_ / spread).astype(dtype)
        half_precision = (0.5 / variance).astype(dtype)
        return gain, half_precision, constant


def smoothed(
    mean: np.ndarray, transform: np.ndarray, psi: np.ndarray, smoothing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ``<Plda>`` with ``smoothing`` times the covariance between speakers added to that within.

    As ivector-copy-plda --smoothing does; 0 changes nothing.
    """
    # float32 as in Kaldi, where it shows in the last digit of a text file
    within = 1 + float(np.float32(smoothing)) * psi
    return mean, transform / np.sqrt(within)[:, None], psi / within
