"""Check, show, compare, merge and relocate Kaldi archives.

python -m utils.archive check exp/x/embeddings/test/xvector.scp data/train/packed.1.ark
python -m utils.archive head exp/x/embeddings/test/xvector.scp --lines 3
python -m utils.archive diff exp/x/embeddings/test/xvector.scp \
  exp/y/embeddings/test/xvector.scp --tolerance 1e-5
python -m utils.archive merge xvector.1.ark xvector.2.ark all.ark
python -m utils.archive relocate exp/x/embeddings/test/xvector.scp new.scp --paths absolute
"""

from itertools import islice
from pathlib import Path

from utils.archive.compare import diff_archives, merge_archives
from utils.archive.iterate import iterate_file
from utils.archive.read import describe
from utils.archive.relocate import Paths, Relocation, relocate_scp
from utils.cli import run_subcommands
from utils.errors import UserError

MAX_VALUES = 6  # of an entry, printed by head


def check_archive(archives: list[Path], *, allow_renamed: bool = False) -> dict[str, int]:
    """Read every entry of archives or scp files and print their numbers, kinds and sizes.

    Parameters
    ----------
    archives : list of path
        Names ending in ``.scp`` are scp files, others archives.
    allow_renamed : bool
        Accept scp entries whose key in the archive differs; otherwise that is a wrong offset.

    Returns
    -------
    dict of str to int
        Archive or scp file -> its number of entries.

    Raises
    ------
    UserError
        The first entry that is truncated, damaged, at a wrong offset or a duplicate: file, key and
        offset; or no entries at all.
    """
    counts = {}
    for path in archives:
        shapes: dict[tuple[str, int], list[tuple[int, ...]]] = {}
        for _, array in iterate_file(path, allow_renamed=allow_renamed):
            shapes.setdefault((array.dtype.name, array.ndim), []).append(array.shape)
        if not shapes:
            raise UserError(f"{path}: empty, expected entries")
        counts[str(path)] = sum(map(len, shapes.values()))
        kinds = [_summary(dtype, ndim, sizes) for (dtype, ndim), sizes in shapes.items()]
        print(f"{path}: {', '.join(kinds)}")
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
        Keys of the printed entries.

    Raises
    ------
    UserError
        A negative number of lines, or an entry that cannot be read.
    """
    if lines < 0:
        raise UserError(f"--lines is {lines}, expected 0 or more")
    keys = []
    for key, array in islice(iterate_file(archive, allow_renamed=True), lines):
        values = " ".join(f"{value:.6g}" for value in array.reshape(-1)[:MAX_VALUES])
        more = " ..." if array.size > MAX_VALUES else ""
        print(f"{key}  {describe(array)}  {values}{more}")
        keys.append(key)
    return keys


def diff(first: Path, second: Path, *, tolerance: float = 0.0) -> dict[str, int]:
    """Compare two archives or scp files by key, in any order; exit with 1 where they differ.

    Parameters
    ----------
    first, second : path
        Names ending in ``.scp`` are scp files, others archives.
    tolerance : float
        Values may differ by this times the larger of 1 and the second value's magnitude.

    Returns
    -------
    dict of str to int
        ``same``: number of equal entries.

    Raises
    ------
    UserError
        They differ in keys, kinds, sizes or values; or one of them cannot be read.
    """
    return diff_archives(first, second, tolerance=tolerance)


def merge(archives: list[Path], output: Path) -> dict[str, int]:
    """Merge archives or scp files into one archive, entries unchanged, with its scp file beside it.

    Parameters
    ----------
    archives : list of path
        Names ending in ``.scp`` are scp files, others archives; a single one gets an scp file with
        offsets.
    output : path
        New archive, such as ``all.ark``; the scp file is ``all.scp``.

    Returns
    -------
    dict of str to int
        ``entries``: their number.

    Raises
    ------
    UserError
        A key is in two of them, an entry cannot be read, or an output exists.
    """
    return merge_archives(archives, output)


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
    """Rewrite the paths of an scp file of any kind; offsets, ranges and pipes stay.

    Parameters
    ----------
    scp : path
        ``xvector.scp``, ``wav.scp``, ``feats.scp``, ...
    output : path
        Output file; may be ``scp`` itself.
    paths : str
        ``absolute``; ``relative`` to ``new_root``; ``beside``: in the folder of the scp file,
        whatever folder it names; ``kept``: unchanged, except for ``old`` and ``new``.
    root : path
        Where relative paths of the scp file start.
    new_root : path
        Where those of the output start.
    old, new : str or None
        First part of the paths to be replaced, whole folders only, and its replacement.
    allow_missing : bool
        Write paths of files that do not exist here, as for another machine.

    Returns
    -------
    dict of str to int
        Numbers of ``entries``, of those ``changed``, and of ``pipes``, which are unchanged.

    Raises
    ------
    UserError
        A file does not exist at its new path, or no path begins with ``old``.
    """
    relocation = Relocation(paths, root, new_root, old, new)
    return relocate_scp(scp, output, relocation, allow_missing=allow_missing)


def _summary(dtype: str, ndim: int, shapes: list[tuple[int, ...]]) -> str:
    """Such as ``2 float32 matrices of 20..25 x 13``."""
    sides = []
    for sizes in zip(*shapes, strict=True):
        smallest, largest = min(sizes), max(sizes)
        sides.append(f"{smallest}" if smallest == largest else f"{smallest}..{largest}")
    size = " x ".join(sides)
    count = len(shapes)
    if dtype == "int16":
        return f"{count:,} wave{'s' if count > 1 else ''} of {size} samples"
    singular, plural = ("vector", "vectors") if ndim == 1 else ("matrix", "matrices")
    return f"{count:,} {dtype} {plural if count > 1 else singular} of {size}"


if __name__ == "__main__":
    run_subcommands(
        {
            "check": check_archive,
            "head": head_archive,
            "diff": diff,
            "merge": merge,
            "relocate": relocate,
        }
    )
