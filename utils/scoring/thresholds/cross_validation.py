"""Cross-validation over speakers: each trial is decided by a threshold fitted without its speakers.

Speakers are dealt into folds: each into its own up to twenty, more into ten.  The threshold of a
trial, and the means that centre what that threshold is fitted to, are learned without the folds of
both its speakers.  So all pairs of speakers count, and none of them takes part in its own decision.
"""

from itertools import combinations_with_replacement
from typing import Protocol

import numpy as np

from utils.scoring.thresholds.bounds import Errors
from utils.scoring.thresholds.fit import Fitted, Rule, fit
from utils.scoring.thresholds.trials import Trials

ALONE, FOLDS = 20, 10  # speakers that have folds of their own; folds of more


class Scores(Protocol):
    """Scores (T,) of trials that can be computed without some speakers."""

    def without(self, left_out: np.ndarray | None = None) -> np.ndarray:
        """Scores, where further speakers may not have been used to prepare any of them."""


class FixedScores:
    """Scores (T,) that are prepared with none of the speakers: uncentred, or of a back end."""

    def __init__(self, scores: np.ndarray):
        self.scores = scores

    def without(self, left_out: np.ndarray | None = None) -> np.ndarray:
        """The scores themselves."""
        return self.scores


def assign_folds(trials: Trials) -> np.ndarray:
    """Fold (S,) of each speaker; those with targets are spread evenly over the folds."""
    size = trials.num_speakers
    number = size
    if size > ALONE:
        number = FOLDS
    has_targets = np.isin(np.arange(size), trials.target_speakers())
    order = np.argsort(~has_targets, kind="stable")
    folds = np.empty(size, int)
    folds[order] = np.arange(size) % number
    return folds


def validated_scores(trials: Trials, scores: Scores, rule: Rule, final: Fitted) -> np.ndarray:
    """Scores (T,) moved so that the final threshold decides as the trial's own one does.

    That is: each score, less the threshold fitted without the trial's speakers, plus the final one.
    """
    folds = assign_folds(trials)
    weights, is_target = trials.weights(), trials.is_target
    one, other = folds[trials.first], folds[trials.second]
    low, high = np.minimum(one, other), np.maximum(one, other)
    moved = np.empty(len(low))
    for first, second in combinations_with_replacement(range(int(folds.max()) + 1), 2):
        decided = (low == first) & (high == second)
        if not decided.any():
            continue
        values = scores.without(np.flatnonzero(np.isin(folds, (first, second))))
        used = ~np.isin(low, (first, second)) & ~np.isin(high, (first, second))
        fitted = fit(values[used], is_target[used], weights[used], rule)
        moved[decided] = values[decided] - fitted.threshold + final.threshold
    return moved


def count_errors(trials: Trials, scores: np.ndarray, threshold: float) -> Errors:
    """Error rates of each target speaker and pair of speakers at a threshold."""
    is_target = trials.is_target
    accepted = scores >= threshold
    own = trials.first[is_target]
    rejections = np.bincount(own, ~accepted[is_target], trials.num_speakers)
    counts = np.bincount(own, minlength=trials.num_speakers)
    has_targets = counts > 0
    size = trials.num_speakers
    pair = trials.first[~is_target] * size + trials.second[~is_target]
    alarms = np.bincount(pair, accepted[~is_target], size * size).reshape(size, size)
    number = np.bincount(pair, minlength=size * size).reshape(size, size)
    alarms, number = alarms + alarms.T, number + number.T
    has_trials = number > 0
    misses = rejections[has_targets] / counts[has_targets]
    return Errors(misses, alarms / np.maximum(number, 1), has_trials)
