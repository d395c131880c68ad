"""Text of the page: decisions, baselines, facts, players; and names are escaped."""

import json
import re

import numpy as np
import pytest
import soundfile

from steps.evaluate import evaluate
from steps.report import next_steps, report
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.test_report import (
    UTT2SPK,
    Page,
    draw_pictures,
    finish_task,
    make_system,
    write_data,
)
from tests.steps.test_score import write_embeddings
from utils.data_dir import read_trials
from utils.receipts import read_receipt
from utils.report.facts import facts_part
from utils.report.trials import Players, Sounds, worst_part
from utils.scoring.score_files import read_scores


@pytest.fixture
def work(tmp_path):
    """A test and a dev list of other speakers, and one experiment with scores of both."""
    write_data(tmp_path / "data" / "test")
    make_system(tmp_path / "exp" / "good", 0.7, 0)
    add_dev(tmp_path)
    return tmp_path


def add_dev(work):
    """A dev list: the test's with other names and noise, scored by the same back end."""
    test, dev = work / "data" / "test", work / "data" / "dev"
    dev.mkdir()
    for path in test.iterdir():
        (dev / path.name).write_text(re.sub(r"\bspk", "dev", path.read_text()))
    rng = np.random.default_rng(5)
    points = {speaker: rng.standard_normal(8) for speaker in sorted(set(UTT2SPK.values()))}
    vectors = {
        key.replace("spk", "dev"): points[speaker] + 0.9 * rng.standard_normal(8)
        for key, speaker in sorted(UTT2SPK.items())
    }
    folder = work / "exp" / "good"
    write_embeddings(folder / "embeddings" / "dev", vectors)
    score(
        folder / "backend" / "cosine",
        folder / "embeddings" / "dev",
        dev / "trials",
        folder / "scores" / "dev" / "cosine.scores",
    )


def evaluated(work, **options):
    """Test sets in the order of results.json, and decisions of each."""
    folder = work / "exp" / "good"
    evaluate(folder, work / "data", replicates=0, **options)
    rows = json.loads((folder / "results.json").read_text())
    curves = json.loads((folder / "curves.json").read_text())
    return list(dict.fromkeys(row["test_set"] for row in rows)), {
        curve["test_set"]: curve["decisions"] for curve in curves
    }


def make_page(work, **options):
    """The text of the report, whose elements all close."""
    report(work / "exp" / "good", work / "data", **options)
    text = (work / "exp" / "good" / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    return text


def read_list(work, name):
    """Scores of a list, and whether each is of a target."""
    is_target = np.asarray(read_trials(work / "data" / name / "trials")[2])
    return read_scores(work / "exp" / "good" / "scores" / name / "cosine.scores")[2], is_target


def test_thresholds_of_dev_are_applied_to_the_test_which_is_first(work):
    order, decisions = evaluated(work, dev=[work / "data" / "dev"])
    assert order == ["test", "dev"]
    scores, is_target = read_list(work, "dev")
    costs = {
        threshold: 0.05 * (scores[is_target] < threshold).mean()
        + 0.95 * (scores[~is_target] >= threshold).mean()
        for threshold in scores
    }
    threshold = min(costs, key=lambda score: (costs[score], score))
    (decision,) = [one for one in decisions["test"] if one["point"] == "0.05"]
    assert decision["chosen_on"] == "dev"
    assert decision["threshold"] == pytest.approx(threshold, rel=1e-5)
    scores, is_target = read_list(work, "test")
    assert decision["miss"] == pytest.approx((scores[is_target] < threshold).mean(), abs=1e-6)
    assert decision["false_alarm"] == pytest.approx(
        (scores[~is_target] >= threshold).mean(), abs=1e-6
    )
    assert {one["chosen_on"] for one in decisions["dev"]} == {"dev"}
    text = make_page(work)
    assert text.index('<h2 id="test"') < text.index('<h2 id="dev"')
    (box,) = re.findall(r'<div class="card decision">(.*?)</div>', text, re.DOTALL)
    assert "test, good" in box
    assert f"at threshold {threshold:.2f}; prior 0.05, Bayes threshold 2.94." in box
    assert "has the lowest cost on dev." in box
    assert text.count('class="threshold"') == sum(
        one["threshold"] is not None
        for of_set in decisions.values()
        for one in of_set
        if one["point"] == "0.01"
    )


def test_without_a_dev_list_the_box_warns_of_more_errors_elsewhere(work):
    order, decisions = evaluated(work, operating_points="0.01:10:1")
    assert order == ["test", "dev"], "dev is last by its name"
    assert {one["chosen_on"] for one in decisions["test"]} == {"test"}
    text = make_page(work)
    assert text.count('<div class="card decision">') == 1
    assert "on these same trials: expect more errors on others" in text
    assert "prior 0.01:10:1, Bayes threshold 2.29." in text


def test_log_likelihood_ratios_have_bayes_thresholds(work):
    path = work / "exp" / "good" / "scores" / "test" / "receipts" / "score_cosine.json"
    receipt = read_receipt(path)
    receipt["counts"] |= {"llr": True}
    path.write_text(json.dumps(receipt))
    _, decisions = evaluated(work, dev=[work / "data" / "dev"])
    assert [one["threshold"] for one in decisions["test"]] == [4.59512, 2.94444]
    assert {one["chosen_on"] for one in decisions["test"]} == {None}
    assert "the threshold is the Bayes threshold" in make_page(work)


def test_curves_of_an_older_evaluation_have_no_box(work):
    evaluated(work)
    path = work / "exp" / "good" / "curves.json"
    old = [
        {name: value for name, value in curve.items() if name not in ("decisions", "about")}
        for curve in json.loads(path.read_text())
    ]
    path.write_text(json.dumps(old))
    text = make_page(work)
    assert 'class="card decision"' not in text
    assert "decisions by prior" not in text


def test_each_baseline_is_described_in_a_line(work):
    folder = work / "exp" / "good"
    for name, facts, checkpoint in (
        ("good-untrained", {"model": "1", "network": "ecapa"}, "step-0000000"),
        ("mfcc_stats", {"model": "mfcc_stats"}, None),
        ("channel_stats", {"model": "channel_stats"}, None),
        ("unknown", None, None),
    ):
        make_system(work / "exp" / name, 2.0, 1)
        embeddings = work / "exp" / name / "embeddings" / "test"
        if facts:
            (embeddings / "provenance.json").write_text(json.dumps(facts))
        if checkpoint:
            finish_task(embeddings, "extract.1of1", {}, {})
            path = embeddings / "receipts" / "extract.1of1.json"
            receipt = json.loads(path.read_text()) | {"options": {"checkpoint": checkpoint}}
            path.write_text(json.dumps(receipt))
    others = [path for path in sorted((work / "exp").iterdir()) if path != folder]
    (work / "data" / "dev" / "trials").unlink()
    evaluate(folder, work / "data", others=others, replicates=0)
    described = re.findall(r"<li><b>(.*?)</b>: (.*?)</li>", make_page(work))
    print(described)
    assert [name for name, _ in described] == ["channel_stats", "good-untrained", "mfcc_stats"]
    assert "hears no speech" in described[0][1]
    assert described[1][1].startswith("the network ecapa with its first weights")
    assert "without any training" in described[2][1]


def test_date_commit_size_and_hours_are_at_the_top(work):
    folder = work / "exp" / "good"
    evaluated(work)
    assert "training" not in facts_part(folder)
    (folder / "config.yaml").write_text("model: {name: ecapa}\n")
    for home, seconds, steps in ((folder / "phases" / "1_first", 1800, 100), (folder, 5400, 300)):
        counts = {"steps": steps, "processes": 2, "device": "cuda", "parameters": 14_700_000}
        finish_task(home, "train", {}, counts)
        path = home / "receipts" / "train.json"
        receipt = json.loads(path.read_text())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", receipt["finished"])
        changes = {"seconds": seconds, "commit": "abc1234", "finished": "2026-01-31T23:59:59Z"}
        path.write_text(json.dumps(receipt | changes))
    text = make_page(work)
    for fact in (
        "<dt>network</dt><dd>ecapa, 14,700,000 parameters</dd>",
        "<dd>2.00 hours, 400 steps, 2 processes on cuda, 2026-01-31, commit abc1234</dd>",
    ):
        assert fact in text
    day = read_receipt(folder / "receipts" / "evaluate.json")["finished"][:10]
    assert f"<dt>evaluated</dt><dd>{day}</dd>" in text
    assert facts_part(folder) == facts_part(folder)
    (folder / "tensorboard").mkdir()
    for number in (1, 2):
        (folder / "tensorboard" / f"events.out.tfevents.{number}").touch()
    assert "2.00 hours since it was resumed" in facts_part(folder)


def test_the_training_of_another_experiments_network_is_described(tmp_path):
    model, folder = tmp_path / "model", tmp_path / "exp" / "mine"
    finish_task(model, "train", {}, {"parameters": 1_000_000, "steps": 7})
    (model / "config.yaml").write_text("model: {name: ecapa}\n")
    embeddings = folder / "embeddings" / "test"
    finish_task(embeddings, "extract.1of1", {}, {})
    path = embeddings / "receipts" / "extract.1of1.json"
    inputs = {"model": {"path": str(model / "receipts" / "train.json"), "content": ""}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": inputs}))
    assert "<dd>ecapa, 1,000,000 parameters</dd>" in facts_part(folder)
    assert "hours, 7 steps" in facts_part(folder)
    (model / "receipts" / "train.json").rename(model / "moved")
    assert "network" not in facts_part(folder)


@pytest.mark.parametrize(
    ("receipt", "text"),
    [
        ({"seconds": 3, "options": {}}, "less than 0.01 hours"),
        ({"options": {"imported": "ecapa"}}, "none here: the weights are imported"),
        ({"seconds": 3600, "options": {}, "finished": None, "commit": None}, "1.00 hours"),
    ],
)
def test_incomplete_receipts_are_described_as_far_as_possible(tmp_path, receipt, text):
    finish_task(tmp_path, "train", {}, {})
    path = tmp_path / "receipts" / "train.json"
    whole = json.loads(path.read_text()) | {"commit": "", "finished": ""} | receipt
    path.write_text(json.dumps({name: value for name, value in whole.items() if value is not None}))
    assert f"<dt>training</dt><dd>{text}</dd>" in facts_part(tmp_path)


def test_a_side_without_a_player_has_the_reason(tmp_path):
    sounds = Sounds()
    for name in ("a", "b"):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, 0.1 * np.ones(1600), 16_000)
        sounds.wav_scp[name] = str(path)
    sounds.wav_scp |= {"piped": "cat x |", "gone": "gone.wav"}
    pairs = [["a", "piped"], ["gone", "model"], ["a", "b"]]
    curve = {
        "system": "x",
        "backend": "cosine",
        "protocol": "whole",
        "worst": {"targets": [[*pair, 0.1] for pair in pairs]},
    }
    again = curve | {"backend": "plda", "worst": {"targets": [["b", "a", 0.1]]}}
    text = worst_part([curve, again], sounds, Players(10_000))
    assert text.count("<audio") == 2
    for name, note in (
        ("piped", "no player: a command would have to run"),
        ("gone", "no player: it cannot be read"),
        ("model", "no player: no recording has this name"),
        ("a", "player: above"),
    ):
        assert f'<td>{name} <small class="note">{note}</small>' in text
    assert "<p>Players: with x.</p>" in text
    full = worst_part([curve], sounds, Players(1))
    assert full.count("no player: the page is full") == 4
    assert "<p>No players: they were left out.</p>" in worst_part([curve], sounds, Players(0))
    assert "trials are unknown.</p>" in worst_part([curve], Sounds(), Players())


def test_names_are_escaped_everywhere(tmp_path):
    mark = "<script>alert('&quot;\"')</script>"
    bad = tmp_path / "data" / "<script>set"
    write_data(bad)
    for path in bad.iterdir():
        text = re.sub(r"(spk\d+(-\w+)?)", rf"\1{mark}", path.read_text())
        if path.name == "utt2condition":
            text = re.sub(r"(near|far)$", rf"\1{mark}", text, flags=re.MULTILINE)
        path.write_text(text)
    ledger = {"came_in": 49, "went_on": 48, "unreadable" + mark: 1, "lost_trials": 1}
    (bad / "ledger.json").write_text(json.dumps(ledger))
    keys = [line.split()[0] for line in (bad / "utt2spk").read_text().splitlines()]
    (bad / "wav.scp").write_text("".join(f"{key} {mark}.wav\n" for key in keys))
    folder = tmp_path / "exp" / "<script>mine"
    rng = np.random.default_rng(0)
    vectors = {key: rng.standard_normal(8) for key in keys}
    for name in ("train", "<script>set"):
        write_embeddings(folder / "embeddings" / name, vectors)
    train_backend(folder / "embeddings" / "train", folder / "backend" / "<script>plda")
    score(
        folder / "backend" / "<script>plda",
        folder / "embeddings" / "<script>set",
        bad / "trials",
        folder / "scores" / "<script>set" / "<script>plda.scores",
    )
    draw_pictures(folder, utterance=mark, speaker=mark, set=mark, caption=mark)
    (folder / "config.yaml").write_text(f"model: {{name: {json.dumps(mark)}}}\n")
    evaluate(folder, tmp_path / "data", train=[bad], allow_leakage=True, replicates=2)
    report(folder, tmp_path / "data")
    text = (folder / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "script" not in page.counts
    assert "<script" not in text
    print(text.count("&lt;script"), "names that are text")
    assert text.count("&lt;script") > 200


def test_the_end_of_a_run_names_the_report_and_the_learning_curves(tmp_path, monkeypatch):
    folder = tmp_path / "my exp"
    assert next_steps(folder) == f"report: {folder}/report.html"
    (folder / "tensorboard").mkdir(parents=True)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python3", "tensorboard"):
        (programs / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(programs / "python3"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    logdir = f"--logdir '{folder}/tensorboard'"
    assert next_steps(folder).splitlines()[1] == f"learning curves: .venv/bin/tensorboard {logdir}"
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / ".venv"))
    assert next_steps(folder).splitlines()[1] == f"learning curves: tensorboard {logdir}"
