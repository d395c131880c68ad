"""A teacher on whole crops and a student on parts: the loss, a fixed teacher, and refusals."""

import json

import pytest
import torch
import torch.nn.functional as F

from steps.losses import LOSSES
from steps.models import MODELS
from steps.train import train
from tests.training_runs import assert_same_end, history, variant
from utils.config import build, read_yaml
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint, weights_digest
from utils.training.objective import Objective, StudentObjective, load_teacher, speaker_logits
from utils.training.settings import TeacherOptions

STEPS = ("steps: 40, validate_every_steps: 20", "steps: 12, validate_every_steps: 12")
PHASES = """\
phases:
  - name: teacher
  - name: student
    weights_from: previous_with_loss
    teacher: {experiment: previous, student_seconds: 0.25}
    training: {steps: 6}
"""


@pytest.fixture(scope="module")
def taught(corpus, tmp_path_factory):
    """A teacher and its student, trained by one command, and their YAML."""
    folder = tmp_path_factory.mktemp("taught")
    config = variant(corpus, folder, STEPS)
    config.write_text(config.read_text() + PHASES)
    train(corpus / "train", corpus / "dev", config, folder / "exp", num_threads=1)
    return folder / "exp", config


def teacher_of(exp):
    return exp / "phases" / "1_teacher"


def test_the_teacher_is_recorded_and_stays_as_it_is(taught):
    exp, _ = taught
    teacher = load_checkpoint(teacher_of(exp) / "checkpoints" / "average.pt")["network"]
    config = read_yaml(exp / "config.yaml")
    assert config["teacher_weights"] == weights_digest(teacher)
    assert config["teacher"] == {
        "experiment": "previous",
        "student_seconds": 0.25,
        "part": "centre",
        "embedding_weight": 1.0,
        "output_weight": 1.0,
        "label_weight": 0.0,
        "checkpoint": "average",
    }
    assert "teacher" in json.loads((exp / "receipts" / "train.json").read_text())["inputs"]
    state = load_checkpoint(exp / "checkpoints" / "step-0000006.pt")
    assert state["network"].keys() == teacher.keys(), (
        "no weight of the teacher is in the student's checkpoint"
    )
    assert not all(torch.equal(value, teacher[name]) for name, value in state["network"].items())


def test_the_student_comes_nearer(taught):
    exp, _ = taught
    losses = [entry["loss"] for entry in history(exp) if "loss" in entry]
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_a_teacher_of_another_experiment_gives_the_same_as_one_of_the_phase_before(
    corpus, taught, tmp_path
):
    exp, _ = taught
    config = variant(corpus, tmp_path, STEPS)
    phases = PHASES.replace("experiment: previous", f"experiment: {teacher_of(exp)}")
    config.write_text(config.read_text() + phases)
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    one, other = (
        load_checkpoint(path / "checkpoints" / "average.pt")["network"]
        for path in (exp, tmp_path / "exp")
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert_same_end(teacher_of(exp), teacher_of(tmp_path / "exp"))


def pair(folder, options, loss="softmax", embedding_dim=16, num_speakers=8):
    """A student like its teacher, with other weights, and the teacher."""
    teacher, _ = load_teacher(folder, "average", MODELS, LOSSES)
    model = read_yaml(folder / "config.yaml")["model"] | {
        "embedding_dim": embedding_dim,
        "spec_augment": None,
    }
    torch.manual_seed(7)
    network = build(MODELS, model, "model")
    loss = build(
        LOSSES,
        {"name": loss},
        "loss",
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers,
    )
    return StudentObjective(
        network, loss, teacher, TeacherOptions(experiment="x", **options), 4000
    ), teacher


@pytest.mark.slow
@pytest.mark.parametrize("part", ["centre", "random"])
@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.5, 1.0, 0.3)])
def test_the_loss_is_cosine_and_divergence_of_what_the_two_say(taught, part, weights):
    exp, _ = taught
    names = ("embedding_weight", "output_weight", "label_weight")
    objective, teacher = pair(
        teacher_of(exp),
        dict(zip(names, weights, strict=True)) | {"student_seconds": 0.25, "part": part},
    )
    objective.eval()
    x_BS, labels_B, seeds_B = (
        0.1 * torch.randn(3, 8000),
        torch.tensor([0, 3, 5]),
        torch.tensor([10007, 5, 6]),
    )
    loss, num_correct = objective(x_BS, torch.full((3,), 8000), labels_B, seeds_B)
    start = 2000 if part == "centre" else 10007 % 4001
    with torch.no_grad():
        said_BE = objective.network(x_BS[:, start : start + 4000], torch.full((3,), 4000))
        shown_BE = teacher.network(x_BS, torch.full((3,), 8000))
        said_BN, target_BN = (
            each.loss.scores(embedding).softmax(dim=1)
            for each, embedding in ((objective, said_BE), (teacher, shown_BE))
        )
        cosine = torch.stack(
            [1 - a @ b / (a.norm() * b.norm()) for a, b in zip(said_BE, shown_BE, strict=True)]
        ).mean()
        divergence = (target_BN * (target_BN / said_BN).log()).sum() / 3
        label = F.cross_entropy(objective.loss.scores(said_BE), labels_B)
    assert loss.item() == pytest.approx(
        (weights[0] * cosine + weights[1] * divergence + weights[2] * label).item(), rel=1e-4
    )
    assert num_correct == (said_BN.argmax(dim=1) == labels_B).sum()


def test_only_the_student_is_trained(taught):
    exp, _ = taught
    objective, teacher = pair(teacher_of(exp), {"student_seconds": 0.25})
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    objective.train()
    loss, _ = objective(
        0.1 * torch.randn(3, 8000),
        torch.full((3,), 8000),
        torch.tensor([0, 3, 5]),
        torch.tensor([1, 2, 3]),
    )
    loss.backward()
    assert not teacher.network.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    unreached = {name for name, parameter in objective.named_parameters() if parameter.grad is None}
    assert unreached <= {f"network.{name}" for name in objective.network.without_gradient}
    assert (
        objective.state_dict().keys()
        == Objective(objective.network, objective.loss).state_dict().keys()
    )
    alone, _ = pair(teacher_of(exp), {"student_seconds": 0.25, "output_weight": 0.0})
    assert not any(parameter.requires_grad for parameter in alone.loss.parameters()), (
        "nothing reaches the student's loss"
    )


def test_logits_are_scaled_cosines_or_those_of_the_first_classification_of_a_sum():
    x_BE = torch.randn(2, 4)
    margin = LOSSES["am_softmax"](4, 3)
    assert torch.equal(speaker_logits(margin, x_BE), 30.0 * margin.scores(x_BE))
    both = LOSSES["weighted_sum"](4, 3, parts=[{"name": "center"}, {"name": "softmax"}])
    assert torch.equal(speaker_logits(both, x_BE), both.parts[1].scores(x_BE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"embedding_dim": 24},
            "embedding_weight: embeddings of 24 numbers, the teacher's have 16",
        ),
        ({"num_speakers": 9}, "output_weight: 9 speakers, the teacher has 8"),
        ({"loss": "ge2e"}, "output_weight: GeneralizedEndToEnd has no scores"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(taught, options, message):
    exp, _ = taught
    with pytest.raises(ValueError, match=message):
        pair(teacher_of(exp), {"student_seconds": 0.25}, **options)


def test_a_missing_teacher_is_one_line(corpus, tmp_path):
    config = variant(corpus, tmp_path, STEPS)
    config.write_text(
        config.read_text() + "teacher: {experiment: exp/nobody, student_seconds: 0.25}\n"
    )
    with pytest.raises(
        UserError,
        match="exp/nobody/receipts/train.json is missing: the step that makes it has not finished",
    ):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
