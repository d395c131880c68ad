"""Back ends on disk, and how they transform embeddings.

`build_backend` makes an untrained one from options, `write_backend` stores what it learned in files
with Kaldi's names (mean.vec, transform.mat, plda), `read_backend` loads it, and
`transform_embeddings` applies it.

``families`` are the registries of steps/backends:
``{"backends": BACKENDS, "links": LINKS, "adaptation": ADAPTATIONS}``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from utils.archive import read_matrix, read_vector, write_matrix, write_vector
from utils.archive.plda import PldaFile, read_plda, write_plda
from utils.config import build, resolved_options, signature_parameters
from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import Scorer, transform_rows
from utils.errors import UserError
from utils.files import atomic_write, read_json_object

Families = Mapping[str, Mapping[str, type]]


class Backend(Scorer, Protocol):
    """A back end that can be trained, or set up from what another one learned."""

    def transform(self, embeddings: np.ndarray, num_utts: np.ndarray) -> np.ndarray:
        """Rows (N, D') to compare, of embeddings (N, D): means of ``num_utts`` utterances each."""

    def parts(self) -> Mapping[str, Any]:
        """What was learned: vectors, matrices, and for ``plda`` the arguments of `PldaFile`."""

    def from_parts(self, parts: Mapping[str, Any]) -> "Backend":
        """Itself, with what another one learned."""


@dataclass(frozen=True)
class TrainedBackend:
    """A back end that was read from its folder, and the dimensions of embeddings that it takes."""

    scorer: Backend
    dimensions: int
    folder: Path


def build_backend(families: Families, options: Any, where: str) -> tuple[Any, dict]:
    """An untrained back end with its links and adaptation, and all its options with defaults.

    ``options`` are ``name``, the arguments of that back end, ``links`` (a list of mappings with a
    ``name`` each) and ``adaptation`` (such a mapping); ``where`` is the YAML file, for messages.
    The options returned build the same again.  UserError as `utils.config.build`, for any part.
    """
    own: dict[str, Any] = dict(options)
    parts: dict[str, Any] = {}
    resolved: dict[str, Any] = {}
    takes = _parameters_of_named(families["backends"], own.get("name"))
    if "links" in own and "links" in takes:
        sections = own.pop("links") or []
        if not isinstance(sections, list):
            raise UserError(
                f"{where}: links: found {sections!r}, "
                "expected a list of mappings with a 'name' each"
            )
        parts["links"], resolved["links"] = [], []
        for number, section in enumerate(sections):
            link = build(families["links"], section, f"{where}: links[{number}]")
            parts["links"].append(link)
            resolved["links"].append(resolved_options(families["links"], section))
    if own.get("adaptation") is not None and "adaptation" in takes:
        section = own.pop("adaptation")
        parts["adaptation"] = build(families["adaptation"], section, f"{where}: adaptation")
        resolved["adaptation"] = resolved_options(families["adaptation"], section)
    backend = build(families["backends"], own, where, **parts)
    return backend, resolved_options(families["backends"], own, parts) | resolved


def _parameters_of_named(family: Mapping[str, type], name: Any) -> Mapping[str, object]:
    """Parameters of a class of a registry by its name; none if the name is wrong."""
    if isinstance(name, str) and name in family:
        return signature_parameters(family[name])
    return {}


def write_backend(folder: Path, learned: Backend, options: Mapping, dimensions: int) -> list[Path]:
    """Write what a back end learned, and ``backend.json`` with its options; returns the files."""
    parts = learned.parts()
    # Files of another back end are removed, so that they are not taken for this one's.
    for old in (*folder.glob("*.vec"), *folder.glob("*.mat"), folder / "plda"):
        old.unlink(missing_ok=True)
    for name, part in parts.items():
        if name == "plda":
            write_plda(folder / name, PldaFile(*part))
        elif name.endswith(".vec"):
            write_vector(folder / name, part.astype(np.float32))  # as Kaldi's programs do
        else:
            write_matrix(folder / name, part.astype(np.float32))
    declared = {"options": dict(options), "dimensions": dimensions, "parts": sorted(parts)}
    with atomic_write(folder / "backend.json") as file:
        file.write(json.dumps(declared, indent=1) + "\n")
    return [folder / name for name in (*parts, "backend.json")]


def read_backend(folder: Path, families: Families) -> TrainedBackend:
    """A trained back end from its folder, in which Kaldi's files may have replaced ours.

    UserError if a file is missing, damaged, of another type, or does not fit the others.
    """
    declared = read_declared(folder)
    backend, _ = build_backend(families, declared["options"], str(folder / "backend.json"))
    parts: dict[str, Any] = {}
    for name in declared["parts"]:
        if name == "plda":
            parts[name] = read_plda(folder / name)
        elif name.endswith(".vec"):
            parts[name] = read_vector(folder / name)
        else:
            parts[name] = read_matrix(folder / name)
    dimensions = declared["dimensions"]
    first, takes = sizes_taken(parts)
    if takes and dimensions not in takes:
        raise UserError(
            f"{folder / first}: takes vectors of {' or '.join(map(str, takes))} dimensions, the "
            f"back end those of {dimensions}; put the right file there, or train it again"
        )
    try:
        return TrainedBackend(backend.from_parts(parts), dimensions, folder)
    except ValueError as error:
        raise UserError(f"{folder}: {error}; train the back end again") from None


def read_declared(folder: Path) -> dict:
    """``options``, ``dimensions`` and ``parts`` of ``backend.json``; UserError if damaged."""
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
    """Which of a back end's files is applied first, and how many dimensions it takes.

    A matrix may have an offset column or not: two sizes.  Empty if none of Kaldi's files is there.
    """
    if "mean.vec" in parts:
        return "mean.vec", [len(parts["mean.vec"])]
    if "transform.mat" in parts:
        columns = parts["transform.mat"].shape[1]
        return "transform.mat", [columns - 1, columns]
    if "plda" in parts:
        return "plda", [len(parts["plda"][0])]
    return "", []


def transform_embeddings(
    trained: TrainedBackend,
    names: Sequence[str],
    embeddings: np.ndarray,
    num_utts: np.ndarray,
    where: Path,
) -> np.ndarray:
    """Transform embeddings (N, D) or (N, R, D), means of ``num_utts`` utterances: (N, [R,] D').

    ``where`` is their folder, for messages.  UserError for other dimensions than those that the
    back end was trained on, or an embedding that is zero or not finite.
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
