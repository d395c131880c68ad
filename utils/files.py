"""Files that are whole or not there: written under a temporary name, synced, then renamed."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

from utils.errors import UserError


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
        Opened on ``.<name>.tmp`` in the same folder, so that the rename cannot cross a mount.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with naming(path), open(temporary, mode, **text) as file:
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


def move_aside(folder: Path, names: Iterable[str]) -> Path:
    """Move old output out of the way, never over anything: into the first free ``old.K`` beside it.

    Parameters
    ----------
    folder : path
        Where the output lies.
    names : iterable of str
        Files and folders, relative to it; those that are missing are passed over.

    Returns
    -------
    path
        The folder that holds them now, under the same names.
    """
    aside = next(path for k in count(1) if not (path := folder / f"old.{k}").exists())
    for name in names:
        if (folder / name).exists():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / name, aside / name)
    return aside


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
    """Lines of a UTF-8 text file without their ends.

    Parameters
    ----------
    path : path
        Text file.

    Raises
    ------
    UserError
        The file is missing or not UTF-8.
    """
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            text = file.read()
            return text.removesuffix("\n").split("\n") if text else []
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; lists are UTF-8 text") from None
