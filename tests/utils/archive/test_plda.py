"""``<Plda>`` files: Kaldi's come back byte by byte; what is none, or half of one, is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.steps.backends.kaldi_golden import GOLDEN
from utils.archive.plda import PldaFile, read_plda, write_plda
from utils.errors import UserError

BINARY = ("plda_raw", "plda_lda", "plda_adapted")
TEXT = (
    "plda_raw.txt",
    "plda_lda.txt",
    "plda_adapted.txt",
    "plda_raw_smoothed.txt",
    "plda_lda_smoothed.txt",
)


@pytest.mark.parametrize("name", BINARY + TEXT)
def test_a_file_of_kaldi_has_the_same_bytes_after_a_round_trip(tmp_path, name):
    write_plda(tmp_path / "again", read_plda(GOLDEN / name), text=name.endswith(".txt"))
    assert (tmp_path / "again").read_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", BINARY)
def test_the_text_of_a_binary_file_is_that_of_kaldi(tmp_path, name):
    write_plda(tmp_path / "text", read_plda(GOLDEN / name), text=True)
    assert (tmp_path / "text").read_bytes() == (GOLDEN / f"{name}.txt").read_bytes()


def test_the_mean_of_a_small_file_by_hand(tmp_path):
    write_plda(tmp_path / "plda", PldaFile(np.array([1.5]), np.array([[2.0]]), np.array([0.25])))
    size = b"\4" + np.int32(1).tobytes()
    values = [np.float64(value).tobytes() for value in (1.5, 2, 0.25)]
    expected = (
        b"\0B<Plda> DV "
        + size
        + values[0]
        + b"DM "
        + size
        + size
        + values[1]
        + b"DV "
        + size
        + values[2]
        + b"</Plda> "
    )
    assert (tmp_path / "plda").read_bytes() == expected
    write_plda(
        tmp_path / "plda", PldaFile(np.array([1.5]), np.array([[2.0]]), np.array([1e-9])), text=True
    )
    assert (tmp_path / "plda").read_bytes() == b"<Plda>  [ 1.5 ]\n [\n  2 ]\n [ 1e-09 ]\n</Plda> "


@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([np.float32, np.float64]))
def test_binary_files_lose_nothing(tmp_path_factory, dimensions, seed, dtype):
    rng = np.random.default_rng(seed)
    mean, transform = (
        rng.standard_normal(shape).astype(dtype) for shape in (dimensions, (dimensions, dimensions))
    )
    plda = PldaFile(mean, transform, rng.random(dimensions).astype(dtype))
    path = tmp_path_factory.mktemp("plda") / "plda"
    write_plda(path, plda)
    for ours, again in zip(plda, read_plda(path), strict=True):
        assert ours.dtype == again.dtype
        assert np.array_equal(ours, again)


def test_every_truncation_is_one_line(tmp_path):
    whole = (GOLDEN / "plda_lda").read_bytes()
    for length in [*range(60), *range(60, len(whole) - 1, 97), len(whole) - 2]:
        (tmp_path / "plda").write_bytes(whole[:length])
        with pytest.raises(UserError) as error:
            read_plda(tmp_path / "plda")
        assert len(str(error.value).splitlines()) == 1
    text = (GOLDEN / "plda_lda.txt").read_bytes()
    for length in range(0, len(text) - 2, 61):
        (tmp_path / "plda").write_bytes(text[:length])
        with pytest.raises(UserError):
            read_plda(tmp_path / "plda")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected Kaldi's <Plda>"),
        (b"\0BFV \4\1\0\0\0\0\0\0\0", "expected Kaldi's <Plda>"),
        (b"<Plda>  [ 1 2 ]\n [\n  1 0 ]\n [ 1 1 ]\n</Plda> ", "do not fit together"),
        (b"<Plda>  [ 1 ]\n [\n  1 ]\n [ -1 ]\n</Plda> ", "negative variance"),
        (b"<Plda>  [ nan ]\n [\n  1 ]\n [ 1 ]\n</Plda> ", "not finite"),
        (b"<Plda>  [ 1 ]\n [ 1 ]\n [ 1 ]\n</Plda> ", "transform of <Plda> is a float64 vector"),
        (b"<Plda>  [ 1 ]\n [\n  1 ]\n [ 1 ]\n</Plda> more", "expected </Plda>"),
    ],
)
def test_another_type_of_file_is_named(tmp_path, content, message):
    (tmp_path / "plda").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        read_plda(tmp_path / "plda")


def test_a_variance_of_rounding_below_zero_comes_back(tmp_path):
    """ivector-adapt-plda writes eigenvalues as they come."""
    plda = PldaFile(np.zeros(2), np.eye(2), np.array([3.0, -2e-16]))
    write_plda(tmp_path / "plda", plda)
    assert np.array_equal(read_plda(tmp_path / "plda").psi, plda.psi)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such regular file"):
        read_plda(tmp_path / "plda")
