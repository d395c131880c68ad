"""RawNet's port, RawNet2 and its variants, RawNet3: sizes, unused weights, masking, refusals."""

import pytest
import torch
import torch.nn.functional as F

from steps.losses import LOSSES
from steps.models.rawnet import RawNet, RawNetPretraining
from steps.models.rawnet2 import RawNet2, WaveformNorm
from steps.models.rawnet2_modified import RawNet2Modified
from steps.models.rawnet3 import RawNet3
from steps.models.rawnet_port import RawNetPort
from tests.steps.models.test_registry import CONF, build_network, count
from utils.config import build, read_yaml

BLOCKS = {"block_channels": (4, 4, 6, 6, 6, 6)}
GRU = {"gru_states": 5, "embedding_dim": 7}
SMALL = {
    "rawnet": lambda **options: RawNet(conv_channels=4, **BLOCKS, **GRU, **options),
    "rawnet_pretraining": lambda **options: RawNetPretraining(
        conv_channels=4, **BLOCKS, last_block_channels=5, last_conv_channels=6, **options
    ),
    "rawnet_port": lambda **options: RawNetPort(conv_channels=4, **BLOCKS, **GRU, **options),
    "rawnet2": lambda **options: RawNet2(
        **{"fixed_samples": None, "sinc_filters": 4, **BLOCKS, **GRU, **options}
    ),
    "rawnet2_modified": lambda **options: RawNet2Modified(
        stage_channels=(4, 4, 6, 6, 8, 8), attention_channels=3, embedding_dim=7, **options
    ),
    "rawnet3": lambda **options: RawNet3(
        **{"channels": 16, "groups": 4, "conv_channels": 12, "attention_channels": 3, **options}
    ),
}


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomised(network):
    """The network in evaluation mode, with norms that show."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.normal_(module.bias, std=0.5)
    return network.eval()


def embed(network, *waveforms):
    with torch.no_grad():
        return network(
            torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True, padding_value=0.5),
            torch.tensor([len(x_S) for x_S in waveforms]),
        )


@pytest.mark.parametrize(
    ("name", "num_speakers", "published"),
    [
        ("rawnet_port", 6112, 12_965_344),
        ("rawnet_port", 1211, 7_941_819),
        ("rawnet2", 6112, 13_379_378),
        ("rawnet2", 1211, 8_355_853),
        ("rawnet2_modified", 6112, 10_585_216),
    ],
)
def test_with_a_head_there_are_as_many_weights_as_published(name, num_speakers, published):
    network = build_network(CONF / f"{name}.yaml")
    loss = build(
        LOSSES,
        read_yaml(CONF / f"{name}.yaml")["loss"],
        "loss",
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers,
    )
    assert count(network) + count(loss) == published


@pytest.mark.parametrize(
    ("name", "module", "samples", "frames"),
    [
        ("rawnet_port", "blocks.5", 59050, 27),
        ("rawnet2", "sinc", 59049, 58799),
        ("rawnet2", "blocks.5", 59049, 26),
        ("rawnet2_modified", "blocks.3", 59050, 729),
        ("rawnet2_modified", "blocks.6", 59050, 81),
        ("rawnet2_modified", "blocks.7", 59050, 27),
        ("rawnet3", "sinc", 48000, 4775),
        ("rawnet3", "block1", 48000, 955),
        ("rawnet3", "block3", 48000, 318),
    ],
)
def test_frames_are_those_of_the_published_tables(name, module, samples, frames):
    network, seen = SMALL[name]().eval(), []

    def keep_frames(module, given, result):
        if not torch.is_tensor(result):
            result = result[0]
        seen.append(result.shape[2])

    network.get_submodule(module).register_forward_hook(keep_frames)
    embed(network, noise(samples))
    assert seen == [frames]


@pytest.mark.parametrize("name", SMALL)
def test_lengths_around_every_pooling_are_embedded_as_if_alone(name):
    network = randomised(SMALL[name]())
    shortest = network.min_samples
    waveforms = [
        noise(shortest + extra, seed=extra)
        for extra in (0, 1, 2, 3, 8, 9, 27, 80, 242, 730, 2187, 4000)
    ]
    together_BE = embed(network, *waveforms)
    alone_BE = torch.cat([embed(network, x_S) for x_S in waveforms])
    largest = (F.normalize(together_BE) - F.normalize(alone_BE)).abs().max().item()
    print(f"{name}: largest difference {largest:.1e}")
    assert largest <= 1e-5


@pytest.mark.parametrize(
    ("name", "options", "unused"),
    [
        ("rawnet_port", {}, {f"blocks.{block}.norm1" for block in range(1, 6)}),
        (
            "rawnet2",
            {"unused_first_norms": True},
            {f"blocks.{block}.norm1" for block in range(1, 6)},
        ),
        ("rawnet2", {}, set()),
        ("rawnet3", {}, {"sinc_norm", "embedding_norm"}),
        ("rawnet3", {"out_norm": True}, {"sinc_norm"}),
    ],
)
def test_unused_norms_are_declared_and_change_nothing(name, options, unused):
    network = randomised(SMALL[name](**options))
    assert set(network.without_gradient) == {
        f"{norm}.{key}" for norm in unused for key in ("weight", "bias")
    }
    waveform_S = noise(3000)
    before = embed(network, waveform_S)
    for norm in unused:
        torch.nn.init.normal_(network.get_submodule(norm).running_mean, std=9.0)
        torch.nn.init.normal_(network.get_submodule(norm).weight.data, std=9.0)
    assert torch.equal(embed(network, waveform_S), before)


def test_the_original_code_of_rawnet2_is_another_function_of_the_same_weights():
    one, other = SMALL["rawnet2"](), SMALL["rawnet2"](unused_first_norms=True)
    other.load_state_dict(randomised(one).state_dict())
    assert count(one) == count(other)
    one_BE = F.normalize(embed(one, noise(3000)))
    other_BE = F.normalize(embed(other.eval(), noise(3000)))
    assert (one_BE - other_BE).abs().max() > 0.01


def test_rawnet2_of_a_fixed_length_takes_that_length_only():
    network = SMALL["rawnet2"](fixed_samples=3000).eval()
    assert (network.batching, network.fixed_samples, network.min_samples) == (
        "fixed_samples",
        3000,
        3000,
    )
    assert embed(network, noise(3000)).isfinite().all()
    with pytest.raises(ValueError, match="of 3001 to 3001 samples; this network takes 3000"):
        embed(network, noise(3001))
    with pytest.raises(ValueError, match="of 2999 samples"):
        embed(network, noise(2999))
    free = SMALL["rawnet2"]()
    assert (free.batching, free.fixed_samples) == ("masked", None)
    assert count(network) - count(free) == 2 * 3000


@torch.no_grad()
def test_samples_have_mean_0_and_deviation_1_and_then_gains_and_offsets_of_their_own():
    norm = WaveformNorm(3)
    norm.gain_S.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm.offset_S.copy_(torch.tensor([0.0, 0.0, 10.0]))
    torch.testing.assert_close(
        norm(torch.tensor([[1.0, 2.0, 3.0]]), None), torch.tensor([[-1.0, 0.0, 13.0]])
    )  # unbiased deviation of 1, 2, 3: 1
    torch.testing.assert_close(
        WaveformNorm(None)(torch.tensor([[1.0, 2.0, 3.0, 0.0]]), torch.tensor([3]))[0, :3],
        torch.tensor([-1.0, 0.0, 1.0]),
    )


def test_rawnet2_does_not_hear_loudness_and_survives_silence():
    network = randomised(SMALL["rawnet2"]())
    torch.testing.assert_close(
        embed(network, noise(3000)), embed(network, 7 * noise(3000)), rtol=1e-4, atol=1e-5
    )
    assert embed(network, torch.zeros(3000)).isfinite().all()


def test_rawnet3_keeps_to_its_options():
    waveform_S, plain = noise(3000), randomised(SMALL["rawnet3"]())
    for options in (
        {"summed": False},
        {"log_sinc": False},
        {"norm_sinc": "mean_std"},
        {"norm_sinc": "none"},
        {"out_norm": True},
    ):
        other = SMALL["rawnet3"](**options).eval()
        other.load_state_dict(plain.state_dict())
        assert (
            F.normalize(embed(other, waveform_S)) - F.normalize(embed(plain, waveform_S))
        ).abs().max() > 1e-3, options
    assert SMALL["rawnet3"](encoder_type="ASP").statistics.weights.out_channels == 1
    assert SMALL["rawnet3"](context=False).statistics.hidden.in_channels == 12
    assert SMALL["rawnet3"](sinc_stride=5).min_samples == 251 + 29 * 5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "rawnet2",
            {"fixed_samples": 2000},
            "fixed_samples is 2000; 6 blocks after filters of 251 need 2437 or more",
        ),
        ("rawnet2", {"sinc_samples": 250}, "expected an odd number"),
        ("rawnet2", {"gru_states": 0}, "gru_states is 0"),
        ("rawnet2_modified", {"blocks": [1, 1]}, "6 stages and blocks 2"),
        ("rawnet2_modified", {"blocks": [1, 1, 0, 1, 1, 1]}, "blocks is"),
        ("rawnet3", {"channels": 20}, "channels is 20, expected a multiple of 8"),
        ("rawnet3", {"groups": 3}, "16 channels in 3 groups"),
        ("rawnet3", {"sinc_stride": 0}, "sinc_stride is 0"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        SMALL[name](**options)


@pytest.mark.parametrize("name", SMALL)
def test_unequal_lengths_are_refused_in_training(name):
    with pytest.raises(ValueError, match="same length"):
        SMALL[name]().train()(noise(2, 9000), torch.tensor([9000, 8000]))
