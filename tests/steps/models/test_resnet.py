"""ResNet34 against the published table: counts, sizes of the maps, and its pieces by hand."""

import pytest
import torch
import torch.nn.functional as F

from steps.models import MODELS
from steps.models.layers.maps import BasicBlock
from steps.models.layers.pooling import statistics_over_frames
from steps.models.resnet import ResNet34
from tests.steps.models.checks import (
    assert_autocast_gives_float32_and_nearly_the_same,
    assert_batch_mates_change_nothing,
    unreached_parameters,
)
from utils.config import build
from utils.errors import UserError

SMALL = {"channels": 4, "blocks": (1, 1, 2), "embedding_dim": 6}


def test_parameters_are_the_published_ones():
    assert sum(parameter.numel() for parameter in ResNet34().parameters()) == 6_634_336


def test_maps_have_the_published_sizes():
    network = ResNet34().eval()
    sizes = {}
    for name, module in {
        "conv": network.conv,
        **{f"block{k}": block for k, block in enumerate(network.blocks)},
    }.items():
        module.register_forward_hook(
            lambda _, __, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        embedding_BE = network.trunk(torch.randn(1, 200, 80), torch.tensor([200]))
    assert [sizes[name] for name in ("conv", "block2", "block6", "block12", "block15")] == [
        (32, 80, 200),
        (32, 80, 200),
        (64, 40, 100),
        (128, 20, 50),
        (256, 10, 25),
    ]
    assert network.embedding.in_features == 5120
    assert embedding_BE.shape == (1, 256)


@pytest.mark.parametrize(("in_channels", "stride"), [(4, 1), (4, 2), (3, 1), (3, 2)])
def test_a_block_equals_its_layers_one_after_the_other(in_channels, stride):
    torch.manual_seed(0)
    block = BasicBlock(in_channels, 4, stride=stride)
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
    block.eval()
    x_BCFT = torch.randn(2, in_channels, 9, 8)
    with torch.no_grad():
        y_BCFT = F.relu(block.norm1(F.conv2d(x_BCFT, block.conv1.weight, stride=stride, padding=1)))
        y_BCFT = block.norm2(F.conv2d(y_BCFT, block.conv2.weight, padding=1))
        projects = in_channels != 4 or stride > 1
        shortcut_BCFT = (
            block.shortcut[1](F.conv2d(x_BCFT, block.shortcut[0].weight, stride=stride))
            if projects
            else x_BCFT
        )
        torch.testing.assert_close(block(x_BCFT, None), F.relu(y_BCFT + shortcut_BCFT))


def test_a_block_leaves_zeros_after_the_end_and_sees_them_there():
    torch.manual_seed(0)
    block = BasicBlock(2, 3, stride=2)
    torch.nn.init.normal_(block.norm1.bias)
    torch.nn.init.normal_(block.norm2.bias)
    block.eval()
    x_BCFT = torch.randn(1, 2, 5, 9)
    x_BCFT[..., 6:] = 0
    with torch.no_grad():
        y_BCFT = block(x_BCFT, torch.tensor([[True, True, True, False, False]]))
        torch.testing.assert_close(y_BCFT[..., :3], block(x_BCFT[..., :6], None))
    assert not y_BCFT[..., 3:].any()


def test_statistics_by_head():
    x_BCT = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]], [[1.0, 3.0, 99.0], [0.0, 4.0, 99.0]]])
    expected = torch.tensor([[2.0, 4.0, 1.1**0.5, 0.1**0.5], [2.0, 2.0, 2.1**0.5, 8.1**0.5]])
    torch.testing.assert_close(
        statistics_over_frames(x_BCT, torch.tensor([3, 2]), variance_offset=0.1), expected
    )
    torch.testing.assert_close(
        statistics_over_frames(x_BCT[:1], None, variance_offset=0.1), expected[:1]
    )


def test_the_shortest_input_leaves_two_frames_for_the_standard_deviation():
    network = ResNet34(**SMALL).eval()  # two halvings
    assert network.front_end.num_frames(network.min_samples) == 5
    assert (
        ResNet34(**SMALL | {"blocks": (1, 1, 1, 1)}).front_end.num_frames(
            ResNet34(blocks=(1, 1, 1, 1), channels=4).min_samples
        )
        == 9
    )
    frames = []
    network.blocks[-1].register_forward_hook(lambda _, __, output: frames.append(output.shape[3]))
    assert (
        network(torch.zeros(1, network.min_samples), torch.tensor([network.min_samples]))
        .isfinite()
        .all()
    )
    assert frames == [2]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"blocks": (1,)},
        {"front_end": {"name": "kaldi_fbank", "num_mel_bins": 37}},
        {"spec_augment": {"max_freq_bins": 20}},
    ],
    ids=str,
)
def test_variants_reach_every_parameter_and_ignore_batch_mates(options):
    torch.manual_seed(0)
    network = ResNet34(**SMALL | options)
    waveforms_BS, lengths_B = (
        0.1 * torch.randn(3, 16000),
        torch.tensor([16000, 9000, network.min_samples]),
    )
    assert unreached_parameters(network, waveforms_BS) == set()
    assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B)


def test_under_autocast_embeddings_are_float32_and_nearly_the_same():
    torch.manual_seed(0)
    assert_autocast_gives_float32_and_nearly_the_same(ResNet34(**SMALL))


def test_unequal_lengths_are_refused_in_training():
    with pytest.raises(ValueError, match="same length"):
        ResNet34(**SMALL)(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"blocks": []}, "blocks is []"),
        ({"blocks": [3, 0]}, "blocks is [3, 0]"),
        ({"blocks": 3}, "blocks: found 3"),
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        ({"pooling": "mean"}, "unknown key 'pooling'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "resnet34", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
