"""Foreign files are read in a child process: no torch, limits of memory and time.

`read_in_sandbox` starts `utils.foreign.child`.  The child writes one line of JSON, which describes
the arrays, and then their raw bytes.  Names, types, shapes and sizes of the description are checked
here before an array is made: even a file that takes over the child can return only numbers.
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from utils.errors import UserError

Parts: TypeAlias = dict[str, dict[str, np.ndarray]]  # part of a file -> name -> array
LEAST_CPU_SECONDS, BYTES_PER_SECOND = 10, 2 << 20
LEAST_BYTES, TIMES_LARGER = (
    1 << 30,
    8,
)  # memory of the child: a constant, and a multiple of the file
DTYPES = re.compile(r"[<>|](b1|[iu][1248]|f[248]|c8|c16|U[1-9][0-9]{0,5})")
ALIGNMENT = 16  # bytes; an array starts at a multiple of them
LONGEST_REASON = 600  # characters


class ReaderError(Exception):
    """A bug in the child, with its traceback."""


class UnexpectedContentError(ValueError):
    """The file can be read but has other content than expected; the text is for the user."""


def read_in_sandbox(
    reader: Callable[..., Parts],
    files: Sequence[Path],
    expected: str,
    parts: Sequence[str] = ("",),
) -> Parts:
    """Call ``reader(*files, parts)`` in a child process and return its arrays of these parts.

    UserError: a file is missing, or the function fails; ``expected`` begins the message about a
    damaged file ("not a whole pickle").
    """
    for path in files:
        if not path.exists():
            raise UserError(f"{path}: no such file")
        if not path.is_file():
            raise UserError(f"{path}: not a regular file; give the file itself")
    size = sum(path.stat().st_size for path in files)
    most_bytes = LEAST_BYTES + TIMES_LARGER * size
    seconds = LEAST_CPU_SECONDS + size // BYTES_PER_SECOND
    request = {
        "module": reader.__module__,
        "function": reader.__name__,
        "files": [str(path.absolute()) for path in files],
        "parts": list(parts),
        "memory_bytes": most_bytes,
        "cpu_seconds": seconds,
    }
    answer, content, status = _run_child(request, most_bytes)
    where = files[0]
    if status < 0:
        raise UserError(f"{where}: damaged: {_describe_death(-status, seconds)}; get it again")
    if "unexpected" in answer:
        raise UserError(f"{where}: {_one_line(answer['unexpected'])}")
    if "damage" in answer:
        raise UserError(f"{where}: {expected} ({_one_line(answer['damage'])})")
    try:
        return _arrays(answer, content, parts)
    except (ValueError, TypeError, LookupError):
        raise UserError(
            f"{where}: damaged: its reader returned other arrays than it described; get it again"
        ) from None


def _run_child(request: dict, most_bytes: int) -> tuple[dict, bytearray, int]:
    """Run the child: its answer, the bytes after the answer, and its exit code."""
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OPENBLAS_NUM_THREADS": "1",  # each thread takes address space
        "HDF5_PLUGIN_PRELOAD": "::",  # no filters but those within the library
    }
    with subprocess.Popen(
        [sys.executable, "-m", "utils.foreign.child", json.dumps(request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            answer, content = _receive(process.stdout, most_bytes)
            trace = process.stderr.read().decode(errors="replace")
        except BaseException:
            process.kill()
            raise
    if process.returncode > 0:
        raise ReaderError(f"the reader of {request['files'][0]} failed: {trace}")
    return answer, content, process.returncode


def _receive(stream: IO[bytes], most_bytes: int) -> tuple[dict, bytearray]:
    """The child's line of JSON and the bytes that it announces; both empty if malformed."""
    try:
        answer = json.loads(stream.readline(most_bytes))
        size = answer.get("bytes", 0)
        if not 0 <= size <= most_bytes:
            return {}, bytearray()
        content = bytearray(size)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}, bytearray()
    view = memoryview(content)
    while view and (count := stream.readinto(view)):  # type: ignore[attr-defined]
        view = view[count:]
    if view or stream.read(1):
        return {}, bytearray()
    return answer, content


def _arrays(answer: dict, content: bytearray, parts: Sequence[str]) -> Parts:
    """The arrays of a description; ValueError, TypeError or LookupError where it is wrong."""
    arrays: Parts = {part: {} for part in parts}
    offset = 0
    for part, name, dtype, shape in answer["arrays"]:
        if not DTYPES.fullmatch(dtype) or not all(type(length) is int for length in shape):
            raise ValueError("a type or a shape that is not allowed")
        if name in arrays[part]:
            raise ValueError("a name twice")
        arrays[part][name] = np.ndarray(shape, dtype, content, offset)
        offset += padded(math.prod(shape) * np.dtype(dtype).itemsize)
    if offset != len(content):
        raise ValueError("bytes that belong to no array")
    return arrays


def padded(size: int) -> int:
    """Bytes that an array of this many bytes takes, up to the start of the next one."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _describe_death(number: int, seconds: int) -> str:
    """Why a signal ended the child: a time limit, or a crash of the library for the format."""
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return f"not read within {seconds} s"
    if number == signal.SIGKILL:
        return "its reader was killed, perhaps for want of memory"
    return f"its reader died of {signal.Signals(number).name}"


def _one_line(text: object) -> str:
    """The child's text, which may quote the file: one line of printable characters."""
    words = " ".join(str(text).split())[:LONGEST_REASON]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
