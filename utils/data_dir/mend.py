"""One list of a data directory mended: line ends, blanks, order, repeated lines."""

import re
from itertools import pairwise
from operator import lt
from pathlib import Path

from utils.data_dir.formats import REST, Fault, fault_of_line, format_of, line_faults, parse
from utils.data_dir.lists import problem, raise_first
from utils.errors import UserError

SAMPLE_BYTES = 1 << 16
LARGE_BYTES = 1 << 23


def is_large_and_unsorted(file: Path) -> bool:
    """Whether a list is worth a process of its own to be sorted.

    Parameters
    ----------
    file : path
        The list.
    """
    with open(file, "rb") as opened:
        start = opened.read(SAMPLE_BYTES).split(b"\n")[:-1]
    return start != sorted(start) and file.name != "trials" and file.stat().st_size >= LARGE_BYTES


def sorted_content(file: Path) -> bytes | None:
    """The lines of a file in byte order; None when its last line has no end or it is not plain ASCII.

    Parameters
    ----------
    file : path
        The list.
    """
    content = file.read_bytes()
    if not content.isascii() or not content.endswith(b"\n"):
        return None
    lines = content.decode("ascii").split("\n")  # text sorts faster than bytes, in the same order
    del lines[-1]
    return ("\n".join(sorted(lines)) + "\n").encode("ascii")


def mend_list(path: Path, file: str, changes: list[str], ordered: bytes | None = None) -> list[list[str]]:
    """The columns of one list: well formed, in byte order (trials: in their order), without repeated lines.

    Parameters
    ----------
    path : path
        Data directory.
    file : str
        Name of the list.
    changes : list of str
        What was done is added here.
    ordered : bytes or None
        Its lines, sorted already.

    Raises
    ------
    UserError
        Two lines of one id that differ, or a line that cannot be mended.
    """
    columns = parse(file, ordered) if ordered else None
    if columns:
        changes.append(f"{len(columns[0])} lines sorted in byte order")
        return without_repeated_lines(path, file, columns, changes)
    content = (path / file).read_bytes()
    columns = parse(file, content)
    if columns and file != "trials" and all(map(lt, columns[0], columns[0][1:])):
        return columns
    columns = in_byte_order(path, file, content, changes)
    return in_byte_order(path, file, tidy_lines(path, file, content, changes), changes) if columns is None else columns


def in_byte_order(path: Path, file: str, content: bytes, changes: list[str]) -> list[list[str]] | None:
    """The columns of a list in byte order (trials: in their order) without repeated lines; None when a line is malformed.

    Parameters
    ----------
    path : path
        Data directory, for messages.
    file : str
        Name of the list.
    content : bytes
        The whole file.
    changes : list of str
        What was done is added here.

    Raises
    ------
    UserError
        Two lines of one id that differ.
    """
    lines = content.split(b"\n")
    if lines.pop():
        return None
    # Whole lines sort as their keys do, since blank and tab come before everything that an id may hold.  Parsing after sorting puts the strings
    # in memory in the order of use, which is what makes the rest fast.
    ordered = lines if file == "trials" else sorted(lines)
    columns = parse(file, b"\n".join([*ordered, b""]))
    if columns is None:
        return None
    if ordered != lines:
        changes.append(f"{len(lines)} lines sorted in byte order")
    return without_repeated_lines(path, file, columns, changes)


def without_repeated_lines(path: Path, file: str, columns: list[list[str]], changes: list[str]) -> list[list[str]]:
    """The rows of a list, each once.

    Parameters
    ----------
    path : path
        Data directory, for messages.
    file : str
        Name of the list.
    columns : list of columns
        In byte order; trials in theirs.
    changes : list of str
        What was done is added here.

    Raises
    ------
    UserError
        Two lines of one id that differ.
    """
    keyed = file != "trials"
    if keyed and all(map(lt, columns[0], columns[0][1:])):
        return columns
    rows = list(zip(*columns, strict=True))
    unique = list(dict.fromkeys(rows))
    if len(unique) < len(rows):
        changes.append(f"{len(rows) - len(unique)} repeated lines removed")
    for one, other in pairwise(unique) if keyed else ():
        if one[0] == other[0]:
            one, other = " ".join(one), " ".join(other)
            found = f"'{other}', but also '{one}'"
            raise UserError(f"{path / file}:{line_number(path / file, other.encode())}: {found}, expected one line per id; remove the wrong one")
    return list(map(list, zip(*unique, strict=True)))


def tidy_lines(path: Path, file: str, content: bytes, changes: list[str]) -> bytes:
    """A list with LF line ends, one blank between fields, and none of the empty lines.

    Parameters
    ----------
    path : path
        Data directory.
    file : str
        Name of the list.
    content : bytes
        The whole file.
    changes : list of str
        What was done is added here.
    """
    format, most = format_of(file), int(format_of(file).columns[-1] == REST)
    mended, counts = [], dict.fromkeys(("CR LF line ends made LF", "empty lines removed", "lines rid of extra blanks"), 0)
    ends = content.count(b"\n")
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        tidy = re.sub(rb"[ \t]+", b" ", line.strip(b" \t"), count=most)
        counts["CR LF line ends made LF"] += line != raw
        counts["empty lines removed"] += not tidy and number <= ends
        counts["lines rid of extra blanks"] += bool(tidy) and len(tidy) < len(line)
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


def line_number(path: Path, line: bytes) -> int:
    """Where a line stands in a file, however many blanks are in it there; 0 when it does not.

    Parameters
    ----------
    path : path
        The list as it was.
    line : bytes
        As it was mended.
    """
    words = line.split()
    return next((number for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1) if raw.split() == words), 0)
