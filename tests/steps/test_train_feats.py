"""Training and extraction from a feats.scp equal those from audio; faults are one line."""

import json
import shutil
import signal
from pathlib import Path

import kaldi_native_io
import numpy as np
import pytest
import yaml

from steps.collect_embeddings import collect_embeddings
from steps.collect_feats import collect_feats
from steps.extract import extract
from steps.make_feats import make_feats
from steps.train import train
from tests.training_runs import assert_same_end, history, num_parameters, stop_after
from tests.voices import CONFIG
from utils.archive import ArchiveWriter, iterate_scp, read_vectors
from utils.data_dir import read_map
from utils.embeddings.inputs import open_inputs
from utils.errors import UserError
from utils.features.registry import make_front_end
from utils.training.sampling import CropDataset, NoAugmentation

FBANK = {"name": "kaldi_fbank", "num_mel_bins": 40, "high_freq_hz": -400, "snip_edges": False}
PRECOMPUTED = {
    "name": "precomputed",
    "num_bins": 40,
    "description": "fbank of 40 filters, not snipped",
    "normalisation": "utterance_mean",
}


def config(folder, name="feats.yaml", front_end=None, **sections):
    """The tiny YAML, fed from features."""
    written = yaml.safe_load(CONFIG.replace("1e-2", "0.01").replace("1e-4", "0.0001")) | sections
    written["model"] |= {"front_end": PRECOMPUTED | (front_end or {}), "last_max_pooling": False}
    if "augmentation" not in sections:
        del written["augmentation"]
    path = folder / name
    path.write_text(yaml.safe_dump(written))
    return path


@pytest.fixture(scope="module")
def featured(corpus, tmp_path_factory):
    """The tiny corpus with feats.scp, and vad.scp with silence in the first fifth of utterances."""
    folder = tmp_path_factory.mktemp("featured")
    (folder / "fbank40.yaml").write_text(yaml.safe_dump(FBANK))
    for name in ("train", "dev"):
        data = shutil.copytree(corpus / name, folder / name)
        make_feats(data, folder / "fbank40.yaml")
        collect_feats(data)
        with ArchiveWriter(data / "vad.ark", data / "vad.scp") as writer:
            for key, number in read_map(data / "utt2num_frames").items():
                writer.write(key, (np.arange(int(number)) >= int(number) // 5).astype(np.float32))
    return folder


def train_on(featured, output, yaml_path, **options):
    return train(featured / "train", featured / "dev", yaml_path, output, num_threads=1, **options)


@pytest.fixture(scope="module")
def experiment(featured, tmp_path_factory):
    """A finished experiment fed from features."""
    output = tmp_path_factory.mktemp("experiment") / "exp"
    counts = train_on(featured, output, config(featured))
    assert counts == {
        "steps": 40,
        "draws": 240,
        "classes": 4,
        "utterances": 32,
        "processes": 1,
        "device": "cpu",
        "parameters": num_parameters(output),
    }
    return output


def embed(experiment, data, output, jobs=1, **options):
    for job in range(1, jobs + 1):
        extract(experiment, data, output, job=f"{job}/{jobs}", **options)
    collect_embeddings(data, output, jobs=jobs)
    vectors = read_vectors(output / "xvector.scp")[1]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_it_learns(experiment):
    losses = [entry["loss"] for entry in history(experiment) if "loss" in entry]
    print(f"loss {losses[0]:.2f} -> {np.mean(losses[-5:]):.2f}")
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(featured, experiment, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(17, patch, signal.SIGTERM)
        with pytest.raises(UserError, match="stopped by SIGTERM after step 17; the state is saved"):
            train_on(featured, tmp_path / "exp", config(featured))
    train_on(featured, tmp_path / "exp", config(featured))
    assert_same_end(experiment, tmp_path / "exp")


def test_workers_change_nothing(featured, experiment, tmp_path):
    train_on(featured, tmp_path / "exp", config(featured), num_workers=2)
    assert_same_end(experiment, tmp_path / "exp")


def test_crops_are_stretches_of_the_stored_features_and_short_ones_are_repeated(featured):
    keys, reader = open_inputs(featured / "train", make_front_end(PRECOMPUTED))
    stored = dict(iterate_scp(featured / "train" / "feats.scp"))
    assert keys == list(stored) == list(read_map(featured / "train" / "utt2spk"))
    dataset = CropDataset(reader, range(len(keys)), 60, NoAugmentation(), seed=3)
    lengths = []
    for draw in range(len(keys)):
        crop, label, _ = dataset[draw][:3]
        whole = stored[keys[label]]
        lengths.append(len(whole))
        repeated = np.concatenate([whole, whole, whole]) if len(whole) < 60 else whole
        assert crop.shape == (60, 40)
        assert any(
            np.array_equal(crop, repeated[start : start + 60])
            for start in range(1 if len(whole) < 60 else len(whole) - 59)
        ), keys[label]
    assert min(lengths) < 60 < max(lengths)


def test_embeddings_from_features_are_those_from_audio_with_the_same_front_end(
    featured, experiment, tmp_path
):
    twin = shutil.copytree(experiment, tmp_path / "exp")
    written = yaml.safe_load((twin / "config.yaml").read_text())
    written["model"]["front_end"] = FBANK | {"normalisation": "utterance_mean"}
    (twin / "config.yaml").write_text(yaml.safe_dump(written))
    from_features = embed(experiment, featured / "dev", tmp_path / "features")
    from_audio = embed(twin, featured / "dev", tmp_path / "audio")
    print(f"largest difference {np.abs(from_features - from_audio).max():.1e}")
    assert np.abs(from_features - from_audio).max() <= 1e-4
    assert np.abs(from_features[0] - from_features[1:]).max(axis=1).min() > 1e-3, (
        "embeddings that differ at all"
    )


def test_neither_jobs_nor_batch_mates_matter(featured, experiment, tmp_path, monkeypatch):
    together = embed(experiment, featured / "dev", tmp_path / "one")
    three = embed(experiment, featured / "dev", tmp_path / "three", jobs=3)
    monkeypatch.setattr("utils.embeddings.inference.BATCH_SECONDS", 0.01)
    alone = embed(experiment, featured / "dev", tmp_path / "alone")
    assert max(np.abs(together - alone).max(), np.abs(together - three).max()) <= 1e-5
    assert (tmp_path / "three" / "provenance.json").read_bytes() == (
        tmp_path / "one" / "provenance.json"
    ).read_bytes()


def test_provenance_states_the_declared_front_end_and_what_made_the_features(
    featured, experiment, tmp_path
):
    embed(experiment, featured / "dev", tmp_path / "dev")
    facts = json.loads((tmp_path / "dev" / "provenance.json").read_text())
    assert facts["front_end"] == (
        "Precomputed(40 features, 100 frames per second, fbank of 40 filters, not snipped, "
        "normalisation utterance_mean)"
    )
    assert facts["sample_rate_hz"] == 100
    assert facts["features"] == json.loads((featured / "dev" / "feats.json").read_text())
    assert facts["features"]["front_end"]["num_mel_bins"] == 40
    assert str(featured) not in json.dumps(facts)


def kaldis(data, folder, compressed=True):
    """A data directory as in Kaldi: archives of features, no audio, relative paths."""
    folder.mkdir()
    for name in ("utt2spk", "spk2utt", "trials", "utt2num_frames", "vad.scp"):
        if (data / name).exists():
            shutil.copy(data / name, folder / name)
    writer = (
        kaldi_native_io.CompressedMatrixWriter if compressed else kaldi_native_io.FloatMatrixWriter
    )
    with writer(f"ark,scp:{folder}/raw_fbank.ark,{folder}/feats.scp") as archive:
        for key, matrix in iterate_scp(data / "feats.scp"):
            if compressed:
                archive.write(key, matrix, kaldi_native_io.CompressionMethod.kAutomaticMethod)
            else:
                archive.write(key, matrix)
    (folder / "feats.scp").write_text((folder / "feats.scp").read_text().replace(f"{folder}/", ""))
    return folder


def test_a_directory_from_kaldi_without_audio_is_trained_on_and_embedded(
    featured, experiment, tmp_path
):
    for name in ("train", "dev"):
        kaldis(featured / name, tmp_path / name, compressed=False)
    for name in ("train", "dev"):  # one root for both: where Kaldi ran
        text = (tmp_path / name / "feats.scp").read_text()
        (tmp_path / name / "feats.scp").write_text(text.replace(" raw_fbank", f" {name}/raw_fbank"))
    train(
        tmp_path / "train",
        tmp_path / "dev",
        config(featured),
        tmp_path / "exp",
        num_threads=1,
        root=tmp_path,
    )
    ours, theirs = history(experiment), history(tmp_path / "exp")
    assert [entry.get("loss") for entry in ours] == pytest.approx(
        [entry.get("loss") for entry in theirs]
    )
    found = embed(tmp_path / "exp", tmp_path / "dev", tmp_path / "embeddings", root=tmp_path)
    assert np.abs(found - embed(experiment, featured / "dev", tmp_path / "ours")).max() <= 1e-5
    facts = json.loads((tmp_path / "embeddings" / "provenance.json").read_text())
    assert "features" not in facts
    assert facts["vad"] == "unknown"


def test_compressed_features_give_nearly_the_same_embeddings(featured, experiment, tmp_path):
    data = kaldis(featured / "dev", tmp_path / "dev")
    plain = embed(experiment, featured / "dev", tmp_path / "plain")
    small = embed(experiment, data, tmp_path / "small", root=data)
    cosines = (plain * small).sum(axis=1)
    print(f"cosines from {cosines.min():.6f}")
    assert cosines.min() > 0.99


def test_frames_of_speech_alone_are_trained_on_and_embedded(featured, tmp_path):
    output = tmp_path / "exp"
    train_on(
        featured,
        output,
        config(featured, "voiced.yaml", front_end={"select_voiced": True}),
        steps=2,
    )
    vectors = embed(output, featured / "dev", tmp_path / "dev")
    facts = json.loads((tmp_path / "dev" / "provenance.json").read_text())
    assert facts["vad"] == "frames of speech selected from the features"
    assert "100 frames of speech per second" in facts["front_end"]
    data = Path(shutil.copytree(featured / "dev", tmp_path / "cut"))
    (data / "utt2num_frames").unlink()
    (data / "feats.scp").unlink()
    with (
        ArchiveWriter(data / "cut.ark", data / "feats.scp") as writer,
        ArchiveWriter(data / "all.ark", data / "vad.scp") as vad,
    ):
        for key, matrix in iterate_scp(featured / "dev" / "feats.scp"):
            writer.write(key, matrix[len(matrix) // 5 :])
            vad.write(key, np.ones(len(matrix) - len(matrix) // 5, np.float32))
    shutil.rmtree(data / "feats")
    assert np.abs(embed(output, data, tmp_path / "selected") - vectors).max() <= 1e-6


def changed_list(data, name, change):
    lines = (data / name).read_text().splitlines()
    (data / name).unlink()
    (data / name).write_text("\n".join(change(lines)) + "\n")


SPOILED = [
    (lambda data: (data / "feats.scp").unlink(), r"feats.scp.* missing"),
    (
        lambda data: (data / "frame_shift").write_text("0.0125\n"),
        r"frame_shift: a frame every 0.0125 s, .* declares 100 frames per second",
    ),
    (
        lambda data: (data / "frame_shift").write_text("10 ms\n"),
        r"frame_shift: expected the distance of frames in seconds",
    ),
    (
        lambda data: changed_list(data, "feats.scp", lambda lines: lines[1:]),
        (
            r"1 utterances are in feats.scp or in utt2spk only; the first, 'e-0', "
            r"is not in feats.scp; make a data directory of those with features: "
            r"python -m utils.data_dir subset"
        ),
    ),
    (
        lambda data: changed_list(data, "utt2num_frames", lambda lines: ["e-0 7", *lines[1:]]),
        r"utt2num_frames: 'e-0' has 7 frames, expected the \d+ of",
    ),
    (
        lambda data: (data / "feats.json").write_text(
            (data / "feats.json").read_text().replace('"snip_edges": false', '"snip_edges": true')
        ),
        r"feats.json: .* has other features: snip_edges was false, is true",
    ),
    (lambda data: (data / "feats.json").write_text("[]"), r"feats.json: not a JSON object"),
]


@pytest.mark.parametrize(
    ("spoil", "found"), SPOILED, ids=lambda value: value[:20] if isinstance(value, str) else ""
)
def test_a_data_directory_that_does_not_fit_is_refused(
    featured, experiment, tmp_path, spoil, found
):
    data = Path(shutil.copytree(featured / "dev", tmp_path / "dev"))
    spoil(data)
    for work in (
        lambda: extract(experiment, data, tmp_path / "embeddings"),
        lambda: train(featured / "train", data, config(featured), tmp_path / "exp", num_threads=1),
    ):
        with pytest.raises(UserError, match=found) as error:
            work()
        assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "exp" / "checkpoints").exists()


def test_features_of_another_dimension_are_refused(featured, tmp_path):
    with pytest.raises(
        UserError,
        match=r"found \d+ frames of 40 features, "
        r"expected frames of 80 \(num_bins of the front end\)",
    ):
        train_on(
            featured, tmp_path / "exp", config(featured, "other.yaml", front_end={"num_bins": 80})
        )


def test_missing_decisions_are_refused(featured, tmp_path):
    data = Path(shutil.copytree(featured / "train", tmp_path / "train"))
    (data / "vad.scp").unlink()
    with pytest.raises(UserError, match=r"vad.scp: missing; select_voiced needs it"):
        train(
            data,
            featured / "dev",
            config(featured, "voiced.yaml", front_end={"select_voiced": True}),
            tmp_path / "exp",
            num_threads=1,
        )


def test_augmentation_of_waveforms_is_refused_before_anything_is_opened(
    featured, tmp_path, monkeypatch
):
    monkeypatch.setattr("steps.train.assemble", None)
    with pytest.raises(
        UserError,
        match=r"augmented.yaml: augmentation: it is for waveforms, "
        "and this network reads feats.scp",
    ):
        train_on(
            featured,
            tmp_path / "exp",
            config(featured, "augmented.yaml", augmentation={"speed_factors": [1.0, 1.1]}),
        )


def test_a_network_for_audio_keeps_to_packed_audio(corpus, featured, tmp_path):
    """feats.scp in the directory changes nothing for it."""
    for name, data in (("plain", corpus), ("featured", featured)):
        train(
            data / "train",
            data / "dev",
            corpus / "config.yaml",
            tmp_path / name,
            num_threads=1,
            steps=2,
        )
    assert_same_end(tmp_path / "plain", tmp_path / "featured")
