"""What the recipe says of a fine-tuned network, from the entries of steps.compare."""

import json

import pytest
import torch

from steps.judge_fine_tuning import judge, judge_fine_tuning
from utils.receipts import Task
from utils.training.checkpoints import save_checkpoint, weights_digest


def entry(difference, p, no_interval=None, test_set="test"):
    """An entry of differences.json, after - before, of 40 speakers."""
    eer = {
        "difference": difference,
        "low": difference - 0.3,
        "high": difference + 0.3,
        "p": p,
        "speakers_needed": 230,
    }
    return {
        "test_set": test_set,
        "speakers": 40,
        "eer_percent": eer,
        "p_corrected": p,
        "no_interval": no_interval,
    }


@pytest.mark.parametrize(
    ("differences", "is_unchanged", "answer", "words"),
    [
        (
            [entry(-0.5, 0.002)],
            False,
            "helped",
            "fine-tuning helped: EER -0.50 points (95 % interval",
        ),
        ([entry(0.5, 0.002)], False, "harmed", "fine-tuning did not help, it harms: EER +0.50"),
        ([entry(-0.1, 0.4)], False, "inconclusive", "would need about 230 speakers; EER -0.10"),
        ([entry(-0.1, 0.05)], False, "inconclusive", "fine-tuning: inconclusive"),
        ([entry(0.0, 1.0)], True, "unchanged", "at no step was the EER of the dev speakers lower"),
        ([entry(-5, None, "3 speakers, 5 needed")], False, "unknown", "3 speakers, 5 needed"),
        ([], False, "unknown", "the test trials have no error rate of both networks"),
    ],
)
def test_each_outcome_has_its_sentence(differences, is_unchanged, answer, words):
    found, line = judge(differences, is_unchanged)
    assert found == answer
    assert words in line
    assert "\n" not in line


def finished(folder, name, counts):
    """A folder with the receipt of a step."""
    task = Task(folder, name, format=1, inputs={}, options={})
    assert not task.is_done()
    task.finish([], counts)


def compared(folder, differences, rates):
    """What steps.compare writes of two systems."""
    folder.mkdir()
    (folder / "differences.json").write_text(json.dumps(differences))
    rows = []
    for rate in rates:
        row = {"test_set": differences[0]["test_set"], "subset": "all", "eer_percent": rate}
        rows.append(row | {"eer_percent_interval": [rate - 1, rate + 1]})
    (folder / "results.json").write_text(json.dumps(rows))
    finished(folder, "compare", {})
    return folder


def test_it_says_what_it_costs_elsewhere_or_that_this_was_not_measured(tmp_path):
    exp = tmp_path / "exp"
    finished(exp, "train", {"chosen_step": 100})
    here = compared(tmp_path / "here", [entry(-0.5, 0.01)], (2.0, 2.5))
    assert judge_fine_tuning(exp, here) == {"answer": "helped"}
    (said,) = json.loads((exp / "fine_tuning.json").read_text())
    assert said["lines"][0].endswith("; 2.50 % (1.50 to 3.50) before, 2.00 % (1.00 to 3.00) after")
    assert "after 100 steps of the last phase" in said["lines"][1]
    assert "was not measured" in said["lines"][2]
    there = compared(tmp_path / "there", [entry(1.5, 0.01, test_set="far")], (4.0, 2.5))
    judge_fine_tuning(exp, here, own_domain=there)
    (said,) = json.loads((exp / "fine_tuning.json").read_text())
    assert said["lines"][2].startswith("in the network's own domain: it harms; EER +1.50 points")
    assert said["lines"][2].endswith("; 2.50 % (1.50 to 3.50) before, 4.00 % (3.00 to 5.00) after")


@pytest.mark.parametrize(
    ("begun_with", "answer", "words"),
    [
        (1.0, "unchanged", "the network is the same as before"),
        (2.0, "helped", "fine-tuning helped"),
    ],
)
def test_step_0_of_the_last_phase_may_be_another_network_than_before(
    tmp_path, begun_with, answer, words
):
    exp = tmp_path / "exp"
    finished(exp, "train", {"chosen_step": 0})
    state = {"step": 9, "network": {"weight": torch.ones(2)}}
    save_checkpoint(exp / "checkpoints" / "average.pt", state)
    before = weights_digest({"weight": torch.full((2,), begun_with)})
    (exp / "first_weights.json").write_text(json.dumps({"source": {"weights": before}}))
    here = compared(tmp_path / "here", [entry(-0.5, 0.01)], (2.0, 2.5))
    assert judge_fine_tuning(exp, here) == {"answer": answer}
    (said,) = json.loads((exp / "fine_tuning.json").read_text())
    assert words in said["lines"][0]
    assert said["lines"][1] == "the dev speakers chose the network that the last phase began with"
