r"""Import embeddings and a back end that Kaldi's scripts made.

    python -m steps.import_kaldi kaldi/egs/voxceleb/v2/exp/xvector_nnet_1a exp/kaldi \
        --root kaldi/egs/voxceleb/v2
    python -m steps.score exp/kaldi/backend/kaldi exp/kaldi/embeddings/voxceleb1_test \
        kaldi/egs/voxceleb/v2/data/voxceleb1_test/trials \
        exp/kaldi/scores/voxceleb1_test/kaldi.scores

They are then scored, normalised, calibrated and evaluated as our own are.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from utils.cli import run
from utils.embeddings.kaldi_folders import backend_files, find_sets, network_digest
from utils.errors import UserError, WrongArguments
from utils.files import atomic_write
from utils.receipts import Task

if TYPE_CHECKING:
    from utils.archive import ArchiveWriter

FORMAT = 1


def import_kaldi(
    source: Path,
    output: Path,
    *,
    sets: list[str] | None = None,
    root: Path = Path("."),
    archives: Literal["listed", "beside"] = "listed",
    backend_set: str | None = None,
    backend: str = "kaldi",
    embeddings_only: bool = False,
    mean: Path | None = None,
    transform: Path | None = None,
    plda: Path | None = None,
    length_norm: bool = True,
    normalize_length: bool = True,
    simple_length_normalization: bool = False,
    smoothing: float = 0.0,
    model: str | None = None,
) -> dict:
    """Write ``embeddings/<set>`` and ``backend/<name>`` as the steps of a recipe write them.

    The back end consists of the files that exist: ``mean.vec`` is subtracted, ``transform.mat``
    applied, the length normalised, then ``plda`` scores, or the cosine where there is no ``plda``:
    the order of Kaldi's recipes (egs/voxceleb/v2, stage 11).  The provenance says ``foreign``.

    Parameters
    ----------
    source : path
        Kaldi's folder, with ``xvectors_<set>/xvector.scp`` or ``ivectors_<set>/ivector.scp``,
        perhaps ``spk_xvector.scp`` and ``num_utts.ark``.
    output : path
        Experiment folder.
    sets : list of str or None
        Names of sets; None: all of the folder.
    root : path
        Where relative paths of Kaldi's scp files start: the folder in which its scripts ran.
    archives : str
        ``listed``: at the paths in the scp files; ``beside``: in the folder of the scp file, for a
        folder that was copied.
    backend_set : str or None
        The set whose folder has the files of the back end; None: the only one that has any.
    backend : str
        Name of the back end here.
    embeddings_only : bool
        No back end, even if the folder has files of one.
    mean, transform, plda : path or None
        A file to use instead of that of the set, such as ``plda_adapt``.
    length_norm : bool
        Normalise the length before PLDA, as Kaldi's recipes do.
    normalize_length, simple_length_normalization : bool
        Options of ivector-plda-scoring.
    smoothing : float
        Option of ivector-copy-plda, which Kaldi's recipes run before the scoring; 0: no smoothing.
    model : str or None
        Name of the network: sets with the same name may be compared with each other; None: the
        checksum of ``final.raw`` or, without it, of the lists, so that sets of one call may.

    Returns
    -------
    dict
        Numbers of ``utterances`` of each set, and what the back end consists of.

    Raises
    ------
    UserError
        No such folder or set, a file that is missing, truncated or of another type, or sizes that
        do not fit.
    """
    every_set = find_sets(source)
    unknown = sorted(set(sets or ()) - every_set.keys())
    if unknown:
        raise UserError(f"{source}: no set '{unknown[0]}'; there are {', '.join(every_set)}")
    chosen = {name: every_set[name] for name in sets or every_set}
    facts = {
        "model": model or network_digest(source, every_set),
        "front_end": "foreign: Kaldi's",
        "sample_rate_hz": "unknown",
        "vad": "unknown",
        "augmentation": "unknown",
        "crops": "unknown",
        "origin": "Kaldi",
    }
    given = {"mean.vec": mean, "transform.mat": transform, "plda": plda}
    given_files = {name: path for name, path in given.items() if path}
    files: dict[str, Path] = {}
    if not embeddings_only:
        files = backend_files(source, every_set, backend_set, given_files)
    elif backend_set or given_files:
        raise WrongArguments(
            "--embeddings-only and files of a back end (--backend-set, --mean, --transform, "
            "--plda): both were given; leave one out"
        )
    options: dict = {}
    if files:
        options = _backend_options(files)
        if options["name"] == "plda":
            options |= {
                "normalize_length": normalize_length,
                "simple_length_normalization": simple_length_normalization,
                "smoothing": smoothing,
            }
            if length_norm:
                options["links"].append({"name": "length_norm"})
        missing = {}
        for name, entry in chosen.items():
            receipt = output / "embeddings" / name / "receipts" / "collect_embeddings.json"
            if not receipt.exists():
                missing[name] = entry
        _check_backend(files, options, missing, archives, root)
    counts, dimensions = {}, {}
    for name, (folder, kind) in chosen.items():
        task = _import_set(folder, kind, output / "embeddings" / name, archives, root, facts)
        counts[name] = task.counts.get("utterances", 0)
        dimensions[name] = task.counts.get("dimension", 0)
    if files:
        _import_backend(files, options, output / "backend" / backend, dimensions, facts)
    sizes = ", ".join(f"{count:,} of {name}" for name, count in counts.items())
    parts = f"back end {backend}: {', '.join(files)}" if files else "no back end"
    print(f"{output}: {sizes}; {parts}")
    return {"utterances": counts, "backend": list(files)}


def _import_set(
    folder: Path, kind: str, output: Path, archives: str, root: Path, facts: Mapping
) -> Task:
    """Copy the vectors of one set."""
    speakers, counts = folder / f"spk_{kind}.scp", folder / "num_utts.ark"
    inputs = {"utterances": folder / f"{kind}.scp"}
    for path in (speakers, counts):
        if path.exists():
            inputs[path.name] = path
    options = {"imported": "kaldi", "archives": archives, "root": root, **facts}
    task = Task(output, "collect_embeddings", format=FORMAT, inputs=inputs, options=options)
    if task.is_done():
        return task
    from utils.embeddings.kaldi_folders import copy_counts, copy_vectors, listed_vectors

    paths: Literal["kept", "beside"] = "beside" if archives == "beside" else "kept"
    writer, vector, keys = copy_vectors(
        listed_vectors(folder / f"{kind}.scp", paths, root), output / "xvector.scp"
    )
    written: list[ArchiveWriter | Path] = [writer]
    report = {"utterances": len(keys), "dimension": len(vector)}
    for old in ("spk_xvector.ark", "spk_xvector.scp", "num_utts.ark"):
        (output / old).unlink(missing_ok=True)
    if speakers.exists():
        means, mean, names = copy_vectors(
            listed_vectors(speakers, paths, root), output / "spk_xvector.scp"
        )
        if len(mean) != len(vector):
            raise UserError(
                f"{speakers}: vectors of {len(mean)} dimensions, those of {folder}/{kind}.scp "
                f"have {len(vector)}"
            )
        written.append(means)
        if counts.exists():
            written.append(copy_counts(counts, output / "num_utts.ark", names))
        report["speakers"] = len(names)
    with atomic_write(output / "provenance.json") as file:
        file.write(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")
    task.finish([*written, output / "provenance.json"], report)
    return task


def _backend_options(files: Mapping[str, Path]) -> dict:
    """Name and links of the back end that the files form, as in a YAML of conf/backends."""
    from utils.archive import read_matrix

    links: list[dict] = []
    if "mean.vec" in files:
        links.append({"name": "mean"})
    if "transform.mat" in files:
        links.append({"name": "lda", "dim": len(read_matrix(files["transform.mat"]))})
    if "plda" not in files:
        return {"name": "cosine", "subtract_mean": False, "links": links}
    return {"name": "plda", "links": links}


def _read_parts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Vector, matrix and PLDA of a back end's files."""
    from utils.archive import read_matrix, read_vector
    from utils.archive.plda import read_plda

    readers: dict[str, Callable[[Path], Any]] = {
        "mean.vec": read_vector,
        "transform.mat": read_matrix,
        "plda": read_plda,
    }
    return {name: readers[name](path) for name, path in files.items()}


def _check_backend(
    files: Mapping[str, Path],
    options: dict,
    chosen: Mapping[str, tuple[Path, str]],
    archives: str,
    root: Path,
) -> None:
    """Before anything is written: UserError where the files form no back end for these sets."""
    from steps.backends import FAMILIES
    from utils.embeddings.kaldi_folders import listed_vectors
    from utils.scoring.backend_files import build_backend

    parts, dimensions = _read_parts(files), {}
    paths: Literal["kept", "beside"] = "beside" if archives == "beside" else "kept"
    for name, (folder, kind) in chosen.items():
        _, vector = next(listed_vectors(folder / f"{kind}.scp", paths, root))
        dimensions[name] = len(vector)
    _check_dimensions(files, parts, dimensions)
    empty, _ = build_backend(FAMILIES, options, "options of the back end")
    _fill(empty, parts, files)


def _fill(empty: Any, parts: Mapping[str, Any], files: Mapping[str, Path]) -> Any:
    """The back end with the content of its files."""
    try:
        return empty.from_parts(parts)
    except ValueError as error:
        raise UserError(f"{', '.join(map(str, files.values()))}: {error}") from None


def _import_backend(
    files: Mapping[str, Path],
    options: dict,
    output: Path,
    dimensions: Mapping[str, int],
    facts: Mapping,
) -> None:
    """Write a back end's folder."""
    from steps.backends import FAMILIES
    from steps.backends.plda import smoothed
    from utils.scoring.backend_files import build_backend, write_backend

    task = Task(
        output,
        "train_backend",
        format=FORMAT,
        inputs=files,
        options={"imported": "kaldi", **options, **facts},
    )
    if task.is_done():
        return
    parts = _read_parts(files)
    dimension = _check_dimensions(files, parts, dimensions)
    empty, resolved = build_backend(FAMILIES, options, str(output))
    if options.get("smoothing"):
        mean, transform, psi = parts["plda"]
        parts["plda"] = smoothed(mean, transform, psi, options["smoothing"])
    learned = _fill(empty, parts, files)
    written = write_backend(output, learned, resolved, dimension)
    with atomic_write(output / "provenance.json") as file:
        file.write(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")
    task.finish([*written, output / "provenance.json"], {"embeddings": 0, "dimensions": dimension})


def _check_dimensions(
    files: Mapping[str, Path], parts: Mapping, dimensions: Mapping[str, int]
) -> int:
    """Size of the vectors that a back end takes; UserError where those of a set differ."""
    from utils.scoring.backend_files import sizes_taken

    first, takes = sizes_taken(parts)
    for name, dimension in dimensions.items():
        if dimension and dimension not in takes:
            expected = " or ".join(map(str, takes))
            raise UserError(
                f"{files[first]}: takes vectors of {expected} dimensions, those of set {name} "
                f"have {dimension}; give the back end that was trained on such vectors"
            )
    largest = max([*dimensions.values(), 0])
    return largest or takes[-1]


if __name__ == "__main__":
    run(import_kaldi)
