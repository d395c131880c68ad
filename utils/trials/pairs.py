"""Which pairs are compared: kinds of pairs counted and drawn without ever listing them all.

A kind is a sum of relations with signs: impostors of one group are the pairs of one group less
those of one speaker.  Each relation is "has the same label", so that the columns that a row is
related to are counted by a binary search, and the pair at any place of a kind is found without the
others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Sessions = Literal["any", "within", "across"]
Term = tuple[int, tuple[str, ...]]  # sign, labels that both sides share

KINDS: dict[str, tuple[Term, ...]] = {
    "target": ((1, ("speaker",)),),
    "same_group": (
        (1, ("group",)),
        (-1, ("speaker",)),
    ),  # all of a speaker's utterances are of one group
    "cross_group": ((1, ()), (-1, ("group",))),
    "random": ((1, ()), (-1, ("speaker",))),
}


@dataclass(frozen=True)
class Sides:
    """What may be compared with what, and whose it is."""

    rows: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray]
    first_column: np.ndarray

    @classmethod
    def of_utterances(cls, **labels: Sequence[str]) -> "Sides":
        """Each utterance against those behind it."""
        both = {name: np.asarray(values) for name, values in labels.items()}
        return cls(both, both, np.arange(1, len(both["speaker"]) + 1))

    def codes(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers for the labels of rows and columns: equal where all the named labels are."""
        code = np.zeros(len(self.first_column) + len(self.columns["speaker"]), np.int64)
        for name in names:
            label = np.unique(
                np.concatenate([self.rows[name], self.columns[name]]), return_inverse=True
            )[1]
            code = np.unique(code * (label.max() + 1) + label, return_inverse=True)[1]
        return code[: len(self.first_column)], code[len(self.first_column) :]


class Pairs:
    """All pairs of one kind, numbered row by row."""

    def __init__(self, sides: Sides, kind: str, sessions: Sessions = "any"):
        self.num_columns, self.first_column = len(sides.columns["speaker"]), sides.first_column
        self.terms = []
        for sign, names in _terms_with_sessions(KINDS[kind], sessions):
            rows, columns = sides.codes(names)
            self.terms.append(
                (
                    sign,
                    rows * self.num_columns,
                    np.sort(columns * self.num_columns + np.arange(self.num_columns)),
                )
            )
        everyone = np.arange(len(self.first_column))
        self.before = self._related(everyone, self.first_column - 1)
        self.per_row = (
            self._related(everyone, np.full(len(everyone), self.num_columns - 1)) - self.before
        )
        self.ends = np.cumsum(self.per_row)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def _related(self, rows: np.ndarray, last_columns: np.ndarray) -> np.ndarray:
        """How many columns up to the last one each row is paired with."""
        total = np.zeros(len(rows), np.int64)
        for sign, code, keys in self.terms:
            total += sign * (
                np.searchsorted(keys, code[rows] + last_columns, "right")
                - np.searchsorted(keys, code[rows], "left")
            )
        return total

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs at some places, as rows and columns."""
        rows = np.searchsorted(self.ends, places, "right")
        wanted = places - (self.ends - self.per_row)[rows] + self.before[rows] + 1
        low, high = self.first_column[rows].copy(), np.full(len(rows), self.num_columns - 1)
        while (low < high).any():
            middle = (low + high) // 2
            enough = self._related(rows, middle) >= wanted
            low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        return rows, low

    def draw(self, wanted: int, random: np.random.Generator) -> np.ndarray:
        """Places of distinct pairs in order, all that there are where fewer."""
        return np.sort(random.choice(len(self), min(wanted, len(self)), replace=False))

    def draw_of_each(
        self, owners: np.ndarray, most: int, random: np.random.Generator
    ) -> np.ndarray:
        """Places of at most so many distinct pairs of each owner."""
        last_rows = np.append(np.flatnonzero(owners[1:] != owners[:-1]), len(owners) - 1)
        ends = self.ends[last_rows]
        starts = np.append(0, ends[:-1])
        drawn = [
            start + random.choice(end - start, min(most, end - start), replace=False)
            for start, end in zip(starts, ends, strict=True)
        ]
        return np.sort(np.concatenate(drawn))


def _terms_with_sessions(terms: Sequence[Term], sessions: Sessions) -> list[Term]:
    within = [(sign, (*names, "session")) for sign, names in terms]
    if sessions == "within":
        return within
    return (
        [*terms, *[(-sign, names) for sign, names in within]]
        if sessions == "across"
        else list(terms)
    )


def sorted_trials(
    groups: Sequence[tuple[np.ndarray, np.ndarray]], is_target: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of several kinds as one list, in order of rows, then columns."""
    rows, columns = (np.concatenate(side) for side in zip(*groups, strict=True))
    classes = np.repeat(is_target, [len(group[0]) for group in groups])
    order = np.lexsort((columns, rows))
    return rows[order], columns[order], classes[order]
