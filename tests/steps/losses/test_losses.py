"""Classification losses against the formula for one utterance at a time; and every loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.losses import LOSSES
from utils.config import build
from utils.errors import UserError

OPTIONS = [
    {"name": "softmax"},
    {"name": "am_softmax"},
    {"name": "am_softmax", "scale": 12.0, "margin": 0.1},
    {"name": "aam_softmax"},
    {"name": "aam_softmax", "scale": 20.0, "margin": 0.5},
    {"name": "aam_softmax", "margin": 0.5, "easy_margin": True},
    {"name": "aam_softmax", "sub_centers": 3},
    {"name": "softmax", "bias": True, "embedding_norm": 10.0, "initializer": "uniform"},
    {"name": "softmax", "speaker_basis_weight": 1.0},
    {"name": "softmax", "speaker_basis_weight": 0.1, "speaker_basis_form": "paper"},
    {"name": "softmax", "ohem_keep": 0.5},
    {"name": "am_softmax", "ohem_keep": 0.1},
]
CLASSIFICATION = ["softmax", "am_softmax", "aam_softmax"]


def make_loss(name, embedding_dim, num_speakers):
    parts = {
        "parts": [
            {"name": "softmax"},
            {"name": "angular_prototypical", "weight": 0.5},
            {"name": "center", "weight": 1e-3},
        ]
    }
    return LOSSES[name](embedding_dim, num_speakers, **(parts if name == "weighted_sum" else {}))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def slow_scores(loss, options, embedding):
    """One utterance's scores for all speakers, by plain arithmetic."""
    weights = loss.weight_NE.tolist()
    if options["name"] != "softmax":
        cosines, centers = (
            [cosine(embedding, row) for row in weights],
            options.get("sub_centers", 1),
        )
        return [max(cosines[first : first + centers]) for first in range(0, len(cosines), centers)]
    if "embedding_norm" in options:
        length = math.sqrt(sum(x * x for x in embedding))
        embedding = [options["embedding_norm"] * x / length for x in embedding]
    biases = [0.0] * len(weights)
    if options.get("bias"):
        biases = loss.bias_N.tolist()
    scores = []
    for row, bias in zip(weights, biases, strict=True):
        scores.append(sum(x * y for x, y in zip(embedding, row, strict=True)) + bias)
    return scores


def slow_logits(loss, options, scores, label):
    """The labelled score with the margin."""
    if options["name"] == "softmax":
        return scores
    own, margin = scores[label], loss.margin
    angle = math.acos(max(-1.0, min(1.0, own)))
    if options["name"] == "am_softmax":
        harder = own - margin
    elif options.get("easy_margin") and own <= 0:
        harder = own
    elif angle + margin < math.pi:
        harder = math.cos(angle + margin)
    else:
        harder = own - margin * math.sin(margin)
    scores = [*scores]
    scores[label] = harder
    return [loss.scale * score for score in scores]


def slow_speaker_basis(loss, options):
    """Over every pair of two speakers, both ways round."""
    weights = loss.weight_NE.tolist()
    scaled = []
    for row in weights:
        length = math.sqrt(sum(x * x for x in row))
        scaled.append([x / (length / math.sqrt(5) + 1e-4) for x in row])
    total = 0.0
    for i in range(len(weights)):
        for j in range(len(weights)):
            if i != j:
                if options.get("speaker_basis_form") == "paper":
                    total += cosine(weights[i], weights[j])
                else:
                    product = sum(x * y for x, y in zip(scaled[i], scaled[j], strict=True))
                    total += product / len(weights) ** 2
    return options["speaker_basis_weight"] * total


@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: "-".join(map(str, options.values()))
)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_loss_and_count_equal_the_slow_computation(options, seed):
    torch.manual_seed(seed)
    loss = build(LOSSES, options, "loss", embedding_dim=3, num_speakers=4).double()
    if options.get("bias"):
        torch.nn.init.normal_(loss.bias_N)
    embedding_BE, labels_B = torch.randn(6, 3).double(), torch.randint(4, (6,))
    each, correct = [], 0
    for embedding, label in zip(embedding_BE.tolist(), labels_B.tolist(), strict=True):
        scores = slow_scores(loss, options, embedding)
        logits = slow_logits(loss, options, scores, label)
        normaliser = math.log(sum(math.exp(value) for value in logits))
        each.append(normaliser - logits[label])
        correct += scores.index(max(scores)) == label
    kept = sorted(each, reverse=True)[: max(1, round(options.get("ohem_keep", 1.0) * 6))]
    expected = sum(kept) / len(kept)
    if "speaker_basis_weight" in options:
        expected += slow_speaker_basis(loss, options)
    tolerance = 1e-9
    if options["name"] == "aam_softmax":
        tolerance = 1e-4  # its sine is at least 3e-4
    value, num_correct = loss(embedding_BE, labels_B)
    assert value.item() == pytest.approx(expected, abs=tolerance)
    assert num_correct.item() == correct
    value, num_correct = loss.float()(embedding_BE.float(), labels_B)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, abs=2e-4)


def test_speaker_basis_loss_of_100_000_speakers_needs_no_square_matrix():
    loss = LOSSES["softmax"](4, 100_000, initializer="uniform", speaker_basis_weight=1.0)
    value = loss.penalty()
    value.backward()
    print(f"speaker-basis loss of 100,000 random vectors: {value.item():.2e}")
    assert abs(value.item()) < 0.01  # the mean of random cosines, times 5
    assert loss.weight_NE.grad.isfinite().all()


@pytest.mark.parametrize("name", ["am_softmax", "aam_softmax"])
def test_margin_may_be_set_between_steps(name):
    loss = build(LOSSES, {"name": name, "margin": 0.3}, "loss", embedding_dim=4, num_speakers=3)
    embedding_BE, labels_B = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    with_margin, _ = loss(embedding_BE, labels_B)
    loss.margin = 0.0
    without, _ = loss(embedding_BE, labels_B)
    plain = torch.nn.functional.cross_entropy(loss.scale * loss.scores(embedding_BE), labels_B)
    assert with_margin > without
    torch.testing.assert_close(without, plain)


@pytest.mark.parametrize("easy_margin", [False, True])
def test_angular_margin_never_rewards_a_larger_angle(easy_margin):
    loss = LOSSES["aam_softmax"](2, 2, margin=0.4, easy_margin=easy_margin)
    cosines = torch.linspace(-1, 1, 2001)[:, None]
    harder = loss.with_margin(cosines)
    assert (harder <= cosines + 1e-6).all()
    within = (
        harder[cosines > 0] if easy_margin else harder
    )  # the easy margin jumps at 90 degrees, by design
    assert (within.diff(dim=0) >= -1e-6).all()


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_gradients_are_finite_at_the_ends_of_the_range(name):
    loss = LOSSES[name](2, 2)
    with torch.no_grad():
        loss.weight_NE.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    embedding_BE = torch.tensor(
        [[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], requires_grad=True
    )  # angles 0 and 180 degrees, and a dead embedding
    value, _ = loss(embedding_BE, torch.tensor([0, 0, 1]))
    value.backward()
    assert value.isfinite()
    assert embedding_BE.grad.isfinite().all()
    assert loss.weight_NE.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_computed_in_float32_under_autocast(name):
    torch.manual_seed(0)
    loss = make_loss(name, 16, 5).eval()
    embedding_BE, labels_B = torch.randn(8, 16), torch.arange(4).repeat(2)
    expected, _ = loss(embedding_BE, labels_B)
    rounded, _ = loss(embedding_BE.bfloat16().float(), labels_B)
    with torch.autocast("cpu", torch.bfloat16):
        value, _ = loss(embedding_BE, labels_B)
        of_bf16, _ = loss(embedding_BE.bfloat16(), labels_B)
    assert torch.equal(value, expected)
    assert torch.equal(of_bf16, rounded)
    assert of_bf16.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_loss_separates_embeddings_that_may_move(name):
    torch.manual_seed(0)
    loss = make_loss(name, 8, 4)
    labels_B = torch.arange(4).repeat(8)
    embedding_BE = (
        0.5 * torch.nn.functional.one_hot(labels_B, 8) + 0.5 * torch.randn(32, 8)
    ).requires_grad_()
    optimizer = torch.optim.Adam([embedding_BE, *loss.parameters()], lr=0.05)
    first, before = loss(embedding_BE, labels_B)
    for _ in range(100):
        optimizer.zero_grad()
        last, num_correct = loss(embedding_BE, labels_B)
        last.backward()
        optimizer.step()
    print(
        f"{name}: loss {first.item():.2f} -> {last.item():.2f}, "
        f"{before.item()} -> {num_correct.item()} of 32 correct"
    )
    assert last < 0.7 * first
    assert (
        num_correct >= 31
    )  # prototypical losses move only the means of the utterances that are not queries


@pytest.mark.parametrize("name", LOSSES)
def test_state_survives_a_round_trip_and_the_gradient_reaches_every_weight(name):
    torch.manual_seed(0)
    loss, other = make_loss(name, 4, 3), make_loss(name, 4, 3)
    embedding_BE, labels_B = torch.randn(6, 4), torch.arange(3).repeat(2)
    value, _ = loss(embedding_BE, labels_B)
    if value.requires_grad:
        value.backward()
    assert all(
        parameter.grad.abs().sum() > 0
        for key, parameter in loss.named_parameters()
        if not key.endswith("offset")
    )  # which softmax ignores
    other.load_state_dict(loss.state_dict())
    assert torch.equal(
        loss.eval()(embedding_BE, labels_B)[0], other.eval()(embedding_BE, labels_B)[0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "am_softmax", "scale": 0}, "loss: scale is 0.0"),
        ({"name": "aam_softmax", "margin": 1.0}, "loss: margin is 1.0"),
        ({"name": "aam_softmax", "margin": -0.1}, "loss: margin is -0.1"),
        (
            {"name": "aam_softmax", "eazy_margin": True},
            "loss: unknown key 'eazy_margin'; did you mean 'easy_margin'?",
        ),
        ({"name": "softmax", "num_speakers": 3}, "loss: unknown key 'num_speakers'"),
        ({"name": "softmax", "ohem_keep": 0}, "loss: ohem_keep is 0.0"),
        ({"name": "am_softmax", "ohem_keep": 1.5}, "loss: ohem_keep is 1.5"),
        ({"name": "softmax", "embedding_norm": -10}, "loss: embedding_norm is -10.0"),
        ({"name": "softmax", "initializer": "zeros"}, "loss: initializer: found 'zeros'"),
        ({"name": "softmax", "speaker_basis_weight": -1}, "loss: speaker_basis_weight is -1.0"),
        (
            {"name": "softmax", "speaker_basis_form": "thesis"},
            "loss: speaker_basis_form: found 'thesis'",
        ),
        ({"name": "aam_softmax", "sub_centers": 0}, "loss: sub_centers is 0"),
        ({"name": "center", "update_rate": 0}, "loss: update_rate is 0.0"),
        ({"name": "triplet", "margin": 0}, "loss: margin is 0.0"),
        ({"name": "triplet", "mining": "soft"}, "loss: mining: found 'soft'"),
        ({"name": "triplet", "distance": "manhattan"}, "loss: distance: found 'manhattan'"),
        (
            {"name": "triplet", "embedding_norm": 10},
            "loss: embedding_norm is 10.0, expected above 0, and with the euclidean distance only",
        ),
        ({"name": "ge2e", "initial_scale": -10}, "loss: initial_scale is -10.0"),
        ({"name": "ge2e", "gradient_scale": 0}, "loss: gradient_scale is 0.0"),
        ({"name": "ge2e", "form": "triplet"}, "loss: form: found 'triplet'"),
        ({"name": "angular_prototypical", "initial_scale": 0}, "loss: initial_scale is 0.0"),
        ({"name": "weighted_sum"}, "loss: key 'parts' is missing"),
        (
            {"name": "weighted_sum", "parts": [{"name": "softmax"}]},
            "loss: parts has 1 losses, expected 2 or more",
        ),
        (
            {"name": "weighted_sum", "parts": [{"name": "softmax"}, {"name": "centre"}]},
            "loss: parts: name: found 'centre', expected one of aam_softmax",
        ),
        (
            {"name": "weighted_sum", "parts": [{"name": "softmax"}, {"weight": 1.0}]},
            "loss: parts: name: found None",
        ),
        (
            {
                "name": "weighted_sum",
                "parts": [{"name": "softmax"}, {"name": "weighted_sum", "parts": []}],
            },
            "loss: parts: name: found 'weighted_sum'",
        ),
        (
            {
                "name": "weighted_sum",
                "parts": [{"name": "softmax"}, {"name": "center", "weight": 0}],
            },
            "loss: parts: center: weight is 0",
        ),
        (
            {"name": "weighted_sum", "parts": [{"name": "softmax"}, {"name": "center", "wait": 1}]},
            "loss: parts: center: unknown key 'wait'",
        ),
        (
            {
                "name": "weighted_sum",
                "parts": [{"name": "softmax", "bias": "no"}, {"name": "center"}],
            },
            "loss: parts: softmax: bias: found 'no'",
        ),
        (
            {
                "name": "weighted_sum",
                "parts": [{"name": "softmax"}, {"name": "triplet", "margin": True}],
            },
            "loss: parts: triplet: margin: found True",
        ),
        (
            {
                "name": "weighted_sum",
                "parts": [{"name": "softmax"}, {"name": "triplet", "margin": -1}],
            },
            "loss: parts: triplet: margin is -1",
        ),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(LOSSES, options, "loss", embedding_dim=4, num_speakers=3)
    assert str(error.value).startswith(message)
