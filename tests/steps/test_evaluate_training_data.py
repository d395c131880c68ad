"""Networks from elsewhere in the leakage guard: speakers that they know, or may know."""

import json
import re

import pytest

from steps.evaluate import evaluate
from steps.report import report
from steps.train_backend import train_backend
from tests.steps.test_report import make_system, score_system, write_data
from tests.steps.test_score import say_where_from
from utils.errors import UserError
from utils.evaluation.results import read_leaks, text_table
from utils.pretrained import hashed_speaker


def record(work, speakers, *corpora):
    """Embeddings and back end whose network was trained on some speakers; scores of these."""
    experiment = work / "exp" / "model"
    hashed = None
    if speakers is not None:
        hashed = [hashed_speaker(name) for name in speakers]
    facts = {"speakers": hashed, "may_have_heard": list(corpora)}
    for name in ("train", "test"):
        say_where_from(experiment / "embeddings" / name, training_data=facts)
    train_backend(experiment / "embeddings" / "train", experiment / "backend" / "cosine")
    score_system(experiment)
    return experiment


@pytest.fixture
def work(tmp_path):
    """A test set of 12 speakers, and a system that scored it."""
    write_data(tmp_path / "data" / "test")
    make_system(tmp_path / "exp" / "model", 1.0, 0)
    return tmp_path


def marks(work, **options):
    """The watermarks that all rows of results.json have in common."""
    experiment = work / "exp" / "model"
    evaluate(experiment, work / "data", replicates=0, **options)
    rows = json.loads((experiment / "results.json").read_text())
    (found,) = {tuple(row["watermarks"]) for row in rows}
    return list(found)


def test_speakers_that_a_model_was_trained_on_are_refused_unless_allowed(work):
    record(work, ["spk03", "spk07", "elsewhere"])
    with pytest.raises(
        UserError,
        match=r"^2 of 12 speakers of test set test are in the network's training \(spk03, spk07\)"
        ".*--allow-leakage",
    ):
        marks(work)
    assert not (work / "exp" / "model" / "results.json").exists()
    (mark,) = marks(work, allow_leakage=True)
    assert mark.startswith("leakage: 2 of 12 speakers of test set test")


def test_a_model_with_other_known_speakers_leaves_no_mark(work):
    record(work, ["elsewhere"])
    assert marks(work) == []


def test_scores_from_embeddings_elsewhere_are_traced_by_their_receipts(work):
    experiment = record(work, ["spk03"])
    other = work / "exp" / "other"
    (other / "scores").mkdir(parents=True)
    (experiment / "scores" / "test").rename(other / "scores" / "test")
    with pytest.raises(UserError, match=r"in the network's training \(spk03\)"):
        evaluate(other, work / "data", replicates=0)


def test_a_dev_set_may_not_be_in_a_models_training_either(work):
    record(work, ["spk03"])
    with pytest.raises(UserError, match="1 of 12 speakers of dev are in the network's training"):
        marks(work, dev=[work / "data" / "test"])


@pytest.mark.parametrize("corpora", [["public"], []])
def test_unknown_speakers_may_have_been_heard_in_any_published_corpus(work, corpora, capsys):
    """Also where a model says nothing at all of its training."""
    experiment = record(work, None, *corpora)
    (mark,) = marks(work)
    assert "may have been heard by the network of model" in mark
    assert "any published corpus" in mark
    assert read_leaks([experiment], 1) == {("model", "test"): [mark]}  # for steps.compare
    report(experiment, work / "data")
    assert "may have been heard" in (experiment / "report.html").read_text()
    assert "may have been" in capsys.readouterr().out
    rows = json.loads((experiment / "results.json").read_text())
    assert "may have been" in text_table(rows)
    assert marks(work, public_corpus=False) == []


@pytest.mark.parametrize("corpus", ["public", "voxceleb"])
def test_voxceleb_is_known_by_its_ids_whatever_the_corpus_is_called(work, corpus):
    for name in ("utt2spk", "spk2gender"):
        path = work / "data" / "test" / name
        path.write_text(re.sub(r"spk(\d\d)(?!-)", r"id100\1", path.read_text()))
    record(work, None, corpus)
    (mark,) = marks(work, public_corpus=False)
    assert "may have been heard" in mark
    assert "12 of 12 have ids of VoxCeleb" in mark


def test_a_network_that_may_know_voxceleb_leaves_no_mark_on_other_speakers(work):
    record(work, None, "voxceleb")
    assert marks(work) == []


def test_a_damaged_record_of_the_training_is_named(work):
    record(work, [])
    path = work / "exp" / "model" / "embeddings" / "test" / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"training_data": {}}))
    with pytest.raises(UserError, match=r"test/provenance.json: training_data lacks the lists"):
        marks(work)
