"""Atomic writes: temporary name, fsync, rename.  Readers of lists and of JSON."""

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
UTF16_MESSAGE = (
    "begins with the byte order mark of UTF-16, expected UTF-8; "
    "convert the file, for example with iconv -f UTF-16 -t UTF-8"
)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Add the path to an OSError that has none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises
    ------
    UserError
        A file stands in the way, or a link to a missing target, such as a disk that is not mounted.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        path = Path(error.filename)
        raise UserError(f"{path}: {describe_no_folder(path)}") from None


def describe_no_folder(path: Path) -> str:
    """Why an existing path is not a folder, and what to do."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        return f"a link to {target}, which does not exist; check that its disk is mounted here"
    return "a file, expected a folder; move it away, or give another --workdir"


def refresh_listing(folder: Path) -> None:
    """List a folder: NFS then asks its server for files that another host has written."""
    if folder.is_dir():
        os.listdir(folder)


def wait_until_visible(paths: Iterable[Path], seconds: float) -> None:
    """Wait for files of another host, which a shared file system may show late."""
    deadline = time.monotonic() + seconds
    missing = [path for path in paths if not path.exists()]
    if missing and seconds:
        print(
            f"{missing[0]} is not visible yet: waiting up to {seconds:g} s for the file system",
            file=sys.stderr,
            flush=True,
        )
    while missing and time.monotonic() < deadline:
        time.sleep(min(1.0, seconds / 10))
        for folder in {path.parent for path in missing}:
            refresh_listing(folder)
        missing = [path for path in missing if not path.exists()]


def temporary_path(path: Path) -> Path:
    """The temporary name of a file; in the same folder, so that the rename stays on one mount."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def atomic_write(path: str | Path, mode: str = "w", *, private: bool = False) -> Iterator[IO]:
    """Open a file that appears under its name only when the block ends without an exception.

    Parameters
    ----------
    path : path
        Final name; missing parent folders are created.
    mode : str
        ``"w"`` (UTF-8, LF line ends) or ``"wb"``.
    private : bool
        Only its owner may read it, from the first byte on.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = temporary_path(path)
    encoding = newline = opener = None
    if "b" not in mode:
        encoding, newline = "utf-8", "\n"
    if private:
        temporary.unlink(missing_ok=True)  # it would keep its own mode
        opener = _open_private
    try:
        with (
            naming(path),
            open(temporary, mode, encoding=encoding, newline=newline, opener=opener) as file,
        ):
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    publish(temporary, path)


def _open_private(path: str, flags: int) -> int:
    """A descriptor of a new file of mode 0600."""
    return os.open(path, flags | os.O_EXCL, 0o600)


def publish(temporary: Path, path: Path) -> None:
    """Rename a synced file within its folder and sync the folder, so that the name survives."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def staging_folder(folder: Path, label: str = "") -> Path:
    """Where `move_aside` collects what it moves; left over only after a crash.

    ``label`` separates processes that may work in one folder at the same time.
    """
    return folder / f".old{label}.tmp"


def move_aside(folder: Path, names: Iterable[str], label: str = "") -> Path:
    """Move old output into the first free ``old.K`` beside it, which appears whole.

    After a crash the next call goes on with what is in `staging_folder`.

    Parameters
    ----------
    folder : path
        Folder of the output.
    names : iterable of str
        Files and folders, relative to it; missing ones are ignored.
    label : str
        As for `staging_folder`.

    Returns
    -------
    path
        The folder that holds them now, under the same names.

    Raises
    ------
    UserError
        One of them lies on another mount, behind a link, and cannot be renamed; nothing was moved.
    """
    present = [name for name in names if (folder / name).exists()]
    device = folder.stat().st_dev
    for name in present:
        if (folder / name).lstat().st_dev != device:
            raise UserError(
                f"{folder / name}: lies on another mount than {folder} and cannot be renamed "
                f"into it; move {(folder / name).parent} away yourself, put an empty folder or "
                "link in its place and run the same command again"
            )
    staging = staging_folder(folder, label)
    for name in present:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, staging / name)
    for number in count(1):
        aside = folder / f"old.{number}"
        if aside.exists():
            continue
        try:
            publish(staging, aside)
            break
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # else another job has just taken this name
                raise
    return aside


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_lines(path: str | Path) -> list[str]:
    """Lines of a UTF-8 text file without their ends; only LF ends a line.

    Raises
    ------
    UserError
        The file is missing, not UTF-8, or begins with a byte order mark.
    """
    content = _read_bytes(path)
    refuse_byte_order_mark(path, content)
    return _split_lines(path, content)


def read_foreign_lines(path: str | Path) -> list[str]:
    """Lines of a foreign list: as `read_lines`, but a byte order mark and CR before LF are ignored.

    Raises
    ------
    UserError
        The file is missing or not UTF-8.
    """
    content = _read_bytes(path)
    if not content.startswith(MARK):
        refuse_byte_order_mark(path, content)
    lines = _split_lines(path, content.removeprefix(MARK))
    return [line.removesuffix("\r") for line in lines]


def _read_bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def _split_lines(path: str | Path, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; lists are UTF-8 text: "
            "convert it, for example with iconv"
        ) from None
    return text.removesuffix("\n").split("\n") if text else []


def split_words(line: str, splits: int = 0) -> list[str]:
    """Words of a line, separated by blanks and tabs; blanks, tabs and a CR at its ends are ignored.

    Parameters
    ----------
    line : str
        May be empty.
    splits : int
        Largest number of splits; the last word is then the rest of the line.  0: no limit.
    """
    text = line.strip(" \t\r")
    if not text:
        return []
    return BLANKS.split(text, splits)


def refuse_byte_order_mark(path: str | Path, content: bytes) -> None:
    """Refuse content that begins with a byte order mark, which would be part of the first id.

    Raises
    ------
    UserError
        With the command that removes the mark.
    """
    if content.startswith(MARK):
        raise UserError(f"{path}: begins with a byte order mark; remove it: {without_mark(path)}")
    if content.startswith(UTF16_MARKS):
        raise UserError(f"{path}: {UTF16_MESSAGE}")


def without_mark(path: str | Path) -> str:
    """The command that removes a byte order mark."""
    return rf"sed -i '1s/^\xEF\xBB\xBF//' {shlex.quote(str(path))}"


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises
    ------
    FileNotFoundError
        It is missing.
    ValueError
        It is not UTF-8, not JSON, or nested too deeply.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json_object(
    path: str | Path,
    parts: Mapping[str, type | tuple[type, ...]] | None = None,
    what: str = "a JSON object",
    remedy: str = "run the step that writes it again",
) -> dict:
    """A JSON object that one of our steps has written.

    Parameters
    ----------
    path : path
        UTF-8 file.
    parts : mapping of str to type or None
        Keys that it must have, and the types of their values.
    what, remedy : str
        For the message: what the file should be, and what to do if it is not.

    Raises
    ------
    FileNotFoundError
        It is missing.
    UserError
        It is something else.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError("not an object")
        for key, kind in (parts or {}).items():
            if key not in content:
                raise ValueError(f"no '{key}'")
            value = content[key]
            is_bool_for_int = kind is int and isinstance(value, bool)
            if not isinstance(value, kind) or is_bool_for_int:
                raise ValueError(f"'{key}' is {json.dumps(value)[:40]}")
    except ValueError as error:
        raise UserError(f"{path}: not {what} ({error}); {remedy}") from None
    return content


def write_json(path: Path, rows: Iterable[dict]) -> None:
    """Write a JSON list with one object per line."""
    with atomic_write(path) as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def read_entries(path: Path) -> list[dict]:
    """Objects of a JSON list or of a ``.jsonl`` file with one per line; none of a missing file.

    Raises
    ------
    UserError
        The file holds something else.
    """
    if not path.exists():
        return []
    try:
        if path.suffix == ".jsonl":
            entries = [json.loads(line) for line in read_lines(path)]
        else:
            entries = read_json(path)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("not a list of objects")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not a list of JSON objects ({error}); run the step that writes it again"
        ) from None
    return entries
