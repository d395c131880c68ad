"""Mean and standard deviation of the scores of each side of the trials against a cohort.

They are computed over all members, or over the highest scores.
The cohort may be of any size: it is scored in blocks, of which only the highest scores are kept.
Standard deviations are divided by K, not K - 1.

Shapes: ``N`` sides, ``C`` members of the cohort, ``K`` closest ones of them, ``P`` trials,
``D`` dimensions, ``B`` sides of a block.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# the scores of a block about fit the processor's cache
SIDES_AT_A_TIME, MEMBERS_AT_A_TIME = 512, 8192
SCORES_AT_A_TIME = 1 << 24  # where all scores of a side are needed at once
GATHERED_AT_A_TIME = 1 << 21
SMALLEST_SPREAD = 1e-6  # of the largest score: a smaller standard deviation is rounding

ScoreMatrix = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Rows(Protocol):
    """An array (C, D), or an object that is sliced like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, wanted: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class CohortScores:
    """Scores of sides against a cohort, computed in blocks when they are needed.

    ``score_matrix`` maps sides (B, ...) and members (M, D) to a new array of scores (B, M);
    ``sides`` (N, ...) and ``cohort`` (C, D) are transformed embeddings.  ``num_threads`` blocks of
    sides are computed at a time; it changes no result.
    """

    score_matrix: ScoreMatrix
    sides: np.ndarray
    cohort: Rows
    num_threads: int = 1

    def blocks(self, block: slice) -> Iterator[np.ndarray]:
        """Scores (B, M) of a block of sides against each block of the cohort."""
        sides = self.sides[block]
        return (
            self.score_matrix(sides, self.cohort[members])
            for members in block_slices(len(self.cohort), MEMBERS_AT_A_TIME)
        )


class NoSpread(ValueError):
    """The cohort scores of a side (its index) are all the same."""

    def __init__(self, side: int):
        super().__init__(f"the cohort scores of side {side} are all alike: nothing to divide by")
        self.side = side


def cohort_statistics(
    scores: CohortScores, top_k: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (N,) of each side's scores against the cohort, or part of it.

    ``top_k`` is how many of the highest scores count; None: all. ValueError if it is not in [2, C]
    or the cohort has fewer than two members; NoSpread if the scores of a side do not differ.
    """
    check_cohort(len(scores.cohort), top_k)

    def statistics(block: slice) -> np.ndarray:
        blocks = scores.blocks(block)
        if top_k is None:
            return all_moments(blocks)
        return highest_moments(blocks, top_k)

    sides = block_slices(len(scores.sides), SIDES_AT_A_TIME)
    rows = np.concatenate(in_threads(statistics, sides, scores.num_threads), axis=1)
    return rows[0], checked_deviations(*rows)


def check_cohort(num_members: int, top_k: int | None) -> None:
    """ValueError if fewer than two members of a cohort would count, or more than there are."""
    if num_members < 2:
        raise ValueError(
            f"a cohort of {num_members} has no standard deviation; expected 2 members or more"
        )
    if top_k is not None and not 2 <= top_k <= num_members:
        raise ValueError(f"top_k is {top_k}, expected 2 to {num_members}, the size of the cohort")


def block_slices(count: int, size: int) -> list[slice]:
    """Consecutive slices of a size that cover ``range(count)``; the last may be smaller."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def in_threads(work: Callable, items: Sequence, num_threads: int) -> list:
    """Results of a function for each item, in order; numpy work lets other threads run."""
    if num_threads == 1:
        return list(map(work, items))
    with ThreadPoolExecutor(num_threads) as pool:
        return list(pool.map(work, items))


def all_moments(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Means, standard deviations and largest absolute scores (3, B) over blocks (B, M) of scores.

    Merged without loss of precision (Chan's update).
    """
    count, mean, scatter, largest = 0, 0.0, 0.0, 0.0
    for block in blocks:
        size = block.shape[1]
        block_mean = block.mean(axis=1, dtype=np.float64)
        within = np.square(block - block_mean[:, None], dtype=np.float64).sum(axis=1)
        between = np.square(block_mean - mean) * (count * size / (count + size))
        scatter = scatter + within + between
        mean = mean + (block_mean - mean) * (size / (count + size))
        largest = np.maximum(largest, np.abs(block).max(axis=1))
        count += size
    return np.stack([mean, np.sqrt(scatter / count), largest])


def highest_moments(blocks: Iterator[np.ndarray], top_k: int) -> np.ndarray:
    """As `all_moments`, of the ``top_k`` highest scores of each side."""
    best: np.ndarray | None = None
    for block in blocks:
        if best is not None:
            block = np.concatenate([best, block], axis=1)
        best = block
        if best.shape[1] > top_k:
            best.partition(best.shape[1] - top_k, axis=1)
            best = best[:, -top_k:].copy()
    assert best is not None  # check_cohort: there is a first block
    return moments(best)


def moments(scores: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and largest absolute value of each row, in float64."""
    scores = scores.astype(np.float64)
    return np.stack([scores.mean(axis=1), scores.std(axis=1), np.abs(scores).max(axis=1)])


def checked_deviations(
    means: np.ndarray, deviations: np.ndarray, largest: np.ndarray
) -> np.ndarray:
    """Standard deviations that can be divided by; NoSpread if one is only rounding.

    ``means`` are not used; the three come together from `moments`.
    """
    alike = np.flatnonzero(~(deviations > SMALLEST_SPREAD * largest))
    if len(alike):
        raise NoSpread(int(alike[0]))
    return deviations


def closest_members(scores: CohortScores, top_k: int) -> np.ndarray:
    """Rows (N, K) int32 of the cohort members with the highest scores against each side, unordered.

    Which of several tied members are chosen is not defined.
    """
    num_members = len(scores.cohort)
    check_cohort(num_members, top_k)
    starts = range(0, num_members, MEMBERS_AT_A_TIME)

    def closest(block: slice) -> np.ndarray:
        best: np.ndarray | None = None
        members: np.ndarray | None = None
        for start, block_scores in zip(starts, scores.blocks(block), strict=True):
            numbers = np.arange(start, start + block_scores.shape[1], dtype=np.int32)
            numbers = np.broadcast_to(numbers, block_scores.shape)
            if best is None or members is None:
                best, members = block_scores, numbers
            else:
                best = np.concatenate([best, block_scores], axis=1)
                members = np.concatenate([members, numbers], axis=1)
            if best.shape[1] > top_k:
                kept = np.argpartition(best, best.shape[1] - top_k, axis=1)[:, -top_k:]
                best = np.take_along_axis(best, kept, axis=1)
                members = np.take_along_axis(members, kept, axis=1)
        assert members is not None  # check_cohort: there is a first block
        return np.ascontiguousarray(members)

    sides = block_slices(len(scores.sides), SIDES_AT_A_TIME)
    return np.concatenate(in_threads(closest, sides, scores.num_threads))


def statistics_by_others(
    scores: CohortScores, members: np.ndarray, own: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of one side's scores against the members that are closest to the other side.

    ``members`` (N, K) are from `closest_members`; ``own`` and ``other`` (P,) are the rows, for each
    trial, of the side whose scores are used and of the side that chooses. Means and deviations are
    (P,); NoSpread if the scores of a side do not differ.
    """
    order = np.argsort(own, kind="stable")
    sorted_own = own[order]
    trial_moments = np.empty((3, len(own)))

    def statistics(block: slice) -> None:
        first, last = np.searchsorted(sorted_own, (block.start, block.stop))
        if first == last:
            return
        side_scores = np.concatenate(list(scores.blocks(block)), axis=1)
        for part in block_slices(last - first, max(1, GATHERED_AT_A_TIME // members.shape[1])):
            trials = order[first:last][part]
            rows = own[trials] - block.start
            chosen = side_scores[rows[:, None], members[other[trials]]]
            trial_moments[:, trials] = moments(chosen)

    at_a_time = max(1, min(SIDES_AT_A_TIME, SCORES_AT_A_TIME // len(scores.cohort)))
    in_threads(statistics, block_slices(len(scores.sides), at_a_time), scores.num_threads)
    try:
        return trial_moments[0], checked_deviations(*trial_moments)
    except NoSpread as error:
        raise NoSpread(int(own[error.side])) from None
