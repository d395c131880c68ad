"""A training YAML with values of --override: as a YAML that is based on it, and refused like it."""

import re

import pytest

from steps.losses import LOSSES
from tests.utils.training.test_phases import PHASES, split_phases
from utils.config import build
from utils.errors import UserError
from utils.training.settings import read_settings

BASED = """\
base: x.yaml
optimizer: {learning_rate: 0.001}
crops: {batch_size: 8}
loss: {name: am_softmax, margin: 0.3}
augmentation:
"""
SAME = "optimizer.learning_rate=1e-3,crops.batch_size=8,loss={name: am_softmax, margin: 0.3}"


def overridden(tmp_path, override, text="", **options):
    return split_phases(tmp_path, text, override=override, **options)


def test_it_is_what_a_yaml_based_on_it_would_say(tmp_path):
    (settings,) = overridden(tmp_path, SAME + ",augmentation=null")
    (tmp_path / "based.yaml").write_text(BASED)
    based = read_settings(tmp_path / "based.yaml")
    assert settings.sections == based.sections
    assert settings.optimizer.learning_rate == based.optimizer.learning_rate == 0.001
    assert settings.sections["loss"] == {"name": "am_softmax", "margin": 0.3}
    assert "augmentation" not in settings.sections


def test_it_is_laid_over_a_yaml_that_has_a_base(tmp_path):
    (tmp_path / "based.yaml").write_text(BASED)
    split_phases(tmp_path, "")
    settings = read_settings(tmp_path / "based.yaml", override="optimizer.clip_norm=1")
    assert (settings.optimizer.learning_rate, settings.optimizer.clip_norm) == (0.001, 1)


def test_one_of_two_alternatives_replaces_the_other(tmp_path):
    override = "training.epochs=3,crops.batches={speakers: 2, utterances: 2}"
    (settings,) = overridden(tmp_path, override)
    assert (settings.training.epochs, settings.training.steps) == (3, None)
    assert settings.crops.rows_per_batch == 4


def test_all_phases_are_changed_or_one_by_its_name(tmp_path):
    override = "optimizer.clip_norm=1,phases.margin.loss.margin=0.3"
    first, second = overridden(tmp_path, override, PHASES)
    assert (first.optimizer.clip_norm, second.optimizer.clip_norm) == (1, 1)
    assert first.sections["loss"] == {"name": "softmax"}
    assert second.sections["loss"] == {"name": "am_softmax", "margin": 0.3}


def test_a_separate_augmentation_is_changed_too(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("speed_factors: [0.9, 1.0]\n")
    (settings,) = overridden(tmp_path, "augmentation.speed_factors=[1.0]", augmentation=policy)
    assert settings.augmentation.speed_factors == (1.0,)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("los.margin=1", r"--override: unknown key 'los'; did you mean 'loss'\?"),
        (
            "crops.crop_second=1",
            r"--override: crops: unknown key 'crop_second'; did you mean 'crop_seconds'\?",
        ),
        (
            "optimizer.learning_rate=fast",
            r"--override: optimizer: learning_rate: found 'fast' \(text\), expected a number",
        ),
        ("optimizer=3", r"--override: optimizer: found 3 \(a whole number\), expected a mapping"),
        ("optimizer=null", r"x.yaml with --override: key 'optimizer' is missing"),
        (
            "optimizer.learning_rate=-1",
            r"x.yaml: optimizer with --override: learning_rate is -1.0, expected more than 0",
        ),
        ("schedule.name=cosin", r"--override: schedule: name: no 'cosin'; did you mean 'cosine'"),
        ("training.steps=1,training.epochs=1", r"steps and epochs: expected one of the two"),
        ("phases.margin.loss.margin=1", r"--override: phases: no phase 'margin'; known: none"),
        ("phases=1", r"--override: phases: found 1 \(a whole number\), expected phases.KEY=VALUE"),
        ("training.steps=1,training.steps=2", r"--override: training.steps is given twice"),
    ],
)
def test_what_is_wrong_is_refused_like_the_yaml(tmp_path, override, message):
    with pytest.raises(UserError, match=message) as caught:
        overridden(tmp_path, override)
    assert "\n" not in str(caught.value)


def test_keys_of_network_and_loss_are_refused_when_they_are_built(tmp_path):
    (settings,) = overridden(tmp_path, "loss.margn=1")
    expected = re.escape("--override: loss: unknown key 'margn'")
    with pytest.raises(UserError, match=expected):
        build(LOSSES, settings.sections["loss"], settings.where("loss"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phases.x.loss.margin=1", r"--override: phases: no phase 'x'; known: softmax, margin"),
        ("phases.margin=1", r"--override: phases: margin: found 1 .* expected margin.KEY=VALUE"),
        ("phases.margin.weights_from=random", r"--override: phases.margin: unknown key 'weights"),
        ("phases.margin.training.steps=3", r"training.steps is given beside --steps; leave one"),
    ],
)
def test_a_wrong_override_of_a_phase_is_named(tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        overridden(tmp_path, override, PHASES, steps=3)
