"""A loaded model: vectors, scores by cosine, back end and norm, ratios, decisions, threads."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from steps.api import load_model
from steps.collect_embeddings import collect_embeddings
from steps.embed import embed
from steps.extract import extract
from steps.train_backend import train_backend
from tests.models_for_tests import (
    CALIBRATION,
    EMBEDDING_DIM,
    RATE,
    as_json,
    make_calibrated_model,
    make_model,
    write_voice,
)
from tests.voices import make_packed
from utils.archive import read_vectors
from utils.archive.objects import encode_object
from utils.errors import UserError
from utils.pretrained import add_to_model, calibration_as_bytes
from utils.scoring.thresholds import Calibration, Threshold
from utils.scoring.thresholds.files import write_threshold
from utils.scoring.verification import OperatingPoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A calibrated model ``m``, and recordings: two of one pitch, one each of two others."""
    folder = tmp_path_factory.mktemp("model")
    make_calibrated_model(folder / "m")
    for name, hz in {"a": 100, "b": 100, "c": 120, "d": 250}.items():
        write_voice(folder / f"{name}.wav", hz, seed=ord(name))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder / "m")


@pytest.fixture
def vectors(folder, model):
    return {name: model.embed(folder / f"{name}.wav") for name in "abcd"}


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def test_a_file_its_text_and_its_samples_have_one_vector(folder, model):
    path = folder / "a.wav"
    vector = model.embed(path)
    assert (vector.shape, vector.dtype) == ((EMBEDDING_DIM,), np.float32)
    samples, _ = soundfile.read(path)
    assert np.array_equal(model.embed(str(path)), vector)
    assert model.embed(samples, RATE) == pytest.approx(vector, abs=1e-6)
    with pytest.raises(UserError, match="sample_rate_hz: missing for an array"):
        model.embed(samples)


@pytest.mark.filterwarnings("ignore::UserWarning")  # little speech
def test_the_vector_of_an_utterance_is_that_of_extraction(model, tmp_path):
    data = make_packed(tmp_path / "data", {"a": 110, "b": 200}, 2)
    extract(model.folder, data, tmp_path / "embeddings")
    collect_embeddings(data, tmp_path / "embeddings", jobs=1)
    keys, extracted = read_vectors(tmp_path / "embeddings" / "xvector.scp")
    for key, vector in zip(keys, extracted, strict=True):
        embedded = model.embed(f"{data}:{key}")
        assert cosine(embedded, vector) == pytest.approx(1, abs=1e-5)


def test_remarks_are_warnings(folder, model, tmp_path):
    path = write_voice(tmp_path / "low.wav", rate=8000)
    with pytest.warns(UserWarning, match=r"low\.wav: resampled from 8000 Hz"):
        model.embed(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.embed(folder / "a.wav")


def test_cosine_ratio_and_decision(folder, model, vectors):
    for name, decision in {"b": "accept", "c": "reject", "d": "reject"}.items():
        result = model.verify(folder / "a.wav", folder / f"{name}.wav")
        score = cosine(vectors["a"], vectors[name])
        assert result.score == pytest.approx(score, abs=1e-6)
        assert result.ratio == pytest.approx(CALIBRATION.ratios(np.array([score]))[0], abs=1e-3)
        assert result.decision == decision
    assert CALIBRATION.domain in result.rule.basis


def test_several_files_of_a_person_are_averaged_by_direction(folder, model, vectors):
    result = model.verify(folder / "a.wav", folder / "b.wav", [folder / "d.wav"])
    unit = {name: vector / np.linalg.norm(vector) for name, vector in vectors.items()}
    assert result.score == pytest.approx(cosine(unit["a"] + unit["d"], vectors["b"]), abs=1e-6)


def test_prior_and_costs_move_the_threshold_and_not_the_ratio(folder, model):
    plain = model.verify(folder / "a.wav", folder / "b.wav")
    strict = model.verify(
        folder / "a.wav", folder / "b.wav", operating_point=OperatingPoint(p_target=0.01)
    )
    assert (plain.decision, strict.decision) == ("accept", "reject")
    assert plain.ratio == strict.ratio
    moved = np.log(99) / CALIBRATION.slope
    assert strict.rule.threshold == pytest.approx(plain.rule.threshold + moved)


def test_one_recording_on_both_sides_is_refused(folder, model, tmp_path):
    copy = tmp_path / "copy.flac"
    soundfile.write(copy, *soundfile.read(folder / "a.wav"))
    for test, more in ((folder / "a.wav", []), (copy, []), (folder / "b.wav", [copy])):
        with pytest.raises(UserError, match="the same recording as"):
            model.verify(folder / "a.wav", test, more)


def test_a_model_without_calibration_gives_a_score_alone(folder, tmp_path):
    plain = load_model(make_model(tmp_path / "m").folder)
    result = plain.verify(folder / "a.wav", folder / "b.wav")
    assert (result.ratio, result.decision, result.rule) == (None, None, None)


def test_scores_are_those_of_the_models_back_end(folder, vectors, tmp_path):
    make_model(tmp_path / "m")
    embed(tmp_path / "m", [folder / f"{name}.wav" for name in "abcd"], tmp_path / "embeddings")
    train_backend(tmp_path / "embeddings", tmp_path / "cosine")
    files = [path for path in (tmp_path / "cosine").rglob("*") if path.is_file()]
    add_to_model(
        tmp_path / "m",
        {f"backend/{path.relative_to(tmp_path / 'cosine')}": path for path in files},
    )
    result = load_model(tmp_path / "m").verify(folder / "a.wav", folder / "b.wav")
    mean = np.mean(list(vectors.values()), axis=0)
    assert result.score == pytest.approx(cosine(vectors["a"] - mean, vectors["b"] - mean), abs=1e-5)


def test_scores_are_normalised_by_the_models_cohort(folder, vectors, tmp_path):
    make_model(tmp_path / "m")
    archive = b"".join(name.encode() + b" " + encode_object(vectors[name]) for name in ("c", "d"))
    norm = {"method": "s_norm", "top_k": None, "members": 2}
    model = {"cohort/xvector.ark": archive, "cohort/norm.json": as_json(norm)}
    add_to_model(tmp_path / "m", model)
    result = load_model(tmp_path / "m").verify(folder / "a.wav", folder / "b.wav")
    sides = []
    for side in "ab":
        cohort = [cosine(vectors[side], vectors[other]) for other in "cd"]
        score = cosine(vectors["a"], vectors["b"])
        sides.append((score - np.mean(cohort)) / np.std(cohort))
    assert result.score == pytest.approx(np.mean(sides), rel=1e-3)


def test_a_fitted_threshold_centres_decides_and_belongs_to_its_model(
    folder, model, vectors, tmp_path
):
    path = tmp_path / "threshold.json"
    mean = vectors["d"] / np.linalg.norm(vectors["d"])
    fitted = Threshold(model.digest, 0.7, Calibration(-7.0, 10.0), mean=mean, marks=["a mark"])
    write_threshold(path, fitted)
    result = model.verify(folder / "a.wav", folder / "b.wav", threshold=path)
    centred = {name: vectors[name] / np.linalg.norm(vectors[name]) - mean for name in ("a", "b")}
    assert result.score == pytest.approx(cosine(centred["a"], centred["b"]), abs=1e-5)
    assert result.ratio == pytest.approx(10 * result.score - 7)
    assert result.accepted == (result.score >= 0.7)
    assert "a mark" in result.remarks
    add_to_model(folder / "m", {"threshold.json": path})
    own = load_model(folder / "m").verify(folder / "a.wav", folder / "b.wav")
    assert own.score == result.score, "a threshold in the model is used without being named"
    write_threshold(path, Threshold("other", 0.7))
    with pytest.raises(UserError, match="fitted for model other"):
        model.rule(path)


def test_a_threshold_without_a_ratio_has_one_operating_point(model, tmp_path):
    path = tmp_path / "threshold.json"
    write_threshold(path, Threshold(model.digest, 0.7))
    assert model.rule(path).threshold == 0.7
    with pytest.raises(UserError, match=r"for prior 0\.5 and costs 1 and 1 only"):
        model.rule(path, OperatingPoint(p_target=0.1))
    write_threshold(path, Threshold(model.digest, 0.7, backend="digest"))
    with pytest.raises(UserError, match="another back end"):
        model.rule(path)


def test_a_calibration_of_another_model_is_refused(tmp_path):
    make_model(tmp_path / "m")
    other = calibration_as_bytes(CALIBRATION, "other", None)
    add_to_model(tmp_path / "m", {"calibration.json": other})
    with pytest.raises(UserError, match="trained on scores of another network"):
        load_model(tmp_path / "m").rule()


def test_threads_share_a_model(folder, model, vectors):
    with ThreadPoolExecutor(4) as pool:
        names = list("abcd" * 3)
        found = pool.map(lambda name: model.embed(folder / f"{name}.wav"), names)
        for name, vector in zip(names, found, strict=True):
            assert np.array_equal(vector, vectors[name])


def test_no_gradients_are_kept(model):
    network = model.embedder.network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_models_that_are_none_are_refused(tmp_path):
    make_model(tmp_path / "m")
    weights = tmp_path / "m" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"weights\.safetensors: .* bytes, expected"):
        load_model(tmp_path / "m")
    with pytest.raises(UserError, match="no such folder"):
        load_model(tmp_path / "none")
