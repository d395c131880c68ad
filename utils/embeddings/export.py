"""Embeddings as arrays in one file, for other programs: npz and HDF5.

Arrays ``utterances`` (N,) of text, ``embeddings`` (N, D) or (N, R, D), perhaps ``speakers`` (N,) of
text; ``provenance``: the content of provenance.json.
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

SURROGATES, LAST_CHARACTER = 0xD800, 0x10FFFF  # of Unicode; 2,048 numbers are surrogates
MAX_CHARACTERS = 160  # of an error in a message
NPZ, HDF5 = {".npz"}, {".h5", ".hdf5"}


def array_format(path: Path) -> str:
    """``npz`` or ``hdf5``, by the extension of a name; UserError for another one."""
    if path.suffix in NPZ:
        return "npz"
    if path.suffix in HDF5:
        return "hdf5"
    raise UserError(f"{path}: a name that ends in '{path.suffix}', expected .npz, .h5 or .hdf5")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], provenance: Mapping) -> None:
    """Write arrays of numbers or str, in the format of the extension.

    The same bytes for the same content. UserError: HDF5 without h5py.
    """
    facts = json.dumps(dict(provenance), sort_keys=True)
    if array_format(path) == "hdf5":
        _write_hdf5(path, arrays, facts)
        return
    with atomic_write(path, "wb") as file:
        text = np.array(facts)
        np.savez(file, **arrays, provenance=text)  # type: ignore[arg-type]  # no allow_pickle


def _write_hdf5(path: Path, arrays: Mapping[str, np.ndarray], facts: str) -> None:
    require_h5py(path)
    import h5py

    # By the name of the temporary file: h5py also reads the file that it writes.
    with atomic_write(path, "wb") as file, h5py.File(file.name, "w") as content:
        for name, array in arrays.items():
            values: object = array
            if array.dtype.kind == "U":
                values = array.tolist()
            content.create_dataset(name, data=values, track_times=False)
        content.attrs["provenance"] = facts


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and provenance (may be empty) of a file from `write_arrays` or another program.

    UserError: no such file, another format, ``utterances`` or ``embeddings`` missing, or arrays
    that do not fit together.
    """
    kind = array_format(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; correct the path")
    with damaged(path, kind):
        if kind == "npz":
            arrays = _read_npz(path)
        else:
            arrays = read_hdf5_arrays(path)
        for name, array in arrays.items():
            _refuse_no_text(name, array)
        facts = json.loads(str(arrays.pop("provenance", "{}")))
    _check_arrays(path, arrays)
    if not isinstance(facts, dict):
        facts = {}
    return arrays, facts


def _check_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise UserError if arrays are missing, or are of wrong kinds or lengths."""
    for name in ("utterances", "embeddings"):
        if name not in arrays:
            names = ", ".join(sorted(str(other) for other in arrays)) or "none"
            raise UserError(f"{path}: no array '{name}', found {names}; write the file again")
    for name, kind, dimensions, expected in (
        ("utterances", "U", (1,), "a 1-D array of text"),
        ("embeddings", "f", (2, 3), "floats for each utterance"),
        ("speakers", "U", (1,), "a 1-D array of text"),
    ):
        if name not in arrays:
            continue
        array = arrays[name]
        if array.dtype.kind != kind or array.ndim not in dimensions:
            raise UserError(
                f"{path}: '{name}' is an array of {array.dtype} of shape {array.shape}, expected "
                f"{expected}; write it again"
            )
        number = len(arrays["utterances"])
        if len(array) != number:
            raise UserError(
                f"{path}: {number} utterances and {len(array)} {name}, expected equally many; "
                "write the file again"
            )


@contextmanager
def damaged(path: Path, kind: str) -> Iterator[None]:
    """Raise UserError for the errors of reading a damaged file, or one that is not of its kind."""
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
        reason = " ".join(str(error).split())[:MAX_CHARACTERS]
        raise UserError(
            f"{path}: damaged, or not an {kind} file of plain arrays: {reason}; write it again"
        ) from None


def _read_npz(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                _refuse_too_large(member.filename, _declared_bytes(file), member.file_size)
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def _declared_bytes(file: IO[bytes]) -> int:
    """Size of an array from its header, before memory is allocated for it."""
    if np.lib.format.read_magic(file) == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return math.prod(shape) * dtype.itemsize


def _refuse_too_large(name: str, declared: int, present: int) -> None:
    if declared > present:
        raise ValueError(
            f"{name} is an array of {declared:,} bytes, of which the file has {present:,}"
        )


def _refuse_no_text(name: str, array: object) -> None:
    """Refuse numbers that are not characters in an array of text; NumPy accepts them."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "U" and array.nbytes:
        letters = array.reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if ((letters > LAST_CHARACTER) | (letters >> 11 == SURROGATES >> 11)).any():
            raise ValueError(f"{name} has numbers that are not characters")
