"""The three published networks, fetched from the package index, embed as the toolkits' own code."""

import json

import numpy as np
import pytest
import soundfile

from steps.extract import load_network
from tests.conftest import ROOT
from utils.embeddings.inference import embed_utterances
from utils.embeddings.protocols import make_protocol
from utils.pretrained import open_model, read_weights

GOLDEN = ROOT / "tests" / "golden" / "pretrained" / "vectors.npz"
OWN_FILES = 3  # the last ones, which are part of the project
LARGEST_DISTANCE = {"campplus": 1e-5, "ecapa": 1e-5, "resemblyzer": 1e-3}  # of cosines
ARRAYS = {"campplus": "cam", "ecapa": "ecapa", "resemblyzer": "resemblyzer_file"}
SIZES = {"campplus": 6_848_544, "ecapa": 20_767_552, "resemblyzer": 1_423_616}
DIFFERENCE = 1e-3  # of features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


class Waves:
    """Waveforms in memory, as `embed_utterances` reads them."""

    sample_rate_hz = 16000

    def __init__(self, paths):
        self.waves = [soundfile.read(path, dtype="float32")[0] for path in paths]
        self.num_samples = [len(wave) for wave in self.waves]

    def read(self, index, start=0, size=None):
        end = None if size is None else start + size
        return self.waves[index][start:end]


def embed(model, paths):
    """Embeddings (N, E) of files by the protocol that the model names."""
    network, _ = load_network(model.folder)
    protocol = None
    if model.protocol_options:
        protocol = make_protocol(model.protocol_options)
    return embed_utterances(network, Waves(paths), range(len(paths)), protocol=protocol)


def cosine_distances(ours, theirs):
    """1 - cosine of each pair of rows, in float64."""
    ours, theirs = ours.astype(float), theirs.astype(float)
    products = np.sum(ours * theirs, axis=1)
    return 1 - products / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


@pytest.mark.parametrize("name", ARRAYS)
def test_embeddings_of_our_own_waves_are_those_of_the_toolkit(published_model, golden, name):
    model = open_model(published_model(name))
    paths = [ROOT / path for path in golden["files"][-OWN_FILES:]]
    ours, theirs = embed(model, paths), golden[ARRAYS[name]][-OWN_FILES:]
    distances = cosine_distances(ours, theirs)
    print(f"{name}: largest cosine distance {distances.max():.1e}")
    assert distances.max() <= LARGEST_DISTANCE[name]
    network, _ = load_network(model.folder)
    assert sum(part.numel() for part in network.parameters()) == SIZES[name]


@pytest.mark.parametrize("name", ARRAYS)
def test_embeddings_of_shared_files_are_those_of_the_toolkit(
    published_model, golden, shared_data, name
):
    model = open_model(published_model(name))
    paths = [shared_data / path for path in golden["files"][:-OWN_FILES]]
    distances = cosine_distances(embed(model, paths), golden[ARRAYS[name]][:-OWN_FILES])
    print(f"{name}: largest cosine distance {distances.max():.1e}")
    assert distances.max() <= LARGEST_DISTANCE[name]


@pytest.mark.parametrize("name", ["campplus", "ecapa"])
def test_features_of_a_shared_file_are_those_of_the_toolkit(
    published_model, golden, shared_data, name
):
    import torch

    network, _ = load_network(published_model(name))
    wave = soundfile.read(shared_data / golden["files"][0], dtype="float32")[0]
    with torch.no_grad():
        features, _ = network.front_end(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    theirs = golden[f"{ARRAYS[name]}_features"]
    ours = features[0].numpy().reshape(-1, theirs.shape[1])
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < DIFFERENCE


def test_the_head_of_ecapa_has_the_rows_and_ids_of_its_speakers(published_model, golden):
    model = open_model(published_model("ecapa"))
    rows = read_weights(model.folder / "head.safetensors")["weight_NE"]
    head = json.loads((model.folder / "head.json").read_text())
    assert rows.shape == (7205, 192)
    assert len(set(head["speakers"])) == 7205
    assert head["speakers"][0] == "id05930"
    assert set(model.provenance["training_data"]["speakers"]) == set(head["hashed"])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = golden["ecapa"] / np.linalg.norm(golden["ecapa"], axis=1, keepdims=True)
    cosines = vectors @ rows.T
    np.testing.assert_array_equal(cosines.argmax(1), golden["ecapa_head_best"])
    np.testing.assert_allclose(cosines.max(1), golden["ecapa_head_cosine"], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "unknown"), [("campplus", ["public"]), ("ecapa", []), ("resemblyzer", ["voxceleb"])]
)
def test_the_model_says_whose_voices_it_was_trained_on(published_model, name, unknown):
    model = open_model(published_model(name))
    assert model.provenance["training_data"]["may_have_heard"] == unknown
    assert "not detected" in (model.folder / "README.md").read_text()
    assert "Apache-2.0" in (model.folder / "NOTICE").read_text()
