"""Paths in scp files written anew, after a folder was moved or copied: command ``relocate`` of utils/archive/__main__.py."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.archive.read import read_scp
from utils.errors import UserError
from utils.files import atomic_write

Paths = Literal["kept", "absolute", "relative", "beside"]


@dataclass(frozen=True)
class Relocation:
    """How the paths of an scp file change: as the options of the command say, which utils/archive/__main__.py describes.

    Attributes
    ----------
    paths : str
        ``absolute``, ``relative``, ``beside`` or ``kept``.
    root : path
        Where relative paths of the scp file start.
    new_root : path
        Where those of the output start, if they are to be relative.
    old, new : str or None
        First part of the paths to be replaced, and what comes in its place.
    """

    paths: Paths = "absolute"
    root: Path = Path(".")
    new_root: Path = Path(".")
    old: str | None = None
    new: str | None = None

    def __post_init__(self):
        if (self.old is None) != (self.new is None):
            raise UserError(
                "--old and --new go together: what paths begin with, and what they are to begin with"
            )

    @property
    def start(self) -> Path:
        """Where relative paths of the output start."""
        starts = {"relative": self.new_root, "kept": self.root}
        return starts.get(self.paths, Path("."))


def relocate_scp(
    scp: Path, output: Path, way: Relocation, *, allow_missing: bool = False
) -> dict[str, int]:
    """Write an scp file again with other paths; offsets, ranges and pipes stay.

    Parameters
    ----------
    scp : path
        ``xvector.scp``, ``wav.scp``, ``feats.scp``, ...
    output : path
        Where it goes; the same name again replaces it.
    way : Relocation
        How paths change.
    allow_missing : bool
        Write it though the files are not there, as for another machine.

    Returns
    -------
    dict of str to int
        Numbers of ``entries``, of those ``changed``, and of ``pipes``, which stay as they are.

    Raises
    ------
    UserError
        A file is not where the new path says, or no path begins with ``way.old``.
    """
    entries = read_scp(scp)
    moved = {
        key: entry if is_pipe(entry) else relocated(entry, scp, way)
        for key, entry in entries.items()
    }
    changed = sum(moved[key] != entry for key, entry in entries.items())
    if way.old and not any(_begins_with(entry, way.old) for entry in entries.values()):
        raise UserError(
            f"{scp}: no path begins with '{way.old}/'; the first is '{next(iter(entries.values()), '')}'"
        )
    if not allow_missing:
        refuse_missing(moved, scp, way.start)
    with atomic_write(output) as file:
        file.writelines(f"{key} {entry}\n" for key, entry in moved.items())
    pipes = sum(map(is_pipe, entries.values()))
    print(
        f"{output}: {len(moved):,} entries, {changed:,} with another path"
        + (f"; {pipes:,} pipes stay as they are" if pipes else "")
    )
    return {"entries": len(moved), "changed": changed, "pipes": pipes}


def _begins_with(entry: str, folder: str) -> bool:
    """Whether the path of an entry, if it has one, lies below a folder."""
    return not is_pipe(entry) and path_and_place(entry)[0].startswith(folder.rstrip("/") + "/")


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


def relocated(entry: str, scp: Path, way: Relocation) -> str:
    """An entry with another path.

    Parameters
    ----------
    entry : str
        ``file``, ``file:offset``, perhaps with a range.
    scp : path
        The file that it stands in.
    way : Relocation
        How its path changes.
    """
    path, place = path_and_place(entry)
    if way.old is not None and way.new is not None:
        old = way.old.rstrip("/")
        if path.startswith(old + "/"):
            path = way.new.rstrip("/") + path[len(old) :]
    if way.paths == "kept":
        return path + place
    if way.paths == "beside":
        here = os.path.join(scp.parent, os.path.basename(path))
    else:
        here = os.path.join(way.root, path)
    if way.paths == "absolute":
        here = os.path.abspath(here)
    elif way.paths == "relative":
        here = os.path.relpath(here, way.new_root)
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
