"""Score files as Kaldi writes them: ``<enrol> <test> <score>``, one trial per line.

Written with 7 significant digits; read in any order: scores are matched to trials by their two names.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.data_dir_parse import parse
from utils.errors import UserError
from utils.files import atomic_write, read_lines

LINES_AT_A_TIME = 100_000


def receipt_of(scores: Path) -> Path:
    """The receipt that proves a score file finished.

    Parameters
    ----------
    scores : path
        Written by ``steps.score``.
    """
    return scores.parent / "receipts" / f"score_{scores.stem}.json"


def write_scores(path: str | Path, enrol: Sequence[str], test: Sequence[str], scores: np.ndarray) -> None:
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
    columns: list = [None] * (3 * len(enrol))
    columns[0::3], columns[1::3], columns[2::3] = enrol, test, np.asarray(scores, np.float64).tolist()
    with atomic_write(path) as file:
        for start in range(0, len(columns), 3 * LINES_AT_A_TIME):
            block = tuple(columns[start : start + 3 * LINES_AT_A_TIME])
            file.write("%s %s %.7g\n" * (len(block) // 3) % block)  # one call of C per block: half the time of a format per line


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
    columns = parse("trials", Path(path).read_bytes())  # a score file has the shape of a trials file: three words a line
    if columns is None:
        rows = [line.split() for line in read_lines(path)]
        for number, row in enumerate(rows, 1):
            if len(row) != 3:
                raise UserError(f"{path}:{number}: {len(row)} fields, expected 3: <enrol> <test> <score>")
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    scores = np.array([number_or_nan(field) for field in columns[2]])
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise UserError(f"{path}:{bad[0] + 1}: score '{columns[2][bad[0]]}' is not a finite number")
    return columns[0], columns[1], scores


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


def scores_of_trials(path: str | Path, enrol: Sequence[str], test: Sequence[str], trials: str | Path) -> np.ndarray:
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
    score_of: dict[tuple[str, str], float] = {}
    for number, (pair, score) in enumerate(zip(zip(scored_enrol, scored_test, strict=True), scores.tolist(), strict=True), 1):
        if score_of.setdefault(pair, score) != score:
            raise UserError(f"{path}:{number}: trial '{pair[0]} {pair[1]}' has a second score {score:g}, the first is {score_of[pair]:g}")
    missing = [number for number, pair in enumerate(zip(enrol, test, strict=True), 1) if pair not in score_of]
    if missing:
        pair = f"{enrol[missing[0] - 1]} {test[missing[0] - 1]}"
        raise UserError(f"{trials}:{missing[0]}: trial '{pair}' has no score in {path}; {len(missing)} of {len(enrol)} trials lack one: "
                        "score them again")
    return np.array([score_of[pair] for pair in zip(enrol, test, strict=True)])
