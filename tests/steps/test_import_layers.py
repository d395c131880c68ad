"""Keras and TensorFlow files, layer by layer: outputs equal NumPy's from the same file."""

import numpy as np
import pytest
import torch
import yaml

from steps.extract import load_network
from steps.import_model import import_model
from tests import numpy_layers as layers
from tests.published_files import save_bundle, save_keras
from tests.published_weights import draw, features, waveform

SEED = 7


def norm_keys(name, size):
    """Keys of a batch normalisation of Keras."""
    return {
        f"{name}/{word}": (size,) for word in ("gamma", "beta", "moving_mean", "moving_variance")
    }


def conv_keys(name, *shape, bias=False):
    """Keys of a convolution or a dense layer of Keras."""
    return {f"{name}/kernel": shape} | ({f"{name}/bias": shape[-1:]} if bias else {})


def imported(folder, save, shapes, model, kind):
    """The file's content and the network that was made of it."""
    state = {key: draw(key, shape, SEED) for key, shape in shapes.items()}
    (folder / "small.yaml").write_text(yaml.safe_dump({"model": model}))
    import_model(
        save(folder / "weights", state), folder / "exp", kind=kind, config=folder / "small.yaml"
    )
    return state, load_network(folder / "exp", "average")[0].double()


def run_with_outputs(network, names, run):
    """Outputs of the named modules; of a module with several outputs, the first."""
    found = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: found.update(
                {name: (output[0] if isinstance(output, tuple) else output)[0].detach().numpy()}
            )
        )
        for name in names
    ]
    with torch.no_grad():
        found["embedding"] = run()[0].numpy()
    for hook in hooks:
        hook.remove()
    return found


def compare(found, expected, tolerance=1e-6):
    """Each layer within a part of its largest value; some of ours end in float32 always."""
    for name, array in expected.items():
        difference = np.abs(found[name] - array).max() / np.abs(array).max()
        print(f"{name}: {array.shape}, largest difference {difference:.1e}")
        assert difference < tolerance, name


def test_rawnets_keras_layers_are_ours(tmp_path):
    pytest.importorskip("h5py")
    channels = (4, 6)
    shapes = conv_keys("strided_conv", 3, 1, 4, bias=True) | norm_keys("batch_normalization_1", 4)
    for number, (before, after) in enumerate(zip((4, *channels), channels, strict=False), 1):
        block = f"res_conv_block_{number}"
        for k, size in ((1, before), (2, after)):
            shapes |= conv_keys(f"{block}_Conv{k}", 3, size, after, bias=True) | norm_keys(
                f"{block}_BN{k}", after
            )
        if before != after:
            shapes |= conv_keys(f"{block}_transform", 1, before, after, bias=True) | norm_keys(
                f"{block}_BN_transform", after
            )
    shapes |= {"gru_0/kernel": (6, 15), "gru_0/recurrent_kernel": (5, 15), "gru_0/bias": (15,)}
    shapes |= conv_keys("gru_dense_0", 5, 7, bias=True) | norm_keys("gru_BN_0", 7)
    model = {
        "name": "rawnet",
        "conv_channels": 4,
        "block_channels": list(channels),
        "gru_states": 5,
        "embedding_dim": 7,
    }
    state, network = imported(tmp_path, save_keras, shapes, model, "rawnet_keras")

    def of(name):
        return layers.layer_weights(state, name)

    x = (
        waveform(400, SEED).astype(np.float64) * 3
    )  # as integers; louder ones would drive every gate to its end
    features_TF = (x[1:] - 0.97 * x[:-1])[:, None]
    np.testing.assert_allclose(
        network.front_end(torch.from_numpy(x / 32768).float()[None], torch.tensor([400]))[0][0],
        features_TF,
        atol=0.01,
    )
    x = layers.leaky_relu(
        layers.batch_norm(
            layers.convolution(features_TF, of("strided_conv"), stride=3, same=False),
            of("batch_normalization_1"),
        )
    )
    expected = {}
    for number in (1, 2):
        block = f"res_conv_block_{number}"
        y = layers.leaky_relu(
            layers.batch_norm(layers.convolution(x, of(f"{block}_Conv1")), of(f"{block}_BN1"))
        )
        y = layers.batch_norm(layers.convolution(y, of(f"{block}_Conv2")), of(f"{block}_BN2"))
        if number == 2:
            x = layers.batch_norm(
                layers.convolution(x, of(f"{block}_transform")), of(f"{block}_BN_transform")
            )
        x = layers.max_pool(layers.leaky_relu(x + y), (3,), (3,))
        expected[f"frames.blocks.{number - 1}"] = x.T
    expected["gru"] = layers.gru_last_state(x, of("gru_0"))
    dense = of("gru_dense_0")
    expected["embedding"] = layers.leaky_relu(
        layers.batch_norm(expected["gru"] @ dense["kernel"] + dense["bias"], of("gru_BN_0"))
    )
    given = torch.from_numpy(features_TF).float()[None]
    names = ["frames.blocks.0", "frames.blocks.1", "gru"]
    compare(
        run_with_outputs(network.float(), names, lambda: network.trunk(given, torch.tensor([399]))),
        expected,
        1e-5,
    )  # its GRU has states in float32


@pytest.mark.parametrize(("name", "ghosts"), [("gvlad", 2), ("vlad", 0)])
def test_vggs_keras_layers_are_ours(tmp_path, name, ghosts):
    pytest.importorskip("h5py")
    clusters, blocks = 3, {"2_a": (4, 3, 6, 1), "2_b": (6, 3, 6, 1), "3_a": (6, 5, 8, 2)}
    shapes = conv_keys("conv1_1/3x3_s1", 7, 7, 1, 4) | norm_keys("conv1_1/3x3_s1/bn", 4)
    for block, (before, inner, after, _) in blocks.items():
        parts = {
            "1x1_reduce": (1, 1, before, inner),
            "3x3": (3, 3, inner, inner),
            "1x1_increase": (1, 1, inner, after),
        }
        parts |= {"1x1_proj": (1, 1, before, after)} if block.endswith("a") else {}
        for part, shape in parts.items():
            shapes |= conv_keys(f"conv{block}_{part}", *shape) | norm_keys(
                f"conv{block}_{part}/bn", shape[-1]
            )
    height = 31  # of 257 features after three halvings and the last max pooling
    shapes |= conv_keys("x_fc", height, 1, 8, 5, bias=True) | conv_keys(
        f"{name}_center_assignment", height, 1, 8, clusters + ghosts, bias=True
    )
    shapes |= (
        {f"{name}_pool/centers": (clusters + ghosts, 5)}
        | conv_keys("fc6", 15, 6, bias=True)
        | conv_keys("prediction", 6, 4)
    )
    model = {
        "name": "ghostvlad",
        "conv_channels": 4,
        "bottleneck_channels": [3, 5],
        "stage_channels": [6, 8],
        "blocks": [2, 1],
        "strides": [1, 2],
        "clusters": clusters,
        "ghosts": ghosts,
        "frame_channels": 5,
        "embedding_dim": 6,
    }
    state, network = imported(tmp_path, save_keras, shapes, model, "vgg_keras")

    def step(x, layer, stride=1):
        return layers.batch_norm(
            layers.convolution(x, layers.layer_weights(state, layer), stride=stride),
            layers.layer_weights(state, f"{layer}/bn"),
        )

    frames_TF = features(23, 257, SEED)
    x = layers.max_pool(
        layers.relu(step(frames_TF.T[:, :, None].astype(np.float64), "conv1_1/3x3_s1")),
        (2, 2),
        (2, 2),
    )
    expected = {}
    for number, (block, (_, _, _, stride)) in enumerate(blocks.items()):
        y = layers.relu(step(x, f"conv{block}_1x1_reduce", stride))
        y = step(layers.relu(step(y, f"conv{block}_3x3")), f"conv{block}_1x1_increase")
        x = layers.relu(
            y + (step(x, f"conv{block}_1x1_proj", stride) if block.endswith("a") else x)
        )
        expected[f"blocks.{number}"] = x.transpose(2, 0, 1)
    x = layers.max_pool(x, (3, 1), (2, 1))
    assert x.shape[0] == height
    frames = layers.relu(layers.convolution(x, layers.layer_weights(state, "x_fc"), same=False))[0]
    scores = layers.convolution(
        x, layers.layer_weights(state, f"{name}_center_assignment"), same=False
    )[0]
    expected["pooling"] = layers.vlad(
        frames, scores, layers.layer_weights(state, f"{name}_pool")["centers"], clusters
    )
    dense = layers.layer_weights(state, "fc6")
    expected["embedding"] = layers.relu(expected["pooling"] @ dense["kernel"] + dense["bias"])
    given = torch.from_numpy(frames_TF).double()[None]
    names = [*(f"blocks.{number}" for number in range(3)), "pooling"]
    compare(
        run_with_outputs(network, names, lambda: network.trunk(given, torch.tensor([23]))), expected
    )


def test_ge2es_tensorflow_layers_are_ours(tmp_path):
    cells, projection, inputs = 6, 4, 40
    shapes = {"w": (1,), "b": (1,), "global_step": ()}
    cell = "lstm/rnn/multi_rnn_cell/cell_{}/lstm_cell".format
    for layer, size in enumerate((inputs, projection, projection)):
        shapes |= {
            f"{cell(layer)}/kernel": (size + projection, 4 * cells),
            f"{cell(layer)}/bias": (4 * cells,),
            f"{cell(layer)}/projection/kernel": (cells, projection),
        }
    model = {"name": "ge2e_lstm", "cells": cells, "embedding_dim": projection}
    state, network = imported(tmp_path, save_bundle, shapes, model, "ge2e_tf")
    frames_TF = features(12, inputs, SEED)
    x = frames_TF.astype(np.float64)
    for layer in range(3):
        x = layers.lstm(
            x,
            *(
                state[f"{cell(layer)}/{word}"].astype(np.float64)
                for word in ("kernel", "bias", "projection/kernel")
            ),
        )
    expected = {"lstm": x, "embedding": x[-1] / np.sqrt((x[-1] ** 2).sum() + 1e-6)}
    given = torch.from_numpy(frames_TF).double()[None]
    compare(
        run_with_outputs(network, ["lstm"], lambda: network.trunk(given, torch.tensor([12]))),
        expected,
    )


def test_numpys_convolution_is_that_of_the_definition():
    x, kernel = np.arange(5.0)[:, None], np.array([1.0, 10.0, 100.0])[:, None, None]
    assert layers.convolution(x, {"kernel": kernel})[:, 0].tolist() == [100, 210, 321, 432, 43]
    assert layers.convolution(x, {"kernel": kernel}, same=False, stride=2)[:, 0].tolist() == [
        210,
        432,
    ]
