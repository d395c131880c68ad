"""Deep Speaker's networks: counts, sizes of the maps, slow layers, and length of embeddings."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from steps.models import MODELS
from steps.models.deep_speaker import DeepSpeaker, DeepSpeakerGru, clipped_relu
from utils.config import build
from utils.errors import UserError

SMALL = {
    DeepSpeaker: {"channels": (4, 6), "blocks": (2, 1), "embedding_dim": 8},
    DeepSpeakerGru: {"channels": 3, "states": 6, "embedding_dim": 8},
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def settled(network):
    """In evaluation, with statistics and shifts that would show in the padding."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias, std=0.5)
    return network.eval()


@pytest.mark.parametrize(
    ("network", "options", "expected"),
    [
        (DeepSpeaker, {}, 11_624_128),
        (DeepSpeaker, {"blocks": (3, 3, 3, 3)}, 24_165_568),
        (
            DeepSpeakerGru,
            {},
            64 * 25
            + 2 * 64
            + 3 * 1024 * (2048 + 1024 + 2)
            + 2 * 3 * 1024 * (2048 + 2)
            + 1024 * 512
            + 512,
        ),
    ],
)
def test_parameters_are_the_published_ones(network, options, expected):
    assert count(network(**options)) == expected


def test_the_gru_networks_count_is_the_stated_one():
    assert count(DeepSpeakerGru()) == 22_565_056


@torch.no_grad()
@pytest.mark.parametrize(
    ("num_samples", "frames"), [(5360, (32, 16, 8, 4, 2)), (16000, (99, 50, 25, 13, 7))]
)
def test_maps_have_the_published_sizes(num_samples, frames):
    network, sizes = DeepSpeaker().eval(), []
    for stage in network.stages:
        stage.register_forward_hook(
            lambda _, inputs, output: sizes.extend(
                [tuple(inputs[0].shape[1:]), tuple(output[0].shape[1:])]
            )
        )
    assert network(0.1 * torch.randn(1, num_samples), torch.tensor([num_samples])).shape == (1, 512)
    features, channels = (64, 32, 16, 8, 4), (1, 64, 128, 256, 512)
    maps = list(zip(channels, features, frames, strict=True))
    assert sizes == [size for pair in itertools.pairwise(maps) for size in pair]
    assert network.embedding.in_features == 512 * 4
    assert (
        network.min_samples == 5201
    )  # the fewest that give 32 frames, the last one filled with zeros


@torch.no_grad()
def test_gru_network_has_the_published_sizes():
    network, sizes = DeepSpeakerGru().eval(), []
    network.gru.register_forward_hook(
        lambda _, inputs, output: sizes.extend([tuple(inputs[0].shape), tuple(output[0].shape)])
    )
    assert network(0.1 * torch.randn(1, 5360), torch.tensor([5360])).shape == (1, 512)
    assert sizes == [(1, 16, 2048), (1, 16, 1024)]


@torch.no_grad()
def test_the_network_is_its_table_computed_step_by_step():
    torch.manual_seed(0)
    network = settled(DeepSpeaker(**SMALL[DeepSpeaker]))

    def norm(part, x):
        scale = part.weight / (part.running_var + 1e-5).sqrt()
        return (x - part.running_mean[:, None, None]) * scale[:, None, None] + part.bias[
            :, None, None
        ]

    def conv(part, x):
        size = part.weight.shape[-1]
        return F.conv2d(F.pad(x, [size // 2] * 4), part.weight, stride=part.stride)

    features_BTF = 3 * torch.randn(2, 37, 64)
    x = features_BTF.transpose(1, 2)[:, None]
    for stage in network.stages:
        x = norm(stage.norm, conv(stage.conv, x)).clip(0, 20)
        for block in stage.blocks:
            inner = norm(block.norm1, conv(block.conv1, x)).clip(0, 20)
            x = (norm(block.norm2, conv(block.conv2, inner)) + x).clip(0, 20)
    mean_BN = torch.stack(
        [
            x[:, channel, row].mean(dim=1)
            for channel in range(x.shape[1])
            for row in range(x.shape[2])
        ],
        dim=1,
    )
    y_BE = mean_BN @ network.embedding.weight.T + network.embedding.bias
    torch.testing.assert_close(
        network.trunk(features_BTF, torch.tensor([37, 37])),
        10 * y_BE / (y_BE**2).sum(dim=1, keepdim=True).sqrt(),
    )


def test_relu_is_clipped_at_20():
    assert clipped_relu(torch.tensor([-1.0, 0.0, 3.0, 19.5, 20.0, 21.0])).tolist() == [
        0.0,
        0.0,
        3.0,
        19.5,
        20.0,
        20.0,
    ]


@torch.no_grad()
def test_blocks_clip_too():
    network = DeepSpeaker(channels=(2,), blocks=(1,), embedding_dim=2).eval()
    block = network.stages[0].blocks[0]
    torch.nn.init.constant_(block.norm2.bias, 100.0)
    assert (block(torch.ones(1, 2, 4, 4), None) == 20.0).all()


@torch.no_grad()
@pytest.mark.parametrize("kind", SMALL)
def test_embeddings_have_length_10(kind):
    network = kind(**SMALL[kind]).eval()
    lengths = network(torch.randn(5, 6000), torch.full((5,), 6000)).double().norm(dim=1)
    torch.testing.assert_close(
        lengths, torch.full((5,), 10.0, dtype=torch.float64), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", SMALL)
def test_gradients_reach_every_parameter_and_batch_mates_change_nothing(kind):
    torch.manual_seed(0)
    network = kind(**SMALL[kind])
    waveforms_BS, lengths_B = (
        0.1 * torch.randn(4, 16000),
        torch.tensor([16000, 9000, network.min_samples, 15900]),
    )
    embedding_BE = network(waveforms_BS, torch.full((4,), 16000))
    embedding_BE[:, 0].square().sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())
    settled(network)
    with torch.no_grad():
        together_BE = F.normalize(network(waveforms_BS, lengths_B))
        alone_BE = torch.cat(
            [
                F.normalize(network(waveforms_BS[row : row + 1, :n], lengths_B[row : row + 1]))
                for row, n in enumerate(lengths_B)
            ]
        )
    torch.testing.assert_close(together_BE, alone_BE, atol=1e-5, rtol=0)


def test_unequal_lengths_are_refused_in_training():
    network = DeepSpeaker(**SMALL[DeepSpeaker])
    with pytest.raises(ValueError, match="same length"):
        network(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


def test_convolutions_begin_as_published():
    torch.manual_seed(0)
    network = DeepSpeaker()
    for stage in network.stages:
        for conv in (stage.conv, stage.blocks[0].conv1, stage.blocks[0].conv2):
            expected = (2 / (conv.kernel_size[0] ** 2 * conv.out_channels)) ** 0.5
            assert abs(conv.weight.std().item() / expected - 1) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "deep_speaker", "channels": []}, "channels is []"),
        ({"name": "deep_speaker", "blocks": [1, 0, 1, 1]}, "blocks is [1, 0, 1, 1]"),
        (
            {"name": "deep_speaker", "blocks": [1, 1]},
            "channels [64, 128, 256, 512] and blocks [1, 1] differ in length",
        ),
        ({"name": "deep_speaker_gru", "states": 0}, "states is 0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, options, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
