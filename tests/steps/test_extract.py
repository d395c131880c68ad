"""Extraction on the tiny corpus: any number of jobs, Kaldi readers, provenance."""

import json
import os
import shutil

import kaldi_native_io
import numpy as np
import pytest
import torch

from steps.collect_embeddings import collect_embeddings
from steps.extract import extract, load_network
from steps.train import train
from tests.training_runs import variant
from utils.archive import read_vectors
from utils.data_dir import read_map
from utils.embeddings.inference import open_packed
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint, save_checkpoint, weights_digest


@pytest.fixture(scope="module")
def experiment(corpus, tmp_path_factory):
    """A finished experiment of four steps."""
    output = tmp_path_factory.mktemp("experiment") / "exp"
    train(corpus / "train", corpus / "dev", corpus / "config.yaml", output, num_threads=1, steps=4)
    return output


def embed(experiment, data, output, jobs=1, **options):
    for job in range(1, jobs + 1):
        extract(experiment, data, output, job=f"{job}/{jobs}", **options)
    return collect_embeddings(data, output, jobs=jobs)


def unit(embeddings):
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def embedded(corpus, experiment, tmp_path_factory):
    """Embeddings of the dev set, by one job."""
    output = tmp_path_factory.mktemp("embeddings") / "dev"
    assert embed(experiment, corpus / "dev", output) == {
        "utterances": 12,
        "speakers": 3,
        "dimension": 16,
    }
    return output


def test_three_jobs_give_the_vectors_of_one(corpus, experiment, embedded, tmp_path):
    assert embed(experiment, corpus / "dev", tmp_path / "dev", jobs=3) == {
        "utterances": 12,
        "speakers": 3,
        "dimension": 16,
    }
    keys, one = read_vectors(embedded / "xvector.scp")
    other_keys, other = read_vectors(tmp_path / "dev" / "xvector.scp")
    assert keys == other_keys == sorted(read_map(corpus / "dev" / "utt2spk"))
    largest = np.abs(unit(one) - unit(other)).max()
    print(f"largest difference between one job and three: {largest:.1e}")
    assert largest <= 1e-5
    assert np.abs(unit(one)[0] - unit(one)[1:]).max(axis=1).min() > 1e-4, (
        "embeddings that differ at all"
    )
    assert sorted(path.name for path in (tmp_path / "dev").glob("xvector.*.ark")) == [
        "xvector.1.ark",
        "xvector.2.ark",
        "xvector.3.ark",
    ]
    assert (tmp_path / "dev" / "provenance.json").read_bytes() == (
        embedded / "provenance.json"
    ).read_bytes()
    assert (tmp_path / "dev" / "num_utts.ark").read_bytes() == (
        embedded / "num_utts.ark"
    ).read_bytes()


def test_the_same_command_gives_the_same_bytes(corpus, experiment, embedded, tmp_path):
    embed(experiment, corpus / "dev", tmp_path / "dev")
    for path in embedded.glob("*.ark"):
        assert path.read_bytes() == (tmp_path / "dev" / path.name).read_bytes(), path.name


def test_a_vector_is_the_networks_for_that_utterance(corpus, experiment, embedded):
    network, _ = load_network(experiment, "average")
    keys, reader = open_packed(corpus / "dev", 16000)
    _, embeddings = read_vectors(embedded / "xvector.scp")
    for row in (0, 7):
        with torch.no_grad():
            alone = network(
                torch.from_numpy(reader.read(row))[None],
                torch.tensor([int(reader.num_samples[row])]),
            ).numpy()
        assert np.abs(unit(alone) - unit(embeddings[row : row + 1])).max() <= 1e-5, keys[row]


def test_another_reader_of_kaldi_files_reads_all_of_them(corpus, embedded):
    keys, embeddings = read_vectors(embedded / "xvector.scp")
    with kaldi_native_io.SequentialFloatVectorReader(f"scp:{embedded}/xvector.scp") as vectors:
        theirs = {key: np.array(vector) for key, vector in vectors}
    assert list(theirs) == keys
    assert np.array_equal(np.stack(list(theirs.values())), embeddings)
    speakers = {
        key: [row for row, utterance in enumerate(keys) if utterance[0] == key] for key in "efg"
    }
    with kaldi_native_io.SequentialFloatVectorReader(f"scp:{embedded}/spk_xvector.scp") as vectors:
        means = {key: np.array(vector) for key, vector in vectors}
    assert list(means) == list(speakers)
    for speaker, rows in speakers.items():
        assert means[speaker] == pytest.approx(embeddings[rows].mean(axis=0), rel=1e-5, abs=1e-6)
    with kaldi_native_io.SequentialInt32Reader(f"ark:{embedded}/num_utts.ark") as counts:
        assert dict(counts) == {"e": 4, "f": 4, "g": 4}


def test_provenance_names_the_model_and_how_the_audio_was_treated(
    corpus, experiment, embedded, tmp_path
):
    facts = json.loads((embedded / "provenance.json").read_text())
    weights = load_checkpoint(experiment / "checkpoints" / "average.pt")["network"]
    assert facts == {
        "model": weights_digest(weights),
        "network": "ghostvlad",
        "sample_rate_hz": 16000,
        "crops": "whole utterances",
        "protocol": "whole",
        "training_precision": "fp32",
        "front_end": "Spectrogram(257 features, 16000 Hz, window 400, hop 160, "
        "normalisation frame)",
        "augmentation": "none",
        "vad": "unknown",
    }
    embed(experiment, corpus / "dev", tmp_path / "untrained", checkpoint="step-0000000")
    untrained = json.loads((tmp_path / "untrained" / "provenance.json").read_text())
    assert untrained["model"] != facts["model"]
    assert untrained | {"model": facts["model"]} == facts
    assert str(tmp_path) not in json.dumps(facts)


@pytest.mark.parametrize(("trim", "vad"), [(True, "trimmed when packed"), (False, "none")])
def test_provenance_tells_whether_packing_trimmed(corpus, experiment, tmp_path, trim, vad):
    data = shutil.copytree(corpus / "dev", tmp_path / "dev")
    (data / "receipts").mkdir()
    receipt = {
        "step": "pack_audio",
        "format": 1,
        "options": {"trim": trim},
        "inputs": {},
        "outputs": {},
        "counts": {},
        "seconds": 0,
        "core_seconds": 0,
    }
    (data / "receipts" / "pack_audio.1of1.json").write_text(json.dumps(receipt))
    embed(experiment, data, tmp_path / "embeddings")
    assert json.loads((tmp_path / "embeddings" / "provenance.json").read_text())["vad"] == vad


def test_an_unfinished_experiment_is_refused(corpus, experiment, tmp_path):
    unfinished = shutil.copytree(experiment, tmp_path / "exp")
    (unfinished / "receipts" / "train.json").unlink()
    with pytest.raises(
        UserError, match="extract: .*train.json is missing: the step that makes it has not finished"
    ):
        extract(unfinished, corpus / "dev", tmp_path / "dev")
    assert not (tmp_path / "dev").exists()


def test_missing_parts_are_refused(corpus, experiment, tmp_path):
    extract(experiment, corpus / "dev", tmp_path / "dev", job="1/2")
    with pytest.raises(UserError, match="extract.2of2.json is missing"):
        collect_embeddings(corpus / "dev", tmp_path / "dev", jobs=2)
    assert not (tmp_path / "dev" / "xvector.scp").exists()


def test_a_checkpoint_that_is_not_there_or_does_not_fit_is_named(corpus, experiment, tmp_path):
    with pytest.raises(UserError, match="step-0000099.pt: no such checkpoint"):
        extract(experiment, corpus / "dev", tmp_path / "dev", checkpoint="step-0000099")
    other = tmp_path / "other"
    config = variant(corpus, tmp_path, ("embedding_dim: 16", "embedding_dim: 24"))
    train(corpus / "train", corpus / "dev", config, other, num_threads=1, steps=1)
    save_checkpoint(
        other / "checkpoints" / "foreign.pt",
        load_checkpoint(experiment / "checkpoints" / "average.pt"),
    )
    with pytest.raises(
        UserError,
        match=r"foreign.pt: does not fit .*other/config.yaml: size mismatch for embedding.weight",
    ):
        extract(other, corpus / "dev", tmp_path / "dev", checkpoint="foreign")


def test_audio_at_another_rate_is_refused(corpus, experiment, tmp_path):
    data = shutil.copytree(corpus / "dev", tmp_path / "dev")
    text = bytearray((data / "packed.1.ark").read_bytes())
    for start in (int(entry.rpartition(":")[2]) for entry in read_map(data / "wav.scp").values()):
        text[start + 24 : start + 28] = (8000).to_bytes(4, "little")
    (data / "packed.1.ark").write_bytes(text)
    (data / "wav.scp").write_text(
        (data / "wav.scp").read_text().replace(str(corpus / "dev"), str(data))
    )
    with pytest.raises(UserError, match="packed at 8000 Hz, the network takes 16000 Hz"):
        extract(experiment, data, tmp_path / "embeddings")


def test_embeddings_that_are_not_finite_are_refused(corpus, experiment, tmp_path):
    broken = shutil.copytree(experiment, tmp_path / "exp")
    state = load_checkpoint(broken / "checkpoints" / "average.pt")
    state["network"]["embedding.bias"][3] = float("nan")
    os.remove(broken / "checkpoints" / "average.pt")
    save_checkpoint(broken / "checkpoints" / "average.pt", state)
    with pytest.raises(UserError, match="e-0"):
        embed(broken, corpus / "dev", tmp_path / "dev")
    assert not (tmp_path / "dev" / "receipts" / "collect_embeddings.json").exists()
