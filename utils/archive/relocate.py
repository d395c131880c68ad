"""Rewrite the paths of scp files after a folder was moved or copied: command ``relocate``."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.archive.read import read_scp
from utils.errors import UserError, WrongArguments
from utils.files import atomic_write

Paths = Literal["kept", "absolute", "relative", "beside"]


@dataclass(frozen=True)
class Relocation:
    """How the paths of an scp file change; utils/archive/__main__.py describes the options.

    Relative paths of the scp file start at ``root``, those of the output at ``new_root``.  ``old``
    is the first part of the paths to be replaced by ``new``.
    """

    paths: Paths = "absolute"
    root: Path = Path(".")
    new_root: Path = Path(".")
    old: str | None = None
    new: str | None = None

    def __post_init__(self):
        if (self.old is None) != (self.new is None):
            raise WrongArguments(
                "--old and --new go together: "
                "the first part of the paths, and the path that replaces it"
            )

    @property
    def start(self) -> Path:
        """Where relative paths of the output start."""
        starts = {"relative": self.new_root, "kept": self.root}
        return starts.get(self.paths, Path("."))


def relocate_scp(
    scp: Path, output: Path, relocation: Relocation, *, allow_missing: bool = False
) -> dict[str, int]:
    """Rewrite the paths of an scp file; offsets, ranges and pipes stay.

    Returns the numbers of ``entries``, of those ``changed``, and of ``pipes``.  UserError if a file
    does not exist at its new path, or no path begins with ``relocation.old``.
    """
    entries = read_scp(scp)
    pipes = sum(map(_is_pipe, entries.values()))
    changed = 0
    moved = {}
    for key, entry in entries.items():
        moved[key] = entry if _is_pipe(entry) else relocate_entry(entry, scp, relocation)
        changed += moved[key] != entry
    old = relocation.old
    if old and not any(_is_below(entry, old) for entry in entries.values()):
        first = next(iter(entries.values()), "")
        raise UserError(f"{scp}: no path begins with '{old}/'; the first is '{first}'")
    if not allow_missing:
        _refuse_missing(moved, scp, relocation.start)
    with atomic_write(output) as file:
        file.writelines(f"{key} {entry}\n" for key, entry in moved.items())
    summary = f"{output}: {len(moved):,} entries, {changed:,} with another path"
    if pipes:
        summary += f"; {pipes:,} pipes unchanged"
    print(summary)
    return {"entries": len(moved), "changed": changed, "pipes": pipes}


def _is_below(entry: str, folder: str) -> bool:
    """Whether the path of an entry, if it has one, is below a folder."""
    return not _is_pipe(entry) and _split_path(entry)[0].startswith(folder.rstrip("/") + "/")


def _is_pipe(entry: str) -> bool:
    return entry[:1] == "|" or entry[-1:] == "|"


def _split_path(entry: str) -> tuple[str, str]:
    """Split an entry into its path and the offset and range after it; either may be missing."""
    end = len(entry)
    if entry[-1:] == "]" and entry.rfind("[") > 0:
        end = entry.rfind("[")
    path, _, digits = entry[:end].rpartition(":")
    if path and digits.isascii() and digits.isdigit():
        end = len(path)
    return entry[:end], entry[end:]


def relocate_entry(entry: str, scp: Path, relocation: Relocation) -> str:
    """An entry of ``scp`` (``file`` or ``file:offset``, possibly a range) with another path."""
    path, suffix = _split_path(entry)
    if relocation.old is not None and relocation.new is not None:
        old = relocation.old.rstrip("/")
        if path.startswith(old + "/"):
            path = relocation.new.rstrip("/") + path[len(old) :]
    if relocation.paths == "kept":
        return path + suffix
    if relocation.paths == "beside":
        path = os.path.join(scp.parent, os.path.basename(path))
    else:
        path = os.path.join(relocation.root, path)
    if relocation.paths == "absolute":
        path = os.path.abspath(path)
    elif relocation.paths == "relative":
        path = os.path.relpath(path, relocation.new_root)
    return os.path.normpath(path) + suffix


def _refuse_missing(entries: dict[str, str], scp: Path, start: Path) -> None:
    """Raise UserError if files do not exist, with the first of them."""
    first_keys: dict[str, str] = {}
    for key, entry in entries.items():
        if not _is_pipe(entry):
            first_keys.setdefault(_split_path(entry)[0], key)
    missing = [path for path in first_keys if not os.path.isfile(os.path.join(start, path))]
    if missing:
        raise UserError(
            f"{scp}: '{missing[0]}' of key '{first_keys[missing[0]]}' does not exist "
            f"({len(missing):,} of {len(first_keys):,} files are missing); "
            "correct --root, --old and --new, or give --allow-missing"
        )
