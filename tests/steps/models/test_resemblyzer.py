"""Resemblyzer's network: counts, sizes, and its last layers by hand."""

import pytest
import torch

from steps.models import MODELS
from steps.models.resemblyzer import Resemblyzer
from tests.steps.models.checks import assert_batch_mates_change_nothing
from utils.config import build
from utils.errors import UserError

SMALL = {"cells": 6, "embedding_dim": 4, "layers": 2}


def test_parameters_and_frames_are_the_published_ones():
    network = Resemblyzer()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_423_616
    assert network.front_end.num_frames(159 * 160) == 160


@torch.no_grad()
def test_the_embedding_is_the_last_frame_through_linear_and_relu_at_length_one():
    torch.manual_seed(1)
    network = Resemblyzer(**SMALL).eval()
    features_BTF, num_frames_B = torch.randn(2, 9, 40), torch.tensor([9, 5])
    outputs_BTC, _ = network.lstm(features_BTF)
    result_BE = network.trunk(features_BTF, num_frames_B)
    for row, last in enumerate((8, 4)):
        linear_E = network.linear.weight @ outputs_BTC[row, last] + network.linear.bias
        expected_E = linear_E.clamp(min=0)
        assert expected_E.any()
        torch.testing.assert_close(result_BE[row], expected_E / expected_E.norm())


@torch.no_grad()
def test_an_embedding_of_zeros_stays_finite():
    network = Resemblyzer(**SMALL).eval()
    network.linear.weight.zero_()
    network.linear.bias.fill_(-1.0)
    assert not network(torch.zeros(1, 8000), torch.tensor([8000])).any()


def test_gradients_reach_every_parameter_and_batch_mates_change_nothing():
    torch.manual_seed(0)
    network = Resemblyzer(**SMALL)
    network.linear.bias.data.fill_(0.1)
    waveforms_BS = 0.1 * torch.randn(3, 16000)
    weights_E = torch.tensor([1.0, 2.0, 3.0, 4.0])
    network(waveforms_BS, torch.full((3,), 16000)).matmul(weights_E).sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())
    lengths_B = torch.tensor([16000, 9000, network.min_samples])
    assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B)


@pytest.mark.parametrize(
    ("options", "message"), [({"cells": 0}, "cells is 0"), ({"layers": 0}, "layers is 0")]
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "resemblyzer", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
