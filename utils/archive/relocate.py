"""Paths in scp files written anew, after a folder was moved or copied: command ``relocate`` of utils/archive/__main__.py."""

import os
from pathlib import Path
from typing import Literal

from utils.archive.read import read_scp
from utils.errors import UserError
from utils.files import atomic_write

Paths = Literal["kept", "absolute", "relative", "beside"]


def relocate_scp(
    scp: Path,
    output: Path,
    *,
    paths: Paths = "absolute",
    root: Path = Path("."),
    new_root: Path = Path("."),
    old: str | None = None,
    new: str | None = None,
    allow_missing: bool = False,
) -> dict[str, int]:
    """Write an scp file again with other paths: of archives, of waves, of any files; offsets, ranges and pipes stay.

    Parameters
    ----------
    scp : path
        ``xvector.scp``, ``wav.scp``, ``feats.scp``, ...
    output : path
        Where it goes; the same name again replaces it.
    paths : str
        ``absolute``; ``relative`` to ``new_root``; ``beside``: the files lie in the folder of the scp file, whatever it says, and are named so, seen
        from here; ``kept``: as they are, but for ``old`` and ``new``.
    root : path
        Where relative paths of the scp file start.
    new_root : path
        Where those of the output start.
    old, new : str or None
        First part of the paths to be replaced, whole folders only, and what comes in its place.
    allow_missing : bool
        Write it though the files are not there, as for another machine.

    Returns
    -------
    dict of str to int
        Numbers of ``entries``, of those ``changed``, and of ``pipes``, which stay as they are.

    Raises
    ------
    UserError
        A file is not where the new path says, or no path begins with ``old``.
    """
    if (old is None) != (new is None):
        raise UserError(
            "--old and --new go together: what paths begin with, and what they are to begin with"
        )
    entries, moved = read_scp(scp), {}
    for key, entry in entries.items():
        moved[key] = (
            entry if is_pipe(entry) else relocated(entry, scp, paths, root, new_root, old, new)
        )
    changed = sum(moved[key] != entry for key, entry in entries.items())
    if old and not any(
        path_and_place(entry)[0].startswith(old.rstrip("/") + "/")
        for entry in entries.values()
        if not is_pipe(entry)
    ):
        raise UserError(
            f"{scp}: no path begins with '{old}/'; the first is '{next(iter(entries.values()), '')}'"
        )
    if not allow_missing:
        refuse_missing(
            moved, scp, new_root if paths == "relative" else root if paths == "kept" else Path(".")
        )
    with atomic_write(output) as file:
        file.writelines(f"{key} {entry}\n" for key, entry in moved.items())
    pipes = sum(map(is_pipe, entries.values()))
    print(
        f"{output}: {len(moved):,} entries, {changed:,} with another path"
        + (f"; {pipes:,} pipes stay as they are" if pipes else "")
    )
    return {"entries": len(moved), "changed": changed, "pipes": pipes}


def is_pipe(entry: str) -> bool:
    """Whether an entry runs a command.

    Parameters
    ----------
    entry : str
        Of an scp file.
    """
    return entry[:1] == "|" or entry[-1:] == "|"


def path_and_place(entry: str) -> tuple[str, str]:
    """The file of an entry, and the offset and range behind it; either may be missing.

    Parameters
    ----------
    entry : str
        Of an scp file, no pipe.
    """
    end = entry.rfind("[") if entry[-1:] == "]" else -1
    end = end if end > 0 else len(entry)
    path, _, digits = entry[:end].rpartition(":")
    end = len(path) if path and digits.isascii() and digits.isdigit() else end
    return entry[:end], entry[end:]


def relocated(
    entry: str,
    scp: Path,
    paths: Paths,
    root: Path,
    new_root: Path,
    old: str | None,
    new: str | None,
) -> str:
    """An entry with another path.

    Parameters
    ----------
    entry : str
        ``file``, ``file:offset``, perhaps with a range.
    scp, paths, root, new_root, old, new
        As of `relocate_scp`.
    """
    path, place = path_and_place(entry)
    if old is not None and path.startswith(old.rstrip("/") + "/"):
        path = new.rstrip("/") + path[len(old.rstrip("/")) :]
    if paths == "kept":
        return path + place
    here = (
        os.path.join(scp.parent, os.path.basename(path))
        if paths == "beside"
        else os.path.join(root, path)
    )
    if paths == "absolute":
        here = os.path.abspath(here)
    elif paths == "relative":
        here = os.path.relpath(here, new_root)
    return os.path.normpath(here) + place


def refuse_missing(entries: dict[str, str], scp: Path, start: Path) -> None:
    """Name the first file that is not there.

    Parameters
    ----------
    entries : dict of str to str
        Key -> entry.
    scp : path
        For messages.
    start : path
        Where relative paths start.

    Raises
    ------
    UserError
        There is one.
    """
    file_of: dict[str, str] = {}
    for key, entry in entries.items():
        if not is_pipe(entry):
            file_of.setdefault(path_and_place(entry)[0], key)
    missing = [path for path in file_of if not os.path.isfile(os.path.join(start, path))]
    if missing:
        raise UserError(
            f"{scp}: '{missing[0]}' of key '{file_of[missing[0]]}' would not be there ({len(missing):,} of {len(file_of):,} files); "
            "correct --root, --old and --new, or say --allow-missing"
        )
