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
    """Log-likelihood ratio of "one speaker" to "two" under a model with Gaussian speakers and Gaussian utterances.

    Parameters
    ----------
    links : sequence of Link
        What is done to the embeddings first.
    iterations : int
        Of EM.
    rank : int or None
        Rank of the covariance between speakers; None: full.
    shrinkage : float
        In [0, 1]: how far the scatter within speakers is drawn towards a ball before the training.
    adaptation : KaldiAdaptation, CoralPlus or None
        What is done with the adaptation vectors after the training.
    smoothing : float
        At least 0: this times the covariance between speakers is added to that within, as by ivector-copy-plda; last of all.
    normalize_length : bool
        Give every vector the length that the model expects.
    simple_length_normalization : bool
        That length is the root of the number of dimensions, whatever the model says.
    multi_session : str
        ``by_the_book``: the mean of n utterances is scored as such (Kaldi's --num-utts).  ``average``: as if it were one utterance.

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
        self.takes = self.chain.takes | {"mean"}  # its own
        self.needs_adaptation = self.chain.needs_adaptation or adaptation is not None
        self.report_: dict = {}

    def check(self, dimensions: int, amount: Amount) -> None:
        """Refuse what `fit` would refuse, as far as that shows in numbers.

        Parameters
        ----------
        dimensions, amount
            As of `Link.check`.
        """
        left = self.chain.check(dimensions, amount)
        if self.rank is not None:
            refuse_rank(self.rank, left, amount.utterances)
        if amount.utterances is not None:
            refuse_too_few(amount.utterances, left)
        if self.adaptation is not None and amount.adaptation is not None:
            refuse_few_to_adapt_to(amount.adaptation, left)

    def fit(
        self, embeddings: np.ndarray, speakers: Sequence[str], adaptation: np.ndarray | None = None
    ) -> "Plda":
        """Learn the chain and the model.

        Parameters
        ----------
        embeddings : (N, D) float array
            Training embeddings.
        speakers : sequence of N str
            Their speakers.
        adaptation : (A, D) float array, optional
            Embeddings of the domain of the trials.

        Raises
        ------
        ValueError
            The embeddings cannot tell speakers and utterances apart, or the likelihood fell.
        """
        rows, adaptation = self.chain.fit(embeddings, speakers, adaptation)
        statistics = speaker_statistics(rows, speakers)
        self.report_ = preflight(statistics)  # stays where the training fails: it says why
        trained = train_plda(statistics.shrunk(self.shrinkage), self.iterations, self.rank)
        self.report_ |= {
            "floored_eigenvalues": trained.num_floored,
            "log_likelihood_per_vector": trained.log_likelihoods,
        }
        model = trained.mean, trained.transform, trained.psi
        if self.adaptation is not None:
            assert adaptation is not None  # given where it is needed
            model = self.adaptation(*model, adaptation)
        return self._take(*smoothed(*model, self.smoothing))

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """Bring embeddings to where W is unit and B diagonal, with the length that the model expects.

        Parameters
        ----------
        embeddings : (N, D) float array
            One side of the trials; an embedding may be the mean of several utterances.
        num_utts : (N,) int array, optional
            Of how many; default: of one.

        Returns
        -------
        (N, R + 2) float array
            What `score` compares; of the type given, or float64 where lengths are not normalised.  The last columns are the log-density of the row
            by itself but for a constant, with the other sign, which every score of it needs, and the number of utterances.
        """
        counts = (
            np.ones(len(embeddings))
            if num_utts is None or self.multi_session == "average"
            else np.asarray(num_utts, np.float64)
        )
        # squares of any size are to cancel in the scores
        wide = embeddings if self.normalize_length else embeddings.astype(np.float64)
        return in_blocks(
            wide, lambda block, counts: self._map_block(block, counts, embeddings.dtype), counts
        )

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio of each pair of rows.

        Both squares are sums of terms of one sign, so float32 rows lose nothing that matters (an expanded bilinear form would cancel).

        Parameters
        ----------
        enrol, test : (N, R + 2) float arrays
            Transformed embeddings; row i of one is compared with row i of the other.

        Returns
        -------
        (N,) float64 array
            Natural logarithm; higher is more alike.
        """
        counts = enrol[:, -1]
        is_one = bool((counts == counts[:1]).all())
        gain, precision, constant = self._given(counts[:1] if is_one else counts, enrol.dtype)
        difference = test[:, :-2] - gain * enrol[:, :-2]
        difference *= difference
        return constant + test[:, -2] - np.vecdot(difference, precision)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio of every row of one matrix with every row of another: cohorts, and utterances with a row for each of their pieces.

        Parameters
        ----------
        enrol, test : (..., R, D) and (..., S, D) float arrays
            Transformed; leading axes are pairs of matrices.

        Returns
        -------
        (..., R, S) float64 array
            A bilinear form, computed in float64.
        """
        counts, distinct = enrol[..., -1], np.unique(enrol[..., -1])
        enrol, test = enrol[..., :-2].astype(np.float64), test[..., :-2].astype(np.float64)
        squares, alone = test * test, 0.5 / (1 + self.psi_)
        gain, precision, constant = (
            table[np.searchsorted(distinct, counts)] for table in self._given(distinct, np.float64)
        )
        means = gain * enrol
        own = constant - np.vecdot(means * means, precision)
        # for each number of utterances
        of_test = [squares @ (alone - half) for half in self._given(distinct, np.float64)[1]]
        scores = (2 * precision * means) @ test.swapaxes(-1, -2) + own[..., None]
        for count, term in zip(distinct, of_test, strict=True):
            scores += (
                np.where((counts == count)[..., None], term[..., None, :], 0)
                if len(distinct) > 1
                else term[..., None, :]
            )
        return scores

    def parts(self) -> dict[str, Any]:
        """What was learned, by the name of Kaldi's file for it; ``plda`` is mean, transform and psi."""
        return {**self.chain.parts_, "plda": (self.mean_, self.transform_, self.psi_)}

    def from_parts(self, parts: Mapping[str, Any]) -> "Plda":
        """Take over what another one learned.

        Parameters
        ----------
        parts : mapping of str to arrays
            From `parts`, or Kaldi's own files; a ``<Plda>`` is taken as it is, adapted and smoothed or not.

        Raises
        ------
        ValueError
            One is missing, or they do not fit together.
        """
        self.chain.from_parts(parts)
        if "plda" not in parts:
            raise ValueError("no plda")
        self._take(*(np.asarray(part, np.float64) for part in parts["plda"]))
        leaves = self.chain.leaves()
        if leaves and leaves != len(self.mean_):
            raise ValueError(
                f"plda takes vectors of {len(self.mean_)} dimensions, what comes before it leaves {leaves}"
            )
        return self

    def _take(self, mean, transform, psi):
        self.mean_, self.transform_, self.psi_ = mean, transform, psi
        self.affine_ = np.column_stack([transform, -transform @ mean])
        return self

    def _map_block(self, block, counts, kept):
        rows = affine(self.chain.map_block(block), self.affine_)
        if not self.normalize_length:
            # Kaldi keeps rows in single precision, and computes in double
            rows = rows.astype(kept).astype(np.float64)
        squares = rows * rows
        alone = np.vecdot(squares, 0.5 / (1 + self.psi_))
        if self.normalize_length:
            if self.simple_length_normalization:
                expected = np.ones((1, rows.shape[1]))
            else:  # the mean of n utterances has the covariance psi + 1 / n
                expected = (
                    self.psi_ + 1 / (counts[:1] if (counts == counts[0]).all() else counts)[:, None]
                )
            gain = rows.shape[1] / np.vecdot(squares, 1 / expected)
            rows *= np.sqrt(gain)[:, None]
            alone *= gain
        return np.column_stack([rows, alone, counts])

    def _given(self, counts, dtype):
        """Of a test vector whose speaker has so many utterances: gain of their mean, half its precision, and the constant of the ratio."""
        spread = 1 + counts[:, None] * self.psi_
        variance = 1 + self.psi_ / spread
        constant = 0.5 * (np.log1p(self.psi_).sum() - np.log(variance).sum(axis=1))
        return (
            (counts[:, None] * self.psi_ / spread).astype(dtype),
            (0.5 / variance).astype(dtype),
            constant,
        )


def smoothed(
    mean: np.ndarray, transform: np.ndarray, psi: np.ndarray, smoothing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add a part of the covariance between speakers to that within, as ivector-copy-plda --smoothing does.

    Parameters
    ----------
    mean, transform, psi : (D,), (D, D), (D,) float arrays
        Of a ``<Plda>``.
    smoothing : float
        At least 0, which changes nothing.
    """
    # float32 as in Kaldi, where it shows in the last digit of a text file
    within = 1 + float(np.float32(smoothing)) * psi
    return mean, transform / np.sqrt(within)[:, None], psi / within
