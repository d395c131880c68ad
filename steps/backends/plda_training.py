"""EM for PLDA with full covariances within and between speakers: the model and the steps of Kaldi's ivector-compute-plda, and one of lower rank.

A vector is its speaker's vector plus something of its own: x = m + y + e, with y ~ N(0, B) and e ~ N(0, W).  Each iteration goes to the space where
W is unit and B diagonal, psi: there the posterior of a speaker's y is diagonal too, and no matrix is inverted per speaker or per number of
utterances.
"""

from dataclasses import dataclass, field

import numpy as np

from steps.backends.matrices import diagonalise, eigen_descending, whitening_rows
from steps.backends.speaker_statistics import SpeakerStatistics

ROUNDING = 1e-9  # of the log-likelihood: a larger drop is no rounding
FIRST_VARIANCE = 1e-2  # smallest first variance between speakers in a direction of a lower-rank model, which could never leave 0


@dataclass
class TrainedPlda:
    """Result of the training, in the form of Kaldi's ``<Plda>``.

    Attributes
    ----------
    mean : (D,) float64 array
        Mean of the speakers' means.
    transform : (D, D) float64 array
        Makes W unit and B diagonal.
    psi : (D,) float64 array
        That diagonal, from the largest.
    log_likelihoods : list of float
        Natural logarithm of the likelihood per training vector: before the first iteration and after each.
    num_floored : int
        Eigenvalues of W that were raised, in all iterations.
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray
    log_likelihoods: list[float] = field(default_factory=list)
    num_floored: int = 0


@dataclass
class Means:
    """All that EM needs to know of the speakers' means: their second moments, for each number of vectors that a speaker has.

    Attributes
    ----------
    counts : (P,) int array
        Number of vectors behind each row.
    rows : (P, D) float64 array
        Centred means; where more than D speakers have equally many vectors, D rows with the same second moments stand for them.
    distinct : (C,) int array
        The numbers of vectors that there are.
    num_speakers : (C,) int array
        How many speakers have so many.
    """

    counts: np.ndarray
    rows: np.ndarray
    distinct: np.ndarray
    num_speakers: np.ndarray


def condense(counts: np.ndarray, centred: np.ndarray) -> Means:
    """Make few rows of many speakers.

    Parameters
    ----------
    counts : (K,) int array
        Vectors of each speaker.
    centred : (K, D) float64 array
        Their means less the overall one.
    """
    distinct, num_speakers = np.unique(counts, return_counts=True)
    groups = [centred[counts == count] for count in distinct]
    groups = [
        np.linalg.qr(group, mode="r") if len(group) > group.shape[1] else group for group in groups
    ]
    return Means(
        np.repeat(distinct, [len(group) for group in groups]),
        np.concatenate(groups),
        distinct,
        num_speakers,
    )


def refuse_rank(rank: int, dimensions: int, utterances: np.ndarray | None) -> None:
    """Refuse a rank of B that vectors or speakers do not allow.

    Parameters
    ----------
    rank, dimensions : int
        What was asked for, and the size of the vectors.
    utterances : (K,) int array or None
        Of each speaker; None: not known.

    Raises
    ------
    ValueError
        It is too high, or below 1.
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
    """Estimate W and B by EM.

    Parameters
    ----------
    statistics : SpeakerStatistics
        Of the training vectors.
    iterations : int
        Number of EM iterations; Kaldi: 10.
    rank : int or None
        Rank of B; None: full, starting from unit covariances, as Kaldi does.

    Raises
    ------
    ValueError
        The rank is more than the speakers or the dimensions allow, or the likelihood fell.

    References
    ----------
    Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006.  Lower rank: simplified PLDA with minimum divergence, as in Sizov, Lee and
    Kinnunen, "Unifying probabilistic linear discriminant analysis variants in biometric authentication", S+SSPR 2014.
    """
    dimensions = statistics.means.shape[1]
    if rank is not None:
        refuse_rank(rank, dimensions, statistics.counts)
    mean = statistics.means.mean(axis=0)  # as Kaldi: each speaker counts once
    centred = statistics.means - mean
    within, between = (
        (np.eye(dimensions),) * 2 if rank is None else first_guess(statistics, centred, rank)
    )
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
            within, between = maximise(means, projected, scatter, trained.psi, rank)
            within, between = back @ within @ back.T, back @ between @ back.T
    return trained


def maximise(
    means: Means, projected: np.ndarray, scatter: np.ndarray, psi: np.ndarray, rank: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """One EM step where W is unit and B is diagonal.

    Parameters
    ----------
    means : Means
        Of the speakers.
    projected : (P, D) float64 array
        Their rows in that space.
    scatter : (D, D) float64 array
        Scatter about the speakers' means, in that space.
    psi : (D,) float64 array
        Diagonal of B.
    rank : int or None
        Rank of B, None: full.

    Returns
    -------
    within, between : (D, D) float64 arrays
        New W and B, in that space.
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
    unit = (
        np.diag(each) + hidden.T @ hidden
    ) / means.num_speakers.sum()  # minimum divergence: h has unit covariance again
    return within / num_vectors, loadings @ unit @ loadings.T


def first_guess(
    statistics: SpeakerStatistics, centred: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """W and B of lower rank to start from: moments of the statistics.

    Parameters
    ----------
    statistics : SpeakerStatistics
        Of the training vectors.
    centred : (K, D) float64 array
        Speakers' means less the overall one.
    rank : int
        Rank of B.

    Returns
    -------
    within, between : (D, D) float64 arrays
        W may be singular; it is floored where it is used.
    """
    counts = statistics.counts
    within = statistics.within_scatter / (statistics.num_vectors - len(counts))
    whitening, _ = whitening_rows(within)
    of_means = whitening @ (centred.T @ centred / len(counts)) @ whitening.T
    values, vectors = eigen_descending(of_means - np.eye(len(within)) * np.mean(1 / counts))
    loadings = np.linalg.solve(
        whitening, vectors[:, :rank] * np.sqrt(np.maximum(values[:rank], FIRST_VARIANCE))
    )
    return within, loadings @ loadings.T


def add_likelihood(
    trained: TrainedPlda, means: Means, projected: np.ndarray, scatter: np.ndarray
) -> None:
    """Append the log-likelihood of the training vectors, and refuse one that fell.

    Parameters
    ----------
    trained : TrainedPlda
        With the present transform and psi.
    means : Means
        Of the speakers.
    projected, scatter : (P, D), (D, D) float64 arrays
        Their rows, and the scatter about the speakers' means, in the space of the transform.

    Raises
    ------
    ValueError
        The likelihood fell by more than rounding, and no eigenvalue was floored, which may lower it.
    """
    dimensions = projected.shape[1]
    n = means.counts[:, None]
    num_vectors = means.num_speakers @ means.distinct
    _, log_volume = np.linalg.slogdet(trained.transform)
    total = num_vectors * (log_volume - 0.5 * dimensions * np.log(2 * np.pi)) - 0.5 * np.trace(
        scatter
    )
    total -= 0.5 * (means.num_speakers @ np.log1p(means.distinct[:, None] * trained.psi)).sum()
    total -= 0.5 * (n * projected**2 / (1 + n * trained.psi)).sum()
    value, history = float(total / num_vectors), trained.log_likelihoods
    if (
        history
        and not value >= history[-1] - ROUNDING * max(1.0, abs(history[-1]))
        and not trained.num_floored
    ):
        raise ValueError(
            f"the log-likelihood of PLDA fell from {history[-1]:.9g} to {value:.9g} in iteration {len(history)} "
            f"({means.num_speakers.sum()} speakers, {dimensions} dimensions): the vectors are too badly conditioned; "
            "reduce the dimensions first, or add shrinkage"
        )
    history.append(value)
