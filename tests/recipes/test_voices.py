"""The voices recipe on its look-alike: conditions with their trials, short tests, the evaluation set by an adapted PLDA, lost files, refusals."""

import json
import re
import subprocess
import sys

import pytest

from steps.import_model import import_model
from tests.conftest import ROOT
from tests.lookalike.voices import DEV_HOME, make_voices
from tests.published_files import save_as
from tests.published_weights import read_published
from tests.recipes.runs import last_line, run

pytestmark = pytest.mark.slow
ADAPTED_PLDA = """
name: plda
links: [{name: mean, of: adaptation}, {name: lda, dim: 4}, {name: length_norm}]
adaptation: {name: kaldi, within_covar_scale: 0.75, between_covar_scale: 0.25}
"""


def results(workdir, experiment="tiny"):
    return json.loads((workdir / "exp" / experiment / "results.json").read_text())


def model_of(runs):
    return runs.whole("speechocean762") / "exp" / "tiny"


def test_every_condition_of_the_test_side_has_its_error_rate_and_its_trials(runs):
    """Six speakers, four tests each, half of them in either room, against six models."""
    rows = {row["subset"]: row for row in results(runs.whole("voices"))}
    assert (rows["all"]["targets"], rows["all"]["nontargets"]) == (24, 120)
    for condition, values in {"room": 2, "distractor": 4, "mic": 2, "place": 3, "angle": 4}.items():
        of_condition = [row for subset, row in rows.items() if subset.startswith(f"{condition}: ")]
        assert len(of_condition) == values
        assert sum(row["targets"] for row in of_condition) == 24, "every trial is in one of them"
        assert sum(row["nontargets"] for row in of_condition) == 120
        assert all(0 <= row["eer_percent"] <= 100 for row in of_condition)
    assert (rows["room: rm1"]["targets"], rows["room: rm1"]["nontargets"]) == (12, 60)


def test_short_tests_stand_beside_the_whole_ones_and_enrolment_stays_whole(runs, tmp_path):
    workdir = runs.copy("voices", tmp_path)
    text = runs.run("voices", workdir, "--test-seconds", "1")
    protocols = {row["protocol"] for row in results(workdir)}
    assert protocols == {"whole", "whole-centre_1s"}
    assert "whole-centre_1s" in text
    assert "nothing to do" in runs.run("voices", workdir, "--test-seconds", "1")


def test_the_evaluation_set_by_a_plda_that_was_adapted_to_the_development_set(runs, tmp_path):
    """Trained on what has speakers here, the evaluation set's own embeddings, adapted to the development set's: the mechanism, no result."""
    runs.run("voices", tmp_path, "--set", "eval")
    (tmp_path / "plda.yaml").write_text(ADAPTED_PLDA)
    backend, dev = tmp_path / "plda_voices", runs.whole("voices")
    train = ["steps.train_backend", tmp_path / "exp" / "tiny-eval" / "embeddings" / "voices_eval", backend, "--config", tmp_path / "plda.yaml",
             "--utt2spk", tmp_path / "data" / "eval" / "voices_eval" / "utt2spk", "--adaptation", dev / "exp" / "tiny" / "embeddings" / "voices_dev"]
    subprocess.run([sys.executable, "-m", *map(str, train)], cwd=ROOT, check=True, capture_output=True)
    runs.run("voices", tmp_path, "--set", "eval", "--backend-dir", backend)
    rows = [row for row in results(tmp_path, "tiny-eval") if row["subset"] == "all"]
    assert {row["backend"] for row in rows} == {"cosine", "plda_voices"}
    assert {row["test_set"] for row in rows} == {"voices_eval"}


def test_lost_files_are_an_error_and_with_leave_a_watermark(runs, tmp_path):
    root = make_voices(tmp_path / "corpus", num_speakers=3, tests_per_speaker=3, flaws=["missing_file"])
    options = ["--voices", root, "--model", model_of(runs), "--workdir", tmp_path / "out"]
    assert "1 of 12 listed files are missing" in last_line(run("voices", *options, code=1))
    run("voices", *options, "--allow-incomplete", "true")
    assert all(row["watermarks"] == ["3 trials are lost: their audio was dropped"] for row in results(tmp_path / "out"))


@pytest.mark.parametrize(("options", "message"), [
    (["--set", "test"], "--set is one of dev, eval, not 'test'"),
    (["--test-seconds", "4"], "--test-seconds is one of 1, 2, 3, 5, not '4'"),
    (["--model", "."], "no config.yaml in it"),
    (["--backend-dir", "."], "no backend.json in it"),
    (["--steps", "3"], "nothing is trained here"),
    (["--split"], "nothing is trained here"),
])
def test_a_wrong_command_line_is_refused_before_anything_runs(runs, tmp_path, options, message):
    given = ["--voices", runs.base / "corpora" / "voices", "--model", model_of(runs), "--workdir", tmp_path / "out"]
    text = run("voices", *given, *options, code=2)
    assert message in text
    assert not (tmp_path / "out").exists()


def test_a_wrong_root_is_one_line(runs, tmp_path):
    wrong = runs.base / "corpora" / "voices" / DEV_HOME / "sp0032"
    text = run("voices", "--voices", wrong, "--model", model_of(runs), "--workdir", tmp_path, code=1)
    assert re.search(r"no folder sid_dev below it, expected .*; it lies in .*sid_dev: give that folder", last_line(text))


def test_an_imported_network_of_another_rate(runs, tmp_path):
    """GE2E's weights as TensorFlow saved them; its rate is 8 kHz, and audio packed at 16 kHz is refused by name."""
    import_model(save_as(tmp_path / "model.ckpt-1", read_published("ge2e_tf").state(), "tensor bundle"), tmp_path / "ge2e", kind="ge2e_tf")
    options = ["--voices", runs.base / "corpora" / "voices", "--model", tmp_path / "ge2e", "--workdir", tmp_path / "out"]
    assert "8000" in run("voices", *options, code=1)
    run("voices", *options, "--sample-rate-hz", 8000)
    rows = results(tmp_path / "out", "ge2e-8000")
    assert (rows[0]["targets"], rows[0]["nontargets"]) == (24, 120)
