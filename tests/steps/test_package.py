"""A trained experiment as one folder: what is in it, what it gives, what is refused."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from steps.calibrate import calibrate
from steps.collect_embeddings import collect_embeddings
from steps.evaluate import evaluate
from steps.export_kaldi import export_kaldi
from steps.extract import extract, load_network
from steps.normalise_scores import normalise_scores
from steps.package import package
from steps.score import score
from steps.train import train
from steps.train_backend import train_backend
from utils.archive import iterate_archive, read_vectors
from utils.errors import UserError
from utils.pretrained import (
    hashed_speaker,
    open_model,
    read_model_calibration,
    read_weights,
)
from utils.pretrained.calibration import backend_digest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def experiment(corpus, tmp_path_factory):
    """A finished experiment: embeddings, two back ends, two calibrations, error rates."""
    folder = tmp_path_factory.mktemp("packaged") / "tiny"
    train(corpus / "train", corpus / "dev", corpus / "config.yaml", folder, num_threads=1, steps=4)
    for name in ("train", "dev"):
        embed(folder, corpus / name, folder / "embeddings" / name)
    trained = folder / "embeddings" / "train"
    train_backend(trained, folder / "backend" / "cosine")
    train_backend(trained, folder / "backend" / "plain", subtract_mean=False)
    scores, tested = folder / "scores" / "dev", folder / "embeddings" / "dev"
    raw, normalised = scores / "cosine.scores", scores / "cosine_s_norm.scores"
    backend = folder / "backend" / "cosine"
    score(backend, tested, corpus / "dev" / "trials", raw)
    normalise_scores(raw, backend, tested, corpus / "dev", trained, normalised, method="s_norm")
    for name in ("cosine", "cosine_s_norm"):
        calibrated = folder / "calibration" / f"{name}_calibrated"
        calibrate([scores / f"{name}.scores"], corpus / "dev", calibrated)
    shutil.copytree(corpus / "dev", folder.parent / "data" / "dev")
    evaluate(folder, folder.parent / "data", replicates=0)
    return folder


def embed(source, data, output, **options):
    extract(source, data, output, **options)
    collect_embeddings(data, output)


def test_a_packaged_network_gives_the_same_embeddings(corpus, experiment, tmp_path):
    counts = package(experiment, tmp_path / "m", backend="none", calibration="none")
    assert counts["backend"] is None
    embed(tmp_path / "m", corpus / "dev", tmp_path / "dev")
    names, vectors = read_vectors(tmp_path / "dev" / "xvector.scp")
    before_names, before = read_vectors(experiment / "embeddings" / "dev" / "xvector.scp")
    assert names == before_names
    assert np.array_equal(vectors, before)
    facts = [load_network(folder)[1] for folder in (experiment, tmp_path / "m")]
    assert facts[0] == facts[1]


def test_back_end_calibration_and_card_are_packaged(corpus, experiment, tmp_path):
    package(
        experiment,
        tmp_path / "m",
        backend="cosine",
        calibration="cosine_calibrated",
        domain="buzzes",
        licence="CC0",
    )
    model = open_model(tmp_path / "m")
    assert backend_digest(model.folder / "backend") == backend_digest(experiment / "backend/cosine")
    calibration = read_model_calibration(model)
    learned = json.loads(
        (experiment / "calibration/cosine_calibrated/calibration.json").read_text()
    )
    assert [calibration.slope, calibration.offset] == [
        *learned["weights"].values(),
        learned["offset"],
    ]
    assert calibration.domain == "calibrated on buzzes: 3 speakers, 15 trials"
    data = model.provenance["training_data"]
    assert data["speakers"] == sorted(hashed_speaker(name) for name in "abcd")
    assert data["num_speakers"] == 4
    assert data["lists"].keys() >= {"utt2spk"}
    assert model.provenance["licence"] == {"weights": "CC0", "data": None}
    card = (model.folder / "README.md").read_text()
    for text in ("# tiny", "| dev | tiny |", "calibrated on buzzes", "CC0", "32 utterances"):
        assert text in card
    assert (model.folder / "LICENSE").read_text().startswith("Weights: CC0\n")
    assert not (model.folder / "NOTICE").exists()
    for path in model.folder.rglob("*"):
        if path.is_file():
            assert str(experiment.parent).encode() not in path.read_bytes()


def test_a_model_scores_as_the_back_end_that_it_was_made_of(corpus, experiment, tmp_path):
    package(experiment, tmp_path / "m", backend="cosine", calibration="cosine_calibrated")
    trials, tested = corpus / "dev" / "trials", experiment / "embeddings" / "dev"
    counts = score(tmp_path / "m", tested, trials, tmp_path / "cosine.scores")
    before = experiment / "scores" / "dev" / "cosine.scores"
    assert (tmp_path / "cosine.scores").read_bytes() == before.read_bytes()
    assert counts["centred"] == "mean of train (32 utterances)"
    package(experiment, tmp_path / "plain", backend="none")
    counts = score(tmp_path / "plain", tested, trials, tmp_path / "none.scores")
    score(experiment / "backend" / "plain", tested, trials, tmp_path / "plain.scores")
    assert (tmp_path / "none.scores").read_bytes() == (tmp_path / "plain.scores").read_bytes()
    assert counts["centred"] == "not centred"


def test_a_model_goes_to_kaldi_with_its_back_end(corpus, experiment, tmp_path):
    for backend, stages in (("none", "ark:ivector-normalize"), ("cosine", "mean.vec")):
        model, output = tmp_path / backend, tmp_path / f"kaldi_{backend}"
        package(experiment, model, backend=backend, calibration="none")
        with pytest.raises(UserError, match="no embeddings; give --embeddings"):
            export_kaldi(model, corpus, output)
        export_kaldi(model, corpus, output, embeddings=experiment / "embeddings", sets=["dev"])
        assert stages in (output / "score.sh").read_text()
        assert (output / "xvectors_train" / "mean.vec").exists() == (backend == "cosine")
    with pytest.raises(UserError, match="--backend plain: .* leave the option out"):
        export_kaldi(model, corpus, output, backend="plain")


def test_embeddings_of_another_network_are_refused(corpus, experiment, tmp_path):
    embed(experiment, corpus / "dev", tmp_path / "dev", checkpoint="step-0000000")
    for backend in ("none", "cosine"):
        package(experiment, tmp_path / backend, backend=backend, calibration="none")
        with pytest.raises(UserError, match="model is"):
            score(
                tmp_path / backend,
                tmp_path / "dev",
                corpus / "dev" / "trials",
                tmp_path / f"{backend}.scores",
            )
    with pytest.raises(UserError, match="backend/cosine: trained on embeddings of model"):
        package(experiment, tmp_path / "first", backend="cosine", checkpoint="step-0000000")


def test_the_cohort_of_normalised_scores_is_packaged_without_names(experiment, tmp_path):
    package(experiment, tmp_path / "m", backend="cosine", calibration="cosine_s_norm_calibrated")
    model = open_model(tmp_path / "m")
    norm = json.loads((model.folder / "cohort" / "norm.json").read_text())
    archive = (tmp_path / "m/cohort/xvector.ark").read_bytes()
    digest = hashlib.sha256(archive).hexdigest()
    assert norm == {"method": "s_norm", "top_k": None, "members": 4, "sha256": digest}
    cohort = dict(iterate_archive(model.folder / "cohort" / "xvector.ark"))
    names, means = read_vectors(experiment / "embeddings" / "train" / "spk_xvector.scp")
    for name, mean in zip(names, means, strict=True):
        assert np.array_equal(cohort[hashed_speaker(name)], mean)
    assert read_model_calibration(model) is not None


def test_head_and_protocol_are_packaged_where_asked_for(experiment, tmp_path):
    plain = package(experiment, tmp_path / "plain", backend="none")
    chosen = package(
        experiment, tmp_path / "m", backend="none", with_head=True, protocol="whole_reversed"
    )
    assert chosen["digest"] != plain["digest"]
    model = open_model(tmp_path / "m")
    assert model.protocol_options["protocol"] == "whole_reversed"
    head = read_weights(model.folder / "head.safetensors")["weight_NE"]
    listed = json.loads((model.folder / "head.json").read_text())
    assert head.shape == (4, 16)
    assert listed == {"speakers": list("abcd"), "hashed": [hashed_speaker(n) for n in "abcd"]}
    assert "head.json" not in open_model(tmp_path / "plain").files


def test_the_same_model_again_changes_nothing(experiment, tmp_path):
    first = package(experiment, tmp_path / "m", backend="plain")
    assert package(experiment, tmp_path / "m", backend="plain") == first
    with pytest.raises(UserError, match="exists, and is not this model"):
        package(experiment, tmp_path / "m", backend="none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "backend: has cosine, plain; choose one by --backend NAME"),
        ({"backend": "plda"}, "--backend plda: .* has cosine, plain; give one of these, or 'none'"),
        ({"backend": "cosine"}, "has cosine_calibrated, cosine_s_norm_calibrated; choose one by"),
        (
            {"backend": "plain", "calibration": "cosine_calibrated"},
            "cosine_calibrated: trained on scores of another back end",
        ),
        (
            {"backend": "cosine", "protocol": "whole_reversed", "calibration": "cosine_calibrated"},
            "trained on protocol whole, packaged is whole_reversed",
        ),
        ({"backend": "none", "threshold": Path("missing.json")}, "missing.json: no such file"),
    ],
)
def test_a_choice_that_is_missing_or_wrong_is_refused(experiment, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        package(experiment, tmp_path / "m", **options)
    assert not list(tmp_path.iterdir())


def test_a_threshold_of_another_model_is_refused(experiment, tmp_path):
    digest = package(experiment, tmp_path / "m", backend="none")["digest"]
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps({"model": digest, "backend": None}))
    package(experiment, tmp_path / "n", backend="none", threshold=path)
    assert "threshold.json" in open_model(tmp_path / "n").files
    with pytest.raises(UserError, match="fitted for backend none, packaged is"):
        package(experiment, tmp_path / "o", backend="plain", threshold=path)
    path.write_text(json.dumps({"model": digest, "backend": None, "norm": {"method": "s_norm"}}))
    with pytest.raises(UserError, match="fitted for norm s_norm, packaged is none"):
        package(experiment, tmp_path / "o", backend="none", threshold=path)


def test_an_unfinished_experiment_and_a_model_are_refused(experiment, tmp_path):
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"train.json: missing, expected .* finished"):
        package(tmp_path / "begun", tmp_path / "m")
    package(experiment, tmp_path / "m", backend="none")
    with pytest.raises(UserError, match="m: a model folder, which only"):
        package(tmp_path / "m", tmp_path / "n")
    broken = tmp_path / "broken"
    shutil.copytree(experiment, broken)
    (broken / "checkpoints" / "average.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"average.pt has 0 bytes"):
        package(broken, tmp_path / "n")
