"""Repair a data directory where its owner has nothing to decide.

First each list by itself: byte order marks, line ends, blanks, order, repeated lines; then ids that
are not in every list.  No pipe of wav.scp is run.  Two different lines for one id, or a trial that
would lose a side, are for the owner to decide: then nothing is written.  The originals of changed
lists go to ``.backup``.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import compress, pairwise
from multiprocessing import get_context
from operator import eq, or_
from pathlib import Path

from utils.data_dir.directory import file_faults, list_files
from utils.data_dir.formats import (
    REST,
    TEXT,
    Columns,
    Fault,
    Tables,
    fault_of_line,
    format_in,
    line_faults,
)
from utils.data_dir.lists import (
    as_bytes,
    new_folder,
    parse_tidy,
    problem,
    raise_first,
    write_contents,
)
from utils.data_dir.rules import invert, is_ascending, key_kind, may_lack_utterances, rule_faults
from utils.errors import UserError
from utils.files import MARK

SAMPLE_BYTES = 1 << 16  # at the start of a list, to check whether it is sorted
LARGE_BYTES = 1 << 23  # sorting a list of this size takes longer than starting a process for it
MARKED, CRLF, EMPTY, BLANKS = (
    "byte order marks removed",
    "CR LF line ends made LF",
    "empty lines removed",
    "lines stripped of extra blanks",
)


def fix_data_dir(path: str | Path, *, dry_run: bool = False) -> list[str]:
    """Repair a data directory in place.

    Parameters
    ----------
    path : path
        Data directory.
    dry_run : bool
        Report what would change, and change nothing.

    Returns
    -------
    list of str
        The changes, one line per list and kind of change, with counts; empty if there are none.

    Raises
    ------
    UserError
        Something that its owner has to decide; nothing is written.
    """
    path = Path(path)
    changes: dict[str, list[str]] = {file: [] for file in list_files(path) if file != "spk2utt"}
    tables = _repair_lists(path, changes)
    for fault in file_faults(path, tables):
        if fault.file != "spk2utt":
            raise UserError(problem(path, fault))
    _keep_common(path, tables, changes)
    tables["spk2utt"] = _invert_utt2spk(tables["utt2spk"])
    old = path / "spk2utt"
    before = old.read_bytes().replace(b"\t", b" ") if old.exists() else None
    is_same = before == as_bytes(tables["spk2utt"])
    changes["spk2utt"] = [] if is_same else ["made again from utt2spk"]
    for fault in rule_faults(tables, allow_pipes=True):
        raise UserError(problem(path, _with_original_line(path, fault, tables)))
    changed = [file for file in tables if changes[file]]
    if changed and not dry_run:
        _back_up(path, changed)
        write_contents({file: as_bytes(tables[file]) for file in changed}, path)
    return [f"{path / file}: {change}" for file in changed for change in changes[file]]


def _repair_lists(path: Path, changes: Mapping[str, list[str]]) -> dict[str, Columns]:
    """Repair each list by itself: its columns; large lists are sorted in other processes."""
    tables = {}
    with ProcessPoolExecutor(2, get_context("fork")) as pool:  # starts none without large lists
        jobs = {}
        for file in changes:
            if _is_large_and_unsorted(path / file):
                jobs[file] = pool.submit(_sorted_content, path / file)
        for file, list_changes in changes.items():
            content = jobs[file].result() if file in jobs else None
            tables[file] = _repair_list(path, file, list_changes, content)
    return tables


def _invert_utt2spk(utt2spk: Columns) -> Columns:
    """The columns of spk2utt."""
    utterances, speakers = utt2spk
    members = invert(utterances, speakers)
    return [list(members), [" ".join(names) for names in members.values()]]


def _is_large_and_unsorted(file: Path) -> bool:
    """Whether a list is sorted in a process of its own."""
    with open(file, "rb") as opened:
        start = opened.read(SAMPLE_BYTES).split(b"\n")[:-1]
    return start != sorted(start) and file.name != "trials" and file.stat().st_size >= LARGE_BYTES


def _sorted_content(file: Path) -> bytes | None:
    """The lines of a file in byte order; None unless it is ASCII and its last line has an end."""
    content = file.read_bytes()
    if not content.isascii() or not content.endswith(b"\n"):
        return None
    lines = content.decode("ascii").split("\n")  # text sorts faster than bytes, in the same order
    del lines[-1]
    return ("\n".join(sorted(lines)) + "\n").encode("ascii")


def _repair_list(
    path: Path, file: str, changes: list[str], ordered: bytes | None = None
) -> Columns:
    """The columns of one list: well formed, in byte order (but trials), no line repeated."""
    columns = parse_tidy(file, ordered) if ordered else None
    if columns:
        changes.append(f"{len(columns[0])} lines sorted in byte order")
        return _without_repeated_lines(path, file, columns, changes)
    content = (path / file).read_bytes()
    columns = parse_tidy(file, content)
    if columns and file != "trials" and is_ascending(columns[0]):
        return columns
    columns = _sort_lines(path, file, content, changes)
    if columns is None:
        tidy = _tidy_lines(path, file, content, changes)
        columns = _sort_lines(path, file, tidy, changes)
    assert columns is not None, "tidy lines are well formed"
    return columns


def _sort_lines(path: Path, file: str, content: bytes, changes: list[str]) -> Columns | None:
    """The columns of a list in byte order (but trials), no line repeated; None if not tidy."""
    lines = content.split(b"\n")
    if lines.pop():
        return None
    # Whole lines sort as their keys do, since blank and tab come before everything that an id may
    # contain.  Parsing after sorting puts the strings in memory in the order of use, which makes
    # the rest fast.
    ordered = lines if file == "trials" else sorted(lines)
    columns = parse_tidy(file, b"\n".join([*ordered, b""]))
    if columns is None:
        return None
    if ordered != lines:
        changes.append(f"{len(lines)} lines sorted in byte order")
    return _without_repeated_lines(path, file, columns, changes)


def _without_repeated_lines(path: Path, file: str, columns: Columns, changes: list[str]) -> Columns:
    """The rows of a list, each once; refuses two different ones with one id."""
    is_keyed = file != "trials"
    if is_keyed and is_ascending(columns[0]):
        return columns
    rows = list(zip(*columns, strict=True))
    unique = list(dict.fromkeys(rows))
    if len(unique) < len(rows):
        changes.append(f"{len(rows) - len(unique)} repeated lines removed")
    if is_keyed:
        for one, other in pairwise(unique):
            if one[0] == other[0]:
                _refuse_two_lines(path / file, " ".join(one), " ".join(other))
    return [list(column) for column in zip(*unique, strict=True)]


def _refuse_two_lines(file: Path, line: str, other: str) -> None:
    number = _line_number(file, other.encode())
    raise UserError(
        f"{file}:{number}: '{other}', but also '{line}', expected one line per id; "
        "remove the wrong one"
    )


def _tidy_lines(path: Path, file: str, content: bytes, changes: list[str]) -> bytes:
    """A list without byte order marks, CR, extra blanks and empty lines."""
    format = format_in(file, content)
    most = int(format.columns[-1] in (REST, TEXT))  # number of blanks to tidy; 0: all
    lines = []
    counts = dict.fromkeys((MARKED, CRLF, EMPTY, BLANKS), 0)
    ends = content.count(b"\n")
    for number, marked in enumerate(content.split(b"\n"), start=1):
        raw = marked.removeprefix(MARK)
        line = raw.removesuffix(b"\r")
        tidy = re.sub(rb"[ \t]+", b" ", line.strip(b" \t"), count=most)
        counts[MARKED] += raw != marked
        counts[CRLF] += line != raw
        if not tidy:
            counts[EMPTY] += number <= ends
            continue
        counts[BLANKS] += len(tidy) < len(line)
        if text := fault_of_line(tidy, format):
            raise UserError(problem(path, Fault(file, number, text)))
        lines.append(tidy + b"\n")
    for what, number in counts.items():
        if number:
            changes.append(f"{number} {what}")
    if not content.endswith(b"\n"):
        changes.append("line end added to the last line")
    if not lines:
        raise_first(path, line_faults(file, b""))
    return b"".join(lines)


def _keep_common(path: Path, tables: dict[str, Columns], changes: Mapping[str, list[str]]) -> None:
    """Remove, in place, ids that are not in every list that has to have them."""
    files: dict[str, list[str]] = {"utterance": [], "speaker": [], "recording": []}
    for file in tables:
        kind = key_kind(file, tables)
        if kind in files:
            files[kind].append(file)
    dropped = _incomplete_utterances(tables, files)
    if dropped.issuperset(tables["utt2spk"][0]):
        sizes = []
        for names in files.values():
            sizes += [f"{len(tables[file][0])} in {file}" for file in names]
        raise UserError(
            f"{path}: no utterance is in every list ({', '.join(sizes)}), expected at least one; "
            "are these lists of one data directory?"
        )
    for file in tables:
        if may_lack_utterances(file, tables):
            dropped |= set(tables[file][0]).difference(tables["utt2spk"][0])
            if dropped.issuperset(tables[file][0]):
                raise UserError(
                    f"{path / file}: none of its {len(tables[file][0])} utterances is in the other "
                    "lists, expected some; remove the list"
                )
    for file in files["utterance"]:
        tables[file] = _without(dropped, tables[file], changes[file])
    for kind, owner in (("speaker", "utt2spk"), ("recording", "segments")):
        for file in files[kind]:
            unused = set(tables[file][0]).difference(tables[owner][1])
            tables[file] = _without(unused, tables[file], changes[file])


def _incomplete_utterances(tables: Tables, files: Mapping[str, list[str]]) -> set[str]:
    """Utterances that a list lacks, or whose speaker or recording a list lacks."""
    incomplete: set[str] = set()
    for file in files["utterance"]:
        if not may_lack_utterances(file, tables):
            incomplete |= _in_one_only(tables["utt2spk"][0], tables[file][0])
    for kind, owner in (("speaker", "utt2spk"), ("recording", "segments")):
        for file in files[kind]:
            known = set(tables[file][0])
            utterances, names = tables[owner][:2]
            if not known.issuperset(names):
                is_missing = [name not in known for name in names]
                incomplete.update(compress(utterances, is_missing))
    return incomplete


def _in_one_only(some: list[str], others: list[str]) -> set[str]:
    """The ids that one of two lists lacks."""
    if some == others:
        return set()
    merged = sorted(some + others)
    is_followed = list(map(eq, merged, merged[1:]))  # by the same id, of the other list
    is_paired = map(or_, [*is_followed, False], [False, *is_followed])
    is_alone = [not paired for paired in is_paired]
    return set(compress(merged, is_alone))


def _without(dropped: set[str], columns: Columns, changes: list[str]) -> Columns:
    """The rows whose keys are not dropped."""
    if dropped.isdisjoint(columns[0]):
        return columns
    keep = [key not in dropped for key in columns[0]]
    changes.append(
        f"{keep.count(False)} of {len(keep)} lines removed, since another list lacks their ids"
    )
    return [list(compress(column, keep)) for column in columns]


def _with_original_line(path: Path, fault: Fault, tables: Tables) -> Fault:
    """A fault of the repaired lists with the line number in the file on disk."""
    if not fault.line:
        return fault
    line = " ".join(column[fault.line - 1] for column in tables[fault.file])
    return fault._replace(line=_line_number(path / fault.file, line.encode()))


def _line_number(path: Path, line: bytes) -> int:
    """Number of a line in a file, whatever its blanks there; 0 if it is not in it."""
    words = line.split()
    for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        if raw.removeprefix(MARK).split() == words:
            return number
    return 0


def _back_up(path: Path, files: Sequence[str]) -> None:
    """Copy lists to the first of ``.backup``, ``.backup.2``, ... that does not exist.

    Nothing is copied if an existing one has the same contents: that of a run that was killed.
    """
    originals = {}
    for file in files:
        if (path / file).exists():
            originals[file] = (path / file).read_bytes()
    backup, number = path / ".backup", 1
    while backup.exists():
        if _has_contents(backup, originals):
            return
        number += 1
        backup = path / f".backup.{number}"
    with new_folder(backup) as folder:
        write_contents(originals, folder)
        for file in originals:
            shutil.copystat(path / file, folder / file)


def _has_contents(folder: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether a folder has all of these files with these contents."""
    for file, content in contents.items():
        if not (folder / file).is_file() or (folder / file).read_bytes() != content:
            return False
    return True
