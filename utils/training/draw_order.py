"""Which utterances an epoch draws, in which order: a pure function of (seed, epoch), of an equal number of draws in every epoch.

Shapes: ``U`` utterances, ``S`` speakers, ``N`` speakers of a batch, ``M`` utterances of each, ``D`` draws of an epoch.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

import numpy as np


class EveryUtterance:
    """Every utterance once per epoch; where a speaker has more than a cap, so many of them, drawn anew in each epoch.

    Parameters
    ----------
    labels : (U,) ints
        Speaker of each utterance.
    seed : int
        Of the whole training.
    max_per_speaker : int or None
        Most utterances of a speaker in an epoch.

    Attributes
    ----------
    epoch_size : int
        D.
    rows_per_speaker : int
        Neighbouring draws, from a multiple of this number on, that are of one speaker.
    speakers_left_out : int
        None here.
    """

    rows_per_speaker, speakers_left_out = 1, 0

    def __init__(self, labels: Sequence[int], seed: int, max_per_speaker: int | None = None):
        self.labels, self.seed = np.asarray(labels), seed
        self.max_per_speaker = max_per_speaker
        self.epoch_size = int(_capped(np.bincount(self.labels), max_per_speaker).sum())

    def order(self, epoch: int) -> np.ndarray:
        """Utterances in the order in which an epoch draws them, (D,).

        Parameters
        ----------
        epoch : int
            From 0 on.
        """
        shuffled = np.random.default_rng([self.seed, epoch]).permutation(len(self.labels))
        if self.max_per_speaker is None:
            return shuffled
        return shuffled[number_among_equals(self.labels[shuffled]) < self.max_per_speaker]


class SpeakersByUtterances:
    """Batches of N different speakers with M different utterances of each, the speakers drawn in proportion to the utterances that they have left.

    An epoch has as many batches as the speakers' utterances can fill: of a speaker with ``u`` of them (or the cap) so many groups of M as go into
    ``u``, but no more than one group in a batch.  What is left over is drawn anew in the next epoch.

    Parameters
    ----------
    labels : (U,) ints
        Speaker of each utterance.
    seed : int
        Of the whole training.
    speakers, utterances : int, int
        N and M.
    crops_per_utterance : int
        Rows that each utterance of a batch gives, next to each other.
    when_fewer : {"repeat", "leave_out"}
        A speaker with fewer than M utterances comes once per epoch with these drawn again and again (each draw has another crop), or never.
    max_per_speaker : int or None
        Most utterances of a speaker in an epoch, M or more.

    Attributes
    ----------
    epoch_size, rows_per_speaker, speakers_left_out : int
        As of `EveryUtterance`; D is a multiple of the batch.

    Raises
    ------
    ValueError
        Nobody has M utterances, there are fewer than N speakers, or the cap is below M.
    """

    def __init__(
        self,
        labels: Sequence[int],
        seed: int,
        *,
        speakers: int,
        utterances: int = 1,
        crops_per_utterance: int = 1,
        when_fewer: Literal["repeat", "leave_out"] = "repeat",
        max_per_speaker: int | None = None,
    ):
        self.labels, self.seed = np.asarray(labels), seed
        self.speakers, self.utterances, self.crops = speakers, utterances, crops_per_utterance
        if max_per_speaker is not None and max_per_speaker < utterances:
            raise ValueError(
                f"max_utterances_per_speaker is {max_per_speaker}, a batch wants {utterances} utterances of each"
            )
        self.count_S = np.bincount(self.labels)
        self.groups_S = _capped(self.count_S, max_per_speaker) // utterances
        if not self.groups_S.any():
            raise ValueError(
                f"utterances is {utterances}: no speaker has so many, the most is {self.count_S.max()}"
            )
        if when_fewer == "repeat":
            self.groups_S = np.maximum(self.groups_S, self.count_S > 0)
        there = int(np.count_nonzero(self.groups_S))
        self.speakers_left_out = int(np.count_nonzero(self.count_S)) - there
        if there < speakers:
            wanted = f" with {utterances} utterances or more" if when_fewer == "leave_out" else ""
            raise ValueError(f"speakers is {speakers}: there are {there}{wanted}")
        self.num_batches = most_batches(self.groups_S, speakers)
        self.rows_per_speaker = utterances * crops_per_utterance
        self.epoch_size = self.num_batches * speakers * self.rows_per_speaker

    def order(self, epoch: int) -> np.ndarray:
        """Utterances in the order in which an epoch draws them, batch after batch, speaker after speaker, (D,).

        Parameters
        ----------
        epoch : int
            From 0 on.
        """
        rng = np.random.default_rng([self.seed, epoch])
        shuffled = rng.permutation(len(self.labels))
        by_speaker = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        speaker = self.speakers_of_batches(rng).ravel()
        place = number_among_equals(speaker)[:, None] * self.utterances + np.arange(self.utterances)
        first_S = np.cumsum(self.count_S) - self.count_S
        chosen = by_speaker[first_S[speaker, None] + place % self.count_S[speaker, None]]
        return np.repeat(chosen.ravel(), self.crops)

    def speakers_of_batches(self, rng: np.random.Generator) -> np.ndarray:
        """The speakers of every batch of an epoch, (batches, N).

        A speaker with as many groups left as there are batches left has to be in the next one; with that, the last batch is as full as the first.

        Parameters
        ----------
        rng : numpy Generator
            The only source of what is drawn.
        """
        groups_S = np.minimum(self.groups_S, self.num_batches)
        every_group = rng.permutation(np.repeat(np.arange(len(groups_S)), groups_S))
        wanted = every_group[: self.num_batches * self.speakers]
        left_S = np.bincount(wanted, minlength=len(groups_S))
        queue = deque(wanted.tolist())
        batches = np.empty((self.num_batches, self.speakers), np.int64)
        for number, batches_left in enumerate(range(self.num_batches, 0, -1)):
            if left_S.max() < batches_left:
                batches[number] = _next_different(queue, self.speakers)
            else:  # and in all batches that follow
                is_certain_S = left_S == batches_left
                batches[number] = _drawn_by_weight(left_S, is_certain_S, self.speakers, rng)
            left_S[batches[number]] -= 1
        return batches


def _next_different(queue: deque[int], number: int) -> list[int]:
    """Take the first different values out of a queue; repetitions stay at its head."""
    taken: dict[int, None] = {}  # a set that keeps its order
    again = []
    while len(taken) < number:
        value = queue.popleft()
        if value in taken:
            again.append(value)
        else:
            taken[value] = None
    queue.extendleft(reversed(again))
    return list(taken)


def _drawn_by_weight(
    weight_S: np.ndarray, is_certain_S: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """Different indices, each drawn in proportion to its weight; some are certain."""
    # the shortest ones of waiting times at these rates
    with np.errstate(divide="ignore", invalid="ignore"):
        waiting_S = rng.standard_exponential(len(weight_S), dtype=np.float32) / weight_S
    waiting_S[is_certain_S] = -1
    return np.argpartition(waiting_S, number - 1)[:number]


def most_batches(groups_S: np.ndarray, speakers: int) -> int:
    """Most batches of different speakers that a number of groups of each speaker can fill.

    Parameters
    ----------
    groups_S : (S,) int array
        Groups of each speaker.
    speakers : int
        N: at least so many have a group.
    """
    low, high = 1, int(groups_S.sum()) // speakers
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(groups_S, middle).sum() >= middle * speakers:
            low = middle
        else:
            high = middle - 1
    return low


def _capped(count_S: np.ndarray, most: int | None) -> np.ndarray:
    """Counts that do not exceed a number."""
    return count_S if most is None else np.minimum(count_S, most)


def number_among_equals(values: np.ndarray) -> np.ndarray:
    """For each element how many equal ones stand before it.

    Parameters
    ----------
    values : (n,) int array
        Any values.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(values)), 0))
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.arange(len(values)) - first
    return numbers
