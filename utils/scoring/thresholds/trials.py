"""Trials among the recordings of some speakers, with or without sessions, and their weights.

A target trial compares recordings of one speaker: of two sessions where any speaker has two, else
any two.  Where sessions count, a speaker with one session gives nontarget trials only.  A person
enrolled by N recordings is a group of N that follow each other; all groups of a speaker are
disjoint.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MOST_TRIALS = 30_000_000  # more do not fit into the memory of a small machine


@dataclass(frozen=True)
class Trials:
    """T trials: files of the enrolled person (T, N), the tested file (T,), speakers of both (T,).

    ``num_speakers`` are all, numbered from 0.
    """

    enrol: np.ndarray
    test: np.ndarray
    first: np.ndarray
    second: np.ndarray
    num_speakers: int

    @property
    def is_target(self) -> np.ndarray:
        """Whether both sides are of one speaker, (T,) bool."""
        return self.first == self.second

    def target_speakers(self) -> np.ndarray:
        """Speakers that have target trials, growing."""
        return np.unique(self.first[self.is_target])

    def weights(self) -> np.ndarray:
        """Weights (T,): of all target speakers the same, and of all pairs of speakers the same.

        Those of the targets have the sum 1, and so have those of the nontargets.
        """
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        pair = low.astype(np.int64) * self.num_speakers + high
        _, index, counts = np.unique(pair, return_inverse=True, return_counts=True)
        weights = 1 / counts[index]
        is_target = self.is_target
        for chosen in (is_target, ~is_target):
            weights[chosen] /= max(weights[chosen].sum(), 1e-300)
        return weights


def uses_sessions(speakers: np.ndarray, sessions: np.ndarray) -> bool:
    """Whether a speaker has two sessions, so that targets are compared across sessions only.

    ``speakers`` and ``sessions`` (F,) are numbers; a session belongs to one speaker.
    """
    both = np.unique(np.stack([speakers, sessions]), axis=1)
    return bool((np.bincount(both[0]) > 1).any())


def make_trials(speakers: np.ndarray, sessions: np.ndarray, enrol_files: int = 1) -> Trials:
    """All trials of F files, of which ``speakers`` and ``sessions`` (F,) are numbers.

    With one file per person each pair of files comes once.  ValueError for too many trials.
    """
    groups = _groups(speakers, sessions, enrol_files)
    num_trials = len(groups) * len(speakers)
    if enrol_files == 1:
        num_trials //= 2
    if num_trials > MOST_TRIALS:
        raise ValueError(f"{num_trials:,} trials, at most {MOST_TRIALS:,} fit; take fewer files")
    if enrol_files == 1:
        enrol, test = np.triu_indices(len(speakers), 1)
        enrol = enrol[:, None]
    else:
        group, test = np.indices((len(groups), len(speakers))).reshape(2, -1)
        enrol = groups[group]
    first, second = speakers[enrol[:, 0]], speakers[test]
    if uses_sessions(speakers, sessions):
        is_used = (sessions[enrol] != sessions[test][:, None]).all(axis=1)
    else:
        is_used = (enrol != test[:, None]).all(axis=1)
    num_speakers = int(speakers.max()) + 1
    return Trials(enrol[is_used], test[is_used], first[is_used], second[is_used], num_speakers)


def _groups(speakers: np.ndarray, sessions: np.ndarray, size: int) -> np.ndarray:
    """Disjoint groups (K, size) of files that follow each other, of one speaker each."""
    order = np.lexsort((sessions, speakers))
    starts = np.flatnonzero(np.diff(speakers[order], prepend=-1))
    groups = [np.empty((0, size), np.int64)]
    for start, end in pairwise([*starts, len(order)]):
        whole = (end - start) // size * size
        groups.append(order[start : start + whole].reshape(-1, size))
    return np.concatenate(groups)
