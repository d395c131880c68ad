"""GE2E's LSTM: counts, a step by hand, TensorFlow's cell in NumPy, last frames and windows."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from steps.losses import LOSSES
from steps.models import MODELS
from steps.models.ge2e_lstm import Ge2eLstm, OneBiasLstm, windows
from utils.config import build
from utils.errors import UserError

SMALL = {"cells": 6, "embedding_dim": 4, "layers": 2}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_network_and_loss_have_the_published_parameters():
    network = Ge2eLstm()
    layers = [
        sum(
            value.numel()
            for name, value in network.named_parameters()
            if name.endswith(f"_l{layer}")
        )
        for layer in range(3)
    ]
    assert layers == [61_952, 74_240, 74_240]
    assert count(network) == 210_432
    assert count(network) + count(LOSSES["ge2e"](64, 4)) == 210_434
    assert count(Ge2eLstm(cells=768, embedding_dim=256)) == 4_654_080


def test_every_layer_has_the_published_sizes():
    network, sizes = Ge2eLstm().eval(), []
    network.lstm.register_forward_hook(
        lambda _, inputs, output: sizes.extend([tuple(inputs[0].shape), tuple(output[0].shape)])
    )
    num_samples = 159 * 80
    assert network.front_end.num_frames(num_samples) == 160
    embedding_BE = network(0.1 * torch.randn(2, num_samples), torch.tensor([num_samples] * 2))
    assert sizes == [(2, 160, 40), (2, 160, 64)]
    assert embedding_BE.shape == (2, 64)
    states = {name: tuple(value.shape) for name, value in network.lstm.state_dict().items()}
    assert {name: shape for name, shape in states.items() if name.endswith("l0")} == {
        "weight_ih_l0": (512, 40),
        "weight_hh_l0": (512, 64),
        "bias_ih_l0": (512,),
        "weight_hr_l0": (64, 128),
    }
    assert len(states) == 12


@torch.no_grad()
def test_a_step_can_be_reckoned_by_hand():
    lstm = OneBiasLstm(1, 2, 1, 1)
    for weight in lstm.parameters():
        weight.zero_()
    lstm.bias_ih_l0[2:4] = torch.tensor([0.0, 100.0])  # forget gates: one half and one
    lstm.bias_ih_l0[6:8] = 100.0  # output gates: one
    lstm.weight_ih_l0[4:6, 0] = torch.tensor(
        [1.0, 2.0]
    )  # candidates: tanh(x) and tanh(2 x); input gates: one half
    lstm.weight_hr_l0[0] = torch.tensor([3.0, 1.0])
    output_BTP, _ = lstm(torch.tensor([[[1.0], [0.0]]]))
    cell_1, cell_2 = 0.5 * np.tanh(1), 0.5 * np.tanh(2)
    expected = [3 * np.tanh(cell_1) + np.tanh(cell_2), 3 * np.tanh(0.5 * cell_1) + np.tanh(cell_2)]
    torch.testing.assert_close(output_BTP[0, :, 0], torch.tensor(expected, dtype=torch.float32))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def tensorflow_layer(kernel, bias, projection, x_TF):
    """TensorFlow 1's LSTMCell: one matrix for [inputs, projections], gates i, j, f (+ 1), o."""
    cell, output, outputs = np.zeros(len(projection)), np.zeros(projection.shape[1]), []
    for x_F in x_TF:
        i, j, f, o = np.split(np.concatenate([x_F, output]) @ kernel + bias, 4)
        cell = sigmoid(f + 1.0) * cell + sigmoid(i) * np.tanh(j)
        output = (sigmoid(o) * np.tanh(cell)) @ projection
        outputs.append(output)
    return np.array(outputs)


@torch.no_grad()
def test_outputs_are_those_of_tensorflow_cells():
    draw, network = np.random.default_rng(0), Ge2eLstm().eval()
    x_TF = draw.normal(size=(160, 40))
    network.lstm.double()
    output_TP = x_TF
    for layer, features in enumerate((40, 64, 64)):
        kernel, bias, projection = (
            0.1 * draw.normal(size=shape) for shape in ((features + 64, 512), (512,), (128, 64))
        )
        i, j, f, o = np.split(np.vstack([kernel, bias]), 4, axis=1)
        rows = np.hstack([i, f, j, o]).T
        rows[128:256, -1] += 1.0
        values = {
            "weight_ih": rows[:, :features],
            "weight_hh": rows[:, features:-1],
            "bias_ih": rows[:, -1],
            "weight_hr": projection.T,
        }
        for name, value in values.items():
            getattr(network.lstm, f"{name}_l{layer}").copy_(torch.from_numpy(value.copy()))
        output_TP = tensorflow_layer(kernel, bias, projection, output_TP)
    expected_E = output_TP[-1] / np.sqrt((output_TP[-1] ** 2).sum() + 1e-6)
    result_TP = network.lstm(torch.from_numpy(x_TF)[None])[0][0].numpy()
    network.lstm.float()
    result_E = network.trunk(torch.from_numpy(x_TF).float()[None], torch.tensor([160]))[0].numpy()
    double, single = (
        np.abs(result - expected).max() / np.abs(expected).max()
        for result, expected in ((result_TP, output_TP), (result_E, expected_E))
    )
    print(
        "largest relative difference from TensorFlow's cells, 160 frames: "
        f"{double:.1e} in float64, {single:.1e} in float32"
    )
    assert double < 1e-12
    assert single < 1e-5


def test_second_biases_stay_zero_and_follow_the_module(tmp_path):
    lstm = OneBiasLstm(5, 6, 2, 4)
    output_BTE, _ = lstm(torch.randn(2, 7, 5))
    output_BTE.sum().backward()
    torch.optim.SGD(lstm.parameters(), lr=1.0).step()
    assert not lstm.bias_hh_l0.any()
    assert not lstm.bias_hh_l1.any()
    plain, x_BTF = torch.nn.LSTM(5, 6, 2, batch_first=True, proj_size=4), torch.randn(2, 7, 5)
    plain.load_state_dict(lstm.state_dict() | dict(lstm.named_buffers()))
    torch.testing.assert_close(plain(x_BTF)[0], lstm(x_BTF)[0], atol=0, rtol=0)
    assert lstm.double()(x_BTF.double())[0].dtype == torch.float64


def test_first_weights_are_the_published_ones():
    torch.manual_seed(0)
    lstm = Ge2eLstm().lstm
    for layer, features in enumerate((40, 64, 64)):
        limit = (6 / (features + 64 + 512)) ** 0.5
        for name in ("weight_ih", "weight_hh"):
            assert 0.98 * limit < getattr(lstm, f"{name}_l{layer}").abs().max() <= limit
        assert (
            0.98 * (6 / 192) ** 0.5
            < getattr(lstm, f"weight_hr_l{layer}").abs().max()
            <= (6 / 192) ** 0.5
        )
        assert (
            getattr(lstm, f"bias_ih_l{layer}").tolist() == [0.0] * 128 + [1.0] * 128 + [0.0] * 256
        )


@torch.no_grad()
def test_embedding_is_the_last_frame_of_each_utterance_divided_by_the_published_norm():
    network = Ge2eLstm(**SMALL).eval()
    features_BTF, num_frames_B = torch.randn(2, 9, 40), torch.tensor([9, 5])
    outputs_BTE, _ = network.lstm(features_BTF)
    result_BE = network.trunk(features_BTF, num_frames_B)
    for row, last in enumerate((8, 4)):
        output_E = outputs_BTE[row, last]
        torch.testing.assert_close(
            result_BE[row], output_E / (output_E.square().sum() + 1e-6).sqrt()
        )


def test_windows_overlap_by_half_and_the_last_one_ends_with_the_utterance():
    utterance_W, first_W = windows(torch.tensor([400, 100, 160, 161]), 160, 80)
    assert list(zip(utterance_W.tolist(), first_W.tolist(), strict=True)) == [
        (0, 0),
        (0, 80),
        (0, 160),
        (0, 240),
        (1, 0),
        (2, 0),
        (3, 0),
        (3, 1),
    ]


@torch.no_grad()
def test_long_utterances_are_the_mean_of_their_windows():
    network = Ge2eLstm(**SMALL, window_frames=8).eval()
    features_BTF, num_frames_B = torch.randn(3, 18, 40), torch.tensor([18, 8, 3])
    result_BE = network.trunk(features_BTF, num_frames_B)
    network.window_frames = None

    def alone(row, start, end):
        return network.trunk(features_BTF[row : row + 1, start:end], torch.tensor([end - start]))[0]

    expected = [
        torch.stack([alone(0, start, start + 8) for start in (0, 4, 8, 10)]).mean(dim=0),
        alone(1, 0, 8),
        alone(2, 0, 3),
    ]
    torch.testing.assert_close(result_BE, torch.stack(expected))


def test_training_sees_whole_crops_and_gradients_reach_every_parameter():
    network = Ge2eLstm(**SMALL, window_frames=8)
    features_BTF, num_frames_B = torch.randn(2, 30, 40), torch.tensor([30, 30])
    embedding_BE = network.trunk(features_BTF, num_frames_B)
    torch.testing.assert_close(embedding_BE.norm(dim=1), torch.ones(2), atol=1e-3, rtol=0)
    embedding_BE[:, 0].sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())


@torch.no_grad()
@pytest.mark.parametrize("window_frames", [None, 20])
def test_batch_mates_change_nothing(window_frames):
    network = Ge2eLstm(window_frames=window_frames).eval()
    waveforms_BS, lengths_B = 0.1 * torch.randn(4, 8000), torch.tensor([8000, 1500, 5000, 1])
    together_BE = F.normalize(network(waveforms_BS, lengths_B))
    alone_BE = torch.cat(
        [
            F.normalize(network(waveforms_BS[row : row + 1, :n], lengths_B[row : row + 1]))
            for row, n in enumerate(lengths_B)
        ]
    )
    torch.testing.assert_close(together_BE, alone_BE, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 0}, "cells is 0"),
        ({"embedding_dim": 128}, "embedding_dim is 128, expected less than cells (128)"),
        ({"layers": 0}, "layers is 0"),
        ({"window_frames": 1}, "window_frames is 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "ge2e_lstm", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
