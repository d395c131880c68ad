"""HDF5 files in which the library behind h5py loops: a line, within a time limit."""

import time

import numpy as np
import pytest

from tests.fuzz.kept import kept_inputs
from utils.errors import UserError
from utils.foreign import sandbox
from utils.foreign.hdf5 import read_hdf5_arrays
from utils.foreign.keras import read_keras

h5py = pytest.importorskip("h5py")


def test_arrays_of_numbers_and_texts_are_read_and_others_left_out(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["numbers"] = np.arange(6, dtype=np.float16).reshape(2, 3)
        file["compressed"] = np.zeros(3)
        file.create_dataset("packed", data=np.ones((10, 10), np.float32), compression="gzip")
        file["texts"], file["text"], file["flag"] = ["a", "", "bé"], "abc", True
        file["records"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])
        file["group/inner"] = np.ones(1)
        file.attrs["provenance"] = '{"model": "x"}'
    arrays = read_hdf5_arrays(tmp_path / "x.h5")
    assert arrays.pop("provenance") == '{"model": "x"}'
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "compressed": [0, 0, 0],
        "flag": True,
        "numbers": [[0, 1, 2], [3, 4, 5]],
        "packed": np.ones((10, 10)).tolist(),
        "text": "abc",
        "texts": ["a", "", "bé"],
    }


def test_a_file_without_end_is_a_line_within_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "weights.h5"
    path.write_bytes(kept_inputs("checkpoints")["hdf5_attribute_without_end"]["x.h5"])
    monkeypatch.setattr(sandbox, "LEAST_CPU_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"weights\.h5: damaged: not read within 1 s; get it again"):
        read_keras(path)
    print(f"{time.monotonic() - start:.1f} s")


def test_what_is_no_file_or_no_hdf5_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"x\.h5: no such file"):
        read_hdf5_arrays(tmp_path / "x.h5")
    (tmp_path / "x.h5").write_text("text")
    with pytest.raises(
        UserError, match=r"x\.h5: damaged, or not an hdf5 file .*signature not found"
    ):
        read_hdf5_arrays(tmp_path / "x.h5")
