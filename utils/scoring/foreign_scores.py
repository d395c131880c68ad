"""Scores of anybody: whichever columns they have, found by the names of the trials, or one number for each trial in its order.

<enrol> <test> <score>                Kaldi
<enrol> <test> <score> <class>        WeSpeaker
<enrol> <test> <class> <score>        SpeechBrain
<score> <class> <enrol> <test>        voxceleb_trainer's kind
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
OTHER = "_"  # a column that nobody reads
MOST_COLUMNS = 6

Rows = list[list[str]]
Spelling = Callable[[str], str]


@dataclass(frozen=True)
class Layout:
    """Which column holds what.

    Attributes
    ----------
    enrol, test, score : int
        Columns, from 0.
    label : int or None
        That of the class, where there is one.
    """

    enrol: int
    test: int
    score: int
    label: int | None


@dataclass
class ForeignScores:
    """Scores of trials, and what is worth saying about their file.

    Attributes
    ----------
    values : (N,) float64 array
        One per trial, in the order of the list.
    notes : list of str
        A sentence each.
    """

    values: np.ndarray
    notes: list[str]


def system_names(paths: Sequence[Path]) -> list[str]:
    """What systems are called: their files' names, or those of the files' folders where the files are all called the same.

    Parameters
    ----------
    paths : sequence of path
        Score files.

    Raises
    ------
    UserError
        Two have one name.
    """
    names = [
        path.name.removesuffix(path.suffix) if path.suffix in ENDINGS else path.name
        for path in paths
    ]
    folders = [path.absolute().parent.name for path in paths]
    if len(paths) > 1 and len(set(names)) == 1:
        names = folders
    again = next((name for name, times in Counter(names).items() if times > 1), None)
    if again:
        same = ", ".join(
            str(path) for path, name in zip(paths, names, strict=True) if name == again
        )
        raise UserError(
            f"two systems are called '{again}': {same}; give their files names that differ"
        )
    return names


def refuse_no_files(paths: Sequence[Path]) -> None:
    """Refuse files that are not there.

    Parameters
    ----------
    paths : sequence of path
        What is to be read.

    Raises
    ------
    UserError
        Names the first.
    """
    missing = next((path for path in paths if not path.is_file()), None)
    if missing:
        raise UserError(f"{missing}: no such file")


def read_foreign_scores(path: Path, trials: TrialList, columns: str | None = None) -> ForeignScores:
    """Scores of the trials of a list.

    Parameters
    ----------
    path : path
        Text, or an array (``.npy``).
    trials : TrialList
        The list.
    columns : str, optional
        Which columns the file has: ``enrol``, ``test``, ``score`` and ``class`` in their order, ``_`` for any other; None: they are found.

    Raises
    ------
    UserError
        A trial has no score, or two; a score is not a finite number; a class is not that of the list; columns cannot be told apart.
    """
    if path.suffix == ".npy":
        return ForeignScores(finite(path, array_scores(path), trials), [])
    rows = fields_of_lines(path, "<enrol> <test> <score>")
    refuse_other_widths(path, rows)
    if len(rows[0]) == 1 and columns is None:
        return ForeignScores(finite(path, listed_scores(path, rows), trials), [])
    spelling, layout = layout_of(path, rows, trials, columns)
    found = scores_by_name(path, rows, layout, trials, spelling)
    if spelling is plain_name:
        found.notes.append(
            f"{path}: names agree with those of {trials.path} without endings such as .wav, and with '-' for '/'"
        )
    if layout.enrol > layout.test and columns is None:
        found.notes.append(f"{path}: the test side stands before the enrolment side")
    return found


def array_scores(path: Path) -> np.ndarray:
    """The numbers of a NumPy file.

    Parameters
    ----------
    path : path
        A row or a column of numbers; objects are not read.

    Raises
    ------
    UserError
        It is something else.
    """
    with damaged(path, "npy"):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.dtype.kind not in "fiu" or found.size != max(found.shape, default=0):
            raise ValueError(f"{found.dtype} of shape {found.shape}, expected a row of numbers")
        return np.array(found, np.float64).reshape(-1)


def listed_scores(path: Path, rows: Rows) -> np.ndarray:
    """One number on each line.

    Parameters
    ----------
    path : path
        The file, for messages.
    rows : list of list of str
        Its lines.

    Raises
    ------
    UserError
        A line holds something else.
    """
    values = numbers([fields[0] for fields in rows])
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(
            f"{path}:{bad[0] + 1}: score '{rows[bad[0]][0]}' is not a finite number; of several columns expected blanks or tabs between them, "
            "not commas"
        )
    return values


def finite(path: Path, values: np.ndarray, trials: TrialList) -> np.ndarray:
    """Scores in the order of the trials, once they are known to be one for each, and finite.

    Parameters
    ----------
    path : path
        Where they are from.
    values : (N,) float array
        Scores.
    trials : TrialList
        The list.

    Raises
    ------
    UserError
        They are not.
    """
    if len(values) != len(trials.enrol):
        raise UserError(
            f"{path}: {len(values):,} scores without names, expected {len(trials.enrol):,}: one for each line of {trials.path}, "
            "in its order"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        pair = " ".join(trials.pairs[bad[0]])
        raise UserError(
            f"{path}: score {bad[0] + 1:,}, of trial '{pair}', is {values[bad[0]]}, expected a finite number; score it again"
        )
    return values


def refuse_other_widths(path: Path, rows: Rows) -> None:
    """Refuse a file whose lines have not all as many columns, or too many.

    Parameters
    ----------
    path : path
        The file.
    rows : list of list of str
        Its lines.

    Raises
    ------
    UserError
        Names the first such line.
    """
    width = len(rows[0])
    for number, fields in enumerate(rows, 1):
        if len(fields) != width:
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected {width} as in line 1; is the line whole?"
            )
    if width == 2 or width > MOST_COLUMNS:
        raise UserError(
            f"{path}:1: {width} fields, expected 3: <enrol> <test> <score>, with blanks or tabs between them"
        )


def layout_of(
    path: Path, rows: Rows, trials: TrialList, columns: str | None
) -> tuple[Spelling, Layout]:
    """Which column holds what, and how names are to be spelled to be those of the trials.

    Parameters
    ----------
    path, rows, trials, columns
        As for `read_foreign_scores`, and the file's lines.

    Raises
    ------
    UserError
        No line scores a trial, or columns cannot be told apart.
    """
    stated = stated_layout(path, rows, columns) if columns is not None else None
    for spelling in (str, plain_name):
        pairs = {(spelling(one), spelling(other)) for one, other in set(trials.pairs)}
        if len(pairs) < len(set(trials.pairs)):
            continue  # two of its names would become one
        sides = (stated.enrol, stated.test) if stated else None
        found = columns_of_sides(rows, pairs, spelling, sides)
        if found:
            return spelling, stated or with_score(path, rows, *found)
    shown = " ".join(rows[0])[:200]
    raise UserError(
        f"{path}:1: '{shown}', and no other line, scores a trial of {trials.path}, whose first is "
        f"'{' '.join(trials.pairs[0])}'; are the names spelled alike, and is it the same list?"
    )


def stated_layout(path: Path, rows: Rows, columns: str) -> Layout:
    """The layout that an option states.

    Parameters
    ----------
    path, rows, columns
        As for `layout_of`.

    Raises
    ------
    UserError
        It is none, or not that of the file.
    """
    words = columns.split()
    named = [word for word in words if word != OTHER]
    odd = [word for word in named if word not in COLUMNS]
    if odd or len(set(named)) < len(named) or not {*COLUMNS[:3]} <= {*named}:
        raise UserError(
            f"--columns: '{columns}', expected enrol, test and score, once each, in the file's order, with class for the class and _ "
            "for other columns"
        )
    if len(rows[0]) != len(words):
        raise UserError(
            f"{path}:1: {len(rows[0])} fields, but --columns names {len(words)}: '{columns}'"
        )
    enrol, test, score = (words.index(word) for word in COLUMNS[:3])
    label = words.index("class") if "class" in words else None
    return Layout(enrol, test, score, label)


def columns_of_sides(
    rows: Rows, pairs: set[Pair], spelling: Spelling, sides: tuple[int, int] | None
) -> tuple[int, int] | None:
    """The columns of both sides: enrolment first in some line, or else in none; None where no line scores a trial.

    Parameters
    ----------
    rows : list of list of str
        Lines.
    pairs : set of (str, str)
        The trials.
    spelling : callable
        Of names.
    sides : (int, int) or None
        The columns that an option names.
    """
    width = len(rows[0])
    choices = [sides] if sides else list(permutations(range(width), 2))
    turned = None
    for fields in rows:
        names = [spelling(field) for field in fields]
        for enrol, test in choices:
            if (names[enrol], names[test]) not in pairs:
                continue
            if enrol < test or sides:
                return enrol, test
            turned = turned or (enrol, test)
    return turned


def with_score(path: Path, rows: Rows, enrol: int, test: int) -> Layout:
    """The layout, once the sides are known: of the other columns one is the score, and one may be the class.

    Parameters
    ----------
    path : path
        The file, for messages.
    rows : list of list of str
        Its lines.
    enrol, test : int
        Columns of the sides.

    Raises
    ------
    UserError
        More than one could be the score.
    """
    rest = [column for column in range(len(rows[0])) if column not in (enrol, test)]
    labels = [
        column for column in rest if all(fields[column].lower() in CLASSES for fields in rows)
    ]
    if len(rest) == 1:
        return Layout(enrol, test, rest[0], None)
    if len(rest) == 2 and len(labels) == 1:
        (score,) = {*rest} - {*labels}
        return Layout(enrol, test, score, labels[0])
    words = [OTHER] * len(rows[0])
    words[enrol], words[test], words[rest[-1]] = COLUMNS[:3]
    raise UserError(
        f"{path}:1: '{' '.join(rows[0])}': which of columns {', '.join(str(column + 1) for column in rest)} is the score? "
        f'Say it, for example --columns "{" ".join(words)}"'
    )


def scores_by_name(
    path: Path, rows: Rows, layout: Layout, trials: TrialList, spelling: Spelling
) -> ForeignScores:
    """Scores of the trials, by the names of their sides.

    Parameters
    ----------
    path, rows : path, list of list of str
        As for `layout_of`.
    layout : Layout
        From `layout_of`.
    trials : TrialList
        The list.
    spelling : callable
        From `layout_of`.

    Raises
    ------
    UserError
        As `read_foreign_scores`.
    """
    pairs = [(spelling(one), spelling(other)) for one, other in trials.pairs]
    wanted = Counter(pairs)
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
                f"{where}score '{fields[layout.score]}' of {shown} is not a finite number; score it again, or leave out a line of titles"
            )
        if pair not in wanted:
            others += 1
            continue
        if layout.label is not None:
            refuse_other_class(where + shown, fields[layout.label], is_target[pair], trials.path)
        times[pair] += 1
        before = first.setdefault(pair, row)
        # A list may have a trial several times, and its scores as often.
        if values[before] != value or times[pair] > wanted[pair]:
            raise UserError(
                f"{where}{shown} has a second score {value:g}, the first is {values[before]:g} in line {before + 1}; remove one of them"
            )
    refuse_missing(path, rows, layout, trials, [pair in first for pair in pairs])
    notes = (
        [f"{path}: {others:,} scores of pairs that are no trials are left aside"] if others else []
    )
    return ForeignScores(values[[first[pair] for pair in pairs]], notes)


def refuse_other_class(where: str, word: str, is_target: bool, trials: Path) -> None:
    """Refuse a class beside a score that is not the one of the list.

    Parameters
    ----------
    where : str
        The line, for the message.
    word : str
        Its class.
    is_target : bool
        That of the list.
    trials : path
        The list.

    Raises
    ------
    UserError
        They differ, or it is no class.
    """
    said = CLASSES.get(word.lower())
    if said is None:
        raise UserError(f"{where}: class '{word}', expected {', '.join(CLASSES)}")
    if said != is_target:
        raise UserError(
            f"{where} is a {class_name(said)} here and a {class_name(is_target)} in {trials}; is it the same list?"
        )


def refuse_missing(
    path: Path, rows: Rows, layout: Layout, trials: TrialList, is_scored: Sequence[bool]
) -> None:
    """Refuse a file that lacks a trial.

    Parameters
    ----------
    path, rows, layout, trials
        As for `scores_by_name`.
    is_scored : sequence of N bool
        Whether the file has a score of each trial.

    Raises
    ------
    UserError
        Names the first, and how many there are.
    """
    missing = [row for row, scored in enumerate(is_scored) if not scored]
    if not missing:
        return
    enrol, test = trials.pairs[missing[0]]
    turned = [test, enrol] in ([row[layout.enrol], row[layout.test]] for row in rows)
    hint = f", only '{test} {enrol}': write the enrolment side first" if turned else ": score them"
    raise UserError(
        f"{trials.path}:{missing[0] + 1}: trial '{enrol} {test}' has no score in {path}; {len(missing):,} of "
        f"{len(is_scored):,} trials lack one{hint}"
    )
