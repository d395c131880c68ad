"""The recipe own with --model: nothing is trained, all are tested; what it learns, and refuses."""

import json

import numpy as np
import pytest
import yaml

from steps.models import MODELS
from tests.lookalike.own import make_kaldi, make_tree
from tests.models_for_tests import make_model
from tests.recipes.runs import last_line, run
from tests.voices import CONFIG
from utils.archive import ArchiveWriter
from utils.config import build
from utils.data_dir import read_map
from utils.pretrained import weights_as_bytes, write_model

pytestmark = pytest.mark.slow
SPEAKERS = [f"speaker {number}" for number in range(8)]
QUICK = ("--vad", "conf/vad/energy.yaml")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "tiny").folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("corpus") / "mine", SPEAKERS, ("mo",), 3)


def rows_of(work, experiment):
    return json.loads((work / "exp" / experiment / "results.json").read_text())


@pytest.fixture(scope="module")
def tested(model, corpus, tmp_path_factory):
    """The workdir of a run with all speakers in test, and what it printed."""
    work = tmp_path_factory.mktemp("work")
    return work, run("own", "--corpus", corpus, "--model", model, "--workdir", work, *QUICK)


def test_a_model_folder_is_tested_on_all_speakers_and_nothing_is_trained(tested):
    """Eight speakers of three utterances: three target trials each."""
    work, text = tested
    assert "== stage 3: train the network: left out, --model is trained" in text
    assert "== stage 5: train the back end: none, plain cosine" in text
    (row,) = [row for row in rows_of(work, "tiny-mine-energy-all") if row["subset"] == "all"]
    assert (row["test_set"], row["backend"], row["targets"]) == ("test", "plain_cosine", 24)
    assert not (work / "exp" / "tiny-mine-energy-all" / "checkpoints").exists()
    sets = [path.parent.name for path in (work / "data" / "mine-energy-all").glob("*/utt2spk")]
    assert sets == ["test"]


def test_what_is_done_stays_done_and_the_dry_run_says_what_is_left_out(
    tested, model, corpus, tmp_path
):
    words = ["--corpus", corpus, "--model", model, *QUICK]
    assert "nothing to do" in run("own", *words, "--workdir", tested[0])
    preview = run("own", *words, "--workdir", tmp_path, "--dry-run")
    assert "recommended for 8 speakers" in preview
    assert "3  train the network: left out, --model is trained" in preview


def test_a_back_end_and_a_norm_are_learned_from_speakers_that_are_not_tested(
    model, corpus, tmp_path
):
    words = ["--corpus", corpus, "--model", model, "--workdir", tmp_path, *QUICK]
    run("own", *words, "--backend", "conf/backends/cosine.yaml", "--score-norm", "s_norm")
    rows = rows_of(tmp_path, "tiny-mine-energy")
    assert {row["backend"] for row in rows} == {"cosine", "cosine_s_norm"}
    assert {row["test_set"] for row in rows} == {"dev", "test"}
    assert not any(row["watermarks"] for row in rows)


def test_trials_name_files_and_a_model_folder_brings_its_back_end(tested, corpus, tmp_path):
    backend = tested[0] / "exp" / "tiny-mine-energy-all" / "backend" / "plain_cosine"
    files = {
        f"backend/{path.relative_to(backend)}": path
        for path in backend.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    packaged = make_model(tmp_path / "packaged", more=files).folder
    trials = tmp_path / "pairs.txt"
    trials.write_text(
        "speaker 1/mo/0.wav\tspeaker 1/mo/1.wav\ttarget\n"
        f"speaker 1/mo/0.wav\t{corpus}/speaker 2/mo/1.wav\tnontarget\n"
    )
    text = run(
        "own",
        "--corpus",
        corpus,
        "--model",
        packaged,
        "--trials",
        trials,
        "--workdir",
        tmp_path,
        *QUICK,
    )
    assert "== stage 5: train the back end: left out, trained already" in text
    scores = tmp_path / "exp" / "packaged-mine-energy-pairs.txt-all" / "scores" / "test"
    lines = (scores / "backend.scores").read_text().splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == [
        "speaker_1-mo-0 speaker_1-mo-1",
        "speaker_1-mo-0 speaker_2-mo-1",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "."], "no config.yaml in it"),
        (["--model", "camplus"], "or one of campplus, ecapa, resemblyzer"),
        (["--steps", "3"], "no network is trained here"),
        (["--processes", "2"], "no network is trained here"),
        (["--simulate-rooms"], "no network is trained here"),
        (["--config", "conf/ecapa_512.yaml"], "no network is trained here"),
        (["--sample-rate-hz", "8000"], "takes 16000 Hz; leave the option out"),
        (["--test-share", "0.5"], "all speakers are tested"),
        (["--trials", "README.md", "--sessions", "across"], "--trials has them"),
    ],
)
def test_what_makes_no_sense_with_a_model_is_refused_at_once(model, tmp_path, options, message):
    words = ["--corpus", tmp_path, "--workdir", tmp_path / "out"]
    if "--model" not in options:
        words += ["--model", model]
    assert message in run("own", *words, *options, code=2)
    assert not (tmp_path / "out").exists()


def test_the_plan_of_a_published_name_fetches_it_first(corpus, tmp_path):
    text = run(
        "own",
        "--corpus",
        corpus,
        "--model",
        "resemblyzer",
        "--workdir",
        tmp_path,
        "--dry-run",
        "--verbose",
    )
    assert "steps.fetch_pretrained resemblyzer models/resemblyzer" in text
    assert "steps.extract models/resemblyzer " in text


def make_features(corpus, folder):
    """Put random features of 20 bins in the place of a Kaldi directory's audio."""
    random = np.random.default_rng(1)
    with ArchiveWriter(folder / "feats.ark", corpus / "feats.scp") as writer:
        for utterance in read_map(corpus / "wav.scp"):
            writer.write(utterance, random.standard_normal((150, 20)).astype(np.float32))
    (corpus / "wav.scp").unlink()


def make_model_of_features(folder):
    """A MODEL that takes 20 features of 100 frames per second."""
    section = yaml.safe_load(CONFIG)["model"]
    section["front_end"] = {"name": "precomputed", "num_bins": 20, "description": "random"}
    network = build(MODELS, section, "the network")
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    contents = {
        "config.yaml": yaml.safe_dump({"model": section}).encode(),
        "weights.safetensors": weights_as_bytes(tensors),
        "provenance.json": b'{\n "sample_rate_hz": 100\n}\n',
    }
    return write_model(folder, contents).folder


def test_features_without_audio_are_tested_by_a_model_that_takes_them(model, tmp_path):
    corpus = make_kaldi(tmp_path / "kaldi", ["a", "b", "c"], seconds=0.1)
    make_features(corpus, tmp_path)
    words = ["--corpus", corpus, "--workdir", tmp_path / "work"]
    assert "this directory has only features" in last_line(run("own", *words, code=1))
    text = run("own", *words, "--model", make_model_of_features(tmp_path / "feats"))
    assert "== stage 1: VAD decisions: left out, there is no audio" in text
    (row,) = [
        row for row in rows_of(tmp_path / "work", "feats-kaldi-all") if row["subset"] == "all"
    ]
    assert (row["test_set"], row["targets"]) == ("test", 3)
