"""The order of the utterances in an epoch: a pure function of (seed, epoch).

Every epoch has the same number of draws.  Shapes: ``U`` utterances, ``S`` speakers, ``N`` speakers
of a batch, ``M`` utterances of each, ``D`` draws of an epoch.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

import numpy as np


class EveryUtterance:
    """Every utterance once per epoch, of a speaker at most ``max_per_speaker`` random ones.

    ``labels`` (U,) are the speakers of the utterances; ``epoch_size`` is D.
    """

    rows_per_speaker = 1  # consecutive draws of one speaker
    speakers_left_out = 0

    def __init__(self, labels: Sequence[int], seed: int, max_per_speaker: int | None = None):
        self.labels, self.seed = np.asarray(labels), seed
        self.max_per_speaker = max_per_speaker
        self.epoch_size = int(_capped(np.bincount(self.labels), max_per_speaker).sum())

    def order(self, epoch: int) -> np.ndarray:
        """The utterances of an epoch (counted from 0) in their order, (D,)."""
        shuffled = np.random.default_rng([self.seed, epoch]).permutation(len(self.labels))
        if self.max_per_speaker is None:
            return shuffled
        return shuffled[count_earlier_equals(self.labels[shuffled]) < self.max_per_speaker]


class SpeakersByUtterances:
    """Batches of N different speakers with M different utterances of each.

    Speakers are drawn in proportion to the utterances that they have left.  An epoch has as many
    batches as the utterances can fill: a speaker with ``u`` of them (at most ``max_per_speaker``)
    has ``u // M`` groups, one per batch; what is left over may be drawn in the next epoch.  The
    other options are those of `utils.training.crops.BatchOptions`.

    ValueError if no speaker has M utterances, there are fewer than N speakers, or
    ``max_per_speaker`` is below M.
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
                f"max_utterances_per_speaker is {max_per_speaker}, "
                f"a batch needs {utterances} utterances of each"
            )
        self.count_S = np.bincount(self.labels)
        self.groups_S = _capped(self.count_S, max_per_speaker) // utterances
        if not self.groups_S.any():
            most = self.count_S.max()
            raise ValueError(
                f"utterances is {utterances}: no speaker has that many, the most is {most}"
            )
        if when_fewer == "repeat":
            self.groups_S = np.maximum(self.groups_S, self.count_S > 0)
        num_speakers = int(np.count_nonzero(self.groups_S))
        self.speakers_left_out = int(np.count_nonzero(self.count_S)) - num_speakers
        if num_speakers < speakers:
            wanted = f" with {utterances} utterances or more" if when_fewer == "leave_out" else ""
            raise ValueError(f"speakers is {speakers}: there are {num_speakers}{wanted}")
        self.num_batches = most_batches(self.groups_S, speakers)
        self.rows_per_speaker = utterances * crops_per_utterance
        self.epoch_size = self.num_batches * speakers * self.rows_per_speaker

    def order(self, epoch: int) -> np.ndarray:
        """The utterances of an epoch, batch after batch, speaker after speaker, (D,)."""
        rng = np.random.default_rng([self.seed, epoch])
        shuffled = rng.permutation(len(self.labels))
        by_speaker = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        speaker = self.draw_speakers(rng).ravel()
        first_group = count_earlier_equals(speaker)[:, None] * self.utterances
        position = first_group + np.arange(self.utterances)  # among the speaker's utterances
        first_S = np.cumsum(self.count_S) - self.count_S
        chosen = by_speaker[first_S[speaker, None] + position % self.count_S[speaker, None]]
        return np.repeat(chosen.ravel(), self.crops)

    def draw_speakers(self, rng: np.random.Generator) -> np.ndarray:
        """The speakers of every batch of an epoch, (batches, N).

        A speaker with as many groups left as there are batches left must be in the next batch:
        so the last batch is as full as the first.
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
    """Take the first different values out of a queue; repeated ones go back to its head."""
    taken: dict[int, None] = {}  # an ordered set
    repeated = []
    while len(taken) < number:
        value = queue.popleft()
        if value in taken:
            repeated.append(value)
        else:
            taken[value] = None
    queue.extendleft(reversed(repeated))
    return list(taken)


def _drawn_by_weight(
    weight_S: np.ndarray, is_certain_S: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """Different indices, drawn in proportion to their weights; some are certain.

    The shortest of exponential waiting times whose rates are the weights.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        waiting_S = rng.standard_exponential(len(weight_S), dtype=np.float32) / weight_S
    waiting_S[is_certain_S] = -1
    return np.argpartition(waiting_S, number - 1)[:number]


def most_batches(groups_S: np.ndarray, speakers: int) -> int:
    """How many batches of N different speakers can be filled by the groups of all speakers.

    At least N speakers have a group.
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
    """Counts, limited to a maximum if there is one."""
    return count_S if most is None else np.minimum(count_S, most)


def count_earlier_equals(values: np.ndarray) -> np.ndarray:
    """For each element of a 1-D array, how many equal ones precede it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(values)), 0))
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.arange(len(values)) - first
    return numbers
