"""RawNet against NumPy in Keras' layouts, layer by layer; its GRU; the weights of pre-training.

The published network runs on Keras 2.2 only, so its formulas are repeated here.  Keras' layouts:
features (frames, channels), kernels (taps, in, out), dense weights (in, out), a GRU's gates in the
order update, reset, candidate.
"""

import numpy as np
import pytest
import torch

from steps.losses import LOSSES
from steps.models import MODELS
from steps.models.rawnet import HardSigmoidGru, RawNet, RawNetPretraining, hard_sigmoid
from tests.steps.models.test_registry import CONF, build_network, count
from utils.config import build, read_yaml
from utils.training.checkpoints import take_weights
from utils.training.settings import read_phases

SMALL = {"conv_channels": 4, "block_channels": (4, 4, 6, 6, 6, 6)}


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomised(network):
    """The network in evaluation mode, with norms and biases that show."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    for number, (name, tensor) in enumerate(tensors):
        if tensor.ndim == 1 and "window" not in name:
            low, high = -0.5, 0.5
            if name.endswith(("running_var", "weight")):
                low, high = 0.5, 1.5
            generator = torch.Generator().manual_seed(number)
            torch.nn.init.uniform_(tensor, low, high, generator=generator)
    return network.eval()


def lrelu(x):
    return np.where(x > 0, x, 0.3 * x)


class Keras:
    """A network's weights in Keras' layouts, and Keras' layers over them."""

    def __init__(self, network):
        self.state = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def kernel(self, name):
        return self.state[f"{name}.weight"].transpose(2, 1, 0), self.state[f"{name}.bias"]

    def conv_same(self, x_TC, name):
        kernel_LIO, bias_O = self.kernel(name)
        width = len(kernel_LIO) // 2
        padded_TC = np.pad(x_TC, ((width, width), (0, 0)))
        return np.stack(
            [
                np.einsum("li,lio->o", padded_TC[t : t + len(kernel_LIO)], kernel_LIO) + bias_O
                for t in range(len(x_TC))
            ]
        )

    def norm(self, x_TC, name):
        gamma, beta, mean, variance = (
            self.state[f"{name}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")
        )
        return gamma * (x_TC - mean) / np.sqrt(variance + 1e-3) + beta

    def strided_conv(self, waveform_T):
        kernel_LIO, bias_O = self.kernel("frames.conv")
        segments_TL = waveform_T[: len(waveform_T) // 3 * 3].reshape(-1, 3)
        return lrelu(self.norm(segments_TL @ kernel_LIO[:, 0] + bias_O, "frames.norm"))

    def residual_block(self, x_TC, name):
        y_TC = lrelu(self.norm(self.conv_same(x_TC, f"{name}.conv1"), f"{name}.norm1"))
        y_TC = self.norm(self.conv_same(y_TC, f"{name}.conv2"), f"{name}.norm2")
        if y_TC.shape != x_TC.shape:
            x_TC = self.norm(self.conv_same(x_TC, f"{name}.shortcut.0"), f"{name}.shortcut.1")
        return lrelu(x_TC + y_TC)

    def max_pooling(self, x_TC):
        return x_TC[: len(x_TC) // 3 * 3].reshape(-1, 3, x_TC.shape[1]).max(axis=1)

    def gru(self, x_TC):
        def gate(x):
            return np.clip(0.2 * x + 0.5, 0, 1)

        kernel_IG, recurrent_HG, bias_G = (
            self.state["gru.input.weight"].T,
            self.state["gru.recurrent.weight"].T,
            self.state["gru.input.bias"],
        )
        size = len(recurrent_HG)
        z, r, h = slice(0, size), slice(size, 2 * size), slice(2 * size, 3 * size)
        state_H = np.zeros(size)
        for x_C in x_TC:
            x_G = x_C @ kernel_IG + bias_G
            update_H, reset_H = (
                gate(x_G[z] + state_H @ recurrent_HG[:, z]),
                gate(x_G[r] + state_H @ recurrent_HG[:, r]),
            )
            candidate_H = np.tanh(x_G[h] + (reset_H * state_H) @ recurrent_HG[:, h])
            state_H = update_H * state_H + (1 - update_H) * candidate_H
        return state_H

    def dense(self, x_C, name):
        return x_C @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]


def layer_outputs(network, modules, waveform_S):
    """Outputs of the named modules, as (frames, channels) arrays, and the embedding."""
    seen = {}

    def keep(name):
        def hook(module, given, result):
            if isinstance(result, tuple):
                result = result[0]
            seen[name] = result[0].numpy().T  # (channels,) stays as it is

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    with torch.no_grad():
        seen["embedding"] = network(waveform_S[None], torch.tensor([len(waveform_S)]))[0].numpy()
    for handle in handles:
        handle.remove()
    return seen


def assert_near(result, expected):
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()


def test_every_layer_computes_what_keras_computes():
    network = randomised(RawNet(**SMALL, gru_states=5, embedding_dim=3))
    waveform_S = noise(3**7 * 3 + 100)
    blocks = [f"frames.blocks.{number}" for number in range(6)]
    ours, keras = layer_outputs(network, [*blocks, "gru"], waveform_S), Keras(network)
    samples_S = waveform_S.double().numpy() * 32768
    x_TC = keras.strided_conv(samples_S[1:] - 0.97 * samples_S[:-1])
    for name in blocks:
        x_TC = keras.max_pooling(keras.residual_block(x_TC, name))
        assert_near(ours[name], x_TC)
    assert len(x_TC) == 3
    state_H = keras.gru(x_TC)
    assert_near(ours["gru"], state_H)
    embedding_E = keras.norm(keras.dense(state_H, "embedding"), "norm")
    assert_near(ours["embedding"], lrelu(embedding_E))


def test_the_network_of_pretraining_computes_what_keras_computes():
    network = randomised(
        RawNetPretraining(**SMALL, last_block_channels=5, last_conv_channels=7, embedding_dim=3)
    )
    waveform_S = noise(3**8 * 2 + 3000, seed=1)
    ours, keras = layer_outputs(network, ["frames", "last_block"], waveform_S), Keras(network)
    samples_S = waveform_S.double().numpy() * 32768
    x_TC = keras.strided_conv(samples_S[1:] - 0.97 * samples_S[:-1])
    for number in range(6):
        x_TC = keras.max_pooling(keras.residual_block(x_TC, f"frames.blocks.{number}"))
    assert_near(ours["frames"], x_TC)
    x_TC = keras.max_pooling(keras.residual_block(x_TC, "last_block"))
    assert_near(ours["last_block"], x_TC)
    x_TC = lrelu(keras.norm(keras.conv_same(x_TC, "last_conv"), "last_norm"))
    embedding_E = keras.norm(keras.dense(x_TC.mean(axis=0), "linear"), "linear_norm")
    assert_near(ours["embedding"], lrelu(embedding_E))


@pytest.mark.parametrize(
    ("x", "expected"), [(-2.5, 0), (-9, 0), (0, 0.5), (1, 0.7), (2.5, 1), (9, 1)]
)
def test_hard_sigmoid_by_hand(x, expected):
    assert hard_sigmoid(torch.tensor(float(x))).item() == pytest.approx(expected)


@torch.no_grad()
def test_two_steps_of_the_gru_by_hand():
    gru = HardSigmoidGru(1, 2).eval()
    gru.input.weight.copy_(torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [2.0]]))
    gru.input.bias.copy_(
        torch.tensor([0.0, 0.0, 10.0, -10.0, 0.0, 0.0])
    )  # half of the state is kept; reset: unit 0 is open, unit 1 shut
    gru.recurrent.weight.zero_()
    gru.recurrent.weight[4:] = torch.tensor(
        [[0.0, 1.0], [1.0, 0.0]]
    )  # each candidate sees the other unit
    first = 0.5 * np.tanh([1.0, 2.0])
    second = 0.5 * first + 0.5 * np.tanh(
        [1.0 + 0.0, 2.0 + first[0]]
    )  # what is shut is the unit that is seen, not the one that sees
    np.testing.assert_allclose(gru(torch.ones(1, 1, 1), None)[0], first, rtol=1e-6)
    np.testing.assert_allclose(gru(torch.ones(1, 2, 1), None)[0], second, rtol=1e-6)
    padded_B = gru(torch.tensor([[[1.0], [7.0]], [[1.0], [1.0]]]), torch.tensor([1, 2]))
    np.testing.assert_allclose(padded_B, [first, second], rtol=1e-6)


def test_recurrent_dropout_acts_in_training_alone():
    gru, x_BTC = HardSigmoidGru(3, 50, recurrent_dropout=0.5), noise(2, 4, 3)
    gru.initialise()
    torch.manual_seed(1)
    one = gru(x_BTC, None)
    torch.manual_seed(1)
    assert torch.equal(gru(x_BTC, None), one)
    assert not torch.equal(gru(x_BTC, None), one)
    assert torch.equal(
        gru(x_BTC[:, :1], None), gru.eval()(x_BTC[:, :1], None)
    )  # the first state is zero: nothing to drop
    assert torch.equal(gru(x_BTC, None), gru(x_BTC, None))


def test_59049_samples_give_27_frames():
    network = RawNet(**SMALL, gru_states=5).eval()
    waveform_B1T = noise(1, 1, 59049)
    assert network.frames(waveform_B1T, None)[0].shape == (1, 6, 27)
    assert network.front_end.num_frames(59050) == 59049


def test_pretraining_hands_over_all_frames_with_the_first_norm_and_nothing_else():
    source, target = randomised(RawNetPretraining(**SMALL)), RawNet(**SMALL, gru_states=5).eval()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    take_weights(target, source.state_dict())
    moved = {
        name for name, value in target.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {
        name
        for name in before
        if name.startswith("frames.") and not name.endswith("num_batches_tracked")
    }
    assert {"frames.norm.weight", "frames.norm.running_mean"} <= moved
    x_B1T = noise(1, 1, 3000)
    assert torch.equal(target.frames(x_B1T, None)[0], source.frames(x_B1T, None)[0])


@pytest.mark.parametrize("stem", ["rawnet", "rawnet_cpu"])
def test_the_yaml_trains_both_networks_of_the_same_channels(stem):
    pretraining, gru = read_phases(CONF / f"{stem}.yaml")
    assert (pretraining.sections["model"]["name"], gru.sections["model"]["name"]) == (
        "rawnet_pretraining",
        "rawnet",
    )
    assert gru.phase.weights_from == "previous"
    assert [phase.sections["loss"]["parts"][1]["weight"] for phase in (pretraining, gru)] == [
        1e-3,
        1e-5,
    ]
    networks = [build(MODELS, phase.sections["model"], "model") for phase in (pretraining, gru)]
    taken = take_weights(networks[1], networks[0].state_dict())["taken"]
    assert set(taken) == {f"frames.{name}" for name in networks[1].frames.state_dict()}


def test_with_a_head_for_1211_speakers_there_are_5934848_weights():
    loss = build(
        LOSSES,
        read_yaml(CONF / "rawnet.yaml")["loss"],
        "loss",
        embedding_dim=128,
        num_speakers=1211,
    )
    assert count(build_network(CONF / "rawnet.yaml")) + count(loss) == 5_934_848


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent_dropout": 1.0}, "recurrent_dropout is 1.0"),
        ({"block_channels": []}, "block_channels is"),
        ({"conv_channels": 0}, "conv_channels is 0"),
        ({"embedding_dim": -1}, "embedding_dim is -1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RawNet(**{**SMALL, "gru_states": 4, **options})


def test_utterances_of_unequal_lengths_are_refused_in_training():
    with pytest.raises(ValueError, match="same length"):
        RawNet(**SMALL, gru_states=4).train()(noise(2, 5000), torch.tensor([5000, 4000]))
