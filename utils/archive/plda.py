"""Kaldi's ``<Plda>`` files, binary and text, read and written; what is read and written again has the same bytes."""

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
    """What a ``<Plda>`` file holds, each as stored (Kaldi writes float64).

    Attributes
    ----------
    mean : (D,) array
        Mean of the speakers.
    transform : (D, D) array
        Makes the within-speaker covariance unit and the between-speaker covariance diagonal.
    psi : (D,) array
        That diagonal, not negative but for the rounding of ivector-adapt-plda, which sets no floor.
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray


def read_plda(path: str | Path) -> PldaFile:
    """Read a ``<Plda>`` file.

    Parameters
    ----------
    path : path
        As ``ivector-compute-plda``, ``ivector-copy-plda`` or ``ivector-adapt-plda`` write it.

    Raises
    ------
    UserError
        No such file, another type of file, truncated, sizes that do not fit together, or values that are not finite.
    """
    buffer = map_file(path)
    try:
        return _decode(buffer)
    except MalformedObject as fault:
        raise UserError(f"{path}: {fault}") from None


def write_plda(path: str | Path, plda: PldaFile, *, text: bool = False) -> None:
    """Write a ``<Plda>`` file.

    Parameters
    ----------
    path : path
        File to write.
    plda : PldaFile
        Each array is written in its own type, which for Kaldi is float64.
    text : bool
        Kaldi's text (``--binary=false``) with its 7 significant digits; the binary form loses nothing.
    """
    if text:
        content = OPENING + b"".join(_text(np.asarray(array)) for array in plda) + CLOSING
    else:
        content = (
            b"\0B"
            + OPENING
            + b"".join(encode_object(np.asarray(array))[2:] for array in plda)
            + CLOSING
        )
    with atomic_write(path, "wb") as file:
        file.write(content)


def _decode(buffer: Buffer) -> PldaFile:
    # binary: it stands once at the start, and not before each array
    mark = b"\0B" if buffer[:2] == b"\0B" else b""
    start = len(mark)
    if buffer[start : start + len(OPENING)] != OPENING:
        raise MalformedObject(f"found {buffer[:20]!r}, expected Kaldi's <Plda>")
    position, arrays = start + len(OPENING), []
    for name, ndim in (("mean", 1), ("transform", 2), ("psi", 1)):
        try:
            array, end = decode_object(mark + buffer[position:], 0)
        except MalformedObject as fault:
            raise MalformedObject(f"{name} of <Plda>: {fault}") from None
        if array.ndim != ndim or array.dtype.kind != "f":
            raise MalformedObject(
                f"{name} of <Plda> is {describe(array)}, expected a {'vector' if ndim == 1 else 'matrix'}"
            )
        arrays.append(array)
        position += end - len(mark)
    if buffer[position:].strip() != CLOSING.strip():
        raise MalformedObject(
            f"truncated or damaged: found {buffer[position : position + 20]!r}, expected </Plda> at the end"
        )
    mean, transform, psi = arrays
    if transform.shape != (len(mean), len(mean)) or len(psi) != len(mean) or not len(mean):
        raise MalformedObject(
            f"mean of {len(mean)}, transform of {' x '.join(map(str, transform.shape))} and psi of {len(psi)} do not fit together"
        )
    if (
        not all(np.isfinite(array).all() for array in arrays)
        or (psi < -ROUNDING * max(1.0, psi.max())).any()
    ):
        raise MalformedObject("values that are not finite, or a negative variance in psi")
    return PldaFile(mean, transform, psi)


def _text(array: np.ndarray) -> bytes:
    """As C++ prints with a precision of 7."""
    rows = [" ".join(f"{value:.7g}" for value in row) for row in np.atleast_2d(array).tolist()]
    if array.ndim == 1:
        return f" [ {rows[0]} ]\n".encode()
    return (" [\n  " + " \n  ".join(rows) + " ]\n").encode()
