"""Kaldi's ranges after an entry of an scp file: every reader against Kaldi's own code."""

import kaldi_native_io
import numpy as np
import pytest

from tests.utils.archive.cases import OBJECTS, VECTOR, refusal, same, write
from utils.archive import (
    iterate_archive,
    iterate_scp,
    read_matrix,
    read_object,
    read_scp,
    read_vectors,
    read_wave,
)
from utils.archive.compare import diff_archives, merge_archives

MATRIX = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
RANGES = {
    "[0:4]": MATRIX[:5],
    "[7:7]": MATRIX[7:8],
    "[0:11]": MATRIX,
    "[9:14]": MATRIX[9:],  # up to 3 rows too many are cut off
    "[:]": MATRIX,
    "[2:5,:]": MATRIX[2:6],
    "[:,1:3]": MATRIX[:, 1:4],
    "[2:5,4:4]": MATRIX[2:6, 4:],
}
NO_RANGES = {
    "[5:4]": "rows 5 to 4 of 12",
    "[0:15]": "rows 0 to 15 of 12",
    "[12:13]": "rows 12 to 13 of 12",
    "[0:3,0:5]": "columns 0 to 5 of 5",
    "[0:3,3:1]": "columns 3 to 1 of 5",
    "[]": r"'\[\]' is not a range",
    "[3]": r"'\[3\]' is not a range, expected \[first:last\] or",
    "[0:3,0:1,0:1]": "is not a range",
    "[-1:3]": "is not a range",
    "[:3]": "is not a range",
    "[0:3,]": "is not a range",
    "[0 : 3]": "is not a range",
}


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("span", RANGES)
def test_every_reader_takes_what_kaldi_takes(span, text, tmp_path):
    _, scp = write(tmp_path, {"a": MATRIX, "b": VECTOR}, text=text)
    entries = read_scp(scp)
    ranged = tmp_path / "ranged.scp"
    ranged.write_text(f"a {entries['a']}{span}\n")
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{ranged}") as reader:
        (kaldi,) = [matrix.copy() for _, matrix in reader]
    assert np.array_equal(kaldi, RANGES[span])
    ((_, one),) = iterate_scp(ranged)
    for ours in (one, read_object(read_scp(ranged)["a"]), read_matrix(read_scp(ranged)["a"])):
        assert np.array_equal(ours.astype(np.float32), kaldi)


def test_a_range_of_a_compressed_matrix_and_of_a_file_that_is_one(tmp_path):
    method = kaldi_native_io.CompressionMethod.kSpeechFeature
    with kaldi_native_io.CompressedMatrixWriter(f"ark,scp:{tmp_path}/c.ark,{tmp_path}/c.scp") as c:
        c.write("a", MATRIX, method)
    kaldi_native_io.FloatMatrix(MATRIX).write(str(tmp_path / "one.mat"), True)
    (tmp_path / "r.scp").write_text(f"a {tmp_path}/c.ark:2[3:6]\nb {tmp_path}/one.mat[3:6,0:1]\n")
    with kaldi_native_io.RandomAccessFloatMatrixReader(f"scp:{tmp_path}/r.scp") as kaldi:
        for key, matrix in iterate_scp(tmp_path / "r.scp"):
            assert np.allclose(matrix, kaldi[key], atol=1e-6), key
            assert matrix.shape == {"a": (4, 5), "b": (4, 2)}[key]


def test_a_range_of_a_vector_is_one_of_its_values(tmp_path):
    _, scp = write(tmp_path, {"a": VECTOR, "b": VECTOR * 2})
    entries = read_scp(scp)
    scp.write_text(f"a {entries['a']}[1:2]\nb {entries['b']}[0:1]\n")
    keys, vectors = read_vectors(scp)
    assert (keys, vectors.tolist()) == (
        ["a", "b"],
        [VECTOR[1:].tolist(), (2 * VECTOR[:2]).tolist()],
    )
    with kaldi_native_io.SequentialFloatVectorReader(f"scp:{scp}") as reader:
        assert [vector.tolist() for _, vector in reader] == vectors.tolist()


@pytest.mark.parametrize("span", NO_RANGES)
def test_what_is_no_range_of_this_matrix_is_refused_with_its_key(span, tmp_path):
    ark, scp = write(tmp_path, {"a": MATRIX})
    scp.write_text(f"a {ark}:2{span}\n")
    for read in (lambda: list(iterate_scp(scp)), lambda: read_object(f"{ark}:2{span}", key="a")):
        said = refusal(read)
        assert "key 'a'" in said
        assert str(ark) in said
        assert NO_RANGES[span].replace("\\", "") in said


def test_kaldi_has_no_ranges_of_waves_and_of_whole_numbers(tmp_path):
    _, scp = write(tmp_path, OBJECTS)
    for key in ("wave", "int32-vector"):
        entry = read_scp(scp)[key]
        assert "range [0:1] of a wave or of integers" in refusal(
            lambda entry=entry: read_object(f"{entry}[0:1]")
        )
    assert "has a range" in refusal(lambda: read_wave(f"{read_scp(scp)['wave']}[0:1]"))
    entry = read_scp(scp)["float-vector"]
    assert "has columns, but this is a vector" in refusal(lambda: read_object(f"{entry}[0:1,0:1]"))


def test_archives_of_ranges_are_merged_and_compared(tmp_path):
    ark, scp = write(tmp_path, {"a": MATRIX, "b": MATRIX * 2})
    places = read_scp(scp)
    scp.write_text(f"a {places['a']}[0:1,2:3]\nb {places['b']}\n")
    merge_archives([scp], tmp_path / "new.ark")
    found = dict(iterate_archive(tmp_path / "new.ark"))
    assert same(found["a"], MATRIX[:2, 2:4])
    assert same(found["b"], MATRIX * 2)
    assert diff_archives(scp, tmp_path / "new.ark") == {"same": 2}
    assert "differ" in refusal(lambda: diff_archives(scp, ark))
