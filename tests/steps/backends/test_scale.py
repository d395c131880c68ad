"""The link that measures dimensions in deviations of the training vectors."""

import numpy as np
import pytest

from steps.backends import FAMILIES
from steps.backends.cosine import Cosine
from steps.backends.linear_links import Scale
from utils.scoring.backend_files import build_backend


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def vectors():
    """Training and test vectors with a different scale and mean per dimension."""
    rng = np.random.default_rng(0)
    scale, mean = np.array([100.0, 1.0, 0.01]), np.array([50.0, -3.0, 0.1])
    return mean + scale * rng.normal(size=(60, 3)), mean + scale * rng.normal(size=(9, 3))


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_the_scaled_cosine_is_that_of_z_normalised_rows(vectors, subtract_mean):
    train, test = vectors
    backend = Cosine(subtract_mean, [Scale()]).fit(train)
    mean = train.mean(axis=0) if subtract_mean else 0
    expected = unit((test - mean) / train.std(axis=0))
    np.testing.assert_allclose(backend.transform(test), expected, atol=1e-12)
    again = Cosine(subtract_mean, [Scale()]).from_parts(backend.parts())
    np.testing.assert_allclose(again.transform(test), expected, atol=1e-12)


def test_a_dimension_that_is_the_same_in_all_training_vectors_becomes_0(vectors):
    train, test = (np.column_stack([rows, np.full(len(rows), 0.1)]) for rows in vectors)
    test[:, 3] += 5
    rows = Cosine(True, [Scale()]).fit(train.astype(np.float32)).transform(test)
    np.testing.assert_array_equal(rows[:, 3], 0)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("options", "takes"),
    [
        ({"name": "cosine"}, {"mean"}),
        ({"name": "cosine", "subtract_mean": False}, set()),
        ({"name": "cosine", "links": [{"name": "scale"}]}, {"mean", "deviation"}),
        ({"name": "cosine", "subtract_mean": False, "links": [{"name": "wccn"}]}, set()),
        (
            {"name": "cosine", "subtract_mean": False, "links": [{"name": "lda", "dim": 2}]},
            {"mean"},
        ),
        ({"name": "euclidean"}, set()),
        ({"name": "plda"}, {"mean"}),
        ({"name": "bvector"}, {"mean", "deviation"}),
    ],
)
def test_every_back_end_says_what_it_takes_from_the_training_vectors(options, takes):
    assert build_backend(FAMILIES, options, "x")[0].takes == takes
