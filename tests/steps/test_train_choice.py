"""The network of the lowest EER on the dev trials, and layers frozen where speakers are few."""

import json
import signal

import pytest
import torch

from steps.train import NO_DEV, train
from tests.models_for_tests import make_model
from tests.training_runs import assert_same_end, history, steps_on_disk, stop_after
from utils.config import read_yaml
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint, weights_digest
from utils.training.settings import TrainingOptions, read_phases

LENGTH = "steps: 6, validate_every_steps: 2, checkpoint_every_steps: 1"
CHOICE = f"training: {{{LENGTH}, choose_by_dev: true}}\n"


def write_config(corpus, folder, *more, training=CHOICE, rate="1e-2"):
    """The tiny YAML with this training."""
    text = (corpus / "config.yaml").read_text().split("training:")[0]
    path = folder / "tiny.yaml"
    path.write_text(text.replace("1e-2", rate) + training + "".join(more))
    return path


def run(corpus, folder, config, **options):
    train(corpus / "train", corpus / "dev", config, folder, num_threads=1, **options)
    return folder


def network(experiment, name):
    return load_checkpoint(experiment / "checkpoints" / f"{name}.pt")["network"]


def dev_eers(experiment):
    """Step -> EER of the validations."""
    return {
        entry["step"]: entry["dev_eer_percent"]
        for entry in history(experiment)
        if "dev_eer_percent" in entry
    }


def chosen_step(experiment):
    receipt = json.loads((experiment / "receipts" / "train.json").read_text())
    return receipt["counts"]["chosen_step"]


def test_the_network_of_the_lowest_dev_eer_is_taken_and_kept(corpus, tmp_path):
    exp = run(corpus, tmp_path / "exp", write_config(corpus, tmp_path))
    eers = dev_eers(exp)
    assert list(eers) == [0, 2, 4, 6]
    best = min(eers, key=lambda step: (eers[step], step))
    assert chosen_step(exp) == best
    assert set(steps_on_disk(exp)) == {0, 5, 6, best}, "the last two, as without a choice"
    chosen = load_checkpoint(exp / "checkpoints" / f"step-{best:07d}.pt")
    taken = load_checkpoint(exp / "checkpoints" / "average.pt")
    assert weights_digest(taken["network"]) == weights_digest(chosen["network"])
    assert weights_digest(taken["loss"]) == weights_digest(chosen["loss"])


def test_where_training_does_harm_the_first_network_is_taken(corpus, tmp_path, monkeypatch):
    calls = iter([10.0, 12.0, 10.0, 11.0])
    monkeypatch.setattr(
        "utils.training.validation.DevTrials.__call__",
        lambda self, network: {"dev_eer_percent": next(calls), "dev_centred_by": 0},
    )
    exp = run(corpus, tmp_path / "exp", write_config(corpus, tmp_path))
    assert chosen_step(exp) == 0, "the earliest of equals"
    assert weights_digest(network(exp, "average")) == weights_digest(network(exp, "step-0000000"))


def test_a_later_one_is_kept_while_training_goes_on(corpus, tmp_path, monkeypatch, capsys):
    calls = iter([30.0, 10.0, 20.0, 20.0])
    monkeypatch.setattr(
        "utils.training.validation.DevTrials.__call__",
        lambda self, network: {"dev_eer_percent": next(calls), "dev_centred_by": 0},
    )
    exp = run(corpus, tmp_path / "exp", write_config(corpus, tmp_path))
    assert steps_on_disk(exp) == [0, 2, 5, 6]
    assert weights_digest(network(exp, "average")) == weights_digest(network(exp, "step-0000002"))
    said = capsys.readouterr().err
    assert "step 2 of 6 is taken: dev EER 10.00 %, before training 30.00 %" in said


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3])
def test_stopped_it_chooses_the_same(corpus, tmp_path, monkeypatch, step):
    config = write_config(corpus, tmp_path)
    one = run(corpus, tmp_path / "one", config)
    with monkeypatch.context() as patch:
        stop_after(step, patch, signal.SIGTERM)
        with pytest.raises(UserError, match=f"stopped by SIGTERM after step {step}"):
            run(corpus, tmp_path / "other", config)
    assert_same_end(one, run(corpus, tmp_path / "other", config))
    assert chosen_step(tmp_path / "other") == chosen_step(one)


def test_a_frozen_network_is_not_validated_again_and_again(corpus, tmp_path):
    phases = (
        "phases:\n  - {name: head, freeze: [network.*]}\n"
        "  - {name: all, weights_from: previous_with_loss}\n"
    )
    exp = run(corpus, tmp_path / "exp", write_config(corpus, tmp_path, phases))
    assert dev_eers(exp / "phases" / "1_head") == {}
    assert list(dev_eers(exp)) == [0, 2, 4, 6]
    head = load_checkpoint(exp / "phases" / "1_head" / "checkpoints" / "step-0000006.pt")["loss"]
    begun = load_checkpoint(exp / "checkpoints" / "step-0000000.pt")["loss"]
    assert weights_digest(begun) == weights_digest(head), "the head has learned"


def test_without_dev_trials_there_is_no_choice(corpus, tmp_path):
    with pytest.raises(UserError, match="training: choose_by_dev needs dev trials"):
        train(corpus / "train", NO_DEV, write_config(corpus, tmp_path), tmp_path / "exp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"average_checkpoints": 2}, "takes one checkpoint, and average_checkpoints is 2"),
        ({"validate_every_steps": 750}, "validate_every_steps is 750, expected a multiple of"),
    ],
)
def test_options_that_contradict_a_choice_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(steps=9, choose_by_dev=True, **options)


@pytest.mark.parametrize("num_dimensions", [4, 5])
def test_layers_are_frozen_if_speakers_are_fewer_than_dimensions(
    corpus, tmp_path, num_dimensions, capsys
):
    """The corpus has four speakers."""
    freeze = "freeze: [network.embedding.*]\nfreeze_if_few: [network.conv.*]\n"
    config = write_config(corpus, tmp_path, freeze)
    config.write_text(config.read_text().replace("_dim: 16", f"_dim: {num_dimensions}"))
    exp = run(corpus, tmp_path / "exp", config, steps=2)
    begun, now = network(exp, "step-0000000"), network(exp, "step-0000002")
    few = num_dimensions == 5
    assert torch.equal(begun["conv.0.weight"], now["conv.0.weight"]) == few
    assert torch.equal(begun["embedding.weight"], now["embedding.weight"])
    assert not torch.equal(begun["frames.weight"], now["frames.weight"])
    said = capsys.readouterr().err
    assert ("4 speakers, fewer than the embedding's 5 dimensions" in said) == few
    assert ("4 speakers are enough for the layers before the last" in said) != few


@pytest.mark.parametrize("num_dimensions", [4, 16])
def test_a_name_that_matches_nothing_is_one_line(corpus, tmp_path, num_dimensions):
    config = write_config(corpus, tmp_path, "freeze_if_few: [network.trunk9.*]\n")
    config.write_text(config.read_text().replace("_dim: 16", f"_dim: {num_dimensions}"))
    message = "freeze, freeze_if_few: no parameter's name matches 'network.trunk9"
    with pytest.raises(UserError, match=message):
        run(corpus, tmp_path / "exp", config)


def test_an_override_frees_the_layers_of_a_phase(corpus, tmp_path):
    phases = "phases:\n  - {name: only, freeze_if_few: [network.conv.*]}\n"
    config = write_config(corpus, tmp_path, phases)
    (settings,) = read_phases(config, override="phases.only.freeze_if_few=[]")
    assert settings.freeze_if_few == ()
    (settings,) = read_phases(config, override="phases.only.freeze=[loss.*]")
    assert settings.freeze == ["loss.*"]
    config.write_text(config.read_text().replace("[network.conv.*]", "network.conv.*"))
    with pytest.raises(UserError, match="phase 1: freeze_if_few: found 'network.conv.*', expected"):
        read_phases(config)


def test_an_override_of_the_source_is_for_the_first_phase(corpus, tmp_path):
    make_model(tmp_path / "model")
    phases = "phases:\n  - {name: a}\n  - {name: b, weights_from: previous_with_loss}\n"
    config = write_config(corpus, tmp_path, "start_from: models/none\n", phases)
    override = f'start_from.source="{tmp_path}/model"'
    first, second = read_phases(config, override=override)
    assert (first.start.source, second.start) == (f"{tmp_path}/model", None)
    exp = run(corpus, tmp_path / "exp", config, steps=1, override=override)
    assert "start_from" not in read_yaml(exp / "config.yaml")
