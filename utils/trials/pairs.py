"""Kinds of pairs, counted and drawn without listing them all.

A kind is a signed sum of relations: impostors of one group are the pairs of one group minus those
of one speaker.  Each relation is "has the same label", so a binary search counts the columns that a
row is related to, and finds the n-th pair of a kind without listing the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Sessions = Literal["any", "within", "across"]
Term = tuple[int, tuple[str, ...]]  # sign, labels that both sides share

KINDS: dict[str, tuple[Term, ...]] = {
    "target": ((1, ("speaker",)),),
    # all utterances of a speaker are of one group
    "same_group": ((1, ("group",)), (-1, ("speaker",))),
    "cross_group": ((1, ()), (-1, ("group",))),
    "random": ((1, ()), (-1, ("speaker",))),
}


@dataclass(frozen=True)
class Sides:
    """The enrolments (R rows) and tests (C columns) that may be paired.

    ``rows`` and ``columns`` have arrays (R,) and (C,) ``speaker``, and ``group`` and ``session``
    where they are known.  ``first_column`` (R,) int: a row is paired with the columns from this one
    on: the one after its own if both sides are the same utterances, else the first.
    """

    rows: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray]
    first_column: np.ndarray

    @classmethod
    def of_utterances(cls, **labels: Sequence[str]) -> "Sides":
        """Each utterance with those after it; labels are ``speaker``, ``group``, ``session``."""
        both = {name: np.asarray(values) for name, values in labels.items()}
        return cls(both, both, np.arange(1, len(both["speaker"]) + 1))

    def codes(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Integers for rows and columns that are equal where all the named labels are."""
        num_rows = len(self.first_column)
        code = np.zeros(num_rows + len(self.columns["speaker"]), np.int64)
        for name in names:
            both = np.concatenate([self.rows[name], self.columns[name]])
            _, label = np.unique(both, return_inverse=True)
            _, code = np.unique(code * (label.max() + 1) + label, return_inverse=True)
        return code[:num_rows], code[num_rows:]


@dataclass(frozen=True)
class _Relation:
    """One term of a kind, for counting by binary search in the sorted ``keys`` of the columns."""

    sign: int
    row_keys: np.ndarray
    keys: np.ndarray


class Pairs:
    """All pairs of one kind (`KINDS`), numbered row by row.

    ``sessions``: ``within`` one session only, or ``across`` two only.
    """

    def __init__(self, sides: Sides, kind: str, sessions: Sessions = "any"):
        self.num_columns, self.first_column = len(sides.columns["speaker"]), sides.first_column
        self.relations = []
        for sign, names in _terms_with_sessions(KINDS[kind], sessions):
            rows, columns = sides.codes(names)
            keys = np.sort(columns * self.num_columns + np.arange(self.num_columns))
            self.relations.append(_Relation(sign, rows * self.num_columns, keys))
        all_rows = np.arange(len(self.first_column))
        last_column = np.full(len(all_rows), self.num_columns - 1)
        self.before = self._count_related(all_rows, self.first_column - 1)
        self.per_row = self._count_related(all_rows, last_column) - self.before
        self.ends = np.cumsum(self.per_row)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def _count_related(self, rows: np.ndarray, last_columns: np.ndarray) -> np.ndarray:
        """How many columns up to the last one each row is paired with."""
        total = np.zeros(len(rows), np.int64)
        for relation in self.relations:
            first = relation.row_keys[rows]
            up_to_last = np.searchsorted(relation.keys, first + last_columns, "right")
            before_first = np.searchsorted(relation.keys, first, "left")
            total += relation.sign * (up_to_last - before_first)
        return total

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs with these numbers, (N,) int from 0, as rows and columns."""
        rows = np.searchsorted(self.ends, numbers, "right")
        wanted = numbers - (self.ends - self.per_row)[rows] + self.before[rows] + 1
        low, high = self.first_column[rows].copy(), np.full(len(rows), self.num_columns - 1)
        while (low < high).any():
            middle = (low + high) // 2
            enough = self._count_related(rows, middle) >= wanted
            low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        return rows, low

    def draw(self, wanted: int, random: np.random.Generator) -> np.ndarray:
        """Numbers of distinct pairs in ascending order; all if there are fewer than wanted."""
        return np.sort(random.choice(len(self), min(wanted, len(self)), replace=False))

    def draw_of_each(
        self, owners: np.ndarray, most: int, random: np.random.Generator
    ) -> np.ndarray:
        """Numbers of at most ``most`` distinct pairs of each owner of rows, in ascending order.

        ``owners``: (R,); rows of one owner are neighbours.
        """
        last_rows = np.append(np.flatnonzero(owners[1:] != owners[:-1]), len(owners) - 1)
        start, drawn = 0, []
        for end in self.ends[last_rows]:
            count = end - start
            drawn.append(start + random.choice(count, min(most, count), replace=False))
            start = end
        return np.sort(np.concatenate(drawn))


def _terms_with_sessions(terms: Sequence[Term], sessions: Sessions) -> list[Term]:
    """The terms of a kind within one session, or of the rest."""
    if sessions == "any":
        return list(terms)
    within = [(sign, (*names, "session")) for sign, names in terms]
    if sessions == "within":
        return within
    return [*terms, *[(-sign, names) for sign, names in within]]


def sorted_trials(
    groups: Sequence[tuple[np.ndarray, np.ndarray]], is_target: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of several kinds, from `Pairs.at`, as one list in order of rows, then columns.

    ``is_target``: class of each kind.  Returns rows, columns and classes.
    """
    rows = np.concatenate([group[0] for group in groups])
    columns = np.concatenate([group[1] for group in groups])
    classes = np.repeat(is_target, [len(group[0]) for group in groups])
    order = np.lexsort((columns, rows))
    return rows[order], columns[order], classes[order]
