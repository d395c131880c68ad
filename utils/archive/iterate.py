"""Kaldi archives and scp files from their first entry to their last."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from utils.archive.objects import (
    Buffer,
    MalformedObject,
    decode_integer,
    decode_object,
    end_of_match,
)
from utils.archive.ranges import rows_and_columns
from utils.archive.read import (
    KEY,
    entry_and_range,
    located,
    map_file,
    read_object,
    read_scp,
    split_entry,
)

_REST = re.compile(rb"[ \t\r\n]*")


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
    for key, array, _ in iterate_places(path):
        yield key, array


def read_integers(path: str | Path) -> dict[str, int]:
    """A table of whole numbers such as ``num_utts.ark``, text or binary.

    Parameters
    ----------
    path : path
        Archive.

    Raises
    ------
    UserError
        As `iterate_archive`, and an entry that is no whole number.
    """
    return {key: value for key, value, _ in iterate_places(path, decode_integer)}


def iterate_places(
    path: str | Path, decode: Callable[[Buffer, int], tuple[Any, int]] = decode_object
) -> Iterator[tuple[str, Any, int]]:
    """Every entry of an archive, and the offset that an scp file would give it.

    Parameters
    ----------
    path : path
        Archive.
    decode : callable
        (buffer, start) -> (object, end), `decode_object` or its like.

    Yields
    ------
    key, array, offset : str, ndarray, int
        As `iterate_archive`.
    """
    buffer = map_file(path)
    position, key = 0, ""
    seen: set[str] = set()
    while match := KEY.match(buffer, position):
        good = key
        with located(path, match.start(1), "", good):
            key = _readable(match.group(1), key)
        with located(path, match.end(), key, good):
            if key in seen:
                raise MalformedObject("this key stands twice in the archive")
            array, position = decode(buffer, match.end())
        seen.add(key)
        yield key, array, match.end()
    if end_of_match(_REST, buffer, position) != len(buffer):
        with located(path, position, "", key):
            raise MalformedObject(
                f"truncated or damaged: found {buffer[position : position + 20]!r}, expected a key and a blank"
            )


def iterate_scp(
    path: str | Path, *, allow_renamed: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
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
    yield from iterate_entries(read_scp(path), allow_renamed=allow_renamed)


def iterate_entries(
    entries: Mapping[str, str], *, allow_renamed: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """As `iterate_scp`, of some entries of an scp file.

    Parameters
    ----------
    entries : mapping of str to str
        Key -> entry, from `read_scp`.
    allow_renamed : bool
        As of `iterate_scp`.
    """
    mapped: str | None = None
    good = ""
    buffer: Buffer = b""
    for key, entry in entries.items():
        place, wanted = entry_and_range(entry, key)
        file, offset = split_entry(place, key)
        if offset is None:
            yield key, read_object(entry, key=key)
            continue
        if file != mapped:
            mapped, buffer = file, map_file(file, key)
        with located(file, offset, key, good):
            array, _ = decode_object(buffer, offset)
            name = key.encode()
            before = buffer[max(0, offset - len(name) - 1) : offset]
            if offset and not allow_renamed and before not in (name + b" ", name + b"\t"):
                raise MalformedObject(
                    f"wrong offset: {before!r} stands before it in the archive, expected the key and a blank"
                )
            if wanted:
                array = rows_and_columns(array, wanted)
        good = key
        yield key, array


def _readable(key: bytes, previous: str) -> str:
    text = key.decode("utf-8", "replace")
    if "\ufffd" in text or not text.isprintable():
        damaged = (
            f"the entry of '{previous}' or what follows it is damaged"
            if previous
            else "this is no archive"
        )
        raise MalformedObject(f"found {key[:20]!r}, expected a key and a blank; {damaged}")
    return text
