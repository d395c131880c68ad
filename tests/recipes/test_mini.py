"""The mini recipe whole, as ./run.sh runs it: its error rates have to be sensible."""

import json
import time

import numpy as np
import pytest

from tests.recipes.runs import run
from utils.archive import read_vectors
from utils.data_dir import read_map

pytestmark = pytest.mark.slow
BUDGET_SECONDS = 360  # on two idle cores; printed, since a test cannot know how idle they were


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir, started = tmp_path_factory.mktemp("mini"), time.monotonic()
    text = run("mini", "--workdir", workdir)
    print(
        f"\nmini, whole: {time.monotonic() - started:.0f} s of {BUDGET_SECONDS}\n"
        f"{text.partition('== stage 7')[2]}"
    )
    return workdir


@pytest.fixture
def experiment(workdir):
    return next(path.parent for path in workdir.glob("exp/*/report.html"))


def test_the_corpus_has_speakers_enough_and_no_speaker_in_two_sets(workdir):
    sets = {
        name: set(read_map(workdir / "data" / "full" / name / "utt2spk").values())
        for name in ("train", "dev", "test")
    }
    counts = {name: len(speakers) for name, speakers in sets.items()}
    print(counts)
    assert sum(counts.values()) == len(set.union(*sets.values())) >= 100
    assert counts["dev"] >= 10
    assert counts["test"] >= 30


def test_error_rates_mean_something(experiment):
    rows = [
        row
        for row in json.loads((experiment / "results.json").read_text())
        if row["test_set"] == "test"
    ]
    eer = {row["system"]: row["eer_percent"] for row in rows if row["subset"] == "all"}
    hardest = {
        row["system"]: row["eer_percent"]
        for row in rows
        if row["subset"] == "across conditions, same sex"
    }
    print(f"EER on test in percent: {eer}; across conditions, same sex: {hardest}")
    name = experiment.name
    centred = {row["system"]: row["centred"] for row in rows}
    assert centred.pop(name).startswith("mean of train (")
    assert all(" of train_drawn (" in how for how in centred.values())
    assert (
        eer.keys() == hardest.keys() == {name, f"{name}-untrained", "mfcc_stats", "channel_stats"}
    )
    assert 10 <= eer["mfcc_stats"] <= 30
    assert eer[f"{name}-untrained"] >= eer["mfcc_stats"]
    assert 45 <= eer["channel_stats"] <= 55
    assert 0 < eer[name] <= eer["mfcc_stats"] / 2


def test_the_report_shows_every_system(experiment):
    page = (experiment / "report.html").read_text()
    for row in json.loads((experiment / "results.json").read_text()):
        assert row["system"] in page
    assert "across conditions, same sex" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_embeddings_are_read_by_us_and_by_an_independent_reader(workdir, experiment):
    kaldi = pytest.importorskip("kaldi_native_io")
    for name in ("train", "dev", "test"):
        keys, vectors = read_vectors(experiment / "embeddings" / name / "xvector.scp")
        assert keys == sorted(read_map(workdir / "data" / "full" / name / "utt2spk"))
        assert np.isfinite(vectors).all()
        with kaldi.SequentialFloatVectorReader(
            f"scp:{experiment}/embeddings/{name}/xvector.scp"
        ) as reader:
            theirs = {key: np.array(vector) for key, vector in reader}
        assert list(theirs) == keys
        np.testing.assert_array_equal(np.stack(list(theirs.values())), vectors)
