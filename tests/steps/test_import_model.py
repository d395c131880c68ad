"""Imported networks give the embeddings of the published classes; unknown content is refused."""

import json

import numpy as np
import pytest
import torch
import yaml

from steps.collect_embeddings import collect_embeddings
from steps.extract import extract, load_network
from steps.import_model import import_model
from steps.losses import LOSSES
from tests.published_files import save_as
from tests.published_weights import GOLDEN, draw, read_published
from utils.archive import iterate_scp, read_vectors
from utils.config import build, read_yaml
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint

TABLES = sorted(path.stem for path in GOLDEN.glob("*.json"))
LARGEST_DIFFERENCE = 1e-4  # relative, of the embedding


def import_published(published, folder, **options):
    """Write the published file and bring it in."""
    facts = published.facts
    if facts["saved_as"] == "keras":
        pytest.importorskip("h5py")
    if "config" in facts:
        options["config"] = folder / "config.yaml"
        options["config"].write_text(yaml.safe_dump({"model": facts["config"]}))
    if "rows" in facts:
        options["rows"] = facts["rows"]
    source = save_as(folder / "published", published.state(), facts["saved_as"])
    return import_model(source, folder / "exp", **{"kind": facts["kind"]} | options)


def embed(network, published, length):
    """The embedding of a reference input."""
    given = torch.from_numpy(published.input(length))[None]
    with torch.no_grad():
        if published.facts.get("input", "waveform") == "waveform":
            return network(given, torch.tensor([length]))[0].numpy()
        return network.trunk(given, torch.tensor([length]))[0].numpy()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.slow
def test_an_imported_file_gives_the_embeddings_of_the_published_class(tmp_path, name):
    published = read_published(name)
    counts = import_published(published, tmp_path)
    network, facts = load_network(tmp_path / "exp", "average")
    worst = 0.0
    for length, reference in published.embeddings.items():
        found = embed(network, published, length)
        worst = max(worst, np.linalg.norm(found - reference) / np.linalg.norm(reference))
    print(
        f"{name}: {counts['parameters']:,} parameters, {len(published.embeddings)} lengths, "
        f"worst relative difference {worst:.1e}"
    )
    assert worst < LARGEST_DIFFERENCE
    assert facts["network"] == read_yaml(tmp_path / "exp" / "config.yaml")["model"]["name"]


def test_the_two_definitions_of_rawnet2_differ_by_far_more_than_an_import_may():
    ((length, original),) = read_published("rawnet2_original").embeddings.items()
    other = read_published("rawnet2").embeddings[length]
    assert np.linalg.norm(original - other) > 1000 * LARGEST_DIFFERENCE * np.linalg.norm(original)


CHANNELS, EMBEDDING, SPEAKERS = 4, 6, 3


@pytest.fixture
def tiny(tmp_path):
    """Published state of a small Deep Speaker with its classifier, and its configuration."""
    shapes = {}
    for stage in (1, 2):
        shapes[f"model.conv{stage}.weight"] = (CHANNELS, 1 if stage == 1 else CHANNELS, 5, 5)
        norms = {
            f"model.bn{stage}": CHANNELS,
            **{f"model.layer{stage}.0.bn{k}": CHANNELS for k in (1, 2)},
        }
        shapes |= {
            f"{norm}.{word}": (size,)
            for norm, size in norms.items()
            for word in ("weight", "bias", "running_mean", "running_var")
        }
        shapes |= {
            f"model.layer{stage}.0.conv{k}.weight": (CHANNELS, CHANNELS, 3, 3) for k in (1, 2)
        }
    shapes |= {"model.fc.weight": (EMBEDDING, 16 * CHANNELS), "model.fc.bias": (EMBEDDING,)}
    shapes |= {
        "model.classifier.weight": (SPEAKERS, EMBEDDING),
        "model.classifier.bias": (SPEAKERS,),
    }
    config = tmp_path / "tiny.yaml"
    config.write_text(
        f"model: {{name: deep_speaker, channels: [{CHANNELS}, {CHANNELS}], blocks: [1, 1], "
        f"embedding_dim: {EMBEDDING}}}\n"
    )
    return {key: draw(key, shape, 1) for key, shape in shapes.items()}, config


def bring_in(folder, state, config=None, saved_as="under state_dict", **options):
    """Save and import it, with features in rows unless told otherwise."""
    source = save_as(folder / "tiny.pth", state, saved_as)
    return import_model(
        source,
        folder / "exp",
        **{"kind": "deep_speaker", "rows": "features", "config": config} | options,
    )


@pytest.mark.parametrize(
    "saved_as", ["state_dict", "under model", "under state_dict", "with module.", "with __S__."]
)
def test_the_wrappings_of_training_programs_come_off(tmp_path, tiny, saved_as):
    counts = bring_in(tmp_path, *tiny, saved_as)
    assert counts["tensors"] == len(tiny[0])
    weights = load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["network"]
    np.testing.assert_array_equal(weights["stages.1.conv.weight"], tiny[0]["model.conv2.weight"])


def test_a_head_is_imported_as_the_weights_of_the_loss(tmp_path, tiny):
    counts = bring_in(tmp_path, *tiny)
    config = read_yaml(tmp_path / "exp" / "config.yaml")
    assert counts["loss"] == config["loss"]["name"] == "softmax"
    assert config["num_speakers"] == SPEAKERS
    loss = build(LOSSES, config["loss"], "config", embedding_dim=EMBEDDING, num_speakers=SPEAKERS)
    loss.load_state_dict(load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["loss"])
    np.testing.assert_array_equal(loss.weight_NE.detach(), tiny[0]["model.classifier.weight"])
    np.testing.assert_array_equal(loss.bias_N.detach(), tiny[0]["model.classifier.bias"])


def test_a_file_without_a_head_or_without_counts_of_batches_is_whole(tmp_path, tiny):
    state, config = tiny
    counts = bring_in(
        tmp_path, {key: array for key, array in state.items() if "classifier" not in key}, config
    )
    assert counts["loss"] is None
    assert "loss" not in load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")


@pytest.mark.parametrize("name", ["rawnet_port", "rawnet2_modified", "rawnet_keras", "ge2e_tf"])
@pytest.mark.slow
def test_the_heads_of_published_files_are_imported(tmp_path, name):
    published = read_published(name)
    counts = import_published(published, tmp_path)
    weights = load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["loss"]
    head = {
        "rawnet_port": ("fc2_gru.weight", "weight_NE", False),
        "rawnet2_modified": ("class_head.W", "weight_NE", True),
        "rawnet_keras": ("gru_s_bs_loss/kernel", "parts.0.weight_NE", True),
        "ge2e_tf": ("w", "scale", False),
    }[name]
    key, ours, is_transposed = head
    expected = published.state()[key]
    np.testing.assert_array_equal(
        weights[ours], (expected.T if is_transposed else expected).reshape(weights[ours].shape)
    )
    print(f"{name}: {counts['loss']} {sorted(weights)}")


def test_rows_of_frames_are_kernels_transposed(tmp_path, tiny):
    state, config = tiny
    bring_in(tmp_path, state, config, rows="frames")
    weights = load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["network"]
    np.testing.assert_array_equal(
        weights["stages.0.blocks.0.conv1.weight"],
        state["model.layer1.0.conv1.weight"].swapaxes(2, 3),
    )


def test_a_trainers_file_may_hold_rawnet3_or_mr_rawnet_and_its_loss(tmp_path):
    published = read_published("rawnet3")
    head = draw("__L__.weight", (5, 256), 1)
    source = save_as(
        tmp_path / "model000000001.model", published.state() | {"__L__.weight": head}, "with __S__."
    )
    counts = import_model(source, tmp_path / "exp", kind="voxceleb_trainer")
    assert counts["loss"] == "aam_softmax"
    assert read_yaml(tmp_path / "exp" / "config.yaml")["imported"]["kind"] == "rawnet3"
    np.testing.assert_array_equal(
        load_checkpoint(tmp_path / "exp" / "checkpoints" / "average.pt")["loss"]["weight_NE"], head
    )


def test_weights_of_a_loss_that_is_not_ours_are_reported_as_left_out(tmp_path, capsys):
    state = read_published("rawnet3").state() | {"__L__.w": np.ones(1, np.float32)}
    counts = import_model(
        save_as(tmp_path / "x.model", state, "with __S__."), tmp_path / "exp", kind="rawnet3"
    )
    assert counts["left_out"] == ["__L__.w"]
    assert "left out: __L__.w" in capsys.readouterr().out


def without(state, key):
    """The state less one key."""
    return {name: array for name, array in state.items() if name != key}


def test_extraction_takes_an_imported_network(tmp_path, tiny, corpus):
    bring_in(tmp_path, *tiny)
    extract(tmp_path / "exp", corpus / "dev", tmp_path / "embeddings")
    collect_embeddings(corpus / "dev", tmp_path / "embeddings")
    keys, embeddings = read_vectors(tmp_path / "embeddings" / "xvector.scp")
    network, facts = load_network(tmp_path / "exp", "average")
    waves = dict(iterate_scp(corpus / "dev" / "wav.scp"))
    samples = torch.from_numpy(waves[keys[0]].astype(np.float32).ravel() / 32768)[None]
    with torch.no_grad():
        np.testing.assert_allclose(
            embeddings[0],
            network(samples, torch.tensor([samples.shape[1]]))[0],
            rtol=1e-3,
            atol=1e-4,
        )
    assert (
        json.loads((tmp_path / "embeddings" / "provenance.json").read_text())["model"]
        == facts["model"]
    )


REFUSED = {
    "a key too many": (
        lambda state: state | {"model.extra": np.ones(1, np.float32)},
        {},
        "1 of 35 keys are unknown to deep_speaker: model.extra",
    ),
    "a key too few": (
        lambda state: without(state, "model.bn1.bias"),
        {},
        "has no stages.0.norm.bias: 1 of 38",
    ),
    "another shape": (
        lambda state: state | {"model.fc.bias": np.ones(7, np.float32)},
        {},
        r"model.fc.bias has shape \(7,\), expected \(6,\), that of embedding.bias",
    ),
    "half a head": (
        lambda state: without(state, "model.classifier.bias"),
        {},
        "model.classifier.weight",
    ),
    "NaN": (
        lambda state: state | {"model.fc.bias": np.full(6, np.nan, np.float32)},
        {},
        "model.fc.bias holds NaN or Inf",
    ),
    "a stage too many": (
        lambda state: state | {"model.conv3.weight": state["model.conv2.weight"]},
        {},
        "model.conv3.weight would be stages.2.conv",
    ),
    "another kind": (dict, {"kind": "rawnet3", "rows": None, "config": None}, "is --kind right"),
    "no rows": (dict, {"rows": None}, "--rows: kind deep_speaker needs it"),
    "rows for nothing": (dict, {"kind": "rawnet3"}, "--rows: kind rawnet3 has no such option"),
    "the published sizes": (
        dict,
        {"config": None},
        r"has shape \(4, 1, 5, 5\), expected \(64, 1, 5, 5\)",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line_and_leaves_no_experiment(tmp_path, tiny, fault):
    change, options, message = REFUSED[fault]
    state, config = tiny
    with pytest.raises(UserError, match=message) as caught:
        bring_in(tmp_path, change(state), **{"config": config} | options)
    print(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "exp" / "checkpoints").exists()


def test_a_configuration_of_another_network_is_refused(tmp_path, tiny):
    (tmp_path / "other.yaml").write_text("model: {name: rawnet3}\n")
    with pytest.raises(UserError, match="other.yaml: model: expected a network 'deep_speaker'"):
        bring_in(tmp_path, tiny[0], tmp_path / "other.yaml")


def test_a_constant_of_another_network_is_refused(tmp_path):
    state = read_published("rawnet3").state()
    state["conv1.filterbank.n_"] = state["conv1.filterbank.n_"] * 2  # 8 kHz
    with pytest.raises(UserError, match="conv1.filterbank.n_ is not sinc_times of 16 kHz"):
        import_model(
            save_as(tmp_path / "x.pt", state, "under model"), tmp_path / "exp", kind="rawnet3"
        )


def test_a_second_import_does_nothing_and_another_file_is_refused(tmp_path, tiny, monkeypatch):
    bring_in(tmp_path, *tiny)
    written = (tmp_path / "exp" / "checkpoints" / "average.pt").read_bytes()
    bring_in(tmp_path, *tiny)
    state, config = tiny
    with pytest.raises(UserError, match="tiny.pth"):
        bring_in(tmp_path, state | {"model.fc.bias": np.zeros(6, np.float32)}, config)
    assert (tmp_path / "exp" / "checkpoints" / "average.pt").read_bytes() == written
    monkeypatch.setenv("SV_FORCE", "1")
    bring_in(tmp_path, state | {"model.fc.bias": np.zeros(6, np.float32)}, config)
    assert (tmp_path / "exp" / "checkpoints" / "average.pt").read_bytes() != written


@pytest.mark.parametrize(("kind", "named"), [("rawnet3", "missing"), ("ge2e_tf", "missing.index")])
def test_a_missing_file_is_named(tmp_path, kind, named):
    with pytest.raises(UserError, match=f"{named}: no such file"):
        import_model(tmp_path / "missing", tmp_path / "exp", kind=kind)


@pytest.mark.slow
def test_the_command_ends_with_one_line(tmp_path, command):
    (tmp_path / "x.pt").write_bytes(b"no file of torch")
    done = command("steps.import_model", tmp_path / "x.pt", tmp_path / "exp", "--kind", "rawnet3")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "not a file of torch that holds tensors and plain values only" in done.stderr


def test_the_receipt_names_the_kind_and_the_file(tmp_path, tiny):
    bring_in(tmp_path, *tiny)
    receipt = json.loads((tmp_path / "exp" / "receipts" / "train.json").read_text())
    assert receipt["options"] == {"imported": "deep_speaker", "rows": "features"}
    assert receipt["inputs"]["source"]["path"].endswith("tiny.pth")
