"""Losses that compare utterances of a batch, and the center loss, against loops over numbers.

Also their gradients, layouts and extremes.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.losses import LOSSES

TRIPLETS = [
    {"distance": distance, "mining": mining, "margin": margin}
    for distance, margin in (("cosine", 0.3), ("euclidean", 0.8))
    for mining in ("semi_hard", "hard", "all")
]
COMPARING = [
    ("ge2e", {}),
    ("ge2e", {"form": "contrast", "initial_scale": 3.0, "initial_offset": 1.0}),
    ("prototypical", {}),
    ("angular_prototypical", {}),
    *(("triplet", options) for options in TRIPLETS),
    ("triplet", {"distance": "euclidean", "embedding_norm": 10.0, "mining": "all"}),
]


def spelled(value):
    return value if isinstance(value, str) else "-".join(map(str, value.values()))


comparing = pytest.mark.parametrize(("name", "options"), COMPARING, ids=spelled)
batches = given(
    seed=st.integers(0, 10**6), num_speakers=st.integers(2, 4), num_utterances=st.integers(2, 4)
)


def make_batch(seed, num_speakers, num_utterances, embedding_dim=3):
    """Embeddings with some order in them, rows and labels shuffled."""
    torch.manual_seed(seed)
    speaker_B = torch.arange(num_speakers).repeat(num_utterances)[
        torch.randperm(num_speakers * num_utterances)
    ]
    labels_B = torch.randperm(50)[:num_speakers][speaker_B]
    return torch.randn(num_speakers, embedding_dim).double()[speaker_B] + 0.7 * torch.randn(
        len(labels_B), embedding_dim
    ).double(), labels_B


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def mean(vectors):
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]


def normalised(a, length=1.0):
    norm = math.sqrt(sum(x * x for x in a))
    return [length * x / norm for x in a]


def centroids_without(rows, labels, index):
    """{label: mean of its rows but this one}."""
    return {
        label: mean(
            [row for other, row in enumerate(rows) if labels[other] == label and other != index]
        )
        for label in sorted(set(labels))
    }


def nearest_to_own(rows, labels, closeness):
    right = 0
    for index, row in enumerate(rows):
        scores = {
            label: closeness(row, centroid)
            for label, centroid in centroids_without(rows, labels, index).items()
        }
        right += max(scores, key=scores.get) == labels[index]
    return right


def slow_ge2e(rows, labels, *, form="softmax", initial_scale=10.0, initial_offset=-5.0):
    rows, total = [normalised(row) for row in rows], 0.0
    for index, row in enumerate(rows):
        centroids = centroids_without(rows, labels, index)
        similarity = {
            label: initial_scale * cosine(row, centroid) + initial_offset
            for label, centroid in centroids.items()
        }
        own = similarity.pop(labels[index])
        if form == "softmax":
            total += -own + math.log(
                math.exp(own) + sum(math.exp(value) for value in similarity.values())
            )
        else:
            total += (
                1
                - 1 / (1 + math.exp(-own))
                + max(1 / (1 + math.exp(-value)) for value in similarity.values())
            )
    return total, nearest_to_own(rows, labels, cosine)


def slow_prototypical(rows, labels, score, rows_to_count, closeness):
    order = sorted(set(labels))
    queries = {label: rows[labels.index(label)] for label in order}
    prototypes = {
        label: centroids_without(rows, labels, labels.index(label))[label] for label in order
    }
    total = 0.0
    for label in order:
        scores = {other: score(queries[label], prototypes[other]) for other in order}
        normaliser = math.log(sum(math.exp(value) for value in scores.values()))
        total += (normaliser - scores[label]) / len(order)
    return total, nearest_to_own(rows_to_count, labels, closeness)


def slow_triplet(
    rows, labels, *, distance="cosine", mining="semi_hard", margin=0.1, embedding_norm=None
):
    if embedding_norm:
        rows = [normalised(row, embedding_norm) for row in rows]
    everyone = range(len(rows))

    def measure(a, b):
        if distance == "cosine":
            return -cosine(a, b)
        return math.sqrt(squared(a, b) + 1e-4 / len(a))

    far = [[measure(a, b) for b in rows] for a in rows]
    losses = []
    for anchor in everyone:
        for positive in everyone:
            if anchor == positive or labels[anchor] != labels[positive]:
                continue
            negatives = [
                far[anchor][other] for other in everyone if labels[other] != labels[anchor]
            ]
            own = far[anchor][positive]
            if mining == "semi_hard":
                negatives = [value for value in negatives if own < value < own + margin]
            if mining != "all" and negatives:
                negatives = [min(negatives)]
            losses += [max(0.0, margin + own - value) for value in negatives]
    right = 0
    for index in everyone:
        nearest = min(
            (other for other in everyone if other != index), key=lambda other: far[index][other]
        )
        right += labels[nearest] == labels[index]
    return sum(losses) / max(1, len(losses)), right


def slow(name, options, rows, labels):
    if name == "ge2e":
        return slow_ge2e(rows, labels, **options)
    if name == "triplet":
        return slow_triplet(rows, labels, **options)
    if name == "prototypical":
        return slow_prototypical(
            rows, labels, lambda a, b: -squared(a, b), rows, lambda a, b: -squared(a, b)
        )
    return slow_prototypical(
        rows, labels, lambda a, b: 10 * cosine(a, b) - 5, [normalised(row) for row in rows], cosine
    )


@comparing
@settings(max_examples=12, deadline=None)
@batches
def test_loss_and_count_equal_the_slow_computation(
    name, options, seed, num_speakers, num_utterances
):
    embedding_BE, labels_B = make_batch(seed, num_speakers, num_utterances)
    loss, num_correct = LOSSES[name](3, 50, **options)(embedding_BE, labels_B)
    expected, right = slow(name, options, embedding_BE.tolist(), labels_B.tolist())
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert num_correct.item() == right


@comparing
def test_gradients_equal_finite_differences(name, options):
    embedding_BE, labels_B = make_batch(3, 3, 3)
    loss = LOSSES[name](3, 50, **options).double()
    names = [key for key, _ in loss.named_parameters()]

    def value(x_BE, *weights):
        return torch.func.functional_call(
            loss, dict(zip(names, weights, strict=True)), (x_BE, labels_B)
        )[0]

    assert value(embedding_BE, *loss.parameters()) > 0  # a loss of 0 would pass
    assert torch.autograd.gradcheck(
        value, (embedding_BE.requires_grad_(), *loss.parameters()), eps=1e-6, atol=1e-5
    )


@comparing
@settings(max_examples=10, deadline=None)
@batches
def test_order_of_rows_and_names_of_speakers_change_nothing(
    name, options, seed, num_speakers, num_utterances
):
    embedding_BE, labels_B = make_batch(seed, num_speakers, num_utterances)
    if "prototypical" in name:  # its queries are the first utterances: rows of a speaker keep order
        order_B = torch.cat(
            [
                (labels_B == label).nonzero()[:, 0]
                for label in labels_B.unique()[torch.randperm(num_speakers)]
            ]
        )
    else:
        order_B = torch.randperm(len(labels_B))
    loss = LOSSES[name](3, 50, **options).double()
    value, num_correct = loss(embedding_BE, labels_B)
    shuffled, shuffled_correct = loss(embedding_BE[order_B], torch.randperm(50)[labels_B][order_B])
    torch.testing.assert_close(shuffled, value)
    assert shuffled_correct == num_correct


@pytest.mark.parametrize("name", ["ge2e", "angular_prototypical", "triplet"])
def test_losses_of_cosines_ignore_the_lengths_of_embeddings(name):
    embedding_BE, labels_B = make_batch(
        1, 3, 2
    )  # a mean of 2 or more support utterances would weigh them by their length, as published
    loss = LOSSES[name](3, 50).double()
    torch.testing.assert_close(
        loss(embedding_BE * torch.rand(6, 1).add(0.5), labels_B)[0], loss(embedding_BE, labels_B)[0]
    )


@pytest.mark.parametrize("options", TRIPLETS, ids=spelled)
def test_triplet_gradient_reaches_anchor_positive_and_negative(options):
    """A loss of detached copies, as in Deep Speaker's first published epochs, trains nothing."""
    angles = torch.tensor([0.0, 0.6, 0.9, 1.5])  # two speakers, side by side on the circle
    embedding_BE = torch.stack([angles.cos(), angles.sin()], dim=1).double().requires_grad_()
    loss, _ = LOSSES["triplet"](2, 2, **options | {"margin": 1.5})(
        embedding_BE, torch.tensor([0, 0, 1, 1])
    )
    loss.backward()
    assert loss > 0
    assert (embedding_BE.grad.abs().sum(dim=1) > 1e-4).all()


def test_semi_hard_takes_the_nearest_negative_beyond_the_positive():
    """On a line: anchor 0, positive 2; negatives 1 (hard), 2.5 and 2.8 (semi-hard), 9 (easy)."""
    position_B = torch.tensor([0.0, 2.0, -1.0, 2.5, -2.8, 9.0])
    loss = LOSSES["triplet"](1, 2, distance="euclidean", margin=1.0)
    harder_PG = (2.0 - position_B.abs())[None, :]
    is_negative_PG = torch.tensor([[False, False, True, True, True, True]])
    assert loss.mined(harder_PG, is_negative_PG).item() == pytest.approx(1.0 + 2.0 - 2.5)
    is_negative_PG[0, 3] = False
    assert loss.mined(harder_PG, is_negative_PG).item() == pytest.approx(1.0 + 2.0 - 2.8)
    is_negative_PG[0, 4] = False
    assert loss.mined(harder_PG, is_negative_PG).item() == 0


def test_a_batch_without_semi_hard_triplets_costs_nothing_and_has_a_gradient_of_zero():
    embedding_BE = torch.eye(2).repeat(2, 1).requires_grad_()  # each speaker at a point, far apart
    loss, num_correct = LOSSES["triplet"](2, 2)(embedding_BE, torch.tensor([0, 1, 0, 1]))
    loss.backward()
    assert loss == 0
    assert num_correct == 4
    assert (embedding_BE.grad == 0).all()


@pytest.mark.parametrize("name", ["ge2e", "angular_prototypical"])
@pytest.mark.parametrize("scale", [10.0, 1e-4, 0.0, -3.0])
def test_learned_scale_never_turns_the_order_of_cosines_round(name, scale):
    loss = LOSSES[name](2, 2)
    with torch.no_grad():
        loss.scale.fill_(scale)
    low, high = loss.similarity(torch.tensor([-0.5, 0.5])).tolist()
    assert high >= low
    assert high - low == pytest.approx(abs(scale), abs=1e-5)


def test_ge2e_names_the_factors_of_its_scalars_gradients():
    loss = LOSSES["ge2e"](64, 90)
    assert loss.gradient_scales == {"scale": 0.01, "offset": 0.01}
    assert set(loss.gradient_scales) == {key for key, _ in loss.named_parameters()}
    assert (
        sum(parameter.numel() for parameter in loss.parameters()) == 2
    )  # of the published 210,434


@comparing
@pytest.mark.parametrize(
    ("labels", "layout"),
    [
        ([0, 0, 0, 0], "1 speakers with 4 to 4"),
        ([0, 1, 2, 3], "4 speakers with 1 to 1"),
        ([0, 0, 1, 1, 1], "2 speakers with 2 to 3"),
        ([0, 0, 1, 1, 2], "3 speakers with 1 to 2"),
        ([], "0 speakers with 0 to 0"),
    ],
)
def test_other_layouts_than_speakers_by_utterances_are_refused(name, options, labels, layout):
    loss = LOSSES[name](3, 50, **options)
    assert loss.batch_shape == "speakers_x_utterances"
    with pytest.raises(
        ValueError,
        match=f"{len(labels)} rows has {layout} utterances each, expected 2 or more speakers",
    ) as error:
        loss(torch.randn(len(labels), 3), torch.tensor(labels, dtype=torch.int64))
    assert "\n" not in str(error.value)


EXTREMES = {
    "zero": torch.zeros(4, 3),
    "identical": torch.ones(4, 3),
    "opposite": torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]).repeat_interleave(2, 0),
    "cancelling": torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]).repeat(2, 1),
    "large": 1e4 * torch.eye(4, 3),
    "one zero": torch.eye(4, 3),
    "tiny": 1e-20 * torch.eye(4, 3),
}


@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *COMPARING,
        ("center", {}),
        ("softmax", {"embedding_norm": 10.0, "speaker_basis_weight": 1.0}),
    ],
    ids=spelled,
)
def test_extreme_embeddings_give_finite_losses_and_gradients(name, options, kind):
    loss = LOSSES[name](3, 2, **options)
    if name == "softmax":
        torch.nn.init.zeros_(loss.weight_NE)
    embedding_BE = EXTREMES[kind].clone().requires_grad_()
    value, num_correct = loss(embedding_BE, torch.tensor([0, 0, 1, 1]))
    value.backward()
    assert value.isfinite()
    assert 0 <= num_correct <= 4
    assert embedding_BE.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in loss.parameters())


@pytest.mark.parametrize("sizes", [(2, 2), (4, 5), (3, 7)])
def test_prototypical_distances_are_taken_over_the_embedding_s_axis(sizes):
    """With distant clusters every query is correct.

    Distances over another axis, as of some broadcasts, would leave the loss of a guess, log N.
    """
    num_speakers, num_utterances = sizes
    labels_B = torch.arange(num_speakers).repeat(num_utterances)
    embedding_BE = 10.0 * torch.eye(8)[labels_B]
    loss, num_correct = LOSSES["prototypical"](8, 50)(embedding_BE, labels_B)
    assert loss < 1e-6
    assert num_correct == len(labels_B)


# Center loss


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), update_rate=st.sampled_from([0.5, 1.0, 0.1]))
def test_center_loss_and_the_path_of_its_centers_equal_the_slow_computation(seed, update_rate):
    torch.manual_seed(seed)
    loss = LOSSES["center"](3, 4, update_rate=update_rate).double()
    centers = loss.center_NE.tolist()
    for _ in range(3):
        embedding_BE, labels_B = torch.randn(7, 3).double(), torch.randint(4, (7,))
        rows, labels = embedding_BE.tolist(), labels_B.tolist()
        expected = 0.5 * sum(
            squared(row, centers[label]) for row, label in zip(rows, labels, strict=True)
        )
        right = sum(
            min(range(4), key=lambda speaker: squared(row, centers[speaker])) == label
            for row, label in zip(rows, labels, strict=True)
        )
        moved = []
        for speaker, center in enumerate(centers):
            own = [row for row, label in zip(rows, labels, strict=True) if label == speaker]
            pull = [
                sum(c - row[axis] for row in own) / (1 + len(own)) for axis, c in enumerate(center)
            ]
            moved.append([c - update_rate * p for c, p in zip(center, pull, strict=True)])
        value, num_correct = loss(embedding_BE, labels_B)
        assert value.item() == pytest.approx(expected)
        assert num_correct.item() == right
        torch.testing.assert_close(loss.center_NE, torch.tensor(moved).double())
        centers = moved


def test_center_loss_gradient_is_the_offset_and_centers_have_none():
    loss = LOSSES["center"](3, 4)
    before_NE = loss.center_NE.clone()
    embedding_BE, labels_B = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 1, 1, 3, 0])
    loss(embedding_BE, labels_B)[0].backward()
    torch.testing.assert_close(embedding_BE.grad, embedding_BE.detach() - before_NE[labels_B])
    assert not list(loss.parameters())
    assert torch.equal(loss.center_NE[2], before_NE[2])
    assert not torch.equal(loss.center_NE[1], before_NE[1])


def test_centers_stand_still_outside_training_and_belong_to_the_state():
    loss = LOSSES["center"](3, 4).eval()
    before_NE = loss.center_NE.clone()
    loss(torch.randn(5, 3), torch.tensor([0, 1, 1, 3, 0]))
    assert torch.equal(loss.center_NE, before_NE)
    assert list(loss.state_dict()) == ["center_NE"]


# Weighted sum


def test_weighted_sum_adds_its_parts_and_counts_as_the_first():
    torch.manual_seed(0)
    parts = [
        {"name": "softmax", "speaker_basis_weight": 1.0},
        {"name": "center", "weight": 1e-3},
        {"name": "ge2e", "weight": 2},
    ]
    loss = LOSSES["weighted_sum"](3, 50, parts=parts).eval()
    embedding_BE, labels_B = make_batch(0, 3, 2)
    embedding_BE = embedding_BE.float()
    each = [part(embedding_BE, labels_B) for part in loss.parts]
    value, num_correct = loss(embedding_BE, labels_B)
    torch.testing.assert_close(value, each[0][0] + 1e-3 * each[1][0] + 2 * each[2][0])
    assert num_correct == each[0][1]
    assert loss.gradient_scales == {"parts.2.scale": 0.01, "parts.2.offset": 0.01}
    assert set(loss.gradient_scales) <= {key for key, _ in loss.named_parameters()}
    assert loss.batch_shape == "speakers_x_utterances"
    assert parts[1] == {
        "name": "center",
        "weight": 1e-3,
    }  # the options that were given are still the same


def test_weighted_sum_without_a_comparing_loss_takes_any_batch():
    loss = LOSSES["weighted_sum"](3, 5, parts=[{"name": "softmax"}, {"name": "center"}])
    assert not hasattr(loss, "batch_shape")
    assert loss(torch.randn(3, 3), torch.tensor([0, 1, 4]))[0].isfinite()


def test_a_schedule_of_the_sum_s_margin_scales_those_of_its_parts():
    loss = LOSSES["weighted_sum"](
        3,
        5,
        parts=[
            {"name": "aam_softmax", "margin": 0.3},
            {"name": "triplet", "margin": 0.1},
            {"name": "center"},
        ],
    )
    assert loss.margin == 1.0
    loss.margin = 0.5
    assert [loss.parts[0].margin, loss.parts[1].margin] == [0.15, 0.05]
    loss.margin = 1.0
    assert [loss.parts[0].margin, loss.parts[1].margin] == [0.3, 0.1]
