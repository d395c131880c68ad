"""Embeddings as npz and HDF5 files: what others read, the way back, and what is refused."""

import sys

import h5py
import numpy as np
import pytest

from steps.export_arrays import export_arrays
from steps.import_embeddings import import_embeddings
from tests.steps.test_score import PROVENANCE, VECTORS, say_where_from, write_embeddings
from utils.archive import read_vectors
from utils.embeddings.provenance import read_provenance
from utils.errors import UserError

UTT2SPK = "".join(f"{key} {key[:3]}\n" for key in VECTORS)


@pytest.fixture
def work(tmp_path):
    """A folder of embeddings with provenance, and the speakers."""
    say_where_from(write_embeddings(tmp_path / "test", VECTORS))
    (tmp_path / "utt2spk").write_text(UTT2SPK)
    return tmp_path


def read_as_others_do(path):
    if path.suffix == ".npz":
        return dict(np.load(path))
    with h5py.File(path) as content:
        return {
            name: np.array([text.decode() for text in array[()]])
            if array.dtype.kind == "O"
            else array[()]
            for name, array in content.items()
        }


@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x.hdf5"])
def test_others_read_the_file_and_it_comes_back(work, name):
    assert export_arrays(work / "test", work / name, utt2spk=work / "utt2spk") == {
        "utterances": 4,
        "dimensions": 2,
    }
    found = read_as_others_do(work / name)
    assert found["utterances"].tolist() == list(VECTORS)
    assert found["speakers"].tolist() == ["ann", "ann", "bob", "bob"]
    assert found["embeddings"].dtype == np.float32
    assert found["embeddings"].tolist() == list(VECTORS.values())
    import_embeddings(work / name, work / "back", kind="arrays", utt2spk=work / "utt2spk")
    keys, vectors = read_vectors(work / "back" / "xvector.scp")
    assert (keys, vectors.tolist()) == (list(VECTORS), list(VECTORS.values()))
    facts = read_provenance(work / "back")
    assert {key: facts[key] for key in PROVENANCE} == PROVENANCE
    assert read_vectors(work / "back" / "spk_xvector.scp")[0] == ["ann", "bob"]


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_repeating_gives_the_same_bytes(work, ending):
    for name in ("a", "b"):
        export_arrays(work / "test", work / f"{name}.{ending}")
    assert (work / f"a.{ending}").read_bytes() == (work / f"b.{ending}").read_bytes()


def test_matrices_go_out_as_one_array(work):
    write_embeddings(work / "rows", {"a": np.ones((3, 2)), "b": np.zeros((3, 2))})
    export_arrays(work / "rows", work / "x.npz")
    assert np.load(work / "x.npz")["embeddings"].shape == (2, 3, 2)


def test_a_file_of_another_s_making_has_a_model_of_its_own(work):
    np.savez(work / "x.npz", utterances=np.array(["bob-1", "ann-1"]), embeddings=np.eye(2))
    import_embeddings(work / "x.npz", work / "back", kind="arrays", utt2spk=work / "utt2spk")
    assert len(read_provenance(work / "back")["model"]) == 64
    import_embeddings(
        work / "x.npz", work / "named", kind="arrays", utt2spk=work / "utt2spk", model="mine"
    )
    assert read_provenance(work / "named")["model"] == "mine"
    assert read_vectors(work / "named" / "xvector.scp")[0] == ["ann-1", "bob-1"]


def test_h5py_missing_is_one_line(work, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        UserError,
        match=(
            r"x\.h5: h5py is needed for HDF5, and is not installed: pip install -r "
            r"requirements-optional\.txt"
        ),
    ):
        export_arrays(work / "test", work / "x.h5")
    assert not (work / "x.h5").exists()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"utterances": ["a"]}, r"no array 'embeddings', found utterances"),
        ({"embeddings": np.eye(2)}, "no array 'utterances'"),
        ({"utterances": ["a"], "embeddings": np.eye(2)}, "1 utterances and 2 embeddings"),
        (
            {"utterances": [1, 2], "embeddings": np.eye(2)},
            "'utterances' is an array of int64 of shape",
        ),
        (
            {"utterances": ["a", "b"], "embeddings": np.ones(2)},
            "'embeddings' is an array of float64 of shape",
        ),
        (
            {"utterances": ["ann-1", "ann-1"], "embeddings": np.eye(2)},
            "an utterance is listed twice",
        ),
        (
            {"utterances": ["ann-1", "cat-1"], "embeddings": np.eye(2)},
            "1 of 2 utterances are not in",
        ),
        ({"utterances": ["ann-1", "bob-1"], "embeddings": np.eye(2) * np.nan}, "is NaN or Inf"),
        (
            {"utterances": np.array([97, 0x110000], np.uint32).view("U1"), "embeddings": np.eye(2)},
            "utterances has numbers that are not characters",
        ),
        (
            {"utterances": ["a", "\ud800"], "embeddings": np.eye(2)},
            "utterances has numbers that are not characters",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(work, arrays, words):
    np.savez(work / "x.npz", **{name: np.array(array) for name, array in arrays.items()})
    with pytest.raises(UserError, match=words) as refused:
        import_embeddings(work / "x.npz", work / "back", kind="arrays", utt2spk=work / "utt2spk")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["x.npz", "x.h5"])
@pytest.mark.parametrize("content", [b"", b"no such format", b"PK\3\4", b"\x89HDF\r\n\x1a\n"])
def test_another_type_of_file_is_one_line(work, command, name, content):
    (work / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: damaged, or not an .* file of plain arrays"):
        import_embeddings(work / name, work / "back", kind="arrays", utt2spk=work / "utt2spk")


def test_objects_in_an_npz_file_are_never_unpickled(work, command):
    np.savez(work / "x.npz", utterances=np.array(["a", {}], object), embeddings=np.eye(2))
    done = command(
        "steps.import_embeddings",
        work / "x.npz",
        work / "back",
        "--kind",
        "arrays",
        "--utt2spk",
        work / "utt2spk",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "allow_pickle=False" in done.stderr


def test_the_command_refuses_other_endings(work, command):
    done = command("steps.export_arrays", work / "test", work / "x.mat")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "expected .npz, .h5 or .hdf5" in done.stderr
    assert command("steps.export_arrays", work / "test", work / "x.npz").returncode == 0
