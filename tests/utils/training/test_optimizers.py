"""Optimisers by name: weight decay, factors of learning rates, and the steps they make."""

import numpy as np
import pytest
import torch
from torch import nn

from utils.config import build, make
from utils.errors import UserError
from utils.training.optimizers import OPTIMIZERS, Adam, Sgd


class Small(nn.Module):
    """Weights, biases, torch's norms, and a scalar."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.ModuleDict(
            {"conv": nn.Conv1d(2, 3, 3), "bn": nn.BatchNorm1d(3), "ln": nn.LayerNorm([3, 4])}
        )
        self.loss = nn.ParameterDict({"weight": torch.ones(5, 3), "scale": torch.tensor(10.0)})


def groups_by_name(optimizer, module):
    """Name -> (learning rate, decay)."""
    name_of = {id(parameter): name for name, parameter in module.named_parameters()}
    return {
        name_of[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


@pytest.mark.parametrize(
    ("without_decay", "spared"),
    [
        (
            "norms_and_biases",
            {"network.conv.bias", "network.bn.weight", "network.bn.bias", "loss.scale"},
        ),
        ("norms", {"network.bn.weight", "network.bn.bias", "network.ln.weight", "network.ln.bias"}),
        ("nothing", set()),
    ],
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_has_no_decay_is_chosen(name, without_decay, spared):
    module = Small()
    found = groups_by_name(
        build(
            OPTIMIZERS, {"name": name, "weight_decay": 0.1, "without_decay": without_decay}, "x"
        ).make(module),
        module,
    )
    assert found.keys() == dict(module.named_parameters()).keys()
    assert {name for name, (_, decay) in found.items() if decay == 0} == spared
    assert {decay for _, decay in found.values()} <= {0, 0.1}


def test_the_longest_beginning_of_a_name_gives_the_factor_of_the_learning_rate():
    module = Small()
    factors = {"network.": 0.5, "network.conv.bias": 4.0}
    found = groups_by_name(
        Adam(learning_rate=0.1, learning_rate_factors=factors, weight_decay=0.2).make(module),
        module,
    )
    assert found["network.conv.weight"] == pytest.approx((0.05, 0.2))
    assert found["network.conv.bias"] == pytest.approx((0.4, 0))
    assert found["loss.weight"] == pytest.approx((0.1, 0.2))
    with pytest.raises(
        ValueError,
        match="learning_rate_factors: no parameter's name begins with 'netwrk.'; "
        "names are like network.conv.weight",
    ):
        Adam(learning_rate_factors={"netwrk.": 1.0}).make(module)


def test_the_decay_may_have_factors_too():
    module = Small()
    found = groups_by_name(
        Adam(
            learning_rate=0.1,
            weight_decay=0.2,
            weight_decay_factors={"loss.": 10.0, "network.ln": 0.0},
        ).make(module),
        module,
    )
    assert {name: decay for name, (_, decay) in found.items() if decay} == {
        "network.conv.weight": 0.2,
        "loss.weight": 2.0,
    }
    with pytest.raises(
        ValueError, match="weight_decay_factors: no parameter's name begins with 'head'"
    ):
        Adam(weight_decay_factors={"head": 1.0}).make(module)


def first_moves(gradients, **options):
    """How far a weight of 0 has gone after each of these gradients."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    optimizer, places = build(OPTIMIZERS, options, "x").make(module), []
    for gradient in gradients:
        module.weight.grad = torch.full((1, 1), float(gradient))
        optimizer.step()
        places.append(module.weight.item())
    return places


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}, [-0.1, -0.2, -0.3]),
        (
            {"name": "sgd", "learning_rate": 0.1, "momentum": 0.5, "nesterov": False},
            [-0.1, -0.25, -0.425],
        ),
        ({"name": "sgd", "learning_rate": 0.1, "momentum": 0.5}, [-0.15, -0.325, -0.5125]),
        (
            {
                "name": "sgd",
                "learning_rate": 0.1,
                "momentum": 0.9,
                "dampening": 0.9,
                "nesterov": False,
            },
            [-0.1, -0.2, -0.3],
        ),
        (
            {"name": "adagrad", "learning_rate": 0.1},
            [-0.1, -0.1 - 0.1 / 2**0.5, -0.1 - 0.1 / 2**0.5 - 0.1 / 3**0.5],
        ),
        (
            {"name": "adagrad", "learning_rate": 0.1, "lr_decay": 1.0},
            [-0.1, -0.1 - 0.05 / 2**0.5, -0.1 - 0.05 / 2**0.5 - 0.1 / 3 / 3**0.5],
        ),
        ({"name": "adam", "learning_rate": 0.1, "betas": [0.5, 0.9]}, [-0.1, -0.2, -0.3]),
        (
            {"name": "rmsprop", "learning_rate": 0.1, "smoothing": 0.75},
            np.cumsum([-0.2, -0.1 / 0.4375**0.5, -0.1 / 0.578125**0.5]),
        ),
    ],
)
def test_steps_worked_out_by_hand(options, places):
    assert first_moves([1, 1, 1], **options) == pytest.approx(places, rel=1e-4)


def test_amsgrad_remembers_the_largest_gradient():
    options = {"name": "adam", "learning_rate": 0.1, "betas": [0.0, 0.5]}
    plain, remembering = (
        first_moves([10, *[0.1] * 30], **options, amsgrad=amsgrad) for amsgrad in (False, True)
    )
    assert abs(plain[-1] - plain[-2]) > 0.09
    assert abs(remembering[-1] - remembering[-2]) < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sgd", "momentum": 1}, "momentum is 1.0, expected from 0 to below 1"),
        (
            {"name": "sgd", "dampening": 0.9},
            "dampening is 0.9, expected 0 with Nesterov's momentum; or set nesterov: false",
        ),
        ({"name": "adam", "betas": [0.9, 1.0]}, r"betas are \[0.9, 1.0\]"),
        ({"name": "adam", "epsilon": 0}, "epsilon is 0.0"),
        ({"name": "adagrad", "lr_decay": -1}, "lr_decay is -1.0"),
        ({"name": "rmsprop", "smoothing": 1}, "smoothing is 1.0"),
        ({"name": "adamw", "weight_decay": -1}, "weight_decay is -1.0"),
        ({"name": "adam", "without_decay": "all"}, "without_decay: found 'all'"),
        (
            {"name": "adam", "weight_decay_factors": {"loss.": -1}},
            "weight_decay_factors: loss.: -1.0, expected 0 or more",
        ),
        (
            {"name": "adam", "learning_rate_factors": {"loss.": 0}},
            "learning_rate_factors: loss.: 0.0, expected more than 0",
        ),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(UserError, match=f"x.yaml: optimizer: .*{message}"):
        build(OPTIMIZERS, options, "x.yaml: optimizer")


def test_nesterov_needs_momentum():
    assert make(Sgd, {"momentum": 0}, "x").make(nn.Linear(1, 1)).defaults["nesterov"] is False
