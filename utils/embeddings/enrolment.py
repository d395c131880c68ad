"""One vector of a person whom several files enrol.

The rule: vectors of length 1 are averaged, so that each file counts alike however long its vector
is; the mean has the mean length of the files' vectors again, so that a back end can subtract a mean
or take it for an embedding of its network.  By cosine it is the same as a mean of length 1.

``mean``, the plain mean, is Kaldi's (ivector-mean): a test protocol or a command may ask for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from utils.embeddings.provenance import read_provenance
from utils.errors import UserError

Averaging = Literal["unit", "mean"]
USUAL: Averaging = "unit"


@dataclass(frozen=True)
class SpeakerModels:
    """Models of several utterances, by name, and how these are averaged."""

    utterances: Mapping[str, Sequence[str]]
    averaging: Averaging = USUAL


def average_enrolment(vectors: np.ndarray, averaging: Averaging = USUAL) -> np.ndarray:
    """The vector (D,), or matrix (R, D), of a person from those of N files, (N, D) or (N, R, D).

    Computed in float64, of the type given; of matrices row by row.
    """
    if len(vectors) == 1:
        return vectors[0]
    if averaging == "mean":
        return vectors.mean(axis=0, dtype=np.float64).astype(vectors.dtype)
    given = vectors.astype(np.float64)
    lengths = np.linalg.norm(given, axis=-1, keepdims=True)
    mean = (given / np.where(lengths > 0, lengths, 1)).mean(axis=0)
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    scale = lengths.mean(axis=0) / np.where(length > 0, length, 1)
    return (mean * scale).astype(vectors.dtype)


def read_averaging(embeddings: Path) -> Averaging:
    """How files that enrol a person are averaged by the test protocol of embeddings."""
    return (read_provenance(embeddings) or {}).get("averaging", USUAL)


def take_averaging(options: Mapping, where: str) -> tuple[Averaging, dict[str, Any]]:
    """The ``averaging`` of a protocol's options, and the other options.

    UserError: it is unknown; ``where`` is the file of the options.
    """
    others = dict(options)
    averaging = others.pop("averaging", USUAL)
    if averaging not in get_args(Averaging):
        raise UserError(
            f"{where}: averaging is {averaging!r}, expected one of {', '.join(get_args(Averaging))}"
        )
    return averaging, others
