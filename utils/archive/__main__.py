"""Kaldi archives, read and written.  This module has the names that others import, and the command:

python -m utils.archive check exp/x/embeddings/test/xvector.scp data/train/packed.1.ark
python -m utils.archive head exp/x/embeddings/test/xvector.scp --lines 3
python -m utils.archive diff exp/x/embeddings/test/xvector.scp exp/y/embeddings/test/xvector.scp --tolerance 1e-5
python -m utils.archive merge xvector.1.ark xvector.2.ark all.ark
python -m utils.archive relocate exp/x/embeddings/test/xvector.scp elsewhere.scp --paths absolute
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from utils.archive.bulk import read_vectors
from utils.archive.iterate import iterate_archive, iterate_scp
from utils.archive.read import (
    describe,
    read_matrix,
    read_object,
    read_scp,
    read_vector,
    read_wave,
    split_entry,
)
from utils.archive.write import ArchiveWriter, write_matrix, write_text_vectors, write_vector
from utils.cli import run_subcommands
from utils.errors import UserError

__all__ = [
    "ArchiveWriter",
    "check_archive",
    "head_archive",
    "iterate_archive",
    "iterate_scp",
    "read_matrix",
    "read_object",
    "read_scp",
    "read_vector",
    "read_vectors",
    "read_wave",
    "split_entry",
    "write_matrix",
    "write_text_vectors",
    "write_vector",
]


def check_archive(archives: list[Path], *, allow_renamed: bool = False) -> dict[str, int]:
    """Read every entry of archives or scp files and say how many of what they hold.

    Parameters
    ----------
    archives : list of path
        Names ending in ``.scp`` are scp files, others archives.
    allow_renamed : bool
        Take scp entries whose key in the archive is another one; otherwise that is a wrong offset.

    Returns
    -------
    dict of str to int
        Number of entries of each.

    Raises
    ------
    UserError
        The first entry that is truncated, damaged, at a wrong offset or there twice: file, key and offset; or no entries at all.
    """
    counts = {}
    for path in archives:
        shapes = {}
        for _, array in _entries(path, allow_renamed):
            shapes.setdefault((array.dtype.name, array.ndim), []).append(array.shape)
        if not shapes:
            raise UserError(f"{path}: empty, expected entries")
        counts[str(path)] = sum(map(len, shapes.values()))
        print(f"{path}: {', '.join(_summary(*kind, found) for kind, found in shapes.items())}")
    return counts


def head_archive(archive: Path, *, lines: int = 10) -> list[str]:
    """Print the first entries of an archive or scp file: key, kind, size, first values.

    Parameters
    ----------
    archive : path
        A name ending in ``.scp`` is an scp file, any other an archive.
    lines : int
        Number of entries, at least 0.

    Returns
    -------
    list of str
        Keys of the entries that were printed.

    Raises
    ------
    UserError
        A negative number of lines, or an entry that cannot be read.
    """
    if lines < 0:
        raise UserError(f"--lines is {lines}, expected 0 or more")
    keys = []
    for key, array in islice(_entries(archive, allow_renamed=True), lines):
        values = " ".join(f"{value:.6g}" for value in array.reshape(-1)[:6])
        print(f"{key}  {describe(array)}  {values}{' ...' if array.size > 6 else ''}")
        keys.append(key)
    return keys


def _entries(path: Path, allow_renamed: bool) -> Iterator[tuple[str, np.ndarray]]:
    return (
        iterate_scp(path, allow_renamed=allow_renamed)
        if Path(path).suffix == ".scp"
        else iterate_archive(path)
    )


def _summary(dtype: str, ndim: int, shapes: list[tuple[int, ...]]) -> str:
    """Such as ``2 float32 matrices of 20..25 x 13``."""
    sizes = " x ".join(
        f"{min(side)}" if min(side) == max(side) else f"{min(side)}..{max(side)}"
        for side in zip(*shapes, strict=True)
    )
    many = len(shapes) > 1
    if dtype == "int16":
        return f"{len(shapes):,} wave{'s' * many} of {sizes} samples"
    noun = ("vectors" if many else "vector") if ndim == 1 else ("matrices" if many else "matrix")
    return f"{len(shapes):,} {dtype} {noun} of {sizes}"


if __name__ == "__main__":
    from utils.archive.compare import diff_archives, merge_archives
    from utils.archive.relocate import relocate_scp

    run_subcommands(
        {
            "check": check_archive,
            "head": head_archive,
            "diff": diff_archives,
            "merge": merge_archives,
            "relocate": relocate_scp,
        }
    )
