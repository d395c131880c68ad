"""Compressed matrices: written byte for byte as Kaldi writes them, and near what went in."""

from pathlib import Path

import kaldi_native_io
import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra.numpy import array_shapes, arrays

from tests.conftest import ROOT
from utils.archive import ArchiveWriter, iterate_archive, read_matrix, read_scp
from utils.archive.compressed import encode_compressed
from utils.archive.objects import decode_object

GOLDEN = ROOT / "tests" / "golden" / "kaldi"


def test_kaldis_own_bytes_come_out_of_its_matrices():
    archive, places = (
        (GOLDEN / "mats_compressed.ark").read_bytes(),
        read_scp(GOLDEN / "mats_compressed.scp"),
    )
    matrices = dict(iterate_archive(GOLDEN / "mats.ark"))
    assert list(matrices) == list(places) == ["m0", "m1", "m2", "m3"]
    for key, matrix in matrices.items():
        offset, encoded = int(places[key].rpartition(":")[2]), encode_compressed(matrix)
        assert archive[offset : offset + len(encoded)] == encoded, key


@pytest.mark.parametrize("lowest", [b"[abc", b"  [a", b"\0Bab"])
def test_a_file_of_one_matrix_is_read_whatever_its_numbers_look_like(tmp_path, lowest):
    """The lowest value of this one has the bytes with which the object of an archive begins."""
    (tmp_path / "matrix").write_bytes(
        b"\0BCM2 " + lowest + np.float32(1).tobytes() + np.array([1, 1], "<i4").tobytes() + b"\0\0"
    )
    assert read_matrix(tmp_path / "matrix") == np.frombuffer(lowest, "<f4")[0]


def kinds_of_matrices(rng):
    for rows, columns in [
        (1, 1),
        (4, 3),
        (8, 80),
        (9, 30),
        (10, 1),
        (23, 40),
        (250, 80),
        (333, 30),
    ]:
        plain = (
            rng.normal(size=(rows, columns)) * rng.uniform(0.01, 50) + 10 * rng.normal()
        ).astype(np.float32)
        yield from (
            plain,
            np.round(plain),
            np.full_like(plain, plain[0, 0]),
            np.where(np.arange(columns) == 0, plain[:1], plain),
            1e30 * plain,
        )


def test_another_writer_of_kaldis_format_writes_the_same_bytes(tmp_path):
    path, total = tmp_path / "c.ark", 0
    for matrix in kinds_of_matrices(np.random.default_rng(0)):
        with kaldi_native_io.CompressedMatrixWriter(f"ark:{path}") as writer:
            writer.write("a", matrix, kaldi_native_io.CompressionMethod.kAutomaticMethod)
        total += len(path.read_bytes())
        assert path.read_bytes() == b"a " + encode_compressed(matrix), matrix.shape
    print(f"{total:,} bytes are equal")


def test_another_reader_reads_what_the_writer_of_archives_wrote(tmp_path):
    matrices = {
        f"m{number}": matrix
        for number, matrix in enumerate(kinds_of_matrices(np.random.default_rng(1)))
    }
    with ArchiveWriter(tmp_path / "c.ark", tmp_path / "c.scp") as writer:
        for key, matrix in matrices.items():
            writer.write_compressed(key, matrix)
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{tmp_path / 'c.scp'}") as entries:
        theirs = {key: np.array(matrix) for key, matrix in entries}
    assert list(theirs) == list(matrices)
    for key, matrix in iterate_archive(tmp_path / "c.ark"):
        assert np.array_equal(matrix, theirs[key])


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=strategies.floats(-100, 100, width=32),
    )
)
def test_no_value_is_further_off_than_a_step_of_its_code(matrix):
    decoded, end = decode_object(encode_compressed(matrix), 0)
    assert end == len(encode_compressed(matrix))
    assert decoded.shape == matrix.shape
    extent = float(np.ptp(matrix)) or 1 + abs(float(matrix[0, 0]))
    assert (
        np.abs(decoded - matrix).max() <= extent * (1 / 64 if len(matrix) > 8 else 1 / 65535) + 1e-5
    )


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((3, 2)),
        np.zeros(3, np.float32),
        np.zeros((0, 0), np.float32),
        np.full((9, 2), np.nan, np.float32),
        np.full((2, 2), np.inf, np.float32),
    ],
    ids=["float64", "vector", "empty", "NaN", "Inf"],
)
def test_what_the_format_has_no_code_for_is_refused(matrix):
    with pytest.raises(ValueError, match="expected a float32 matrix of finite values"):
        encode_compressed(matrix)


def test_there_is_no_text_form(tmp_path):
    with (
        pytest.raises(ValueError, match="no text form"),
        ArchiveWriter(tmp_path / "c.ark", tmp_path / "c.scp", text=True) as writer,
    ):
        writer.write_compressed("a", np.zeros((2, 2), np.float32))
    assert not Path(tmp_path / "c.ark").exists()
