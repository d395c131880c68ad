"""The folders of VOiCES 2019, and its lists of enrolment, test and keys.

The evaluation set has the names that public recipes read (recipes/voices/README.md cites them):
its files are anonymous and in one folder, its keys name files without folder, and a map that was
released after the challenge has the original names.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.voices.names import recording_stem
from utils.data_dir.trial_list import Trials
from utils.errors import UserError
from utils.files import read_foreign_lines, split_words

# Set -> list -> names of its file; one of them has to exist.
LISTS: dict[str, dict[str, tuple[str, ...]]] = {
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
KNOWN_FOLDERS = (  # of the distribution
    "Development_Data",
    "Evaluation_Data",
    "Training_Data",
    "Speaker_Recognition",
    "Automatic_Speech_Recognition",
    "distant-16k",
)
SKIPPED_FOLDER = re.compile(r"\..*|sp\d+")  # hidden, or of a speaker
MAX_DEPTH = 6  # levels of folders that are searched
KINDS = {"tgt": "target", "imp": "nontarget"}
BLOCK_CHARACTERS = 1 << 24


@dataclass
class Located:
    """Folder of a set's audio, and its lists: ``enrol``, ``test``, ``keys``, perhaps ``map``."""

    audio: Path
    lists: dict[str, Path]


def locate(root: Path, part: str) -> Located:
    """Audio and lists of ``dev`` or ``eval``, below a folder or beside the audio folder itself.

    UserError: they are missing, or there are several.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct --voices")
    start = root
    if root.name in TREES.values():
        start = root.parent
    trees: dict[str, list[Path]] = {tree: [] for tree in TREES.values()}
    paths_by_name: dict[str, list[Path]] = {}
    below = []
    for folder, names in _walk(start):
        if folder != start:
            below.append(folder)
        if folder.name in trees:
            trees[folder.name].append(folder)
        for name in names:
            paths_by_name.setdefault(name, []).append(folder / name)
    audio = trees[TREES[part]]
    if len(audio) != 1:
        raise UserError(_explain_no_audio(root, part, audio, trees, below))
    lists: dict[str, Path] = {}
    for kind, known_names in LISTS[part].items():
        paths: list[Path] = []
        for name in known_names:
            paths += paths_by_name.get(name, [])
        if len(paths) > 1:
            raise UserError(
                f"{root}: {paths[0]} and {paths[1]} are both the {part} set's list of {kind}, "
                "expected one; give the folder of one"
            )
        if paths:
            lists[kind] = paths[0]
        elif kind not in MAY_BE_MISSING:
            raise UserError(
                f"{root}: no {known_names[0]} below it, expected it beside {audio[0]}, in "
                f"{TREES[part]}_lists_and_keys; unpack that folder too"
            )
    return Located(audio[0], lists)


def _walk(start: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders in byte order, with the names of their files; files of audio are not listed."""
    for folder, subfolders, files in os.walk(start, followlinks=True):
        path = Path(folder)
        is_audio = path.name in TREES.values()
        depth = len(path.relative_to(start).parts)
        searched = []
        if not is_audio and depth < MAX_DEPTH:
            searched = [name for name in sorted(subfolders) if not SKIPPED_FOLDER.fullmatch(name)]
        subfolders[:] = searched
        if is_audio:
            yield path, []
        else:
            yield path, sorted(files)


def _explain_no_audio(
    root: Path,
    part: str,
    audio: Sequence[Path],
    trees: Mapping[str, Sequence[Path]],
    below: Sequence[Path],
) -> str:
    """Message about a folder without the set's audio, or with two: what to give instead."""
    if audio:
        return (
            f"{root}: {audio[0]} and {audio[1]} are both {TREES[part]}, expected one; give the "
            "folder of one of them"
        )
    wanted = f"{root}: no folder {TREES[part]} below it, expected {HOMES[part]} of VOiCES 2019"
    for other, tree in TREES.items():
        if trees[tree]:
            return (
                f"{wanted}; {trees[tree][0]} is the other set: give --set {other} (--part of "
                f"local.prepare_voices), or unpack the {part} set"
            )
    for folder in root.absolute().parents:
        if folder.name in TREES.values():
            return f"{wanted}; it is inside {folder}: give that folder, or one above it"
    nearest = "an empty folder"
    known = [folder for folder in below if folder.name in KNOWN_FOLDERS]
    candidates = [*known, *below]
    if candidates:
        nearest = str(candidates[0])
    return f"{wanted}; the nearest is {nearest}: correct --voices, or unpack the whole archive"


def read_rows(path: Path, width: int, more: bool = False) -> list[list[str]]:
    """The first ``width`` words of each line of a list; with ``more``, lines may have others.

    UserError: the file is empty, or a line has another number of words.
    """
    rows = [split_words(line) for line in read_foreign_lines(path)]
    for number, row in enumerate(rows, start=1):
        is_longer = more and len(row) > width
        if len(row) not in (0, width) and not is_longer:
            raise UserError(
                f"{path}:{number}: {len(row)} words '{' '.join(row)[:120]}', expected {width}; is "
                "it another list?"
            )
    if not any(rows):
        raise UserError(f"{path}: empty; fetch the list again")
    return [row[:width] for row in rows if row]


def read_keys(path: Path, models: Mapping[str, str], utterances: Mapping[str, str]) -> Trials:
    """The trials of the keys, read in blocks, as there are 4 million.

    Lines are ``<enrolment> <test file> tgt|imp``, the file with or without folders; or no line has
    a class (hidden keys): such trials are scored. ``models`` has enrolment of the enrolment list ->
    name of the model, ``utterances`` recording of the test list -> utterance. UserError: a line has
    another number of words than the first, or an unknown word.
    """
    columns: list[list[str]] = []
    known_sides: dict[str, str] = {}  # test side as the list writes it -> utterance
    num_lines = 0
    with open(path, encoding="utf-8-sig", errors="replace", newline="\n") as file:
        while lines := file.readlines(BLOCK_CHARACTERS):
            if not columns:
                columns = [[] for _ in range(_count_columns(lines))]
            tables = (models, known_sides, KINDS)[: len(columns)]
            words = "".join(lines).split()
            block = [words[index :: len(columns)] for index in range(len(columns))]
            for side in set(block[1]).difference(known_sides):
                stem = recording_stem(side)
                if stem in utterances:
                    known_sides[side] = utterances[stem]
            is_whole = len(words) == len(columns) * len(lines)
            pairs = list(zip(tables, block, strict=True))
            if not is_whole or not all(table.keys() >= set(side) for table, side in pairs):
                _refuse_bad_line(path, lines, num_lines, tables)
            for column, (table, words_of_side) in zip(columns, pairs, strict=True):
                column.extend(table[word] for word in words_of_side)
            num_lines += len(lines)
    return Trials(*columns)


def _count_columns(lines: Sequence[str]) -> int:
    """2 if the first line that is not empty has no class, else 3."""
    for line in lines:
        words = line.split()
        if len(words) == 2:
            return 2
        if words:
            return 3
    return 3


def _refuse_bad_line(
    path: Path, lines: Sequence[str], num_before: int, tables: Sequence[Mapping[str, str]]
) -> None:
    """Raise UserError for the first bad line of a block, if any; empty lines are allowed."""
    expected = ("an enrolment of the enrolment list", "a file of the test list", "tgt or imp")
    layout = "<enrolment> <test file>"
    if len(tables) == 3:
        layout += " tgt|imp"
    for number, line in enumerate(lines, num_before + 1):
        words = line.split()
        if len(words) not in (0, len(tables)):
            raise UserError(
                f"{path}:{number}: {len(words)} words '{line.strip()[:120]}', "
                f"expected {len(tables)}: {layout}; is the list cut short?"
            )
        for word, table, expectation in zip(words, tables, expected, strict=False):
            if word not in table:
                raise UserError(
                    f"{path}:{number}: '{word}' is unknown, expected {expectation}; "
                    "keys and lists are of different sets or versions: fetch both again"
                )
