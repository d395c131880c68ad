"""Scores of a model with a norm: those of a fit are those of verify, and thresholds know them."""

import numpy as np
import pytest

from steps.backends import FAMILIES
from tests.models_for_tests import as_json, make_model
from utils.archive.objects import encode_object
from utils.errors import UserError
from utils.scoring.thresholds import Threshold
from utils.scoring.thresholds.files import write_threshold
from utils.scoring.verification import ModelScoring, OperatingPoint

NORM = {"method": "as_norm1", "top_k": 5, "members": 20, "sha256": "digest"}


@pytest.fixture
def vectors():
    """Ten vectors of 16 dimensions, and 20 of a cohort."""
    return np.split(np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32), [10])


@pytest.fixture
def scoring(tmp_path, vectors):
    """Scores of a model with a cohort, by cosine."""
    archive = b""
    for number, vector in enumerate(vectors[1]):
        archive += f"{number:02} ".encode() + encode_object(vector)
    files = {"cohort/norm.json": as_json(NORM), "cohort/xvector.ark": archive}
    model = make_model(tmp_path / "m", more=files)
    return ModelScoring(model, model.digest, FAMILIES, model.folder)


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


@pytest.mark.parametrize("enrol_files", [1, 2])
def test_scores_of_a_fit_are_those_of_verify(scoring, vectors, enrol_files):
    files, _ = vectors
    enrol = np.array([[0, 1], [2, 3], [4, 5], [0, 1]])[:, :enrol_files]
    test = np.array([6, 7, 8, 9])
    expected = [
        scoring.score(files[row], files[column]) for row, column in zip(enrol, test, strict=True)
    ]
    assert scoring.trial_scores(files, enrol, test) == pytest.approx(expected, rel=1e-5)
    assert expected[1] != pytest.approx(cosine(files[2], files[7]), abs=0.2), "it is normalised"


def test_a_threshold_of_normalised_scores_decides_on_them(scoring, vectors, tmp_path):
    files, _ = vectors
    path = tmp_path / "threshold.json"
    write_threshold(path, Threshold(scoring.digest, 0.7, norm=NORM))
    rule = scoring.rule(path, OperatingPoint())
    assert scoring.score(files[:1], files[1], rule) == scoring.score(files[:1], files[1])
    write_threshold(path, Threshold(scoring.digest, 0.7))
    rule = scoring.rule(path, OperatingPoint())
    plain = cosine(files[0], files[1])
    assert scoring.score(files[:1], files[1], rule) == pytest.approx(plain, rel=1e-5)


def test_a_threshold_of_another_norm_is_refused(scoring, tmp_path):
    path = tmp_path / "threshold.json"
    write_threshold(path, Threshold(scoring.digest, 0.7, norm=NORM | {"top_k": 6}))
    with pytest.raises(UserError, match="another back end or score normalisation"):
        scoring.rule(path, OperatingPoint())
    plain = make_model(tmp_path / "plain")
    write_threshold(path, Threshold(plain.digest, 0.7, norm=NORM))
    with pytest.raises(UserError, match="another back end or score normalisation"):
        ModelScoring(plain, plain.digest, FAMILIES, plain.folder).rule(path, OperatingPoint())
