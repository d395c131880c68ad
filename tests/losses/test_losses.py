"""Losses against the formula written out for one utterance at a time, their gradients, and what happens at the ends of the angle's range."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.losses import LOSSES
from utils.config import build
from utils.errors import UserError

OPTIONS = [{"name": "softmax"}, {"name": "am_softmax"}, {"name": "am_softmax", "scale": 12.0, "margin": 0.1}, {"name": "aam_softmax"},
           {"name": "aam_softmax", "scale": 20.0, "margin": 0.5}, {"name": "aam_softmax", "margin": 0.5, "easy_margin": True}]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def slow_logits(loss, options, embedding, label):
    """One utterance's logits by plain arithmetic."""
    weights = loss.weight_NE.tolist()
    if options["name"] == "softmax":
        return [sum(x * y for x, y in zip(embedding, row, strict=True)) for row in weights]
    logits = [cosine(embedding, row) for row in weights]
    own, margin = logits[label], loss.margin
    angle = math.acos(max(-1.0, min(1.0, own)))
    if options["name"] == "am_softmax":
        logits[label] = own - margin
    elif options.get("easy_margin"):
        logits[label] = math.cos(angle + margin) if own > 0 else own
    else:
        logits[label] = math.cos(angle + margin) if angle + margin < math.pi else own - margin * math.sin(margin)
    return [loss.scale * value for value in logits]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_loss_and_count_equal_the_slow_computation(options, seed):
    torch.manual_seed(seed)
    loss = build(LOSSES, options, "loss", embedding_dim=3, num_speakers=4)
    loss.double()
    embedding_BE, labels_B = torch.randn(6, 3), torch.randint(4, (6,))
    expected, correct = 0.0, 0
    for embedding, label in zip(embedding_BE.tolist(), labels_B.tolist(), strict=True):
        logits = slow_logits(loss, options, embedding, label)
        expected += (math.log(sum(math.exp(value) for value in logits)) - logits[label]) / len(labels_B)
        plain = [sum(x * y for x, y in zip(embedding, row, strict=True)) if options["name"] == "softmax" else cosine(embedding, row)
                 for row in loss.weight_NE.tolist()]
        correct += plain.index(max(plain)) == label
    loss.float()
    found, num_correct = loss(embedding_BE, labels_B)
    assert found.item() == pytest.approx(expected, abs=2e-4)
    assert num_correct.item() == correct


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
    within = harder[cosines > 0] if easy_margin else harder  # the easy margin jumps at 90 degrees, by design
    assert (within.diff(dim=0) >= -1e-6).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_at_the_ends_of_the_range(name):
    loss = LOSSES[name](2, 2)
    with torch.no_grad():
        loss.weight_NE.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    embedding_BE = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], requires_grad=True)  # angles 0 and 180 degrees, and a dead embedding
    value, _ = loss(embedding_BE, torch.tensor([0, 0, 1]))
    value.backward()
    assert value.isfinite()
    assert embedding_BE.grad.isfinite().all()
    assert loss.weight_NE.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_computed_in_float32_under_autocast(name):
    torch.manual_seed(0)
    loss = LOSSES[name](16, 5)
    embedding_BE, labels_B = torch.randn(4, 16), torch.arange(4)
    expected, _ = loss(embedding_BE, labels_B)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = loss(embedding_BE, labels_B)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_separates_clusters(name):
    torch.manual_seed(0)
    loss = LOSSES[name](8, 4)
    labels_B = torch.arange(4).repeat(8)
    embedding_BE = torch.nn.functional.one_hot(labels_B, 8) + 0.1 * torch.randn(32, 8)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    first, _ = loss(embedding_BE, labels_B)
    for _ in range(100):
        optimizer.zero_grad()
        last, num_correct = loss(embedding_BE, labels_B)
        last.backward()
        optimizer.step()
    print(f"{name}: loss {first.item():.2f} -> {last.item():.2f}, {num_correct.item()} of 32 right")
    assert last < 0.7 * first
    assert num_correct == 32


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "am_softmax", "scale": 0}, "loss: scale is 0.0"),
    ({"name": "aam_softmax", "margin": 1.0}, "loss: margin is 1.0"),
    ({"name": "aam_softmax", "margin": -0.1}, "loss: margin is -0.1"),
    ({"name": "aam_softmax", "eazy_margin": True}, "loss: unknown key 'eazy_margin'; did you mean 'easy_margin'?"),
    ({"name": "softmax", "num_speakers": 3}, "loss: unknown key 'num_speakers'"),
])
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(LOSSES, options, "loss", embedding_dim=4, num_speakers=3)
    assert str(error.value).startswith(message)
