"""What embeddings were centred by, read off the receipts behind a score file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from steps.apply_calibration import apply_calibration
from steps.backends import FAMILIES
from steps.calibrate import calibrate
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.test_report import SPEAKERS, UTT2SPK, write_data
from tests.steps.test_score import write_embeddings
from utils.scoring.centring import read_centring, takes_mean
from utils.scoring.score_files import score_receipt

CONF = "conf/backends"


@pytest.fixture
def work(tmp_path):
    """Embeddings of a training set, of unlabelled dev vectors, and of a test set with trials."""
    rng = np.random.default_rng(0)
    points = dict(zip(SPEAKERS, rng.standard_normal((12, 8)), strict=True))
    for name in ("train", "dev", "test"):
        vectors = {key: points[spk] + rng.standard_normal(8) for key, spk in UTT2SPK.items()}
        write_embeddings(tmp_path / "embeddings" / name, dict(sorted(vectors.items())))
    write_data(tmp_path / "data" / "test")
    return tmp_path


def scored(work, name="cosine", **options):
    """Score file of a back end that is trained with these options."""
    embeddings = work / "embeddings"
    train_backend(embeddings / "train", work / "backend" / name, **options)
    scores = work / "scores" / "test" / f"{name}.scores"
    trials = work / "data" / "test" / "trials"
    score(work / "backend" / name, embeddings / "test", trials, scores)
    return scores


def yaml_of(work, text):
    path = work / "back_end.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "mean of train (48 utterances)"),
        ({"subtract_mean": False}, "not centred"),
        ({"backend": "euclidean"}, "mean of train (48 utterances)"),
        ({"config": f"{CONF}/plain_cosine.yaml"}, "not centred"),
        ({"config": f"{CONF}/scaled_cosine.yaml"}, "mean and deviation of train (48 utterances)"),
        (
            {
                "config": f"{CONF}/scaled_cosine.yaml",
                "centred_as": f"{CONF}/plain_cosine.yaml",
            },
            "not centred, deviation of train (48 utterances)",
        ),
        (
            {"config": f"{CONF}/plain_cosine.yaml", "centred_as": f"{CONF}/plda.yaml"},
            "mean of train (48 utterances)",
        ),
    ],
)
def test_a_score_file_leads_to_what_centred_it(work, options, said):
    paths = {"config", "centred_as"} & options.keys()
    options = options | {name: Path(options[name]) for name in paths}
    assert read_centring(scored(work, **options), FAMILIES) == said


def test_the_domain_of_the_trials_is_named_where_its_mean_is_taken(work):
    config = yaml_of(
        work, "name: cosine\nsubtract_mean: false\nlinks: [{name: mean, of: adaptation}]\n"
    )
    found = scored(work, config=config, adaptation=work / "embeddings" / "dev")
    assert read_centring(found, FAMILIES) == "mean of dev, to which it is adapted"


def test_calibrated_and_fused_scores_lead_to_every_back_end(work):
    systems = [scored(work), scored(work, "plain", subtract_mean=False)]
    data = work / "data" / "test"
    calibrate(systems, data, work / "calibration")
    fused = work / "scores" / "test" / "fused.scores"
    apply_calibration(work / "calibration", systems, data, fused, allow_leakage=True)
    assert read_centring(fused, FAMILIES) == "mean of train (48 utterances); not centred"


def test_what_scoring_recorded_stays_known_and_of_older_scores_the_back_end_is_asked(work):
    scores = scored(work)
    receipt = json.loads(score_receipt(scores).read_text())
    assert receipt["counts"].pop("centred") == "mean of train (48 utterances)"
    score_receipt(scores).write_text(json.dumps(receipt))
    assert read_centring(scores, FAMILIES) == "mean of train (48 utterances)"
    again = scored(work, "again")
    shutil.rmtree(work / "backend")
    assert read_centring(again, FAMILIES) == "mean of train (48 utterances)"
    assert read_centring(scores, FAMILIES) is None, "nothing is guessed"
    score_receipt(scores).unlink()
    assert read_centring(scores, FAMILIES) is None


def test_a_trained_back_end_says_what_its_yaml_says(work):
    scored(work, "plain", subtract_mean=False)
    assert not takes_mean(work / "backend" / "plain", FAMILIES)
    assert takes_mean(Path(CONF) / "cosine.yaml", FAMILIES)
