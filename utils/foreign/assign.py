"""Tensors of a published file under the names, and in the shapes, of ours; nothing is passed over in silence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.foreign.tables import Head, Match, Table, keys_like, match_keys
from utils.foreign.transforms import CONSTANTS, TRANSFORMS

ROWS_ARE_COLUMNS = {
    "tf_lstm_kernel"
}  # of these, the rows that divide among several of ours are their columns


@dataclass
class Sorted:
    """The keys of a file by what they are.

    Attributes
    ----------
    network, loss : dict of str to Match
        Key -> which of our weights it is.
    head : Head or None
        The loss that the file has weights of.
    left_out : dict of str to str
        Key -> what it is; not used.
    unknown : list of str
        The rest.
    """

    network: dict[str, Match]
    loss: dict[str, Match] = field(default_factory=dict)
    head: Head | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def sort_keys(tensors: Mapping[str, np.ndarray], table: Table, path: Path) -> Sorted:
    """Say of each key of a file what it is.

    Parameters
    ----------
    tensors : mapping of str to array
        The file's content.
    table : Table
        Of its kind.
    path : path
        The file, for messages.

    Raises
    ------
    UserError
        A constant of the file is not what the network computes with.
    """
    found = Sorted(match_keys(tensors, table.keys, table.words))
    rest = [key for key in tensors if key not in found.network]
    for pattern, name in table.constants.items():
        for key in keys_like(pattern, rest):
            if not np.allclose(
                tensors[key], CONSTANTS[name](tensors[key].shape), rtol=1e-5, atol=1e-6
            ):
                raise UserError(
                    f"{path}: {key} is not {name} of 16 kHz, which the network computes with; it belongs to another network"
                )
            rest.remove(key)
    for pattern, meaning in table.left_out.items():
        found.left_out |= dict.fromkeys(keys_like(pattern, rest), meaning)
    rest = [key for key in rest if key not in found.left_out]
    for head in table.heads:
        matches = match_keys(rest, head.keys, table.words)
        if len(matches) == len(head.keys):
            found.head, found.loss = head, matches
            break
    rest = [key for key in rest if key not in found.loss]
    found.left_out |= {
        key: "a weight of a loss that is not ours" for key in rest if key.startswith("__L__.")
    }
    found.unknown = [key for key in rest if key not in found.left_out]
    return found


def translate(
    tensors: Mapping[str, np.ndarray],
    matches: Mapping[str, Match],
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
    by_rows: str = "",
) -> dict[str, np.ndarray]:
    """Our tensors from those of a file.

    Parameters
    ----------
    tensors : mapping of str to array
        The file's content.
    matches : mapping of str to Match
        Key of the file -> which of ours it is.
    shapes : mapping of str to tuple of int
        All of ours, with their shapes.
    path : path
        The file, for messages.
    by_rows : str
        The transformation that ``by_rows`` of a table stands for.

    Returns
    -------
    dict of str to array
        float32, but for whole numbers; counts of batches that a file lacks are left out.

    Raises
    ------
    UserError
        A shape differs, the file lacks one of ours, or has one twice.
    """
    ours: dict[str, np.ndarray] = {}
    from_key: dict[str, str] = {}
    for key, match in matches.items():
        transform = by_rows if match.transform == "by_rows" else match.transform
        for name in match.ours:
            if name not in shapes:
                raise UserError(
                    f"{path}: {key} would be {name}, which the network of this configuration does not have; give its --config"
                )
            if name in from_key:
                raise UserError(f"{path}: {from_key[name]} and {key} are both {name}")
            from_key[name] = key
        ours |= _divided(tensors[key], key, match.ours, transform, shapes, path)
    lacking = [
        name for name in shapes if name not in ours and not name.endswith("num_batches_tracked")
    ]
    if lacking:
        raise UserError(
            f"{path}: has no {', '.join(lacking[:10])}{', ...' if lacking[10:] else ''}: {len(lacking)} of {len(shapes)} tensors of the "
            "network are missing; is --kind right, and does the file fit its --config?"
        )
    return ours


def _divided(
    array: np.ndarray,
    key: str,
    names: tuple[str, ...],
    transform: str,
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
) -> dict:
    """The parts of one published tensor, in our shapes."""
    axis = int(transform in ROWS_ARE_COLUMNS)
    rows = [shapes[name][axis] for name in names] if len(names) > 1 else []
    if rows and sum(rows) != len(np.atleast_1d(array)):
        raise UserError(
            f"{path}: {key} has {len(np.atleast_1d(array))} rows, expected {' + '.join(map(str, rows))} ({', '.join(names)})"
        )
    parts = np.split(array, np.cumsum(rows[:-1])) if rows else [array]
    ours = {}
    for name, part in zip(names, parts, strict=True):
        found = _transformed(part, transform)
        if found is None or found.shape != shapes[name]:
            raise UserError(
                f"{path}: {key} has shape {part.shape if found is None else found.shape}"
                f"{'' if transform == 'as_is' else f' ({transform})'}, expected {shapes[name]}, that of {name}; give the --config it was "
                "trained with"
            )
        if not np.isfinite(found).all():
            raise UserError(
                f"{path}: {key} holds NaN or Inf; the training that wrote it had failed"
            )
        ours[name] = found.astype(np.float32 if found.dtype.kind == "f" else np.int64)
    return ours


def _transformed(array: np.ndarray, transform: str) -> np.ndarray | None:
    """The transformed array, or None where it has too few axes or a wrong size for it."""
    try:
        return TRANSFORMS[transform](array)
    except ValueError:
        return None
