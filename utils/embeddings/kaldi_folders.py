"""Kaldi's folders of embeddings: ``xvectors_<set>`` and ``ivectors_<set>``."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, iterate_scp, read_scp
from utils.archive.iterate import iterate_entries, read_integers
from utils.archive.read import describe
from utils.archive.relocate import Paths, Relocation, relocate_entry
from utils.errors import UserError
from utils.files import atomic_write, file_sha256

KINDS = ("xvector", "ivector")
BACKEND_FILES = ("mean.vec", "transform.mat", "plda")


def find_sets(source: Path) -> dict[str, tuple[Path, str]]:
    """Folder and kind (``xvector``, ``ivector``) of each set of embeddings in Kaldi's ``exp``.

    The source has ``xvectors_<set>/xvector.scp`` or ``ivectors_<set>/ivector.scp``, or is itself
    such a folder; its set is ``all`` if its name has none. UserError: no set, or one in both kinds.
    """
    sets: dict[str, tuple[Path, str]] = {}
    for kind in KINDS:
        for folder in sorted([source, *source.glob(f"{kind}s_*")]):
            if not (folder / f"{kind}.scp").is_file():
                continue
            name = "all"
            if folder.name.startswith(f"{kind}s_"):
                name = folder.name.partition("_")[2]
            if name in sets:
                raise UserError(
                    f"{folder}: a second set '{name}', the first is {sets[name][0]}; import them "
                    "one by one"
                )
            sets[name] = folder, kind
    if not sets:
        raise UserError(
            f"{source}: no xvectors_<set>/xvector.scp and no ivectors_<set>/ivector.scp, expected "
            "the output of Kaldi's sid/ scripts; correct the path"
        )
    return dict(sorted(sets.items()))


def listed_vectors(
    scp: Path, paths: Paths = "kept", root: Path = Path(".")
) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of an scp file of Kaldi, perhaps written on another machine, as float32.

    ``paths``: ``kept``: relative ones start at ``root``; ``beside``: archives are in the folder of
    the scp file. UserError: an entry cannot be read, or is not a float vector like the first.
    """
    entries = read_scp(scp)
    if not entries:
        raise UserError(f"{scp}: no entries, expected vectors")
    relocation = Relocation("relative", root)
    if paths == "beside":
        relocation = Relocation("beside", root)
    for key, entry in entries.items():
        if entry[-1] not in "|]":
            entries[key] = relocate_entry(entry, scp, relocation)
    expected, first_length = "a float vector", None
    for key, vector in iterate_entries(entries):
        if first_length is None and vector.ndim == 1:
            first_length = len(vector)
            expected = f"a float vector of {first_length}"
        if vector.ndim != 1 or vector.dtype.kind != "f" or len(vector) != first_length:
            raise UserError(
                f"{entries[key]}: key '{key}': found {describe(vector)}, expected {expected}"
            )
        yield key, vector.astype(np.float32)


def copy_vectors(
    vectors: Iterable[tuple[str, np.ndarray]], scp: Path
) -> tuple[ArchiveWriter, np.ndarray, list[str]]:
    """Write (D,) vectors to an scp file and an archive beside it.

    Returns the writer, which has the checksums, the last vector, and the keys. UserError: a vector
    is not finite.
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
    """Vectors of an scp file in one of our folders, as float32; UserError if one is a matrix."""
    for key, vector in iterate_scp(scp):
        if vector.ndim != 1 or vector.dtype.kind != "f":
            raise UserError(
                f"{scp}: key '{key}': found {describe(vector)}, expected a vector for each "
                "utterance, as Kaldi's back ends take it; export whole utterances, or a protocol "
                "that keeps the mean"
            )
        yield key, vector.astype(np.float32)


def copy_counts(source: Path, output: Path, speakers: list[str]) -> Path:
    """Write ``num_utts.ark`` of some speakers as text, from Kaldi's in text or binary.

    UserError: a speaker has no number of utterances.
    """
    counts = read_integers(source)
    missing = [speaker for speaker in speakers if counts.get(speaker, 0) < 1]
    if missing:
        raise UserError(
            f"{source}: no number of utterances (1 or more) for speaker '{missing[0]}'; "
            f"{len(missing)} of {len(speakers)} lack one; make it again"
        )
    with atomic_write(output) as file:
        for speaker in speakers:
            file.write(f"{speaker} {counts[speaker]} \n")
    return output


def network_digest(source: Path, sets: Mapping[str, tuple[Path, str]]) -> str:
    """A digest in place of the name of the network of Kaldi's folder; ``sets``: of `find_sets`."""
    if (source / "final.raw").is_file():
        return file_sha256(source / "final.raw")
    digests = "".join(file_sha256(folder / f"{kind}.scp") for folder, kind in sets.values())
    return hashlib.sha256(digests.encode()).hexdigest()


def backend_files(
    source: Path,
    sets: Mapping[str, tuple[Path, str]],
    backend_set: str | None,
    given: Mapping[str, Path],
) -> dict[str, Path]:
    """Files of the back end by their names in our folders, from Kaldi's folder and `find_sets`.

    ``backend_set`` is the set whose folder has them (None: the only one that has any), ``given``
    are files that the user named. UserError: no such set or file, or several sets have some.
    """
    if backend_set is not None and backend_set not in sets:
        raise UserError(
            f"{source}: no set '{backend_set}', expected one of {', '.join(sets)}; correct "
            "--backend-set"
        )
    for path in given.values():
        if not path.is_file():
            raise UserError(f"{path}: no such file; correct the path")
    files_by_set = {}
    for name, (folder, _) in sets.items():
        files = {file: folder / file for file in BACKEND_FILES if (folder / file).is_file()}
        if files and backend_set in (None, name):
            files_by_set[name] = files
    if len(files_by_set) > 1:
        raise UserError(
            f"{source}: back ends' files in the folders of {', '.join(files_by_set)}, expected one "
            "set; choose by --backend-set, with --mean, --transform and --plda for files of "
            "another; or give --embeddings-only"
        )
    files = dict(given)
    for of_set in files_by_set.values():
        files = of_set | files
    return {name: files[name] for name in BACKEND_FILES if name in files}
