"""Archives against Kaldi's golden files and kaldi-native-io; round trips; the command."""

import subprocess
import sys
import wave
from pathlib import Path

import kaldi_native_io
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.utils.archive.cases import GOLDEN, OBJECTS, ROOT, VECTOR, add, same, write
from utils.archive import (
    ArchiveWriter,
    iterate_archive,
    iterate_scp,
    read_matrix,
    read_object,
    read_scp,
    read_vector,
    read_vectors,
    read_wave,
    write_matrix,
    write_text_vectors,
    write_vector,
)
from utils.archive.__main__ import check_archive, head_archive
from utils.archive.objects import decode_object, encode_object
from utils.errors import UserError

VECTOR_SETS = ["train", "enroll", "adapt", "test"]

arrays = st.one_of(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=2, max_side=5)),
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=2, max_side=5)),
    hnp.arrays(np.int32, st.integers(0, 6)),
    hnp.arrays(np.float32, 0),
)


@pytest.fixture
def golden(monkeypatch):
    """Paths in Kaldi's scp files start at the golden folder."""
    monkeypatch.chdir(GOLDEN)
    return GOLDEN


@pytest.mark.parametrize("name", VECTOR_SETS)
def test_binary_vectors_equal_their_text_twin(golden, name):
    keys, vectors = read_vectors(f"{name}.scp")
    text = dict(iterate_archive(f"{name}.txt"))
    assert keys == list(text)
    assert vectors.dtype == np.float32
    assert all(
        np.array_equal(vector, text[key].astype(np.float32))
        for key, vector in zip(keys, vectors, strict=True)
    )
    print(f"{name}: {vectors.shape} float32 equal")


@pytest.mark.parametrize("name", [p.stem for p in sorted(GOLDEN.glob("*.scp")) if p.stem != "wav"])
def test_scp_archive_and_single_reads_agree(golden, name):
    by_scp, by_ark = dict(iterate_scp(f"{name}.scp")), dict(iterate_archive(f"{name}.ark"))
    assert list(by_scp) == list(by_ark)
    assert by_ark
    for key, entry in read_scp(f"{name}.scp").items():
        assert same(by_scp[key], by_ark[key])
        assert same(read_object(entry), by_ark[key])


@pytest.mark.parametrize("flavour", ["flavour_binary.ark", "flavour_text.ark"])
def test_both_flavours_hold_the_test_vectors(golden, flavour):
    expected = dict(iterate_archive("test.ark"))
    found = dict(iterate_archive(flavour))
    assert list(found) == list(expected)
    for key, vector in expected.items():
        np.testing.assert_allclose(found[key], vector, rtol=1e-6)  # Kaldi's text has 7 digits


def test_matrices_equal_their_text_twin(golden):
    text = dict(iterate_archive("mats.txt"))
    binary = dict(iterate_archive("mats.ark"))
    assert list(text) == list(binary) == ["m0", "m1", "m2", "m3"]
    assert all(same(binary[key], text[key].astype(np.float32)) for key in text)


def test_compressed_matrices_are_decoded_as_kaldi_does(golden):
    text = dict(iterate_archive("mats_compressed_decoded.txt"))
    matrices = dict(iterate_archive("mats_compressed.ark"))
    assert list(matrices) == list(text)
    for key, matrix in matrices.items():
        assert [f"{value:.7g}" for value in matrix.reshape(-1)] == [
            f"{value:.7g}" for value in text[key].reshape(-1)
        ]


def test_bare_vector_and_matrix(golden):
    mean, lda = read_vector("mean.vec"), read_matrix("lda.mat")
    np.testing.assert_allclose(mean, read_vectors("train.scp")[1].mean(axis=0), rtol=1e-5)
    assert same(mean, read_vector("mean.txt"))
    assert lda.shape == (12, 25)
    assert lda.dtype == np.float32
    np.testing.assert_allclose(lda, read_matrix("lda.txt"), rtol=1e-6)


def test_enrolment_means_and_counts(golden):
    members = [line.split() for line in Path("enroll.spk2utt").read_text().splitlines()]
    vectors, counts = dict(iterate_scp("enroll.scp")), dict(iterate_archive("enroll_num_utts.txt"))
    assert {key: count.tolist() for key, count in counts.items()} == {
        speaker: [len(utterances)] for speaker, *utterances in members
    }
    for key, mean in iterate_scp("enroll_mean.scp"):
        utterances = next(utterances for speaker, *utterances in members if speaker == key)
        np.testing.assert_allclose(
            mean,
            np.mean([vectors[utterance] for utterance in utterances], axis=0),
            rtol=1e-5,
            atol=1e-6,
        )


def test_feature_and_vad_texts_are_read(golden):
    vad = dict(iterate_archive("vad.txt"))
    for key, features in iterate_archive("mfcc30_voxceleb.txt"):
        assert features.shape == (len(vad[key]), 30)
        assert set(vad[key]) <= {0, 1}


def test_wave_archives_hold_the_samples_of_the_files(golden):
    files = {}
    for key, path in read_scp("wav.scp").items():
        with wave.open(path) as file:
            files[key] = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert np.array_equal(read_wave(path)[0], files[key])
    for key, entry in read_scp("wav_copy.scp").items():
        samples, sample_rate_hz = read_wave(entry)
        assert sample_rate_hz == 16000
        assert same(samples, files[key])
    segments = dict(iterate_archive("segments_wav.ark"))
    for line in Path("segments").read_text().splitlines():
        segment, recording, begin, end = line.split()
        assert same(
            segments[segment],
            files[recording][round(float(begin) * 16000) : round(float(end) * 16000)],
        )


@pytest.mark.parametrize("name", [*VECTOR_SETS, "enroll_mean", "mats", "wav_copy"])
def test_rewritten_archive_and_scp_are_kaldis_bytes(golden, tmp_path, monkeypatch, name):
    entries = dict(iterate_archive(f"{name}.ark"))
    monkeypatch.chdir(tmp_path)
    with ArchiveWriter(f"{name}.ark", f"{name}.scp") as writer:
        add(writer, entries)
    for file in (f"{name}.ark", f"{name}.scp"):
        assert Path(file).read_bytes() == (GOLDEN / file).read_bytes()


def test_rewritten_files_are_kaldis_bytes(golden, tmp_path):
    write_matrix(tmp_path / "lda.mat", read_matrix("lda.mat"))
    write_text_vectors(
        tmp_path / "enroll_num_utts.txt",
        {key: int(count[0]) for key, count in iterate_archive("enroll_num_utts.txt")},
    )
    write_text_vectors(tmp_path / "flavour_text.ark", dict(iterate_archive("flavour_text.ark")))
    (tmp_path / "mean.vec").write_bytes(encode_object(read_vector("mean.vec"), text=True))
    (tmp_path / "lda.txt").write_bytes(encode_object(read_matrix("lda.txt"), text=True))
    for file in sorted(p.name for p in tmp_path.iterdir()):
        assert (tmp_path / file).read_bytes() == Path(file).read_bytes(), file


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("kind", "reader"),
    [
        ("float-vector", "FloatVector"),
        ("double-vector", "DoubleVector"),
        ("float-matrix", "FloatMatrix"),
        ("double-matrix", "DoubleMatrix"),
        ("int32-vector", "Int32Vector"),
    ],
)
def test_kaldi_native_io_reads_what_we_write(tmp_path, kind, reader, text):
    expected = {"a": OBJECTS[kind], "b-1": OBJECTS[kind][:1]}
    ark, scp = write(tmp_path, expected, text=text)
    for rspecifier in (f"ark:{ark}", f"scp:{scp}"):
        with getattr(kaldi_native_io, f"Sequential{reader}Reader")(rspecifier) as entries:
            found = {key: np.array(value, expected[key].dtype) for key, value in entries}
        assert list(found) == list(expected)
        assert all(same(found[key], expected[key]) for key in expected)


def test_kaldi_native_io_reads_our_waves_bare_files_and_counts(tmp_path):
    ark, scp = write(tmp_path, {"a": OBJECTS["wave"], "b": OBJECTS["wave"][::-1]})
    for rspecifier in (f"ark:{ark}", f"scp:{scp}"):
        with kaldi_native_io.SequentialWaveReader(rspecifier) as entries:
            found = {key: (value.sample_freq, np.array(value.data)[0]) for key, value in entries}
        assert found["a"][0] == 16000
        assert np.array_equal(found["a"][1], OBJECTS["wave"])
        assert np.array_equal(found["b"][1], OBJECTS["wave"][::-1])
    write_vector(tmp_path / "mean.vec", VECTOR)
    write_matrix(tmp_path / "transform.mat", OBJECTS["double-matrix"])
    assert np.array_equal(
        kaldi_native_io.FloatVector.read(str(tmp_path / "mean.vec")).numpy(), VECTOR
    )
    assert np.array_equal(
        kaldi_native_io.DoubleMatrix.read(str(tmp_path / "transform.mat")).numpy(),
        OBJECTS["double-matrix"],
    )
    write_text_vectors(tmp_path / "num_utts.ark", {"s1": 3, "s2": np.int64(11)})
    with kaldi_native_io.SequentialInt32Reader(f"ark:{tmp_path / 'num_utts.ark'}") as entries:
        assert dict(entries) == {"s1": 3, "s2": 11}


@pytest.mark.parametrize(
    "method",
    [
        "kSpeechFeature",
        "kTwoByteAuto",
        "kTwoByteSignedInteger",
        "kOneByteAuto",
        "kOneByteUnsignedInteger",
        "kOneByteZeroOne",
    ],
)
def test_compressed_matrices_of_every_method_are_decoded_as_kaldi_native_io_does(tmp_path, method):
    matrix = np.random.default_rng(0).uniform(0, 1, (9, 4)).astype(np.float32)
    ark = tmp_path / "c.ark"
    with kaldi_native_io.CompressedMatrixWriter(f"ark:{ark}") as writer:
        writer.write("a", matrix, getattr(kaldi_native_io.CompressionMethod, method))
    with kaldi_native_io.SequentialFloatMatrixReader(f"ark:{ark}") as entries:
        expected = {key: np.array(value) for key, value in entries}
    found = dict(iterate_archive(ark))
    print(method, ark.read_bytes()[2:8])
    assert same(found["a"], expected["a"])


@given(array=arrays)
def test_binary_round_trip_is_exact(array):
    encoded = encode_object(array)
    found, end = decode_object(b"key " + encoded + b"next ", 4)
    assert same(found, array)
    assert end == 4 + len(encoded)


@given(array=arrays)
def test_text_round_trip_is_exact_in_the_type_that_was_written(array):
    encoded = encode_object(array, text=True)
    found, end = decode_object(encoded, 0)
    assert end == len(encoded)
    assert same(found.astype(array.dtype), array)
    assert found.dtype == (np.int32 if array.dtype == np.int32 else np.float64)


def test_whole_numbers_between_brackets_or_bare(tmp_path):
    (tmp_path / "x.txt").write_text("a [ 1 2 3 ]\nb 1 2 3\nc 4\nd\ne  [ ]\nf [\n 1 2\n 3 4 ]\n")
    found = {
        key: (array.tolist(), array.dtype.name)
        for key, array in iterate_archive(tmp_path / "x.txt")
    }
    whole = ([1, 2, 3], "float64"), ([1, 2, 3], "int32")
    assert found == {
        "a": whole[0],
        "b": whole[1],
        "c": ([4], "int32"),
        "d": ([], "int32"),
        "e": ([], "float64"),
        "f": ([[1, 2], [3, 4]], "float64"),
    }


def test_nan_and_infinity_pass_unchanged_in_both_forms(tmp_path):
    odd = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    for text in (False, True):
        _, scp = write(tmp_path, {"a": odd}, text=text)
        assert np.array_equal(read_vectors(scp)[1][0], odd, equal_nan=True)


def test_check_counts_what_is_there(golden, capsys):
    counts = check_archive(
        [Path("train.ark"), Path("mats.scp"), Path("wav_copy.scp"), Path("enroll_num_utts.txt")]
    )
    assert counts == {"train.ark": 473, "mats.scp": 4, "wav_copy.scp": 3, "enroll_num_utts.txt": 20}
    assert capsys.readouterr().out.splitlines() == [
        "train.ark: 473 float32 vectors of 24",
        "mats.scp: 4 float32 matrices of 12..36 x 13",
        "wav_copy.scp: 3 waves of 35200..75200 samples",
        "enroll_num_utts.txt: 20 int32 vectors of 1",
    ]


def test_check_refuses_an_empty_archive(tmp_path):
    ark, _ = write(tmp_path, {})
    with pytest.raises(UserError, match=f"{ark}: empty"):
        check_archive([ark])


def test_head_prints_the_first_entries(golden, capsys):
    assert head_archive(Path("mats.scp"), lines=2) == ["m0", "m1"]
    with pytest.raises(UserError, match="--lines is -1, expected 0 or more"):
        head_archive(Path("mats.scp"), lines=-1)
    assert capsys.readouterr().out.splitlines()[0] == (
        "m0  a float32 matrix of 25 x 13  -1.03917 -1.01564 -0.655952 1.30651 "
        "-0.185278 -0.269685 ..."
    )


def test_command_says_one_line_and_exits_1_on_a_fault(tmp_path):
    ark, _ = write(tmp_path, {"a": VECTOR, "b": VECTOR})
    ark.write_bytes(ark.read_bytes()[:-2])

    def command(*words):
        return subprocess.run(
            [sys.executable, "-m", "utils.archive", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    good = command("check", GOLDEN / "test.ark", GOLDEN / "mats.ark")
    assert good.returncode == 0
    assert len(good.stdout.splitlines()) == 2
    bad = command("check", GOLDEN / "test.ark", ark)
    assert bad.returncode == 1
    assert len(bad.stderr.splitlines()) == 1
    assert f"{ark}:26: key 'b': truncated" in bad.stderr
    assert command("head", GOLDEN / "test.ark", "--lines", 2).stdout.count("\n") == 2
    assert command("check").returncode == 2
