"""How far an EER could have come out otherwise: the speakers of the test, drawn again.

Trials share speakers, so speakers are what is resampled, with replacement: in one replicate a speaker drawn twice counts
twice; a target trial counts as often as its speaker, a non-target trial as often as the product of its two.  The draws depend
on the seed and the speakers alone: systems that scored the same trials get the same draws, so their differences are paired.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
"""

from collections.abc import Sequence

import numpy as np

from utils.metrics import crossing


def eer_replicates(scores: np.ndarray, is_target: np.ndarray, enrol_speakers: Sequence[str], test_speakers: Sequence[str], *,
                   replicates: int = 1000, seed: int = 0) -> np.ndarray:
    """Equal error rates of one system when its test speakers are drawn again.

    Parameters
    ----------
    scores : (N,) float array
        One per trial, finite.
    is_target : (N,) bool array
        Whether both sides are the same speaker; both classes must occur.
    enrol_speakers, test_speakers : sequences of N str
        Speaker of each side.
    replicates : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    (replicates,) float array
        In [0, 1].  A draw that leaves no trial of a class is drawn again.
    """
    order = np.argsort(scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(np.asarray(scores)[order])), len(order) - 1)
    speakers, index = np.unique(np.concatenate([enrol_speakers, test_speakers]), return_inverse=True)
    enrol, test = index[: len(order)][order], index[len(order):][order]
    target = np.asarray(is_target)[order]
    rng = np.random.default_rng(seed)
    rates = np.empty(replicates)
    done = 0
    while done < replicates:
        times_drawn = np.bincount(rng.integers(len(speakers), size=len(speakers)), minlength=len(speakers)).astype(float)
        weight = np.where(target, times_drawn[enrol], times_drawn[enrol] * times_drawn[test])
        misses = np.append(0, np.cumsum(weight * target)[last_of_ties])
        rejections = np.append(0, np.cumsum(weight * ~target)[last_of_ties])
        if misses[-1] > 0 and rejections[-1] > 0:
            rates[done] = crossing(misses / misses[-1], 1 - rejections / rejections[-1])
            done += 1
    return rates


def interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval.

    Parameters
    ----------
    replicates : (R,) float array
        From `eer_replicates`, or differences or means of such.
    level : float
        Share of the replicates inside, in (0, 1).
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float:
    """Two-sided p of "no difference" from paired replicates: twice the share of them on the rarer side of zero, never below 1 / (R + 1).

    Parameters
    ----------
    differences : (R,) float array
        Of one system's replicates minus another's on the same draws.
    """
    rarer = min(np.sum(differences <= 0), np.sum(differences >= 0))
    return float(min(1.0, 2 * (rarer + 1) / (len(differences) + 1)))
