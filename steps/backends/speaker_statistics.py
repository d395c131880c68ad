"""What LDA, WCCN and PLDA need of labelled vectors: speakers' means and the scatter about them.

Shapes: ``N`` vectors, ``K`` speakers, ``D`` dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steps.backends.matrices import EIGENVALUE_FLOOR

ROWS_AT_A_TIME = 4096


@dataclass
class SpeakerStatistics:
    """Sums over N vectors of K speakers."""

    counts: np.ndarray  # (K,) vectors of each speaker
    means: np.ndarray  # (K, D) their means
    within_scatter: np.ndarray  # (D, D) sum of outer products of deviations from these means

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
        """With the scatter shrunk towards a multiple of the unit matrix with the same trace.

        0 changes nothing, 1 leaves that multiple.
        """
        scatter = self.within_scatter
        multiple = np.eye(len(scatter)) * np.trace(scatter) / len(scatter)
        scatter = (1 - shrinkage) * scatter + shrinkage * multiple
        return SpeakerStatistics(self.counts, self.means, scatter)


def speaker_statistics(vectors: np.ndarray, speakers: Sequence[str]) -> SpeakerStatistics:
    """Statistics of labelled vectors (N, D), in float64.

    Raises ValueError for different numbers of vectors and speakers, fewer vectors than dimensions,
    only one speaker, or no speaker with two vectors.
    """
    if len(speakers) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors and {len(speakers)} speakers")
    numbers: dict[str, int] = {}
    labels = np.array([numbers.setdefault(speaker, len(numbers)) for speaker in speakers])
    counts = np.bincount(labels)
    refuse_too_few(counts, vectors.shape[1])
    order = np.argsort(labels, kind="stable")
    is_sorted = bool((np.diff(labels) >= 0).all())
    ends = np.cumsum(counts)
    means = np.empty((len(counts), vectors.shape[1]))
    scatter = np.zeros((vectors.shape[1], vectors.shape[1]))
    first = 0
    while first < len(counts):  # whole speakers, about ROWS_AT_A_TIME rows
        start = ends[first] - counts[first]
        last = max(int(np.searchsorted(ends, start + ROWS_AT_A_TIME, "right")), first + 1)
        rows = slice(start, ends[last - 1])
        if is_sorted:
            block = vectors[rows].astype(np.float64)
        else:
            block = vectors[order[rows]].astype(np.float64)
        starts = ends[first:last] - counts[first:last] - start
        sums = np.add.reduceat(block, starts, axis=0)
        means[first:last] = sums / counts[first:last, None]
        block -= np.repeat(means[first:last], counts[first:last], axis=0)
        scatter += block.T @ block
        first = last
    return SpeakerStatistics(counts, means, scatter)


def refuse_too_few(counts: np.ndarray, dimensions: int) -> None:
    """Raise ValueError for vectors of each speaker that determine no model of speakers."""
    if len(counts) == 1:
        raise ValueError("found 1 speaker, expected several: nothing shows how speakers differ")
    if counts.max() == 1:
        raise ValueError(
            f"each of the {len(counts)} speakers has one utterance: "
            "nothing shows how utterances of a speaker differ; give speakers with several"
        )
    if counts.sum() < dimensions:
        raise ValueError(
            f"found {counts.sum()} vectors of {dimensions} dimensions, "
            "expected more vectors than dimensions; "
            "reduce the dimensions first (a link `whiten` with `dim`), or give more vectors"
        )


def preflight(statistics: SpeakerStatistics) -> dict:
    """How much the vectors determine, printed before a model is trained and stored beside it.

    ``within_rank`` and ``between_rank`` are the numbers of directions in which vectors of a
    speaker, and speakers, differ; ``within_condition`` is the largest over the smallest variance
    within speakers, of the directions that have any.
    """
    counts = statistics.counts
    within = np.linalg.eigvalsh(statistics.within_covariance())[::-1]
    between = np.linalg.eigvalsh(statistics.between_covariance())[::-1]
    within_rank, between_rank = _rank(within), _rank(between)
    within_condition = 0.0
    if within_rank:
        within_condition = float(f"{within[0] / within[within_rank - 1]:.3g}")
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
        "within_condition": within_condition,
    }


def _rank(eigenvalues: np.ndarray) -> int:
    """Eigenvalues, from the largest, above the floor."""
    floor = EIGENVALUE_FLOOR * max(eigenvalues[0], 0)
    return int((eigenvalues > floor).sum())
