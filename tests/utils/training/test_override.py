"""A training YAML with values of --override: as a YAML that is based on it, and refused like it."""

import re
from pathlib import Path

import pytest

from steps.losses import LOSSES
from tests.utils.training.test_phases import PHASES, split_phases
from tests.voices import CONFIG
from utils.config import build
from utils.errors import UserError, WrongArguments
from utils.training.settings import read_settings
from utils.training.source import StartOptions

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


@pytest.mark.parametrize(
    ("override", "options", "phases"),
    [
        ("training.epochs=null", {"steps": 40, "epochs": None}, ""),
        ("training.steps=null,training.epochs=3", {"steps": None, "epochs": 3}, ""),
        ("phases.a.training.epochs=null", {"steps": 40}, "phases: [{name: a}]"),
        ("loss.margin=0.1", {"steps": 40}, "phases: [{name: a, training: {epochs: null}}]"),
    ],
)
def test_null_of_one_of_two_alternatives_leaves_the_other(tmp_path, override, options, phases):
    (settings,) = overridden(tmp_path, override, phases)
    assert vars(settings.training) == vars(settings.training) | options
    (settings,) = overridden(tmp_path, "crops.batches=null")
    assert settings.crops.rows_per_batch == 6


@pytest.mark.parametrize(
    "written", ["", "start_from: y\n", "start_from: {source: y, head: random}\n"]
)
@pytest.mark.parametrize(("override", "source"), [("start_from=a/b", "a/b"), ("start_from=b", "b")])
def test_a_source_alone_is_the_short_form_of_the_section(tmp_path, written, override, source):
    (settings,) = overridden(tmp_path, override, written)
    assert settings.start == StartOptions(source)
    (settings,) = overridden(tmp_path, "start_from.head=source", "start_from: y\n")
    assert settings.start == StartOptions("y", "source")


@pytest.mark.parametrize(
    ("override", "name", "source"),
    [
        ("loss.margin=0.45", "x-margin0.45-75f6dc", "y"),
        ("loss.margin=0.45", "x-tiny-margin0.45-75f6dc", "y-tiny"),
        ("loss.margin=0.45", "x-tiny-policy-margin0.45-75f6dc-mine", "y-tiny-policy-mine"),
        ("loss.margin=0.45", "x-tiny-margin0.45-75f6dcb", "y-tiny-margin0.45-75f6dcb"),
        ("loss.margin=0.45", "x-tiny", "y-tiny"),
        ("loss.margin=0.45", "other", "y"),
        ("start_from=z", "x-tiny-start_fromz-eb60b0", "z-tiny"),
    ],
)
def test_the_source_has_the_suffixes_of_the_experiment_but_for_the_override(
    tmp_path, override, name, source
):
    (settings,) = overridden(tmp_path, override, "start_from: y\n")
    settings.find_source(Path("exp") / name)
    assert settings.source == Path("exp") / source


def test_the_first_weights_of_a_phase_are_changed(tmp_path):
    _, second = overridden(tmp_path, "phases.margin.weights_from=previous", PHASES)
    assert second.phase.weights_from == "previous"
    _, second = overridden(tmp_path, "phases.margin.weights_from=null", PHASES)
    assert second.phase.weights_from == "random"


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
        ("optimizer=null", r"--override: optimizer: found null, and this section has no default"),
        ("schedule.name=null", r"--override: schedule: name: no 'None'"),
        ("start_from=3", r"--override: start_from: found 3 \(a whole number\), expected text or"),
        ("start_from=''", r"start_from with --override: source is empty"),
        ("teacher.student_seconds=1", r"teacher with --override: key 'experiment' is missing"),
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
    with pytest.raises(WrongArguments, match=message) as caught:
        overridden(tmp_path, override)
    assert "\n" not in str(caught.value)


def test_keys_of_network_and_loss_are_refused_when_they_are_built(tmp_path):
    (settings,) = overridden(tmp_path, "loss.margn=1")
    expected = re.escape("--override: loss: unknown key 'margn'")
    with pytest.raises(WrongArguments, match=expected):
        build(LOSSES, settings.sections["loss"], settings.where("loss"))


def test_a_fault_of_the_yaml_is_not_one_of_the_override(tmp_path):
    (tmp_path / "x.yaml").write_text(CONFIG.replace("{steps: 40", "{step: 40"))
    with pytest.raises(UserError, match="x.yaml: training: unknown key 'step'") as caught:
        read_settings(tmp_path / "x.yaml", override="training.epochs=1")
    assert not isinstance(caught.value, WrongArguments)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phases.x.loss.margin=1", r"--override: phases: no phase 'x'; known: softmax, margin"),
        ("phases.margin=1", r"--override: phases: margin: found 1 .* expected margin.KEY=VALUE"),
        (
            "phases.margin.start_from.source=/no",
            r"--override: phases.margin: unknown key 'start_fr",
        ),
        ("phases.margin.phases=[{name: a}]", r"unknown key 'phases'; known: weights_from, freeze,"),
        ("phases.margin.weights_from=last", r"phases.margin: weights_from: found 'last' \(text\)"),
        ("phases.softmax.weights_from=previous", r"phase 1 with --override: weights_from is prev"),
        ("phases.margin.loss=null", r"--override: loss: found null"),
        ("phases.margin.training.steps=3", r"training.steps is given beside --steps; leave one"),
    ],
)
def test_a_wrong_override_of_a_phase_is_named(tmp_path, override, message):
    with pytest.raises(WrongArguments, match=message):
        overridden(tmp_path, override, PHASES, steps=3)
