"""Test protocols through the steps, on the tiny corpus and on vectors made by hand."""

import json
import shutil

import kaldi_native_io
import numpy as np
import pytest
import torch
import yaml

from steps.collect_embeddings import collect_embeddings
from steps.evaluate import evaluate
from steps.extract import extract, load_network
from steps.score import score
from steps.train import train
from steps.train_backend import train_backend
from tests.speechlike import vowels
from utils.archive import ArchiveWriter, read_vectors
from utils.data_dir import read_map
from utils.embeddings.inference import open_packed
from utils.embeddings.protocols import read_protocol
from utils.embeddings.rows import read_embeddings
from utils.errors import UserError
from utils.evaluation.results import series_name
from utils.pretrained import weights_as_bytes, write_model
from utils.scoring.score_files import read_scores

CROPS = "name: crops\nnum_crops: 3\ncrop_seconds: 0.4\nkeep: rows\n"


@pytest.fixture(scope="module")
def experiment(corpus, tmp_path_factory):
    """A finished experiment of two steps."""
    output = tmp_path_factory.mktemp("experiment") / "exp"
    train(corpus / "train", corpus / "dev", corpus / "config.yaml", output, num_threads=1, steps=2)
    return output


@pytest.fixture
def crops(tmp_path):
    path = tmp_path / "crops_3x0.4s.yaml"
    path.write_text(CROPS)
    return str(path)


def embed(experiment, data, output, jobs=1, **options):
    for job in range(1, jobs + 1):
        extract(experiment, data, output, job=f"{job}/{jobs}", **options)
    return collect_embeddings(data, output, jobs=jobs)


def test_crops_become_rows_of_matrices_whatever_the_number_of_jobs(
    corpus, experiment, crops, tmp_path
):
    counts = embed(experiment, corpus / "dev", tmp_path / "one", protocol=crops)
    assert counts == {"utterances": 12, "speakers": 3, "dimension": 16, "rows": 3}
    embed(experiment, corpus / "dev", tmp_path / "three", jobs=3, protocol=crops)
    keys, one = read_embeddings(tmp_path / "one")
    _, three = read_embeddings(tmp_path / "three")
    assert one.shape == (12, 3, 16)
    largest = np.abs(one - three).max() / np.abs(one).max()
    print(f"largest difference between one job and three: {largest:.1e}")
    assert largest <= 1e-5
    network, _ = load_network(experiment, "average")
    _, reader = open_packed(corpus / "dev", 16000)
    for row, length in enumerate(reader.num_samples.tolist()):
        for crop in range(3):
            samples = np.resize(reader.read(row), max(length, 6400))
            start = (len(samples) - 6400) * crop // 2
            with torch.no_grad():
                alone = network(
                    torch.from_numpy(samples[start : start + 6400])[None], torch.tensor([6400])
                ).numpy()[0]
            assert one[row, crop] == pytest.approx(alone, rel=1e-4, abs=1e-5)
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{tmp_path}/one/xvector.scp") as matrices:
        theirs = {key: np.array(matrix) for key, matrix in matrices}
    assert list(theirs) == keys
    assert np.array_equal(np.stack(list(theirs.values())), one)
    speakers, means = read_vectors(tmp_path / "one" / "spk_xvector.scp")
    assert speakers == ["e", "f", "g"]
    assert means[0] == pytest.approx(one[:4].mean(axis=(0, 1)), rel=1e-5, abs=1e-6)


def test_a_protocol_has_a_folder_of_its_own_below_each_set_and_says_what_it_is(
    corpus, experiment, crops, tmp_path
):
    extract(experiment, corpus, tmp_path / "embeddings", sets=["dev"], protocol=crops)
    extract(experiment, corpus, tmp_path / "embeddings", sets=["dev"])
    for folder, facts in (
        ("dev/crops_3x0.4s", ("crops_3x0.4s", "a row for each of 3 evenly spaced crops of 0.4 s")),
        ("dev", ("whole", "whole utterances")),
    ):
        collect_embeddings(corpus / "dev", tmp_path / "embeddings" / folder)
        provenance = json.loads((tmp_path / "embeddings" / folder / "provenance.json").read_text())
        assert (provenance["protocol"], provenance["crops"]) == facts


def test_a_back_end_trained_on_crops_scores_whole_utterances_and_says_so(
    corpus, experiment, tmp_path, capsys
):
    """The commands that compare PLDA trained on whole utterances with PLDA trained on 2 s crops."""
    extract(experiment, corpus, tmp_path / "embeddings", sets=["train", "dev"])
    extract(experiment, corpus, tmp_path / "embeddings", sets=["train"], protocol="random_2s")
    (tmp_path / "plda.yaml").write_text(
        "name: plda\nlinks: [{name: mean}, {name: lda, dim: 3}, {name: length_norm}]\n"
    )
    collect_embeddings(corpus / "dev", tmp_path / "embeddings" / "dev")
    found = {}
    for name, folder in (("plda", "train"), ("plda_random_2s", "train/random_2s")):
        collect_embeddings(corpus / "train", tmp_path / "embeddings" / folder)
        backend, scores = (
            tmp_path / "backend" / name,
            tmp_path / "scores" / "dev" / f"{name}.scores",
        )
        train_backend(
            tmp_path / "embeddings" / folder,
            backend,
            config=tmp_path / "plda.yaml",
            utt2spk=corpus / "train" / "utt2spk",
        )
        capsys.readouterr()
        score(backend, tmp_path / "embeddings" / "dev", corpus / "dev" / "trials", scores)
        found[name] = capsys.readouterr().out, read_scores(scores)[2]
    assert found["plda"][0] == ""
    assert 'plda_random_2s was trained on "a random crop of 2 s", ' in found["plda_random_2s"][0]
    assert not np.allclose(found["plda"][1], found["plda_random_2s"][1])


def test_a_changed_protocol_is_not_taken_for_done(corpus, experiment, crops, tmp_path):
    extract(experiment, corpus / "dev", tmp_path / "dev", protocol=crops)
    made = (tmp_path / "dev" / "xvector.1.ark").stat().st_mtime_ns
    extract(experiment, corpus / "dev", tmp_path / "dev", protocol=crops)
    assert (tmp_path / "dev" / "xvector.1.ark").stat().st_mtime_ns == made
    (tmp_path / "crops_3x0.4s.yaml").write_text(CROPS.replace("num_crops: 3", "num_crops: 4"))
    with pytest.raises(UserError, match="stale: option num_crops was 3, is 4"):
        extract(experiment, corpus / "dev", tmp_path / "dev", protocol=crops)


def test_what_the_network_does_not_take_is_refused_before_anything_is_written(
    corpus, experiment, tmp_path
):
    (tmp_path / "short.yaml").write_text("name: crops\ncrop_samples: 100\n")
    with pytest.raises(
        UserError,
        match=(
            "protocol 'short' gives pieces of 100 samples, ThinResNet34GhostVlad takes .* or more"
        ),
    ):
        extract(experiment, corpus / "dev", tmp_path / "dev", protocol=str(tmp_path / "short.yaml"))
    assert not list((tmp_path / "dev").glob("xvector*"))


VECTORS = {"ann-1": [[1.0, 0], [0, 1]], "ann-2": [[1.0, 0], [1, 0]], "bob-1": [[0.0, -1], [-1, 0]]}
TRIALS = "ann-1 ann-2 target\nann-1 bob-1 nontarget\n"


def write_embeddings(folder, arrays, protocol):
    """Embeddings as steps.collect_embeddings leaves them."""
    with ArchiveWriter(folder / "xvector.ark", folder / "xvector.scp") as writer:
        for key, array in arrays.items():
            writer.write(key, np.asarray(array, np.float32))
    facts = {
        "model": "0f0f",
        "front_end": "Fbank",
        "sample_rate_hz": 16000,
        "crops": protocol,
        "protocol": protocol,
    }
    (folder / "provenance.json").write_text(json.dumps(facts))
    receipt = {
        "step": "collect_embeddings",
        "format": 1,
        "options": {},
        "inputs": {},
        "outputs": {},
        "counts": {},
        "seconds": 0,
        "core_seconds": 0,
    }
    (folder / "receipts").mkdir()
    (folder / "receipts" / "collect_embeddings.json").write_text(json.dumps(receipt))
    return folder


@pytest.fixture
def work(tmp_path):
    """Whole utterances, cut ones, and crops as rows; a list of trials; back ends without mean."""
    exp, data = tmp_path / "exp", tmp_path / "data" / "test"
    data.mkdir(parents=True)
    (data / "trials").write_text(TRIALS)
    (data / "utt2spk").write_text("ann-1 ann\nann-2 ann\nbob-1 bob\n")
    write_embeddings(
        exp / "embeddings" / "test", {key: rows[0] for key, rows in VECTORS.items()}, "whole"
    )
    write_embeddings(
        exp / "embeddings" / "test" / "centre_2s",
        {key: rows[1] for key, rows in VECTORS.items()},
        "centre_2s",
    )
    write_embeddings(exp / "embeddings" / "test" / "crops", VECTORS, "crops")
    for backend in ("cosine", "euclidean"):
        train_backend(
            exp / "embeddings" / "test",
            exp / "backend" / backend,
            backend=backend,
            subtract_mean=False,
        )
    return tmp_path


def scores_of(work, folder, backend="cosine", **options):
    exp, output = work / "exp", work / "exp" / "scores" / "test" / folder / f"{backend}.scores"
    score(
        exp / "backend" / backend,
        exp / "embeddings" / "test" / folder,
        work / "data" / "test" / "trials",
        output,
        **options,
    )
    return read_scores(output)[2]


def test_scores_of_matrices_by_hand(work):
    """ann-1 has rows (1, 0), (0, 1), ann-2 twice (1, 0), bob-1 (0, -1), (-1, 0)."""
    assert scores_of(work, "crops") == pytest.approx([0.5, -0.5])
    near, far = np.sqrt(2), 2.0
    assert scores_of(work, "crops", "euclidean") == pytest.approx([-near / 2, -(near + far) / 2])
    shutil.rmtree(work / "exp" / "scores")
    assert scores_of(work, "crops", compare="paired") == pytest.approx([0.5, 0.0])
    assert scores_of(work, "crops", "euclidean", compare="paired") == pytest.approx(
        [-near / 2, -near]
    )


def test_pairs_are_compared_as_the_protocol_says(work):
    facts = work / "exp" / "embeddings" / "test" / "crops" / "provenance.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"compare": "paired"}))
    assert scores_of(work, "crops") == pytest.approx([0.5, 0.0])
    shutil.rmtree(work / "exp" / "scores")
    assert scores_of(work, "crops", compare="all") == pytest.approx([0.5, -0.5])


def test_enrolment_may_be_whole_where_tests_are_cut(work, capsys):
    whole = work / "exp" / "embeddings" / "test"
    assert scores_of(work, "centre_2s", enrol_embeddings=whole) == pytest.approx(
        [1.0, -1.0]
    )  # (1, 0) against (1, 0) and (-1, 0)
    assert "crops: " in capsys.readouterr().out
    receipt = json.loads(
        (
            work / "exp" / "scores" / "test" / "centre_2s" / "receipts" / "score_cosine.json"
        ).read_text()
    )
    assert receipt["counts"]["protocol"] == "whole-centre_2s"
    shutil.rmtree(work / "exp" / "scores")
    assert scores_of(work, "centre_2s") == pytest.approx(
        [0.0, 0.0]
    )  # cut on both sides: (0, 1) against them


def test_results_name_the_protocol_of_each_score_file(work):
    scores_of(work, "")
    scores_of(work, "crops")
    scores_of(work, "centre_2s", enrol_embeddings=work / "exp" / "embeddings" / "test")
    evaluate(work / "exp", work / "data")
    rows = [
        row
        for row in json.loads((work / "exp" / "results.json").read_text())
        if row["subset"] == "all"
    ]
    assert [(row["protocol"], row["backend"]) for row in rows] == [
        ("whole", "cosine"),
        ("whole-centre_2s", "cosine"),
        ("crops", "cosine"),
    ]
    assert [series_name(row) for row in rows] == ["exp", "exp, whole-centre_2s", "exp, crops"]
    assert series_name(rows[2] | {"backend": "bvector"}) == "exp, bvector, crops"


def test_models_of_matrices_are_means_row_by_row(work):
    (work / "enroll.spk2utt").write_text("ann ann-1 ann-2\n")
    (work / "data" / "test" / "trials").write_text("ann ann-1\nann bob-1\n")
    half = np.sqrt(0.5)  # rows (1, 0), (0.5, 0.5)
    found = scores_of(work, "crops", enroll_spk2utt=work / "enroll.spk2utt", compare="paired")
    assert found == pytest.approx([(1 + half) / 2, -half / 2])


def test_vectors_are_not_compared_with_matrices_nor_other_networks(work):
    embeddings = work / "exp" / "embeddings" / "test"
    with pytest.raises(
        UserError,
        match=(
            "matrices of 2 x 2, those of .*centre_2s/xvector.scp are vectors of 2 "
            "dimensions; embed both sides with the same network"
        ),
    ):
        scores_of(work, "centre_2s", enrol_embeddings=embeddings / "crops")
    facts = json.loads((embeddings / "crops" / "provenance.json").read_text())
    (embeddings / "crops" / "provenance.json").write_text(json.dumps(facts | {"model": "eeee"}))
    with pytest.raises(UserError, match='model is "eeee"'):
        scores_of(work, "crops")


def test_a_side_without_embedding_is_named_with_the_folder_where_it_should_be(work):
    embeddings = work / "exp" / "embeddings" / "test"
    shutil.rmtree(embeddings / "centre_2s")
    write_embeddings(embeddings / "centre_2s", {"ann-2": [1, 0], "bob-1": [0, 1]}, "centre_2s")
    assert len(scores_of(work, "centre_2s", enrol_embeddings=embeddings)) == 2
    shutil.rmtree(work / "exp" / "scores")
    with pytest.raises(
        UserError,
        match=(
            "trials:1: enrolment side 'ann-1' of trial 'ann-1 ann-2' has no embedding in "
            ".*centre_2s; 2 of 2"
        ),
    ):
        scores_of(work, "centre_2s")


PREPARED = """name: feature_windows
window_frames: 40
step_frames: 20
preparation: {level_dbfs: -20, vad: {name: resemblyzer}}
"""


@pytest.fixture
def prepared(tmp_path):
    path = tmp_path / "prepared.yaml"
    path.write_text(PREPARED)
    return str(path)


def test_audio_is_prepared_whatever_the_number_of_jobs_and_the_provenance_says_so(
    corpus, experiment, prepared, tmp_path
):
    embed(experiment, corpus / "dev", tmp_path / "one", protocol=prepared)
    embed(experiment, corpus / "dev", tmp_path / "three", jobs=3, protocol=prepared)
    _, one = read_vectors(tmp_path / "one" / "xvector.scp")
    _, three = read_vectors(tmp_path / "three" / "xvector.scp")
    assert np.abs(one - three).max() <= 1e-5 * np.abs(one).max()
    provenance = json.loads((tmp_path / "one" / "provenance.json").read_text())
    assert provenance["protocol"] == "prepared"
    assert provenance["crops"] == (
        "mean over windows of 40 frames every 20; utterances raised to -20 dBFS if quieter and "
        "trimmed by the VAD 'resemblyzer' (training crops are not)"
    )


def test_silence_is_refused_by_name_and_nothing_is_written(corpus, experiment, prepared, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(corpus / "dev", data)
    num_samples = read_map(data / "utt2num_samples")
    with ArchiveWriter(data / "packed.1.ark", data / "wav.scp") as writer:
        for key, number in num_samples.items():
            samples = np.int16(8000 * vowels(int(number) / 16000))[: int(number)]
            if key == "f-2":
                samples[:] = 0
            writer.write_wave(key, samples, 16000)
    with pytest.raises(UserError, match="^utterance 'f-2': no speech was found, expected some"):
        extract(experiment, data, tmp_path / "embeddings", protocol=prepared)
    assert not list((tmp_path / "embeddings").glob("xvector*"))


def test_a_model_folder_is_tested_by_the_protocol_that_it_names(
    corpus, experiment, prepared, tmp_path
):
    network, facts = load_network(experiment, "average")
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    _, options = read_protocol(prepared)
    trained_on = {"description": "some", "speakers": ["f0" * 8], "may_have_heard": []}
    contents = {
        "config.yaml": (experiment / "config.yaml").read_bytes(),
        "weights.safetensors": weights_as_bytes(arrays),
        "provenance.json": json.dumps(facts | {"training_data": trained_on}).encode(),
        "protocol.yaml": yaml.safe_dump(options).encode(),
    }
    model = write_model(tmp_path / "model", contents).folder
    embed(model, corpus / "dev", tmp_path / "model_dev")
    embed(experiment, corpus / "dev", tmp_path / "dev", protocol=prepared)
    provenance = [
        json.loads((tmp_path / name / "provenance.json").read_text())
        for name in ("model_dev", "dev")
    ]
    assert provenance[0]["protocol"] == provenance[1]["protocol"] == "prepared"
    assert provenance[0]["crops"] == provenance[1]["crops"]
    assert provenance[0]["training_data"] == {"speakers": ["f0" * 8], "may_have_heard": []}
    assert "training_data" not in provenance[1]
    vectors = [read_vectors(tmp_path / name / "xvector.scp")[1] for name in ("model_dev", "dev")]
    assert np.array_equal(*vectors)
    embed(model, corpus / "dev", tmp_path / "whole", protocol="whole")
    provenance = json.loads((tmp_path / "whole" / "provenance.json").read_text())
    assert provenance["crops"] == "whole utterances"
