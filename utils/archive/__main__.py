"""The command of Kaldi archives; what others import is in utils/archive/__init__.py.

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

from utils.archive.iterate import iterate_archive, iterate_scp
from utils.archive.read import describe
from utils.archive.relocate import Paths, Relocation, relocate_scp
from utils.cli import run_subcommands
from utils.errors import UserError


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
        shapes: dict[tuple[str, int], list[tuple[int, ...]]] = {}
        for _, array in _entries(path, allow_renamed):
            shapes.setdefault((array.dtype.name, array.ndim), []).append(array.shape)
        if not shapes:
            raise UserError(f"{path}: empty, expected entries")
        counts[str(path)] = sum(map(len, shapes.values()))
        told = [_summary(dtype, ndim, found) for (dtype, ndim), found in shapes.items()]
        print(f"{path}: {', '.join(told)}")
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


def relocate(
    scp: Path,
    output: Path,
    *,
    paths: Paths = "absolute",
    root: Path = Path("."),
    new_root: Path = Path("."),
    old: str | None = None,
    new: str | None = None,
    allow_missing: bool = False,
) -> dict[str, int]:
    """Write an scp file again with other paths: of archives, of waves, of any files; offsets, ranges and pipes stay.

    Parameters
    ----------
    scp : path
        ``xvector.scp``, ``wav.scp``, ``feats.scp``, ...
    output : path
        Where it goes; the same name again replaces it.
    paths : str
        ``absolute``; ``relative`` to ``new_root``; ``beside``: the files lie in the folder of the scp file, whatever it says, and are named so, seen
        from here; ``kept``: as they are, but for ``old`` and ``new``.
    root : path
        Where relative paths of the scp file start.
    new_root : path
        Where those of the output start.
    old, new : str or None
        First part of the paths to be replaced, whole folders only, and what comes in its place.
    allow_missing : bool
        Write it though the files are not there, as for another machine.

    Returns
    -------
    dict of str to int
        Numbers of ``entries``, of those ``changed``, and of ``pipes``, which stay as they are.

    Raises
    ------
    UserError
        A file is not where the new path says, or no path begins with ``old``.
    """
    way = Relocation(paths, root, new_root, old, new)
    return relocate_scp(scp, output, way, allow_missing=allow_missing)


def _entries(path: Path, allow_renamed: bool) -> Iterator[tuple[str, np.ndarray]]:
    if path.suffix == ".scp":
        return iterate_scp(path, allow_renamed=allow_renamed)
    return iterate_archive(path)


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

    run_subcommands(
        {
            "check": check_archive,
            "head": head_archive,
            "diff": diff_archives,
            "merge": merge_archives,
            "relocate": relocate,
        }
    )
