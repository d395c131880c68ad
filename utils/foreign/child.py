"""The process that reads a foreign file: python -m utils.foreign.child REQUEST (see sandbox.py).

It cannot write files, and a signal ends it if it takes too long.  macOS has no limit of address
space; there only the limits of time and the checks of declared sizes apply.
"""

import json
import os
import resource
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from utils.foreign.sandbox import Parts, UnexpectedContentError, padded

FAULTS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    OSError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)  # of damaged files; pickles.py turns the unpickler's own into ValueError
TOO_LARGE = "it needs more memory than its size allows"
WALL_SECONDS_PER_CPU_SECOND = 3  # of a busy machine or a slow disk
MOST_BYTES_OF_REASON = 200


class DamagedFileError(ValueError):
    """The file is damaged, or of another format; the text is the reason."""


def read(reader: Callable[..., Parts], files: list[Path], parts: list[str]) -> Parts:
    """Call a reader; any fault of the file becomes a DamagedFileError or UnexpectedContentError."""
    try:
        return reader(*files, parts)
    except UnexpectedContentError:
        raise
    except MemoryError:
        raise DamagedFileError(TOO_LARGE) from None
    except FAULTS as error:
        reason = " ".join(str(error).split())[:MOST_BYTES_OF_REASON]
        raise DamagedFileError(reason or type(error).__name__) from None


def _main(request: dict) -> None:
    """Read what the request names, and write the answer to the standard output."""
    _set_limits(request["memory_bytes"], request["cpu_seconds"])
    reader = getattr(import_module(request["module"]), request["function"])
    files = [Path(path) for path in request["files"]]
    try:
        parts = read(reader, files, request["parts"])
    except UnexpectedContentError as error:
        _answer({"unexpected": str(error)})
        return
    except DamagedFileError as error:
        _answer({"damage": str(error)})
        return
    rows, arrays, size = [], [], 0
    for part, named in parts.items():
        for name, array in named.items():
            rows.append([part, name, array.dtype.str, array.shape])
            arrays.append(array)
            size += padded(array.nbytes)
    if size > request["memory_bytes"]:
        _answer({"damage": TOO_LARGE})
        return
    _answer({"arrays": rows, "bytes": size})
    for array in arrays:
        sys.stdout.buffer.write(np.ascontiguousarray(array).data)
        sys.stdout.buffer.write(bytes(padded(array.nbytes) - array.nbytes))
    sys.stdout.buffer.flush()


def _set_limits(memory_bytes: int, cpu_seconds: int) -> None:
    """Limit memory and time, and allow no file to be written."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_CPU, cpu_seconds)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    signal.alarm(WALL_SECONDS_PER_CPU_SECOND * cpu_seconds)


def _lower(name: int, most: int) -> None:
    """Set a limit of the process, unless it is lower already."""
    _, hard = resource.getrlimit(name)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(name, (most, hard))


def _answer(answer: dict) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        _main(json.loads(sys.argv[1]))
    except MemoryError:  # after the answer has begun
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)  # skips freeing deeply nested content, which is slow
