"""MR-RawNet against the published table: counts, frames of branches, slow layers, any lengths."""

import pytest
import torch
import torch.nn.functional as F

from steps.models import MODELS
from steps.models.mr_rawnet import (
    GlobalNorm,
    MrRawNet,
    MultiResolutionAttention,
    PathGate,
    TemporalBlock,
    extended_to_multiple,
)
from tests.steps.models.checks import (
    assert_autocast_gives_float32_and_nearly_the_same,
    assert_batch_mates_change_nothing,
    unreached_parameters,
)
from utils.config import build
from utils.errors import UserError

SMALL = {
    "filters": 8,
    "branch_channels": 8,
    "hidden_channels": 6,
    "repeats": 1,
    "channels": 8,
    "stage_blocks": 1,
    "frame_channels": 12,
    "attention_channels": 4,
    "embedding_dim": 6,
}


def count(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_parts_have_the_published_parameters():
    network = MrRawNet()
    assert [count(branch.features) for branch in network.branches] == [256] * 4
    assert [count(branch.conv) for branch in network.branches] == [32_768] * 4
    assert [count(branch.blocks) for branch in network.branches] == [303_000] * 4
    assert [count(branch.align) for branch in network.branches] == [
        278_912,
        147_840,
        82_304,
        49_536,
    ]
    assert count(network.join.conv) == 655_616
    assert [count(stage) for stage in network.stages] == [3_111_360] * 3
    assert count(network.frames) == 1_181_184
    assert count(network.pooling) == 1_575_168
    assert count(network.embedding) == 786_688
    assert count(network) == 15_442_594


def test_frames_are_the_published_ones():
    network = MrRawNet(**SMALL).eval()
    frames = {}
    for name, module in {
        **{f"branch{i}": branch.blocks[-1] for i, branch in enumerate(network.branches)},
        **{f"align{i}": branch.align for i, branch in enumerate(network.branches)},
        "join": network.join,
        "frames": network.frames,
    }.items():
        module.register_forward_hook(
            lambda _, __, output, name=name: frames.update({name: output.shape[2]})
        )
    with torch.no_grad():
        network(0.1 * torch.randn(1, 48000), torch.tensor([48000]))
    assert [frames[f"branch{i}"] for i in range(4)] == [2400, 1200, 600, 300]
    assert [frames[f"align{i}"] for i in range(4)] == [300] * 4
    assert frames["join"] == frames["frames"] == 300
    banks = [branch.features.bank for branch in network.branches]
    assert [(bank.kernel_samples, bank.stride_samples) for bank in banks] == [
        (51, 20),
        (101, 40),
        (201, 80),
        (401, 160),
    ]
    assert [(b.align.conv.kernel_size, b.align.conv.stride) for b in network.branches] == [
        ((17,), (8,)),
        ((9,), (4,)),
        ((5,), (2,)),
        ((3,), (1,)),
    ]


@pytest.mark.parametrize("num_samples", [320, 321, 639, 640, 16001, 17999])
def test_any_length_is_taken_and_filled_with_its_beginning(num_samples):
    torch.manual_seed(0)
    network = MrRawNet(**SMALL).eval()
    waveform_BS, length_B = 0.1 * torch.randn(1, num_samples), torch.tensor([num_samples])
    missing = -num_samples % 320
    with torch.no_grad():
        embedding_BE = network(waveform_BS, length_B)
        features_BTF, _ = network.front_end(waveform_BS, length_B)
        filled_BTF = torch.cat([features_BTF, features_BTF[:, :missing]], dim=1)
        torch.testing.assert_close(
            network.trunk(filled_BTF, torch.tensor([num_samples + missing])),
            embedding_BE,
            atol=1e-5,
            rtol=1e-4,
        )


def test_wrapping_by_head():
    x_BS = torch.tensor(
        [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 9.0, 9.0, 9.0], [1.0, 9.0, 9.0, 9.0, 9.0]]
    )
    wrapped_BS, num_samples_B = extended_to_multiple(x_BS, torch.tensor([5, 2, 1]), 3)
    assert num_samples_B.tolist() == [6, 3, 3]
    assert wrapped_BS.tolist() == [[1, 2, 3, 4, 5, 1], [1, 2, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
    whole_BS, num_samples_B = extended_to_multiple(x_BS, torch.tensor([3, 3, 3]), 3)
    assert num_samples_B.tolist() == [3, 3, 3]
    assert torch.equal(whole_BS, x_BS[:, :3])


def test_global_norm_by_head():
    norm = GlobalNorm(2)
    x_BCT = torch.tensor(
        [[[1.0, 3.0, 50.0], [5.0, 7.0, 60.0]]]
    )  # of two frames: mean 4, variance 5
    expected = torch.tensor([[-3.0, -1.0], [1.0, 3.0]]) / 5**0.5
    torch.testing.assert_close(norm(x_BCT, torch.tensor([2]))[0, :, :2], expected)
    torch.testing.assert_close(norm(x_BCT[..., :2], None)[0], expected)
    torch.nn.init.constant_(norm.gain_1C1, 2.0)
    torch.nn.init.constant_(norm.offset_1C1, 1.0)
    torch.testing.assert_close(norm(x_BCT[..., :2], None)[0], 2 * expected + 1)


def test_a_temporal_block_equals_its_layers_one_after_the_other():
    torch.manual_seed(0)
    block = TemporalBlock(4, 3, 2)
    torch.nn.init.normal_(block.norm1.offset_1C1)
    x_BCT = torch.randn(2, 4, 9)

    def norm(part, y_BCT):
        mean_B, variance_B = (
            y_BCT.mean(dim=(1, 2), keepdim=True),
            y_BCT.var(dim=(1, 2), unbiased=False, keepdim=True),
        )
        return part.gain_1C1 * (y_BCT - mean_B) / (variance_B + 1e-8).sqrt() + part.offset_1C1

    with torch.no_grad():
        y_BCT = norm(
            block.norm1, F.prelu(F.conv1d(x_BCT, block.reduce.weight), block.activation1.weight)
        )
        y_BCT = norm(
            block.norm2,
            F.prelu(
                F.conv1d(y_BCT, block.conv.weight, padding=2, dilation=2, groups=3),
                block.activation2.weight,
            ),
        )
        torch.testing.assert_close(
            block(x_BCT, None), F.conv1d(y_BCT, block.increase.weight) + x_BCT
        )


def test_the_gate_takes_three_channels_that_follow_one_another_for_one_channel_s_paths():
    torch.manual_seed(0)
    gate = PathGate(4).eval()
    paths = list(torch.randn(3, 2, 4, 5))
    with torch.no_grad():
        mean_BN = torch.cat(paths, dim=1).mean(dim=2)
        together_BCK = torch.stack(
            [mean_BN[:, [3 * c, 3 * c + 1, 3 * c + 2]] for c in range(4)], dim=1
        )
        weights_BCK = gate.weights(together_BCK).softmax(dim=2)
        channels = []
        for c in range(4):
            channels.append(sum(weights_BCK[:, c, k, None] * paths[k][:, c] for k in range(3)))
        torch.testing.assert_close(gate(paths, None), torch.stack(channels, dim=1))


def test_an_attention_block_goes_up_and_down_by_two():
    torch.manual_seed(0)
    block = MultiResolutionAttention(4, 2).eval()
    x_BCT = torch.randn(2, 4, 6)
    with torch.no_grad():
        up_BCT = torch.zeros(2, 4, 12)
        for tap in range(
            2
        ):  # a transposed convolution of 2 frames and stride 2: each frame makes two of its own
            up_BCT[:, :, tap::2] = (
                torch.einsum("bct,cd->bdt", x_BCT, block.to_finer.weight[:, :, tap])
                + block.to_finer.bias[:, None]
            )
        finer_BCT = block.finer(up_BCT, None)[0]
        finer_BCT = (finer_BCT[:, :, ::2] + finer_BCT[:, :, 1::2]) / 2
        coarser_BCT = block.from_coarser(
            block.coarser((x_BCT[:, :, ::2] + x_BCT[:, :, 1::2]) / 2, None)[0]
        )
        expected_BCT = x_BCT + block.gate(
            [block.same(x_BCT, None)[0], finer_BCT, coarser_BCT], None
        )
        torch.testing.assert_close(block(x_BCT, None), expected_BCT)


def test_the_third_stage_sees_the_sum_of_the_first_two():
    torch.manual_seed(0)
    network = MrRawNet(**SMALL).eval()
    seen, given = {}, {}
    for number, stage in enumerate(network.stages):
        stage[0].register_forward_hook(
            lambda _, inputs, output, number=number: (
                seen.update({number: inputs[0]}) or given.update({number: output})
            )
        )
    with torch.no_grad():
        network(0.1 * torch.randn(1, 3200), torch.tensor([3200]))
    assert torch.equal(seen[1], given[0])
    assert torch.equal(seen[2], given[0] + given[1])


def test_dead_weights_are_those_that_norms_and_softmax_take_away():
    network = MrRawNet(**SMALL)
    gates = {f"stages.{stage}.0.gate.weights.3.bias" for stage in range(3)}
    assert (
        set(network.without_gradient)
        == {"front_end.gain", "front_end.offset", "embedding.bias"} | gates
    )
    batch = 0.1 * torch.randn(3, 3200), torch.full((3,), 3200)
    before_BE = network(*batch)
    with torch.no_grad():
        for name in gates | {"embedding.bias"}:
            network.get_parameter(name).add_(0.5)
    torch.testing.assert_close(network(*batch), before_BE, atol=1e-4, rtol=1e-3)
    trained = MrRawNet(**SMALL, front_end={"name": "waveform", "instance_norm": "trained"})
    assert set(trained.without_gradient) == {"embedding.bias"} | gates


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"front_end": {"name": "waveform", "preemphasis": 0.97, "instance_norm": "trained"}},
        {"repeats": 2},
        {"front_end": {"name": "waveform", "scale": "peak"}},
    ],
    ids=str,
)
def test_variants_reach_every_parameter_and_ignore_batch_mates(options):
    torch.manual_seed(0)
    network = MrRawNet(**SMALL | options)
    waveforms_BS, lengths_B = (
        0.1 * torch.randn(4, 16000),
        torch.tensor([16000, 9001, network.min_samples, 9600]),
    )
    assert unreached_parameters(network, waveforms_BS) == set(network.without_gradient)
    # test_registry.py demands 1e-5 of the real sizes: with so few channels the logarithm of one
    # filter's output near 0 shows in the embedding
    assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B, atol=1e-4)


def test_under_autocast_embeddings_are_float32_and_nearly_the_same():
    torch.manual_seed(0)
    assert_autocast_gives_float32_and_nearly_the_same(MrRawNet(**SMALL))


def test_unequal_lengths_are_refused_in_training():
    with pytest.raises(ValueError, match="same length"):
        MrRawNet(**SMALL)(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


def test_fewer_than_320_samples_are_refused():
    with pytest.raises(
        ValueError, match="an utterance of 319 samples; this network takes 320 or more"
    ):
        MrRawNet(**SMALL)(torch.zeros(1, 319), torch.tensor([319]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "filters is 0"),
        ({"filters": 7}, "num_filters is 7"),
        ({"channels": 30}, "30 channels in 4 groups"),
        ({"repeats": 0}, "repeats is 0"),
        ({"front_end": {"name": "kaldi_fbank"}}, "front_end gives features, expected 'waveform'"),
        ({"embedding_dim": 1.5}, "embedding_dim: found 1.5"),
        ({"spec_augment": {}}, "unknown key 'spec_augment'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "mr_rawnet", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
