"""Lists of millions of trials: there every name is one string, however many lines have it, so that a trial costs three references.

The lists name few sides many times over: 256 models x 15,648 tests are 4 million lines of 130
bytes, and 16 thousand names.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, repeat
from typing import overload

import numpy as np

TAB_TO_BLANK, PRINTABLE = bytes.maketrans(b"\t", b" "), bytes(range(0x21, 0x7F))
BLOCK_BYTES = 1 << 24  # of a file, taken apart at a time
# A million trials: in shorter lists finding equal words costs more time than it is worth memory.
SHARED_BYTES = 64 << 20


def is_regular(content: bytes, width: int) -> bool:
    """Whether every line has so many words of printable ASCII, one blank or tab between them: seen without a step of Python per line.

    Every line may end with one more blank, as Kaldi's programs write some lists.  A line may still
    have an empty word; then there are fewer words than fields.
    """
    count = content.count(b"\n")
    blanks = content.translate(TAB_TO_BLANK, PRINTABLE)
    if not count or len(blanks) not in (width * count, (width + 1) * count):
        return False
    if blanks == (b" " * (width - 1) + b"\n") * count:
        return True
    ends = content.count(b" \n") + content.count(b"\t\n")
    return ends == count and blanks == (b" " * width + b"\n") * count


def blocks_of_words(content: bytes) -> Iterator[list[str]]:
    """The words of a file, some whole lines at a time."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start + BLOCK_BYTES) + 1 or len(content)
        yield content[start:end].decode("ascii").split()
        start = end


def columns_of_words(content: bytes, width: int) -> list[list[str]]:
    """The columns of a regular file; in a large one, whose words come again and again, equal words are one object."""
    columns: list[list[str]] = [[] for _ in range(width)]
    known: dict[str, str] = {}
    for words in blocks_of_words(content):
        for column, into in enumerate(columns):
            some = words[column::width]
            into += some if len(content) < SHARED_BYTES else map(known.setdefault, some, some)
    return columns


class Trials(Sequence[str]):
    """Trials as columns; as a sequence, its lines ``<enrol> <test> target|nontarget``, each made when it is asked for."""

    def __init__(self, enrol: list[str], test: list[str], kinds: list[str] | None = None):
        self.enrol, self.test, self.kinds = enrol, test, kinds

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Trials":
        """Trials from their lines, or as they are."""
        if isinstance(lines, cls):
            return lines
        columns = [list(column) for column in zip(*map(str.split, lines), strict=True)]
        return cls(*(columns or ([], [])))

    @property
    def columns(self) -> list[list[str]]:
        """Both sides and, where they are known, the classes."""
        sides = [self.enrol, self.test]
        return sides if self.kinds is None else [*sides, self.kinds]

    @property
    def classes(self) -> set[str]:
        """Those that occur; none where they are not known."""
        return set(self.kinds or ())

    def __len__(self) -> int:
        return len(self.enrol)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> "Trials": ...

    def __getitem__(self, place: int | slice) -> "str | Trials":
        if isinstance(place, slice):
            return Trials(*(column[place] for column in self.columns))
        return " ".join([column[place] for column in self.columns])

    def __iter__(self) -> Iterator[str]:
        return map(" ".join, zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Trials, list)):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == its for mine, its in zip(self, other, strict=True)
        )

    def restricted(self, enrol: Collection[str], test: Collection[str]) -> "Trials":
        """The trials both of whose sides are among these."""
        keep = [
            one in enrol and other in test for one, other in zip(self.enrol, self.test, strict=True)
        ]
        return Trials(*(list(compress(column, keep)) for column in self.columns))

    def content(self) -> bytes:
        """The file of the list."""
        columns, pieces, at_a_time = self.columns, [], BLOCK_BYTES // 128
        width = len(columns)
        line = " ".join(["%s"] * width) + "\n"
        for start in range(0, len(self), at_a_time):
            count = len(self.enrol[start : start + at_a_time])
            words: list = [None] * (width * count)
            for place, column in enumerate(columns):
                words[place::width] = column[start : start + at_a_time]
            pieces.append((line * count % tuple(words)).encode())
        return b"".join(pieces)


def lines_left_out(whole: Sequence[str], kept: Sequence[str]) -> list[str]:
    """The lines of a list that a shorter one lacks."""
    if len(whole) == len(kept):
        return []
    rest = iter(kept)
    following = next(rest, None)
    missing = []
    for line in whole:
        if line == following:
            following = next(rest, None)
        else:
            missing.append(line)
    return missing


def places_of(names: Iterable[str]) -> dict[str, int]:
    """A number for each name, from 0 on, in the order of their first lines."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def pair_codes(
    places: Sequence[Mapping[str, int]], enrol: Sequence[str], test: Sequence[str]
) -> np.ndarray:
    """One whole number for each pair of names."""
    left, right = (
        np.fromiter(map(known.get, side, repeat(-1)), np.int64, len(side))
        for known, side in zip(places, (enrol, test), strict=True)
    )
    return np.where((left < 0) | (right < 0), -1, left * max(len(places[1]), 1) + right)


def some_pair_again(enrol: Sequence[str], test: Sequence[str]) -> bool:
    """Whether any pair of names stands twice."""
    codes = np.sort(pair_codes([places_of(enrol), places_of(test)], enrol, test))
    return bool((codes[1:] == codes[:-1]).any())
