"""Foreign HDF5 files: arrays of numbers and texts.

`read_hdf5_arrays` starts the sandbox (sandbox.py), since HDF5's own library loops or dies in some
damaged files; `hdf5_arrays` runs in it.  h5py is an optional extra (requirements-optional.txt).
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.foreign.sandbox import DTYPES, Parts, read_in_sandbox

MOST_TIMES = 1000  # larger than its bytes in the file a compressed dataset may be


def require_h5py(path: Path) -> None:
    """Raise UserError if h5py is not installed."""
    if find_spec("h5py") is None:
        raise UserError(
            f"{path}: h5py is needed for HDF5, and is not installed: "
            "pip install -r requirements-optional.txt"
        )


def read_hdf5_arrays(path: Path) -> dict[str, np.ndarray]:
    """Datasets of a file by name, texts as arrays of str, and its attribute ``provenance``."""
    require_h5py(path)
    return read_in_sandbox(hdf5_arrays, [path], "damaged, or not an hdf5 file of plain arrays")[""]


def hdf5_arrays(path: Path, _parts: list[str]) -> Parts:
    """Runs in the sandbox: the arrays of `read_hdf5_arrays`; other datasets are left out."""
    import h5py

    arrays = {}
    with h5py.File(path, "r") as content:
        for name, dataset in content.items():
            if not isinstance(dataset, h5py.Dataset):
                continue
            if isinstance(name, bytes):  # not UTF-8
                name = name.decode(errors="replace")
            if dataset.external or dataset.is_virtual:
                raise ValueError(f"{name} is not in the file itself")
            stored = dataset.id.get_storage_size()
            if dataset.nbytes > MOST_TIMES * stored:
                raise ValueError(
                    f"{name} is an array of {dataset.nbytes:,} bytes, "
                    f"of which the file has {stored:,}"
                )
            if h5py.check_string_dtype(dataset.dtype):
                arrays[name] = np.asarray(dataset.asstr()[()]).astype(str)
            elif DTYPES.fullmatch(dataset.dtype.str):
                arrays[name] = np.asarray(dataset[()])
        arrays["provenance"] = np.array(str(content.attrs.get("provenance", "{}")))
    return {"": arrays}
