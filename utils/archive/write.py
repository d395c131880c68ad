"""Write Kaldi archives and scp files: complete or not at all."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from utils.archive.compressed import encode_compressed
from utils.archive.objects import encode_object, encode_wave
from utils.files import atomic_write


class ArchiveWriter:
    """Write an archive and its scp file, which points into it.

    Both appear when the ``with`` block ends without an exception, the archive first.

    Parameters
    ----------
    ark_path, scp_path : path
        Missing parent folders are made.  The scp file names the archive by the path given here.
    text : bool
        Kaldi's text form (waves stay binary).

    Attributes
    ----------
    outputs : dict
        After the block: path -> ``{"bytes": size, "sha256": hexadecimal digits}`` of both files,
        computed while they were written.

    Examples
    --------
    >>> with ArchiveWriter("exp/xvector.1.ark", "exp/xvector.1.scp") as writer:
    ...     writer.write("id10270-1", embedding)
    """

    def __init__(self, ark_path: str | Path, scp_path: str | Path, *, text: bool = False):
        self.ark_path, self.scp_path, self.text = str(ark_path), str(scp_path), text
        self.outputs: dict[str, dict] = {}
        self._keys: set[str] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # closed, and so published, in reverse: the ark before the scp that points into it
            self._scp = _HashedFile(stack.enter_context(atomic_write(self.scp_path, "wb")))
            self._ark = _HashedFile(stack.enter_context(atomic_write(self.ark_path, "wb")))
            self._files = stack.pop_all()
        return self

    def __exit__(self, *exception) -> None:
        self._files.__exit__(*exception)
        if exception[0] is None:
            self.outputs = {
                self.ark_path: self._ark.summary(),
                self.scp_path: self._scp.summary(),
            }

    def write(self, key: str, array: np.ndarray) -> None:
        """Add a float32 or float64 vector or matrix, or an int32 vector; no type is converted.

        The key is not empty, has no blanks and is new to this archive.
        """
        self._add(key, encode_object(np.asarray(array), text=self.text))

    def write_encoded(self, key: str, encoded: bytes) -> None:
        """Add an object of another archive: the bytes after its key and one blank."""
        self._add(key, encoded)

    def write_compressed(self, key: str, matrix_TF: np.ndarray) -> None:
        """Add a float32 matrix as Kaldi compresses features: lossy, about a byte a value."""
        if self.text:
            raise ValueError("Kaldi has no text form of a compressed matrix")
        self._add(key, encode_compressed(np.asarray(matrix_TF)))

    def write_wave(self, key: str, samples: np.ndarray, sample_rate_hz: int) -> None:
        """Add int16 samples of one channel as a wave with a 44-byte header.

        Its offset in the scp file is that of ``RIFF``.
        """
        self._add(key, encode_wave(np.asarray(samples), sample_rate_hz))

    def _add(self, key: str, encoded: bytes) -> None:
        _check_key(key)
        if key in self._keys:
            raise ValueError(f"key '{key}' is in {self.ark_path} already")
        self._keys.add(key)
        self._ark.write(f"{key} ".encode())
        self._scp.write(f"{key} {self.ark_path}:{self._ark.size}\n".encode())
        self._ark.write(encoded)


def write_text_vectors(path: str | Path, mapping: Mapping[str, int | np.ndarray]) -> None:
    """Write a text archive without an scp file, such as ``num_utts.ark``.

    Parameters
    ----------
    path : path
        Archive to write.
    mapping : mapping of str to int, (D,) int32 array or (D,) float array
        Written in the mapping's order; integers without brackets.
    """
    with atomic_write(path, "wb") as file:
        for key, value in mapping.items():
            _check_key(key)
            array = np.array([value], np.int32) if isinstance(value, (int, np.integer)) else value
            file.write(f"{key} ".encode() + encode_object(array, text=True))


def write_vector(path: str | Path, vector: np.ndarray) -> None:
    """Write a file that is one binary vector, such as ``mean.vec``.

    Parameters
    ----------
    path : path
        File to write.
    vector : (D,) float32, float64 or int32 array
        Written in its own type.
    """
    _write_bare(path, vector, 1)


def write_matrix(path: str | Path, matrix: np.ndarray) -> None:
    """Write a file that is one binary matrix, such as ``transform.mat``.

    Parameters
    ----------
    path : path
        File to write.
    matrix : (R, C) float32 or float64 array
        Written in its own type.
    """
    _write_bare(path, matrix, 2)


def _write_bare(path: str | Path, array: np.ndarray, ndim: int) -> None:
    if array.ndim != ndim:
        raise ValueError(f"found an array of {array.ndim} dimensions, expected {ndim}")
    encoded = encode_object(array)
    with atomic_write(path, "wb") as file:
        file.write(encoded)


def _check_key(key: str) -> None:
    if key.split() != [key] or not key.isprintable():
        raise ValueError(f"key {key!r} is empty or has a blank or a control character")


class _HashedFile:
    """A file that counts and hashes the bytes written to it."""

    def __init__(self, file):
        self._file, self._hash, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def summary(self) -> dict:
        return {"bytes": self.size, "sha256": self._hash.hexdigest()}
