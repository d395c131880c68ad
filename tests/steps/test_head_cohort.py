"""Normalisation by the rows of a model's head: against a slow loop, and what is refused."""

import json
import re

import numpy as np
import pytest

from steps.normalise_scores import normalise_scores
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.test_normalise_scores import DIMENSIONS, voices
from tests.steps.test_score import say_where_from, write_embeddings
from utils.archive import read_vectors
from utils.errors import UserError
from utils.pretrained import hashed_speaker, weights_as_bytes, write_model
from utils.receipts import read_receipt
from utils.scoring.score_files import read_scores, score_receipt

ROWS = 20
HEADS = np.random.default_rng(5).standard_normal((ROWS, DIMENSIONS)).astype(np.float32)
SPEAKERS = [f"h{number}" for number in range(ROWS)]


def write_head(folder, head=HEADS, model="0f0f", **speakers):
    """A model folder with a head; without ``speakers`` these have their names."""
    named = speakers or {"speakers": SPEAKERS, "hashed": list(map(hashed_speaker, SPEAKERS))}
    contents = {
        "config.yaml": b"model: {name: ecapa}\n",
        "weights.safetensors": weights_as_bytes({"a": np.ones(2, np.float32)}),
        "provenance.json": json.dumps({"model": model}).encode(),
        "head.json": json.dumps(named).encode(),
    }
    if head is not None:
        contents["head.safetensors"] = weights_as_bytes({"weight_NE": head})
    return write_model(folder, contents).folder


@pytest.fixture
def work(tmp_path):
    """Embeddings of six test speakers, all pairs as trials, and a model with a head."""
    vectors, utt2spk, _ = voices(np.random.default_rng(0), "t", 6)
    data = tmp_path / "data" / "test"
    data.mkdir(parents=True)
    (data / "utt2spk").write_text("".join(f"{key} {name}\n" for key, name in utt2spk.items()))
    lines = []
    for first in utt2spk:
        for second in utt2spk:
            is_target = utt2spk[first] == utt2spk[second]
            kind = "target" if is_target else "nontarget"
            if first < second:
                lines.append(f"{first} {second} {kind}\n")
    (data / "trials").write_text("".join(lines))
    say_where_from(write_embeddings(tmp_path / "emb", vectors))
    write_head(tmp_path / "model")
    return tmp_path


def normalised(work, model="model", backend="{name: cosine, subtract_mean: false}", **options):
    """Score and normalise; returns the normalised score file."""
    (work / "backend.yaml").write_text(backend)
    train_backend(
        work / "emb",
        work / "backend",
        config=work / "backend.yaml",
        utt2spk=work / "data" / "test" / "utt2spk",
    )
    raw, output = work / "scores" / "cosine.scores", work / "scores" / "normalised.scores"
    data = work / "data" / "test"
    score(work / "backend", work / "emb", data / "trials", raw)
    normalise_scores(
        raw, work / "backend", work / "emb", data, work / model, output, **({"top_k": 7} | options)
    )
    return output


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_scores_equal_a_slow_loop_over_the_rows(work):
    enrol, test, found = read_scores(normalised(work))
    vector_of = dict(zip(*read_vectors(work / "emb" / "xvector.scp"), strict=True))
    for first, second, value in zip(enrol, test, found, strict=True):
        raw = unit(vector_of[first]) @ unit(vector_of[second])
        parts = []
        for side in (first, second):
            closest = np.sort(unit(HEADS) @ unit(vector_of[side]))[-7:]
            parts.append((raw - closest.mean()) / closest.std())
        assert value == pytest.approx(np.mean(parts), rel=1e-4, abs=1e-4)


def test_the_cohort_that_is_written_has_the_heads_speakers(work):
    output = normalised(work)
    assert (output.with_suffix("") / "cohort").read_text().split() == SPEAKERS
    counts = read_receipt(score_receipt(output))["counts"]
    assert counts["cohort"] == ROWS
    assert counts["centred"] == "not centred"
    assert counts["watermarks"] == []


@pytest.mark.parametrize(
    "backend",
    [
        "{name: cosine}",
        "{name: cosine, subtract_mean: false, links: [{name: lda, dim: 3}]}",
        "{name: plda}",
        "{name: euclidean}",
    ],
)
def test_only_cosine_of_unchanged_embeddings_is_taken(work, backend):
    with pytest.raises(UserError, match=r"expected cosine of unchanged embeddings.*LDA or PLDA"):
        normalised(work, backend=backend)


@pytest.mark.parametrize("named", [True, False])
def test_tested_speakers_in_the_head_are_refused_by_name_or_hash(work, named):
    names = ["t2", *SPEAKERS[1:]]
    hashed = list(map(hashed_speaker, names))
    write_head(work / "leaking", speakers=names if named else None, hashed=hashed)
    with pytest.raises(UserError, match=r"1 of 6 speakers of test set test are in the cohort \(t2"):
        normalised(work, "leaking")
    output = normalised(work, "leaking", allow_leakage=True)
    (mark,) = read_receipt(score_receipt(output))["counts"]["watermarks"]
    assert mark.startswith("leakage: 1 of 6")


def test_a_model_without_a_head_is_refused_with_where_one_is(work):
    write_head(work / "headless", None)
    with pytest.raises(UserError, match=r"headless: no head.safetensors .* folder of embeddings"):
        normalised(work, "headless")


def test_the_head_of_another_network_is_refused(work):
    write_head(work / "other", model="beef")
    with pytest.raises(UserError, match=r"other: its network did not make .*emb"):
        normalised(work, "other")


def test_names_that_are_not_one_for_each_row_are_refused(work):
    write_head(work / "short", speakers=SPEAKERS[1:])
    with pytest.raises(UserError, match=re.escape("head.json: 19 speakers, expected one for each")):
        normalised(work, "short")


@pytest.mark.parametrize(
    "options", [{"cohort_of": "utterances"}, {"cohort_list": "data/test/utt2spk"}]
)
def test_options_of_a_cohort_of_embeddings_are_refused(work, options):
    if "cohort_list" in options:
        options = {"cohort_list": work / options["cohort_list"]}
    with pytest.raises(UserError, match="has no effect with the head of"):
        normalised(work, **options)
