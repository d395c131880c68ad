"""Base of the test protocols: lengths in any unit, refusals, combination of the pieces' embeddings.

Shapes: ``N`` pieces, ``E`` embedding.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.embeddings.enrolment import USUAL, Averaging
from utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from steps.models.network import EmbeddingNetwork
    from utils.embeddings.preparation import Preparation
    from utils.features.base import FrontEnd


@lru_cache(maxsize=1)
def _frames_to_samples(front_end: "FrontEnd", num_frames: int) -> int:
    """The fewest samples that give this many frames; cached, since front ends search for it."""
    return front_end.min_samples(num_frames)


class Length:
    """A length in one unit: seconds, samples of audio, or frames of the network's front end.

    ``name`` is for messages: ``crop`` for options ``crop_seconds``, ...
    """

    def __init__(self, name: str, seconds: float | None, samples: int | None, frames: int | None):
        numbers = {"seconds": seconds, "samples": samples, "frames": frames}
        given = {unit: value for unit, value in numbers.items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"{name}_seconds, {name}_samples, {name}_frames: {len(given)} of them are given, "
                "expected exactly one"
            )
        ((self.unit, self.number),) = given.items()
        if self.number <= 0:
            raise ValueError(f"{name}_{self.unit} is {self.number}, expected more than 0")

    def __str__(self) -> str:
        if self.unit == "seconds":
            return f"{self.number:g} s"
        return f"{self.number} {self.unit}"

    def to_samples(self, network: "EmbeddingNetwork", share: float = 1.0) -> int:
        """Samples of a ``share`` of the length, at a network's rate and with its front end.

        UserError: the length is in samples, and the network reads stored features.
        """
        if self.unit == "seconds":
            return round(self.number * network.sample_rate_hz * share)
        if self.unit == "frames":
            if share == 1:
                return _frames_to_samples(network.front_end, int(self.number))
            return round(self.number * share) * network.front_end.hop_samples
        if _reads_features(network):
            raise UserError(
                f"a protocol of {self} is for audio, {type(network).__name__} reads stored "
                "features; give seconds or frames"
            )
        return round(self.number * share)


class Protocol:
    """Base class; subclasses define ``size``, ``pieces`` and ``_describe_pieces``.

    ``keep``: ``mean``: an utterance's vector is the mean of its pieces' embeddings; ``rows``: they
    are the rows of its matrix. With ``length_normalise`` every piece's embedding is scaled to
    length 1 first; a back end that subtracts a mean has to be trained on the same protocol then.
    """

    name = ""  # of the registry, or of the YAML file
    compare = "all"  # pairs of rows that a trial compares: all, or paired, the i-th with the i-th
    averaging: Averaging = USUAL  # of several files that enrol a person
    num_pieces: int | None = 1  # of every utterance; None: it depends on the length
    append_reversed = False  # whether the utterance is followed by its reversal
    extends_by_silence = False  # where pieces reach beyond the utterance; else it is repeated
    unit_length = False  # whether the mean over the pieces is scaled to length 1
    preparation: "Preparation | None" = None  # of an utterance, before pieces are placed

    def __init__(self, keep: Literal["mean", "rows"] = "mean", length_normalise: bool = False):
        self.keep, self.length_normalise = keep, length_normalise

    def size(self, network: "EmbeddingNetwork") -> int | None:
        """Samples of every piece; None: whole utterances."""
        raise NotImplementedError

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """Samples of each piece of an utterance, and the first sample of each.

        One piece from 0 on if the utterance is not longer; random pieces depend on its name.
        """
        raise NotImplementedError

    def check(self, network: "EmbeddingNetwork") -> None:
        """Raise UserError if a network cannot take the pieces.

        A network of ``fixed_samples`` takes ``min_samples`` and nothing else.
        """
        size, fewest = self.size(network), network.min_samples
        network_name = type(network).__name__
        if network.batching == "fixed_samples" and size != fewest:
            given = "whole utterances"
            if size is not None:
                given = f"pieces of {size:,} samples"
            raise UserError(
                f"protocol '{self.name}' gives {given}, {network_name} has batching "
                f"'fixed_samples' and takes {fewest:,}; choose a protocol of that length"
            )
        if size is not None and size < fewest:
            raise UserError(
                f"protocol '{self.name}' gives pieces of {size:,} samples, {network_name} takes "
                f"{fewest:,} or more; choose longer ones"
            )
        if self.append_reversed and _reads_features(network):
            raise UserError(
                f"protocol '{self.name}' appends the reversed waveform, {network_name} reads "
                "stored features; choose another"
            )

    def embed(
        self,
        network: "EmbeddingNetwork",
        waveforms_BS: "torch.Tensor",
        lengths_B: "torch.Tensor",
    ) -> "torch.Tensor":
        """Embeddings (B, E) of a padded batch of pieces."""
        return network(waveforms_BS, lengths_B)

    def combine(self, embeddings_NE: np.ndarray) -> np.ndarray:
        """An utterance's vector (E,) or matrix (num_pieces, E) from its (N, E) pieces' embeddings.

        Those that another process computes are zero here; the sum over the processes is right.
        """
        if self.length_normalise:
            lengths_N1 = np.linalg.norm(embeddings_NE, axis=1, keepdims=True)
            embeddings_NE = embeddings_NE / np.where(lengths_N1 > 0, lengths_N1, 1)
        if self.keep == "mean":
            return embeddings_NE.mean(axis=0)
        assert self.num_pieces is not None  # only a fixed number of pieces is kept as rows
        return np.repeat(embeddings_NE, self.num_pieces // len(embeddings_NE), axis=0)

    def __str__(self) -> str:
        text = self._describe_pieces()
        if self.keep == "rows":
            text = f"a row for each of {text}"
        elif self.num_pieces != 1:
            text = f"mean over {text}"
        if self.length_normalise:
            text += ", brought to length 1"
        return text

    def _describe_pieces(self) -> str:
        """The pieces as a text."""
        raise NotImplementedError


def _reads_features(network: "EmbeddingNetwork") -> bool:
    """Whether a network reads stored features in place of audio."""
    from utils.features.precomputed import Precomputed

    return isinstance(getattr(network, "front_end", None), Precomputed)
