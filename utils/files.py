"""Files that are whole or not there: written under a temporary name, synced, then renamed."""

import codecs
import errno
import hashlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

from utils.errors import UserError

MARK = codecs.BOM_UTF8
BLANKS = re.compile("[ \t]+")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
UTF16_FOUND = "begins with the byte order mark of UTF-16, expected UTF-8; convert the file, for example with iconv -f UTF-16 -t UTF-8"


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Give a fault of the disk the name of the file that was being written, which a full disk does not tell.

    Parameters
    ----------
    path : path
        The file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Parameters
    ----------
    folder : path
        May be a link to one, on another mount too.

    Raises
    ------
    UserError
        It is something else, or a link to nowhere, as when a disk is not mounted on this host.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        there = Path(error.filename)
        raise UserError(f"{there}: {no_folder(there)}") from None


def no_folder(there: Path) -> str:
    """Why something that is there is not a folder, and what to do.

    Parameters
    ----------
    there : path
        A file, or a link to nowhere.
    """
    if there.is_symlink() and not there.exists():
        return f"a link to {os.readlink(there)}, which is not there: see that its disk is mounted on this host"
    return "a file, expected a folder; move it away, or give another --workdir"


def look_anew(folder: Path) -> None:
    """List a folder, so that files which another host has written are seen: NFS asks its server again about a folder that is opened.

    Parameters
    ----------
    folder : path
        May be missing.
    """
    if folder.is_dir():
        os.listdir(folder)


def wait_until_there(paths: Iterable[Path], seconds: float) -> None:
    """Wait for files that a shared file system may show late.

    Parameters
    ----------
    paths : iterable of path
        Files that another host has written.
    seconds : float
        How long at most.
    """
    deadline = time.monotonic() + seconds
    missing = [path for path in paths if not path.exists()]
    if missing and seconds:
        print(
            f"{missing[0]} is not to be seen: waiting up to {seconds:g} s for the file system",
            file=sys.stderr,
            flush=True,
        )
    while missing and time.monotonic() < deadline:
        time.sleep(min(1.0, seconds / 10))
        for folder in {path.parent for path in missing}:
            look_anew(folder)
        missing = [path for path in missing if not path.exists()]


def temporary_of(path: Path) -> Path:
    """Name that a file has while it is written.

    Parameters
    ----------
    path : path
        Its final name, in the same folder, so that the rename cannot cross a mount.
    """
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a file that appears under its name only when the block ends without an exception.

    Parameters
    ----------
    path : path
        Final name; missing parent folders are made.
    mode : str
        ``"w"`` (UTF-8, LF line ends) or ``"wb"``.

    Yields
    ------
    file object
        Opened on ``.<name>.tmp``.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = temporary_of(path)
    is_text = "b" not in mode
    encoding, newline = ("utf-8", "\n") if is_text else (None, None)
    try:
        with naming(path), open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    publish(temporary, path)


def publish(temporary: Path, path: Path) -> None:
    """Rename a synced temporary file to its final name and sync the folder, so that the name survives a power cut.

    Parameters
    ----------
    temporary, path : path
        In the same folder.
    """
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def half_moved(folder: Path, label: str = "") -> Path:
    """Where `move_aside` gathers what it moves: there only while it is at it, or after its death.

    Parameters
    ----------
    folder : path
        Where the output lies.
    label : str
        Tells apart those who may be at work in one folder at the same time.
    """
    return folder / f".old{label}.tmp"


def move_aside(folder: Path, names: Iterable[str], label: str = "") -> Path:
    """Move old output out of the way, never over anything: into the first free ``old.K`` beside it, which appears whole.

    What a death left in between is in `half_moved`: called again, it goes on there.

    Parameters
    ----------
    folder : path
        Where the output lies.
    names : iterable of str
        Files and folders, relative to it; those that are missing are passed over.
    label : str
        As of `half_moved`.

    Returns
    -------
    path
        The folder that holds them now, under the same names.

    Raises
    ------
    UserError
        One of them lies on another mount, behind a link, so that no rename can move it; nothing was moved.
    """
    present = [name for name in names if (folder / name).exists()]
    elsewhere = next(
        (
            folder / name
            for name in present
            if (folder / name).lstat().st_dev != folder.stat().st_dev
        ),
        None,
    )
    if elsewhere:
        raise UserError(
            f"{elsewhere}: lies on another mount than {folder} and cannot be renamed into it; move {elsewhere.parent} away yourself, put "
            "an empty folder or link in its place and run the same command again"
        )
    gathered = half_moved(folder, label)
    for name in present:
        (gathered / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, gathered / name)
    while True:
        aside = next(path for k in count(1) if not (path := folder / f"old.{k}").exists())
        try:
            publish(gathered, aside)
            return aside
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # else another job has taken that name just now
                raise


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits.

    Parameters
    ----------
    path : path
        Any regular file.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_lines(path: str | Path) -> list[str]:
    """Lines of a UTF-8 text file without their ends, which are LF alone: whatever else Unicode takes for a line's end is part of a line.

    Parameters
    ----------
    path : path
        Text file.

    Raises
    ------
    UserError
        The file is missing, not UTF-8, or begins with a byte order mark.
    """
    content = _content_of(path)
    refuse_mark(path, content)
    return _lines_of(path, content)


def read_foreign_lines(path: str | Path) -> list[str]:
    """Lines of a text file from elsewhere: as `read_lines`, but a byte order mark is passed over, and CR LF ends a line too.

    Parameters
    ----------
    path : path
        Such as a list that came with a corpus.

    Raises
    ------
    UserError
        The file is missing or not UTF-8.
    """
    content = _content_of(path)
    if not content.startswith(MARK):
        refuse_mark(path, content)
    lines = _lines_of(path, content.removeprefix(MARK))
    return [line.removesuffix("\r") for line in lines]


def _content_of(path: str | Path) -> bytes:
    """The bytes of a list."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def _lines_of(path: str | Path, content: bytes) -> list[str]:
    """The lines of a list without their ends."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; lists are UTF-8 text: convert it, for example with iconv"
        ) from None
    return text.removesuffix("\n").split("\n") if text else []


def words_of(line: str, splits: int = 0) -> list[str]:
    """The words of a line, between which blanks and tabs stand; none of an empty line.

    Parameters
    ----------
    line : str
        Blanks, tabs and a CR at its ends do not count.
    splits : int
        How often to split at most: the last word is then the rest of the line; 0: everywhere.
    """
    text = line.strip(" \t\r")
    return BLANKS.split(text, splits) if text else []


def refuse_mark(path: str | Path, content: bytes) -> None:
    """Refuse a file that begins with a byte order mark, which an editor wrote: nobody sees it, and it would be part of the first id.

    Parameters
    ----------
    path : path
        For the message.
    content : bytes
        Its beginning, or all of it.

    Raises
    ------
    UserError
        Says how to take the mark away.
    """
    if content.startswith(MARK):
        raise UserError(
            f"{path}: begins with a byte order mark; take it away: {without_mark(path)}"
        )
    if content.startswith(UTF16_MARKS):
        raise UserError(f"{path}: {UTF16_FOUND}")


def without_mark(path: str | Path) -> str:
    """The command that takes a byte order mark away.

    Parameters
    ----------
    path : path
        File.
    """
    return rf"sed -i '1s/^\xEF\xBB\xBF//' {shlex.quote(str(path))}"


def read_json(path: str | Path) -> Any:
    """The value that a JSON file holds.

    Parameters
    ----------
    path : path
        UTF-8 file.

    Raises
    ------
    FileNotFoundError
        It is missing.
    ValueError
        It is not UTF-8, no JSON, or nested too deeply.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json_object(
    path: str | Path,
    parts: Mapping[str, type | tuple[type, ...]] | None = None,
    what: str = "a JSON object",
    mend: str = "have the step that writes it do so again",
) -> dict:
    """A JSON object that a step of ours has written.

    Parameters
    ----------
    path : path
        UTF-8 file.
    parts : mapping of str to type or None
        What it holds at least.
    what, mend : str
        What it is, and what to do where it is not, for the message.

    Raises
    ------
    FileNotFoundError
        It is missing.
    UserError
        It is something else.
    """
    try:
        found = read_json(path)
        if not isinstance(found, dict):
            raise ValueError("something else than an object")
        for name, kind in (parts or {}).items():
            if not isinstance(found.get(name), kind) or (
                kind is int and isinstance(found[name], bool)
            ):
                raise ValueError(
                    f"'{name}' is {json.dumps(found[name])[:40]}"
                    if name in found
                    else f"no '{name}'"
                )
    except ValueError as error:
        raise UserError(f"{path}: not {what} ({error}); {mend}") from None
    return found


def write_json(path: Path, rows: Iterable[dict]) -> None:
    """Write a list of objects, one on each line.

    Parameters
    ----------
    path : path
        Output.
    rows : iterable of dict
        JSON values.
    """
    with atomic_write(path) as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def read_entries(path: Path) -> list[dict]:
    """Objects of a JSON list, or of a file with one on each line; none where the file is missing.

    Parameters
    ----------
    path : path
        ``.json`` or ``.jsonl``.

    Raises
    ------
    UserError
        It is no such list.
    """
    if not path.exists():
        return []
    try:
        entries = (
            [json.loads(line) for line in read_lines(path)]
            if path.suffix == ".jsonl"
            else read_json(path)
        )
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("something else than objects")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not a list of JSON objects ({error}); have the step that writes it do so again"
        ) from None
    return entries
