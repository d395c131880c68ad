"""Tensors of a published file under our names and in our shapes; no tensor is dropped silently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.foreign.tables import Head, Match, Table, match_keys, match_pattern
from utils.foreign.transforms import CONSTANTS, TRANSFORMS

Shapes = Mapping[str, tuple[int, ...]]
ROWS_ARE_COLUMNS = {"tf_lstm_kernel"}  # their columns, not their rows, divide among our tensors
MOST_NAMES = 10  # of missing tensors in a message


@dataclass
class SortedKeys:
    """The keys of a file: of our network, of a loss, left out with the reason, and unknown ones."""

    network: dict[str, Match]
    loss: dict[str, Match] = field(default_factory=dict)
    head: Head | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def sort_keys(tensors: Mapping[str, np.ndarray], table: Table, path: Path) -> SortedKeys:
    """Sort the keys of a file by a table; ``path`` is for messages.

    UserError: a constant of the file is not what our network computes with.
    """
    keys = SortedKeys(match_keys(tensors, table.keys, table.words))
    rest = [key for key in tensors if key not in keys.network]
    for pattern, name in table.constants.items():
        for key in match_pattern(pattern, rest):
            _check_constant(key, tensors[key], name, path)
            rest.remove(key)
    for pattern, meaning in table.left_out.items():
        for key in match_pattern(pattern, rest):
            keys.left_out[key] = meaning
            rest.remove(key)
    for head in table.heads:
        matches = match_keys(rest, head.keys, table.words)
        if len(matches) == len(head.keys):
            keys.head, keys.loss = head, matches
            break
    for key in rest:
        if key in keys.loss:
            continue
        if key.startswith("__L__."):
            keys.left_out[key] = "a weight of a loss that is not ours"
        else:
            keys.unknown.append(key)
    return keys


def _check_constant(key: str, array: np.ndarray, name: str, path: Path) -> None:
    if not np.allclose(array, CONSTANTS[name](array.shape), rtol=1e-5, atol=1e-6):
        raise UserError(
            f"{path}: {key} is not {name} of 16 kHz, which the network computes with; it belongs "
            "to another network"
        )


def translate(
    tensors: Mapping[str, np.ndarray],
    matches: Mapping[str, Match],
    shapes: Shapes,
    path: Path,
    by_rows: str = "",
) -> dict[str, np.ndarray]:
    """Our tensors, float32 or int64, from those of a file; counts of batches may be missing.

    ``shapes`` has all of ours; ``by_rows`` is the transform that a table calls ``by_rows``.
    UserError: a shape differs, or the file lacks one of our tensors or has one twice.
    """
    ours: dict[str, np.ndarray] = {}
    sources: dict[str, str] = {}
    for key, match in matches.items():
        for name in match.ours:
            if name not in shapes:
                raise UserError(
                    f"{path}: {key} would be {name}, which the network of this configuration "
                    "does not have; give its --config"
                )
            if name in sources:
                raise UserError(
                    f"{path}: {sources[name]} and {key} both map to {name}; is --kind right?"
                )
            sources[name] = key
        transform = by_rows if match.transform == "by_rows" else match.transform
        parts = _divide(tensors[key], key, match.ours, transform, shapes, path)
        for name, part in zip(match.ours, parts, strict=True):
            ours[name] = _fit(part, f"{path}: {key}", transform, name, shapes[name])
    _refuse_missing(ours, shapes, path)
    return ours


def _refuse_missing(ours: Mapping[str, np.ndarray], shapes: Shapes, path: Path) -> None:
    missing = []
    for name in shapes:
        if name not in ours and not name.endswith("num_batches_tracked"):
            missing.append(name)
    if missing:
        names = ", ".join(missing[:MOST_NAMES])
        if len(missing) > MOST_NAMES:
            names += ", ..."
        raise UserError(
            f"{path}: has no {names}: {len(missing)} of {len(shapes)} tensors of the network are "
            "missing; is --kind right, and does the file fit its --config?"
        )


def _divide(
    array: np.ndarray,
    key: str,
    names: Sequence[str],
    transform: str,
    shapes: Shapes,
    path: Path,
) -> list[np.ndarray]:
    """Divide the rows of a published tensor among our tensors."""
    if len(names) == 1:
        return [array]
    axis = 1 if transform in ROWS_ARE_COLUMNS else 0
    rows = [shapes[name][axis] for name in names]
    count = len(np.atleast_1d(array))
    if sum(rows) != count:
        raise UserError(
            f"{path}: {key} has {count} rows, expected {' + '.join(map(str, rows))} "
            f"({', '.join(names)})"
        )
    return np.split(array, np.cumsum(rows[:-1]))


def _fit(
    array: np.ndarray, where: str, transform: str, name: str, shape: tuple[int, ...]
) -> np.ndarray:
    """The transformed array, which must have our shape and finite numbers."""
    try:
        transformed = TRANSFORMS[transform](array)
    except ValueError:  # too few axes, or a wrong size
        transformed = None
    if transformed is None or transformed.shape != shape:
        actual = array.shape if transformed is None else transformed.shape
        note = "" if transform == "as_is" else f" ({transform})"
        raise UserError(
            f"{where} has shape {actual}{note}, expected {shape}, that of {name}; give the "
            "--config it was trained with"
        )
    if not np.isfinite(transformed).all():
        raise UserError(f"{where} holds NaN or Inf; the training that wrote it had failed")
    return transformed.astype(np.float32 if transformed.dtype.kind == "f" else np.int64)
