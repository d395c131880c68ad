"""ECAPA-TDNN against the published table: counts, frames, and its pieces by hand."""

import pytest
import torch
import torch.nn.functional as F

from steps.models import MODELS
from steps.models.ecapa import EcapaTdnn, SqueezeRes2Block
from steps.models.layers.conv import ConvReluNorm, SqueezeExcitation
from steps.models.layers.frames import mirrored_ends
from tests.steps.models.checks import (
    assert_autocast_gives_float32_and_nearly_the_same,
    assert_batch_mates_change_nothing,
    unreached_parameters,
)
from utils.config import build
from utils.errors import UserError

SMALL = {
    "channels": 8,
    "groups": 4,
    "squeeze_channels": 4,
    "attention_channels": 4,
    "frame_channels": 12,
    "embedding_dim": 6,
}


SPEECHBRAIN = {
    "padding": "reflect",
    "frames_norm": True,
    "attention_norm": True,
    "least_variance": 1e-12,
    "unbiased": False,
    "front_end": {"name": "speechbrain_fbank", "normalisation": "utterance_mean"},
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 6_190_720),
        ({"channels": 1024}, 14_657_088),
        ({"global_context": False}, 5_797_504),
        (SPEECHBRAIN | {"channels": 1024, "frame_channels": 3072}, 20_767_552),
    ],
)
def test_parameters_are_the_published_ones(options, expected):
    assert count(EcapaTdnn(**options)) == expected


def test_frames_and_channels_are_the_published_ones():
    network = EcapaTdnn().eval()
    sizes = {}
    for name, module in {
        "first": network.first,
        **{f"block{k}": block for k, block in enumerate(network.blocks)},
        "frames": network.frames,
        "pooling": network.pooling,
    }.items():
        module.register_forward_hook(
            lambda _, __, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        embedding_BE = network(0.1 * torch.randn(1, 32000), torch.tensor([32000]))
    assert sizes == {
        "first": (512, 198),
        "block0": (512, 198),
        "block1": (512, 198),
        "block2": (512, 198),
        "frames": (1536, 198),
        "pooling": (3072,),
    }
    assert embedding_BE.shape == (1, 192)
    assert [(block.res2.convs[0].dilation, len(block.res2.convs)) for block in network.blocks] == [
        ((2,), 7),
        ((3,), 7),
        ((4,), 7),
    ]


def test_squeeze_and_excitation_by_hand():
    scaling = SqueezeExcitation(1, 1)
    for name, value in {
        "reduce.weight": 1.0,
        "reduce.bias": -1.0,
        "increase.weight": 2.0,
        "increase.bias": 0.0,
    }.items():
        torch.nn.init.constant_(scaling.get_parameter(name), value)
    x_BCT = torch.tensor(
        [[[1.0, 2.0, 6.0]], [[0.0, 1.0, 9.0]]]
    )  # means 3 and, of two frames, 0.5: after the first layer 2 and, cut off, 0
    y_BCT = scaling(x_BCT, torch.tensor([3, 2]))
    torch.testing.assert_close(
        y_BCT[0, 0], torch.tensor([1.0, 2.0, 6.0]) / (1 + torch.tensor(-4.0).exp())
    )
    torch.testing.assert_close(y_BCT[1, 0, :2], torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(scaling(x_BCT[:1], None), y_BCT[:1])


def test_a_block_equals_its_layers_one_after_the_other():
    torch.manual_seed(0)
    block = SqueezeRes2Block(6, 3, 2, 4)
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
    block.eval()
    x_BCT = torch.randn(2, 6, 9)
    with torch.no_grad():
        y_BCT = block.conv1.norm(
            F.relu(F.conv1d(x_BCT, block.conv1.conv.weight, block.conv1.conv.bias))
        )
        first, second, third = y_BCT[:, :2], y_BCT[:, 2:4], y_BCT[:, 4:]
        conv, norm = block.res2.convs, block.res2.norms
        first = norm[0](
            F.relu(F.conv1d(F.pad(first, (2, 2)), conv[0].weight, conv[0].bias, dilation=2))
        )
        second = norm[1](
            F.relu(
                F.conv1d(F.pad(first + second, (2, 2)), conv[1].weight, conv[1].bias, dilation=2)
            )
        )
        y_BCT = torch.cat([first, second, third], dim=1)
        y_BCT = block.conv3.norm(
            F.relu(F.conv1d(y_BCT, block.conv3.conv.weight, block.conv3.conv.bias))
        )
        hidden_BH = F.relu(block.scaling.reduce(y_BCT.mean(dim=2)))
        scale_BC = torch.sigmoid(block.scaling.increase(hidden_BH))
        torch.testing.assert_close(block(x_BCT, None), x_BCT + y_BCT * scale_BC[:, :, None])


def test_the_embedding_sees_all_blocks_through_the_pooling():
    torch.manual_seed(0)
    network = EcapaTdnn(**SMALL).eval()
    features_BTF = torch.randn(1, 7, 80)
    with torch.no_grad():
        x_BCT = network.first(features_BTF.transpose(1, 2), None)
        outputs = []
        for block in network.blocks:
            x_BCT = block(x_BCT, None)
            outputs.append(x_BCT)
        h_CT = F.relu(network.frames(torch.cat(outputs, dim=1)))[0]
        seen_NT = torch.cat(
            [
                h_CT,
                h_CT.mean(dim=1, keepdim=True).expand(-1, 7),
                (h_CT.var(dim=1, keepdim=True) + 1e-7).sqrt().expand(-1, 7),
            ]
        )
        pooling = network.pooling
        hidden_HT = torch.tanh(pooling.hidden(seen_NT[None]))
        weights_CT = torch.softmax(pooling.weights(hidden_HT)[0], dim=1)
        mean_C = sum(weights_CT[:, t] * h_CT[:, t] for t in range(7))
        variance_C = sum(weights_CT[:, t] * (h_CT[:, t] - mean_C) ** 2 for t in range(7))
        deviation_C = variance_C.clamp(min=1e-7).sqrt()
        statistics_N = torch.cat([mean_C, deviation_C])
        expected_BE = network.embedding(network.norm(statistics_N[None]))
        torch.testing.assert_close(
            network.trunk(features_BTF, torch.tensor([7])), expected_BE, atol=1e-5, rtol=1e-4
        )


@torch.no_grad()
def test_speechbrains_pooling_equals_its_layers_one_after_the_other():
    torch.manual_seed(0)
    network = EcapaTdnn(**SMALL | SPEECHBRAIN)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    network.eval()
    pooling, seen = network.pooling, []
    pooling.register_forward_hook(lambda _, inputs, output: seen.extend([inputs[0], output]))
    network.frames.register_forward_hook(lambda _, __, output: seen.append(output))
    expected_BE = network.trunk(torch.randn(1, 7, 80), torch.tensor([7]))
    before_BCT, h_BCT, statistics_BN = seen
    torch.testing.assert_close(h_BCT, network.frames_norm(F.relu(before_BCT)))
    h_CT = h_BCT[0]
    mean_C1 = h_CT.mean(dim=1, keepdim=True)
    deviation_C1 = (h_CT - mean_C1).square().mean(dim=1, keepdim=True).sqrt()
    seen_NT = torch.cat([h_CT, mean_C1.expand(-1, 7), deviation_C1.expand(-1, 7)])
    _, norm, _ = pooling.between
    hidden_BHT = torch.tanh(norm(F.relu(pooling.hidden(seen_NT[None]))))
    weights_CT = pooling.weights(hidden_BHT)[0].softmax(dim=1)
    mean_C = (weights_CT * h_CT).sum(dim=1)
    variance_C = (weights_CT * (h_CT - mean_C[:, None]).square()).sum(dim=1)
    expected_N = torch.cat([mean_C, variance_C.sqrt()])
    torch.testing.assert_close(statistics_BN[0], expected_N, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.embedding(network.norm(statistics_BN)), expected_BE)


def test_a_mirroring_convolution_sees_each_utterance_mirrored_at_its_own_end():
    x_BCT = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]], [[1.0, 2.0, 3.0, 50.0, 70.0]]])
    extended_BCT = mirrored_ends(x_BCT, torch.tensor([5, 3]), 2)
    assert extended_BCT[0, 0].tolist() == [3, 2, 1, 2, 3, 4, 5, 4, 3]
    assert extended_BCT[1, 0, :7].tolist() == [3, 2, 1, 2, 3, 2, 1]
    layer = ConvReluNorm(1, 1, 3, padding="reflect").eval()
    for name, value in {"conv.weight": 1.0, "conv.bias": 0.0}.items():
        torch.nn.init.constant_(layer.get_parameter(name), value)
    y_BCT = layer(x_BCT, torch.tensor([5, 3])) * (1 + layer.norm.eps) ** 0.5
    torch.testing.assert_close(y_BCT[0, 0], torch.tensor([5.0, 6.0, 9.0, 12.0, 13.0]))
    torch.testing.assert_close(y_BCT[1, 0, :3], torch.tensor([5.0, 6.0, 7.0]))
    torch.testing.assert_close(layer(x_BCT[:1], None) * (1 + layer.norm.eps) ** 0.5, y_BCT[:1])


def test_mirroring_takes_more_frames_than_any_dilation():
    network = EcapaTdnn(**SMALL | SPEECHBRAIN)
    assert network.front_end.num_frames(network.min_samples) == 5
    assert EcapaTdnn(**SMALL).front_end.num_frames(EcapaTdnn(**SMALL).min_samples) == 2


def test_a_convolution_sees_zeros_after_the_end():
    layer = ConvReluNorm(1, 1, 3, stride=2).eval()
    for name, value in {"conv.weight": 1.0, "conv.bias": 0.0}.items():
        torch.nn.init.constant_(layer.get_parameter(name), value)
    x_BCT = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]], [[1.0, 2.0, 3.0, 50.0, 70.0]]])
    y_BCT = layer(x_BCT, torch.tensor([5, 3])) * (1 + layer.norm.eps) ** 0.5
    torch.testing.assert_close(y_BCT[0, 0], torch.tensor([3.0, 9.0, 9.0]))
    torch.testing.assert_close(
        y_BCT[1, 0, :2], torch.tensor([3.0, 5.0])
    )  # 5 frames become 3, and 3 become 2
    with pytest.raises(ValueError, match="kernel is 4"):
        ConvReluNorm(1, 1, 4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"global_context": False},
        {"dilations": (1,)},
        {"front_end": {"name": "kaldi_mfcc"}},
        {"spec_augment": {"max_freq_bins": 20}},
        SPEECHBRAIN,
        {"padding": "reflect", "dilations": (1,)},
    ],
    ids=str,
)
def test_variants_reach_every_parameter_and_ignore_batch_mates(options):
    torch.manual_seed(0)
    network = EcapaTdnn(**SMALL | options)
    waveforms_BS, lengths_B = (
        0.1 * torch.randn(3, 16000),
        torch.tensor([16000, 9000, network.min_samples]),
    )
    assert unreached_parameters(network, waveforms_BS) == set()
    assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B)


def test_under_autocast_embeddings_are_float32_and_nearly_the_same():
    torch.manual_seed(0)
    assert_autocast_gives_float32_and_nearly_the_same(EcapaTdnn(**SMALL))


def test_unequal_lengths_are_refused_in_training():
    with pytest.raises(ValueError, match="same length"):
        EcapaTdnn(**SMALL)(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"channels": 100}, "100 channels in 8 groups"),
        ({"groups": 1}, "512 channels in 1 groups"),
        ({"dilations": []}, "dilations is []"),
        ({"dilations": [2, 0]}, "dilations is [2, 0]"),
        ({"least_variance": 0.0}, "least_variance is 0.0, expected more than 0"),
        ({"embedding_dim": "192"}, "embedding_dim: found '192' (text), expected a whole number"),
        ({"front_end": {"name": "fbank"}}, "front_end"),
        ({"chanels": 3}, "unknown key 'chanels'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "ecapa", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
