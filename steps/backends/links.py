"""Links of a chain: what is done to embeddings before they are compared.

A link learns by ``fit(rows, speakers, adaptation)``.  ``transform`` is for every side of every trial, ``transform_training`` for what later links and
the back end learn from.  What a link learned is ``matrix_``, (R, C + 1), whose last column is added: an affine map, as in Kaldi's transform.mat.
Those that are more than a mean or a length are in linear_links.py.
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
    """How much there is to learn from, as far as it is known before it is there.

    Attributes
    ----------
    utterances : (K,) int array or None
        Of each speaker.
    adaptation : int or None
        Vectors of the domain of the trials.
    """

    utterances: np.ndarray | None = None
    adaptation: int | None = None


class Link(ABC):
    """What all links share: an affine map, unless a subclass says otherwise."""

    needs_speakers = False
    needs_adaptation = False
    acts_on_trials = True
    takes = ""  # ``mean``: of the training vectors, away; ``deviation``: theirs, as the unit
    matrix_: np.ndarray

    @abstractmethod
    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Link":
        """Learn ``matrix_``.

        Parameters
        ----------
        rows : (N, D) float array
            Training vectors, as the links before leave them.
        speakers : sequence of N str, optional
            Their speakers; given where ``needs_speakers``.
        adaptation : (A, D) float array, optional
            Vectors of the domain of the trials, without labels; given where ``needs_adaptation``.
        """

    def check(self, dimensions: int, amount: Amount) -> int:
        """Dimensions that it leaves; refuses what `fit` would refuse, as far as that shows in numbers.

        Parameters
        ----------
        dimensions : int
            Of the vectors.
        amount : Amount
            How many there are.

        Raises
        ------
        ValueError
            Nothing can be learned from them.
        """
        if self.needs_speakers and amount.utterances is not None:
            refuse_too_few(amount.utterances, dimensions)
        if self.needs_adaptation and amount.adaptation is not None:
            refuse_few_to_adapt_to(amount.adaptation, self.least_to_adapt_to(dimensions))
        return dimensions

    def least_to_adapt_to(self, dimensions: int) -> int:
        """Vectors of the trials' domain that it needs, where it needs any.

        Parameters
        ----------
        dimensions : int
            Of the vectors.
        """
        return dimensions

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """What the link does to some rows.

        Parameters
        ----------
        block : (B, D) float64 array
            Vectors; may be changed.
        """
        return affine(block, self.matrix_)

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """What the link does to one side of the trials.

        Parameters
        ----------
        rows : (N, D) float array
            Vectors.

        Returns
        -------
        (N, R) float array
            Of the type given, computed in float64.
        """
        return in_blocks(rows, self.map_block)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """What the link does to the vectors that it learned from.

        Parameters
        ----------
        rows : (N, D) float array
            The rows that `fit` was given.
        """
        return self.transform(rows)


class Mean(Link):
    """Take the mean away, as Kaldi's ivector-mean and ivector-subtract-global-mean do.

    Parameters
    ----------
    of : str
        ``train``: the training vectors' mean everywhere.  ``adaptation``: trials are centred by the mean of the adaptation vectors, training vectors
        by their own, as in Kaldi's recipe for SRE16.
    """

    takes = "mean"

    def __init__(self, of: Literal["train", "adaptation"] = "train"):
        self.of, self.needs_adaptation = of, of == "adaptation"

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "Mean":
        """Learn ``mean_``.

        Parameters
        ----------
        rows, speakers, adaptation : arrays and names
            As of `Link.fit`.
        """
        self.training_mean_ = rows.mean(axis=0, dtype=np.float64)
        self.mean_ = self.training_mean_
        if self.needs_adaptation:
            assert adaptation is not None  # given where it is needed
            self.mean_ = adaptation.mean(axis=0, dtype=np.float64)
        self.matrix_ = np.column_stack([np.eye(len(self.mean_)), -self.mean_])
        return self

    def least_to_adapt_to(self, dimensions: int) -> int:
        """One has a mean.

        Parameters
        ----------
        dimensions : int
            Of the vectors.
        """
        del dimensions
        return 1

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Centred rows.

        Parameters
        ----------
        block : (B, D) float64 array
            Vectors.
        """
        return np.subtract(block, self.mean_, out=block)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """Rows centred by their own mean.

        Parameters
        ----------
        rows : (N, D) float array
            The rows that `fit` was given.
        """
        return in_blocks(rows, lambda block: np.subtract(block, self.training_mean_, out=block))


class LengthNorm(Link):
    """Give every vector the same length, as Kaldi's ivector-normalize-length does.

    Parameters
    ----------
    scaleup : bool
        To the root of the number of dimensions, which is what a whitened vector has; otherwise to 1.
    """

    def __init__(self, scaleup: bool = True):
        self.scaleup = scaleup

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> "LengthNorm":
        """Nothing to learn.

        Parameters
        ----------
        rows, speakers, adaptation : arrays and names
            As of `Link.fit`.
        """
        return self

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Rows of one length; one that has none becomes NaN.

        Parameters
        ----------
        block : (B, D) float64 array
            Vectors.
        """
        return to_length(block, np.sqrt(block.shape[1]) if self.scaleup else 1.0)

    def transform_training(self, rows: np.ndarray) -> np.ndarray:
        """As `transform`, but a row without a length is refused.

        Parameters
        ----------
        rows : (N, D) float array
            Vectors.

        Raises
        ------
        BadVector
            A row is zero.
        """
        scaled = self.transform(rows)
        bad = np.flatnonzero(np.isnan(scaled[:, 0]))
        if len(bad):
            raise BadVector(int(bad[0]), "is zero where its length is normalised")
        return scaled
