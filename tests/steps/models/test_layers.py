"""Layers that networks share: by hand, and the same with padding as without."""

import pytest
import torch

from steps.models.layers.frames import (
    AlphaFeatureMapScaling,
    FeatureMapScaling,
    max_pool,
    mean_over_frames,
    real_frames,
    variance_over_frames,
    without_padding,
)
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.rawnet import PreActivationBlock, last_frame
from steps.models.layers.res2 import Res2Block, Res2Convs
from steps.models.layers.sinc import SincFeatures
from utils.features.sinc import SincBank

GARBAGE = 1e6


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def padded(x_CT, num_frames):
    """A batch of two: the frames in front, and garbage after them."""
    long_CT = torch.full((len(x_CT), num_frames), GARBAGE)
    long_CT[:, : x_CT.shape[1]] = x_CT
    return torch.stack([long_CT, noise(len(x_CT), num_frames, seed=9)]), torch.tensor(
        [x_CT.shape[1], num_frames]
    )


@torch.no_grad()
def test_feature_map_scaling_by_hand():
    scaling, x_BCT = FeatureMapScaling(2), torch.tensor([[[1.0, 3.0], [0.0, -2.0]]])
    scaling.linear.weight.copy_(
        torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    )  # of the means 2 and -1: 0 and 0
    scaling.linear.bias.copy_(torch.tensor([0.0, 1.0]))
    half, more = 0.5, 1 / (1 + 2.718281828**-1)
    expected = torch.tensor(
        [[[1 * half + half, 3 * half + half], [0 * more + more, -2 * more + more]]]
    )
    torch.testing.assert_close(scaling(x_BCT, None), expected)


@torch.no_grad()
def test_alpha_feature_map_scaling_begins_as_the_plain_one_and_learns_what_is_added():
    plain, alpha, x_BCT = FeatureMapScaling(3), AlphaFeatureMapScaling(3), noise(2, 3, 5)
    alpha.linear.load_state_dict(plain.linear.state_dict())
    torch.testing.assert_close(alpha(x_BCT, None), plain(x_BCT, None))
    alpha.linear.weight.zero_()
    alpha.linear.bias.zero_()
    alpha.alpha_C1.copy_(torch.tensor([[0.0], [2.0], [-1.0]]))
    torch.testing.assert_close(
        alpha(x_BCT, None), 0.5 * (x_BCT + torch.tensor([0.0, 2.0, -1.0])[:, None])
    )


@torch.no_grad()
def test_attention_that_weighs_all_frames_alike_gives_mean_and_deviation():
    pooling, x_BCT = (
        AttentiveStatistics(3, 4, between=[torch.nn.ReLU()], context=True),
        noise(2, 3, 50),
    )
    pooling.weights.weight.zero_()
    torch.testing.assert_close(
        pooling(x_BCT, None), torch.cat([x_BCT.mean(dim=2), x_BCT.std(dim=2, correction=0)], dim=1)
    )


@torch.no_grad()
def test_attention_to_one_frame_gives_that_frame_and_the_least_deviation():
    pooling = AttentiveStatistics(
        2, 1, between=[], context=False, one_weight=True, least_variance=0.04
    )
    pooling.hidden.weight.copy_(torch.tensor([[[100.0], [0.0]]]))
    pooling.weights.weight.fill_(1.0)
    x_BCT = torch.tensor([[[0.0, 5.0, 1.0], [7.0, -8.0, 9.0]]])
    torch.testing.assert_close(pooling(x_BCT, None), torch.tensor([[5.0, -8.0, 0.2, 0.2]]))


@torch.no_grad()
def test_groups_hear_of_the_groups_before_them_and_the_last_passes():
    convs = Res2Convs(4, 4).eval()
    for conv in convs.convs:
        conv.weight.zero_()
        conv.weight[0, 0, 1] = 2.0
        conv.bias.zero_()
    found_BCT = convs(torch.tensor([[[1.0], [10.0], [-100.0], [-3.0]]]), None)
    first = 2 * 1.0
    second = 2 * (10 + first)
    torch.testing.assert_close(
        found_BCT[0, :, 0], torch.tensor([first, second, 0.0, -3.0]), rtol=1e-4, atol=1e-4
    )  # the third meets ReLU


def test_max_pooling_drops_frames_left_over():
    x_BCT, num_frames_B = max_pool(
        torch.tensor([[[1.0, 5, 2, 3, 4, GARBAGE, GARBAGE]]]), torch.tensor([5]), 3
    )
    assert x_BCT[0, 0, 0] == 5
    assert num_frames_B.tolist() == [1]
    assert max_pool(torch.zeros(1, 1, 7), None, 3)[0].shape == (1, 1, 2)


def test_means_variances_and_last_frames_leave_padding_out():
    x_CT = noise(3, 4)
    x_BCT, num_frames_B = padded(x_CT, 7)
    torch.testing.assert_close(mean_over_frames(x_BCT, num_frames_B)[0, :, 0], x_CT.mean(dim=1))
    torch.testing.assert_close(variance_over_frames(x_BCT, num_frames_B)[0, :, 0], x_CT.var(dim=1))
    assert without_padding(x_BCT, num_frames_B)[0, :, 4:].eq(0).all()
    assert torch.equal(last_frame(x_BCT.transpose(1, 2), num_frames_B)[0], x_CT[:, -1])


@pytest.mark.parametrize(
    ("options", "expected"), [({}, -8.0), ({"activated_shortcut": True}, -0.3 * 8)]
)
@torch.no_grad()
def test_a_shortcut_sees_the_input_before_or_after_norm_and_leaky_relu(options, expected):
    block = PreActivationBlock(1, 2, bias=False, pool=1, **options).eval()
    block.conv2.weight.zero_()
    block.shortcut.weight.fill_(2.0)
    torch.testing.assert_close(
        block(torch.full((1, 1, 3), -4.0), None)[0],
        torch.full((1, 2, 3), expected),
        rtol=1e-4,
        atol=0,
    )


@pytest.mark.parametrize(
    "layer",
    [
        FeatureMapScaling(4),
        AlphaFeatureMapScaling(4),
        Res2Convs(4, 2, dilation=2),
        Res2Block(4, 6, 2, dilation=3, pool=2),
        AttentiveStatistics(4, 3, between=[torch.nn.ReLU(), torch.nn.BatchNorm1d(3)], context=True),
        PreActivationBlock(4, 6, scaling=FeatureMapScaling(6)),
        PreActivationBlock(4, 4, first_norm="unused", pool=1),
        PreActivationBlock(4, 6, activated_shortcut=True, bias=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
@torch.no_grad()
def test_padding_changes_nothing(layer):
    layer.eval()
    for parameter in layer.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.5)  # a norm's shift would show in the padding
    x_CT = noise(4, 10)
    alone, together = layer(x_CT[None], None), layer(*padded(x_CT, 17))
    if isinstance(alone, tuple):
        alone, together = alone[0], together[0]
    together = together[0] if alone.ndim == 2 else together[0, :, : alone.shape[2]]
    assert (together - alone[0]).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("normalisation", ["none", "mean", "mean_std"])
@torch.no_grad()
def test_sinc_features_are_the_logarithm_of_the_modulus_normalised(normalisation):
    bank, x_BS = SincBank(num_filters=5, kernel_samples=31, stride_samples=7), noise(2, 400)
    lengths_B = torch.tensor([300, 400])
    x_BS[0, 300:] = 0
    found_BCT, num_frames_B = SincFeatures(bank, normalisation=normalisation)(x_BS, lengths_B)
    assert num_frames_B.tolist() == [(300 - 31) // 7 + 1, (400 - 31) // 7 + 1]
    expected_CT = (bank(x_BS[:1, :300])[0].abs() + 1e-6).log()
    if normalisation != "none":
        expected_CT = expected_CT - expected_CT.mean(dim=1, keepdim=True)
    if normalisation == "mean_std":
        expected_CT = expected_CT / expected_CT.std(dim=1, keepdim=True)
    torch.testing.assert_close(
        found_BCT[0, :, : num_frames_B[0]], expected_CT, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        SincFeatures(bank, logarithm=False, normalisation="none")(x_BS, None)[0], bank(x_BS).abs()
    )


def test_numbers_of_frames_are_given_only_where_some_are_padding():
    x_BTF = torch.zeros(2, 5, 1)
    assert real_frames(torch.tensor([5, 5]), x_BTF, training=True) is None
    assert real_frames(torch.tensor([5, 4]), x_BTF, training=False).tolist() == [5, 4]
    with pytest.raises(ValueError, match="same length"):
        real_frames(torch.tensor([5, 4]), x_BTF, training=True)


@pytest.mark.parametrize(("channels", "groups"), [(6, 4), (6, 1)])
def test_groups_that_do_not_divide_the_channels_are_refused(channels, groups):
    with pytest.raises(ValueError, match=f"6 channels in {groups} groups"):
        Res2Convs(channels, groups)
