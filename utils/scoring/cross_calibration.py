"""Calibration and fusion without a dev list, by cross-validation over speakers.

The speakers are divided into folds.  The map of a trial is trained without all trials that have a
speaker in one of its two folds (one fold, if both of its speakers are in it).  So no map is trained
on the speakers of the trials that it is applied to; but it is trained on test trials, and results
must state that.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from utils.scoring.calibration import train_calibration

LEAST_FOLDS = 3  # two may be left out
LEAST_SPEAKERS = 4  # without one of each side two remain: a nontarget trial


def assign_folds(speakers: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Fold of each speaker; all folds have equally many, or one more.

    ValueError for too few speakers, or fewer than folds.
    """
    names = sorted(set(speakers))
    if len(names) < LEAST_SPEAKERS:
        raise ValueError(f"{len(names)} speakers, expected at least {LEAST_SPEAKERS}")
    if not LEAST_FOLDS <= folds <= len(names):
        raise ValueError(
            f"{folds} folds of {len(names)} speakers, expected {LEAST_FOLDS} to {len(names)}"
        )
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    return {names[speaker]: index % folds for index, speaker in enumerate(order)}


def cross_calibrated(
    features: np.ndarray,
    is_target: np.ndarray,
    folds: tuple[np.ndarray, np.ndarray],
    p_target: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood ratios (N,) of trials, and weights (M, F) of the M maps.

    ``features`` are the scores (N, F) of F systems, ``folds`` those of the speakers of both sides.
    ValueError if the trials left for a map have one class, or nothing can be learned from them.
    """
    low, high = np.minimum(*folds), np.maximum(*folds)
    llr = np.empty(len(features))
    maps = []
    for one, other in combinations_with_replacement(range(int(high.max()) + 1), 2):
        is_applied = (low == one) & (high == other)
        if not is_applied.any():
            continue
        is_training = ~np.isin(low, (one, other)) & ~np.isin(high, (one, other))
        targets = int(is_target[is_training].sum())
        if targets in (0, int(is_training.sum())):
            nontargets = is_training.sum() - targets
            raise ValueError(
                f"without the speakers of two folds there are {targets} target and {nontargets} "
                "nontarget trials to learn from"
            )
        weights, offset = train_calibration(features[is_training], is_target[is_training], p_target)
        llr[is_applied] = features[is_applied] @ weights + offset
        maps.append(weights)
    return llr, np.array(maps)
