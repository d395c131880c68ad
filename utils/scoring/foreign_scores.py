"""Score files of other toolkits, in any column order.

Scores are matched by the names of the trials, or are one number for each trial in its order.

<enrol> <test> <score>                Kaldi
<enrol> <test> <score> <class>        WeSpeaker
<enrol> <test> <class> <score>        SpeechBrain
<score> <class> <enrol> <test>        voxceleb_trainer
<score>                               in the order of the trials; an array too (.npy)
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from utils.embeddings.export import damaged
from utils.errors import UserError
from utils.scoring.score_files import numbers
from utils.trials.foreign import (
    CLASSES,
    Pair,
    TrialList,
    class_name,
    fields_of_lines,
    plain_name,
)

ENDINGS = (".scores", ".score", ".txt", ".npy", ".tsv")
COLUMNS = ("enrol", "test", "score", "class")
OTHER = "_"  # a column that is not read
MOST_COLUMNS = 6

Rows = list[list[str]]
Spelling = Callable[[str], str]


@dataclass(frozen=True)
class Layout:
    """Columns, from 0; ``label`` is that of the class, None if there is none."""

    enrol: int
    test: int
    score: int
    label: int | None


@dataclass
class ForeignScores:
    """Scores (N,) float64 in the order of the trials, and notes about their file for the user."""

    values: np.ndarray
    notes: list[str]


def system_names(paths: Sequence[Path]) -> list[str]:
    """Names of systems: those of their files, or of the files' folders if all files have one name.

    UserError if two have one name.
    """
    names = []
    for path in paths:
        name = path.name
        if path.suffix in ENDINGS:
            name = path.stem
        names.append(name)
    if len(paths) > 1 and len(set(names)) == 1:
        names = [path.absolute().parent.name for path in paths]
    for name in names:
        same = [str(path) for path, other in zip(paths, names, strict=True) if other == name]
        if len(same) > 1:
            raise UserError(
                f"two systems are called '{name}': {', '.join(same)}; "
                "give their files names that differ"
            )
    return names


def require_files(paths: Sequence[Path]) -> None:
    """UserError for the first file that does not exist."""
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file")


def read_foreign_scores(path: Path, trials: TrialList, columns: str | None = None) -> ForeignScores:
    """Scores of the trials of a list, from a text or an array (``.npy``).

    ``columns`` names the columns in their order (``enrol``, ``test``, ``score``, ``class``, ``_``
    for any other); None: they are detected.  UserError if a trial has no score, or two; a score is
    not a finite number; a class differs from the list; columns cannot be distinguished.
    """
    if path.suffix == ".npy":
        return ForeignScores(checked_scores(path, array_scores(path), trials), [])
    rows = fields_of_lines(path, "<enrol> <test> <score>")
    refuse_other_widths(path, rows)
    if len(rows[0]) == 1 and columns is None:
        return ForeignScores(checked_scores(path, listed_scores(path, rows), trials), [])
    spelling, layout = detect_layout(path, rows, trials, columns)
    scores = scores_by_name(path, rows, layout, trials, spelling)
    if spelling is plain_name:
        scores.notes.append(
            f"{path}: names agree with those of {trials.path} without endings such as .wav, and "
            "with '-' for '/'"
        )
    if layout.enrol > layout.test and columns is None:
        scores.notes.append(f"{path}: the test side is before the enrolment side")
    return scores


def array_scores(path: Path) -> np.ndarray:
    """The numbers of a NumPy file, one row or column; objects are not read."""
    with damaged(path, "npy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind not in "fiu" or array.size != max(array.shape, default=0):
            raise ValueError(f"{array.dtype} of shape {array.shape}, expected a row of numbers")
        return np.array(array, np.float64).reshape(-1)


def listed_scores(path: Path, rows: Rows) -> np.ndarray:
    """One number on each line; UserError if a line has something else."""
    values = numbers([fields[0] for fields in rows])
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(
            f"{path}:{bad[0] + 1}: score '{rows[bad[0]][0]}' is not a finite number; "
            "separate several columns by blanks or tabs, not commas"
        )
    return values


def checked_scores(path: Path, values: np.ndarray, trials: TrialList) -> np.ndarray:
    """The scores, if there is one for each trial and all are finite; else UserError."""
    if len(values) != len(trials.enrol):
        raise UserError(
            f"{path}: {len(values):,} scores without names, expected {len(trials.enrol):,}: "
            f"one for each line of {trials.path}, in its order"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        pair = " ".join(trials.pairs[bad[0]])
        raise UserError(
            f"{path}: score {bad[0] + 1:,}, of trial '{pair}', is {values[bad[0]]}, "
            "expected a finite number; score it again"
        )
    return values


def refuse_other_widths(path: Path, rows: Rows) -> None:
    """UserError for a line with another number of columns than the first, or too many columns."""
    width = len(rows[0])
    for number, fields in enumerate(rows, 1):
        if len(fields) != width:
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected {width} as in line 1; "
                "is the line complete?"
            )
    if width == 2 or width > MOST_COLUMNS:
        raise UserError(
            f"{path}:1: {width} fields, expected 3: <enrol> <test> <score>, separated by blanks "
            "or tabs"
        )


def detect_layout(
    path: Path, rows: Rows, trials: TrialList, columns: str | None
) -> tuple[Spelling, Layout]:
    """Which column has what, and the spelling of names in which they are those of the trials.

    UserError if no line has a score of a trial, or columns cannot be distinguished.
    """
    stated: Layout | None = None
    stated_sides: tuple[int, int] | None = None
    if columns is not None:
        stated = stated_layout(path, rows, columns)
        stated_sides = stated.enrol, stated.test
    for spelling in (str, plain_name):
        pairs = {(spelling(one), spelling(other)) for one, other in set(trials.pairs)}
        if len(pairs) < len(set(trials.pairs)):
            continue  # two of its names would become one
        sides = side_columns(rows, pairs, spelling, stated_sides)
        if sides:
            return spelling, stated or with_score(path, rows, *sides)
    shown = " ".join(rows[0])[:200]
    raise UserError(
        f"{path}:1: '{shown}', and no other line, scores a trial of {trials.path}, whose first is "
        f"'{' '.join(trials.pairs[0])}'; is the spelling of names and the list the same?"
    )


def stated_layout(path: Path, rows: Rows, columns: str) -> Layout:
    """The layout that --columns states; UserError if it is invalid or does not fit the file."""
    words = columns.split()
    named = [word for word in words if word != OTHER]
    is_repeated = len(set(named)) < len(named)
    if is_repeated or not {*COLUMNS[:3]} <= {*named} <= {*COLUMNS}:
        raise UserError(
            f"--columns: '{columns}', expected enrol, test and score, once each, in the file's "
            "order, with class for the class and _ for other columns"
        )
    if len(rows[0]) != len(words):
        raise UserError(
            f"{path}:1: {len(rows[0])} fields, but --columns names {len(words)}: '{columns}'"
        )
    label = None
    if "class" in words:
        label = words.index("class")
    return Layout(words.index("enrol"), words.index("test"), words.index("score"), label)


def side_columns(
    rows: Rows, pairs: set[Pair], spelling: Spelling, sides: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Columns of both sides; None if no line has a trial.

    Enrolment first if any line allows it.  ``sides`` are the columns that --columns states, or
    None.
    """
    candidates = list(permutations(range(len(rows[0])), 2))
    if sides:
        candidates = [sides]
    swapped = None
    for fields in rows:
        names = [spelling(field) for field in fields]
        for enrol, test in candidates:
            if (names[enrol], names[test]) not in pairs:
                continue
            if enrol < test or sides:
                return enrol, test
            swapped = swapped or (enrol, test)
    return swapped


def with_score(path: Path, rows: Rows, enrol: int, test: int) -> Layout:
    """The layout, once the sides are known: the score, and perhaps the class, in the other columns.

    UserError if more than one could be the score.
    """
    labels, others = [], []
    for column in range(len(rows[0])):
        if column in (enrol, test):
            continue
        if all(fields[column].lower() in CLASSES for fields in rows):
            labels.append(column)
        else:
            others.append(column)
    rest = sorted(labels + others)
    if len(rest) == 1:
        return Layout(enrol, test, rest[0], None)
    if len(labels) == 1 and len(others) == 1:
        return Layout(enrol, test, others[0], labels[0])
    words = [OTHER] * len(rows[0])
    words[enrol], words[test], words[rest[-1]] = COLUMNS[:3]
    column_numbers = ", ".join(str(column + 1) for column in rest)
    raise UserError(
        f"{path}:1: '{' '.join(rows[0])}': which of columns {column_numbers} is the score? "
        f'State it, for example --columns "{" ".join(words)}"'
    )


def scores_by_name(
    path: Path, rows: Rows, layout: Layout, trials: TrialList, spelling: Spelling
) -> ForeignScores:
    """Scores of the trials, by the names of their sides; UserError as `read_foreign_scores`."""
    pairs = [(spelling(one), spelling(other)) for one, other in trials.pairs]
    expected_times = Counter(pairs)
    is_target = dict(zip(pairs, trials.is_target.tolist(), strict=True))
    values = numbers([fields[layout.score] for fields in rows])
    first: dict[Pair, int] = {}
    times: Counter[Pair] = Counter()
    others = 0
    for row, (fields, value) in enumerate(zip(rows, values.tolist(), strict=True)):
        pair = spelling(fields[layout.enrol]), spelling(fields[layout.test])
        where = f"{path}:{row + 1}: "
        shown = f"trial '{fields[layout.enrol]} {fields[layout.test]}'"
        if not np.isfinite(value):
            raise UserError(
                f"{where}score '{fields[layout.score]}' of {shown} is not a finite number; "
                "score it again, or remove a line of titles"
            )
        if pair not in expected_times:
            others += 1
            continue
        if layout.label is not None:
            refuse_other_class(where + shown, fields[layout.label], is_target[pair], trials.path)
        times[pair] += 1
        before = first.setdefault(pair, row)
        # A list may have a trial several times, and its scores as often.
        if values[before] != value or times[pair] > expected_times[pair]:
            raise UserError(
                f"{where}{shown} has a second score {value:g}, the first is {values[before]:g} in "
                f"line {before + 1}; remove one of them"
            )
    refuse_missing(path, rows, layout, trials, [pair in first for pair in pairs])
    notes = []
    if others:
        notes.append(f"{path}: {others:,} scores of pairs that are not trials are ignored")
    return ForeignScores(values[[first[pair] for pair in pairs]], notes)


def refuse_other_class(where: str, word: str, is_target: bool, trials: Path) -> None:
    """UserError if the class beside a score is not the one of the list, or no class."""
    here_is_target = CLASSES.get(word.lower())
    if here_is_target is None:
        raise UserError(f"{where}: class '{word}', expected {', '.join(CLASSES)}")
    if here_is_target != is_target:
        raise UserError(
            f"{where} is a {class_name(here_is_target)} here and a {class_name(is_target)} in "
            f"{trials}; is it the same list?"
        )


def refuse_missing(
    path: Path, rows: Rows, layout: Layout, trials: TrialList, is_scored: Sequence[bool]
) -> None:
    """UserError if a trial has no score: the first such trial, and how many there are."""
    missing = [row for row, scored in enumerate(is_scored) if not scored]
    if not missing:
        return
    enrol, test = trials.pairs[missing[0]]
    hint = ": score them"
    if any(row[layout.enrol] == test and row[layout.test] == enrol for row in rows):
        hint = f", only '{test} {enrol}': write the enrolment side first"
    raise UserError(
        f"{trials.path}:{missing[0] + 1}: trial '{enrol} {test}' has no score in {path}; "
        f"{len(missing):,} of {len(is_scored):,} trials lack one{hint}"
    )
