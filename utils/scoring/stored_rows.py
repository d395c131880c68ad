"""Rows of an array that is too large for memory: in a file without a name, of which only what is asked for is read."""

import os
import tempfile
from pathlib import Path

import numpy as np


class StoredRows:
    """An array (N, D) to which rows are added at its end, and of which consecutive ones are read; several threads may read.

    Parameters
    ----------
    folder : path
        Where there is room for it; the file is gone when the object is.
    """

    def __init__(self, folder: Path):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open for as long as the object
        self._dtype, self._columns, self._rows = np.dtype(np.float32), 0, 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        rows : (B, D) float array
            Of one size and type in all calls.
        """
        if self._rows and (rows.shape[1], rows.dtype) != (self._columns, self._dtype):
            raise ValueError(f"rows of {rows.shape[1]} {rows.dtype}, those before are of {self._columns} {self._dtype}")
        self._dtype, self._columns = rows.dtype, rows.shape[1]
        self._file.write(np.ascontiguousarray(rows).data)
        self._file.flush()
        self._rows += len(rows)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, wanted: slice) -> np.ndarray:
        start, stop, step = wanted.indices(self._rows)
        if step != 1:
            raise ValueError(f"every {step}th row is asked for, expected consecutive ones")
        count, row_bytes = max(0, stop - start), self._columns * self._dtype.itemsize
        buffer, done = bytearray(count * row_bytes), 0
        while done < len(buffer):  # one call gives 2 GiB at most
            done += os.preadv(self._file.fileno(), [memoryview(buffer)[done:]], start * row_bytes + done)
        return np.frombuffer(buffer, self._dtype).reshape(count, self._columns)
