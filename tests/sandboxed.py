"""Readers for tests of the sandbox, which do what no file of others may bring about."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from utils.foreign.torch_state import state_arrays

ARRAYS = {
    "": {
        **{
            f"{order}{kind}": np.arange(3).astype(order + kind)
            for order in "<>"
            for kind in (
                "i1",
                "i2",
                "i4",
                "i8",
                "u1",
                "u2",
                "u4",
                "u8",
                "f2",
                "f4",
                "f8",
                "c8",
                "c16",
                "U2",
            )
        },
        "flags": np.array([[True, False]]),
        "number": np.float32(3).reshape(()),
        "nothing": np.zeros((0, 4)),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "é\x1b\udc80": np.ones(1),
    },
    "part": {"number": np.arange(2)},
}


def read_all_types(_path: Path, _parts) -> dict:
    return ARRAYS


def read_module_names(path: Path, _parts) -> dict:
    """Modules that are loaded once a state dictionary is read."""
    state_arrays(path, _parts)
    return {"": {"modules": np.array(sorted(sys.modules))}}


def hand_back_the_file(path: Path, _parts) -> dict:
    """What a file would do that has taken over the child: choose every byte that is handed back."""
    sys.stdout.buffer.write(path.read_bytes())
    sys.stdout.buffer.flush()
    os._exit(0)


def crash(_path: Path, _parts) -> dict:
    signal.raise_signal(signal.SIGSEGV)
    return {}


def work_without_end(_path: Path, _parts) -> dict:
    while True:
        pass


def sleep(_path: Path, _parts) -> dict:
    time.sleep(100)
    return {}


def take_memory(_path: Path, _parts) -> dict:
    return {"": {"zeros": np.ones(1 << 30)}}


def write_a_file(path: Path, _parts) -> dict:
    path.with_name("written").write_text("x")
    return {}


def have_a_bug(_path: Path, _parts) -> dict:
    raise SystemError("of a kind that no damaged file brings about")
