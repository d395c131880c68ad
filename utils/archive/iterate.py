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
    match_end,
)
from utils.archive.ranges import take_range
from utils.archive.read import (
    KEY,
    entry_and_range,
    locate_errors,
    map_file,
    read_object,
    read_scp,
    split_entry,
)

_BLANKS = re.compile(rb"[ \t\r\n]*")


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
        A truncated or damaged entry, or a duplicate key.
    """
    for key, array, _ in iterate_with_offsets(path):
        yield key, array


def read_integers(path: str | Path) -> dict[str, int]:
    """Read a table of integers such as ``num_utts.ark``, text or binary."""
    return {key: value for key, value, _ in iterate_with_offsets(path, decode_integer)}


def iterate_with_offsets(
    path: str | Path, decode: Callable[[Buffer, int], tuple[Any, int]] = decode_object
) -> Iterator[tuple[str, Any, int]]:
    """Key, object and offset of every entry; ``decode`` has the signature of `decode_object`."""
    buffer = map_file(path)
    position, key = 0, ""
    seen: set[str] = set()
    while match := KEY.match(buffer, position):
        last_good = key
        with locate_errors(path, match.start(1), "", last_good):
            key = _decode_key(match.group(1), last_good)
        offset = match.end()
        with locate_errors(path, offset, key, last_good):
            if key in seen:
                raise MalformedObject("duplicate key: it is in the archive twice")
            array, position = decode(buffer, offset)
        seen.add(key)
        yield key, array, offset
    if match_end(_BLANKS, buffer, position) != len(buffer):
        rest = buffer[position : position + 20]
        with locate_errors(path, position, "", key):
            raise MalformedObject(
                f"truncated or damaged: found {rest!r}, expected a key and a blank"
            )


def iterate_scp(
    path: str | Path, *, allow_renamed: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """Every entry that an scp file lists, in its order.

    Parameters
    ----------
    path : path
        The scp file.
    allow_renamed : bool
        Accept an entry whose key in the archive differs from the scp's; otherwise that is a wrong
        offset.

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


def iterate_file(path: Path, *, allow_renamed: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """As `iterate_scp` if the name ends in ``.scp``, else as `iterate_archive`."""
    if path.suffix == ".scp":
        return iterate_scp(path, allow_renamed=allow_renamed)
    return iterate_archive(path)


def iterate_entries(
    entries: Mapping[str, str], *, allow_renamed: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """As `iterate_scp`, for some entries of an scp file: key -> entry, from `read_scp`."""
    mapped: str | None = None
    last_good = ""
    buffer: Buffer = b""
    for key, entry in entries.items():
        location, wanted = entry_and_range(entry, key)
        path, offset = split_entry(location, key)
        if offset is None:
            yield key, read_object(entry, key=key)
            continue
        if path != mapped:
            mapped, buffer = path, map_file(path, key)
        with locate_errors(path, offset, key, last_good):
            array, _ = decode_object(buffer, offset)
            if not allow_renamed:
                _refuse_other_key(buffer, offset, key)
            if wanted:
                array = take_range(array, wanted)
        last_good = key
        yield key, array


def _refuse_other_key(buffer: Buffer, offset: int, key: str) -> None:
    """Refuse an object that is not preceded by this key and a blank."""
    name = key.encode()
    before = buffer[max(0, offset - len(name) - 1) : offset]
    if offset and before not in (name + b" ", name + b"\t"):
        raise MalformedObject(
            f"wrong offset: {before!r} is before it in the archive, expected the key and a blank"
        )


def _decode_key(key: bytes, previous: str) -> str:
    text = key.decode("utf-8", "replace")
    if "\ufffd" not in text and text.isprintable():
        return text
    problem = "this is not an archive"
    if previous:
        problem = f"the entry of '{previous}' or what follows it is damaged"
    raise MalformedObject(f"found {key[:20]!r}, expected a key and a blank; {problem}")
