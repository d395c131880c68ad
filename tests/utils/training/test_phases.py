"""Phases of a training YAML: what each is made of, and what is refused in one line."""

import pytest

from tests.voices import CONFIG
from utils.errors import UserError
from utils.training.phases import override_section
from utils.training.settings import read_phases, read_settings

PHASES = """\
phases:
  - name: softmax
    training: {epochs: 2}
    crops: {batches: {speakers: 2, utterances: 2}}
  - name: margin
    weights_from: previous_with_loss
    loss: {name: am_softmax}
    augmentation:
    schedule: {name: constant}
"""


def split_phases(tmp_path, text, **options):
    (tmp_path / "x.yaml").write_text(CONFIG + text)
    return read_phases(tmp_path / "x.yaml", **options)


def test_a_file_without_phases_is_one_training(tmp_path):
    (alone,) = split_phases(tmp_path, "")
    assert (alone.phase, alone.is_last, alone.where("loss")) == (
        None,
        True,
        f"{tmp_path}/x.yaml: loss",
    )
    assert alone.folder(tmp_path) == tmp_path


def test_a_phase_is_laid_over_the_file_key_by_key_and_a_named_section_stands_alone(tmp_path):
    first, second = split_phases(tmp_path, PHASES)
    assert (first.training.epochs, first.training.steps, first.training.checkpoint_every_steps) == (
        2,
        None,
        10,
    )
    assert (first.crops.rows_per_batch, first.crops.crop_seconds) == (4, 0.5)
    assert first.augmentation.speed_factors == (1.0, 1.1)
    assert first.sections["loss"] == {"name": "softmax"}
    assert second.sections["loss"] == {"name": "am_softmax"}
    assert second.sections["schedule"] == {"name": "constant"}
    assert (
        second.training.steps,
        second.crops.rows_per_batch,
        second.augmentation.speed_factors,
    ) == (
        40,
        6,
        (1.0,),
    )
    assert second.optimizer.clip_norm == 5.0
    assert (first.phase.weights_from, second.phase.weights_from) == ("random", "previous_with_loss")
    assert read_settings(tmp_path / "x.yaml").sections == second.sections


def test_each_phase_has_a_folder_and_the_last_is_the_experiment(tmp_path):
    first, second = split_phases(tmp_path, PHASES)
    assert [phase.folder(tmp_path / "exp") for phase in (first, second)] == [
        tmp_path / "exp" / "phases" / "1_softmax",
        tmp_path / "exp",
    ]
    assert first.where("crops") == f"{tmp_path}/x.yaml: phase 1 (softmax): crops"


def test_steps_of_the_command_line_are_those_of_each_phase(tmp_path):
    assert [phase.training.steps for phase in split_phases(tmp_path, PHASES, steps=7)] == [7, 7]


def test_resolved_sections_say_which_phase_they_are_and_who_teaches(tmp_path):
    from steps.losses import LOSSES
    from steps.models import MODELS

    text = PHASES + "    teacher: {experiment: previous, student_seconds: 0.3}\n"
    first, second = (settings.resolved(MODELS, LOSSES) for settings in split_phases(tmp_path, text))
    assert first["phase"] == {
        "number": 1,
        "is_last": False,
        "name": "softmax",
        "weights_from": "random",
    }
    assert "teacher" not in first
    assert second["teacher"]["part"] == "centre"
    assert first["crops"]["batches"]["when_fewer"] == "repeat"


def test_laying_over():
    assert override_section({"steps": 3, "a": 1}, {"epochs": 4}) == {"a": 1, "epochs": 4}
    assert override_section({"batches": {}, "crop_seconds": 1}, {"batch_size": 4}) == {
        "crop_seconds": 1,
        "batch_size": 4,
    }
    assert override_section({"name": "a", "x": 1}, {"x": 2}) == {"name": "a", "x": 2}
    assert override_section({"name": "a", "x": 1}, {"name": "b"}) == {"name": "b"}
    assert override_section({"x": 1}, None) is None
    assert override_section(None, {"x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "phases: []\n",
            "phases: the list is empty, expected one or more; without phases leave the section out",
        ),
        ("phases: 3\n", "phases: found 3"),
        ("phases: [{name: a}, {name: a}]\n", "phases: two are called 'a'"),
        ("phases: [{model: {}}]\n", "phase 1: key 'name' is missing"),
        ("phases: [{name: A/b}]\n", "phase 1: name is 'A/b', expected lower-case letters"),
        (
            "phases: [{name: a, weights_from: previous}]\n",
            "phase 1: weights_from is previous, and no phase comes before the first",
        ),
        (
            "phases: [{name: a, weight_from: random}]\n",
            "phase 1: unknown key 'weight_from'; did you mean 'weights_from'",
        ),
        ("phases: [{name: a, number: 3}]\n", "phase 1: unknown key 'number'"),
        ("phases: [{name: a, crops: 3}]\n", r"phase 1 \(a\): crops: found 3"),
        ("phases: [{name: a, crops: }]\n", r"phase 1 \(a\): crops: found nothing"),
        (
            "phases: [{name: a}, {name: b, schedule: {name: cosin}}]\n",
            r"phase 2 \(b\): schedule: name: no 'cosin'; did you mean 'cosine'",
        ),
        (
            "phases: [{name: a}, {name: b, crops: {batches: {speakers: 1}}}]\n",
            r"phase 2 \(b\): crops: batches: speakers is 1",
        ),
        (
            "teacher: {experiment: previous, student_seconds: 0.3}\n",
            "teacher: experiment is previous, and no phase comes before",
        ),
        (
            "teacher: {experiment: exp/a, student_seconds: 0.6}\n",
            "teacher: student_seconds is 0.6, longer than the crop of 0.5 s",
        ),
        (
            "teacher: {experiment: exp/a, student_seconds: 0}\n",
            "teacher: student_seconds is 0.0, expected more than 0",
        ),
        (
            (
                "teacher: {experiment: exp/a, student_seconds: 0.2, embedding_weight: 0, "
                "output_weight: 0}\n"
            ),
            "teacher: embedding_weight, .* at least one above 0",
        ),
        ("teacher: {student_seconds: 0.2}\n", "teacher: key 'experiment' is missing"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_phase_section_and_key(tmp_path, text, message):
    with pytest.raises(UserError, match=f"x.yaml: {message}") as error:
        split_phases(tmp_path, text)
    assert "\n" not in str(error.value)
