"""Files of a corpus that are not there: why that may be, and what to do."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local.corpus import list_missing
from utils.errors import UserError


def refuse_missing(
    files: Mapping[str, Path], corpus: Path, listing: Path, start: Path | None, is_start_given: bool
) -> None:
    """Refuse a corpus of which some files are missing, with the likeliest reason.

    Parameters
    ----------
    files : mapping of str to path
        Recording -> file.
    corpus : path
        The table, or the folder of the lists, that names them.
    listing : path
        Where the missing ones are written down, if there are any.
    start : path or None
        Folder that relative paths start from; None: all are absolute.
    is_start_given : bool
        By ``--root``.

    Raises
    ------
    UserError
        Says how many are missing, names the first and the listing.
    """
    missing = list_missing(files.values(), listing)
    if not missing:
        return
    remedy = _remedy_for_name(missing[0])
    if not remedy and start and len(missing) == len(files):
        remedy = _remedy_for_start(missing[0], corpus, start, is_start_given)
    raise UserError(
        f"{corpus}: {len(missing)} of its {len(files)} files are missing, first {missing[0]} (list: {listing}); "
        f"{remedy or 'correct their paths, or fetch them again'}"
    )


def _remedy_for_name(name: str) -> str:
    """What to do about a path that cannot be one of this system; empty: it can."""
    if "\\" in name:
        drive = re.search(r"(^|/)[A-Za-z]:\\", name)
        without = ", without the drive, from a folder that --root names" if drive else ""
        return f"backslashes are Windows' way to write paths: write slashes{without} (`tr '\\\\' / <OLD >NEW`)"
    if re.search(r"\|[\s\"']+$", name):
        return "a quote stands behind the bar of a pipe: the bar has to be the last of the line; take the quotes away"
    if name[-1] in "\"'":
        return "there are quotes around the path: take them away"
    if re.search(r"\s\|\s", name):
        return "a command has to end with a bar, or it is taken for the name of a file: add the bar"
    return ""


def _remedy_for_start(name: str, corpus: Path, start: Path, is_start_given: bool) -> str:
    """Where relative paths would start, when none of them is found."""
    entry = os.path.relpath(name, start)
    above = corpus.absolute()
    for folder in [Path.cwd(), above, *above.parents]:
        if (folder / entry).is_file():
            return f"{entry} is below {folder}: give --root {folder}"
    now = f"{start}, as --root says" if is_start_given else str(start)
    return f"the paths are relative and start at {now}: name the folder that they start from with --root"
