"""What LDA, WCCN and PLDA need to know of labelled vectors: a mean and a number per speaker, and the scatter about these means."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steps.backends.matrices import EIGENVALUE_FLOOR

ROWS_AT_A_TIME = 4096


@dataclass
class SpeakerStatistics:
    """Sums over N vectors of K speakers.

    Attributes
    ----------
    counts : (K,) int array
        Vectors of each speaker.
    means : (K, D) float64 array
        Their means.
    within_scatter : (D, D) float64 array
        Sum over all vectors of the outer product of the difference to their speaker's mean.
    """

    counts: np.ndarray
    means: np.ndarray
    within_scatter: np.ndarray

    @property
    def num_vectors(self) -> int:
        """N."""
        return int(self.counts.sum())

    def within_covariance(self) -> np.ndarray:
        """Covariance about the speakers' means, divided by N as Kaldi's LDA does."""
        return self.within_scatter / self.num_vectors

    def between_covariance(self) -> np.ndarray:
        """Covariance of the speakers' means, each counted once for each of its vectors."""
        centred = self.means - self.counts @ self.means / self.num_vectors
        return (centred.T * self.counts) @ centred / self.num_vectors

    def shrunk(self, shrinkage: float) -> "SpeakerStatistics":
        """With the within-speaker scatter drawn towards a ball of the same trace.

        Parameters
        ----------
        shrinkage : float
            In [0, 1]; 0 changes nothing, 1 leaves the ball.
        """
        ball = (
            np.eye(len(self.within_scatter))
            * np.trace(self.within_scatter)
            / len(self.within_scatter)
        )
        return SpeakerStatistics(
            self.counts, self.means, (1 - shrinkage) * self.within_scatter + shrinkage * ball
        )


def speaker_statistics(vectors: np.ndarray, speakers: Sequence[str]) -> SpeakerStatistics:
    """Gather the statistics of labelled vectors.

    Parameters
    ----------
    vectors : (N, D) float array
        Sums are made in float64.
    speakers : sequence of N str
        Speaker of each.

    Raises
    ------
    ValueError
        Other numbers of vectors and speakers, fewer vectors than dimensions, one speaker only, or no speaker with two vectors.
    """
    if len(speakers) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors and {len(speakers)} speakers")
    code_of: dict[str, int] = {}
    codes = np.array([code_of.setdefault(speaker, len(code_of)) for speaker in speakers])
    counts = np.bincount(codes)
    refuse_too_few(counts, vectors.shape[1])
    order = np.argsort(codes, kind="stable")
    is_sorted = bool((np.diff(codes) >= 0).all())
    ends = np.cumsum(counts)
    means = np.empty((len(counts), vectors.shape[1]))
    scatter = np.zeros((vectors.shape[1], vectors.shape[1]))
    first = 0
    while first < len(counts):  # whole speakers, about so many rows
        start = ends[first] - counts[first]
        last = max(int(np.searchsorted(ends, start + ROWS_AT_A_TIME, "right")), first + 1)
        rows = slice(start, ends[last - 1])
        block = (vectors[rows] if is_sorted else vectors[order[rows]]).astype(np.float64)
        means[first:last] = (
            np.add.reduceat(block, ends[first:last] - counts[first:last] - start, axis=0)
            / counts[first:last, None]
        )
        block -= np.repeat(means[first:last], counts[first:last], axis=0)
        scatter += block.T @ block
        first = last
    return SpeakerStatistics(counts, means, scatter)


def refuse_too_few(counts: np.ndarray, dimensions: int) -> None:
    """Refuse what no model of speakers can be learned from.

    Parameters
    ----------
    counts : (K,) int array
        Vectors of each speaker.
    dimensions : int
        Size of a vector.

    Raises
    ------
    ValueError
        As `speaker_statistics`.
    """
    if len(counts) == 1:
        raise ValueError("found 1 speaker, expected several: nothing shows how speakers differ")
    if counts.max() == 1:
        raise ValueError(
            f"each of the {len(counts)} speakers has one utterance: nothing shows how utterances of a speaker differ; "
            "give speakers with several"
        )
    if counts.sum() < dimensions:
        raise ValueError(
            f"found {counts.sum()} vectors of {dimensions} dimensions, expected more vectors than dimensions; "
            "reduce the dimensions first (a link `whiten` with `dim`), or give more vectors"
        )


def preflight(statistics: SpeakerStatistics) -> dict:
    """How much the vectors can tell: printed before a model is trained on them, and kept beside it.

    Parameters
    ----------
    statistics : SpeakerStatistics
        Of the vectors that the model sees.

    Returns
    -------
    dict
        ``vectors``, ``dimensions``, ``speakers``, ``speakers_with_one_vector``; ``vectors_per_speaker`` (smallest, median, largest); ``within_rank``
        and ``between_rank``: directions in which vectors of a speaker, and speakers, differ; ``within_condition``: largest over smallest variance
        within speakers, of the directions that have any.
    """
    counts = statistics.counts
    within, between = (
        np.linalg.eigvalsh(covariance)[::-1]
        for covariance in (statistics.within_covariance(), statistics.between_covariance())
    )
    within_rank, between_rank = (
        int((values > EIGENVALUE_FLOOR * max(values[0], 0)).sum()) for values in (within, between)
    )
    return {
        "vectors": statistics.num_vectors,
        "dimensions": statistics.means.shape[1],
        "speakers": len(counts),
        "speakers_with_one_vector": int((counts == 1).sum()),
        "vectors_per_speaker": {
            "smallest": int(counts.min()),
            "median": float(np.median(counts)),
            "largest": int(counts.max()),
        },
        "within_rank": within_rank,
        "between_rank": between_rank,
        "within_condition": float(f"{within[0] / within[within_rank - 1]:.3g}")
        if within_rank
        else 0.0,
    }
