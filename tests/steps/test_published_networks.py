"""The three published networks, imported, give the vectors that the toolkits' own code gave."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from steps.extract import load_network
from steps.import_model import import_model

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "golden" / "pretrained" / "vectors.npz"
FILES = {  # kind of the file -> its name, the vectors, trainable values
    "campplus_3dspeaker": ("campplus_cn_en_common.pt", "cam", 6_848_544),
    "speechbrain_ecapa": ("embedding_model.ckpt", "ecapa", 20_767_552),
    "resemblyzer": ("pretrained.pt", "resemblyzer_wave", 1_423_616),
}
OWN_WAVES = 3  # the last of the golden files; the others are in the shared folder
PIECE_FRAMES, HOP_FRAMES = 160, 77  # of Resemblyzer's windows


@pytest.fixture(scope="module", params=FILES)
def imported(request, tmp_path_factory):
    """Kind, network and golden vectors of a published file in the folder SV_PRETRAINED."""
    name, vectors, num_parameters = FILES[request.param]
    source = Path(os.environ.get("SV_PRETRAINED", "missing")) / name
    if not source.exists():
        pytest.skip(f"SV_PRETRAINED names no folder with {name}")
    experiment = tmp_path_factory.mktemp(request.param) / "exp"
    counts = import_model(source, experiment, kind=request.param)
    assert counts["parameters"] == num_parameters
    network, _ = load_network(experiment, "average")
    return request.param, network, np.load(VECTORS)[vectors]


def read_waves(folder, files):
    """Samples of each file."""
    return [torch.from_numpy(soundfile.read(folder / file, dtype="float32")[0]) for file in files]


@torch.no_grad()
def embed(kind, network, samples_S):
    """The vector of a file, as the toolkit computes it."""
    if kind == "resemblyzer":
        return embed_in_pieces(network, samples_S)
    return network(samples_S[None], torch.tensor([len(samples_S)]))[0]


def embed_in_pieces(network, samples_S):
    """Mean over pieces; the last one is kept if the wave fills three quarters of it."""
    hop = network.front_end.hop_samples
    num_frames = -(-(len(samples_S) + 1) // hop)
    starts = list(range(0, max(1, num_frames - PIECE_FRAMES + HOP_FRAMES + 1), HOP_FRAMES))
    if len(starts) > 1 and len(samples_S) / hop - starts[-1] < 0.75 * PIECE_FRAMES:
        starts.pop()
    missing = (starts[-1] + PIECE_FRAMES) * hop - len(samples_S)
    padded_1S = F.pad(samples_S, (0, max(0, missing)))[None]
    features_BTF, _ = network.front_end(padded_1S, torch.tensor([padded_1S.shape[1]]))
    pieces = [features_BTF[0, start : start + PIECE_FRAMES] for start in starts]
    return network.trunk(torch.stack(pieces), torch.full((len(pieces),), PIECE_FRAMES)).mean(dim=0)


def assert_same_directions(kind, network, waves, vectors_NE):
    """Cosine distances of at most 1e-5."""
    largest = 0.0
    for samples_S, expected_E in zip(waves, vectors_NE, strict=True):
        found_E = embed(kind, network, samples_S).double()
        cosine = F.cosine_similarity(found_E, torch.from_numpy(expected_E).double(), dim=0)
        largest = max(largest, 1 - cosine.item())
    print(f"{kind}: {len(waves)} files, largest cosine distance {largest:.1e}")
    assert largest <= 1e-5


@pytest.mark.slow
def test_vectors_of_own_waves_are_those_of_the_toolkit(imported):
    kind, network, vectors_NE = imported
    waves = read_waves(ROOT, np.load(VECTORS)["files"][-OWN_WAVES:])
    assert_same_directions(kind, network, waves, vectors_NE[-OWN_WAVES:])


@pytest.mark.slow
def test_vectors_of_shared_files_are_those_of_the_toolkit(imported, shared_data):
    kind, network, vectors_NE = imported
    waves = read_waves(shared_data, np.load(VECTORS)["files"][:-OWN_WAVES])
    assert_same_directions(kind, network, waves, vectors_NE[:-OWN_WAVES])


@pytest.mark.slow
@torch.no_grad()
def test_files_of_mixed_lengths_in_one_batch_are_as_if_alone(imported):
    _, network, _ = imported
    waves = read_waves(ROOT, np.load(VECTORS)["files"][-OWN_WAVES:])
    lengths_B = torch.tensor([len(samples_S) for samples_S in waves])
    padded_BS = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    together_BE = F.normalize(network(padded_BS, lengths_B))
    for row, samples_S in enumerate(waves):
        alone_1E = F.normalize(network(samples_S[None], lengths_B[row : row + 1]))
        assert (together_BE[row] - alone_1E[0]).abs().max() <= 1e-5
