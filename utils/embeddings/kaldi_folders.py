"""Folders of embeddings as Kaldi's scripts leave and expect them: ``xvectors_<set>`` of sid/nnet3/xvector/extract_xvectors.sh, ``ivectors_<set>``."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, iterate_scp, read_scp
from utils.archive.iterate import iterate_entries, read_integers
from utils.archive.read import describe
from utils.archive.relocate import Paths, Relocation, relocated
from utils.errors import UserError
from utils.files import atomic_write, sha256_of

KINDS = ("xvector", "ivector")
BACKEND_FILES = ("mean.vec", "transform.mat", "plda")


def find_sets(source: Path) -> dict[str, tuple[Path, str]]:
    """Sets of embeddings below a Kaldi ``exp`` folder.

    Parameters
    ----------
    source : path
        With ``xvectors_<set>/xvector.scp``, or the same of i-vectors; or one such folder itself, whose set is called ``all`` if its name says none.

    Returns
    -------
    dict of str to (path, str)
        Set -> its folder, and ``xvector`` or ``ivector``; by name.

    Raises
    ------
    UserError
        There is none, or one in both kinds.
    """
    found: dict[str, tuple[Path, str]] = {}
    for kind in KINDS:
        folders = [source, *source.glob(f"{kind}s_*")] if source.is_dir() else []
        for folder in sorted(folder for folder in folders if (folder / f"{kind}.scp").is_file()):
            name = folder.name.partition("_")[2] if folder.name.startswith(f"{kind}s_") else "all"
            if name in found:
                raise UserError(
                    f"{folder}: a second set '{name}', the first is {found[name][0]}; import them one by one"
                )
            found[name] = folder, kind
    if not found:
        raise UserError(
            f"{source}: no xvectors_<set>/xvector.scp and no ivectors_<set>/ivector.scp, expected what Kaldi's sid/ scripts make"
        )
    return dict(sorted(found.items()))


def listed_vectors(
    scp: Path, paths: Paths = "kept", root: Path = Path(".")
) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of an scp file of Kaldi's, as float32.

    Parameters
    ----------
    scp : path
        As it was written, perhaps on another machine.
    paths : str
        ``kept``: relative paths start at ``root``; ``beside``: archives lie in the folder of the scp file.
    root : path
        See there.

    Raises
    ------
    UserError
        An entry cannot be read, or is no float vector of the first one's length.
    """
    entries = read_scp(scp)
    if not entries:
        raise UserError(f"{scp}: no entries, expected vectors")
    way = Relocation("beside" if paths == "beside" else "relative", root)
    places = {
        key: entry if entry[-1] in "|]" else relocated(entry, scp, way)
        for key, entry in entries.items()
    }
    first = None
    for key, vector in iterate_entries(places):
        first = vector if first is None else first
        if vector.ndim != 1 or vector.dtype.kind != "f" or len(vector) != len(first):
            size = f" of {len(first)}" if first.ndim == 1 else ""
            raise UserError(
                f"{places[key]}: key '{key}': found {describe(vector)}, expected a float vector{size}"
            )
        yield key, vector.astype(np.float32)


def copy_vectors(
    vectors: Iterator[tuple[str, np.ndarray]], scp: Path
) -> tuple[ArchiveWriter, np.ndarray, list[str]]:
    """Write vectors as an archive and its scp file, and refuse those that no back end can use.

    Parameters
    ----------
    vectors : iterator of (str, (D,) float32 array)
        From `listed_vectors`.
    scp : path
        Output; the archive lies beside it.

    Returns
    -------
    writer, last, keys : ArchiveWriter, (D,) float32 array, list of str
        The writer knows the checksums; the last vector has the size of all.

    Raises
    ------
    UserError
        A vector is not finite.
    """
    keys = []
    with ArchiveWriter(scp.with_suffix(".ark"), scp) as writer:
        for key, vector in vectors:
            if not np.isfinite(vector).all():
                raise UserError(
                    f"{scp.parent}: the embedding of '{key}' is NaN or Inf; extract it again"
                )
            writer.write(key, vector)
            keys.append(key)
    return writer, vector, keys


def own_vectors(scp: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of one of our folders, as float32.

    Parameters
    ----------
    scp : path
        ``xvector.scp`` or ``spk_xvector.scp``.

    Raises
    ------
    UserError
        An utterance has a matrix.
    """
    for key, vector in iterate_scp(scp):
        if vector.ndim != 1 or vector.dtype.kind != "f":
            raise UserError(
                f"{scp}: key '{key}': found {describe(vector)}; Kaldi's back ends take a vector for each utterance: export whole "
                "utterances, or a protocol that keeps the mean"
            )
        yield key, vector.astype(np.float32)


def copy_counts(source: Path, output: Path, speakers: list[str]) -> Path:
    """Write ``num_utts.ark`` of some speakers.

    Parameters
    ----------
    source : path
        Kaldi's, text or binary.
    output : path
        Text.
    speakers : list of str
        Those of ``spk_xvector.scp``.

    Raises
    ------
    UserError
        It does not say of each speaker how many utterances there are.
    """
    count_of = read_integers(source)
    missing = [speaker for speaker in speakers if count_of.get(speaker, 0) < 1]
    if missing:
        raise UserError(
            f"{source}: no number of utterances, from 1, for speaker '{missing[0]}'; {len(missing)} of {len(speakers)} lack one"
        )
    with atomic_write(output) as file:
        file.writelines(f"{speaker} {count_of[speaker]} \n" for speaker in speakers)
    return output


def model_of(source: Path, found: Mapping[str, tuple[Path, str]]) -> str:
    """A name for the network that nobody named.

    Parameters
    ----------
    source : path
        Kaldi's folder.
    found : mapping
        From `find_sets`.
    """
    if (source / "final.raw").is_file():
        return sha256_of(source / "final.raw")
    return hashlib.sha256(
        "".join(sha256_of(folder / f"{kind}.scp") for folder, kind in found.values()).encode()
    ).hexdigest()


def backend_files(
    source: Path,
    found: Mapping[str, tuple[Path, str]],
    backend_set: str | None,
    given: Mapping[str, Path],
) -> dict[str, Path]:
    """Which files make the back end.

    Parameters
    ----------
    source : path
        Kaldi's folder, for messages.
    found : mapping
        From `find_sets`.
    backend_set : str or None
        The set whose folder has the files; None: the only one that has any.
    given : mapping of str to path
        Name in our folder -> file that the user named.

    Raises
    ------
    UserError
        No such set or file, or several sets have some.
    """
    if backend_set is not None and backend_set not in found:
        raise UserError(f"{source}: no set '{backend_set}'; there are {', '.join(found)}")
    if missing := [path for path in given.values() if not path.is_file()]:
        raise UserError(f"{missing[0]}: no such file")
    having = {
        name: {file: folder / file for file in BACKEND_FILES if (folder / file).is_file()}
        for name, (folder, _) in found.items()
    }
    candidates = [backend_set] if backend_set else [name for name, files in having.items() if files]
    if len(candidates) > 1:
        raise UserError(
            f"{source}: back ends' files in the folders of {', '.join(candidates)}; say which by --backend-set, and --mean, --transform "
            "and --plda for files of another; or --embeddings-only"
        )
    files = (having[candidates[0]] if candidates else {}) | dict(given)
    return {name: files[name] for name in BACKEND_FILES if name in files}
