"""Missing files of a corpus: the likely reason, and what to do."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local.corpus import list_missing
from utils.errors import UserError


def refuse_missing(
    files: Mapping[str, Path], corpus: Path, listing: Path, start: Path | None, is_start_given: bool
) -> None:
    """Raise UserError if files of a corpus are missing, with the likely reason.

    ``files`` has the file of each recording; relative paths start at ``start``, which ``--root``
    may have given. The names of the missing files are written to ``listing``.
    """
    missing = list_missing(files.values(), listing)
    if not missing:
        return
    remedy = _remedy_for_name(missing[0])
    if not remedy and start and len(missing) == len(files):
        remedy = _remedy_for_start(missing[0], corpus, start, is_start_given)
    raise UserError(
        f"{corpus}: {len(missing)} of its {len(files)} files are missing, first {missing[0]} "
        f"(list: {listing}); {remedy or 'correct their paths, or fetch them again'}"
    )


def _remedy_for_name(name: str) -> str:
    """What to do about a path that cannot exist on this system; empty if it can."""
    if "\\" in name:
        slashes = "write slashes"
        if re.search(r"(^|/)[A-Za-z]:\\", name):
            slashes += ", without the drive, relative to a folder that you give as --root"
        return f"paths have backslashes, as on Windows: {slashes} (`tr '\\\\' / <OLD >NEW`)"
    if re.search(r"\|[\s\"']+$", name):
        return "the line ends with a quote after the bar of a pipe: remove the quotes"
    if name[-1] in "\"'":
        return "there are quotes around the path: remove them"
    if re.search(r"\s\|\s", name):
        return "a command must end with a bar, or it is read as a file name: add the bar"
    return ""


def _remedy_for_start(name: str, corpus: Path, start: Path, is_start_given: bool) -> str:
    """Where relative paths would have to start, if all files are missing."""
    entry = os.path.relpath(name, start)
    above = corpus.absolute()
    for folder in [Path.cwd(), above, *above.parents]:
        if (folder / entry).is_file():
            return f"{entry} is below {folder}: give --root {folder}"
    source = ""
    if is_start_given:
        source = ", the --root"
    return (
        f"the paths are relative and start at {start}{source}: give the folder that they are "
        "relative to as --root"
    )
