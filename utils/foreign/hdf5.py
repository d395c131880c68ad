"""HDF5 files of others.  HDF5's own library goes round for ever in some damaged ones, so that a process with a time limit reads each of them first.

h5py is an optional extra (requirements-optional.txt).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from utils.errors import UserError

if TYPE_CHECKING:
    import h5py

Content = TypeVar("Content")
LEAST_SECONDS, BYTES_PER_SECOND = 10, 2 << 20  # of the first reading: from a slow disk, too


def h5py_of(path: Path) -> ModuleType:
    """The module h5py, or how to get it.

    Parameters
    ----------
    path : path
        For the message.

    Raises
    ------
    UserError
        It is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UserError(
            f"{path}: h5py is needed for HDF5, and is not installed: pip install -r requirements-optional.txt"
        ) from None
    return h5py


def read_hdf5(path: Path, read: Callable[["h5py.File"], Content]) -> Content:
    """What a function reads of a file.

    Parameters
    ----------
    path : path
        The file.
    read : callable
        A function of a module; it is called in the other process, and where that comes to an end, in this one.

    Raises
    ------
    UserError
        h5py is not installed, there is no such file, or the library does not get through it.
    OSError
        It is no HDF5.
    """
    h5py = h5py_of(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with h5py.File(path, "r"):
        pass  # most of what is no HDF5 ends here, without a process
    seconds = LEAST_SECONDS + path.stat().st_size // BYTES_PER_SECOND
    command = [
        sys.executable,
        "-m",
        "utils.foreign.hdf5",
        str(path.absolute()),
        read.__module__,
        read.__name__,
        str(seconds),
    ]
    code = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).returncode
    if code < 0:  # where it says what is wrong, this process will say the same
        how = (
            f"not read through in {seconds} s"
            if code == -signal.SIGALRM
            else f"HDF5's library dies in it by {signal.Signals(-code).name}"
        )
        raise UserError(f"{path}: damaged: {how}; get it again")
    with h5py.File(path, "r") as file:
        return read(file)


if __name__ == "__main__":
    signal.alarm(int(sys.argv[4]))  # ends the process, which needs nobody to watch it

    import h5py

    with h5py.File(sys.argv[1], "r") as opened:
        getattr(import_module(sys.argv[2]), sys.argv[3])(opened)
