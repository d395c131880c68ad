"""Scores of other programs are evaluated without an experiment; GhostVLAD's table is reproduced."""

import json
from itertools import combinations

import numpy as np
import pytest

from steps.cross_calibrate import cross_calibrate
from steps.evaluate_scores import evaluate_scores
from tests.conftest import ROOT
from utils.errors import UserError
from utils.metrics.rates import kaldi_error_rate
from utils.receipts import read_receipt

UTTERANCES = [f"s{speaker}/v{k}.wav" for speaker in range(6) for k in range(3)]
PAIRS = list(combinations(UTTERANCES, 2))
IS_TARGET = np.array([one[:2] == other[:2] for one, other in PAIRS])
PUBLISHED = {  # EER in percent: in the README beside the files
    "am_0111": 3.664,
    "am_0117": 5.313,
    "am_0121": 3.982,
    "sm_0104": 3.977,
    "sm_0111": 3.314,
    "sm_0121": 3.558,
}


def drawn_scores(seed, noise=0.3):
    """Cosines of the trials, some of them wrong; as they stand in a file."""
    rng = np.random.default_rng(seed)
    return np.round(np.tanh(0.3 * IS_TARGET + noise * rng.standard_normal(len(PAIRS))), 6)


def write_lines(path, rows):
    """A text file of some columns."""
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.fixture
def work(tmp_path):
    """A list of trials in VoxCeleb's form, whose voices they are, and two systems."""
    write_lines(
        tmp_path / "veri.txt",
        [(int(yes), *pair) for pair, yes in zip(PAIRS, IS_TARGET, strict=True)],
    )
    write_lines(tmp_path / "utt2spk", [(name, name[:2]) for name in reversed(UTTERANCES)])
    for seed, name in enumerate(("one.scores", "two.scores")):
        rows = [(*pair, score) for pair, score in zip(PAIRS, drawn_scores(seed), strict=True)]
        write_lines(tmp_path / name, rows)
    return tmp_path


def evaluated(work, *names, trials="veri.txt", **options):
    """Rows of results.json by system."""
    found = evaluate_scores(
        [work / name for name in names], work / trials, work / "results", **options
    )
    rows = json.loads((work / "results" / "results.json").read_text())
    assert found["systems"] == len(rows)
    return {row["system"]: row for row in rows}


def test_scores_and_trials_are_enough(work, capsys):
    row = evaluated(work, "one.scores")["one"]
    scores = drawn_scores(0)
    share = kaldi_error_rate(scores[IS_TARGET], scores[~IS_TARGET])
    assert row["eer_kaldi_percent"] == pytest.approx(100 * share, abs=1e-4)
    assert (row["test_set"], row["targets"], row["nontargets"]) == ("veri", 18, 135)
    assert (row["speakers"], row["eer_percent_interval"]) == (None, None)
    assert (row["act_dcf_0.01"], row["cllr"]) == (None, None)
    out = capsys.readouterr().out
    assert "no intervals: --utt2spk" in out
    assert "actDCF" not in out
    text = (work / "results" / "report.html").read_text()
    assert "<svg" in text
    assert "135 nontarget trials of unknown speakers" in text
    assert str(work) not in text + (work / "results" / "results.json").read_text()


def test_distances_seem_reversed_and_that_is_said(work, capsys):
    rows = [(*pair, -score) for pair, score in zip(PAIRS, drawn_scores(0, 0.1), strict=True)]
    write_lines(work / "distances.txt", rows)
    assert evaluated(work, "distances.txt")["distances"]["eer_percent"] > 50
    shown = " ".join(capsys.readouterr().out.split())
    assert "chance, or the scores or the classes seem reversed" in shown
    assert "seem reversed" in (work / "results" / "report.html").read_text()


def test_kaldis_own_scores_and_trials_have_kaldis_error_rate(tmp_path):
    golden = ROOT / "tests" / "golden" / "kaldi"
    said = dict(line.split() for line in (golden / "compute_eer.txt").read_text().splitlines())
    evaluate_scores([golden / "scores_cosine"], golden / "trials", tmp_path / "out")
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (row["system"], row["test_set"]) == ("scores_cosine", "kaldi")
    assert row["eer_kaldi_percent"] == pytest.approx(float(said["scores_cosine"]), abs=0.01)


def test_speakers_give_intervals_and_paired_tests(work, capsys):
    options = {"utt2spk": work / "utt2spk", "replicates": 30}
    rows = evaluated(work, "one.scores", "two.scores", **options)
    assert {row["speakers"] for row in rows.values()} == {6}
    (entry,) = json.loads((work / "results" / "differences.json").read_text())
    assert (entry["first"], entry["second"]) == ("one", "two")
    difference = rows["one"]["eer_percent"] - rows["two"]["eer_percent"]
    assert entry["eer_percent"]["difference"] == pytest.approx(difference, abs=1e-4)
    assert "veri: one - two: EER" in capsys.readouterr().out
    assert "<h3>Differences</h3>" in (work / "results" / "report.html").read_text()


def test_the_same_command_does_nothing_again_and_prints_the_same(work, capsys):
    evaluated(work, "one.scores")
    made, shown = (work / "results" / "report.html").stat().st_mtime_ns, capsys.readouterr().out
    evaluated(work, "one.scores")
    again = (work / "results" / "report.html").stat().st_mtime_ns, capsys.readouterr().out
    assert again == (made, shown)


def test_only_log_likelihood_ratios_have_actual_costs(work):
    row = evaluated(work, "one.scores", llr=True)["one"]
    assert row["cllr"] > row["min_cllr"]
    assert row["act_dcf_0.05"] >= row["min_dcf_0.05"]
    assert "as cosines are" in row["watermarks"][0]
    ratios = [(*pair, 9 * score) for pair, score in zip(PAIRS, drawn_scores(0), strict=True)]
    write_lines(work / "ratios.scores", ratios)
    assert evaluated(work, "ratios.scores", llr=True)["ratios"]["watermarks"] == []


def test_systems_are_told_apart_by_their_folders_where_their_files_have_one_name(work):
    paths = []
    for name in ("one", "two"):
        (work / f"training_{name}").mkdir()
        paths.append(f"training_{name}/prediction_scores.npy")
        np.save(work / paths[-1], drawn_scores(len(paths)).astype(np.float32))
    assert list(evaluated(work, *paths)) == ["training_one", "training_two"]
    with pytest.raises(UserError, match="two systems are called 'one'"):
        evaluated(work, "one.scores", "one.scores", "two.scores")


def test_utterances_that_are_their_own_speakers_tell_nothing_of_speakers(work, capsys):
    write_lines(work / "own", [(name, name) for name in UTTERANCES])
    row = evaluated(work, "one.scores", utt2spk=work / "own")["one"]
    assert row["speakers"] is None
    assert "the classes of 153 of 153 trials cannot be checked" in capsys.readouterr().out


def test_speakers_that_contradict_the_classes_are_refused(work):
    write_lines(work / "wrong", [(name, "s0") for name in UTTERANCES])
    with pytest.raises(UserError, match=r"veri\.txt:3: .*nontarget"):
        evaluated(work, "one.scores", utt2spk=work / "wrong")


def test_other_results_and_mistaken_arguments_are_refused_in_a_line(work, command):
    (work / "exp" / "receipts").mkdir(parents=True)
    (work / "exp" / "receipts" / "evaluate.json").write_text("{}")
    words = ["steps.evaluate_scores", work / "one.scores", work / "veri.txt"]
    for output, reason in ((work / "exp", "name another folder"), (work / "utt2spk", "a file")):
        done = command(*words, output)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert reason in done.stderr
    with pytest.raises(UserError, match=r"gone\.scores: no such file"):
        evaluated(work, "gone.scores")


def test_a_fusion_hears_no_speaker_of_the_trials_that_it_scores_and_says_so(work, capsys):
    scores = [work / "one.scores", work / "two.scores"]
    options = {"utt2spk": work / "utt2spk", "folds": 6}
    counts = cross_calibrate(scores, work / "veri.txt", work / "fused.scores", **options)
    assert counts["llr"] is True
    made = (work / "fused.scores").read_bytes()
    turned = cross_calibrate(scores[::-1], work / "veri.txt", work / "again.scores", **options)
    assert turned["systems"] == ["one", "two"]
    assert (work / "again.scores").read_bytes() == made
    rows = evaluated(work, "one.scores", "fused.scores")
    assert rows["fused"]["cllr"] is not None
    assert rows["one"]["cllr"] is None
    assert "cross-validated over its speakers in 6 folds" in rows["fused"]["watermarks"][0]
    assert "test trials were used" in capsys.readouterr().out


def test_what_cannot_be_fused_is_refused_by_name(work):
    def fused(names=("one.scores",), trials="veri.txt", output="fused.scores", **options):
        given = {"utt2spk": work / "utt2spk", "folds": 6, **options}
        cross_calibrate([work / name for name in names], work / trials, work / output, **given)

    with pytest.raises(UserError, match=r"10 folds of 6 speakers, expected 3 to 6 \(--folds\)"):
        fused(folds=10)
    lines = (work / "veri.txt").read_text().splitlines()
    (work / "five.txt").write_text("".join(f"{line}\n" for line in lines if "s5/" not in line))
    with pytest.raises(UserError, match="without the speakers of two folds .* more --folds"):
        fused(trials="five.txt", folds=3)
    fused(trials="five.txt", folds=5, output="five.scores")
    with pytest.raises(UserError, match="--p-target: 1,"):
        fused(p_target=1.0)
    before = (work / "one.scores").read_bytes()
    with pytest.raises(UserError, match="a new text file"):
        fused(output="one.scores")
    assert (work / "one.scores").read_bytes() == before
    rows = [(*pair, -score) for pair, score in zip(PAIRS, drawn_scores(0), strict=True)]
    write_lines(work / "distances", rows)
    with pytest.raises(UserError, match="targets score lower"):
        fused(["distances"])
    write_lines(work / "own", [(name, name) for name in UTTERANCES])
    with pytest.raises(UserError, match="their own speakers"):
        fused(utt2spk=work / "own")
    assert not (work / "fused.scores").exists()


def test_the_table_of_ghostvlads_authors_comes_out(shared_data, tmp_path):
    folder = shared_data.parent / "golden" / "vgg_voxceleb1"
    if not folder.is_dir():
        pytest.skip(f"no published scores at {folder}")
    paths = [folder / f"{name}.npy" for name in PUBLISHED]
    evaluate_scores(paths, shared_data / "lists" / "veri_test.txt", tmp_path, replicates=0)
    rows = json.loads((tmp_path / "results.json").read_text())
    found = {row["system"]: round(row["eer_percent"], 3) for row in rows}
    assert found == PUBLISHED
    assert {row["targets"] + row["nontargets"] for row in rows} == {37_720}
    assert read_receipt(tmp_path / "receipts" / "evaluate_scores.json")["counts"]["notes"] == []
