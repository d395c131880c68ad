"""Fine-tuning: first weights from a trained network, rows of the head by speaker, frozen names."""

import json
import signal

import numpy as np
import pytest
import torch

from steps.extract import load_network
from steps.package import package
from steps.train import NO_DEV, train
from tests.models_for_tests import as_json, make_model
from tests.training_runs import assert_same_end, stop_after
from tests.voices import make_packed
from utils.augmentation.signal import change_speed
from utils.config import read_yaml
from utils.embeddings.inference import open_packed
from utils.errors import UserError
from utils.pretrained import hashed_speaker, weights_as_bytes
from utils.pretrained.training_data import read_training_data, training_data_facts
from utils.training import fine_tuning
from utils.training.checkpoints import load_checkpoint, weights_digest

LENGTH = "{steps: 2, validate_every_steps: 9, checkpoint_every_steps: 1}"
NO_SPEEDS = "augmentation: null\n"
# "a", "b" and "d" of the corpus, between new ones
SPEAKERS = {"A": 160, "a": 100, "b": 140, "d": 250, "z": 300}


def write_config(corpus, path, *more, without=()):
    """The tiny YAML with a short training, and further lines."""
    lines = (corpus / "config.yaml").read_text().split("training:")[0]
    for section in without:
        lines = "".join(
            line for line in lines.splitlines(True) if not line.startswith(f"{section}:")
        )
    path.write_text(lines + f"training: {LENGTH}\n" + "".join(more))
    return path


@pytest.fixture(scope="module")
def source(corpus, tmp_path_factory):
    """A finished experiment of the four speakers at two speeds."""
    folder = tmp_path_factory.mktemp("source")
    config = write_config(corpus, folder / "first.yaml")
    train(corpus / "train", corpus / "dev", config, folder / "first", num_threads=1)
    return folder / "first"


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Training data with three of the speakers and two new ones."""
    return make_packed(tmp_path_factory.mktemp("others") / "train", SPEAKERS, utterances=2, seed=3)


def fine_tune(corpus, folder, source, *more, data=None, without=(), steps=1):
    """Fine-tune from a source; the experiment."""
    lines = (f"start_from: {source}\n", *more)
    config = write_config(corpus, folder / "tune.yaml", *lines, without=without)
    data = data or corpus / "train"
    train(data, NO_DEV, config, folder / "tune", num_threads=1, steps=steps)
    return folder / "tune"


def first(experiment, part):
    """The weights of network or loss before the first step."""
    return load_checkpoint(experiment / "checkpoints" / "step-0000000.pt")[part]


def last_head(experiment, step=2):
    state = load_checkpoint(experiment / "checkpoints" / f"step-{step:07d}.pt")
    return state["loss"]["weight_NE"]


def said(experiment):
    return json.loads((experiment / "first_weights.json").read_text())


def mean_vector(source, data, speaker, speed=1.0):
    """The mean of a speaker's embeddings of length 1, utterance by utterance."""
    network, _ = load_network(source)
    keys, reader = open_packed(data, network.sample_rate_hz)
    vectors = []
    for row, key in enumerate(keys):
        if key.split("-")[0] == speaker:
            samples = reader.read(row)
            samples = change_speed(samples, speed, int(len(samples) / speed))
            with torch.no_grad():
                vector = network(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
            vectors.append(torch.nn.functional.normalize(vector[0], dim=0))
    return torch.nn.functional.normalize(sum(vectors), dim=0)


def test_permuted_and_partly_new_speakers_have_the_logits_of_shared_rows(
    corpus, source, others, tmp_path
):
    exp = fine_tune(corpus, tmp_path, source, data=others)
    average = load_checkpoint(source / "checkpoints" / "average.pt")["network"]
    assert weights_digest(first(exp, "network")) == weights_digest(average)
    before, now = last_head(source), first(exp, "loss")["weight_NE"]
    assert (before.shape, now.shape) == ((8, 16), (10, 16)), "two speeds"
    embedding_BE = torch.randn(3, 16)
    places = {"a": (0, 1), "b": (1, 2), "d": (3, 3)}
    for speed in range(2):
        for there, here in places.values():
            old, new = before[4 * speed + there], now[5 * speed + here]
            assert torch.equal(embedding_BE @ old, embedding_BE @ new)
    assert said(exp)["head"] == {"taken": 6, "class_means": 4}
    assert said(exp)["loss"] == {"taken": ["weight_NE"], "new": [], "left": []}


def test_rows_of_new_speakers_are_class_means_as_long_as_the_others(
    corpus, source, others, tmp_path
):
    now = first(fine_tune(corpus, tmp_path, source, data=others), "loss")["weight_NE"]
    taken = now[[1, 2, 3, 6, 7, 8]].norm(dim=1).mean()
    rows = {("A", 1.0): 0, ("z", 1.0): 4, ("A", 1.1): 5, ("z", 1.1): 9}
    for (speaker, speed), row in rows.items():
        expected = taken * mean_vector(source, others, speaker, speed)
        np.testing.assert_allclose(now[row], expected, atol=2e-5)


def test_without_speeds_the_rows_of_the_original_speakers_stay(corpus, source, tmp_path):
    exp = fine_tune(corpus, tmp_path, source, NO_SPEEDS, without=["augmentation"])
    assert torch.equal(first(exp, "loss")["weight_NE"], last_head(source)[:4])


@pytest.mark.slow
def test_a_phase_without_speeds_keeps_the_rows_of_the_original_speakers(corpus, tmp_path):
    phases = "phases:\n  - {name: first}\n  - {name: margin, weights_from: previous_with_loss, "
    config = write_config(corpus, tmp_path / "x.yaml", phases, "augmentation: null}\n")
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    before = last_head(tmp_path / "exp" / "phases" / "1_first", step=1)
    assert torch.equal(first(tmp_path / "exp", "loss")["weight_NE"], before[:4])


@pytest.mark.slow
def test_a_name_without_a_folder_is_the_experiment_beside_it(corpus, source, tmp_path):
    config = write_config(corpus, tmp_path / "first_lm.yaml", "start_from: first\n")
    output = source.with_name("first_lm")
    train(corpus / "train", corpus / "dev", config, output, num_threads=1, steps=1)
    assert said(output)["source"]["name"] == "first"
    output = source.with_name("first_lm-tiny")
    others = "beside it there are first, first_lm: give the path of one"
    with pytest.raises(UserError, match=f"first-tiny: no such folder.*; {others}"):
        train(corpus / "train", corpus / "dev", config, output, num_threads=1, steps=1)


def model_with_head(folder):
    """A model folder with random rows of "b" and of somebody else, by hashed ids."""
    rows = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    names = {"speakers": None, "hashed": [hashed_speaker("elsewhere"), hashed_speaker("b")]}
    more = {
        "head.json": as_json(names),
        "head.safetensors": weights_as_bytes({"weight_NE": rows}),
    }
    make_model(folder, more=more)
    return rows


def test_the_head_of_a_model_folder_is_taken_by_hashed_ids(corpus, tmp_path):
    rows = model_with_head(tmp_path / "model")
    config = ("loss: {name: aam_softmax, margin: 0.1}\n", NO_SPEEDS)
    exp = fine_tune(corpus, tmp_path, tmp_path / "model", *config, without=["loss", "augmentation"])
    now = first(exp, "loss")["weight_NE"]
    assert np.array_equal(now[1], rows[1])
    assert said(exp)["head"] == {"taken": 1, "class_means": 3}
    assert said(exp)["source"]["training_data"] == {"speakers": [], "may_have_heard": ["public"]}
    facts = load_network(exp)[1]
    assert facts["started_from"] == said(exp)["source"]["weights"]


def test_speakers_of_the_source_stay_known_to_the_leakage_guard(corpus, source, others, tmp_path):
    exp = fine_tune(corpus, tmp_path, source, data=others)
    heard = read_training_data(training_data_facts(exp), exp)
    assert heard.known({"a", "c", "z"}) == {"a", "c"}
    package(exp, tmp_path / "model")
    packaged = read_training_data(training_data_facts(tmp_path / "model"), tmp_path)
    assert packaged.known({"a", "c", "z", "y"}) == {"a", "c", "z"}
    assert load_network(tmp_path / "model")[1]["started_from"] == said(exp)["source"]["weights"]


def test_frozen_names_stay_and_the_optimiser_holds_the_others(corpus, source, tmp_path):
    exp = fine_tune(corpus, tmp_path, source, "freeze: [network.*]\n", steps=2)
    state = load_checkpoint(exp / "checkpoints" / "step-0000002.pt")
    begun = first(exp, "network")
    assert all(torch.equal(value, begun[name]) for name, value in state["network"].items()), (
        "statistics of batch norms, too"
    )
    assert not torch.equal(state["loss"]["weight_NE"], first(exp, "loss")["weight_NE"])
    assert sum(len(group["params"]) for group in state["optimizer"]["param_groups"]) == 1


@pytest.mark.slow
def test_a_phase_may_freeze_other_names(corpus, source, tmp_path):
    phases = (
        "freeze: [network.*]\nphases:\n  - {name: head}\n"
        "  - {name: all, weights_from: previous_with_loss, freeze: []}\n"
    )
    exp = fine_tune(corpus, tmp_path, source, phases)
    before, begun = first(exp / "phases" / "1_head", "network"), first(exp, "network")
    assert weights_digest(before) == weights_digest(begun)
    last = load_checkpoint(exp / "checkpoints" / "step-0000001.pt")["network"]
    changed = [name for name, value in last.items() if not torch.equal(value, begun[name])]
    assert any("running_mean" in name for name in changed)
    assert "freeze" not in read_yaml(exp / "config.yaml")
    assert said(exp)["source"] == said(exp / "phases" / "1_head")["source"]


@pytest.mark.parametrize(
    ("more", "head", "message"),
    [
        (
            "freeze: [network.trunk9.*]\n",
            "class_means",
            "freeze: no parameter's name matches 'network.trunk9",
        ),
        (
            "freeze: ['*']\n",
            "class_means",
            "freeze: every parameter's name matches, and nothing is left",
        ),
        (
            "loss: {name: aam_softmax, sub_centers: 3}\n",
            "auto",
            "start_from: weight_NE: 3 rows of a class, the head of the source has 1",
        ),
    ],
    ids=["no-name", "all", "sub-centres"],
)
def test_what_does_not_fit_is_one_line(corpus, source, tmp_path, more, head, message, monkeypatch):
    def embed(*_, **__):
        raise AssertionError("names are checked before class means are computed")

    monkeypatch.setattr(fine_tuning, "embed_utterances", embed)
    without = ["loss"] if more.startswith("loss") else []
    start = f"{{source: {source}, head: {head}}}"
    with pytest.raises(UserError, match=message) as error:
        fine_tune(corpus, tmp_path, start, more, without=without)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("embedding_dim: 16", "embedding_dim: 24", "model.embedding_dim is 16 there, 24 here"),
        ("bn_momentum: 0.1", "front_end: {name: kaldi_fbank}", "another network: model.front_end"),
        ("name: ghostvlad", "name: ecapa\n  channels: 16", "has a network ghostvlad, this YAML ec"),
    ],
    ids=["size", "front-end", "network"],
)
def test_another_network_is_refused(corpus, source, tmp_path, old, new, message):
    config = write_config(corpus, tmp_path / "tune.yaml", f"start_from: {source}\n")
    text = config.read_text().replace(old, new)
    if "ecapa" in new:
        text = text.replace(text[text.index("  conv_ch") : text.index("loss:")], "")
    config.write_text(text)
    with pytest.raises(UserError, match=f"start_from: .*{message}"):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)


def test_a_head_that_the_source_does_not_carry_is_refused(corpus, tmp_path):
    make_model(tmp_path / "model")
    with pytest.raises(UserError, match="head is source, and .*model: it has no head.safetensors"):
        fine_tune(corpus, tmp_path, f"{{source: {tmp_path}/model, head: source}}")


def test_a_loss_without_a_head_takes_the_network_alone(corpus, source, tmp_path):
    crops = "crops: {crop_seconds: 0.5, batches: {speakers: 3, utterances: 2}}\n"
    more = ("loss: {name: triplet}\n", crops)
    exp = fine_tune(corpus, tmp_path, source, *more, without=["loss", "crops"])
    assert said(exp)["loss"] == {"taken": [], "new": [], "left": ["weight_NE"]}
    assert said(exp)["head"] == {"taken": 0}
    (tmp_path / "rows").mkdir()
    rows = f"{{source: {source}, head: source}}"
    with pytest.raises(UserError, match="head is source, and the loss triplet has no rows of"):
        fine_tune(corpus, tmp_path / "rows", rows, *more, without=["loss", "crops"])


def test_an_experiment_that_is_not_finished_is_refused(corpus, source, tmp_path, monkeypatch):
    config = write_config(corpus, tmp_path / "half.yaml")
    with monkeypatch.context() as patch:
        stop_after(1, patch, signal.SIGTERM)
        with pytest.raises(UserError, match="stopped by SIGTERM"):
            train(corpus / "train", corpus / "dev", config, tmp_path / "half", num_threads=1)
    with pytest.raises(UserError, match="start_from: .*; it is running: step .*; wait until it is"):
        fine_tune(corpus, tmp_path, tmp_path / "half")
    (tmp_path / "half" / "log" / "progress.json").unlink()
    with pytest.raises(UserError, match="it is interrupted: step 1; finish it with steps.train"):
        fine_tune(corpus, tmp_path, tmp_path / "half")
    with pytest.raises(UserError, match="none: no such folder, expected a finished experiment"):
        fine_tune(corpus, tmp_path, tmp_path / "none")


@pytest.mark.slow
def test_stopped_it_resumes_to_the_same_weights(corpus, source, others, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    freeze = "freeze: [network.conv.*]\n"
    one = fine_tune(corpus, whole, source, freeze, data=others, steps=3)
    with monkeypatch.context() as patch:
        stop_after(2, patch, signal.SIGTERM)
        with pytest.raises(UserError, match="stopped by SIGTERM after step 2"):
            fine_tune(corpus, parts, source, freeze, data=others, steps=3)
    other = fine_tune(corpus, parts, source, freeze, data=others, steps=3)
    assert_same_end(one, other)
    assert (one / "first_weights.json").read_bytes() == (other / "first_weights.json").read_bytes()


def test_another_source_is_another_training(corpus, source, tmp_path, monkeypatch):
    monkeypatch.delenv("SV_FORCE", raising=False)
    make_model(tmp_path / "model", seed=1)
    exp = fine_tune(corpus, tmp_path, tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / "moved")
    make_model(tmp_path / "model", seed=2)
    with pytest.raises(UserError, match=r"stale: .*model/model.json changed; --force"):
        fine_tune(corpus, tmp_path, tmp_path / "model")
    assert (exp / "receipts" / "train.json").exists()
