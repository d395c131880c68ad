"""The thin ResNet-34 against the published table: counts, sizes of the maps, slow pooling."""

import pytest
import torch
import torch.nn.functional as F

from steps.models import MODELS
from steps.models.ghostvlad import AveragePooling, Bottleneck, ThinResNet34GhostVlad, VladPooling
from utils.config import build
from utils.errors import UserError

SMALL = {
    "conv_channels": 4,
    "bottleneck_channels": (4, 4, 4, 4),
    "stage_channels": (4, 8, 8, 8),
    "blocks": (1, 1, 2, 1),
    "frame_channels": 8,
    "embedding_dim": 6,
}


RESNET34L = {
    "conv_stride": 2,
    "bottleneck_channels": (64, 128, 256, 512),
    "stage_channels": (256, 512, 1024, 2048),
    "blocks": (3, 3, 3, 3),
    "strides": (1, 2, 1, 2),
}


def count(**options):
    return sum(parameter.numel() for parameter in ThinResNet34GhostVlad(**options).parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 7_664_394),
        ({"clusters": 10, "ghosts": 2}, 8_196_876),
        ({"clusters": 10, "ghosts": 0}, 8_188_682),
        ({"clusters": 8, "ghosts": 0}, 7_656_200),
        ({"pooling": "average"}, 5_788_416),
        (RESNET34L, 29_456_842),
        (RESNET34L | {"clusters": 10}, 30_010_828),
        (RESNET34L | {"ghosts": 0}, 29_427_144),
        (RESNET34L | {"pooling": "average"}, 27_473_344),
    ],
)
@pytest.mark.slow
def test_parameters_are_the_published_ones(options, expected):
    assert count(**options) == expected


@pytest.mark.parametrize(("options", "expected"), [({}, 3_690_240), (RESNET34L, 19_870_144)])
@pytest.mark.slow
def test_trunk_alone_has_the_published_parameters(options, expected):
    network = ThinResNet34GhostVlad(**options)
    assert (
        sum(
            parameter.numel()
            for part in (network.conv, network.blocks)
            for parameter in part.parameters()
        )
        == expected
    )


@pytest.mark.parametrize(
    ("options", "conv", "stages"),
    [
        ({}, (64, 257, 250), [(96, 128, 125), (128, 64, 63), (256, 32, 32), (512, 16, 16)]),
        (RESNET34L, (64, 129, 125), [(256, 64, 62), (512, 32, 31), (1024, 32, 31), (2048, 16, 16)]),
    ],
)
@pytest.mark.slow
def test_maps_have_the_published_sizes(options, conv, stages):
    network = ThinResNet34GhostVlad(**options).eval()
    sizes = {}
    for name, module in {
        "conv": network.conv,
        **{f"block{k}": block for k, block in enumerate(network.blocks)},
        "frames": network.frames,
    }.items():
        module.register_forward_hook(
            lambda _, __, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
    num_samples = round(2.49 * 16000)
    assert network.front_end.num_frames(num_samples) == 250
    with torch.no_grad():
        embedding_BE = network(0.1 * torch.randn(1, num_samples), torch.tensor([num_samples]))
    assert sizes["conv"] == conv
    last = len(network.blocks) - 1
    assert [sizes[f"block{k}"] for k in (last - 9, last - 6, last - 3, last)] == stages
    assert sizes["frames"] == (512, 1, 16)
    assert embedding_BE.shape == (1, 512)
    assert (embedding_BE >= 0).all()


def test_a_block_strides_in_its_first_1x1_and_in_its_shortcut():
    torch.manual_seed(0)
    block = Bottleneck(4, 3, 6, stride=2, project=True, bn_momentum=0.01).eval()
    x_BCFT = torch.randn(2, 4, 9, 8)

    def conv(part, x, stride=1):
        return part[1](F.conv2d(x, part[0].weight, stride=stride, padding=part[0].padding))

    with torch.no_grad():
        y_BCFT = F.relu(conv(block.reduce, x_BCFT, stride=2))
        y_BCFT = conv(block.increase, F.relu(conv(block.conv, y_BCFT)))
        expected_BCFT = F.relu(y_BCFT + conv(block.shortcut, x_BCFT, stride=2))
        torch.testing.assert_close(block(x_BCFT, None), expected_BCFT)


def test_batch_normalisation_is_that_of_keras():
    norms = [
        module
        for module in ThinResNet34GhostVlad(**SMALL).modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_weights_are_orthogonal_at_the_start():
    network = ThinResNet34GhostVlad(**SMALL)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            matrix = module.weight.detach().flatten(1)
            if matrix.shape[0] > matrix.shape[1]:
                matrix = matrix.T
            gram = matrix @ matrix.T
            torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
    centres_ND = torch.cat([network.pooling.centres_KD, network.pooling.ghost_centres_GD]).detach()
    assert centres_ND.shape == (10, 8)
    torch.testing.assert_close(centres_ND.T @ centres_ND, torch.eye(8), atol=1e-5, rtol=0)


def slow_vlad(pooling, x_BCFT, frames_BD1T, num_frames):
    """Frame by frame and centre by centre, as in the paper; ghosts are dropped at the end."""
    scores_BNT = pooling.weights(x_BCFT).squeeze(2)
    centres_ND = torch.cat([pooling.centres_KD, pooling.ghost_centres_GD])
    rows = []
    for b in range(len(x_BCFT)):
        residuals = [torch.zeros(centres_ND.shape[1]) for _ in centres_ND]
        for t in range(num_frames[b]):
            total = sum(scores_BNT[b, k, t].exp() for k in range(len(centres_ND)))
            for k, centre_D in enumerate(centres_ND):
                residuals[k] = residuals[k] + scores_BNT[b, k, t].exp() / total * (
                    frames_BD1T[b, :, 0, t] - centre_D
                )
        kept = residuals[: len(pooling.centres_KD)]
        rows.append(torch.cat([residual / residual.norm() for residual in kept]))
    return torch.stack(rows)


@pytest.mark.parametrize("ghosts", [0, 2])
def test_vlad_equals_the_sum_over_frames_and_centres(ghosts):
    torch.manual_seed(0)
    pooling = VladPooling(in_channels=5, height=3, frame_channels=4, clusters=3, ghosts=ghosts)
    x_BCFT, frames_BD1T, num_frames = torch.randn(2, 5, 3, 7), torch.randn(2, 4, 1, 7), [7, 4]
    mask_BT = torch.arange(7) < torch.tensor(num_frames)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(
            pooling(x_BCFT, frames_BD1T, mask_BT),
            slow_vlad(pooling, x_BCFT, frames_BD1T, num_frames),
        )
        torch.testing.assert_close(
            pooling(x_BCFT, frames_BD1T, None), slow_vlad(pooling, x_BCFT, frames_BD1T, [7, 7])
        )


def test_average_pooling_counts_real_frames_only():
    frames_BD1T = torch.tensor([[[[1.0, 2.0, 6.0]]], [[[1.0, 2.0, 6.0]]]])
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    assert AveragePooling(1)(frames_BD1T, frames_BD1T, mask_BT).tolist() == [[3.0], [1.5]]
    assert AveragePooling(1)(frames_BD1T, frames_BD1T, None).tolist() == [[3.0], [3.0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "average"},
        {"ghosts": 0},
        {"front_end": {"name": "kaldi_fbank", "num_mel_bins": 80}},
        {
            "front_end": {
                "name": "kaldi_fbank",
                "num_mel_bins": 64,
                "normalisation": "utterance_mean",
            }
        },
        {"spec_augment": {"num_time_masks": 2}},
        {"embedding_output": "batch_norm"},
        {"conv_stride": 2, "strides": (1, 2, 1, 2)},
    ],
    ids=str,
)
def test_variants_reach_every_parameter_and_ignore_batch_mates(options):
    torch.manual_seed(0)
    network = ThinResNet34GhostVlad(**SMALL | options)
    waveforms_BS, lengths_B = (
        0.1 * torch.randn(3, 16000),
        torch.tensor([16000, 9000, network.min_samples]),
    )
    embedding_BE = network(waveforms_BS, torch.full((3,), 16000), [1, 2, 3])
    embedding_BE.square().sum().backward()
    unreached = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert unreached == set(network.without_gradient)
    network.eval()
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
    network = ThinResNet34GhostVlad(**SMALL)
    with pytest.raises(ValueError, match="same length"):
        network(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


def test_spec_augment_needs_seeds_in_training_and_does_nothing_in_evaluation():
    network = ThinResNet34GhostVlad(
        **SMALL, spec_augment={"num_freq_masks": 2, "max_freq_bins": 60}
    )
    batch = 0.1 * torch.randn(2, 16000), torch.tensor([16000, 16000])
    with pytest.raises(ValueError, match="a seed per utterance"):
        network(*batch)
    assert torch.equal(network(*batch, [3, 4]), network(*batch, [3, 4]))
    assert not torch.equal(network(*batch, [3, 4]), network(*batch, [5, 6]))
    network.eval()
    assert torch.equal(network(*batch, [3, 4]), network(*batch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 0}, "clusters is 0"),
        ({"ghosts": -1}, "ghosts is -1"),
        ({"blocks": [1, 2]}, "blocks [1, 2], bottleneck_channels [48, 96, 128, 256]"),
        ({"blocks": []}, "blocks is []"),
        (
            {"strides": [1, 2]},
            (
                "blocks [2, 3, 3, 3], bottleneck_channels [48, 96, 128, 256], "
                "stage_channels [96, 128, 256, 512] and strides [1, 2]"
            ),
        ),
        ({"strides": [1, 2, 0, 2]}, "strides is [1, 2, 0, 2]"),
        ({"conv_stride": 0}, "conv_stride is 0"),
        ({"stage_channels": [8, 8, 0, 8]}, "stage_channels is [8, 8, 0, 8]"),
        ({"embedding_dim": "512"}, "embedding_dim: found '512' (text), expected a whole number"),
        ({"bn_momentum": 0}, "bn_momentum is 0.0"),
        ({"front_end": {"name": "kaldi_mfcc"}}, "front_end gives 30 features"),
        ({"chanels": 3}, "unknown key 'chanels'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "ghostvlad", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
