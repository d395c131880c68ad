"""Crops of stored features equal those of the matrix, in every format; faults are one line."""

import copy
import os
import re
from pathlib import Path

import kaldi_native_io
import numpy as np
import pytest

from tests.conftest import ROOT
from utils.archive import ArchiveWriter, read_matrix, read_scp
from utils.archive.objects import encode_object
from utils.errors import UserError
from utils.features.reader import FeatureReader

METHODS = ["kSpeechFeature", "kTwoByteAuto", "kOneByteAuto"]
FORMATS = ["float32", "float64", *METHODS]
LENGTHS = {"a": 57, "b": 9, "c": 240}


def matrices(seed=0):
    rng = np.random.default_rng(seed)
    return {
        key: (rng.normal(size=(rows, 5)) * 9 - 3).astype(np.float32)
        for key, rows in LENGTHS.items()
    }


def write(folder: Path, kind: str, content=None) -> dict[str, str]:
    """An archive of some format; returns its scp."""
    content = content or matrices()
    if kind in METHODS:
        with kaldi_native_io.CompressedMatrixWriter(
            f"ark,scp:{folder}/f.ark,{folder}/f.scp"
        ) as writer:
            for key, matrix in content.items():
                writer.write(key, matrix, getattr(kaldi_native_io.CompressionMethod, kind))
    else:
        with ArchiveWriter(folder / "f.ark", folder / "f.scp", text=kind == "text") as writer:
            for key, matrix in content.items():
                writer.write(key, matrix.astype("float64" if kind == "float64" else "float32"))
    return read_scp(folder / "f.scp")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("one_read_bytes", [0, 1 << 18])
def test_a_crop_is_the_crop_of_the_whole_matrix(tmp_path, monkeypatch, kind, one_read_bytes):
    monkeypatch.setattr("utils.features.reader.ONE_READ_BYTES", one_read_bytes)
    scp = write(tmp_path, kind)
    reader = FeatureReader(scp, 5, 100)
    assert (len(reader), reader.sample_rate_hz, reader.num_samples.tolist()) == (
        3,
        100,
        list(LENGTHS.values()),
    )
    rng = np.random.default_rng(1)
    for index, (key, entry) in enumerate(scp.items()):
        whole = read_matrix(entry).astype(np.float32)
        assert np.array_equal(reader.read(index), whole), key
        for _ in range(20):
            start, end = sorted(rng.integers(LENGTHS[key] + 1, size=2).tolist())
            crop = reader.read(index, start, end - start)
            assert crop.dtype == np.float32
            assert np.array_equal(crop, whole[start:end]), (key, start, end)
        assert np.array_equal(reader.read(index, 4), whole[4:])
    batch = reader.read_batch([2, 0], [100, 3], 7)
    assert np.array_equal(
        batch,
        np.stack([read_matrix(scp["c"])[100:107], read_matrix(scp["a"])[3:10]]).astype(np.float32),
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_only_the_crop_is_read(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("utils.features.reader.ONE_READ_BYTES", 5 * 240 - 1)
    reader = FeatureReader(write(tmp_path, kind), 5, 100)
    taken, plain = [], os.preadv
    monkeypatch.setattr(
        os,
        "preadv",
        lambda file, buffers, place: (
            taken.append(sum(b.nbytes for b in buffers)) or plain(file, buffers, place)
        ),
    )
    reader.read(2, 100, 10)
    item = {"float32": 4, "float64": 8, "kTwoByteAuto": 2}.get(kind, 1)
    assert sum(taken) == 50 * item + {
        "kSpeechFeature": 8 + 40,
        "kTwoByteAuto": 8,
        "kOneByteAuto": 8,
    }.get(kind, 0)


def test_what_lies_outside_an_utterance_is_no_crop(tmp_path):
    reader = FeatureReader(write(tmp_path, "float32"), 5, 100)
    for start, number in [(-1, 3), (50, 8), (58, 0)]:
        with pytest.raises(ValueError, match="of utterance number 0, which has 57"):
            reader.read(0, start, number)


def test_workers_get_it_with_files_of_their_own(tmp_path):
    reader = FeatureReader(write(tmp_path, "kSpeechFeature"), 5, 100)
    before = reader.read(1)
    twin = copy.copy(reader)  # by the same state as a pickle's
    assert reader._files
    assert twin._files == {}
    assert np.array_equal(twin.read(1), before)


def test_kaldis_golden_matrices_are_read():
    scp = {
        key: str(ROOT / "tests/golden/kaldi" / Path(entry.rpartition("/")[2]))
        for key, entry in read_scp(ROOT / "tests/golden/kaldi/mats_compressed.scp").items()
    }
    reader = FeatureReader(scp, 13, 100)
    for index, entry in enumerate(scp.values()):
        assert np.array_equal(reader.read(index), read_matrix(entry))


def test_relative_paths_start_at_the_root(tmp_path, monkeypatch):
    scp = write(tmp_path, "float32")
    relative = {key: Path(entry).name for key, entry in scp.items()}
    assert np.array_equal(
        FeatureReader(relative, 5, 100, root=tmp_path).read(1), read_matrix(scp["b"])
    )
    with pytest.raises(UserError, match=r"f.ark: key 'a': no such regular file"):
        FeatureReader(relative, 5, 100)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(FeatureReader(relative, 5, 100).read(1), read_matrix(scp["b"]))


def test_a_file_of_one_matrix_needs_no_offset(tmp_path):
    whole = matrices()["a"]
    (tmp_path / "a.mat").write_bytes(encode_object(whole))
    assert np.array_equal(
        FeatureReader({"a": str(tmp_path / "a.mat")}, 5, 100).read(0, 7, 3), whole[7:10]
    )


def test_a_list_may_name_a_file_for_every_utterance(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.features.reader.MAX_OPEN_FILES", 3)
    scp = {}
    for number in range(8):
        scp[f"u{number}"] = str(tmp_path / f"{number}.mat")
        (tmp_path / f"{number}.mat").write_bytes(
            encode_object(np.full((number + 1, 5), number, np.float32))
        )
    reader = FeatureReader(scp, 5, 100)
    assert reader.num_samples.tolist() == list(range(1, 9))
    for number in (0, 7, 3, 3, 5, 0, 1, 2, 6, 4):
        assert np.array_equal(reader.read(number), np.full((number + 1, 5), number))
        assert len(reader._files) <= 3


@pytest.mark.parametrize("kind", ["float32", "kSpeechFeature"])
def test_ranges_of_rows_are_kaldis(tmp_path, kind):
    """As of `utils/data/subsegment_data_dir.sh`; the last row, included, may exceed the matrix."""
    scp = write(tmp_path, kind)
    ranged = {"a": f"{scp['a']}[10:19]", "b": f"{scp['b']}[:,:]", "c": f"{scp['c']}[200:241,:]"}
    reader = FeatureReader(ranged, 5, 100)
    assert reader.num_samples.tolist() == [10, 9, 40]
    assert np.array_equal(reader.read(0), read_matrix(scp["a"])[10:20])
    assert np.array_equal(reader.read(0, 2, 3), read_matrix(scp["a"])[12:15])
    assert np.array_equal(reader.read(2, 39), read_matrix(scp["c"])[239:])
    with kaldi_native_io.RandomAccessFloatMatrixReader(f"scp:{tmp_path}/f.scp") as whole:
        assert np.allclose(whole["a"][10:20], reader.read(0))


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("[57:60]", "rows 57 to 60 of a matrix of 57"),
        ("[0:60]", "rows 0 to 60 of a matrix of 57"),
        ("[9:3]", "rows 9 to 3"),
        ("[0:9,0:2]", "utterance 'a': .* has a range of columns, which cannot be read in crops"),
        ("[9]", "key 'a': .*'.9.' is not a range"),
        (" |", "shell pipe and pipes are not run here"),
    ],
)
def test_other_ranges_and_pipes_are_refused(tmp_path, entry, found):
    scp = write(tmp_path, "float32")
    with pytest.raises(UserError, match=found):
        FeatureReader(scp | {"a": scp["a"] + entry}, 5, 100)


def shortened(path, number):
    path.write_bytes(path.read_bytes()[:-number])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_archive_is_named_before_anything_is_read(tmp_path, kind):
    scp = write(tmp_path, kind)
    shortened(tmp_path / "f.ark", 1)
    with pytest.raises(
        UserError,
        match=r"f.ark:\d+: utterance 'c': truncated: the matrix ends at byte [\d,]+, the file at",
    ):
        FeatureReader(scp, 5, 100)


def test_an_archive_that_is_cut_in_use_is_named(tmp_path):
    reader = FeatureReader(write(tmp_path, "float32"), 5, 100)
    shortened(tmp_path / "f.ark", 100)
    with pytest.raises(
        UserError, match=r"f.ark: ends before byte [\d,]+; it was truncated while in use"
    ):
        reader.read(2)


def test_what_is_no_matrix_of_features_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"utterance 'a' \(and 2 more\): a text archive: .* write it in binary"
    ):
        FeatureReader(write(tmp_path, "text"), 5, 100)
    with ArchiveWriter(tmp_path / "w.ark", tmp_path / "w.scp") as writer:
        writer.write_wave("a", np.zeros(99, np.int16), 16000)
        writer.write("b", np.zeros(30, np.float32))
    scp = read_scp(tmp_path / "w.scp")
    with pytest.raises(
        UserError, match=r"w.ark:2: utterance 'a': found a wave, expected a matrix of features"
    ):
        FeatureReader({"a": scp["a"]}, 5, 100)
    with pytest.raises(
        UserError, match=r"utterance 'b': found b'.*BFV .*expected a matrix of features"
    ):
        FeatureReader({"b": scp["b"]}, 5, 100)
    with pytest.raises(UserError, match=r"utterance 'a': no matrix can begin here: the file has"):
        FeatureReader({"a": f"{tmp_path}/w.ark:100000"}, 5, 100)
    (tmp_path / "empty.ark").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"utterance 'a': no matrix can begin here: the file has 0 bytes"
    ):
        FeatureReader({"a": f"{tmp_path}/empty.ark:0"}, 5, 100)


@pytest.mark.parametrize("kind", FORMATS)
def test_another_dimension_is_named(tmp_path, kind):
    with pytest.raises(
        UserError,
        match=r"utterance 'a' \(and 2 more\): found 57 frames of 5 features, "
        r"expected frames of 80 \(num_bins",
    ):
        FeatureReader(write(tmp_path, kind), 80, 100)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named_where_they_are_read(tmp_path, value):
    content = matrices()
    content["b"][5, 2] = value
    reader = FeatureReader(write(tmp_path, "float32", content), 5, 100)
    assert np.isfinite(reader.read(1, 0, 5)).all()
    with pytest.raises(
        UserError, match=r"f.ark:\d+: NaN or Inf among frames 0 to 9; make these features again"
    ):
        reader.read(1)


def decisions(folder, speech):
    with ArchiveWriter(folder / "v.ark", folder / "v.scp") as writer:
        for key, vector in speech.items():
            writer.write(key, vector.astype(np.float32))
    return read_scp(folder / "v.scp")


@pytest.mark.parametrize("kind", ["float32", "kSpeechFeature"])
def test_frames_of_speech_are_selected(tmp_path, kind):
    scp, rng = write(tmp_path, kind), np.random.default_rng(2)
    speech = {key: rng.random(rows) < 0.6 for key, rows in LENGTHS.items()}
    reader = FeatureReader(scp, 5, 100, vad_scp=decisions(tmp_path, speech))
    assert reader.num_samples.tolist() == [vector.sum() for vector in speech.values()]
    assert reader.num_frames.tolist() == list(LENGTHS.values())
    for index, (key, entry) in enumerate(scp.items()):
        kept = read_matrix(entry)[speech[key]]
        assert np.array_equal(reader.read(index), kept)
        assert np.array_equal(reader.read(index, 2, 3), kept[2:5])
        assert reader.read(index, len(kept)).shape == (0, 5)


def test_decisions_that_do_not_fit_are_named(tmp_path):
    scp = write(tmp_path, "float32")
    speech = {key: np.ones(rows, bool) for key, rows in LENGTHS.items()}
    for change, found in [
        (
            {"b": np.ones(11, bool)},
            "utterance 'b' has 9 frames but 11 voice activity decisions.*snip_edges: false",
        ),
        ({"b": np.zeros(9, bool)}, "utterance 'b': no frame of speech"),
    ]:
        with pytest.raises(UserError, match=found):
            FeatureReader(scp, 5, 100, vad_scp=decisions(tmp_path, speech | change))
    with pytest.raises(UserError, match="utterance 'c' has no voice activity decisions in vad.scp"):
        FeatureReader(scp, 5, 100, vad_scp=decisions(tmp_path, {key: speech[key] for key in "ab"}))


def test_many_thousand_headers_are_read_at_once(tmp_path):
    """The index of a large list costs array operations, not a step of Python per header."""
    number = 20_000
    with open(tmp_path / "many.ark", "wb") as file:
        scp = {}
        for k in range(number):
            file.write(f"u{k} ".encode())
            scp[f"u{k}"] = f"{tmp_path}/many.ark:{file.tell()}"
            file.write(encode_object(np.full((1 + k % 7, 3), k, np.float32)))
    reader = FeatureReader(scp, 3, 100)
    assert reader.num_samples.tolist() == [1 + k % 7 for k in range(number)]
    assert reader.read(12345).tolist() == [[12345] * 3] * (1 + 12345 % 7)
    assert not any(
        re.search("dict|list", type(value).__name__) and len(value) > 10
        for value in vars(reader).values()
    ), "arrays only"
