"""Score files as Kaldi writes them: ``<enrol> <test> <score>``, one trial per line.

Written with 7 significant digits; read in any order: scores are matched to trials by their two names.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.data_dir.trial_list import blocks_of_words, is_regular, number_names, pair_codes
from utils.errors import UserError
from utils.files import atomic_write, read_lines, words_of

LINES_AT_A_TIME = 100_000


def receipt_of(scores: Path) -> Path:
    """The receipt that proves a score file finished.

    Parameters
    ----------
    scores : path
        Written by ``steps.score``.
    """
    return scores.parent / "receipts" / f"score_{scores.stem}.json"


def input_of(scores: Path) -> Path:
    """What a step that reads scores depends on: their receipt, or the file itself, from outside.

    Parameters
    ----------
    scores : path
        Score file.
    """
    receipt = receipt_of(scores)
    return receipt if receipt.exists() else scores


def write_scores(
    path: str | Path, enrol: Sequence[str], test: Sequence[str], scores: np.ndarray
) -> None:
    """Write a score file, whole or not at all.

    Parameters
    ----------
    path : path
        Output.
    enrol, test : sequences of N str
        Names of the two sides of each trial.
    scores : (N,) float array
        One per trial.
    """
    scores = np.asarray(scores, np.float64)
    with atomic_write(path) as file:
        for start in range(0, len(scores), LINES_AT_A_TIME):
            block = slice(start, start + LINES_AT_A_TIME)
            columns: list[str | float] = [""] * (3 * len(scores[block]))
            columns[0::3] = enrol[block]
            columns[1::3] = test[block]
            columns[2::3] = scores[block].tolist()
            # one call of C per block: half the time of a format per line
            file.write("%s %s %.7g\n" * (len(columns) // 3) % tuple(columns))


def read_scores(path: str | Path) -> tuple[list[str], list[str], np.ndarray]:
    """Read a score file.

    Parameters
    ----------
    path : path
        ``<enrol> <test> <score>`` on each line.

    Returns
    -------
    enrol, test, scores : list of N str, list of N str, (N,) float array
        In the order of the file.

    Raises
    ------
    UserError
        A line has other than three fields, or its score is not a finite number.
    """
    content = Path(path).read_bytes()
    if is_regular(content, 3):
        enrol, test, scores = score_columns(content)
        if len(scores) == content.count(b"\n") and np.isfinite(scores).all():
            return enrol, test, scores
    rows = [words_of(line) for line in read_lines(path)]
    for number, row in enumerate(rows, 1):
        if len(row) != 3:
            raise UserError(
                f"{path}:{number}: {len(row)} fields, expected 3: <enrol> <test> <score>"
            )
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    scores = numbers(columns[2])
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise UserError(f"{path}:{bad[0] + 1}: score '{columns[2][bad[0]]}' is not a finite number")
    return columns[0], columns[1], scores


def score_columns(content: bytes) -> tuple[list[str], list[str], np.ndarray]:
    """The columns of a regular score file, equal names being one object; fewer scores than lines where a line has an empty word.

    Parameters
    ----------
    content : bytes
        The whole file.
    """
    enrol: list[str] = []
    test: list[str] = []
    scores = [np.empty(0)]
    known: dict[str, str] = {}
    for words in blocks_of_words(content):
        for column, into in enumerate((enrol, test)):
            into += map(known.setdefault, words[column::3], words[column::3])
        scores.append(numbers(words[2::3]))
    return enrol, test, np.concatenate(scores)


def numbers(fields: Sequence[str]) -> np.ndarray:
    """The number that each field holds, NaN where it holds none.

    Parameters
    ----------
    fields : sequence of N str
        Texts without blanks.
    """
    try:
        return np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        return np.array([number_or_nan(field) for field in fields])


def number_or_nan(field: str) -> float:
    """The number that a field holds, NaN where it holds none.

    Parameters
    ----------
    field : str
        Text without blanks.
    """
    try:
        return float(field)
    except ValueError:
        return float("nan")


def scores_of_trials(
    path: str | Path, enrol: Sequence[str], test: Sequence[str], trials: str | Path
) -> np.ndarray:
    """Scores of given trials, in their order.

    Parameters
    ----------
    path : path
        Score file; lines for other trials are left aside.
    enrol, test : sequences of N str
        Names of the two sides of each trial.
    trials : path
        Where the trials were read from, for messages.

    Returns
    -------
    (N,) float array
        One score per trial.

    Raises
    ------
    UserError
        A trial has no score, or two different ones.
    """
    scored_enrol, scored_test, scores = read_scores(path)
    if list(enrol) == scored_enrol and list(test) == scored_test:
        return scores
    places = [number_names(side) for side in (enrol, test)]
    wanted = pair_codes(places, enrol, test)
    found = pair_codes(places, scored_enrol, scored_test)
    rows = np.flatnonzero(found >= 0)
    rows = rows[np.argsort(found[rows], kind="stable")]
    codes = found[rows]
    first = np.searchsorted(codes, codes)  # where the lines of the same trial begin
    second = rows[scores[rows] != scores[rows[first]]]
    if len(second):
        line = int(second.min())
        one, other = scores[line], scores[rows[np.searchsorted(codes, found[line])]]
        pair = f"{scored_enrol[line]} {scored_test[line]}"
        raise UserError(
            f"{path}:{line + 1}: trial '{pair}' has a second score {one:g}, the first is {other:g}"
        )
    place = np.searchsorted(codes, wanted)
    missing = np.flatnonzero(np.append(codes, -1)[place] != wanted)
    if len(missing):
        pair = f"{enrol[missing[0]]} {test[missing[0]]}"
        raise UserError(
            f"{trials}:{missing[0] + 1}: trial '{pair}' has no score in {path}; {len(missing)} of {len(enrol)} trials lack one: "
            "score them again"
        )
    return scores[rows[place]]
