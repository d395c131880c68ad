"""Compare two archives, and merge several into one: ``diff`` and ``merge`` of the command."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.archive.iterate import iterate_file, iterate_with_offsets
from utils.archive.objects import Buffer, decode_object, encode_object
from utils.archive.read import (
    describe,
    entry_and_range,
    locate_errors,
    map_file,
    read_object,
    read_scp,
    split_entry,
)
from utils.archive.write import ArchiveWriter
from utils.errors import UserError
from utils.files import temporary_path

MAX_KEYS = 3  # named in a line


@dataclass
class _Differences:
    """Keys that differ between two archives; ``other_values``: key -> largest difference."""

    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)
    other_kind: list[str] = field(default_factory=list)
    other_values: dict[str, float] = field(default_factory=dict)

    def lines(self, first: Path, second: Path) -> list[str]:
        """One line for each way in which they differ."""
        groups = {
            f"only in {first}": self.only_first,
            f"only in {second}": self.only_second,
            "of another kind or size": self.other_kind,
            "with other values": list(self.other_values),
        }
        lines = []
        for what, keys in groups.items():
            if keys:
                more = ", ..." if len(keys) > MAX_KEYS else ""
                lines.append(f"{len(keys):,} {what}: {', '.join(keys[:MAX_KEYS])}{more}")
        return lines

    def summary(self) -> str:
        """All differences in one line."""
        num_alone = len(self.only_first) + len(self.only_second)
        text = (
            f"{num_alone:,} keys in one of them only, "
            f"{len(self.other_kind):,} of another kind or size, "
            f"{len(self.other_values):,} with other values"
        )
        if self.other_values:
            key, largest = max(self.other_values.items(), key=lambda item: item[1])
            text += f", by {largest:.3g} at most ('{key}')"
        return text


def diff_archives(first: Path, second: Path, *, tolerance: float = 0.0) -> dict[str, int]:
    """Compare two archives or scp files by key; UserError where they differ.

    Returns ``same``, the number of entries whose values differ by at most ``tolerance`` times the
    larger of 1 and the second value's magnitude.
    """
    if not tolerance >= 0:
        raise UserError(f"--tolerance is {tolerance}, expected 0 or more")
    entries, opened = _read_locations(second), OpenedArchive()
    differences = _Differences()
    seen: set[str] = set()
    same = 0
    for key, ours in iterate_file(first, allow_renamed=True):
        seen.add(key)
        if key not in entries:
            differences.only_first.append(key)
            continue
        theirs, _ = opened.read(entries[key], key)
        if ours.shape != theirs.shape or ours.dtype.kind != theirs.dtype.kind:
            both = f"{describe(ours)}, {describe(theirs)}"
            differences.other_kind.append(f"{key} ({both})")
            continue
        largest, is_beyond = _compare_values(ours, theirs, tolerance)
        if is_beyond:
            differences.other_values[key] = largest
        else:
            same += 1
    differences.only_second = [key for key in entries if key not in seen]
    within = f" within {tolerance:g}" if tolerance else ""
    lines = differences.lines(first, second)
    print("\n".join([f"{same:,} the same{within}", *lines]))
    if lines:
        raise UserError(f"{first} and {second} differ: {differences.summary()}")
    return {"same": same}


class OpenedArchive:
    """Read objects by their entries in scp files; a file stays mapped for the next entry in it."""

    def __init__(self):
        self._path = ""
        self._buffer: Buffer = b""

    def read(self, entry: str, key: str) -> tuple[np.ndarray, bytes]:
        """An object and its bytes; a range of one is encoded again."""
        _, wanted = entry_and_range(entry, key)
        if wanted:
            part = read_object(entry, key=key)
            return part, encode_object(part)
        path, offset = split_entry(entry, key)
        if path != self._path:
            self._path, self._buffer = path, map_file(path, key)
        if offset is None:
            return read_object(entry, key=key), bytes(self._buffer[:])
        with locate_errors(path, offset, key):
            array, end = decode_object(self._buffer, offset)
        return array, bytes(self._buffer[offset:end])


def _read_locations(path: Path) -> dict[str, str]:
    """Key -> scp entry, from an scp file or from the offsets of an archive."""
    if path.suffix == ".scp":
        return read_scp(path)
    return {key: f"{path}:{offset}" for key, _, offset in iterate_with_offsets(path)}


def _compare_values(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> tuple[float, bool]:
    """Largest difference of two arrays of equal shape, and whether one exceeds the tolerance."""
    if ours.dtype.kind == "f":
        coarser = ours.dtype if ours.itemsize < theirs.itemsize else theirs.dtype
        ours = ours.astype(coarser).astype(np.float64)
        theirs = theirs.astype(coarser).astype(np.float64)
    else:
        ours, theirs = ours.astype(np.int64), theirs.astype(np.int64)
    is_same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        difference = np.where(is_same, 0.0, np.abs(ours - theirs))
        difference = np.nan_to_num(difference, nan=np.inf)
        scale = np.maximum(1.0, np.nan_to_num(np.abs(theirs), nan=1.0))
        is_beyond = difference > tolerance * scale
    return float(difference.max(initial=0.0)), bool(is_beyond.any())


def merge_archives(archives: list[Path], output: Path) -> dict[str, int]:
    """Write the entries of archives or scp files, unchanged, into one archive with an scp file.

    Returns the number of ``entries``.  UserError for a key in two of them, an unreadable entry, or
    an output that exists.
    """
    scp, opened = output.with_suffix(".scp"), OpenedArchive()
    if output.suffix == ".scp":
        raise UserError(
            f"{output}: found the name of an scp file, expected that of an archive; "
            "the scp file is written beside it"
        )
    # a merge that was killed between the two files left an archive, which may be replaced
    is_unfinished = temporary_path(scp).exists()
    for path in (scp,) if is_unfinished else (output, scp):
        if path.exists():
            raise UserError(f"{path}: exists already; choose another name or remove it")
    origin: dict[str, Path] = {}
    with ArchiveWriter(output, scp) as writer:
        for archive in archives:
            for key, entry in _read_locations(archive).items():
                if key in origin:
                    raise UserError(
                        f"{archive}: key '{key}' is in {origin[key]} too; "
                        "a merged archive has each key once"
                    )
                origin[key] = archive
                writer.write_encoded(key, opened.read(entry, key)[1])
    print(f"{output}: {len(origin):,} entries of {len(archives):,} files")
    return {"entries": len(origin)}
