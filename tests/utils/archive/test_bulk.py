"""All vectors of an scp file as one array: order, speed, refusals; tables of integers."""

import struct
import time

import kaldi_native_io
import numpy as np
import pytest

from tests.utils.archive.cases import OBJECTS, VECTOR, same, write
from utils.archive import ArchiveWriter, read_vectors
from utils.archive.iterate import read_integers
from utils.archive.objects import encode_object
from utils.errors import UserError


def test_vectors_of_several_archives_come_in_the_order_of_the_scp(tmp_path):
    data = np.arange(60, dtype=np.float64).reshape(12, 5)
    lines = []
    for job in range(3):
        with ArchiveWriter(tmp_path / f"x.{job}.ark", tmp_path / f"x.{job}.scp") as writer:
            for row in range(4):
                writer.write(f"utt{4 * job + row}", data[4 * job + row])
        lines += (tmp_path / f"x.{job}.scp").read_text().splitlines()
    order = np.random.default_rng(0).permutation(12)
    (tmp_path / "x.scp").write_text("".join(lines[i] + "\n" for i in order))
    keys, vectors = read_vectors(tmp_path / "x.scp")
    assert keys == [f"utt{i}" for i in order]
    assert same(vectors, data[order])


@pytest.mark.slow
def test_145116_vectors_of_256_dimensions_come_back_as_written(tmp_path):
    """The size of VoxCeleb1's test side; processor time, since other programs may be running."""
    count, dimension = 145_116, 256
    item = np.dtype([("key", "S16"), ("header", "V11"), ("values", "<f4", dimension)])
    data = np.zeros(count, item)
    data["key"] = [f"id{i:014d}" for i in range(count)]
    data["header"] = np.void(b" \0BFV \4" + struct.pack("<i", dimension))
    data["values"] = np.random.default_rng(0).standard_normal((count, dimension), np.float32)
    data.tofile(tmp_path / "x.ark")
    (tmp_path / "x.scp").write_text(
        "".join(f"id{i:014d} {tmp_path}/x.ark:{i * item.itemsize + 17}\n" for i in range(count))
    )
    seconds = []
    for _ in range(2):
        start = time.process_time()
        keys, vectors = read_vectors(tmp_path / "x.scp")
        seconds.append(time.process_time() - start)
    print(f"read_vectors: {seconds} s")
    (tmp_path / "x.ark").unlink()
    assert len(keys) == count
    assert np.array_equal(vectors, data["values"])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"a": VECTOR, "b": VECTOR[:2]},
            (
                r"x.ark:\d+: key 'b': found a float32 vector of 2, expected a float32 "
                r"vector of 3 like the first"
            ),
        ),
        ({"a": VECTOR, "b": OBJECTS["double-vector"]}, r"key 'b': found a float64 vector of 3"),
        ({"a": VECTOR, "b": OBJECTS["float-matrix"]}, r"key 'b': found a float32 matrix of 2 x 3"),
        (
            {"a": OBJECTS["int32-vector"]},
            r"key 'a': found a int32 vector of 3, expected a float vector",
        ),
        ({"a": OBJECTS["wave"]}, r"key 'a': found a wave of 4 samples, expected a float vector"),
        ({}, "no entries"),
    ],
)
def test_vectors_that_make_no_array_are_refused_by_key(tmp_path, entries, message):
    _, scp = write(tmp_path, entries)
    with pytest.raises(UserError, match=message):
        read_vectors(scp)


def test_renamed_keys_are_a_wrong_offset_unless_allowed(tmp_path):
    ark, scp = write(tmp_path, {"a": VECTOR, "b": 2 * VECTOR})
    scp.write_text(f"a {ark}:{len(encode_object(VECTOR)) + 4}\n")
    with pytest.raises(UserError, match=rf"{ark}:\d+: key 'a': wrong offset: b'b ' is before it"):
        read_vectors(scp)
    assert same(read_vectors(scp, allow_renamed=True)[1][0], 2 * VECTOR)


@pytest.mark.parametrize("kind", ["ark", "ark,t"])
def test_numbers_are_those_that_kaldis_table_has(tmp_path, kind):
    """As ivector-mean writes num_utts.ark; 4 and 1 look like the head of an int32 vector."""
    counts = {"a": 3, "b": 1, "c": 4, "d": 1000}
    with kaldi_native_io.Int32Writer(f"{kind}:{tmp_path}/num_utts.ark") as writer:
        for key, count in counts.items():
            writer[key] = count
    assert read_integers(tmp_path / "num_utts.ark") == counts
    content = (tmp_path / "num_utts.ark").read_bytes()
    (tmp_path / "num_utts.ark").write_bytes(content[:-3])
    if kind == "ark":
        with pytest.raises(UserError, match=r"num_utts.ark:\d+: key 'd': truncated"):
            read_integers(tmp_path / "num_utts.ark")


@pytest.mark.parametrize("array", [VECTOR, np.array([2, 3], np.int32)])
def test_what_is_no_number_is_refused_by_key(tmp_path, array):
    ark, _ = write(tmp_path, {"a": np.array([7], np.int32)})
    assert read_integers(ark) == {"a": 7}  # a vector of one number, as other programs write it
    ark, _ = write(tmp_path, {"a": array})
    with pytest.raises(UserError, match=r"key 'a': .* expected one integer"):
        read_integers(ark)
