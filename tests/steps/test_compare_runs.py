"""Two trainings beside each other: what differs, their curves, and paired error rates."""

import json
import shutil

import pytest
import yaml

from steps.compare_runs import compare_runs
from steps.evaluate import evaluate
from tests.steps.test_report import make_system, write_data
from utils.errors import UserError
from utils.receipts import Task

CONFIG = {"loss": {"name": "am_softmax", "margin": 0.2}, "optimizer": {"learning_rate": 0.01}}


def make_run(folder, margin, train_list, steps=2):
    """A finished training, as its files say."""
    (folder / "log").mkdir(parents=True)
    lists = folder.parent / f"{folder.name}.utt2spk"
    lists.write_text(train_list)
    config = CONFIG | {"loss": CONFIG["loss"] | {"margin": margin}}
    task = Task(folder, "train", format=1, inputs={"train/utt2spk": lists}, options={})
    assert not task.is_done()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    entries = [
        {"step": step, "loss": margin + step, "accuracy": 0.5, "learning_rate": 0.01 / step}
        for step in range(1, steps + 1)
    ]
    (folder / "log" / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    task.finish(
        [folder / "config.yaml"], {"steps": steps, "draws": 6 * steps, "parameters": 1234567}
    )


@pytest.fixture
def work(tmp_path):
    """Two finished trainings; one margin and one list are different."""
    make_run(tmp_path / "exp" / "one", 0.2, "a-1 a\n")
    make_run(tmp_path / "exp" / "other", 0.3, "a-1 a\nb-1 b\n")
    return tmp_path


def compared(work, **options):
    """Counts, and the entries of runs.json: (kind, name) -> the two texts."""
    output = work / "compared"
    counts = compare_runs(work / "exp" / "one", work / "exp" / "other", output, **options)
    entries = json.loads((output / "runs.json").read_text())
    return counts, {
        (entry["kind"], entry["name"]): (entry["first"], entry["second"]) for entry in entries
    }


def test_values_lists_and_facts_that_differ_are_named(work, capsys):
    counts, found = compared(work)
    assert counts == {"values": 1, "lists": 1, "test_sets": 0, "pairs": 0, "clear": 0}
    assert found["value", "loss.margin"] == ("0.2", "0.3")
    one, other = found["list", "train/utt2spk"]
    assert one != other
    assert {len(one), len(other)} == {12}
    assert found["fact", "peak learning rate"] == ("0.01", "0.01")
    assert found["fact", "crops per step, of all processes"] == ("6", "6")
    assert found["fact", "parameters"] == ("1,234,567", "1,234,567")
    assert found["fact", "commit"][0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["one", "other"]
    assert ["loss.margin", "0.2", "0.3"] in [line.split() for line in lines]
    assert not any("parameters" in line for line in lines), "it does not differ"
    assert any(line.startswith("No error rates: neither experiment") for line in lines)


def test_both_curves_are_in_one_picture(work):
    compared(work)
    text = (work / "compared" / "report.html").read_text()
    loss = text[text.index("training loss over steps") :].partition("</svg>")[0]
    assert loss.count("<polyline") == 2
    assert "<title>one</title>" in loss
    assert "<title>other</title>" in loss
    assert "<b>0.3</b>" in text
    assert str(work) not in text


@pytest.mark.slow
def test_error_rates_are_paired_on_the_data_of_the_evaluation(work, capsys):
    write_data(work / "data" / "test")
    for name, noise, seed in (("one", 0.7, 0), ("other", 5.0, 1)):
        make_system(work / "exp" / name, noise, seed)
    evaluate(work / "exp" / "one", work / "data", replicates=100)
    counts, _ = compared(work, replicates=100)
    assert (counts["test_sets"], counts["pairs"], counts["clear"]) == (1, 1, 1)
    (entry,) = json.loads((work / "compared" / "differences.json").read_text())
    assert (entry["first"], entry["second"]) == ("one", "other")
    assert "test: one - other: EER -" in capsys.readouterr().out
    with_data, _ = compared(work, replicates=100, data=work / "data")
    assert with_data == counts
    none, _ = compared(work, replicates=100, scorers=["plda"])
    assert none["test_sets"] == 0
    assert "No error rates: no test set was scored in both" in capsys.readouterr().out


@pytest.mark.slow
def test_experiments_that_were_evaluated_on_different_trials_are_refused(work):
    for name, noise, seed in (("one", 0.7, 0), ("other", 5.0, 1)):
        shutil.rmtree(work / "data", ignore_errors=True)
        write_data(work / "data" / "test")
        trials = work / "data" / "test" / "trials"
        if name == "other":
            trials.write_text(trials.read_text().partition("\n")[2])
        make_system(work / "exp" / name, noise, seed)
        shutil.copytree(work / "data", work / f"data_{name}")
        evaluate(work / "exp" / name, work / f"data_{name}", replicates=2)
    with pytest.raises(UserError, match=r"evaluated on different trials \(.*; name by --data"):
        compared(work)
    counts, _ = compared(work, data=work / "data_other", replicates=2)
    assert counts["pairs"] == 1


def test_a_training_that_has_not_finished_is_refused(work):
    receipt = work / "exp" / "other" / "receipts" / "train.json"
    receipt.unlink()
    with pytest.raises(UserError, match=r"other: no receipts/train.json in it, expected"):
        compared(work)
    checkpoints = work / "exp" / "other" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "step-0000010.pt").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"other: its training has not finished \(interrupted: step"
    ):
        compared(work)


def test_an_experiment_is_not_compared_with_one_of_the_same_name(work):
    with pytest.raises(UserError, match="the same folder name"):
        compare_runs(work / "exp" / "one", work / "exp" / "one", work / "compared")
