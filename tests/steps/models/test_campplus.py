"""CAM++ against 3D-Speaker's and WeSpeaker's classes and the published table; masks by hand."""

import zlib

import numpy as np
import pytest
import torch

from steps.import_model import import_model
from steps.models import MODELS
from steps.models.campplus import CamPlusPlus, segment_means
from steps.models.layers.maps import BasicBlock
from steps.models.layers.pooling import statistics_over_frames
from tests.published_files import save_as
from tests.published_weights import GOLDEN
from tests.steps.models.checks import (
    assert_autocast_gives_float32_and_nearly_the_same,
    assert_batch_mates_change_nothing,
    unreached_parameters,
)
from utils.config import build
from utils.errors import UserError
from utils.foreign.tables import match_keys, read_table
from utils.foreign.transforms import TRANSFORMS
from utils.training.checkpoints import load_checkpoint

SMALL = {
    "head_channels": 2,
    "first_channels": 8,
    "layers": (2, 1),
    "dilations": (1, 2),
    "growth_channels": 4,
    "dense_channels": 6,
    "segment_frames": 10,
    "embedding_dim": 6,
}
PUBLISHED = {
    "campplus_3dspeaker_192": {"embedding_dim": 192},
    "campplus_512": {"embedding_dim": 512, "variance_offset": 1e-7},  # WeSpeaker's
}


def published_state(embedding_dim):
    """The tensors of a published file by key, float64, drawn from a checksum of the key."""
    state = {}
    for line in (GOLDEN / "campplus.tsv").read_text().splitlines()[1:]:
        key, sizes = line.split("\t")
        if key.startswith("xvector.dense."):
            sizes = sizes.replace("192", str(embedding_dim))
        state[key] = draw(key, tuple(map(int, sizes.split("x"))))
    return state


def draw(key, shape):
    """One tensor; the rule of the file's README."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        return 0.5 + rng.uniform(size=shape)
    if key.endswith(("running_mean", "bias")):
        return 0.1 * rng.standard_normal(shape)
    if len(shape) == 1:
        return 0.8 + 0.4 * rng.uniform(size=shape)
    return rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))


def published_network(name):
    """Our network in float64 with these weights, each under the name that the import gives it."""
    network = CamPlusPlus(**PUBLISHED[name]).double().eval()
    state = published_state(network.embedding_dim)
    table = read_table("campplus_3dspeaker")
    matches = match_keys(state, table.keys, table.words)
    assert set(matches) == set(state)
    ours = {
        match.ours[0]: torch.from_numpy(TRANSFORMS[match.transform](state[key]))
        for key, match in matches.items()
    }
    counts = {key: v for key, v in network.state_dict().items() if key.endswith("_tracked")}
    network.load_state_dict(ours | counts)
    return network


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", PUBLISHED)
def test_embeddings_are_those_of_the_published_class(name):
    network = published_network(name)
    golden = np.load(GOLDEN / f"{name}.npz")
    lengths = [int(key.split("_")[1]) for key in golden if key.startswith("input")]
    together_BTF = torch.zeros(len(lengths), max(lengths) + 50, 80, dtype=torch.float64)
    for row, length in enumerate(lengths):
        features_TF = torch.from_numpy(golden[f"input_{length}"]).double()
        together_BTF[row, :length] = features_TF
        expected_E = golden[f"embedding_{length}"]
        found_E = network.trunk(features_TF[None], torch.tensor([length]))[0].numpy()
        difference = np.abs(found_E - expected_E).max() / np.abs(expected_E).max()
        print(f"{name}, {length} frames: largest relative difference {difference:.1e}")
        assert difference < 1e-12
    together_BE = network.trunk(together_BTF, torch.tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(together_BE[row], golden[f"embedding_{length}"], atol=1e-9)


@pytest.mark.slow
def test_a_published_file_is_imported_whole(tmp_path):
    state = {key: value.astype(np.float32) for key, value in published_state(192).items()}
    source = save_as(tmp_path / "published", state, "state_dict")
    counts = import_model(source, tmp_path / "exp", kind="campplus_3dspeaker")
    assert counts["parameters"] == 6_848_544
    weights = load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["network"]
    for name, value in published_network("campplus_3dspeaker_192").state_dict().items():
        if not name.endswith("_tracked"):
            torch.testing.assert_close(weights[name], value.float(), atol=0, rtol=0)


def test_parameters_are_the_published_ones():
    assert sum(p.numel() for p in CamPlusPlus().parameters()) == 6_848_544
    assert sum(p.numel() for p in CamPlusPlus(embedding_dim=512).parameters()) == 7_176_224


def test_features_and_frames_are_the_published_ones():
    network, sizes = CamPlusPlus().eval(), {}
    modules = {"head": network.head, "first": network.first, "pooling": network.embedding}
    modules |= {f"stage{k}": stage for k, stage in enumerate(network.stages, start=1)}
    modules |= {f"dense{k}": stage.norm for k, stage in enumerate(network.stages, start=1)}
    for name, module in modules.items():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: sizes.update(
                {name: (tuple(inputs[0].shape[1:]), tuple(output.shape[1:]))}
            )
        )
    with torch.no_grad():
        network.trunk(torch.randn(1, 200, 80), torch.tensor([200]))
    outputs = {name: output for name, (_, output) in sizes.items()}
    assert outputs == {
        "head": (320, 200),
        "first": (128, 100),
        "dense1": (512, 100),
        "stage1": (256, 100),
        "dense2": (1024, 100),
        "stage2": (512, 100),
        "dense3": (1024, 100),
        "stage3": (512, 100),
        "pooling": (192,),
    }
    assert sizes["pooling"][0] == (1024,)
    assert [stage.layers[0].conv2.dilation for stage in network.stages] == [(1,), (2,), (2,)]


def test_segment_means_count_real_frames():
    x_BCT = torch.tensor([[[1.0, 3.0, 5.0, 7.0, 9.0]], [[2.0, 4.0, 6.0, 0.0, 0.0]]])
    means = [[[2.0, 6.0, 9.0]], [[3.0, 6.0, 0.0]]]
    torch.testing.assert_close(segment_means(x_BCT, torch.tensor([5, 3]), 2), torch.tensor(means))
    torch.testing.assert_close(segment_means(x_BCT[:1], None, 2), torch.tensor(means[:1]))
    torch.testing.assert_close(segment_means(x_BCT[:1], None, 100), torch.tensor([[[5.0]]]))


def test_a_constant_channel_has_deviation_zero_and_a_gradient():
    x_BCT = torch.ones(1, 1, 5, requires_grad=True)
    statistics_BN = statistics_over_frames(x_BCT, None, variance_offset=0.0)
    torch.testing.assert_close(statistics_BN, torch.tensor([[1.0, 0.0]]))
    statistics_BN.sum().backward()
    torch.testing.assert_close(x_BCT.grad, torch.full((1, 1, 5), 0.2))


def test_a_block_may_stride_over_features_alone():
    torch.manual_seed(0)
    block, x_BCFT = BasicBlock(3, 3, stride=2, frame_stride=1).eval(), torch.randn(1, 3, 9, 8)
    with torch.no_grad():
        y_BCFT = torch.relu(block.norm1(block.conv1(x_BCFT)))
        y_BCFT = block.norm2(block.conv2(y_BCFT))
        shortcut_BCFT = block.shortcut[1](
            torch.nn.functional.conv2d(x_BCFT, block.shortcut[0].weight, stride=(2, 1))
        )
        expected_BCFT = torch.relu(y_BCFT + shortcut_BCFT)
        assert expected_BCFT.shape == (1, 3, 5, 8)
        torch.testing.assert_close(block(x_BCFT, None), expected_BCFT)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": (1,), "dilations": (3,)},
        {"front_end": {"name": "kaldi_fbank", "num_mel_bins": 37}},
        {"spec_augment": {"max_freq_bins": 20}},
    ],
    ids=str,
)
def test_variants_reach_every_parameter_and_ignore_batch_mates(options):
    torch.manual_seed(0)
    network = CamPlusPlus(**SMALL | options)
    waveforms_BS = 0.1 * torch.randn(3, 16000)
    lengths_B = torch.tensor([16000, 9000, network.min_samples])
    assert unreached_parameters(network, waveforms_BS) == set()
    assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B)


def test_under_autocast_embeddings_are_float32_and_nearly_the_same():
    torch.manual_seed(0)
    assert_autocast_gives_float32_and_nearly_the_same(CamPlusPlus(**SMALL))


def test_unequal_lengths_are_refused_in_training():
    with pytest.raises(ValueError, match="same length"):
        CamPlusPlus(**SMALL)(torch.zeros(2, 16000), torch.tensor([16000, 9000]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_channels": 0}, "head_channels is 0"),
        ({"layers": []}, "layers is []"),
        ({"layers": [1, 2]}, "layers [1, 2] and dilations [1, 2, 2] differ in length"),
        ({"dense_channels": 1}, "dense_channels is 1, expected 2 or more"),
        ({"variance_offset": -1.0}, "variance_offset is -1.0, expected 0 or more"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UserError) as error:
        build(MODELS, {"name": "campplus", **options}, "conf/x.yaml: model")
    assert str(error.value).startswith(f"conf/x.yaml: model: {message}")
