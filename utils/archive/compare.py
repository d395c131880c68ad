"""What differs between two archives, and several archives made one: commands ``diff`` and ``merge`` of utils/archive/__main__.py."""

from pathlib import Path

import numpy as np

from utils.archive.iterate import iterate_places, iterate_scp
from utils.archive.objects import Buffer, decode_object, encode_object
from utils.archive.read import (
    describe,
    entry_and_range,
    located,
    map_file,
    read_object,
    read_scp,
    split_entry,
)
from utils.archive.write import ArchiveWriter
from utils.errors import UserError
from utils.files import temporary_of

SHOWN = 3  # keys named in a line


def diff_archives(first: Path, second: Path, *, tolerance: float = 0.0) -> dict[str, int]:
    """Compare what two archives or scp files hold, by key, in whatever order, and exit with 1 where they differ.

    Parameters
    ----------
    first, second : path
        Names ending in ``.scp`` are scp files, others archives.
    tolerance : float
        Values may differ by this times the larger of 1 and the second one's size.

    Returns
    -------
    dict of str to int
        Number of entries that are the ``same``.

    Raises
    ------
    UserError
        They differ: in keys, kinds, sizes or values; or one of them cannot be read.
    """
    if not tolerance >= 0:
        raise UserError(f"--tolerance is {tolerance}, expected 0 or more")
    place_of, opened = _places_of(second), OpenedArchive()
    seen: set[str] = set()
    same = 0
    lone, alien = [], []
    far: dict[str, float] = {}
    for key, ours in (
        iterate_scp(first, allow_renamed=True)
        if first.suffix == ".scp"
        else ((key, array) for key, array, _ in iterate_places(first))
    ):
        seen.add(key)
        if key not in place_of:
            lone.append(key)
            continue
        theirs, _ = opened.object_at(place_of[key], key)
        if ours.shape != theirs.shape or ours.dtype.kind != theirs.dtype.kind:
            alien.append(f"{key} ({describe(ours)}, {describe(theirs)})")
            continue
        difference, is_far = _compare_values(ours, theirs, tolerance)
        if is_far:
            far[key] = difference
        else:
            same += 1
    missing = [key for key in place_of if key not in seen]
    largest = max(far, key=lambda key: far[key]) if far else ""
    found = [
        f"{len(keys):,} {what}: {', '.join(keys[:SHOWN])}{', ...' if len(keys) > SHOWN else ''}"
        for what, keys in (
            (f"only in {first}", lone),
            (f"only in {second}", missing),
            ("of another kind or size", alien),
            ("of other values", list(far)),
        )
        if keys
    ]
    print(
        "\n".join([f"{same:,} the same" + (f" within {tolerance:g}" if tolerance else ""), *found])
    )
    if found:
        more = f", by {far[largest]:.3g} at most ('{largest}')" if far else ""
        raise UserError(
            f"{first} and {second} differ: {len(lone) + len(missing):,} keys in one of them only, {len(alien):,} of another kind or "
            f"size, {len(far):,} of other values{more}"
        )
    return {"same": same}


class OpenedArchive:
    """Objects where scp files say they are; a file is opened once for neighbours in it."""

    def __init__(self):
        self._path = ""
        self._buffer: Buffer = b""

    def object_at(self, place: str, key: str) -> tuple[np.ndarray, bytes]:
        """An object, and its bytes; those of a part of one are made anew.

        Parameters
        ----------
        place : str
            ``file`` or ``file:offset``, perhaps with a range.
        key : str
            For messages.

        Raises
        ------
        UserError
            It cannot be read.
        """
        _, wanted = entry_and_range(place, key)
        if wanted:
            part = read_object(place, key=key)
            return part, encode_object(part)
        path, offset = split_entry(place, key)
        if path != self._path:
            self._path, self._buffer = path, map_file(path, key)
        if offset is None:
            return read_object(place, key=key), bytes(self._buffer[:])
        with located(path, offset, key):
            array, end = decode_object(self._buffer, offset)
        return array, bytes(self._buffer[offset:end])


def _places_of(path: Path) -> dict[str, str]:
    """Where each entry of an archive or scp file is, as scp files say it."""
    return (
        read_scp(path)
        if path.suffix == ".scp"
        else {key: f"{path}:{offset}" for key, _, offset in iterate_places(path)}
    )


def _compare_values(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> tuple[float, bool]:
    """Largest difference of two arrays of one shape, and whether it is beyond the tolerance."""
    if ours.dtype.kind == "f":
        coarser = min(ours.dtype, theirs.dtype, key=lambda dtype: dtype.itemsize)
        ours, theirs = (
            ours.astype(coarser).astype(np.float64),
            theirs.astype(coarser).astype(np.float64),
        )
    else:
        ours, theirs = ours.astype(np.int64), theirs.astype(np.int64)
    is_same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        difference = np.nan_to_num(np.where(is_same, 0.0, np.abs(ours - theirs)), nan=np.inf)
        is_far = difference > tolerance * np.maximum(1.0, np.nan_to_num(np.abs(theirs), nan=1.0))
    return float(difference.max(initial=0.0)), bool(is_far.any())


def merge_archives(archives: list[Path], output: Path) -> dict[str, int]:
    """Write the entries of several archives or scp files into one archive, byte by byte as they are, and its scp file beside it.

    Parameters
    ----------
    archives : list of path
        Names ending in ``.scp`` are scp files, others archives; one alone gets an scp file with offsets.
    output : path
        New archive, such as ``all.ark``; the scp file is ``all.scp``.

    Returns
    -------
    dict of str to int
        Number of ``entries``.

    Raises
    ------
    UserError
        A key is in two of them, an entry cannot be read, or there is an output already.
    """
    scp, opened = output.with_suffix(".scp"), OpenedArchive()
    origin: dict[str, Path] = {}
    if output.suffix == ".scp":
        raise UserError(
            f"{output}: is an scp file by its name; name the archive, the scp file comes beside it"
        )
    half_done = temporary_of(scp).exists()  # a merge that died between the two left the archive
    for path in (scp,) if half_done else (output, scp):
        if path.exists():
            raise UserError(f"{path}: exists already; choose another name or remove it")
    with ArchiveWriter(output, scp) as writer:
        for archive in archives:
            for key, place in _places_of(archive).items():
                if key in origin:
                    raise UserError(
                        f"{archive}: key '{key}' is in {origin[key]} too; a merged archive has each key once"
                    )
                origin[key] = archive
                writer.write_encoded(key, opened.object_at(place, key)[1])
    print(f"{output}: {len(origin):,} entries of {len(archives):,} files")
    return {"entries": len(origin)}
