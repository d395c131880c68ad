"""What scores the sides of trials have against a cohort of other speakers: mean and standard
deviation, of all of them or of the highest.

The cohort may be of any size: it is scored in blocks, of which only the highest scores are kept.
Standard deviations are divided by K, not K - 1.

Shapes: ``N`` sides, ``C`` members of the cohort, ``K`` of them closest, ``P`` trials,
``D`` dimensions, ``B`` sides of a block.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# scores of a block stay in the processor's cache, or nearly
SIDES_AT_A_TIME, MEMBERS_AT_A_TIME = 512, 8192
SCORES_AT_A_TIME = 1 << 24  # where all scores of a side are needed at once
GATHERED_AT_A_TIME = 1 << 21
SMALLEST_SPREAD = 1e-6  # of the largest score: a smaller standard deviation is rounding

ScoreMatrix = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Rows(Protocol):
    """An array (C, D), or what is sliced like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, wanted: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class CohortScores:
    """Scores of sides against a cohort, computed in blocks by whoever needs them.

    Attributes
    ----------
    score_matrix : callable
        (B, ...) sides, (M, D) members -> (B, M) scores, an array of its own.
    sides : (N, ...) float array
        Transformed embeddings.
    cohort : (C, D) float array
        Transformed embeddings of other speakers.
    num_threads : int
        Blocks of sides that are worked on at the same time; changes no result.
    """

    score_matrix: ScoreMatrix
    sides: np.ndarray
    cohort: Rows
    num_threads: int = 1

    def of(self, block: slice) -> Iterator[np.ndarray]:
        """Scores (B, M) of some sides against one block of the cohort after the other.

        Parameters
        ----------
        block : slice
            Which sides.
        """
        sides = self.sides[block]
        return (
            self.score_matrix(sides, self.cohort[members])
            for members in blocks_of(len(self.cohort), MEMBERS_AT_A_TIME)
        )


class NoSpread(ValueError):
    """A side whose cohort scores are all alike; who knows its name says it.

    Parameters
    ----------
    side : int
        Which one, from 0.
    """

    def __init__(self, side: int):
        super().__init__(f"the cohort scores of side {side} are all alike: nothing to divide by")
        self.side = side


def cohort_statistics(
    scores: CohortScores, top_k: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each side's scores against the cohort, or against its closest members.

    Parameters
    ----------
    scores : CohortScores
        Sides and cohort.
    top_k : int or None
        How many of the highest scores count; None: all.

    Returns
    -------
    means, deviations : (N,) float64 arrays

    Raises
    ------
    ValueError
        ``top_k`` is not in [2, C], or the cohort has fewer than two members.
    NoSpread
        Scores of a side do not differ.
    """
    check_cohort(len(scores.cohort), top_k)

    def statistics(block: slice) -> np.ndarray:
        blocks = scores.of(block)
        return all_moments(blocks) if top_k is None else highest_moments(blocks, top_k)

    sides = blocks_of(len(scores.sides), SIDES_AT_A_TIME)
    found = np.concatenate(in_threads(statistics, sides, scores.num_threads), axis=1)
    return found[0], checked_deviations(*found)


def check_cohort(num_members: int, top_k: int | None) -> None:
    """Refuse a cohort that has no statistics.

    Parameters
    ----------
    num_members : int
        Of the cohort.
    top_k : int or None
        How many of them count; None: all.

    Raises
    ------
    ValueError
        Fewer than two would count, or more than there are.
    """
    if num_members < 2:
        raise ValueError(
            f"a cohort of {num_members} has no standard deviation; expected 2 members or more"
        )
    if top_k is not None and not 2 <= top_k <= num_members:
        raise ValueError(f"top_k is {top_k}, expected 2 to {num_members}, the size of the cohort")


def blocks_of(count: int, size: int) -> list[slice]:
    """Consecutive slices that cover ``range(count)``.

    Parameters
    ----------
    count : int
        How many things there are.
    size : int
        Of a block; the last may be smaller.
    """
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def in_threads(work: Callable, items: Sequence, num_threads: int) -> list:
    """Results of a function for each item, in their order.

    Parameters
    ----------
    work : callable
        Spends its time in numpy, which lets other threads run.
    items : sequence
        Its arguments.
    num_threads : int
        At most so many at a time.
    """
    if num_threads == 1:
        return list(map(work, items))
    with ThreadPoolExecutor(num_threads) as pool:
        return list(pool.map(work, items))


def all_moments(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Mean and standard deviation over all blocks, merged without loss (Chan's update).

    Parameters
    ----------
    blocks : iterator of (B, M) float arrays
        Scores of the same sides.

    Returns
    -------
    (3, B) float64 array
        Means, standard deviations, and the largest score by absolute value.
    """
    count, mean, scatter, largest = 0, 0.0, 0.0, 0.0
    for block in blocks:
        size = block.shape[1]
        here = block.mean(axis=1, dtype=np.float64)
        within = np.square(block - here[:, None], dtype=np.float64).sum(axis=1)
        scatter = scatter + within + np.square(here - mean) * (count * size / (count + size))
        mean = mean + (here - mean) * (size / (count + size))
        largest = np.maximum(largest, np.abs(block).max(axis=1))
        count += size
    return np.stack([mean, np.sqrt(scatter / count), largest])


def highest_moments(blocks: Iterator[np.ndarray], top_k: int) -> np.ndarray:
    """As `all_moments`, of the highest scores of each side.

    Parameters
    ----------
    blocks : iterator of (B, M) float arrays
        Scores of the same sides; at least one.
    top_k : int
        How many are highest; at most as many as there are.
    """
    best: np.ndarray | None = None
    for block in blocks:
        best = block if best is None else np.concatenate([best, block], axis=1)
        if best.shape[1] > top_k:
            best.partition(best.shape[1] - top_k, axis=1)
            best = best[:, -top_k:].copy()
    assert best is not None  # check_cohort: there is a first block
    return moments(best)


def moments(scores: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and largest absolute value of each row, in float64.

    Parameters
    ----------
    scores : (B, K) float array
        Any.
    """
    scores = scores.astype(np.float64)
    return np.stack([scores.mean(axis=1), scores.std(axis=1), np.abs(scores).max(axis=1)])


def checked_deviations(
    means: np.ndarray, deviations: np.ndarray, largest: np.ndarray
) -> np.ndarray:
    """Standard deviations that can be divided by.

    Parameters
    ----------
    means, deviations, largest : (N,) float64 arrays
        From `moments`; the first are only there because they come together.

    Raises
    ------
    NoSpread
        One is nothing but rounding.
    """
    flat = np.flatnonzero(~(deviations > SMALLEST_SPREAD * largest))
    if len(flat):
        raise NoSpread(int(flat[0]))
    return deviations


def closest_members(scores: CohortScores, top_k: int) -> np.ndarray:
    """Which members of the cohort have the highest scores against each side.

    Parameters
    ----------
    scores : CohortScores
        Sides and cohort.
    top_k : int
        How many.

    Returns
    -------
    (N, K) int32 array
        Rows of the cohort, in no order; which of several that tie at the end of the list is not said.
    """
    num_members = len(scores.cohort)
    check_cohort(num_members, top_k)
    starts = range(0, num_members, MEMBERS_AT_A_TIME)

    def closest(block: slice) -> np.ndarray:
        best: np.ndarray | None = None
        members: np.ndarray | None = None
        for start, found in zip(starts, scores.of(block), strict=True):
            here = np.arange(start, start + found.shape[1], dtype=np.int32)
            here = np.broadcast_to(here, found.shape)
            best = found if best is None else np.concatenate([best, found], axis=1)
            members = here if members is None else np.concatenate([members, here], axis=1)
            if best.shape[1] > top_k:
                kept = np.argpartition(best, best.shape[1] - top_k, axis=1)[:, -top_k:]
                best = np.take_along_axis(best, kept, axis=1)
                members = np.take_along_axis(members, kept, axis=1)
        assert members is not None  # check_cohort: there is a first block
        return np.ascontiguousarray(members)

    sides = blocks_of(len(scores.sides), SIDES_AT_A_TIME)
    return np.concatenate(in_threads(closest, sides, scores.num_threads))


def statistics_by_others(
    scores: CohortScores, members: np.ndarray, own: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each trial: statistics of one side's scores against those members of the cohort that are
    closest to the other side.

    Parameters
    ----------
    scores : CohortScores
        Sides and cohort.
    members : (N, K) int array
        From `closest_members`.
    own, other : (P,) int arrays
        Row of the side whose scores are taken, and of the one that chooses.

    Returns
    -------
    means, deviations : (P,) float64 arrays

    Raises
    ------
    NoSpread
        Scores of a side do not differ.
    """
    order = np.argsort(own, kind="stable")
    sorted_own = own[order]
    found = np.empty((3, len(own)))

    def statistics(block: slice) -> None:
        first, last = np.searchsorted(sorted_own, (block.start, block.stop))
        if first == last:
            return
        of_sides = np.concatenate(list(scores.of(block)), axis=1)
        for some in blocks_of(last - first, max(1, GATHERED_AT_A_TIME // members.shape[1])):
            trials = order[first:last][some]
            rows = own[trials] - block.start
            found[:, trials] = moments(of_sides[rows[:, None], members[other[trials]]])

    at_a_time = max(1, min(SIDES_AT_A_TIME, SCORES_AT_A_TIME // len(scores.cohort)))
    in_threads(statistics, blocks_of(len(scores.sides), at_a_time), scores.num_threads)
    try:
        return found[0], checked_deviations(*found)
    except NoSpread as error:
        raise NoSpread(int(own[error.side])) from None
