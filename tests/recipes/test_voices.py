"""The voices recipe: conditions of trials, short tests, an adapted PLDA, lost files, refusals."""

import json
import re

import pytest

from steps.import_model import import_model
from tests.lookalike.voices import DEV_HOME, make_voices
from tests.published_files import save_as
from tests.published_weights import read_published
from tests.recipes.runs import last_line, run

pytestmark = pytest.mark.slow
ADAPTED_PLDA = """
name: plda
links: [{name: mean, of: adaptation}, {name: whiten, dim: 6}, {name: length_norm}]
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


def everything(runs, tmp_path):
    """Options of --set both: an adapted PLDA, a trained back end, and what follows from them."""
    (tmp_path / "adapted.yaml").write_text(ADAPTED_PLDA)
    trained = runs.whole("speechocean762")
    (train_data,) = trained.glob("data/*/packed_16000/train")
    return [
        "--set",
        "both",
        "--train-data",
        train_data,
        "--backend",
        f"{tmp_path / 'adapted.yaml'},{model_of(runs) / 'backend' / 'cosine'}",
        "--score-norm",
        "as_norm1",
        "--calibrate",
        "true",
        "--fuse",
        "true",
    ]


def test_both_sets_dev_adapts_calibrates_and_fuses_and_eval_is_the_test(runs, tmp_path):
    options = everything(runs, tmp_path)
    print(runs.run("voices", tmp_path / "work", *options))
    rows = {
        (row["test_set"], row["backend"]): row
        for row in results(tmp_path / "work", "tiny-both")
        if row["subset"] == "all"
    }
    scorers = {f"{name}{ending}" for name in ("adapted", "cosine") for ending in ("", "_as_norm1")}
    assert {name for part, name in rows if part == "voices_dev"} == scorers
    assert {name for part, name in rows if part == "voices_eval"} == scorers | {
        "adapted_as_norm1_calibrated",
        "cosine_as_norm1_calibrated",
        "fused",
    }
    calibrated = rows["voices_eval", "adapted_as_norm1_calibrated"]
    assert calibrated["eer_percent"] == rows["voices_eval", "adapted_as_norm1"]["eer_percent"], (
        "a calibration keeps the order"
    )
    assert (calibrated["targets"], calibrated["nontargets"]) == (24, 120)
    receipt = (
        tmp_path
        / "work"
        / "exp"
        / "tiny-both"
        / "backend"
        / "adapted"
        / "receipts"
        / "train_backend.json"
    )
    assert "adaptation" in json.loads(receipt.read_text())["inputs"]
    assert not (tmp_path / "work" / "exp" / "tiny-both" / "backend" / "cosine").exists(), (
        "it was trained elsewhere"
    )
    assert "nothing to do" in runs.run("voices", tmp_path / "work", *options)


def test_lost_files_are_an_error_and_with_leave_a_watermark(runs, tmp_path):
    root = make_voices(
        tmp_path / "corpus", num_speakers=3, tests_per_speaker=3, flaws=["missing_file"]
    )
    options = ["--voices", root, "--model", model_of(runs), "--workdir", tmp_path / "out"]
    assert "1 of 12 listed files are missing" in last_line(run("voices", *options, code=1))
    run("voices", *options, "--allow-incomplete", "true")
    assert all(
        row["watermarks"] == ["3 trials are lost: their audio was dropped"]
        for row in results(tmp_path / "out")
    )


def test_hidden_keys_are_scored_and_have_no_error_rates(runs, tmp_path):
    root = make_voices(
        tmp_path / "corpus", num_speakers=3, tests_per_speaker=2, flaws=["keys_without_class"]
    )
    out = tmp_path / "out"
    options = ["--voices", root, "--model", model_of(runs), "--workdir", out]
    run("voices", *options)
    scores = next((out / "exp").glob("*/scores/voices_dev/*.scores"))
    assert len(scores.read_text().splitlines()) == 3 * 3 * 2
    assert results(out) == []
    page = next((out / "exp").glob("*/report.html")).read_text()
    assert "18 trials without a class" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "test"], "--set is one of dev, eval, both, not 'test'"),
        (["--test-seconds", "4"], "--test-seconds is one of 1, 2, 3, 5, not '4'"),
        (["--model", "."], "no config.yaml in it"),
        (["--backend", "."], "a folder without backend.json"),
        (["--backend", "conf/backends/plda.yaml"], "--backend of a YAML needs --train-data"),
        (["--train-data", "."], "no utt2spk in it"),
        (["--score-norm", "s_norm"], "--score-norm needs --train-data"),
        (["--calibrate"], "--calibrate and --fuse need --set both"),
        (["--steps", "3"], "no network is trained here"),
        (["--split"], "no network is trained here"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_runs(runs, tmp_path, options, message):
    given = [
        "--voices",
        runs.base / "corpora" / "voices",
        "--model",
        model_of(runs),
        "--workdir",
        tmp_path / "out",
    ]
    text = run("voices", *given, *options, code=2)
    assert message in text
    assert not (tmp_path / "out").exists()


def test_a_wrong_root_is_one_line(runs, tmp_path):
    wrong = runs.base / "corpora" / "voices" / DEV_HOME / "sp0032"
    text = run(
        "voices", "--voices", wrong, "--model", model_of(runs), "--workdir", tmp_path, code=1
    )
    assert re.search(
        r"no folder sid_dev below it, expected .*; it is inside .*sid_dev: give that folder",
        last_line(text),
    )


def test_an_imported_network_of_another_rate(runs, tmp_path):
    """GE2E's weights from TensorFlow at 8 kHz: audio packed at 16 kHz is refused by name."""
    import_model(
        save_as(tmp_path / "model.ckpt-1", read_published("ge2e_tf").state(), "tensor bundle"),
        tmp_path / "ge2e",
        kind="ge2e_tf",
    )
    options = [
        "--voices",
        runs.base / "corpora" / "voices",
        "--model",
        tmp_path / "ge2e",
        "--workdir",
        tmp_path / "out",
    ]
    assert "8000" in run("voices", *options, code=1)
    run("voices", *options, "--sample-rate-hz", 8000)
    rows = results(tmp_path / "out", "ge2e-8000")
    assert (rows[0]["targets"], rows[0]["nontargets"]) == (24, 120)
