"""All vectors of an scp file as one array: order, speed, what makes no array."""

import struct
import time

import numpy as np
import pytest

from tests.utils.archive_cases import OBJECTS, VECTOR, same, write
from utils.archive import ArchiveWriter, read_vectors
from utils.archive_objects import encode_object
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


def test_145116_vectors_of_256_dimensions_come_back_as_written(tmp_path):
    """The size of VoxCeleb1's test side; processor time, so that other programs on the machine do not matter."""
    count, dimension = 145_116, 256
    item = np.dtype([("key", "S16"), ("header", "V11"), ("values", "<f4", dimension)])
    data = np.zeros(count, item)
    data["key"] = [f"id{i:014d}" for i in range(count)]
    data["header"] = np.void(b" \0BFV \4" + struct.pack("<i", dimension))
    data["values"] = np.random.default_rng(0).standard_normal((count, dimension), np.float32)
    data.tofile(tmp_path / "x.ark")
    (tmp_path / "x.scp").write_text("".join(f"id{i:014d} {tmp_path}/x.ark:{i * item.itemsize + 17}\n" for i in range(count)))
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
        ({"a": VECTOR, "b": VECTOR[:2]}, r"x.ark:\d+: key 'b': found a float32 vector of 2, expected a float32 vector of 3 like the first"),
        ({"a": VECTOR, "b": OBJECTS["double-vector"]}, r"key 'b': found a float64 vector of 3"),
        ({"a": VECTOR, "b": OBJECTS["float-matrix"]}, r"key 'b': found a float32 matrix of 2 x 3"),
        ({"a": OBJECTS["int32-vector"]}, r"key 'a': found a int32 vector of 3, expected a float vector"),
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
    with pytest.raises(UserError, match=rf"{ark}:\d+: key 'a': wrong offset: b'b ' stands before it"):
        read_vectors(scp)
    assert same(read_vectors(scp, allow_renamed=True)[1][0], 2 * VECTOR)
