"""Pickles from outside: what honest programs write is read, whatever else is asked for is refused before anything runs."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pickles import Calling, dump, hostile, load_with_python, python2_array, python2_dict
from utils.errors import UserError
from utils.foreign.pickles import unpickle

TYPES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
PLAIN = {
    "a": [1, -(2**70), 2.5, 1j, True, None, "é\n"],
    "b": (b"\xff", b"", bytearray(b"x")),
    "c": {1, 2},
    "d": {"e": {}},
    "f": (),
    5: -1,
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_in_every_protocol(tmp_path, protocol):
    assert unpickle(dump(tmp_path / "x", PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_numeric_type_and_order_come_back_in_every_protocol(tmp_path, protocol):
    arrays = {
        f"{order}{kind}": np.arange(6).astype(order + kind).reshape(2, 3)
        for kind in TYPES
        for order in "<>"
    }
    arrays |= {
        "fortran": np.asfortranarray(arrays["<f4"]),
        "scalar": np.float32(3),
        "empty": np.zeros((0, 4)),
        "part": arrays["<f8"][:, ::2],
    }
    read = unpickle(dump(tmp_path / "x", arrays, protocol))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype, name


@pytest.mark.parametrize("protocol", [0, 2])
def test_arrays_of_python_2_come_back(tmp_path, protocol):
    arrays = {
        "A.J._Buckley/1zcIwhmdeo4_0000001.wav": np.arange(128, dtype=np.float32) / 7,
        "b": np.array([[1.5], [-2]]),
    }
    (tmp_path / "x").write_bytes(python2_dict(arrays, protocol))
    read = unpickle(tmp_path / "x")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_one_array_named_twice_is_one_array(tmp_path):
    vector = np.ones(3)
    first, second = unpickle(dump(tmp_path / "x", [vector, vector]))
    assert first is second


HOSTILE = list(hostile(Path("touched")))


@pytest.mark.parametrize("asked", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line_that_names_what_it_asks_for_and_nothing_runs(
    tmp_path, asked
):
    touched = tmp_path / "touched"
    (tmp_path / "x").write_bytes(hostile(touched)[asked])
    with pytest.raises(UserError) as caught:
        unpickle(tmp_path / "x")
    print(caught.value)
    assert asked.partition(" (")[0] in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not touched.exists()


def test_the_hostile_pickles_of_this_test_would_run_in_pythons_own_unpickler(tmp_path):
    touched = tmp_path / "touched"
    load_with_python(hostile(touched)["posix.system (protocol 0)"])
    assert touched.exists()


def test_a_call_inside_a_call_is_refused(tmp_path):
    inner = Calling(complex, Calling(print, "ran"), 1.0)
    with pytest.raises(UserError, match="asks for __builtin__.print"):
        unpickle(dump(tmp_path / "x", inner, 2))


TWO, NONE = (python2_array(np.zeros(size, np.float32), 2) for size in (2, 0))
DAMAGED = {
    "empty": b"",
    "no stop": b"]",
    "bytes behind": b"].]",
    "two objects": b"]].",
    "an open mark": b"(].",
    "no such memory": b"h\x07.",
    "no mark": b"t.",
    "text where bytes belong": b"c_codecs\nencode\n(I1\nS'latin1'\ntR.",
    "protocol 9": b"\x80\x09].",
    "quotation marks": b"Sabc\n.",
    "not a pickle": b"hello",
    "a number of 5,000 digits": b"I" + b"9" * 5000 + b"\n.",
    "an argument that ends": b"X\x10\x00\x00\x00abc",
    "more bytes than there are": b"\x8e" + b"\xff" * 7 + b"\x7f" + b"abc.",
    "more text than there is": b"\x8d" + b"\x00" * 5 + b"\x01\x00\x00" + b"abc.",
    "a memory of 2^31": b"]r\xff\xff\xff\x7fh\x01.",
    "an array of 2^40": TWO.replace(b"(J\x02\x00\x00\x00t", b"(\x8a\x06\x00\x00\x00\x00\x00\x01t")
    + b".",
    "an array of -1": TWO.replace(b"(J\x02\x00\x00\x00t", b"(J\xff\xff\xff\xfft") + b".",
    "0 times 2^62": NONE.replace(
        b"(J\x00\x00\x00\x00tc", b"(J\x00\x00\x00\x00\x8a\x08" + b"\x00" * 7 + b"\x40tc"
    )
    + b".",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_pickle_is_one_line_and_takes_no_memory(tmp_path, damage):
    (tmp_path / "x").write_bytes(DAMAGED[damage])
    tracemalloc.start()
    with pytest.raises(UserError, match="not a whole pickle") as caught:
        unpickle(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{caught.value}; {peak:,} bytes at most")
    assert len(str(caught.value).splitlines()) == 1
    assert peak < 1 << 20


@pytest.mark.slow
def test_a_folder_a_missing_file_and_deep_nesting_are_no_crash(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        unpickle(tmp_path / "missing")
    (tmp_path / "x").write_bytes(b"(" * 10**6)
    with pytest.raises(UserError, match="not a whole pickle"):
        unpickle(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"]" * 10**5 + b"a" * (10**5 - 1) + b".")
    assert type(unpickle(tmp_path / "x")) is list


OPCODES = st.sampled_from([bytes([code]) for code in range(256)])
NAMES = (
    "numpy\ndtype",
    "numpy\nndarray",
    "numpy.core.multiarray\n_reconstruct",
    "numpy._core.numeric\n_frombuffer",
    "numpy.core.multiarray\nscalar",
    "_codecs\nencode",
    "__builtin__\nset",
    "__builtin__\ncomplex",
)
WORDS = st.sampled_from(
    [
        *(f"c{name}\n".encode() for name in NAMES),
        *(bytes([code]) for code in b"(tRb])}asueN.0\x8f"),
        python2_array(np.ones(2), 2),
        b"U\x02f4",
        b"U\x01<",
        b"K\x01",
        b"K\x00",
        b"q\x00",
        b"h\x00",
    ]
)


def read_or_refused(path):
    """Only a `UserError` of one line may come of a file."""
    try:
        unpickle(path)
    except UserError as refusal:
        return len(str(refusal).splitlines()) == 1
    return True


@pytest.mark.slow
@settings(max_examples=2000)
@given(st.lists(st.one_of(WORDS, OPCODES, st.binary(max_size=12))).map(b"".join))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.pk"
    path.write_bytes(content)
    started = time.monotonic()
    assert read_or_refused(path)
    assert time.monotonic() - started < 100


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.integers(0, 2**32), st.integers(0, 5), st.binary(min_size=1, max_size=3))
def test_a_pickle_with_some_bytes_changed_is_read_or_refused_in_one_line(
    tmp_path_factory, place, protocol, bytes_changed
):
    path = dump(
        tmp_path_factory.getbasetemp() / "changed.pk",
        {"a": [np.ones(3, np.float32)], "b": {1, 2}, "c": np.float64(1)},
        protocol,
    )
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place : place + len(bytes_changed)] = bytes_changed
    path.write_bytes(content)
    assert read_or_refused(path)
