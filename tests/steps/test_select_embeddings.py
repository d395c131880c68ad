"""Embeddings of sets, selected from those of all test files; refusals."""

import numpy as np
import pytest

from steps.score import score
from steps.select_embeddings import select_embeddings
from steps.train_backend import train_backend
from utils.archive import ArchiveWriter, read_vectors
from utils.data_dir import DataDir, write_data_dir
from utils.embeddings.folders import finish_embeddings
from utils.errors import UserError
from utils.receipts import Task
from utils.scoring.score_files import read_scores

UTTERANCES = [f"s{s}-{n}" for s in range(4) for n in range(3)]
FACTS = {
    "model": "m",
    "front_end": "f",
    "sample_rate_hz": 16000,
    "vad": "none",
    "crops": "whole utterances",
    "augmentation": "none",
}


def embedded(folder, seed):
    """A folder of embeddings as steps.collect_embeddings leaves it."""
    random = np.random.default_rng(seed)
    task = Task(folder, "collect_embeddings", format=1, inputs={}, options={"seed": seed})
    assert not task.is_done()
    vectors = random.standard_normal((len(UTTERANCES), 5)).astype(np.float32)
    with ArchiveWriter(folder / "xvector.1.ark", folder / "xvector.scp") as writer:
        for key, vector in zip(UTTERANCES, vectors, strict=True):
            writer.write(key, vector)
    task.finish(
        [
            writer,
            *finish_embeddings(
                folder, UTTERANCES, vectors, {key: key[:2] for key in UTTERANCES}, FACTS
            ),
        ],
        {},
    )
    return vectors


@pytest.fixture
def sets(tmp_path):
    for name, chosen in (("small", UTTERANCES[1:5]), ("large", UTTERANCES[:9])):
        trials = [f"{chosen[0]} {chosen[1]} target", f"{chosen[0]} {chosen[-1]} nontarget"]
        data = DataDir(
            tmp_path,
            dict.fromkeys(chosen, "a.wav"),
            {key: key[:2] for key in chosen},
            None,
            {},
            trials,
        )
        write_data_dir(data, tmp_path / "tests" / name)
    return tmp_path / "tests"


@pytest.mark.parametrize("protocol", [None, "centre_1s"])
def test_each_set_has_its_own_vectors_and_means(tmp_path, sets, protocol):
    home = tmp_path / "embeddings"
    vectors = embedded(home / "test" / (protocol or ""), seed=1)
    counts = select_embeddings(
        home / "test", sets, home, sets=["small", "large"], protocol=protocol
    )
    assert counts == {"small": 4, "large": 9}
    keys, found = read_vectors(home / "small" / (protocol or "") / "xvector.scp")
    assert keys == UTTERANCES[1:5]
    np.testing.assert_array_equal(found, vectors[1:5])
    speakers, means = read_vectors(home / "small" / (protocol or "") / "spk_xvector.scp")
    assert speakers == ["s0", "s1"]
    np.testing.assert_allclose(means, [vectors[1:3].mean(0), vectors[3:5].mean(0)], rtol=1e-6)
    before = (home / "large" / (protocol or "") / "xvector.scp").stat().st_mtime_ns
    assert (
        select_embeddings(home / "test", sets, home, sets=["small", "large"], protocol=protocol)
        == counts
    )
    assert (home / "large" / (protocol or "") / "xvector.scp").stat().st_mtime_ns == before, (
        "nothing to do"
    )


def test_scores_are_those_of_the_whole_folder(tmp_path, sets):
    home = tmp_path / "embeddings"
    embedded(home / "test", seed=2)
    select_embeddings(home / "test", sets, home, sets=["small"])
    train_backend(home / "test", tmp_path / "backend" / "cosine")
    for folder in ("test", "small"):
        score(
            tmp_path / "backend" / "cosine",
            home / folder,
            sets / "small" / "trials",
            tmp_path / "scores" / folder / "cosine.scores",
        )
    first, second = (
        read_scores(tmp_path / "scores" / folder / "cosine.scores") for folder in ("test", "small")
    )
    np.testing.assert_array_equal(first[2], second[2])


def test_an_utterance_without_embedding_is_named(tmp_path, sets):
    embedded(tmp_path / "embeddings" / "test", seed=1)
    write_data_dir(DataDir(tmp_path, {"s9-1": "a.wav"}, {"s9-1": "s9"}), sets / "odd")
    with pytest.raises(
        UserError, match=r"no embedding of 's9-1' of .*odd/utt2spk, 1 are missing; extract them"
    ):
        select_embeddings(
            tmp_path / "embeddings" / "test", sets, tmp_path / "embeddings", sets=["odd"]
        )
