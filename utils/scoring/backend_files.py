"""A back end as files: what its YAML says becomes parts, what it learned becomes Kaldi's mean.vec, transform.mat and plda, and all of it comes back.

``families`` are the registries of steps/backends: ``{"backends": BACKENDS, "links": LINKS, "adaptation": ADAPTATIONS}``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.archive import read_matrix, read_vector, write_matrix, write_vector
from utils.archive.plda import PldaFile, read_plda, write_plda
from utils.config import build, parameters_of, resolved_options
from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import transform_rows
from utils.errors import UserError
from utils.files import atomic_write, read_json_object


def build_backend(families: Mapping[str, Mapping], options: Any, where: str) -> tuple[Any, dict]:
    """Make an untrained back end, with its links and its adaptation.

    Parameters
    ----------
    families : mapping of registries
        See above.
    options : dict
        ``name``, arguments of that back end, ``links``: a list of mappings with a ``name`` each, ``adaptation``: such a mapping.
    where : str
        The YAML file, for messages.

    Returns
    -------
    backend, resolved : object, dict
        The second has all options with their defaults, and builds the same again.

    Raises
    ------
    UserError
        As `utils.config.build`, for any part.
    """
    options, parts, resolved = dict(options), {}, {}
    name = options.get("name")
    takes = (
        parameters_of(families["backends"][name])
        if isinstance(name, str) and name in families["backends"]
        else {}
    )
    if "links" in options and "links" in takes:
        sections = options.pop("links") or []
        if not isinstance(sections, list):
            raise UserError(
                f"{where}: links: found {sections!r}, expected a list of mappings with a 'name' each"
            )
        parts["links"] = [
            build(families["links"], section, f"{where}: links[{number}]")
            for number, section in enumerate(sections)
        ]
        resolved["links"] = [resolved_options(families["links"], section) for section in sections]
    if options.get("adaptation") is not None and "adaptation" in takes:
        section = options.pop("adaptation")
        parts["adaptation"] = build(families["adaptation"], section, f"{where}: adaptation")
        resolved["adaptation"] = resolved_options(families["adaptation"], section)
    return build(families["backends"], options, where, **parts), resolved_options(
        families["backends"], options, parts
    ) | resolved


def write_backend(folder: Path, learned: Any, options: Mapping, dimensions: int) -> list[Path]:
    """Write what a back end learned, and ``backend.json``, which says what to make of it.

    Parameters
    ----------
    folder : path
        Output.
    learned : back end
        Fitted.
    options : mapping
        Its options, from `build_backend`.
    dimensions : int
        Of the embeddings that it takes.

    Returns
    -------
    list of path
        What was written.
    """
    parts = learned.parts()
    for old in (
        *folder.glob("*.vec"),
        *folder.glob("*.mat"),
        folder / "plda",
    ):  # of another back end: nobody may take them for this one's
        old.unlink(missing_ok=True)
    for name, part in parts.items():
        if name == "plda":
            write_plda(folder / name, PldaFile(*part))
        else:
            write = write_vector if name.endswith(".vec") else write_matrix
            write(folder / name, part.astype(np.float32))  # as Kaldi's programs do
    with atomic_write(folder / "backend.json") as file:
        file.write(
            json.dumps(
                {"options": dict(options), "dimensions": dimensions, "parts": sorted(parts)},
                indent=1,
            )
            + "\n"
        )
    return [folder / name for name in (*parts, "backend.json")]


def read_backend(folder: Path, families: Mapping[str, Mapping]) -> tuple[Any, int]:
    """Bring a trained back end back from its files.

    Parameters
    ----------
    folder : path
        From `write_backend`; its files may have been replaced by Kaldi's of the same names.
    families : mapping of registries
        See above.

    Returns
    -------
    backend, dimensions : object, int
        The second: of the embeddings that it takes.

    Raises
    ------
    UserError
        A file is missing, damaged, of another type, or does not fit the others.
    """
    declared = read_declared(folder)
    backend, _ = build_backend(families, declared["options"], str(folder / "backend.json"))
    parts = {name: _reader(name)(folder / name) for name in declared["parts"]}
    dimensions, (first, takes) = declared["dimensions"], sizes_taken(parts)
    if takes and dimensions not in takes:
        raise UserError(
            f"{folder / first}: takes vectors of {' or '.join(map(str, takes))} dimensions, the back end those of {dimensions}; put the "
            "right file there, or train the back end again"
        )
    try:
        return backend.from_parts(parts), dimensions
    except ValueError as error:
        raise UserError(f"{folder}: {error}; train the back end again") from None


def read_declared(folder: Path) -> dict:
    """What ``backend.json`` says: ``options``, ``dimensions`` and ``parts``.

    Parameters
    ----------
    folder : path
        From `write_backend`.

    Raises
    ------
    UserError
        It is missing or damaged.
    """
    path = folder / "backend.json"
    try:
        return read_json_object(
            path,
            {"options": dict, "dimensions": object, "parts": object},
            "a back end",
            "train it again with steps.train_backend",
        )
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; train the back end with steps.train_backend"
        ) from None


def sizes_taken(parts: Mapping[str, Any]) -> tuple[str, list[int]]:
    """Which of a back end's files meets the embeddings first, and how many dimensions it takes.

    Parameters
    ----------
    parts : mapping of str to arrays
        By Kaldi's names; of others nothing is known.

    Returns
    -------
    name, sizes : str, list of int
        A matrix may have an offset column or not: two sizes.  Empty where none of Kaldi's files is there.
    """
    first = next((name for name in ("mean.vec", "transform.mat", "plda") if name in parts), "")
    if first == "transform.mat":
        columns = parts[first].shape[1]
        return first, [columns - 1, columns]
    return first, [len(parts[first][0]) if first == "plda" else len(parts[first])] if first else []


def _reader(name: str):
    return read_plda if name == "plda" else read_vector if name.endswith(".vec") else read_matrix


def rows_of_backend(
    backend: Any,
    expected: int,
    names: Sequence[str],
    embeddings: np.ndarray,
    num_utts: np.ndarray,
    where: Path,
    trained: Path,
) -> np.ndarray:
    """Transform embeddings.

    Parameters
    ----------
    backend : back end
        Trained.
    expected : int
        Dimensions of the embeddings that it takes.
    names : sequence of N str
        Whose embeddings they are.
    embeddings : (N, D) or (N, R, D) float array
        Vectors or matrices.
    num_utts : (N,) int array
        Of how many utterances each is the mean.
    where : path
        Folder of the embeddings, for messages.
    trained : path
        Folder of the back end, for messages.

    Returns
    -------
    (N, D') or (N, R, D') float array

    Raises
    ------
    UserError
        Other dimensions than those that the back end was trained on, or an embedding that is zero or not finite.
    """
    from utils.embeddings.checks import refuse_zero

    dimensions = embeddings.shape[-1]
    if expected != dimensions:
        raise UserError(
            f"{where}: embeddings of {dimensions} dimensions, {trained} was trained on {expected}"
        )
    refuse_zero(names, embeddings.reshape(len(names), -1), where)
    counts = np.repeat(num_utts, embeddings.size // (dimensions * len(names)))
    rows = transform_rows(lambda vectors: backend.transform(vectors, counts), embeddings)
    refuse_not_finite(names, rows, where, "zero or not finite")
    return rows
