"""Comments and spelling in a YAML make nothing stale; another value does, and is named."""

import json
import signal

import numpy as np
import pytest

from steps.import_model import import_model
from steps.make_feats import make_feats
from steps.train import train
from steps.train_backend import train_backend
from tests.training_runs import stop_after, variant
from utils.archive import ArchiveWriter
from utils.config import read_yaml
from utils.errors import UserError
from utils.receipts import MODE, Task, Values

SHORT = (
    "steps: 40, validate_every_steps: 20, checkpoint_every_steps: 10",
    "steps: 2, validate_every_steps: 2, checkpoint_every_steps: 2",
)
CHAIN = "chain: [{name: reverse, probability: 0.5}]\n"
OTHER_SPELLING = "# a comment\nchain:\n- probability: 5e-1\n  name: reverse\n"


def states(step, *words, **options):
    """State and reason of each task of a step, which is not run."""
    MODE.checking, MODE.collected = True, []
    try:
        step(*words, **options)
        return [(status.state, status.reason) for status in MODE.collected]
    finally:
        MODE.checking = False


def without_values(home, name="train"):
    """Make a receipt what it was before receipts recorded values."""
    path = home / "receipts" / f"{name}.json"
    receipt = json.loads(path.read_text())
    receipt.pop("values")
    path.write_text(json.dumps(receipt))


@pytest.fixture
def trained(corpus, tmp_path):
    """Arguments of a training that was done, with an augmentation of its own."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(CHAIN)
    config = variant(corpus, tmp_path, SHORT)
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    options = {"augmentation": policy, "num_threads": 1}
    train(*words, **options)
    return words, options


@pytest.mark.parametrize("of_before", [True, False])
def test_a_training_stays_done(trained, of_before):
    words, options = trained
    config, output, policy = words[2], words[3], options["augmentation"]
    if of_before:
        without_values(output)
    text = config.read_text()
    assert "embedding_dim: 16" in text
    config.write_text(f"# a head\n{text}".replace("crop_seconds: 0.5", "crop_seconds: 5.0e-1"))
    policy.write_text(OTHER_SPELLING)
    assert states(train, *words, **options) == [("done", "")]
    config.write_text(text.replace("embedding_dim: 16", "embedding_dim: 24"))
    changed = f"{config}: model.embedding_dim was 16, is 24"
    assert states(train, *words, **options) == [("stale", changed)]
    config.write_text(text)
    policy.write_text(CHAIN.replace("0.5", "0.6"))
    changed = f"{policy}: augmentation.chain[1].probability was 0.5, is 0.6"
    assert states(train, *words, **options) == [("stale", changed)]


def test_what_was_accepted_is_compared_with_afterwards(trained):
    words, options = trained
    config = words[2]
    text = config.read_text().replace("embedding_dim: 16", "embedding_dim: 24")
    config.write_text(text)
    states(train, *words, **options)
    MODE.collected[0].task.accept()
    config.write_text("# a comment\n" + text)
    assert states(train, *words, **options) == [("done", "")]


def test_an_unfinished_training_goes_on_with_another_spelling_of_its_augmentation(
    corpus, tmp_path, monkeypatch
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(CHAIN)
    config = variant(corpus, tmp_path, SHORT)
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    stop_after(1, monkeypatch, signal.SIGTERM)
    with pytest.raises(UserError, match="stopped"):
        train(*words, augmentation=policy, num_threads=1)
    monkeypatch.undo()
    policy.write_text(OTHER_SPELLING)
    config.write_text("# a comment\n" + config.read_text())
    assert train(*words, augmentation=policy, num_threads=1)["steps"] == 2


def test_an_earlier_phase_stays_done_where_a_default_is_spelt_out(corpus, tmp_path):
    config = variant(corpus, tmp_path, SHORT)
    phases = "phases:\n  - {name: one, optimizer: {name: sgd, learning_rate: 1}}\n  - {name: two}\n"
    text = config.read_text() + phases
    config.write_text(text)
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    train(*words, num_threads=1)
    config.write_text(text.replace("learning_rate: 1}", "momentum: 0.9, learning_rate: 1.0}"))
    assert states(train, *words, num_threads=1) == [("done", ""), ("done", "")]
    config.write_text(text.replace("learning_rate: 1}", "learning_rate: 2}"))
    assert states(train, *words, num_threads=1)[0] == (
        "stale",
        "option optimizer: optimizer.learning_rate was 1, is 2",
    )


def test_features_stay_done_where_a_default_is_spelt_out(corpus, tmp_path):
    from tests.steps.test_make_feats import packed_copy

    data = packed_copy(corpus / "dev", tmp_path / "data")
    config = tmp_path / "feats.yaml"
    config.write_text("name: kaldi_fbank\nnum_mel_bins: 23\n")
    make_feats(data, config)
    config.write_text("# low\n{num_mel_bins: 0x17, name: kaldi_fbank, dither: 0}\n")
    assert states(make_feats, data, config) == [("done", "")]
    config.write_text("name: kaldi_fbank\nnum_mel_bins: 24\n")
    assert states(make_feats, data, config) == [
        ("stale", "option front_end: num_mel_bins was 23, is 24")
    ]


def test_a_back_end_stays_done(tmp_path):
    vectors = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
    folder = tmp_path / "embeddings"
    with ArchiveWriter(folder / "xvector.1.ark", folder / "xvector.scp") as writer:
        for number, vector in enumerate(vectors):
            writer.write(f"s{number % 3}-{number:02}", vector)
    made = Task(folder, "collect_embeddings", format=1, inputs={}, options={})
    assert not made.is_done()
    made.finish([writer])
    config = tmp_path / "cosine.yaml"
    config.write_text("name: cosine\n")
    train_backend(folder, tmp_path / "backend", config=config)
    config.write_text("# the recipe's\n{subtract_mean: on, name: 'cosine'}\n")
    assert states(train_backend, folder, tmp_path / "backend", config=config) == [("done", "")]


def test_an_imported_network_stays_done(tmp_path):
    """Its YAML says what the file fits; `begun.json` keeps what it was imported with."""
    output, config = tmp_path / "exp", tmp_path / "ecapa.yaml"
    (tmp_path / "weights.pt").write_text("not read: the work is done")
    config.write_text("model: {name: deep_speaker, embedding_dim: 16}\n")
    words = {"kind": "deep_speaker", "rows": "features", "config": config}
    states(import_model, tmp_path / "weights.pt", output, **words)
    task = MODE.collected[0].task
    (output / "receipts").mkdir(parents=True)
    began = {"model": task.values["input config"].now()["model"]}
    (output / "begun.json").write_text(json.dumps({"config": began}))
    assert not task.is_done()
    task.finish([output / "begun.json"])
    without_values(output)
    config.write_text("# small\nmodel:\n  embedding_dim: 0x10\n  name: deep_speaker\n")
    assert states(import_model, tmp_path / "weights.pt", output, **words) == [("done", "")]
    config.write_text("model: {name: deep_speaker, embedding_dim: 24}\n")
    changed = f"{config}: model.embedding_dim was 16, is 24"
    assert states(import_model, tmp_path / "weights.pt", output, **words) == [("stale", changed)]


def test_values_that_nobody_recorded_leave_the_content_to_decide(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\n")

    def task(values):
        inputs = {"config": tmp_path / "x.yaml"}
        return Task(tmp_path, "x", format=1, inputs=inputs, options={}, values=values)

    first = task({})
    assert not first.is_done()
    first.finish([])
    (tmp_path / "x.yaml").write_text("a: 1  # one\n")
    values = {"input config": Values(now=lambda: {"a": 1})}
    assert task(values).status().reason == f"{tmp_path}/x.yaml changed"
    values = {"input config": Values(now=lambda: {"a": 1}, before=lambda _: {"a": 1.0})}
    assert task(values).status().state == "done"


def test_a_change_of_the_base_makes_what_was_trained_with_a_yaml_stale(corpus, tmp_path):
    full = variant(corpus, tmp_path, SHORT).rename(tmp_path / "full.yaml")
    text = full.read_text()
    config = tmp_path / "small.yaml"
    config.write_text("base: full.yaml\nmodel: {embedding_dim: 24}\n")
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    train(*words, num_threads=1)
    assert states(train, *words, num_threads=1) == [("done", "")]
    full.write_text(f"# a comment\n{text}".replace("crop_seconds: 0.5", "crop_seconds: 5.0e-1"))
    assert states(train, *words, num_threads=1) == [("done", "")]
    full.write_text(text.replace("embedding_dim: 16", "embedding_dim: 32"))
    assert states(train, *words, num_threads=1) == [("done", "")], "the YAML has its own"
    full.write_text(text.replace("crop_seconds: 0.5", "crop_seconds: 0.6"))
    changed = f"{config}: crops.crop_seconds was 0.5, is 0.6"
    assert states(train, *words, num_threads=1) == [("stale", changed)]


@pytest.mark.parametrize("of_before", [True, False])
def test_a_training_stays_done_where_its_yaml_gets_a_base(trained, of_before):
    words, options = trained
    config, output = words[2], words[3]
    if of_before:
        without_values(output)
    config.rename(config.with_name("full.yaml"))
    config.write_text("base: full.yaml\n")
    assert states(train, *words, **options) == [("done", "")]
    MODE.collected[0].task.accept()
    assert states(train, *words, **options) == [("done", "")]
    full = config.with_name("full.yaml").read_text()
    config.with_name("full.yaml").write_text(full.replace("crop_seconds: 0.5", "crop_seconds: 0.6"))
    assert states(train, *words, **options)[0][0] == "stale"
    config.write_text(full)
    assert states(train, *words, **options) == [("done", "")], "as before, without a base"


@pytest.mark.slow
def test_an_override_is_a_part_of_a_training_and_its_spelling_is_not(corpus, tmp_path):
    config = variant(corpus, tmp_path, SHORT)
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    train(*words, override="optimizer.learning_rate=1e-3,training.steps=1", num_threads=1)
    resolved = read_yaml(tmp_path / "exp" / "config.yaml")
    assert resolved["optimizer"]["learning_rate"] == 0.001
    assert resolved["training"]["steps"] == 1
    receipt = json.loads((tmp_path / "exp" / "receipts" / "train.json").read_text())
    assert receipt["counts"]["steps"] == 1
    assert receipt["values"]["input config"]["optimizer"]["learning_rate"] == 0.001
    same = "training.steps=1, optimizer.learning_rate=0.001"
    assert states(train, *words, override=same, num_threads=1) == [("done", "")]
    other = "training.steps=1,optimizer.learning_rate=0.002"
    ((state, reason),) = states(train, *words, override=other, num_threads=1)
    assert state == "stale"
    assert "learning_rate=0.002" in reason
    ((state, reason),) = states(train, *words, num_threads=1)
    assert (state, reason.partition(" was ")[0]) == ("stale", "option override")
