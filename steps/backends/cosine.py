"""Cosine of two embeddings, after their mean over the training set is taken away and whatever links say."""

from collections.abc import Mapping, Sequence

import numpy as np

from steps.backends.chain import Chain
from steps.backends.links import Amount, Link, Mean
from steps.backends.matrices import in_blocks, to_length


class Cosine:
    """Mean subtraction, links, length normalisation, dot product.

    Parameters
    ----------
    subtract_mean : bool
        Take the mean of the training embeddings away first.
    links : sequence of Link
        What is done then, such as LDA.
    """

    def __init__(self, subtract_mean: bool = True, links: Sequence[Link] = ()):
        self.chain = Chain([*([Mean()] if subtract_mean else []), *links])
        self.needs_speakers = self.chain.needs_speakers
        self.needs_adaptation = self.chain.needs_adaptation
        self.takes = self.chain.takes
        self.report_: dict = {}

    def check(self, dimensions: int, amount: Amount) -> None:
        """Refuse what `fit` would refuse, as far as that shows in numbers.

        Parameters
        ----------
        dimensions, amount
            As of `Link.check`.
        """
        self.chain.check(dimensions, amount)

    def fit(
        self,
        embeddings: np.ndarray,
        speakers: Sequence[str] | None = None,
        adaptation: np.ndarray | None = None,
    ) -> "Cosine":
        """Learn the mean and the links.

        Parameters
        ----------
        embeddings : (N, D) float array
            Training embeddings, one per utterance.
        speakers : sequence of N str, optional
            Their speakers; needed where a link needs them.
        adaptation : (A, D) float array, optional
            Embeddings of the domain of the trials, where a link needs them.
        """
        self.chain.fit(embeddings, speakers, adaptation)
        return self

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """Rows of unit length; a row that has no length after centring becomes NaN.

        Parameters
        ----------
        embeddings : (N, D) float array
            One side of the trials.
        num_utts : ignored
            Every back end is told of how many utterances an embedding is the mean.

        Returns
        -------
        (N, R) float array
            What `score` compares; of the type given, computed in float64.
        """
        del num_utts
        return in_blocks(embeddings, lambda block: to_length(self.chain.map_block(block), 1.0))

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Cosine of each pair of rows.

        Parameters
        ----------
        enrol, test : (N, R) float arrays
            Transformed embeddings; row i of one is compared with row i of the other.

        Returns
        -------
        (N,) float array
            In [-1, 1]; higher is more alike.
        """
        return np.vecdot(enrol, test)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Cosine of every row of one matrix with every row of another: cohorts, and utterances with a row for each of their pieces.

        Parameters
        ----------
        enrol, test : (..., R, D) and (..., S, D) float arrays
            Transformed; leading axes are pairs of matrices.

        Returns
        -------
        (..., R, S) float array
            In [-1, 1].
        """
        return enrol @ test.swapaxes(-1, -2)

    def parts(self) -> dict[str, np.ndarray]:
        """What was learned, by the name of Kaldi's file for it."""
        return dict(self.chain.parts_)

    def from_parts(self, parts: Mapping[str, np.ndarray]) -> "Cosine":
        """Take over what another one learned.

        Parameters
        ----------
        parts : mapping of str to array
            From `parts`.
        """
        self.chain.from_parts(parts)
        return self
