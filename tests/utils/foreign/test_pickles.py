"""Pickles of others: honest ones are read, anything else is refused before any of it is run."""

import io
import resource
import sys
import time
import tracemalloc
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pickles import Calling, dump, hostile, load_with_python, python2_array, python2_dict
from utils.errors import UserError
from utils.foreign import sandbox
from utils.foreign.child import DamagedFileError, read
from utils.foreign.pickles import NAMES, Array, load_pickle, pickled_arrays, read_pickle
from utils.foreign.sandbox import UnexpectedContentError

TYPES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
PLAIN = {
    "a": [1, -(2**70), 2.5, 1j, True, None, "é\n"],
    "b": (b"\xff", b"", bytearray(b"x")),
    "c": {1, 2},
    "d": {"e": {}},
    "f": (),
    5: -1,
    (1, 2): frozenset("a"),
}


def load(path):
    """The content of a pickle, with arrays in place of what stands for them."""
    content = load_pickle(io.BytesIO(path.read_bytes()), NAMES)
    if isinstance(content, dict):
        return {key: getattr(value, "array", value) for key, value in content.items()}
    return content


def vectors(path):
    """What the sandbox's child hands back, without a process."""
    return read(pickled_arrays, [path], [""])[""]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_in_every_protocol(tmp_path, protocol):
    assert load(dump(tmp_path / "x", PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_standard_library_are_dictionaries(tmp_path, protocol):
    for container in (OrderedDict(a=1), defaultdict(int, a=1), Counter("a")):
        assert load(dump(tmp_path / "x", container, protocol)) == {"a": 1}


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_numeric_type_and_order_come_back_in_every_protocol(tmp_path, protocol):
    arrays = {}
    for kind in TYPES:
        for order in "<>":
            arrays[order + kind] = np.arange(6).astype(order + kind).reshape(2, 3)
    arrays |= {
        "fortran": np.asfortranarray(arrays["<f4"]),
        "scalar": np.float32(3),
        "empty": np.zeros((0, 4)),
        "part": arrays["<f8"][:, ::2],
    }
    content = load(dump(tmp_path / "x", arrays, protocol))
    assert list(content) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(content[name], array)
        assert content[name].dtype == array.dtype, name


@pytest.mark.parametrize("protocol", [0, 2])
def test_arrays_of_python_2_come_back_through_the_sandbox(tmp_path, protocol):
    arrays = {
        "A.J._Buckley/1zcIwhmdeo4_0000001.wav": np.arange(128, dtype=np.float32) / 7,
        "b": np.array([[1.5], [-2]]),
    }
    (tmp_path / "x").write_bytes(python2_dict(arrays, protocol))
    content = read_pickle(tmp_path / "x", [""])[""]
    assert list(content) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(content[name], array)


def test_vectors_may_be_lists_of_numbers(tmp_path):
    content = {"a": [1.5, 2], "b": (3.0, np.float64(4)), "c": [[5, 6.5]], "d": [np.ones(2)], "e": 7}
    read_back = vectors(dump(tmp_path / "x", content))
    assert {key: array.tolist() for key, array in read_back.items()} == {
        "a": [1.5, 2],
        "b": [3, 4],
        "c": [[5, 6.5]],
        "d": [[1, 1]],
        "e": 7,
    }


def test_parts_are_dictionaries_in_a_dictionary(tmp_path):
    path = dump(tmp_path / "x", {"dev": {"a": np.ones(2)}, "test": {"b": np.zeros(2)}, "n": "text"})
    content = read_pickle(path, ["test", "dev"])
    assert {part: list(arrays) for part, arrays in content.items()} == {"test": ["b"], "dev": ["a"]}


NO_VECTORS = {
    "found list, expected a dictionary of utterances; is --kind right?": [np.ones(2)],
    "found ndarray, expected": np.ones(2),
    "found an empty dict, expected": {},
    "found dict, expected": {1: np.ones(2)},
    "'a': found str, expected a vector of numbers": {"a": "text"},
    "'a': found list, expected": {"a": ["text"]},
    "'a': found dict, expected": {"a": {"b": np.ones(2)}},
    "'a': found object, expected": {"a": Path("x")},
    "inhomogeneous": {"a": [[1.0], [1.0, 2.0]]},
}


@pytest.mark.parametrize("message", NO_VECTORS)
def test_what_is_no_dictionary_of_vectors_is_refused(tmp_path, message):
    with pytest.raises((UnexpectedContentError, DamagedFileError)) as caught:
        vectors(dump(tmp_path / "x", NO_VECTORS[message]))
    assert message in str(caught.value)


HOSTILE = list(hostile(Path("touched")))


@pytest.mark.parametrize("message", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line_and_nothing_runs(tmp_path, message):
    touched = tmp_path / "touched"
    (tmp_path / "x").write_bytes(hostile(touched)[message])
    with pytest.raises((UnexpectedContentError, DamagedFileError)) as caught:
        vectors(tmp_path / "x")
    assert message.partition(" (")[0] in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not touched.exists()


def test_a_hostile_pickle_in_the_sandbox_is_one_line_too(tmp_path):
    (tmp_path / "x").write_bytes(hostile(tmp_path / "touched")["asks for posix.system"])
    with pytest.raises(UserError, match="x: the pickle asks for posix.system; only arrays of"):
        read_pickle(tmp_path / "x", [""])
    assert not (tmp_path / "touched").exists()


def test_the_hostile_pickles_of_this_test_would_run_in_pythons_own_unpickler(tmp_path):
    touched = tmp_path / "touched"
    load_with_python(hostile(touched)["asks for posix.system (protocol 0)"])
    assert touched.exists()


def test_a_call_inside_a_call_is_refused(tmp_path):
    inner = Calling(complex, Calling(print, "ran"), 1.0)
    with pytest.raises(UnexpectedContentError, match=r"asks for __builtin__\.print"):
        vectors(dump(tmp_path / "x", inner, 2))


TWO, NONE = (python2_array(np.zeros(size, np.float32), 2) for size in (2, 0))
SHAPE_2, SHAPE_0 = b"(J\x02\x00\x00\x00t", b"(J\x00\x00\x00\x00t"
DAMAGED = {
    "empty": b"",
    "no stop": b"]",
    "bytes behind": b"].]",
    "no such memory": b"h\x07.",
    "no mark": b"t.",
    "text where bytes belong": b"c_codecs\nencode\n(I1\nS'latin1'\ntR.",
    "another encoding": b"c_codecs\nencode\n(S'abc'\nS'zlib'\ntR.",
    "protocol 9": b"\x80\x09].",
    "quotation marks": b"Sabc\n.",
    "not a pickle": b"hello",
    "a number of 5,000 digits": b"I" + b"9" * 5000 + b"\n.",
    "an argument that ends": b"X\x10\x00\x00\x00abc",
    "more bytes than there are": b"\x8e" + b"\xff" * 7 + b"\x7f" + b"abc.",
    "more text than there is": b"\x8d" + b"\x00" * 5 + b"\x01\x00\x00" + b"abc.",
    "an array of 2^40": TWO.replace(SHAPE_2, b"(\x8a\x06\x00\x00\x00\x00\x00\x01t") + b".",
    "an array of -1": TWO.replace(SHAPE_2, b"(J\xff\xff\xff\xfft") + b".",
    "0 times 2^62": NONE.replace(SHAPE_0, SHAPE_0[:-1] + b"\x8a\x08" + b"\x00" * 7 + b"\x40t")
    + b".",
    "text in a shape": TWO.replace(SHAPE_2, b"(U\x01at") + b".",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_pickle_is_refused_and_takes_no_memory(tmp_path, damage):
    (tmp_path / "x").write_bytes(DAMAGED[damage])
    tracemalloc.start()
    with pytest.raises((DamagedFileError, UnexpectedContentError)) as caught:
        vectors(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{caught.value}; {peak:,} bytes at most")
    assert len(str(caught.value).splitlines()) == 1
    assert peak < 1 << 20


CRASHING = {
    "memory of 2^31 objects": b"]r\xff\xff\xff\x7fh\x01.",
    "a key nested 300,000 times": b"}" + b")" + b"\x85" * 300_000 + b"I1\ns.",
    "lists nested 1,000,000 times": b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "marks nested 1,000,000 times": b"(" * 10**6,
    "a list of 2^30 numbers": b"}X\1\0\0\0a](](]("
    + b"I1\n" * 1000
    + b"eq\0"
    + b"h\0" * 999
    + b"eq\1"
    + b"h\1" * 999
    + b"es.",
}


@pytest.mark.parametrize("content", CRASHING)
@pytest.mark.slow
def test_what_would_end_this_process_is_one_line(tmp_path, content, monkeypatch):
    """In the sandbox alone: the unpickler is allowed to die there."""
    monkeypatch.setattr(sandbox, "LEAST_CPU_SECONDS", 2)
    (tmp_path / "x").write_bytes(CRASHING[content])
    started = time.monotonic()
    with pytest.raises(UserError, match=f"^{tmp_path / 'x'}: ") as caught:
        read_pickle(tmp_path / "x", [""])
    print(f"{caught.value}; {time.monotonic() - started:.1f} s")
    assert len(str(caught.value).splitlines()) == 1
    assert time.monotonic() - started < 30


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="missing: no such file"):
        read_pickle(tmp_path / "missing", [""])


OPCODES = st.sampled_from([bytes([code]) for code in range(256)])
WORDS = st.sampled_from(
    [
        *(f"c{module}\n{name}\n".encode() for module, name in NAMES),
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


@pytest.fixture
def limited_memory():
    """A gigabyte more for this process, as in the sandbox: a memo of 2^31 objects takes 32."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def read_or_refused(path):
    """Only a refusal of one line may come of a file, and no stand-in may be handed back."""
    try:
        content = vectors(path)
    except (UnexpectedContentError, DamagedFileError) as refusal:
        return len(str(refusal).splitlines()) <= 1
    return all(type(array) is np.ndarray for array in content.values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="address space cannot be limited")
@pytest.mark.usefixtures("limited_memory")
@settings(max_examples=2000)
@given(st.lists(st.one_of(WORDS, OPCODES, st.binary(max_size=12))).map(b"".join))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.pk"
    path.write_bytes(content)
    started = time.monotonic()
    assert read_or_refused(path)
    assert time.monotonic() - started < 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="address space cannot be limited")
@pytest.mark.usefixtures("limited_memory")
@settings(max_examples=1000)
@given(st.integers(0, 2**32), st.integers(0, 5), st.binary(min_size=1, max_size=3))
def test_a_pickle_with_some_bytes_changed_is_read_or_refused_in_one_line(
    tmp_path_factory, place, protocol, bytes_changed
):
    path = dump(
        tmp_path_factory.getbasetemp() / "changed.pk",
        {"a": np.ones(3, np.float32), "b": [1, 2], "c": np.float64(1)},
        protocol,
    )
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place : place + len(bytes_changed)] = bytes_changed
    path.write_bytes(content)
    assert read_or_refused(path)


def test_arrays_in_containers_are_stand_ins_until_they_are_complete(tmp_path):
    first, second = load(dump(tmp_path / "x", [np.ones(3)] * 2))
    assert first is second
    assert isinstance(first, Array)
