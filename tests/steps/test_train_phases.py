"""Training in phases: each starts from the one before; stopped anywhere, it resumes."""

import json
import signal

import pytest
import torch

from steps.extract import load_network
from steps.train import train
from tests.training_runs import assert_same_end, history, steps_on_disk, stop_after, variant
from utils.config import read_yaml
from utils.errors import UserError
from utils.receipts import MODE
from utils.training.checkpoints import load_checkpoint
from utils.training.trainer import Trainer

STEPS = (
    "steps: 40, validate_every_steps: 20, checkpoint_every_steps: 10",
    "steps: 8, validate_every_steps: 8, checkpoint_every_steps: 4",
)
PHASES = """\
phases:
  - name: softmax
    training: {steps: 6, average_checkpoints: 1}
  - name: margin
    weights_from: previous
    loss: {name: am_softmax, margin: 0.1}
    optimizer: {name: sgd, learning_rate: 1e-3}
"""


def in_phases(corpus, folder, phases=PHASES, *changes):
    config = variant(corpus, folder, STEPS, *changes)
    config.write_text(config.read_text() + phases)
    return config


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    """An experiment of two phases that ran in one go, and its YAML."""
    folder = tmp_path_factory.mktemp("phases")
    config = in_phases(corpus, folder)
    counts = train(corpus / "train", corpus / "dev", config, folder / "exp", num_threads=1)
    assert (counts["steps"], counts["draws"]) == (8, 48)
    return folder / "exp", config


def phase_of(experiment):
    return experiment / "phases" / "1_softmax"


def checkpoint(experiment, name):
    return load_checkpoint(experiment / "checkpoints" / f"{name}.pt")


def test_each_phase_is_a_training_and_the_last_is_the_experiment(undisturbed):
    exp, _ = undisturbed
    assert steps_on_disk(phase_of(exp)) == [0, 4, 6]
    assert steps_on_disk(exp) == [0, 4, 8]
    assert [entry["step"] for entry in history(phase_of(exp)) if "loss" in entry] == list(
        range(1, 7)
    )
    configs = [read_yaml(folder / "config.yaml") for folder in (phase_of(exp), exp)]
    assert [config["loss"]["name"] for config in configs] == ["softmax", "am_softmax"]
    assert configs[1]["phase"] == {
        "number": 2,
        "is_last": True,
        "name": "margin",
        "weights_from": "previous",
    }
    receipts = [
        json.loads((folder / "receipts" / "train.json").read_text())
        for folder in (phase_of(exp), exp)
    ]
    assert [receipt["counts"]["steps"] for receipt in receipts] == [6, 8]
    assert receipts[1]["inputs"]["previous"]["path"].endswith(
        "phases/1_softmax/receipts/train.json"
    )
    network, _ = load_network(exp, "average")
    assert all(
        torch.equal(value, checkpoint(exp, "average")["network"][name])
        for name, value in network.state_dict().items()
    )


def test_a_phase_begins_with_the_network_of_the_one_before_and_says_so(undisturbed):
    exp, _ = undisturbed
    before, begun = (
        checkpoint(phase_of(exp), "average")["network"],
        checkpoint(exp, "step-0000000")["network"],
    )
    assert begun.keys() == before.keys()
    assert all(torch.equal(value, begun[name]) for name, value in before.items())
    said = json.loads((exp / "first_weights.json").read_text())
    assert said["network"] == {"taken": list(before), "new": [], "left": []}
    assert said["loss"] == {"taken": [], "new": ["weight_NE"], "left": ["weight_NE"]}
    old, new = (
        checkpoint(phase_of(exp), "step-0000006")["loss"]["weight_NE"],
        checkpoint(exp, "step-0000000")["loss"]["weight_NE"],
    )
    assert not torch.equal(old, new)
    assert not (phase_of(exp) / "first_weights.json").exists()


def test_the_loss_too_where_that_is_asked_for(corpus, tmp_path):
    config = in_phases(
        corpus, tmp_path, PHASES.replace("from: previous", "from: previous_with_loss")
    )
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    old, new = (
        checkpoint(phase_of(tmp_path / "exp"), "step-0000001")["loss"],
        checkpoint(tmp_path / "exp", "step-0000000")["loss"],
    )
    assert torch.equal(old["weight_NE"], new["weight_NE"])
    assert json.loads((tmp_path / "exp" / "first_weights.json").read_text())["loss"] == {
        "taken": ["weight_NE"],
        "new": [],
        "left": [],
    }


def test_another_network_takes_what_has_the_same_name_and_the_rest_is_listed(
    corpus, tmp_path, capfd
):
    phases = PHASES.replace(
        "    weights_from", "    model: {embedding_output: batch_norm}\n    weights_from"
    )
    config = in_phases(corpus, tmp_path, phases)
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    said = json.loads((tmp_path / "exp" / "first_weights.json").read_text())["network"]
    before, begun = (
        checkpoint(phase_of(tmp_path / "exp"), "average")["network"],
        checkpoint(tmp_path / "exp", "step-0000000")["network"],
    )
    print({kind: len(names) for kind, names in said.items()}, said["new"], said["left"])
    assert sorted(said["taken"] + said["new"]) == sorted(begun)
    assert sorted(said["taken"] + said["left"]) == sorted(before)
    assert said["new"]
    assert all(torch.equal(before[name], begun[name]) for name in said["taken"])
    assert (
        f"phase 2 (margin): network: {len(said['taken'])} taken; "
        f"{len(said['new'])} new; {len(said['left'])} left" in capfd.readouterr().err
    )


def stop_in(folder, step, patch):
    """Have the training of that folder stopped after a step."""
    plain = Trainer.run

    def run(self):
        if self.folder == folder:
            stop_after(step, patch, signal.SIGTERM)
        return plain(self)

    patch.setattr(Trainer, "run", run)


@pytest.mark.parametrize("stops", [[(1, 3)], [(2, 5)], [(1, 2), (2, 1), (2, 7)]], ids=str)
@pytest.mark.slow
def test_stopped_anywhere_the_same_command_goes_on_to_the_same_weights(
    corpus, undisturbed, tmp_path, monkeypatch, stops
):
    exp, config = undisturbed
    for phase, step in stops:
        with monkeypatch.context() as patch:
            stop_in({1: phase_of(tmp_path / "exp"), 2: tmp_path / "exp"}[phase], step, patch)
            with pytest.raises(
                UserError, match=f"stopped by SIGTERM after step {step}; the state is saved"
            ):
                train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert_same_end(tmp_path / "exp", exp)
    assert_same_end(phase_of(tmp_path / "exp"), phase_of(exp))
    assert (tmp_path / "exp" / "first_weights.json").read_text() == (
        exp / "first_weights.json"
    ).read_text()


def test_finished_phases_are_skipped_and_a_changed_later_phase_leaves_earlier_ones_done(
    corpus, undisturbed, tmp_path, monkeypatch
):
    exp, config = undisturbed
    with monkeypatch.context() as patch:
        patch.setattr("steps.train.assemble", None)
        before = {path: path.stat().st_mtime_ns for path in exp.rglob("*")}
        train(corpus / "train", corpus / "dev", config, exp, num_threads=1)
        assert {path: path.stat().st_mtime_ns for path in exp.rglob("*")} == before
    monkeypatch.delenv("SV_FORCE", raising=False)
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    first = {path: path.stat().st_mtime_ns for path in phase_of(tmp_path / "exp").rglob("*")}
    other = in_phases(corpus, tmp_path, PHASES.replace("margin: 0.1", "margin: 0.3"))
    with pytest.raises(
        UserError, match=r"config.yaml: phase 2 .*loss.margin was 0.1, is 0.3; --force"
    ):
        train(corpus / "train", corpus / "dev", other, tmp_path / "exp", num_threads=1)
    monkeypatch.setenv("SV_FORCE", "1")
    train(corpus / "train", corpus / "dev", other, tmp_path / "exp", num_threads=1)
    assert {
        path: path.stat().st_mtime_ns for path in phase_of(tmp_path / "exp").rglob("*")
    } == first
    assert (tmp_path / "exp" / "old.1" / "first_weights.json").exists()


def test_a_changed_earlier_phase_is_stale(corpus, undisturbed, tmp_path, monkeypatch):
    exp, _ = undisturbed
    monkeypatch.delenv("SV_FORCE", raising=False)
    other = in_phases(
        corpus, tmp_path, PHASES.replace("training: {steps: 6", "training: {steps: 7")
    )
    with pytest.raises(
        UserError,
        match=r"1_softmax/receipts/train.json: stale: "
        "option training: training.steps was 6, is 7; --force",
    ):
        train(corpus / "train", corpus / "dev", other, exp, num_threads=1)


def test_a_plan_sees_every_phase(corpus, undisturbed, tmp_path, monkeypatch):
    exp, config = undisturbed
    for experiment, states in (
        (exp, ["done", "done"]),
        (tmp_path / "none", ["never run", "never run"]),
    ):
        monkeypatch.setattr(MODE, "checking", True)
        monkeypatch.setattr(MODE, "collected", [])
        train(corpus / "train", corpus / "dev", config, experiment, num_threads=1)
        assert [status.state for status in MODE.collected] == states
        assert [status.task.home for status in MODE.collected] == [phase_of(experiment), experiment]
    assert not (tmp_path / "none").exists()


def test_weights_that_do_not_fit_are_named(corpus, tmp_path):
    wider = PHASES.replace("    weights_from", "    model: {embedding_dim: 24}\n    weights_from")
    config = in_phases(corpus, tmp_path, wider)
    message = (
        r"phase 2 \(margin\): weights_from: network: \S+ is \(16, .* there, expected \(24, .*; "
        "the weights are of the phase before"
    )
    with pytest.raises(UserError, match=message) as error:
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin: 0.1", "marginn: 0.1", "marginn"),
        (
            "    weights",
            "    freeze: [nosuch*]\n    weights",
            "no parameter's name matches 'nosuch",
        ),
        ("    weights", "    crops: {crop_seconds: 0.001}\n    weights", "crop_seconds"),
        ("rate: 1e-3", "rate: 1e-3, weight_decay_factors: {nosuch: 2}", "nosuch"),
    ],
    ids=["key", "frozen-name", "crops", "optimizer"],
)
def test_a_fault_of_a_later_phase_is_found_before_the_first_one_trains(
    corpus, tmp_path, old, new, message
):
    config = in_phases(corpus, tmp_path, PHASES.replace(old, new))
    with pytest.raises(UserError, match=rf"phase 2 \(margin\).*{message}"):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    assert not list(tmp_path.glob("exp/phases/*/checkpoints"))
