"""Where the parts of VOiCES 2019 lie below any folder, and its lists of enrolment, test and keys.

The evaluation set's names are those that public recipes read (recipes/voices/README.md cites them): its files are anonymous and lie in one folder,
its keys name files without folder, and a map from a release after the challenge says who speaks where.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.voices.names import stem_of
from utils.data_dir.trial_list import Trials
from utils.errors import UserError
from utils.files import read_foreign_lines, words_of

LISTS = {  # what it is -> names that it goes by
    "dev": {
        "enrol": ("dev-enroll.lst",),
        "test": ("dev-test.lst",),
        "keys": ("dev-trial-keys.lst", "dev-trial-keys.txt"),
    },
    "eval": {
        "enrol": ("eval-enroll.lst",),
        "test": ("eval-test.lst",),
        "keys": ("VOiCES_challenge_2019_eval.SID.trial-keys.lst", "eval-trial-keys.lst"),
        "map": ("VOiCES_challenge_2019_eval.SID.map",),
    },
}
MAY_BE_MISSING = ("map",)
TREES = {"dev": "sid_dev", "eval": "sid_eval"}
HOMES = {
    "dev": "Development_Data/Speaker_Recognition/sid_dev/spNNNN/",
    "eval": "Evaluation_Data/Speaker_Recognition/sid_eval/",
}
DEEPEST = 6  # folders below the one that is given
KINDS = {"tgt": "target", "imp": "nontarget"}
BLOCK_CHARACTERS = 1 << 24


@dataclass
class Located:
    """Where one set lies.

    Attributes
    ----------
    audio : path
        ``sid_dev`` or ``sid_eval``.
    lists : dict of str to path
        ``enrol``, ``test``, ``keys`` and, of the evaluation set, ``map`` where it is there.
    """

    audio: Path
    lists: dict[str, Path]


def locate(root: Path, part: str) -> Located:
    """Find a set's audio and lists below a folder.

    Parameters
    ----------
    root : path
        The audio folder itself, or any above it.
    part : str
        ``dev`` or ``eval``.

    Raises
    ------
    UserError
        They are not there, or twice; says what is there instead.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct --voices")
    start = root.parent if root.name in TREES.values() else root
    trees: dict[str, list[Path]] = {tree: [] for tree in TREES.values()}
    named: dict[str, list[Path]] = {}
    below = []
    for folder, names in walk(start):
        below += [folder] if folder != start else []
        if folder.name in trees:
            trees[folder.name].append(folder)
        for name in names:
            named.setdefault(name, []).append(folder / name)
    audio = trees[TREES[part]]
    if len(audio) != 1:
        raise UserError(_wrong_root(root, part, audio, trees, below))
    lists: dict[str, Path] = {}
    for kind, known in LISTS[part].items():
        found = [path for name in known for path in named.get(name, [])]
        if len(found) > 1:
            raise UserError(
                f"{root}: {found[0]} and {found[1]} are both the {part} set's list of {kind}, expected one; give the folder of one"
            )
        if not found and kind not in MAY_BE_MISSING:
            raise UserError(
                f"{root}: no {known[0]} below it, expected it beside {audio[0]}, in {TREES[part]}_lists_and_keys; unpack that folder too"
            )
        if found:
            lists[kind] = found[0]
    return Located(audio[0], lists)


def walk(start: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders in byte order with the names of their files; folders of audio are not entered.

    Parameters
    ----------
    start : path
        Where to begin.
    """
    for folder, folders, files in os.walk(start, followlinks=True):
        path = Path(folder)
        is_audio = path.name in TREES.values()
        depth = len(path.relative_to(start).parts)
        folders[:] = (
            []
            if is_audio or depth >= DEEPEST
            else sorted(name for name in folders if not re.fullmatch(r"\..*|sp\d+", name))
        )
        yield path, [] if is_audio else sorted(files)


def _wrong_root(
    root: Path,
    part: str,
    audio: Sequence[Path],
    trees: Mapping[str, Sequence[Path]],
    below: Sequence[Path],
) -> str:
    """Why a folder will not do, in one line."""
    if audio:
        return f"{root}: {audio[0]} and {audio[1]} are both {TREES[part]}, expected one; give the folder of one of them"
    wanted = f"{root}: no folder {TREES[part]} below it, expected {HOMES[part]} of VOiCES 2019"
    for other, tree in TREES.items():
        if trees[tree]:
            return f"{wanted}; found {trees[tree][0]}, the other set: give --set {other} (--part of local.prepare_voices), or unpack the {part} set"
    above = next(
        (folder for folder in root.absolute().parents if folder.name in TREES.values()), None
    )
    if above:
        return f"{wanted}; it lies in {above}: give that folder, or one above it"
    known = (
        "Development_Data",
        "Evaluation_Data",
        "Training_Data",
        "Speaker_Recognition",
        "Automatic_Speech_Recognition",
        "distant-16k",
    )
    nearest = next(
        (folder for folder in below if folder.name in known), below[0] if below else None
    )
    return f"{wanted}; the nearest is {nearest or 'an empty folder'}: correct --voices, or unpack the whole archive"


def read_rows(path: Path, width: int, more: bool = False) -> list[list[str]]:
    """The words of each line of one of the corpus' lists.

    Parameters
    ----------
    path : path
        ASCII; LF or CRLF, blanks or tabs, the last line may lack its end.
    width : int
        Words that every line has.
    more : bool
        Further words may follow, and are left aside.

    Raises
    ------
    UserError
        The file is empty, or a line has other than so many words.
    """
    rows = [words_of(line) for line in read_foreign_lines(path)]
    for number, row in enumerate(rows, 1):
        if len(row) not in (0, width) and not (more and len(row) > width):
            raise UserError(
                f"{path}:{number}: {len(row)} words '{' '.join(row)[:120]}', expected {width}; is it another list?"
            )
    if not any(rows):
        raise UserError(f"{path}: empty; fetch the list again")
    return [row[:width] for row in rows if row]


def read_keys(path: Path, models: Mapping[str, str], utterances: Mapping[str, str]) -> Trials:
    """Read the list of keys in blocks.

    Parameters
    ----------
    path : path
        ``<enrolment> <test file> tgt|imp`` on each line, the file with or without folders;
        or no line has a class (hidden keys): such trials can be scored.
    models : mapping of str to str
        Enrolment of the enrolment list -> name of the model.
    utterances : mapping of str to str
        Name of a recording of the test list -> utterance.

    Raises
    ------
    UserError
        A line has another number of words than the first, or an unknown word.
    """
    columns: list[list[str]] = []
    known_sides: dict[str, str] = {}  # test side as the list writes it -> utterance
    num_lines = 0
    with open(path, encoding="utf-8-sig", errors="replace", newline="\n") as file:
        while lines := file.readlines(BLOCK_CHARACTERS):
            if not columns:
                columns = [[] for _ in range(_columns_of_keys(lines))]
            tables = (models, known_sides, KINDS)[: len(columns)]
            words = "".join(lines).split()
            block = [words[index :: len(columns)] for index in range(len(columns))]
            for side in set(block[1]).difference(known_sides):
                if stem_of(side) in utterances:
                    known_sides[side] = utterances[stem_of(side)]
            is_whole = len(words) == len(columns) * len(lines)
            pairs = list(zip(tables, block, strict=True))
            if not is_whole or not all(table.keys() >= set(side) for table, side in pairs):
                _refuse_bad_line(path, lines, num_lines, tables)
            for column, (table, words_of_side) in zip(columns, pairs, strict=True):
                column.extend(table[word] for word in words_of_side)
            num_lines += len(lines)
    return Trials(*columns)


def _columns_of_keys(lines: Sequence[str]) -> int:
    """2 for a list without classes, else 3: the number of words of the first line that has any."""
    for line in lines:
        words = line.split()
        if words:
            return 2 if len(words) == 2 else 3
    return 3


def _refuse_bad_line(
    path: Path, lines: Sequence[str], before: int, tables: Sequence[Mapping[str, str]]
) -> None:
    """Name the first bad line of the keys; empty lines are allowed."""
    expected = ("an enrolment of the enrolment list", "a file of the test list", "tgt or imp")
    layout = "<enrolment> <test file>"
    if len(tables) == 3:
        layout += " tgt|imp"
    for number, line in enumerate(lines, before + 1):
        words = line.split()
        if len(words) not in (0, len(tables)):
            raise UserError(
                f"{path}:{number}: {len(words)} words '{line.strip()[:120]}', "
                f"expected {len(tables)}: {layout}; is the list cut short?"
            )
        for word, table, what in zip(words, tables, expected, strict=False):
            if word not in table:
                raise UserError(
                    f"{path}:{number}: '{word}' is unknown, expected {what}; "
                    "keys and lists are of different sets or versions: fetch both again"
                )
