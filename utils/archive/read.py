"""Kaldi archives and scp files: single objects.

Every defect is one line that names file, key and offset.  No pipe is ever run.
"""

import mmap
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from utils.archive.objects import Buffer, MalformedObject, decode_object, decode_wave
from utils.archive.ranges import Range, split_range, take_range
from utils.errors import UserError
from utils.files import refuse_byte_order_mark

KEY = re.compile(rb"[ \t\r\n]*([^ \t\r\n]{1,4096})(?:[ \t]|(?=\n))")
_BLANKS = re.compile(rb"[ \t]+")
_OBJECT = re.compile(rb"\0B|RIFF|[ \t]*\[")  # how most objects begin


def read_scp(path: str | Path) -> dict[str, str]:
    """Read an scp file.

    Parameters
    ----------
    path : path
        Lines ``<key> <entry>``, UTF-8, LF; as in Kaldi, blanks and tabs around the entry are not
        part of it, those inside it are.

    Returns
    -------
    dict of str to str
        Key -> entry, in the file's order: ``file``, ``file:offset``, or whatever else is there.

    Raises
    ------
    UserError
        No such file, a byte order mark, or a line that is not UTF-8, ends with CR LF, has no
        entry, or repeats a key.
    """
    content = map_file(path)[:]
    refuse_byte_order_mark(path, content)
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    entries: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
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
                f"{path}:{number}: the line ends with CR LF, expected LF; "
                f"convert the file: sed -i 's/\\r$//' {shlex.quote(str(path))}"
            )
        if key in entries:
            raise UserError(
                f"{path}:{number}: duplicate key '{key}': "
                f"with '{entries[key]}' and '{entry}'; keep one"
            )
        entries[key] = entry
    return entries


def read_object(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one vector, matrix or wave.

    Parameters
    ----------
    entry : str or path
        ``file.ark:offset`` as in an scp file, possibly with one of Kaldi's ranges after it
        (utils/archive/ranges.py), or a file that holds one object, like ``mean.vec``.
    key : str
        Named in errors.

    Returns
    -------
    (D,) or (R, C) array
        float32 or float64 as stored; float64 from text between brackets; float32 from a compressed
        matrix; int32; int16 samples of a wave.

    Raises
    ------
    UserError
        A pipe, no such file, nothing readable there, or a range of rows that do not exist.
    """
    location, wanted = entry_and_range(entry, key)
    path, offset = split_entry(location, key)
    buffer = map_file(path, key)
    with locate_errors(path, offset or 0, key):
        _refuse_archive(buffer, offset, path)
        array, end = decode_object(buffer, offset or 0)
        if offset is None and end != len(buffer):
            raise MalformedObject(
                f"{len(buffer) - end:,} bytes follow the object, expected the end of the file; "
                "an archive needs its offset"
            )
        return take_range(array, wanted) if wanted else array


def entry_and_range(entry: str | Path, key: str = "") -> tuple[str, Range | None]:
    """Split an entry of an scp file into ``file`` or ``file:offset`` and its range, or None."""
    try:
        return split_range(str(entry))
    except MalformedObject as error:
        raise UserError(f"{_key_prefix(key)}'{entry}': {error}") from None


def read_vector(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one vector, float32, float64 or int32, as ``read_object``; refuse anything else.

    Parameters
    ----------
    entry, key : str
        As in ``read_object``.
    """
    array = read_object(entry, key=key)
    if array.ndim != 1 or array.dtype == np.int16:
        _refuse_kind(array, "vector", entry, key)
    return array


def read_matrix(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one matrix, float32 or float64, as ``read_object``; refuse anything else.

    Parameters
    ----------
    entry, key : str
        As in ``read_object``.
    """
    array = read_object(entry, key=key)
    if array.shape == (0,) and array.dtype == np.float64:
        return np.empty((0, 0))  # in text an empty matrix looks like an empty vector
    if array.ndim != 2:
        _refuse_kind(array, "matrix", entry, key)
    return array


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
    with locate_errors(path, offset or 0, key):
        _refuse_archive(buffer, offset, path)
        samples, sample_rate_hz, _ = decode_wave(buffer, offset or 0)
    return samples, sample_rate_hz


def split_entry(entry: str | Path, key: str = "") -> tuple[str, int | None]:
    """Split an scp entry into file and offset; refuse pipes and ranges.

    Parameters
    ----------
    entry : str or path
        ``file`` or ``file:offset``; `utils.archive.read.entry_and_range` splits off a range.
    key : str
        Named in errors.

    Returns
    -------
    path, offset : str, int or None
        None: the whole file is the object.
    """
    entry = str(entry)
    if entry[-1:] == "|" or entry[:1] == "|":
        raise UserError(
            f"{_key_prefix(key)}'{entry}' is a shell pipe and pipes are not run here; "
            "write its output to a file first"
        )
    if entry[-1:] == "]":
        raise UserError(
            f"{_key_prefix(key)}'{entry}' has a range, which cannot be read here: "
            "ranges are for matrices and vectors"
        )
    path, colon, digits = entry.rpartition(":")
    if colon and digits.isascii() and digits.isdigit() and len(digits) < 19:
        return path, int(digits)
    return entry, None


def map_file(path: str | Path, key: str = "") -> Buffer:
    """Map a regular file into memory; errors name ``key``."""
    if not os.path.isfile(path):
        raise UserError(
            f"{path}: {_key_prefix(key)}no such regular file; "
            "relative paths start at the folder where the command runs"
        )
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return b""
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"{path}: {_key_prefix(key)}{error.strerror}") from None


@contextmanager
def locate_errors(path: str | Path, offset: int, key: str, last_good: str = "") -> Iterator[None]:
    """Turn a MalformedObject into a UserError that names file, offset and key.

    ``key`` and ``last_good``, the key of the entry before, may be empty.
    """
    try:
        yield
    except MalformedObject as error:
        before = f"; the last good entry is {last_good!r}" if last_good else ""
        raise UserError(f"{path}:{offset}: {_key_prefix(key)}{error}{before}") from None


def _refuse_archive(buffer: Buffer, offset: int | None, path: str) -> None:
    """Refuse an archive whose scp entry has no offset."""
    if offset is not None or buffer[:2] == b"\0B":  # a binary object may contain any bytes
        return
    match = KEY.match(buffer)
    if match and _OBJECT.match(buffer, match.end()):
        raise MalformedObject(
            "this is an archive, and the entry has no offset, expected <file>:<offset>; "
            f"make an scp file with offsets: python -m utils.archive merge {path} NEW.ark"
        )


def _key_prefix(key: str) -> str:
    return f"key '{key}': " if key else ""


def describe(array: np.ndarray) -> str:
    """Kind and size of an object of an archive, for messages: ``a float32 vector of 512``."""
    if array.dtype == np.int16:
        return f"a wave of {len(array)} samples"
    noun = "matrix" if array.ndim == 2 else "vector"
    return f"a {array.dtype} {noun} of {' x '.join(map(str, array.shape))}"


def _refuse_kind(array: np.ndarray, expected: str, entry: str | Path, key: str) -> None:
    raise UserError(f"{entry}: {_key_prefix(key)}found {describe(array)}, expected a {expected}")
