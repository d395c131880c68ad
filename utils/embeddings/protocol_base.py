"""What all test protocols share: lengths in any unit, refusals, and what becomes of the embeddings of an utterance's pieces.

Shapes: ``N`` pieces, ``E`` embedding.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.errors import UserError

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.base import FrontEnd


@lru_cache(maxsize=1)
def _samples_of(front_end: "FrontEnd", num_frames: int) -> int:
    """The fewest samples that give so many frames; kept, since front ends find it by trying and every utterance asks."""
    return front_end.min_samples(num_frames)


class Length:
    """A length in seconds, samples or frames of the network's front end: one of the three.

    Parameters
    ----------
    what : str
        What is so long, for messages.
    seconds : float or None
        Rounded to whole samples.
    samples : int or None
        Only of audio.
    frames : int or None
        The fewest samples that give so many frames.
    """

    def __init__(self, what: str, seconds: float | None, samples: int | None, frames: int | None):
        numbers = {"seconds": seconds, "samples": samples, "frames": frames}
        given = {unit: value for unit, value in numbers.items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"{what}_seconds, {what}_samples, {what}_frames: {len(given)} of them are given, expected one"
            )
        ((self.unit, self.number),) = given.items()
        if self.number <= 0:
            raise ValueError(f"{what}_{self.unit} is {self.number}, expected more than 0")

    def __str__(self) -> str:
        return f"{self.number:g} s" if self.unit == "seconds" else f"{self.number} {self.unit}"

    def of(self, network: "EmbeddingNetwork", share: float = 1.0) -> int:
        """Samples for a network.

        Parameters
        ----------
        network : EmbeddingNetwork
            Its rate and front end.
        share : float
            Below 1: of the distance that this part of the length spans, for steps; frames are counted whole then.

        Raises
        ------
        UserError
            Samples are asked of stored features.
        """
        if self.unit == "seconds":
            return round(self.number * network.sample_rate_hz * share)
        if self.unit == "frames":
            if share == 1:
                return _samples_of(network.front_end, int(self.number))
            return round(self.number * share) * network.front_end.hop_samples
        if _reads_features(network):
            raise UserError(
                f"a protocol of {self} is for audio, {type(network).__name__} reads stored features; give seconds or frames"
            )
        return round(self.number * share)


class Protocol:
    """What all protocols share; subclasses define ``size``, ``pieces`` and ``_pieces``.

    Parameters
    ----------
    keep : str
        ``mean``: an utterance's vector is the mean of its pieces' embeddings; ``rows``: they are the rows of its matrix.
    length_normalise : bool
        Every piece's embedding is brought to length 1 first; a back end that subtracts a mean has to learn from embeddings of the same protocol then.

    Attributes
    ----------
    name : str
        That of the registry, or of the YAML file that it was read from.
    compare : str
        Of rows, which pairs a trial compares: ``all``, or ``paired``, the i-th with the i-th.
    num_pieces : int or None
        Pieces of every utterance; None: it depends on their length.
    append_reversed : bool
        The utterance is followed by its reversal before anything else.
    """

    name = ""
    compare = "all"
    num_pieces: int | None = 1
    append_reversed = False

    def __init__(self, keep: Literal["mean", "rows"] = "mean", length_normalise: bool = False):
        self.keep, self.length_normalise = keep, length_normalise

    def size(self, network: "EmbeddingNetwork") -> int | None:
        """Samples of every piece; None: whole utterances.

        Parameters
        ----------
        network : EmbeddingNetwork
            What is given the pieces.
        """
        raise NotImplementedError

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """Where the pieces of an utterance lie.

        Parameters
        ----------
        num_samples : int
            Its length.
        network : EmbeddingNetwork
            What is given the pieces.
        utterance : str
            Its name, on which draws depend.

        Returns
        -------
        size, starts : int, list of int
            Samples of each piece and its first sample; one piece from 0 on where the utterance is not longer.
        """
        raise NotImplementedError

    def check(self, network: "EmbeddingNetwork") -> None:
        """Refuse a network that cannot take the pieces.

        Parameters
        ----------
        network : EmbeddingNetwork
            Its ``batching`` and ``min_samples`` decide: a network of ``fixed_samples`` takes ``min_samples`` and nothing else.

        Raises
        ------
        UserError
            It cannot.
        """
        size, fewest = self.size(network), network.min_samples
        network_name = type(network).__name__
        if network.batching == "fixed_samples" and size != fewest:
            given = "whole utterances" if size is None else f"pieces of {size:,} samples"
            raise UserError(
                f"protocol '{self.name}' gives {given}, {network_name} has batching 'fixed_samples' and takes {fewest:,}; "
                "choose a protocol of that length"
            )
        if size is not None and size < fewest:
            raise UserError(
                f"protocol '{self.name}' gives pieces of {size:,} samples, {network_name} takes {fewest:,} or more; choose longer ones"
            )
        if self.append_reversed and _reads_features(network):
            raise UserError(
                f"protocol '{self.name}' appends the reversed waveform, {network_name} reads stored features; choose another"
            )

    def combine(self, embeddings_NE: np.ndarray) -> np.ndarray:
        """The utterance's vector or matrix.

        Parameters
        ----------
        embeddings_NE : (N, E) float32 array
            Embeddings of its pieces; those that another process computes are zero here, and the sum over the processes is right.

        Returns
        -------
        (E,) or (num_pieces, E) float32 array
        """
        if self.length_normalise:
            lengths_N1 = np.linalg.norm(embeddings_NE, axis=1, keepdims=True)
            embeddings_NE = embeddings_NE / np.where(lengths_N1 > 0, lengths_N1, 1)
        if self.keep == "mean":
            return embeddings_NE.mean(axis=0)
        assert self.num_pieces is not None  # rows are kept of a fixed number of pieces alone
        return np.repeat(embeddings_NE, self.num_pieces // len(embeddings_NE), axis=0)

    def __str__(self) -> str:
        if self.keep == "rows":
            how = "a row for each of "
        else:
            how = "" if self.num_pieces == 1 else "mean over "
        return f"{how}{self._pieces()}{', brought to length 1' if self.length_normalise else ''}"

    def _pieces(self) -> str:
        """The pieces in words."""
        raise NotImplementedError


def _reads_features(network: "EmbeddingNetwork") -> bool:
    """Whether a network reads stored features in place of audio."""
    from utils.features.precomputed import Precomputed

    return isinstance(getattr(network, "front_end", None), Precomputed)
