"""Training on a tiny corpus: it learns, resumes to equal weights, and never overwrites another."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from steps.backends import BACKENDS
from steps.collect_embeddings import collect_embeddings
from steps.draw_utterances import draw_utterances
from steps.evaluate import evaluate
from steps.extract import extract, load_network
from steps.score import score
from steps.train import train
from steps.train_backend import train_backend
from tests.conftest import ROOT
from tests.training_runs import (
    assert_same_end,
    history,
    num_parameters,
    steps_on_disk,
    stop_after,
    train_tiny,
    variant,
)
from utils.config import build, read_yaml
from utils.data_dir.derive import drawn_utterances
from utils.embeddings.inference import embed_utterances, open_packed
from utils.errors import UserError
from utils.metrics.rates import equal_error_rate
from utils.training.checkpoints import load_checkpoint
from utils.training.sampling import CropDataset
from utils.training.validation import Centre, DevTrials


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    """An experiment that ran in one go."""
    output = tmp_path_factory.mktemp("undisturbed") / "exp"
    train_tiny(corpus, output)
    return output


def wait_for_the_next_second():
    """TensorBoard orders files by the second they started in; a resumed run starts later."""
    time.sleep(1.01 - time.time() % 1)


def scalars(experiment):
    """TensorBoard's curves: name -> [(step, value)]."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(experiment / "tensorboard"))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


@pytest.mark.slow
def test_the_loss_falls(corpus, tmp_path):
    config = variant(
        corpus,
        tmp_path,
        ("speed_factors: [1.0, 1.1]", ""),
        ("  spec_augment: {max_freq_bins: 8, max_time_frames: 4}\n", ""),
    )
    counts = train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert counts == {
        "steps": 40,
        "draws": 240,
        "classes": 4,
        "utterances": 32,
        "processes": 1,
        "device": "cpu",
        "parameters": num_parameters(tmp_path / "exp"),
    }
    losses = [entry["loss"] for entry in history(tmp_path / "exp") if "loss" in entry]
    first, last = sum(losses[:10]) / 10, sum(losses[-10:]) / 10
    print(f"mean loss of the first ten steps {first:.2f}, of the last ten {last:.2f}")
    assert last < 0.85 * first


@pytest.mark.slow
def test_without_dev_nothing_is_validated_and_the_weights_are_the_same(
    corpus, undisturbed, tmp_path
):
    train(corpus / "train", Path("none"), corpus / "config.yaml", tmp_path / "exp", num_threads=1)
    assert not any("dev_eer_percent" in entry for entry in history(tmp_path / "exp"))
    ours, theirs = (
        load_checkpoint(folder / "checkpoints" / "average.pt")["network"]
        for folder in (tmp_path / "exp", undisturbed)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_history_and_tensorboard_tell_loss_accuracy_and_eer(undisturbed):
    entries = history(undisturbed)
    assert [entry["step"] for entry in entries if "loss" in entry] == list(range(1, 41))
    assert [entry["step"] for entry in entries if "dev_eer_percent" in entry] == [20, 40]
    curves = scalars(undisturbed)
    for name in ("loss", "accuracy", "learning_rate", "dev_eer_percent"):
        assert curves[name] == [
            (entry["step"], pytest.approx(entry[name])) for entry in entries if name in entry
        ]
    steps = list(range(1, 41))
    for name in ("data_wait_fraction", "crops_per_second"):
        assert [step for step, _ in curves[name]] == steps
        assert all(value > 0 for _, value in curves[name])
    assert all(value < 1 for _, value in curves["data_wait_fraction"])
    assert "margin" not in curves
    assert not any("crops_per_second" in entry for entry in entries)
    assert all(
        0 <= entry.get("dev_eer_percent", 0) <= 100 and 0 <= entry.get("accuracy", 0) <= 1
        for entry in entries
    )


def test_the_average_is_that_of_the_last_checkpoints_and_step_0_is_the_untrained_network(
    undisturbed,
):
    assert steps_on_disk(undisturbed) == [0, 30, 40]
    average, thirty, forty = (
        load_checkpoint(undisturbed / "checkpoints" / f"{name}.pt")
        for name in ("average", "step-0000030", "step-0000040")
    )
    assert average["averaged_steps"] == [30, 40]
    for name, value in average["network"].items():
        mean = (
            (thirty["network"][name].double() + forty["network"][name].double()) / 2
            if value.is_floating_point()
            else forty["network"][name]
        )
        assert torch.equal(value, mean.to(value.dtype)), name
    from steps.models import MODELS

    torch.manual_seed(1)
    untrained = build(MODELS, read_yaml(undisturbed / "config.yaml")["model"], "model").state_dict()
    saved = load_checkpoint(undisturbed / "checkpoints" / "step-0000000.pt")["network"]
    assert all(torch.equal(value, saved[name]) for name, value in untrained.items())


def test_finished_it_does_nothing_more(corpus, undisturbed, monkeypatch):
    monkeypatch.setattr("steps.train.assemble", None)
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    assert train_tiny(corpus, undisturbed)["steps"] == 40
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


@pytest.mark.parametrize(("step", "number"), [(13, signal.SIGTERM), (35, signal.SIGUSR1)])
@pytest.mark.slow
def test_stopped_by_a_signal_it_goes_on_to_the_same_weights(
    corpus, undisturbed, tmp_path, monkeypatch, step, number
):
    before = signal.getsignal(number)
    stop_after(step, monkeypatch, number)
    with pytest.raises(
        UserError, match=f"stopped by {number.name} after step {step}; the state is saved"
    ):
        train_tiny(corpus, tmp_path / "exp")
    assert signal.getsignal(number) == before
    assert steps_on_disk(tmp_path / "exp")[-1] == step
    assert not (tmp_path / "exp" / "receipts" / "train.json").exists()
    monkeypatch.undo()
    wait_for_the_next_second()
    train_tiny(corpus, tmp_path / "exp")
    assert_same_end(tmp_path / "exp", undisturbed)
    assert [step for step, _ in scalars(tmp_path / "exp")["loss"]] == list(range(1, 41))


@pytest.mark.slow
def test_what_was_logged_behind_the_last_checkpoint_is_forgotten(
    corpus, undisturbed, tmp_path, monkeypatch
):
    stop_after(13, monkeypatch, signal.SIGTERM)
    with pytest.raises(UserError, match="stopped"):
        train_tiny(corpus, tmp_path / "exp")
    monkeypatch.undo()
    (
        tmp_path / "exp" / "checkpoints" / "step-0000013.pt"
    ).unlink()  # as if it had died before this one was whole
    assert history(tmp_path / "exp")[-1]["step"] == 13
    wait_for_the_next_second()
    train_tiny(corpus, tmp_path / "exp")
    assert_same_end(tmp_path / "exp", undisturbed)
    assert [step for step, _ in scalars(tmp_path / "exp")["loss"]] == list(range(1, 41))


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(
    corpus, undisturbed, tmp_path, monkeypatch, capfd
):
    stop_after(23, monkeypatch, signal.SIGTERM)
    with pytest.raises(UserError, match="stopped"):
        train_tiny(corpus, tmp_path / "exp")
    monkeypatch.undo()
    os.truncate(tmp_path / "exp" / "checkpoints" / "step-0000023.pt", 3000)
    train_tiny(corpus, tmp_path / "exp")
    assert_same_end(tmp_path / "exp", undisturbed)
    said = capfd.readouterr().err
    assert re.search(
        r"WARNING: .*step-0000023.pt: not a whole checkpoint.*going back to the one before", said
    )
    assert "resuming from step 20 of 40" in said


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(corpus, undisturbed, tmp_path):
    train_tiny(corpus, tmp_path / "exp", num_workers=2)
    assert_same_end(tmp_path / "exp", undisturbed)


def test_another_seed_gives_other_weights_and_other_draws(corpus, undisturbed, tmp_path):
    train_tiny(corpus, tmp_path / "exp", seed=2, steps=2)
    one, other = (
        load_checkpoint(path / "checkpoints" / "step-0000000.pt")["network"]
        for path in (undisturbed, tmp_path / "exp")
    )
    assert not all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def unfinished(corpus, tmp_path, monkeypatch):
    """An experiment that was stopped after five steps."""
    stop_after(5, monkeypatch, signal.SIGTERM)
    with pytest.raises(UserError, match="stopped"):
        train_tiny(corpus, tmp_path / "exp")
    monkeypatch.undo()
    monkeypatch.delenv("SV_FORCE", raising=False)
    return tmp_path / "exp"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_configuration_does_not_go_on_in_an_unfinished_experiment(
    corpus, unfinished, tmp_path
):
    before = contents(unfinished)
    config = variant(corpus, tmp_path, ("embedding_dim: 16", "embedding_dim: 24"))
    with pytest.raises(
        UserError,
        match="unfinished training of another configuration: "
        "config.model.embedding_dim was 16, is 24; choose",
    ):
        train(corpus / "train", corpus / "dev", config, unfinished, num_threads=1)
    assert contents(unfinished) == before
    with pytest.raises(UserError, match="config.seed was 1, is 2"):
        train_tiny(corpus, unfinished, seed=2)


def test_other_data_do_not_go_on_in_an_unfinished_experiment(corpus, unfinished, tmp_path):
    dev = shutil.copytree(corpus / "dev", tmp_path / "dev")
    (dev / "trials").write_text(
        "".join((dev / "trials").read_text().splitlines(keepends=True)[:-1])
    )
    with pytest.raises(UserError, match="another configuration: inputs.dev/trials was"):
        train(corpus / "train", dev, corpus / "config.yaml", unfinished, num_threads=1)


def test_force_moves_the_unfinished_experiment_aside_and_begins_anew(
    corpus, unfinished, tmp_path, monkeypatch
):
    old = load_checkpoint(unfinished / "checkpoints" / "step-0000005.pt")
    config = variant(corpus, tmp_path, ("embedding_dim: 16", "embedding_dim: 24"))
    monkeypatch.setenv("SV_FORCE", "1")
    train(corpus / "train", corpus / "dev", config, unfinished, num_threads=1, steps=2)
    assert [entry["step"] for entry in history(unfinished)] == [1, 2, 2]
    assert steps_on_disk(unfinished) == [0, 2]
    assert read_yaml(unfinished / "config.yaml")["model"]["embedding_dim"] == 24
    moved = unfinished / "old.1"
    kept = load_checkpoint(moved / "checkpoints" / "step-0000005.pt")
    assert all(torch.equal(value, kept["network"][name]) for name, value in old["network"].items())
    assert [entry["step"] for entry in history(moved)] == [1, 2, 3, 4, 5]
    assert (moved / "config.yaml").exists()


def test_force_moves_a_finished_experiment_aside_with_its_receipt(corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("SV_FORCE", raising=False)
    train_tiny(corpus, tmp_path / "exp", steps=1)
    with pytest.raises(UserError, match="stale: option steps was 1, is 2; --force redoes it"):
        train_tiny(corpus, tmp_path / "exp", steps=2)
    monkeypatch.setenv("SV_FORCE", "1")
    assert train_tiny(corpus, tmp_path / "exp", steps=2)["steps"] == 2
    assert steps_on_disk(tmp_path / "exp") == [0, 2]
    assert steps_on_disk(tmp_path / "exp" / "old.1") == [0, 1]
    assert (
        json.loads((tmp_path / "exp" / "old.1" / "receipts" / "train.json").read_text())["options"][
            "steps"
        ]
        == 1
    )


def cosines_of(corpus, network, mean):
    """EER of the dev trials in percent after a mean is taken away, without any back end."""
    keys, reader = open_packed(corpus / "dev", 16000)
    vectors = embed_utterances(network, reader, range(len(keys))).astype(np.float64) - mean
    unit = dict(zip(keys, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    trials = [line.split() for line in (corpus / "dev" / "trials").read_text().splitlines()]
    scores = np.array([unit[enrol] @ unit[test] for enrol, test, _ in trials])
    is_target = np.array([kind == "target" for *_, kind in trials])
    return 100 * equal_error_rate(scores[is_target], scores[~is_target]), scores


def test_validation_takes_the_mean_of_training_utterances_away(corpus, undisturbed):
    network, _ = load_network(undisturbed, "step-0000040")
    keys, reader = open_packed(corpus / "train", 16000)
    mean = embed_utterances(network, reader, range(len(keys))).mean(axis=0)
    expected, scores = cosines_of(corpus, network, mean)
    last = history(undisturbed)[-1]
    assert last["dev_eer_percent"] == pytest.approx(expected)
    assert last["dev_centred_by"] == len(keys) == 32
    assert np.abs(scores - cosines_of(corpus, network, 0)[1]).max() > 0.1, "centring shows"


@pytest.mark.parametrize(
    ("back_end", "centred_by"),
    [
        ("name: cosine\nsubtract_mean: false\n", 0),
        ("name: euclidean\n", 0),
        ("name: cosine\nsubtract_mean: false\nlinks: [{name: scale}]\n", 0),
        ("name: cosine\nsubtract_mean: false\nlinks: [{name: mean}]\n", 32),
        ("name: plda\n", 32),
    ],
)
def test_validation_is_centred_as_the_back_end_is(corpus, tmp_path, back_end, centred_by):
    path = tmp_path / "back_end.yaml"
    path.write_text(back_end)
    train_tiny(corpus, tmp_path / "exp", steps=1, centred_as=path)
    last = history(tmp_path / "exp")[-1]
    assert last["dev_centred_by"] == centred_by
    network, _ = load_network(tmp_path / "exp", "step-0000001")
    keys, reader = open_packed(corpus / "train", 16000)
    mean = embed_utterances(network, reader, range(len(keys))).mean(axis=0) if centred_by else 0
    assert last["dev_eer_percent"] == pytest.approx(cosines_of(corpus, network, mean)[0])


def test_at_most_so_many_training_utterances_are_drawn_by_the_seed(corpus, undisturbed):
    network, _ = load_network(undisturbed, "step-0000040")
    keys, reader = open_packed(corpus / "train", 16000)
    rows = [keys.index(key) for key in drawn_utterances(keys, 1, 5)]
    centre = Centre(reader, rows)
    validate = DevTrials(corpus / "dev", network.front_end, BACKENDS["cosine"], centre)
    mean = embed_utterances(network, reader, rows).mean(axis=0)
    found = validate(network)
    assert found["dev_centred_by"] == 5
    assert found["dev_eer_percent"] == pytest.approx(cosines_of(corpus, network, mean)[0])


@pytest.mark.parametrize("centred_as", ["cosine", "plain_cosine"])
def test_one_checkpoint_one_figure(corpus, undisturbed, tmp_path, centred_as):
    """What a row of the table says of a checkpoint is what validation says of it."""
    network, _ = load_network(undisturbed, "step-0000040")
    draw_utterances(corpus / "train", tmp_path / "train_drawn", seed=1)
    for name, data in (("train_drawn", tmp_path), ("dev", corpus)):
        folder = tmp_path / "embeddings" / name
        extract(undisturbed, data / name, folder, checkpoint="step-0000040")
        collect_embeddings(data / name, folder, jobs=1)
    back_end = ROOT / "conf" / "backends" / f"{centred_as}.yaml"
    train_backend(tmp_path / "embeddings" / "train_drawn", tmp_path / "cosine", centred_as=back_end)
    scores = tmp_path / "exp" / "scores" / "dev" / "cosine.scores"
    shutil.copytree(corpus / "dev", tmp_path / "tested" / "dev")
    score(tmp_path / "cosine", tmp_path / "embeddings" / "dev", corpus / "dev" / "trials", scores)
    evaluate(tmp_path / "exp", tmp_path / "tested", replicates=0)
    row = json.loads((tmp_path / "exp" / "results.json").read_text())[0]
    centre = None
    told = "not centred"
    if centred_as == "cosine":
        keys, reader = open_packed(corpus / "train", 16000)
        centre = Centre(reader, range(len(keys)))
        told = "mean of train_drawn (32 utterances)"
    validate = DevTrials(corpus / "dev", network.front_end, BACKENDS["cosine"], centre)
    assert row["eer_percent"] == pytest.approx(validate(network)["dev_eer_percent"], abs=1e-3)
    assert row["centred"] == told


def test_steps_on_the_command_line_replace_the_epochs_of_the_yaml(corpus, tmp_path):
    config = variant(corpus, tmp_path, ("steps: 40", "epochs: 3"))
    assert (
        train(corpus / "train", corpus / "dev", config, tmp_path / "three", num_threads=1)["steps"]
        == 3 * 32 // 6
    )
    assert (
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=2)[
            "steps"
        ]
        == 2
    )
    options = read_yaml(tmp_path / "exp" / "config.yaml")["training"]
    assert (options["steps"], options["epochs"]) == (2, None)


def test_a_loss_that_is_not_finite_ends_the_training(corpus, tmp_path):
    config = variant(
        corpus, tmp_path, ("learning_rate: 1e-2", "learning_rate: 1e30"), (", clip_norm: 5.0", "")
    )
    with pytest.raises(
        UserError, match=r"exp: the loss is (nan|inf) at step \d+; lower optimizer.learning_rate"
    ):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert all(
        "loss" not in entry or entry["loss"] < float("inf") for entry in history(tmp_path / "exp")
    )


def test_a_margin_loss_gets_the_margin_of_the_schedule_and_bf16_trains(
    corpus, tmp_path, monkeypatch
):
    from steps.losses import LOSSES

    margins, plain = [], LOSSES["am_softmax"].with_margin

    def noting(self, cosine_B1):
        margins.append(self.margin)
        return plain(self, cosine_B1)

    monkeypatch.setattr(LOSSES["am_softmax"], "with_margin", noting)
    config = variant(
        corpus,
        tmp_path,
        ("name: softmax", "name: am_softmax, margin: 0.2"),
        ("steps: 40", "steps: 4, precision: bf16"),
        ("name: cosine", "name: cosine, margin_warmup_fraction: 0.5"),
    )
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert margins == pytest.approx([0, 0.1, 0.2, 0.2])
    assert [value for _, value in scalars(tmp_path / "exp")["margin"]] == pytest.approx(margins)
    weights = load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["network"].values()
    assert {value.dtype for value in weights if value.is_floating_point()} == {torch.float32}


def test_a_bank_that_the_yaml_does_not_use_makes_no_difference(corpus, tmp_path):
    train_tiny(corpus, tmp_path / "exp", steps=1, bank=tmp_path / "no bank")
    receipt = json.loads((tmp_path / "exp" / "receipts" / "train.json").read_text())
    assert "bank" not in receipt["inputs"]
    config = variant(
        corpus, tmp_path, ("speed_factors: [1.0, 1.1]", "chain: [{name: noise, probability: 0.5}]")
    )
    with pytest.raises(
        UserError,
        match="no bank/receipts/augment.json is missing: the step that makes it has not finished",
    ):
        train(
            corpus / "train",
            corpus / "dev",
            config,
            tmp_path / "other",
            num_threads=1,
            bank=tmp_path / "no bank",
        )


def test_every_draw_is_taken_once_and_in_order(corpus, tmp_path, monkeypatch):
    draws, plain = [], CropDataset.__getitem__
    monkeypatch.setattr(
        CropDataset, "__getitem__", lambda self, draw: draws.append(draw) or plain(self, draw)
    )
    train_tiny(corpus, tmp_path / "exp", steps=6)
    assert draws == list(range(36))
