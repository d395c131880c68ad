"""The sandbox: arrays come back as they are, and no file takes more than its time and memory."""

import json
import os
import sys
import time

import numpy as np
import pytest
import torch

from tests import sandboxed
from utils.errors import UserError
from utils.foreign import sandbox
from utils.foreign.sandbox import ReaderError, read_in_sandbox


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    return tmp_path / "x"


def test_arrays_of_every_type_come_back(path):
    parts = read_in_sandbox(sandboxed.read_all_types, [path], "damaged", ["", "part"])
    assert list(parts) == list(sandboxed.ARRAYS)
    for part, arrays in sandboxed.ARRAYS.items():
        assert list(parts[part]) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(parts[part][name], array)
            assert parts[part][name].dtype == array.dtype, name


def test_the_child_reads_torch_files_without_torch(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    modules = read_in_sandbox(sandboxed.read_module_names, [tmp_path / "x.pt"], "damaged")[""]
    names = modules["modules"].tolist()
    assert "numpy" in names
    assert not [name for name in names if name.partition(".")[0] in ("torch", "scipy", "h5py")]


DEATHS = {
    sandboxed.crash: "damaged: its reader died of SIGSEGV; get it again",
    sandboxed.work_without_end: "damaged: not read within 1 s; get it again",
    sandboxed.sleep: "damaged: not read within 1 s; get it again",
    sandboxed.write_a_file: r"no whole file \(\[Errno 27\] File too large",
}
if sys.platform == "linux":
    DEATHS[sandboxed.take_memory] = r"no whole file \(it needs more memory than its size allows"


@pytest.mark.slow
@pytest.mark.parametrize("reader", DEATHS, ids=lambda reader: reader.__name__)
def test_what_a_child_may_not_do_is_one_line(path, reader, monkeypatch):
    monkeypatch.setattr(sandbox, "LEAST_CPU_SECONDS", 1)
    started = time.monotonic()
    with pytest.raises(UserError, match=f"{path}: {DEATHS[reader]}") as caught:
        read_in_sandbox(reader, [path], "no whole file")
    print(f"{caught.value}; {time.monotonic() - started:.1f} s")
    assert len(str(caught.value).splitlines()) == 1


def test_a_bug_of_a_reader_keeps_its_traceback(path):
    with pytest.raises(ReaderError, match="have_a_bug"):
        read_in_sandbox(sandboxed.have_a_bug, [path], "damaged")


def test_a_missing_file_a_folder_and_a_pipe_are_refused_before_a_process_starts(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in {"missing": "no such file", "": "not a reg", "pipe": "not a reg"}.items():
        with pytest.raises(UserError, match=message):
            read_in_sandbox(sandboxed.crash, [tmp_path / name], "damaged")


def hand_back(rows, size, content):
    return json.dumps({"arrays": rows, "bytes": size}).encode() + b"\n" + content


ROW = ["", "a", "<f4", [2]]
LIES = {
    "nothing": b"",
    "no JSON": b"abc\n",
    "a list": b"[]\n",
    "no line end": b'{"arrays": [], "bytes": 0}'[:-1],
    "too few bytes": hand_back([ROW], 16, bytes(15)),
    "too many bytes": hand_back([ROW], 16, bytes(17)),
    "bytes of no array": hand_back([ROW], 32, bytes(32)),
    "an array beyond the bytes": hand_back([["", "a", "<f4", [5]]], 16, bytes(16)),
    "a negative length": hand_back([["", "a", "<f4", [-2, -1]]], 16, bytes(16)),
    "a length that is a float": hand_back([["", "a", "<f4", [2.0]]], 16, bytes(16)),
    "a length that is text": hand_back([["", "a", "<f4", "22"]], 16, bytes(16)),
    "0 times 2^62": hand_back([["", "a", "<f4", [0, 1 << 62, 1 << 62]]], 0, b""),
    "objects": hand_back([["", "a", "|O", [1]]], 16, bytes(16)),
    "no type": hand_back([["", "a", ["<f4"], [1]]], 16, bytes(16)),
    "texts of no letters": hand_back([["", "a", "<U0", [1 << 40]]], 0, b""),
    "a name twice": hand_back([ROW, ROW], 32, bytes(32)),
    "a part that was not asked for": hand_back([["other", *ROW[1:]]], 16, bytes(16)),
    "a name that is a list": hand_back([["", ["a"], "<f4", [2]]], 16, bytes(16)),
    "a row of another length": hand_back([["a"]], 0, b""),
    "a terabyte": hand_back([["", "a", "|u1", [1 << 40]]], 1 << 40, bytes(16)),
    "a negative size": hand_back([], -1, b""),
    "another answer": b'{"bytes": 0}\n',
    "nested 100,000 times": b"[" * 100_000 + b"\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_is_refused(path, lie):
    path.write_bytes(LIES[lie])
    with pytest.raises(UserError, match="damaged: its reader returned other arrays"):
        read_in_sandbox(sandboxed.hand_back_the_file, [path], "damaged")


def test_what_a_child_says_of_a_file_is_one_printable_line(path):
    path.write_bytes(json.dumps({"damage": "a\n\x1b[31mb" + "c" * 5000}).encode() + b"\n")
    with pytest.raises(UserError) as caught:
        read_in_sandbox(sandboxed.hand_back_the_file, [path], "damaged")
    assert str(caught.value).startswith(f"{path}: damaged (a ?[31mbccc")
    assert len(str(caught.value)) < 2000
