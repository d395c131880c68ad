"""EM for PLDA: the model and the steps of Kaldi's ivector-compute-plda, and one of lower rank.

A vector is its speaker's vector plus something of its own: x = m + y + e, with y ~ N(0, B) and
e ~ N(0, W), full covariances between and within speakers.  Each iteration works in the space where
W is unit and B diagonal, psi.  There the posterior of a speaker's y is diagonal too, and no matrix
is inverted per speaker or per number of utterances.

Shapes: ``K`` speakers, ``D`` dimensions, ``P`` condensed rows (P <= K), ``C`` distinct counts.
"""

from dataclasses import dataclass, field

import numpy as np

from steps.backends.matrices import diagonalise, eigen_descending, whitening_rows
from steps.backends.speaker_statistics import SpeakerStatistics

ROUNDING = 1e-9  # of the log-likelihood: a larger drop is an error
# smallest first variance between speakers in a direction of a lower-rank model; 0 would stay 0
FIRST_VARIANCE = 1e-2


@dataclass
class TrainedPlda:
    """Result of the training, in the form of Kaldi's ``<Plda>``."""

    mean: np.ndarray  # (D,) mean of the speakers' means
    transform: np.ndarray  # (D, D) makes W unit and B diagonal
    psi: np.ndarray  # (D,) that diagonal, from the largest
    # natural logarithm per training vector, before the first iteration and after each
    log_likelihoods: list[float] = field(default_factory=list)
    num_floored: int = 0  # eigenvalues of W that were raised, in all iterations


@dataclass
class Means:
    """What EM needs of the speakers' means: second moments for each number of vectors."""

    counts: np.ndarray  # (P,) vectors behind each row
    rows: np.ndarray  # (P, D) centred means, or at most D rows per count with the same moments
    distinct: np.ndarray  # (C,) the different counts
    num_speakers: np.ndarray  # (C,) speakers with each


def condense(counts: np.ndarray, centred: np.ndarray) -> Means:
    """Few rows for many speakers, from their numbers of vectors (K,) and centred means (K, D)."""
    distinct, num_speakers = np.unique(counts, return_counts=True)
    groups = []
    for count in distinct:
        group = centred[counts == count]
        if len(group) > group.shape[1]:
            group = np.linalg.qr(group, mode="r")
        groups.append(group)
    group_counts = np.repeat(distinct, [len(group) for group in groups])
    return Means(group_counts, np.concatenate(groups), distinct, num_speakers)


def refuse_rank(rank: int, dimensions: int, utterances: np.ndarray | None) -> None:
    """Raise ValueError for a rank of B that vectors or speakers do not allow.

    ``utterances`` has the number of each speaker, if known.
    """
    if utterances is None:
        most, allowed = dimensions, f"{dimensions} dimensions allow"
    else:
        most = min(dimensions, len(utterances) - 1)
        allowed = f"{len(utterances)} speakers and {dimensions} dimensions allow"
    if not 1 <= rank <= most:
        raise ValueError(f"rank {rank} is not between 1 and {most}, which {allowed}")


def train_plda(
    statistics: SpeakerStatistics, iterations: int = 10, rank: int | None = None
) -> TrainedPlda:
    """Estimate W and B by EM; rank None: B is full and both start as unit matrices, as in Kaldi.

    Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006.  Lower rank: simplified PLDA
    with minimum divergence, as in Sizov, Lee and Kinnunen, "Unifying probabilistic linear
    discriminant analysis variants in biometric authentication", S+SSPR 2014.
    """
    dimensions = statistics.means.shape[1]
    if rank is not None:
        refuse_rank(rank, dimensions, statistics.counts)
    mean = statistics.means.mean(axis=0)  # as Kaldi: each speaker counts once
    centred = statistics.means - mean
    if rank is None:
        within = between = np.eye(dimensions)
    else:
        within, between = _first_covariances(statistics, centred, rank)
    means = condense(statistics.counts, centred)
    trained = TrainedPlda(mean, np.eye(dimensions), np.ones(dimensions))
    for iteration in range(iterations + 1):
        trained.transform, trained.psi, raised = diagonalise(within, between)
        if rank is not None:
            trained.psi[rank:] = 0.0
        trained.num_floored += raised
        projected = means.rows @ trained.transform.T
        scatter = trained.transform @ statistics.within_scatter @ trained.transform.T
        add_likelihood(trained, means, projected, scatter)
        if iteration < iterations:
            back = np.linalg.inv(trained.transform)
            within, between = _maximise(means, projected, scatter, trained.psi, rank)
            within, between = back @ within @ back.T, back @ between @ back.T
    return trained


def _maximise(
    means: Means, projected: np.ndarray, scatter: np.ndarray, psi: np.ndarray, rank: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """New W and B by one EM step, in the space where W is unit and B has the diagonal psi.

    ``projected`` (P, D) are the speakers' rows in that space, ``scatter`` (D, D) is the scatter
    about the speakers' means.
    """
    n, num_vectors = means.counts[:, None], means.num_speakers @ means.distinct
    spread = 1 + means.distinct[:, None] * psi[:rank]
    each = means.num_speakers @ (1 / spread)  # a sum over speakers, as the next
    weighted = (means.num_speakers * means.distinct) @ (1 / spread)
    if rank is None:
        # posterior mean of y, whose variance is psi / (1 + n psi)
        speaker = n * psi / (1 + n * psi) * projected
        own = projected - speaker
        between = (speaker.T @ speaker + np.diag(psi * each)) / means.num_speakers.sum()
        within = scatter + (own.T * means.counts) @ own + np.diag(psi * weighted)
        return within / num_vectors, between
    # y = loading * h with h ~ N(0, I), whose posterior variance is 1 / (1 + n psi)
    loading = np.sqrt(psi[:rank])
    hidden = n * loading / (1 + n * psi[:rank]) * projected[:, :rank]
    cross = (projected.T * means.counts) @ hidden
    moment = np.diag(weighted) + (hidden.T * means.counts) @ hidden
    loadings = np.linalg.solve(moment, cross.T).T
    within = scatter + (projected.T * means.counts) @ projected - loadings @ cross.T
    # minimum divergence: h has unit covariance again
    unit = (np.diag(each) + hidden.T @ hidden) / means.num_speakers.sum()
    return within / num_vectors, loadings @ unit @ loadings.T


def _first_covariances(
    statistics: SpeakerStatistics, centred: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """First W and B of lower rank, from moments; W may be singular and is floored where used.

    ``centred`` (K, D) are the speakers' means less the overall one.
    """
    counts = statistics.counts
    within = statistics.within_scatter / (statistics.num_vectors - len(counts))
    whitening, _ = whitening_rows(within)
    between = whitening @ (centred.T @ centred / len(counts)) @ whitening.T
    values, vectors = eigen_descending(between - np.eye(len(within)) * np.mean(1 / counts))
    deviations = np.sqrt(np.maximum(values[:rank], FIRST_VARIANCE))
    loadings = np.linalg.solve(whitening, vectors[:, :rank] * deviations)
    return within, loadings @ loadings.T


def add_likelihood(
    trained: TrainedPlda, means: Means, projected: np.ndarray, scatter: np.ndarray
) -> None:
    """Append the log-likelihood of the training vectors under the present transform and psi.

    ``projected`` (P, D) and ``scatter`` (D, D) as of `_maximise`.  Raises ValueError if it fell by
    more than rounding and no eigenvalue was floored, which may lower it.
    """
    dimensions = projected.shape[1]
    n = means.counts[:, None]
    num_vectors = means.num_speakers @ means.distinct
    _, log_volume = np.linalg.slogdet(trained.transform)
    constant = log_volume - 0.5 * dimensions * np.log(2 * np.pi)
    total = num_vectors * constant - 0.5 * np.trace(scatter)
    total -= 0.5 * (means.num_speakers @ np.log1p(means.distinct[:, None] * trained.psi)).sum()
    total -= 0.5 * (n * projected**2 / (1 + n * trained.psi)).sum()
    value, history = float(total / num_vectors), trained.log_likelihoods
    if history and not trained.num_floored:
        before = history[-1]
        if not value >= before - ROUNDING * max(1.0, abs(before)):
            raise ValueError(
                f"the log-likelihood of PLDA fell from {before:.9g} to {value:.9g} in iteration "
                f"{len(history)} ({means.num_speakers.sum()} speakers, {dimensions} dimensions): "
                "the vectors are too badly conditioned; "
                "reduce the dimensions first, or add shrinkage"
            )
    history.append(value)
