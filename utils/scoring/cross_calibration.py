"""Calibration and fusion without a dev list: each trial by a map that heard neither of its speakers.

The speakers are dealt to folds.  A trial is of two folds, or of one where both sides are: its map is trained on the trials without any
speaker of these.  So no score is made by a map that knows its speakers; but the trials of a test list are used, which has to be said.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from utils.scoring.calibration import train_calibration

LEAST_FOLDS = 3  # two may be left out
LEAST_SPEAKERS = 4  # one left out of each side leaves two, who make a nontarget trial


def deal_speakers(speakers: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Fold of each speaker: as many in each, or one more.

    Parameters
    ----------
    speakers : sequence of str
        In any order.
    folds : int
        How many.
    seed : int
        Of the draw.

    Raises
    ------
    ValueError
        Too few speakers, or fewer than folds.
    """
    names = sorted(set(speakers))
    if len(names) < LEAST_SPEAKERS:
        raise ValueError(f"{len(names)} speakers, expected at least {LEAST_SPEAKERS}")
    if not LEAST_FOLDS <= folds <= len(names):
        raise ValueError(
            f"{folds} folds of {len(names)} speakers, expected {LEAST_FOLDS} to {len(names)}"
        )
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    return {names[speaker]: place % folds for place, speaker in enumerate(order)}


def cross_calibrated(
    features: np.ndarray,
    is_target: np.ndarray,
    folds: tuple[np.ndarray, np.ndarray],
    p_target: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood ratios of trials, each by a map trained without its speakers.

    Parameters
    ----------
    features : (N, F) float array
        Scores of each system.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    folds : pair of (N,) int arrays
        Fold of the speaker of each side, from `deal_speakers`.
    p_target : float
        As for `train_calibration`.

    Returns
    -------
    llr, weights : (N,) float64 array, (M, F) float64 array
        The second has the weights of each map.

    Raises
    ------
    ValueError
        What is left for a map has trials of one class, or nothing to learn from.
    """
    low, high = np.minimum(*folds), np.maximum(*folds)
    llr = np.empty(len(features))
    maps = []
    for one, other in combinations_with_replacement(range(int(high.max()) + 1), 2):
        here = (low == one) & (high == other)
        if not here.any():
            continue
        others = ~np.isin(low, (one, other)) & ~np.isin(high, (one, other))
        targets = int(is_target[others].sum())
        if targets in (0, int(others.sum())):
            raise ValueError(
                f"without the speakers of two folds there are {targets} target and {others.sum() - targets} nontarget trials to learn from"
            )
        weights, offset = train_calibration(features[others], is_target[others], p_target)
        llr[here] = features[here] @ weights + offset
        maps.append(weights)
    return llr, np.array(maps)
