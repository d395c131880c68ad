"""Kaldi archives and scp files, read: every fault is one line that names file, key and offset.  No pipe is ever run."""

import mmap
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from utils.archive.objects import Buffer, MalformedObject, decode_object, decode_wave
from utils.archive.ranges import Range, rows_and_columns, split_range
from utils.errors import UserError
from utils.files import refuse_mark

KEY = re.compile(rb"[ \t\r\n]*([^ \t\r\n]{1,4096})(?:[ \t]|(?=\n))")
_BLANKS = re.compile(rb"[ \t]+")
_OBJECT = re.compile(rb"\0B|RIFF|[ \t]*\[")  # how most of them begin


def read_scp(path: str | Path) -> dict[str, str]:
    """Read an scp file.

    Parameters
    ----------
    path : path
        Lines ``<key> <entry>``, UTF-8, LF; blanks and tabs around the entry are not part of it, as for Kaldi, those inside it are.

    Returns
    -------
    dict of str to str
        Entry of each key, in the file's order: ``file``, ``file:offset``, or whatever else stands there.

    Raises
    ------
    UserError
        No such file; it begins with a byte order mark; a line is not UTF-8, ends with CR LF, has no entry, or repeats a key.
    """
    content = map_file(path)[:]
    refuse_mark(path, content)
    entries: dict[str, str] = {}
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1):
        fields = _BLANKS.split(line.strip(b" \t"), 1)
        try:
            key, entry = fields[0].decode(), fields[1].decode()
        except IndexError:
            raise UserError(
                f"{path}:{number}: found {line[:80]!r}, expected 2 fields: <key> <file>:<offset>"
            ) from None
        except UnicodeDecodeError:
            raise UserError(f"{path}:{number}: found {line[:80]!r}, expected UTF-8 text") from None
        if entry.endswith("\r"):
            raise UserError(
                f"{path}:{number}: the line ends with CR LF, expected LF; convert the file: sed -i 's/\\r$//' {shlex.quote(str(path))}"
            )
        if key in entries:
            raise UserError(
                f"{path}:{number}: key '{key}' stands twice: with '{entries[key]}' and '{entry}'; keep one"
            )
        entries[key] = entry
    return entries


def read_object(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one vector, matrix or wave.

    Parameters
    ----------
    entry : str or path
        ``file.ark:offset`` as in an scp file, perhaps with Kaldi's range of rows and columns behind it (utils/archive/ranges.py), or a file that
        holds one object, like ``mean.vec``.
    key : str
        Named in errors.

    Returns
    -------
    (D,) or (R, C) array
        float32 or float64 as stored; float64 from text between brackets; float32 from a compressed matrix; int32; int16 samples of a wave.

    Raises
    ------
    UserError
        A pipe, no such file, nothing readable at that place, or a range of rows that are not there.
    """
    place, wanted = entry_and_range(entry, key)
    path, offset = split_entry(place, key)
    buffer = map_file(path, key)
    with located(path, offset or 0, key):
        _refuse_archive(buffer, offset, path)
        array, end = decode_object(buffer, offset or 0)
        if offset is None and end != len(buffer):
            raise MalformedObject(
                f"{len(buffer) - end:,} bytes follow the object, expected the end of the file; an archive needs its offset"
            )
        return rows_and_columns(array, wanted) if wanted else array


def entry_and_range(entry: str | Path, key: str = "") -> tuple[str, Range | None]:
    """An entry of an scp file without its range, and the range, or None.

    Parameters
    ----------
    entry : str or path
        ``file`` or ``file:offset``, perhaps with a range.
    key : str
        Named in errors.

    Raises
    ------
    UserError
        There is no range before its last bracket.
    """
    try:
        return split_range(str(entry))
    except MalformedObject as fault:
        raise UserError(f"{_name(key)}'{entry}': {fault}") from None


def read_vector(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one vector: float32, float64 or int32.  As ``read_object``, and anything else is a UserError.

    Parameters
    ----------
    entry, key : str
        As in ``read_object``.
    """
    return _expect(read_object(entry, key=key), 1, entry, key)


def read_matrix(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one matrix: float32 or float64.  As ``read_object``, and anything else is a UserError.

    Parameters
    ----------
    entry, key : str
        As in ``read_object``.
    """
    array = read_object(entry, key=key)
    # text writes an empty matrix as it does an empty vector
    return (
        np.empty((0, 0))
        if array.shape == (0,) and array.dtype == np.float64
        else _expect(array, 2, entry, key)
    )


def read_wave(entry: str | Path, *, key: str = "") -> tuple[np.ndarray, int]:
    """Read one 16-bit one-channel PCM wave.

    Parameters
    ----------
    entry, key : str
        As in ``read_object``.

    Returns
    -------
    samples, sample_rate_hz : (n,) int16 array, int

    Raises
    ------
    UserError
        As ``read_object``, and a wave of another kind.
    """
    path, offset = split_entry(entry, key)
    buffer = map_file(path, key)
    with located(path, offset or 0, key):
        _refuse_archive(buffer, offset, path)
        samples, sample_rate_hz, _ = decode_wave(buffer, offset or 0)
    return samples, sample_rate_hz


def split_entry(entry: str | Path, key: str = "") -> tuple[str, int | None]:
    """File and offset (None: the file is the object) of an scp entry; pipes and ranges are refused (`entry_and_range` takes a range off).

    Parameters
    ----------
    entry : str or path
        ``file`` or ``file:offset``.
    key : str
        Named in errors.
    """
    entry = str(entry)
    if entry[-1:] == "|" or entry[:1] == "|":
        raise UserError(
            f"{_name(key)}'{entry}' is a shell pipe and pipes are not run here; write its output to a file first"
        )
    if entry[-1:] == "]":
        raise UserError(
            f"{_name(key)}'{entry}' has a range, which cannot be read here: ranges are for matrices and vectors"
        )
    path, colon, digits = entry.rpartition(":")
    if colon and digits.isascii() and digits.isdigit() and len(digits) < 19:
        return path, int(digits)
    return entry, None


def map_file(path: str | Path, key: str = "") -> Buffer:
    """Content of a regular file; only what is touched is read.

    Parameters
    ----------
    path : path
        File to map into memory.
    key : str
        Named in errors.
    """
    if not os.path.isfile(path):
        raise UserError(
            f"{path}: {_name(key)}no such regular file; relative paths start at the folder where the command runs"
        )
    try:
        with open(path, "rb") as file:
            return (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if os.fstat(file.fileno()).st_size
                else b""
            )
    except OSError as error:
        raise UserError(f"{path}: {_name(key)}{error.strerror}") from None


@contextmanager
def located(path: str | Path, offset: int, key: str, last_good: str = "") -> Iterator[None]:
    """Say of a malformed object where it is, and which entry before it could be read.

    Parameters
    ----------
    path : path
        File.
    offset : int
        Place in it.
    key : str
        What should be there; empty: not known.
    last_good : str
        Key of the entry before; empty: there is none.
    """
    try:
        yield
    except MalformedObject as fault:
        raise UserError(
            f"{path}:{offset}: {_name(key)}{fault}{f'; the last good entry is {last_good!r}' if last_good else ''}"
        ) from None


def _refuse_archive(buffer: Buffer, offset: int | None, path: str) -> None:
    """Say what is wrong with an scp entry that has lost its offset."""
    if offset is not None or buffer[:2] == b"\0B":  # a binary object has any bytes in it
        return
    match = KEY.match(buffer)
    if match and _OBJECT.match(buffer, match.end()):
        raise MalformedObject(
            "this is an archive, and the entry has no offset in it, expected <file>:<offset>; make an scp file that has them: "
            f"python -m utils.archive merge {path} NEW.ark"
        )


def _name(key: str) -> str:
    return f"key '{key}': " if key else ""


def describe(array: np.ndarray) -> str:
    """Kind and size of what an archive holds, for people.

    Parameters
    ----------
    array : ndarray
        As ``read_object`` returns it.
    """
    if array.dtype == np.int16:
        return f"a wave of {len(array)} samples"
    return f"a {array.dtype} {'matrix' if array.ndim == 2 else 'vector'} of {' x '.join(map(str, array.shape))}"


def _expect(array: np.ndarray, ndim: int, entry: str | Path, key: str) -> np.ndarray:
    if array.ndim != ndim or array.dtype == np.int16:
        raise UserError(
            f"{entry}: {_name(key)}found {describe(array)}, expected a {'vector' if ndim == 1 else 'matrix'}"
        )
    return array
