"""Lists of millions of trials: every name is one string, however many lines contain it.

A trial then costs three references.  Such lists repeat few names: 256 models x 15,648 tests are
4 million lines of 130 bytes, and 16 thousand names.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, repeat
from typing import overload

import numpy as np

TAB_TO_BLANK, PRINTABLE = bytes.maketrans(b"\t", b" "), bytes(range(0x21, 0x7F))
BLOCK_BYTES = 1 << 24  # of a file, split at a time
# A million trials: in shorter lists, sharing equal words takes more time than the memory is worth.
SHARED_BYTES = 64 << 20


def is_regular(content: bytes, width: int) -> bool:
    """Whether every line has ``width`` words of printable ASCII, one blank or tab between them.

    Checked without a Python loop over lines.  Every line may end with one more blank, as Kaldi's
    programs write some lists.  A line may still have an empty word; then there are fewer words than
    fields.
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
    """The words of an ASCII file, in blocks of whole lines."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start + BLOCK_BYTES) + 1 or len(content)
        yield content[start:end].decode("ascii").split()
        start = end


def columns_of_words(content: bytes, width: int) -> list[list[str]]:
    """The columns of a file for which `is_regular` holds; a large one shares equal words."""
    columns: list[list[str]] = [[] for _ in range(width)]
    shared: dict[str, str] = {}
    for words in blocks_of_words(content):
        for number, column in enumerate(columns):
            block = words[number::width]
            if len(content) < SHARED_BYTES:
                column += block
            else:
                column += map(shared.setdefault, block, block)
    return columns


def class_name(is_target: bool) -> str:
    """The class of a trial as lists write it."""
    return "target" if is_target else "nontarget"


def target_mask(kinds: Sequence[str]) -> np.ndarray:
    """Whether each class is ``target``, (T,) bool."""
    return np.fromiter(map("target".__eq__, kinds), bool, len(kinds))


class Trials(Sequence[str]):
    """Trials as columns; as a sequence, lines ``<enrol> <test> target|nontarget``, made on request.

    ``kinds``: the class of each trial; None: trials without classes, whose lines have two fields.
    """

    def __init__(self, enrol: list[str], test: list[str], kinds: list[str] | None = None):
        self.enrol, self.test, self.kinds = enrol, test, kinds

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Trials":
        """Trials from lines, all of three words or all of two; `Trials` are returned unchanged."""
        if isinstance(lines, cls):
            return lines
        columns = [list(column) for column in zip(*map(str.split, lines), strict=True)]
        if not columns:
            return cls([], [])
        return cls(*columns)

    @property
    def columns(self) -> list[list[str]]:
        """Both sides and, where they are known, the classes."""
        if self.kinds is None:
            return [self.enrol, self.test]
        return [self.enrol, self.test, self.kinds]

    @property
    def classes(self) -> set[str]:
        """The classes that occur; empty if they are not known."""
        return set(self.kinds or ())

    def __len__(self) -> int:
        return len(self.enrol)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "Trials": ...

    def __getitem__(self, index: int | slice) -> "str | Trials":
        if isinstance(index, slice):
            return Trials(*[column[index] for column in self.columns])
        return " ".join([column[index] for column in self.columns])

    def __iter__(self) -> Iterator[str]:
        return map(" ".join, zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Trials, list)):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == its for mine, its in zip(self, other, strict=True)
        )

    def restricted(self, enrol: Collection[str], test: Collection[str]) -> "Trials":
        """The trials with both sides among these names."""
        pairs = zip(self.enrol, self.test, strict=True)
        keep = [left in enrol and right in test for left, right in pairs]
        return Trials(*[list(compress(column, keep)) for column in self.columns])

    def content(self) -> bytes:
        """The content of the list's file."""
        lines_per_block = BLOCK_BYTES // 128
        width = len(self.columns)
        line = " ".join(["%s"] * width) + "\n"
        blocks = []
        for start in range(0, len(self), lines_per_block):
            block = self[start : start + lines_per_block]
            words: list = [None] * (width * len(block))
            for number, column in enumerate(block.columns):
                words[number::width] = column
            blocks.append((line * len(block) % tuple(words)).encode())
        return b"".join(blocks)


def lines_left_out(whole: Sequence[str], kept: Sequence[str]) -> list[str]:
    """The lines of a list that a shorter one lacks; no line is repeated, the order is the same."""
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


def number_names(names: Iterable[str]) -> dict[str, int]:
    """Number names from 0, in the order of their first occurrence."""
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def pair_codes(
    numbers: Sequence[Mapping[str, int]], enrol: Sequence[str], test: Sequence[str]
) -> np.ndarray:
    """One integer for each pair of names, (N,); -1 where a name is not known.

    ``numbers``: those of `number_names` for either side.
    """
    enrol_numbers, test_numbers = numbers
    left = look_up(enrol_numbers, enrol)
    right = look_up(test_numbers, test)
    codes = left * max(len(test_numbers), 1) + right
    return np.where((left < 0) | (right < 0), -1, codes)


def look_up(numbers: Mapping[str, int], names: Sequence[str]) -> np.ndarray:
    """The number of each name, (N,) int64; -1 where it is not known."""
    return np.fromiter(map(numbers.get, names, repeat(-1)), np.int64, len(names))


def has_repeated_pair(enrol: Sequence[str], test: Sequence[str]) -> bool:
    """Whether any pair of names is repeated."""
    codes = np.sort(pair_codes([number_names(enrol), number_names(test)], enrol, test))
    return bool((codes[1:] == codes[:-1]).any())
