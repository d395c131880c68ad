"""Mending a data directory: what can be mended without deciding anything for its owner.

Each list by itself first: byte order marks, line ends, blanks, order, repeated lines; then what
they have in common: ids that are not in every list.  No pipe of wav.scp is run.  Two different
lines of one id, or a trial whose side would go, are for the owner to decide: then nothing is
written.  The originals of the lists that change go to ``.backup``.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, compress, count, pairwise, takewhile
from multiprocessing import get_context
from operator import eq, lt, not_, or_
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
from utils.data_dir.rules import invert, key_kind, may_lack_utterances, rule_faults
from utils.errors import UserError
from utils.files import MARK

SAMPLE_BYTES = 1 << 16  # from its start, to see whether a list is sorted
LARGE_BYTES = 1 << 23  # sorting a list of this size takes longer than starting a process for it
MARKED, CRLF, EMPTY, BLANKS = (
    "byte order marks removed",
    "CR LF line ends made LF",
    "empty lines removed",
    "lines rid of extra blanks",
)


def fix_data_dir(path: str | Path, *, dry_run: bool = False) -> list[str]:
    """Mend a data directory in place.

    Parameters
    ----------
    path : path
        Data directory.
    dry_run : bool
        Say what would change, and change nothing.

    Returns
    -------
    list of str
        What changed, one line per list and kind of change, with counts; empty when there was
        nothing to mend.

    Raises
    ------
    UserError
        Something that its owner has to decide; nothing is written.
    """
    path = Path(path)
    changes: dict[str, list[str]] = {file: [] for file in list_files(path) if file != "spk2utt"}
    tables = _mend_lists(path, changes)
    raise_first(path, (fault for fault in file_faults(path, tables) if fault.file != "spk2utt"))
    _keep_common(path, tables, changes)
    tables["spk2utt"] = _inverse_of(tables["utt2spk"])
    listed = path / "spk2utt"
    before = listed.read_bytes().replace(b"\t", b" ") if listed.exists() else None
    is_same = before == as_bytes(tables["spk2utt"])
    changes["spk2utt"] = [] if is_same else ["made again from utt2spk"]
    for fault in rule_faults(tables, allow_pipes=True):
        raise UserError(problem(path, _with_original_line(path, fault, tables)))
    changed = [file for file in tables if changes[file]]
    if changed and not dry_run:
        _back_up(path, changed)
        write_contents({file: as_bytes(tables[file]) for file in changed}, path)
    return [f"{path / file}: {change}" for file in changed for change in changes[file]]


def _mend_lists(path: Path, changes: Mapping[str, list[str]]) -> dict[str, Columns]:
    """The columns of every list by itself; large ones are sorted in processes of their own."""
    tables = {}
    with ProcessPoolExecutor(2, get_context("fork")) as pool:  # without large lists it starts none
        ordered = {
            file: pool.submit(_sorted_content, path / file)
            for file in changes
            if _is_large_and_unsorted(path / file)
        }
        for file, done in changes.items():
            content = ordered[file].result() if file in ordered else None
            tables[file] = _mend_list(path, file, done, content)
    return tables


def _inverse_of(utt2spk: Columns) -> Columns:
    """The columns of spk2utt."""
    utterances, speakers = utt2spk
    members = invert(utterances, speakers)
    return [list(members), list(map(" ".join, members.values()))]


def _is_large_and_unsorted(file: Path) -> bool:
    """Whether a list is worth a process of its own to be sorted."""
    with open(file, "rb") as opened:
        start = opened.read(SAMPLE_BYTES).split(b"\n")[:-1]
    return start != sorted(start) and file.name != "trials" and file.stat().st_size >= LARGE_BYTES


def _sorted_content(file: Path) -> bytes | None:
    """The lines of a file in byte order; None when its last line has no end or it is not plain ASCII."""
    content = file.read_bytes()
    if not content.isascii() or not content.endswith(b"\n"):
        return None
    lines = content.decode("ascii").split("\n")  # text sorts faster than bytes, in the same order
    del lines[-1]
    return ("\n".join(sorted(lines)) + "\n").encode("ascii")


def _mend_list(path: Path, file: str, changes: list[str], ordered: bytes | None = None) -> Columns:
    """The columns of one list: well formed, in byte order (trials: in their order), without repeated lines."""
    columns = parse_tidy(file, ordered) if ordered else None
    if columns:
        changes.append(f"{len(columns[0])} lines sorted in byte order")
        return _without_repeated_lines(path, file, columns, changes)
    content = (path / file).read_bytes()
    columns = parse_tidy(file, content)
    if columns and file != "trials" and all(map(lt, columns[0], columns[0][1:])):
        return columns
    columns = _in_byte_order(path, file, content, changes)
    if columns is None:
        tidy = _tidy_lines(path, file, content, changes)
        columns = _in_byte_order(path, file, tidy, changes)
    assert columns is not None, "tidy lines are well formed"
    return columns


def _in_byte_order(path: Path, file: str, content: bytes, changes: list[str]) -> Columns | None:
    """The columns of a list in byte order (trials: in their order) without repeated lines; None when a line is untidy or malformed."""
    lines = content.split(b"\n")
    if lines.pop():
        return None
    # Whole lines sort as their keys do, since blank and tab come before everything that an id may hold.  Parsing after sorting puts the strings
    # in memory in the order of use, which is what makes the rest fast.
    ordered = lines if file == "trials" else sorted(lines)
    columns = parse_tidy(file, b"\n".join([*ordered, b""]))
    if columns is None:
        return None
    if ordered != lines:
        changes.append(f"{len(lines)} lines sorted in byte order")
    return _without_repeated_lines(path, file, columns, changes)


def _without_repeated_lines(path: Path, file: str, columns: Columns, changes: list[str]) -> Columns:
    """The rows of a list, each once; refuses two different ones of one id."""
    keyed = file != "trials"
    if keyed and all(map(lt, columns[0], columns[0][1:])):
        return columns
    rows = list(zip(*columns, strict=True))
    unique = list(dict.fromkeys(rows))
    if len(unique) < len(rows):
        changes.append(f"{len(rows) - len(unique)} repeated lines removed")
    for one, other in pairwise(unique) if keyed else ():
        if one[0] == other[0]:
            line, second = " ".join(one), " ".join(other)
            number = _line_number(path / file, second.encode())
            raise UserError(
                f"{path / file}:{number}: '{second}', but also '{line}', expected one line per id; "
                "remove the wrong one"
            )
    return list(map(list, zip(*unique, strict=True)))


def _tidy_lines(path: Path, file: str, content: bytes, changes: list[str]) -> bytes:
    """A list without byte order marks, with LF line ends, one blank between fields, and none of the empty lines."""
    format = format_in(file, content)
    most = int(format.columns[-1] in (REST, TEXT))  # blanks that are looked at; 0: all
    mended = []
    counts = dict.fromkeys((MARKED, CRLF, EMPTY, BLANKS), 0)
    ends = content.count(b"\n")
    for number, marked in enumerate(content.split(b"\n"), start=1):
        raw = marked.removeprefix(MARK)
        line = raw.removesuffix(b"\r")
        tidy = re.sub(rb"[ \t]+", b" ", line.strip(b" \t"), count=most)
        counts[MARKED] += raw != marked
        counts[CRLF] += line != raw
        counts[EMPTY] += not tidy and number <= ends
        counts[BLANKS] += bool(tidy) and len(tidy) < len(line)
        if fault := tidy and fault_of_line(tidy, format):
            raise UserError(problem(path, Fault(file, number, fault)))
        if tidy:
            mended.append(tidy + b"\n")
    changes += [f"{number} {what}" for what, number in counts.items() if number]
    if not content.endswith(b"\n"):
        changes.append("line end added to the last line")
    if not mended:
        raise_first(path, line_faults(file, b""))
    return b"".join(mended)


def _keep_common(path: Path, tables: dict[str, Columns], changes: Mapping[str, list[str]]) -> None:
    """Remove, in place, ids that are not in every list that has to have them."""
    files = {
        kind: [file for file in tables if key_kind(file, tables) == kind]
        for kind in ("utterance", "speaker", "recording")
    }
    owners = {"speaker": "utt2spk", "recording": "segments"}
    dropped: set[str] = set()
    for file in files["utterance"]:
        if not may_lack_utterances(file, tables):
            dropped |= _in_one_only(tables["utt2spk"][0], tables[file][0])
    for kind, owner in owners.items():
        for file in files[kind]:
            known = set(tables[file][0])
            if not known.issuperset(tables[owner][1]):
                dropped |= {
                    utterance
                    for utterance, name, *_ in zip(*tables[owner], strict=True)
                    if name not in known
                }
    if dropped.issuperset(tables["utt2spk"][0]):
        sizes = ", ".join(f"{len(tables[file][0])} in {file}" for file in chain(*files.values()))
        raise UserError(
            f"{path}: no utterance is in every list ({sizes}), expected at least one; are these lists of one data directory?"
        )
    for file in (file for file in tables if may_lack_utterances(file, tables)):
        dropped |= set(tables[file][0]).difference(tables["utt2spk"][0])
        if dropped.issuperset(tables[file][0]):
            raise UserError(
                f"{path / file}: none of its {len(tables[file][0])} utterances is in the other lists, expected some; remove the list"
            )
    for file in files["utterance"]:
        tables[file] = _without(dropped, tables[file], changes[file])
    for kind, owner in owners.items():
        for file in files[kind]:
            tables[file] = _without(
                set(tables[file][0]).difference(tables[owner][1]), tables[file], changes[file]
            )


def _in_one_only(some: list[str], others: list[str]) -> set[str]:
    """The ids that one of two lists lacks."""
    if some == others:
        return set()
    merged = sorted(some + others)
    twin_follows = list(map(eq, merged, merged[1:]))
    paired = map(or_, [*twin_follows, False], [False, *twin_follows])
    return set(compress(merged, map(not_, paired)))


def _without(dropped: set[str], columns: Columns, changes: list[str]) -> Columns:
    """The rows whose keys are not dropped."""
    if dropped.isdisjoint(columns[0]):
        return columns
    kept = [key not in dropped for key in columns[0]]
    changes.append(
        f"{kept.count(False)} of {len(kept)} lines removed, since another list lacks their ids"
    )
    return [list(compress(column, kept)) for column in columns]


def _with_original_line(path: Path, fault: Fault, tables: Tables) -> Fault:
    """A fault of the mended lists with the number that its line has in the file as it stands."""
    if not fault.line:
        return fault
    line = " ".join(column[fault.line - 1] for column in tables[fault.file])
    return fault._replace(line=_line_number(path / fault.file, line.encode()))


def _line_number(path: Path, line: bytes) -> int:
    """Where a line stands in a file, however many blanks are in it there; 0 when it does not."""
    words = line.split()
    return next(
        (
            number
            for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1)
            if raw.removeprefix(MARK).split() == words
        ),
        0,
    )


def _back_up(path: Path, files: Sequence[str]) -> None:
    """Copy lists to the first of ``.backup``, ``.backup.2``, ... that does not exist, unless one holds them already: that of a run that died."""
    folders = (path / (".backup" if n == 1 else f".backup.{n}") for n in count(1))
    before = list(takewhile(Path.exists, folders))
    originals = {file: (path / file).read_bytes() for file in files if (path / file).exists()}
    if any(
        all(
            (folder / file).is_file() and (folder / file).read_bytes() == content
            for file, content in originals.items()
        )
        for folder in before
    ):
        return
    with new_folder(path / (f".backup.{len(before) + 1}" if before else ".backup")) as folder:
        write_contents(originals, folder)
        for file in originals:
            shutil.copystat(path / file, folder / file)
