"""Kaldi archives and scp files, read: every fault is one line that names file, key and offset.  No pipe is ever run."""

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from utils.archive_objects import Buffer, MalformedObject, decode_object, decode_wave
from utils.errors import UserError

_KEY = re.compile(rb"[ \t\r\n]*([^ \t\r\n]{1,4096})(?:[ \t]|(?=\n))")
_REST = re.compile(rb"[ \t\r\n]*")


def read_scp(path: str | Path) -> dict[str, str]:
    """Read an scp file.

    Parameters
    ----------
    path : path
        Lines ``<key> <entry>``, UTF-8, LF.

    Returns
    -------
    dict of str to str
        Entry of each key, in the file's order: ``file``, ``file:offset``, or whatever else stands there.

    Raises
    ------
    UserError
        No such file; a line is not UTF-8, ends with CR LF, has no entry, or repeats a key.
    """
    content = map_file(path)[:]
    entries = {}
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1):
        fields = line.split(None, 1)
        try:
            key, entry = fields[0].decode(), fields[1].rstrip(b" \t").decode()
        except IndexError:
            raise UserError(f"{path}:{number}: found {line[:80]!r}, expected 2 fields: <key> <file>:<offset>") from None
        except UnicodeDecodeError:
            raise UserError(f"{path}:{number}: found {line[:80]!r}, expected UTF-8 text") from None
        if entry.endswith("\r"):
            raise UserError(f"{path}:{number}: the line ends with CR LF, expected LF; convert the file (sed -i 's/\\r$//')")
        if key in entries:
            raise UserError(f"{path}:{number}: key '{key}' stands twice: with '{entries[key]}' and '{entry}'; keep one")
        entries[key] = entry
    return entries


def read_object(entry: str | Path, *, key: str = "") -> np.ndarray:
    """Read one vector, matrix or wave.

    Parameters
    ----------
    entry : str or path
        ``file.ark:offset`` as in an scp file, or a file that holds one object, like ``mean.vec``.
    key : str
        Named in errors.

    Returns
    -------
    (D,) or (R, C) array
        float32 or float64 as stored; float64 from text between brackets; float32 from a compressed matrix; int32; int16 samples of a wave.

    Raises
    ------
    UserError
        A pipe, a range, no such file, or nothing readable at that place.
    """
    path, offset = split_entry(entry, key)
    buffer = map_file(path, key)
    with _located(path, offset or 0, key):
        array, end = decode_object(buffer, offset or 0)
        if offset is None and end != len(buffer):
            raise MalformedObject(f"{len(buffer) - end:,} bytes follow the object, expected the end of the file; an archive needs its offset")
    return array


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
    return np.empty((0, 0)) if array.shape == (0,) and array.dtype == np.float64 else _expect(array, 2, entry, key)


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
    with _located(path, offset or 0, key):
        samples, sample_rate_hz, _ = decode_wave(buffer, offset or 0)
    return samples, sample_rate_hz


def iterate_archive(path: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every entry of an archive in its order, binary or text, without an scp file.

    Parameters
    ----------
    path : path
        Archive.

    Yields
    ------
    key, array : str, ndarray
        As ``read_object`` returns it.

    Raises
    ------
    UserError
        Truncated, damaged, or a key stands twice.
    """
    buffer, position, seen, key = map_file(path), 0, set(), ""
    while match := _KEY.match(buffer, position):
        with _located(path, match.start(1), ""):
            key = _readable(match.group(1), key)
        with _located(path, match.end(), key):
            if key in seen:
                raise MalformedObject("this key stands twice in the archive")
            array, position = decode_object(buffer, match.end())
        seen.add(key)
        yield key, array
    if _REST.match(buffer, position).end() != len(buffer):
        found = f"{buffer[position : position + 20]!r}{f' behind the entry of key {key!r}' if key else ''}"
        raise UserError(f"{path}:{position}: truncated or damaged: found {found}, expected a key and a blank")


def iterate_scp(path: str | Path, *, allow_renamed: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Every entry that an scp file lists, in its order.

    Parameters
    ----------
    path : path
        scp file.
    allow_renamed : bool
        Take an archive's entry whose key in the archive differs from the scp's; otherwise that is a wrong offset.

    Yields
    ------
    key, array : str, ndarray
        As ``read_object`` returns it.

    Raises
    ------
    UserError
        As ``read_scp`` and ``read_object``, and a differing key.
    """
    mapped, buffer = None, b""
    for key, entry in read_scp(path).items():
        file, offset = split_entry(entry, key)
        if offset is None:
            yield key, read_object(entry, key=key)
            continue
        if file != mapped:
            mapped, buffer = file, map_file(file, key)
        with _located(file, offset, key):
            array, _ = decode_object(buffer, offset)
            name = key.encode()
            before = buffer[max(0, offset - len(name) - 1) : offset]
            if offset and not allow_renamed and before not in (name + b" ", name + b"\t"):
                raise MalformedObject(f"wrong offset: {before!r} stands before it in the archive, expected the key and a blank")
        yield key, array


def split_entry(entry: str | Path, key: str = "") -> tuple[str, int | None]:
    """File and offset (None: the file is the object) of an scp entry; pipes and ranges are refused.

    Parameters
    ----------
    entry : str or path
        ``file`` or ``file:offset``.
    key : str
        Named in errors.
    """
    entry = str(entry)
    if entry[-1:] == "|" or entry[:1] == "|":
        raise UserError(f"{_name(key)}'{entry}' is a shell pipe and pipes are not run here; write its output to a file first")
    if entry[-1:] == "]":
        raise UserError(f"{_name(key)}'{entry}' has a range specifier, which is not supported; copy the rows that you want")
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
        raise UserError(f"{path}: {_name(key)}no such regular file; relative paths start at the folder where the command runs")
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
    except OSError as error:
        raise UserError(f"{path}: {_name(key)}{error.strerror}") from None


@contextmanager
def _located(path: str | Path, offset: int, key: str) -> Iterator[None]:
    try:
        yield
    except MalformedObject as fault:
        raise UserError(f"{path}:{offset}: {_name(key)}{fault}") from None


def _name(key: str) -> str:
    return f"key '{key}': " if key else ""


def _readable(key: bytes, previous: str) -> str:
    text = key.decode("utf-8", "replace")
    if "\ufffd" in text or not text.isprintable():
        damaged = f"the entry of key '{previous}' is damaged" if previous else "this is no archive"
        raise MalformedObject(f"found {key[:20]!r}, expected a key and a blank; {damaged}")
    return text


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
        raise UserError(f"{entry}: {_name(key)}found {describe(array)}, expected a {'vector' if ndim == 1 else 'matrix'}")
    return array
