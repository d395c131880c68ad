"""Embeddings as arrays in one file, for those who use neither Kaldi's archives nor this project: npz and HDF5.

Arrays ``utterances`` (N,) of text, ``embeddings`` (N, D) or (N, R, D), perhaps ``speakers`` (N,) of text; ``provenance``: what provenance.json says.
"""

import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from utils.errors import UserError
from utils.files import atomic_write
from utils.foreign.hdf5 import read_hdf5_arrays, require_h5py

SURROGATES, LAST_LETTER = 0xD800, 0x10FFFF  # of Unicode; the former are 2,048 numbers
NPZ, HDF5 = {".npz"}, {".h5", ".hdf5"}


def kind_of(path: Path) -> str:
    """``npz`` or ``hdf5``, by the ending of a name.

    Parameters
    ----------
    path : path
        File, existing or not.

    Raises
    ------
    UserError
        Another ending.
    """
    if path.suffix in NPZ | HDF5:
        return "npz" if path.suffix in NPZ else "hdf5"
    raise UserError(f"{path}: a name that ends in '{path.suffix}', expected .npz, .h5 or .hdf5")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], provenance: Mapping) -> None:
    """Write arrays, the same bytes for the same content.

    Parameters
    ----------
    path : path
        Its ending says the format.
    arrays : mapping of str to array
        Of numbers, or of str.
    provenance : mapping
        JSON values.

    Raises
    ------
    UserError
        HDF5 without h5py.
    """
    facts, kind = json.dumps(dict(provenance), sort_keys=True), kind_of(path)
    if kind == "hdf5":
        require_h5py(path)
    with atomic_write(path, "wb") as file:
        if kind == "npz":
            text = np.array(facts)
            np.savez(file, **arrays, provenance=text)  # type: ignore[arg-type]  # no allow_pickle
            return
        import h5py

        # The same file by its name: h5py also reads what it writes.
        with h5py.File(file.name, "w") as content:
            for name, array in arrays.items():
                values = array.tolist() if array.dtype.kind == "U" else array
                content.create_dataset(name, data=values, track_times=False)
            content.attrs["provenance"] = facts


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read what `write_arrays` wrote, or a file of another's making that has the same names.

    Parameters
    ----------
    path : path
        Its ending says the format.

    Returns
    -------
    arrays, provenance : dict of str to array, dict
        Texts as arrays of str; the second is empty where the file says nothing.

    Raises
    ------
    UserError
        No such file, not of this format, ``utterances`` or ``embeddings`` missing, or arrays that do not fit together.
    """
    kind = kind_of(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with damaged(path, kind):
        found = _read_npz(path) if kind == "npz" else read_hdf5_arrays(path)
        for name, array in found.items():
            _refuse_no_text(name, array)
        facts = json.loads(str(found.pop("provenance", "{}")))
    if missing := [name for name in ("utterances", "embeddings") if name not in found]:
        raise UserError(
            f"{path}: no array '{missing[0]}'; there are {', '.join(sorted(map(str, found))) or 'none'}"
        )
    for name, kind, sides, expected in (
        ("utterances", "U", (1,), "a row of texts"),
        ("embeddings", "f", (2, 3), "floats for each utterance"),
        ("speakers", "U", (1,), "a row of texts"),
    ):
        array = found.get(name, found["utterances"])
        if array.dtype.kind != kind or array.ndim not in sides:
            raise UserError(
                f"{path}: '{name}' is an array of {array.dtype} of shape {array.shape}, expected {expected}"
            )
        if len(array) != len(found["utterances"]):
            raise UserError(
                f"{path}: {len(found['utterances'])} utterances and {len(array)} {name}"
            )
    return found, facts if isinstance(facts, dict) else {}


@contextmanager
def damaged(path: Path, kind: str) -> Iterator[None]:
    """Say in one line that a file is not what its name says.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What it should be.
    """
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        tokenize.TokenError,
        SyntaxError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        EOFError,
        OSError,
        RuntimeError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None and not os.access(path, os.R_OK):
            raise
        raise UserError(
            f"{path}: damaged, or no {kind} file of plain arrays: {' '.join(str(error).split())[:160]}"
        ) from None


def _read_npz(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                _refuse_promises(member.filename, _announced_bytes(file), member.file_size)
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def _announced_bytes(file: IO[bytes]) -> int:
    """What the head of an array says of its size, before memory is taken for it."""
    version = np.lib.format.read_magic(file)
    shape, _, dtype = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )(file)
    return math.prod(shape) * dtype.itemsize


def _refuse_promises(name: str, promised: int, there: int) -> None:
    if promised > there:
        raise ValueError(f"{name} is an array of {promised:,} bytes, of which {there:,} are there")


def _refuse_no_text(name: str, array: object) -> None:
    """Python's own text may not hold such numbers, but numpy makes it of them."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "U" and array.nbytes:
        letters = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if ((letters > LAST_LETTER) | (letters >> 11 == SURROGATES >> 11)).any():
            raise ValueError(f"{name} holds numbers that are no letters")
