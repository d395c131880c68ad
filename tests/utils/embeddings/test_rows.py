"""Matrices of embeddings: read, and scored as by a slow loop over all pairs of rows."""

import numpy as np
import pytest

from steps.backends.cosine import Cosine
from steps.backends.euclidean import Euclidean
from utils.archive import ArchiveWriter
from utils.embeddings.rows import (
    is_grid,
    mean_rows,
    read_embeddings,
    score_grid,
    score_pairs,
    transform_rows,
)
from utils.errors import UserError


class Lopsided:
    """A back end whose scores depend on the order of the sides."""

    def score(self, enrol, test):
        return (enrol - 2 * test).sum(axis=-1)

    def score_matrices(self, enrol, test):
        return enrol.sum(axis=-1)[..., :, None] - 2 * test.sum(axis=-1)[..., None, :]


def embeddings(utterances=7, rows=3, dimensions=5, seed=0):
    return (
        np.random.default_rng(seed).normal(size=(utterances, rows, dimensions)).astype(np.float32)
    )


def write(folder, arrays):
    folder.mkdir(exist_ok=True)
    with ArchiveWriter(folder / "xvector.ark", folder / "xvector.scp") as writer:
        for key, array in arrays.items():
            writer.write(key, array)
    return folder


def slow_cosine(enrol, test):
    return np.dot(enrol, test) / np.linalg.norm(enrol) / np.linalg.norm(test)


def slow_distance(enrol, test):
    return -np.linalg.norm(enrol / np.linalg.norm(enrol) - test / np.linalg.norm(test))


@pytest.mark.parametrize("pairs", [1, 5, 700])  # more than one block of pairs
@pytest.mark.parametrize(
    ("scorer", "slow"),
    [
        (Cosine(False), slow_cosine),
        (Euclidean(), slow_distance),
        (Lopsided(), lambda enrol, test: (enrol - 2 * test).sum()),
    ],
)
@pytest.mark.parametrize("compare", ["all", "paired"])
def test_scores_are_those_of_a_loop_over_rows(scorer, slow, compare, pairs):
    matrices, rng = embeddings(), np.random.default_rng(1)
    enrol, test = rng.integers(len(matrices), size=(2, pairs))
    rows = (
        transform_rows(scorer.fit(matrices[:, 0]).transform, matrices)
        if hasattr(scorer, "fit")
        else matrices
    )
    found = score_pairs(scorer, rows, enrol, test, compare)
    exact = matrices.astype(np.float64)
    every = (
        [(i, j) for i in range(3) for j in range(3)]
        if compare == "all"
        else [(i, i) for i in range(3)]
    )
    expected = [
        np.mean([slow(exact[a, i], exact[b, j]) for i, j in every])
        for a, b in zip(enrol, test, strict=True)
    ]
    print(f"largest difference {np.abs(found - expected).max():.1e}")
    assert found == pytest.approx(np.array(expected), abs=1e-6)


def test_mean_cosine_of_all_pairs_is_the_product_of_mean_rows():
    matrices = embeddings(utterances=2)
    unit = matrices / np.linalg.norm(matrices, axis=2, keepdims=True)
    scorer = Cosine(False).fit(matrices[:, 0])
    found = score_pairs(
        scorer, transform_rows(scorer.transform, matrices), np.array([0]), np.array([1])
    )
    assert found == pytest.approx([unit[0].mean(axis=0) @ unit[1].mean(axis=0)], abs=1e-6)


def test_a_matrix_is_at_no_distance_from_itself_row_by_row():
    matrices = embeddings(dimensions=256)
    scorer = Euclidean().fit(matrices[:, 0])
    rows = transform_rows(scorer.transform, np.repeat(matrices[:, :1], 3, axis=1))
    for compare in ("all", "paired"):
        assert score_pairs(scorer, rows, np.arange(7), np.arange(7), compare) == pytest.approx(
            np.zeros(7), abs=1e-7
        )


def test_distance_orders_vectors_as_the_cosine_does():
    vectors = embeddings(rows=1)[:, 0]
    enrol, test = np.triu_indices(7, k=1)
    scores = []
    for scorer in (Cosine(False), Euclidean()):
        rows = scorer.fit(vectors).transform(vectors)
        scores.append(score_pairs(scorer, rows, enrol, test))
    assert np.array_equal(*(np.argsort(values) for values in scores))
    assert scores[1] == pytest.approx(-np.sqrt(2 - 2 * scores[0]), abs=1e-6)


def test_folders_of_vectors_and_of_matrices_are_read(tmp_path):
    matrices = embeddings()
    keys, found = read_embeddings(
        write(tmp_path / "matrices", {f"u{k}": matrix for k, matrix in enumerate(matrices)})
    )
    assert keys == [f"u{k}" for k in range(7)]
    assert np.array_equal(found, matrices)
    assert found.dtype == np.float32
    keys, vectors = read_embeddings(
        write(tmp_path / "vectors", {"a": matrices[0, 0], "b": matrices[0, 1]})
    )
    assert (keys, vectors.tolist()) == (["a", "b"], matrices[0, :2].tolist())
    assert mean_rows(vectors) is vectors
    assert mean_rows(found) == pytest.approx(matrices.mean(axis=1))


def test_matrices_of_several_sizes_are_refused_by_name(tmp_path):
    matrices = embeddings()
    with pytest.raises(
        UserError,
        match="key 'b': found .*2 x 5.*, expected .*3 x 5.* like the first; extract them again",
    ):
        read_embeddings(write(tmp_path, {"a": matrices[0], "b": matrices[1, :2]}))
    with pytest.raises(UserError, match="key 'b'"):
        read_embeddings(write(tmp_path, {"a": matrices[0], "b": matrices[1, 0]}))
    (tmp_path / "xvector.scp").write_text("")
    with pytest.raises(UserError, match="no entries"):
        read_embeddings(tmp_path)


@pytest.mark.parametrize("height", [1, 2, 1 << 22])
def test_a_grid_of_trials_is_scored_as_its_pairs_are(monkeypatch, height):
    """Five models against six tests, a few cells missing, in mixed order; sides differ."""
    monkeypatch.setattr("utils.embeddings.rows.CELLS_AT_A_TIME", height * 6)
    monkeypatch.setattr("utils.embeddings.rows.COLUMNS_AT_A_TIME", 4)
    rows = embeddings(11, 1)[:, 0]
    cells = np.random.default_rng(1).permutation(
        [(left, right) for left in range(5) for right in range(5, 11)]
    )[:26]
    enrol, test = cells.T
    assert is_grid(enrol, test)
    assert score_grid(Lopsided(), rows, enrol, test) == pytest.approx(
        Lopsided().score(rows[enrol], rows[test]), abs=1e-5
    )
    assert not is_grid(np.arange(4), np.arange(4)), "four pairs of sixteen are no grid"
