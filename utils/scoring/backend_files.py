"""Back ends on disk, and what they do with embeddings.

`build_backend` makes an untrained one from options, `write_backend` stores what it learned under
the names of Kaldi's files (mean.vec, transform.mat, plda), `read_backend` brings it back, and
`rows_of_backend` transforms embeddings by it.

``families`` are the registries of steps/backends:
``{"backends": BACKENDS, "links": LINKS, "adaptation": ADAPTATIONS}``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from utils.archive import read_matrix, read_vector, write_matrix, write_vector
from utils.archive.plda import PldaFile, read_plda, write_plda
from utils.config import build, parameters_of, resolved_options
from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import Scorer, transform_rows
from utils.errors import UserError
from utils.files import atomic_write, read_json_object

Families = Mapping[str, Mapping[str, type]]


class Backend(Scorer, Protocol):
    """What is asked of a back end that is trained, or takes over what another one learned."""

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray) -> np.ndarray:
        """Rows (N, D') to compare, of embeddings (N, D) that are means of so many utterances."""

    def parts(self) -> Mapping[str, Any]:
        """What was learned: vectors, matrices, and of ``plda`` what `PldaFile` is made of."""

    def from_parts(self, parts: Mapping[str, Any]) -> "Backend":
        """Itself, with what another one learned."""


@dataclass(frozen=True)
class TrainedBackend:
    """A back end that came back from its files.

    Attributes
    ----------
    scorer : Backend
        Trained.
    dimensions : int
        Of the embeddings that it takes.
    folder : path
        Where its files are, for messages.
    """

    scorer: Backend
    dimensions: int
    folder: Path


def build_backend(families: Families, options: Any, where: str) -> tuple[Any, dict]:
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
    own: dict[str, Any] = dict(options)
    parts: dict[str, Any] = {}
    resolved: dict[str, Any] = {}
    takes = _parameters_of_named(families["backends"], own.get("name"))
    if "links" in own and "links" in takes:
        sections = own.pop("links") or []
        if not isinstance(sections, list):
            raise UserError(
                f"{where}: links: found {sections!r}, expected a list of mappings with a 'name' each"
            )
        parts["links"] = [
            build(families["links"], section, f"{where}: links[{number}]")
            for number, section in enumerate(sections)
        ]
        resolved["links"] = [resolved_options(families["links"], section) for section in sections]
    if own.get("adaptation") is not None and "adaptation" in takes:
        section = own.pop("adaptation")
        parts["adaptation"] = build(families["adaptation"], section, f"{where}: adaptation")
        resolved["adaptation"] = resolved_options(families["adaptation"], section)
    backend = build(families["backends"], own, where, **parts)
    return backend, resolved_options(families["backends"], own, parts) | resolved


def _parameters_of_named(family: Mapping[str, type], name: Any) -> Mapping[str, object]:
    """Parameters of a class of a registry by its name; none where the name is wrong."""
    if isinstance(name, str) and name in family:
        return parameters_of(family[name])
    return {}


def write_backend(folder: Path, learned: Backend, options: Mapping, dimensions: int) -> list[Path]:
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
    # files of another back end go: nobody may take them for this one's
    for old in (*folder.glob("*.vec"), *folder.glob("*.mat"), folder / "plda"):
        old.unlink(missing_ok=True)
    for name, part in parts.items():
        if name == "plda":
            write_plda(folder / name, PldaFile(*part))
        else:
            write = write_vector if name.endswith(".vec") else write_matrix
            write(folder / name, part.astype(np.float32))  # as Kaldi's programs do
    declared = {"options": dict(options), "dimensions": dimensions, "parts": sorted(parts)}
    with atomic_write(folder / "backend.json") as file:
        file.write(json.dumps(declared, indent=1) + "\n")
    return [folder / name for name in (*parts, "backend.json")]


def read_backend(folder: Path, families: Families) -> TrainedBackend:
    """Bring a trained back end back from its files.

    Parameters
    ----------
    folder : path
        From `write_backend`; its files may have been replaced by Kaldi's of the same names.
    families : mapping of registries
        See above.

    Raises
    ------
    UserError
        A file is missing, damaged, of another type, or does not fit the others.
    """
    declared = read_declared(folder)
    backend, _ = build_backend(families, declared["options"], str(folder / "backend.json"))
    parts = {name: _reader(name)(folder / name) for name in declared["parts"]}
    dimensions = declared["dimensions"]
    first, takes = sizes_taken(parts)
    if takes and dimensions not in takes:
        raise UserError(
            f"{folder / first}: takes vectors of {' or '.join(map(str, takes))} dimensions, the back end those of {dimensions}; put the "
            "right file there, or train the back end again"
        )
    try:
        return TrainedBackend(backend.from_parts(parts), dimensions, folder)
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
    if not first:
        return first, []
    vector = parts[first][0] if first == "plda" else parts[first]
    return first, [len(vector)]


def _reader(name: str) -> Callable[[Path], Any]:
    """The function that reads a file of such a name."""
    if name == "plda":
        return read_plda
    return read_vector if name.endswith(".vec") else read_matrix


def rows_of_backend(
    trained: TrainedBackend,
    names: Sequence[str],
    embeddings: np.ndarray,
    num_utts: np.ndarray,
    where: Path,
) -> np.ndarray:
    """Transform embeddings.

    Parameters
    ----------
    trained : TrainedBackend
        From `read_backend`.
    names : sequence of N str
        Whose embeddings they are.
    embeddings : (N, D) or (N, R, D) float array
        Vectors or matrices.
    num_utts : (N,) int array
        Of how many utterances each is the mean.
    where : path
        Folder of the embeddings, for messages.

    Returns
    -------
    (N, D') or (N, R, D') float array

    Raises
    ------
    UserError
        Other dimensions than those that the back end was trained on, or an embedding that is zero
        or not finite.
    """
    from utils.embeddings.checks import refuse_zero

    dimensions = embeddings.shape[-1]
    if trained.dimensions != dimensions:
        raise UserError(
            f"{where}: embeddings of {dimensions} dimensions, {trained.folder} was trained on "
            f"{trained.dimensions}"
        )
    refuse_not_finite(names, embeddings, where)
    refuse_zero(names, embeddings.reshape(len(names), -1), where)
    counts = np.repeat(num_utts, embeddings.size // (dimensions * len(names)))
    rows = transform_rows(lambda vectors: trained.scorer.transform(vectors, counts), embeddings)
    refuse_not_finite(names, rows, where, "zero or not finite")
    return rows
