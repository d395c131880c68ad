"""Systems over the folds of a corpus: simulated scores, of folds with scales of their own."""

import json
import re
from itertools import combinations

import numpy as np
import pytest

from steps.compare import compare
from tests.steps.test_report import finish_task
from utils.data_dir import read_trials
from utils.errors import UserError
from utils.metrics.intervals import paired_difference
from utils.metrics.rates import equal_error_rate
from utils.scoring.score_files import read_scores, score_receipt, write_scores

FOLDS = ("fold1", "fold2")


def write_fold(work, fold, seed):
    """Data of 12 own speakers, and systems: cosine is worse than plda; fused is calibrated."""
    rng = np.random.default_rng(seed)
    folder = work / "data" / fold / "test"
    folder.mkdir(parents=True)
    speakers = {f"{fold}s{k:02d}": "fm"[k % 2] for k in range(12)}
    utt2spk = {f"{speaker}-{k}": speaker for speaker in speakers for k in range(4)}
    for name, mapping in (("utt2spk", utt2spk), ("spk2gender", speakers)):
        (folder / name).write_text(
            "".join(f"{key} {value}\n" for key, value in sorted(mapping.items()))
        )
    pairs = list(combinations(sorted(utt2spk), 2))
    is_target = np.array([utt2spk[a] == utt2spk[b] for a, b in pairs])
    (folder / "trials").write_text(
        "".join(
            f"{a} {b} {'target' if same else 'nontarget'}\n"
            for (a, b), same in zip(pairs, is_target, strict=True)
        )
    )
    clean = 4.0 * is_target - 2
    for exp, scorers in (
        ("x", {"cosine": (1, 2.5), "fused": (0, 1.5)}),
        ("y", {"cosine": (0, 6.0)}),
    ):
        for scorer, (scale, noise) in scorers.items():
            scores = clean + noise * rng.standard_normal(len(clean))
            path = work / "exp" / f"{exp}-{fold}" / "scores" / "test" / f"{scorer}.scores"
            write(path, pairs, scores * 10**seed if scale else scores, scorer == "fused")


def write(path, pairs, scores, llr):
    """A score file with its receipt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scores(path, [a for a, _ in pairs], [b for _, b in pairs], scores)
    finish_task(
        path.parent,
        score_receipt(path).stem,
        {path.name: path.read_text()},
        {"llr": True} if llr else {},
    )


@pytest.fixture
def work(tmp_path):
    """Two folds."""
    for seed, fold in enumerate(FOLDS):
        write_fold(tmp_path, fold, seed)
    return tmp_path


def compared(work, *systems, folds=FOLDS, **options):
    """What the step wrote: rows by test set and series, differences by pair."""
    experiments = [work / "exp" / f"{system}-{fold}" for fold in folds for system in systems]
    compare(
        [work / "data" / fold for fold in folds],
        work / "compared",
        experiments=experiments,
        **{"replicates": 100, **options},
    )
    rows, differences = (
        json.loads((work / "compared" / name).read_text())
        for name in ("results.json", "differences.json")
    )
    return (
        {(row["test_set"], row["system"], row["backend"], row["subset"]): row for row in rows},
        {(one["test_set"], one["first"], one["second"]): one for one in differences},
    )


def test_figures_are_means_over_folds_and_counts_are_sums(work):
    rows, _ = compared(work, "x", "y")
    row = rows["test, mean of 2 folds", "x-fold1", "cosine", "all"]
    each = []
    for fold in FOLDS:
        is_target = np.asarray(read_trials(work / "data" / fold / "test" / "trials")[2])
        scores = read_scores(work / "exp" / f"x-{fold}" / "scores" / "test" / "cosine.scores")[2]
        each.append(100 * equal_error_rate(scores[is_target], scores[~is_target]))
    assert row["eer_percent"] == pytest.approx(np.mean(each), abs=1e-4)
    assert (row["targets"], row["nontargets"], row["speakers"]) == (144, 2112, 24)
    assert row["eer_percent_interval"][0] < row["eer_percent"] < row["eer_percent_interval"][1]
    assert rows["test, mean of 2 folds", "x-fold1", "cosine", "sex: f"]["speakers"] == 12
    assert rows["test, mean of 2 folds", "x-fold1", "fused", "all"]["cllr"] is not None


def test_log_likelihood_ratios_alone_are_pooled(work):
    rows, differences = compared(work, "x", "y")
    assert {test_set for test_set, *_ in rows} == {"test, mean of 2 folds"}, (
        "one calibrated system: nothing to compare it with"
    )
    path = work / "exp"
    for fold in FOLDS:
        enrol, test, scores = read_scores(path / f"y-{fold}" / "scores" / "test" / "cosine.scores")
        write(
            path / f"y-{fold}" / "scores" / "test" / "fused.scores",
            list(zip(enrol, test, strict=True)),
            scores,
            True,
        )
    rows, differences = compared(work, "x", "y")
    pooled = {key[1:3] for key in rows if key[0] == "test, 2 folds pooled"}
    assert pooled == {("x-fold1", "fused"), ("y-fold1", "fused")}
    row = rows["test, 2 folds pooled", "x-fold1", "fused", "all"]
    assert row["cllr_interval"][0] < row["cllr"] < row["cllr_interval"][1]
    assert (
        differences["test, 2 folds pooled", "x-fold1, fused", "y-fold1, fused"]["cllr"]["high"] < 0
    )
    page = (work / "compared" / "report.html").read_text()
    assert page.count('aria-label="DET curves"') == 1, (
        "of the pooled ratios: scores of folds are not on one scale"
    )
    assert "mean of 2 folds" in (work / "compared" / "results.md").read_text()


def test_the_paired_test_uses_the_draws_of_each_fold(work, capsys):
    _, differences = compared(work, "x", "y", scorers=["cosine"])
    (found,) = differences.values()
    assert found["p_corrected"] < 0.05
    assert found["eer_percent"]["high"] < 0
    assert found["speakers"] == 24
    assert re.search(
        r"test, mean of 2 folds: x-fold1 - y-fold1: EER -\d+\.\d+ points", capsys.readouterr().out
    )
    _, turned = compared(work, "y", "x", scorers=["cosine"])
    (other,) = turned.values()
    assert other["eer_percent"]["low"] == -found["eer_percent"]["high"]


def test_what_is_not_clear_says_how_many_speakers_would_be():
    draws = np.random.default_rng(0).normal(-1, 2, 1000)
    found = paired_difference(-1.0, draws, 30)
    assert found.p > 0.05
    again = paired_difference(
        -1.0, draws * np.sqrt(30 / found.speakers_needed), found.speakers_needed
    )
    assert again.p < 0.01  # four tests of five find it, so that the expected one finds it easily


def test_folds_that_do_not_fit_together_are_refused(work, command):
    with pytest.raises(UserError, match="--experiments: 3 for 2 folds"):
        compare(
            [work / "data" / fold for fold in FOLDS],
            work / "out",
            experiments=[work / "exp" / name for name in ("x-fold1", "y-fold1", "z")],
        )
    (work / "exp" / "x-fold2" / "scores" / "test" / "fused.scores").unlink()
    with pytest.raises(
        UserError,
        match=r"x-fold2/scores/test: 'fused' was not scored in every fold; .*select with --scorers",
    ):
        compared(work, "x", "y")
    compared(work, "x", "y", scorers=["cosine"])
    with pytest.raises(
        UserError, match="speaker 'fold1s00' of test set test is tested in fold 1 and in fold 2"
    ):
        compared(work, "x", "y", folds=("fold1", "fold1"), scorers=["cosine"])
    names = ("x-fold1", "y-fold1", "x-fold2", "y-fold2")
    done = command(
        "steps.compare",
        work / "data" / "fold1",
        work / "data" / "fold2",
        work / "out",
        "--experiments",
        f"[{', '.join(str(work / 'exp' / name) for name in names)}]",
        "--scorers",
        "[plda]",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "score_plda.json is missing" in done.stderr


def test_leaks_that_were_allowed_stand_beside_the_comparison_too(work):
    for fold in FOLDS:
        rows = [
            {
                "system": f"x-{fold}",
                "test_set": "test",
                "watermarks": [f"leakage: of {fold}", "another mark"],
            }
        ]
        (work / "exp" / f"x-{fold}" / "results.json").write_text(json.dumps(rows))
    rows, _ = compared(work, "x", "y", scorers=["cosine"])
    assert rows["test, mean of 2 folds", "x-fold1", "cosine", "all"]["watermarks"] == [
        "leakage: of fold1",
        "leakage: of fold2",
    ]
    assert rows["test, mean of 2 folds", "y-fold1", "cosine", "all"]["watermarks"] == []
