"""HDF5 files in which the library behind h5py loops or dies: a line, within a time limit; whole files come back."""

import signal
import time

import numpy as np
import pytest

from tests.fuzz.kept import kept_inputs
from utils.errors import UserError
from utils.foreign import hdf5
from utils.foreign.hdf5 import read_hdf5
from utils.foreign.keras import read_keras

h5py = pytest.importorskip("h5py")


def names_of(file):
    return sorted(file)


def dies(_):
    signal.raise_signal(signal.SIGSEGV)  # of the other process; this one never comes to it


def fails(file):
    return file["z"]


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"], file["y"] = np.ones(3), np.zeros(2)
    return tmp_path / "x.h5"


def test_a_file_is_read_as_a_function_says(path):
    assert read_hdf5(path, names_of) == ["x", "y"]


def test_a_file_without_end_is_a_line_within_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "weights.h5"
    path.write_bytes(kept_inputs("checkpoints")["hdf5_attribute_without_end"]["x.h5"])
    monkeypatch.setattr(hdf5, "LEAST_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(
        UserError, match=r"weights\.h5: damaged: not read through in 1 s; get it again"
    ):
        read_keras(path)
    print(f"{time.monotonic() - start:.1f} s")


def test_a_file_in_which_the_library_dies_is_a_line(path):
    with pytest.raises(
        UserError, match=r"x\.h5: damaged: HDF5's library dies in it by SIGSEGV; get it again"
    ):
        read_hdf5(path, dies)


def test_what_a_function_raises_comes_to_the_caller(path):
    with pytest.raises(KeyError, match="z"):
        read_hdf5(path, fails)


def test_what_is_no_file_or_no_hdf5_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"x\.h5: no such file"):
        read_hdf5(tmp_path / "x.h5", names_of)
    (tmp_path / "x.h5").write_text("text")
    with pytest.raises(OSError, match="file signature not found"):
        read_hdf5(tmp_path / "x.h5", names_of)
