"""Cosine of two embeddings, by default after subtracting the training mean and after links."""

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
        Subtract the mean of the training embeddings first.
    links : sequence of Link
        Maps that follow, such as LDA.
    """

    def __init__(self, subtract_mean: bool = True, links: Sequence[Link] = ()):
        links = list(links)
        if subtract_mean:
            links = [Mean(), *links]
        self.chain = Chain(links)
        self.needs_speakers = self.chain.needs_speakers
        self.needs_adaptation = self.chain.needs_adaptation
        self.takes = self.chain.takes
        self.report_: dict = {}

    def check(self, dimensions: int, amount: Amount) -> None:
        """Refuse what `fit` would refuse, as far as `Amount` shows it."""
        self.chain.check(dimensions, amount)

    def fit(
        self,
        embeddings: np.ndarray,
        speakers: Sequence[str] | None = None,
        adaptation: np.ndarray | None = None,
    ) -> "Cosine":
        """Learn the mean and the links from embeddings (N, D).

        Their speakers, and embeddings (A, D) of the trials' domain, are for links that need them.
        """
        self.chain.fit(embeddings, speakers, adaptation)
        return self

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray | None = None) -> np.ndarray:
        """Rows (N, R) of unit length, of the type given, computed in float64.

        A row of length 0 after centring becomes NaN.  ``num_utts`` is ignored.
        """
        del num_utts
        return in_blocks(embeddings, self._map_block)

    def _map_block(self, block):
        return to_length(self.chain.map_block(block), 1.0)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Cosine of row i of both transformed sides, (N,)."""
        return np.vecdot(enrol, test)

    def score_matrices(self, enrol: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Cosine of each row of (..., R, D) with each row of (..., S, D): (..., R, S).

        For cohorts, and for utterances with a row for each crop.
        """
        return enrol @ test.swapaxes(-1, -2)

    def parts(self) -> dict[str, np.ndarray]:
        """What was learned, by the names of Kaldi's files."""
        return dict(self.chain.parts_)

    def from_parts(self, parts: Mapping[str, np.ndarray]) -> "Cosine":
        """Take over `parts`."""
        self.chain.from_parts(parts)
        return self
