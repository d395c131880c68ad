"""Links of a chain: maps of embeddings before they are compared.

A link learns by ``fit(rows, speakers, adaptation)``.  ``transform`` is for both sides of trials,
``transform_training`` for what later links and the back end learn from.  What a link learned is
``matrix_``, (R, C + 1), an affine map as in Kaldi's transform.mat: its last column is added.
linear_links.py has the links that are linear maps.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steps.backends.matrices import (
    BadVector,
    affine,
    in_blocks,
    refuse_few_to_adapt_to,
    to_length,
)
from steps.backends.speaker_statistics import refuse_too_few


@dataclass(frozen=True)
class Amount:
    """How many vectors a training will have, if known: to refuse it before they are computed."""

    utterances: np.ndarray | None = None  # (K,) int, of each speaker
    adaptation: int | None = None  # vectors of the trials' domain


class Link(ABC):
    """What all links share: an affine map, unless a subclass overrides it."""

    needs_speakers = False
    needs_adaptation = False
    acts_on_trials = True
    takes = ""  # ``mean``: subtracts the training vectors' mean; ``deviation``: divides by theirs
    matrix_: np.ndarray

    @abstractmethod
    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Link":
        """Learn ``matrix_`` from training vectors (N, D), the output of the links before.

        ``speakers`` are given if ``needs_speakers``; ``adaptation``, (A, D) vectors of the trials'
        domain without labels, if ``needs_adaptation``.
        """

    def check(self, dimensions: int, amount: Amount) -> int:
        """Dimensions of the output; raises ValueError where `fit` would, if `Amount` shows it."""
        if self.needs_speakers and amount.utterances is not None:
            refuse_too_few(amount.utterances, dimensions)
        if self.needs_adaptation and amount.adaptation is not None:
            refuse_few_to_adapt_to(amount.adaptation, self.least_to_adapt_to(dimensions))
        return dimensions

    def least_to_adapt_to(self, dimensions: int) -> int:
        """Fewest vectors of the trials' domain, if the link needs any."""
        return dimensions

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """The map of vectors (B, D) float64, which may be changed."""
        return affine(block, self.matrix_)

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """The map of one side of the trials: (N, D) to (N, R), in the type given."""
        return in_blocks(rows, self.map_block)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """The map of the vectors that the link learned from."""
        return self.transform(rows)


class Mean(Link):
    """Subtract the mean, as Kaldi's ivector-mean and ivector-subtract-global-mean do.

    Parameters
    ----------
    of : str
        ``train``: the training vectors' mean.  ``adaptation``: the mean of the adaptation vectors
        for trials, and the training vectors' own for them, as in Kaldi's recipe for SRE16.
    """

    takes = "mean"

    def __init__(self, of: Literal["train", "adaptation"] = "train"):
        self.of, self.needs_adaptation = of, of == "adaptation"

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Mean":
        """Learn ``mean_`` and ``matrix_``."""
        self.training_mean_ = rows.mean(axis=0, dtype=np.float64)
        self.mean_ = self.training_mean_
        if self.needs_adaptation:
            assert adaptation is not None
            self.mean_ = adaptation.mean(axis=0, dtype=np.float64)
        self.matrix_ = np.column_stack([np.eye(len(self.mean_)), -self.mean_])
        return self

    def least_to_adapt_to(self, dimensions: int) -> int:
        """One vector has a mean."""
        del dimensions
        return 1

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Centred rows."""
        return np.subtract(block, self.mean_, out=block)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """Rows centred by their own mean."""
        return in_blocks(rows, self._map_training_block)

    def _map_training_block(self, block):
        return np.subtract(block, self.training_mean_, out=block)


class LengthNorm(Link):
    """Give every vector the same length, as Kaldi's ivector-normalize-length does.

    Parameters
    ----------
    scaleup : bool
        True: the square root of the number of dimensions, as whitened vectors have; False: 1.
    """

    def __init__(self, scaleup: bool = True):
        self.scaleup = scaleup

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "LengthNorm":
        """Nothing to learn."""
        return self

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Rows of one length; a row of length 0 becomes NaN."""
        length = 1.0
        if self.scaleup:
            length = np.sqrt(block.shape[1])
        return to_length(block, length)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """As `transform`; raises BadVector for a row of length 0."""
        scaled = self.transform(rows)
        bad = np.flatnonzero(np.isnan(scaled[:, 0]))
        if len(bad):
            raise BadVector(int(bad[0]), "is zero where its length is normalised")
        return scaled
