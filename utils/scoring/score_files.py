"""Score files as Kaldi writes them: ``<enrol> <test> <score>``, one trial per line.

Written with 7 significant digits.  Scores are matched to trials by both names, in any order.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.data_dir.trial_list import blocks_of_words, is_regular, number_names, pair_codes
from utils.embeddings.enrolment import USUAL, Averaging, read_averaging
from utils.errors import UserError
from utils.files import atomic_write, read_lines, split_words
from utils.receipts.contents import read_receipt

LINES_AT_A_TIME = 100_000


def score_receipt(scores: Path) -> Path:
    """Path of the receipt of a score file, which proves that it is finished."""
    return scores.parent / "receipts" / f"score_{scores.stem}.json"


def score_input(scores: Path) -> Path:
    """What a step that reads scores depends on: their receipt, or else the file itself."""
    receipt = score_receipt(scores)
    return receipt if receipt.exists() else scores


def averaging_in_scores(scores: Path, embeddings: Path) -> Averaging:
    """How models of several utterances were averaged, by the receipt of a score file.

    Of scores without a receipt, from elsewhere: by the test protocol of the embeddings.
    """
    receipt = read_receipt(score_receipt(scores))
    if receipt is None:
        return read_averaging(embeddings)
    return receipt["options"].get("averaging", USUAL)


def write_scores(
    path: str | Path, enrol: Sequence[str], test: Sequence[str], scores: np.ndarray
) -> None:
    """Write the scores (N,) of N trials atomically."""
    scores = np.asarray(scores, np.float64)
    with atomic_write(path) as file:
        for start in range(0, len(scores), LINES_AT_A_TIME):
            block = slice(start, start + LINES_AT_A_TIME)
            columns: list[str | float] = [""] * (3 * len(scores[block]))
            columns[0::3] = enrol[block]
            columns[1::3] = test[block]
            columns[2::3] = scores[block].tolist()
            # one format call per block: half the time of one per line
            file.write("%s %s %.7g\n" * (len(columns) // 3) % tuple(columns))


def read_scores(path: str | Path) -> tuple[list[str], list[str], np.ndarray]:
    """Enrolment sides, test sides and scores, (N,) float64, in the order of the file.

    UserError if a line has other than three fields or its score is not a finite number.
    """
    content = Path(path).read_bytes()
    if is_regular(content, 3):
        enrol, test, scores = score_columns(content)
        if len(scores) == content.count(b"\n") and np.isfinite(scores).all():
            return enrol, test, scores
    enrol, test, fields = [], [], []
    for number, line in enumerate(read_lines(path), 1):
        words = split_words(line)
        if len(words) != 3:
            raise UserError(
                f"{path}:{number}: {len(words)} fields, expected 3: <enrol> <test> <score>"
            )
        enrol.append(words[0])
        test.append(words[1])
        fields.append(words[2])
    scores = numbers(fields)
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise UserError(f"{path}:{bad[0] + 1}: score '{fields[bad[0]]}' is not a finite number")
    return enrol, test, scores


def score_columns(content: bytes) -> tuple[list[str], list[str], np.ndarray]:
    """Columns of a regular score file, equal names being one object.

    Fewer scores than lines if a line has an empty word.
    """
    enrol: list[str] = []
    test: list[str] = []
    scores = [np.empty(0)]
    known: dict[str, str] = {}
    for words in blocks_of_words(content):
        for column, side in enumerate((enrol, test)):
            side += map(known.setdefault, words[column::3], words[column::3])
        scores.append(numbers(words[2::3]))
    return enrol, test, np.concatenate(scores)


def numbers(fields: Sequence[str]) -> np.ndarray:
    """The number in each of N fields, (N,) float64; NaN where there is none."""
    try:
        return np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        return np.array([number_or_nan(field) for field in fields])


def number_or_nan(field: str) -> float:
    """The number in a field; NaN if there is none."""
    try:
        return float(field)
    except ValueError:
        return float("nan")


def scores_of_trials(
    path: str | Path, enrol: Sequence[str], test: Sequence[str], trials: str | Path
) -> np.ndarray:
    """Scores (N,) of N given trials, in their order; lines for other trials are ignored.

    ``trials`` is the file of the trials, for messages.  UserError if a trial has no score, or two
    that differ.
    """
    scored_enrol, scored_test, scores = read_scores(path)
    if list(enrol) == scored_enrol and list(test) == scored_test:
        return scores
    indices = [number_names(enrol), number_names(test)]
    trial_codes = pair_codes(indices, enrol, test)
    line_codes = pair_codes(indices, scored_enrol, scored_test)  # -1: not a trial
    lines = np.flatnonzero(line_codes >= 0)
    lines = lines[np.argsort(line_codes[lines], kind="stable")]
    codes = line_codes[lines]
    first = np.searchsorted(codes, codes)  # where the lines of the same trial begin
    second = lines[scores[lines] != scores[lines[first]]]
    if len(second):
        line = int(second.min())
        first_line = lines[np.searchsorted(codes, line_codes[line])]
        raise UserError(
            f"{path}:{line + 1}: trial '{scored_enrol[line]} {scored_test[line]}' has a second "
            f"score {scores[line]:g}, the first is {scores[first_line]:g}; remove one of them"
        )
    positions = np.searchsorted(codes, trial_codes)
    missing = np.flatnonzero(np.append(codes, -1)[positions] != trial_codes)
    if len(missing):
        pair = f"{enrol[missing[0]]} {test[missing[0]]}"
        raise UserError(
            f"{trials}:{missing[0] + 1}: trial '{pair}' has no score in {path}; {len(missing)} of "
            f"{len(enrol)} trials lack one: score them again"
        )
    return scores[lines[positions]]
