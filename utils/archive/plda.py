"""Kaldi's ``<Plda>`` files, binary and text; reading and writing one again restores its bytes.

kaldiio has no reader for them.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.archive.objects import Buffer, MalformedObject, decode_object, encode_object
from utils.archive.read import describe, map_file
from utils.errors import UserError
from utils.files import atomic_write

OPENING, CLOSING = b"<Plda> ", b"</Plda> "
ROUNDING = 1e-9


class PldaFile(NamedTuple):
    """The arrays of a ``<Plda>`` file, as stored (Kaldi writes float64).

    ``mean`` (D,) of the speakers; ``transform`` (D, D) makes the within-speaker covariance the
    identity and the between-speaker covariance diagonal; ``psi`` (D,) is that diagonal, which may
    be slightly negative by rounding, since ivector-adapt-plda sets no floor.
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray


def read_plda(path: str | Path) -> PldaFile:
    """Read a ``<Plda>`` file of ivector-compute-plda, ivector-copy-plda or ivector-adapt-plda.

    UserError for another type of file, a truncated one, sizes that do not agree, or NaN and Inf.
    """
    buffer = map_file(path)
    try:
        return _decode(buffer)
    except MalformedObject as error:
        raise UserError(f"{path}: {error}") from None


def write_plda(path: str | Path, plda: PldaFile, *, text: bool = False) -> None:
    """Write a ``<Plda>`` file: binary, or as Kaldi's text with its 7 significant digits."""
    arrays = [np.asarray(array) for array in plda]
    if text:
        content = OPENING + b"".join(_encode_text(array) for array in arrays) + CLOSING
    else:
        encoded = [encode_object(array).removeprefix(b"\0B") for array in arrays]
        content = b"\0B" + OPENING + b"".join(encoded) + CLOSING
    with atomic_write(path, "wb") as file:
        file.write(content)


def _decode(buffer: Buffer) -> PldaFile:
    # in a binary file this is at the start only, not before each array
    marker = b"\0B" if buffer[:2] == b"\0B" else b""
    start = len(marker)
    if buffer[start : start + len(OPENING)] != OPENING:
        raise MalformedObject(f"found {buffer[:20]!r}, expected Kaldi's <Plda>")
    position, arrays = start + len(OPENING), []
    for name, noun in (("mean", "vector"), ("transform", "matrix"), ("psi", "vector")):
        try:
            array, end = decode_object(marker + buffer[position:], 0)
        except MalformedObject as error:
            raise MalformedObject(f"{name} of <Plda>: {error}") from None
        ndim = 1 if noun == "vector" else 2
        if array.ndim != ndim or array.dtype.kind != "f":
            raise MalformedObject(f"{name} of <Plda> is {describe(array)}, expected a {noun}")
        arrays.append(array)
        position += end - len(marker)
    rest = buffer[position:]
    if rest.strip() != CLOSING.strip():
        raise MalformedObject(
            f"truncated or damaged: found {rest[:20]!r}, expected </Plda> at the end"
        )
    plda = PldaFile(*arrays)
    _check_arrays(plda)
    return plda


def _check_arrays(plda: PldaFile) -> None:
    """Refuse arrays whose sizes do not agree, NaN, Inf, and negative variances."""
    mean, transform, psi = plda
    if transform.shape != (len(mean), len(mean)) or len(psi) != len(mean) or not len(mean):
        shape = " x ".join(map(str, transform.shape))
        raise MalformedObject(
            f"mean of {len(mean)}, transform of {shape} and psi of {len(psi)} do not fit together"
        )
    is_finite = all(np.isfinite(array).all() for array in plda)
    if not is_finite or (psi < -ROUNDING * max(1.0, psi.max())).any():
        raise MalformedObject("values that are not finite, or a negative variance in psi")


def _encode_text(array: np.ndarray) -> bytes:
    """As C++ prints with a precision of 7."""
    rows = [" ".join(f"{value:.7g}" for value in row) for row in np.atleast_2d(array).tolist()]
    if array.ndim == 1:
        return f" [ {rows[0]} ]\n".encode()
    return (" [\n  " + " \n  ".join(rows) + " ]\n").encode()
