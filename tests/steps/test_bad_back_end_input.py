"""Bad input of back ends, scores, norms and calibration: one line, exit code 1, no output."""

import re
import shutil

import numpy as np
import pytest

from steps.calibrate import calibrate
from steps.normalise_scores import normalise_scores
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.backends.kaldi_golden import GOLDEN
from tests.steps.test_normalise_scores import voices
from tests.steps.test_score import say_where_from, write_embeddings
from tests.steps.test_train_backend import write_embeddings as write_rows
from utils.archive import read_vectors

PLDA = "name: plda\nlinks: [{name: mean}, {name: length_norm}]\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Embeddings with provenance, data directories, a trained PLDA and its scores; read only."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(3)
    for name, prefix, count in (("train", "c", 12), ("dev", "d", 6), ("test", "t", 6)):
        vectors, utt2spk, means = voices(rng, prefix, count)
        say_where_from(write_embeddings(folder / name, vectors))
        write_embeddings(folder / name, means, "spk_xvector")
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "utt2spk").write_text(
            "".join(f"{key} {speaker}\n" for key, speaker in utt2spk.items())
        )
        pairs = [(a, b) for a in vectors for b in vectors if a < b]
        lines = [
            f"{a} {b} {'target' if utt2spk[a] == utt2spk[b] else 'nontarget'}\n" for a, b in pairs
        ]
        (folder / "data" / name / "trials").write_text("".join(lines))
    (folder / "plda.yaml").write_text(PLDA)
    train_backend(
        folder / "train",
        folder / "plda",
        config=folder / "plda.yaml",
        utt2spk=folder / "data" / "train" / "utt2spk",
    )
    for name in ("dev", "test"):
        score(
            folder / "plda",
            folder / name,
            folder / "data" / name / "trials",
            folder / "scores" / name / "plda.scores",
        )
    return folder


@pytest.fixture
def work(made, tmp_path):
    """A copy that may be spoilt."""
    shutil.copytree(made, tmp_path / "work")
    for scp in (tmp_path / "work").rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(made), str(tmp_path / "work")))
    return tmp_path / "work"


def spoil_vector(folder, key, change):
    """Rewrite the embeddings of a folder with another vector for one utterance."""
    keys, vectors = read_vectors(folder / "xvector.scp")
    rows = {
        name: change(vector) if name == key else vector
        for name, vector in zip(keys, vectors, strict=True)
    }
    write_rows(folder, rows.keys(), rows.values())


def train(work):
    return (
        "steps.train_backend",
        work / "train",
        work / "new",
        "--config",
        work / "plda.yaml",
        "--utt2spk",
        work / "data/train/utt2spk",
    )


def scoring(work):
    return "steps.score", work / "plda", work / "test", work / "data/test/trials", work / "new"


def norm(work, *options):
    return (
        "steps.normalise_scores",
        work / "scores/test/plda.scores",
        work / "plda",
        work / "test",
        work / "data/test",
        work / "train",
        work / "new" / "x.scores",
        "--top-k",
        4,
        *options,
    )


def calibration(work):
    return "steps.calibrate", work / "scores/dev/plda.scores", work / "data/dev", work / "new"


def rewrite(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def bytes_of(path, change):
    path.write_bytes(change(path.read_bytes()))


def other_cosine(work):
    train_backend(work / "train", work / "cosine")
    (work / "cosine/mean.vec").write_bytes((GOLDEN / "mean.vec").read_bytes())


CASES = {
    "a vector of other dimensions among the training vectors": (
        train,
        lambda w: spoil_vector(w / "train", "c2-1", lambda v: v[:3]),
        "key 'c2-1': found a float32 vector of 3, expected .* of 5",
    ),
    "a matrix among the training vectors": (
        train,
        lambda w: spoil_vector(w / "train", "c2-1", lambda v: np.stack([v, v])),
        r"key 'c2-1': found a float32 matrix of 2 x 5, expected",
    ),
    "a key twice in the list": (
        train,
        lambda w: bytes_of(
            w / "train/xvector.scp", lambda text: text + text[: text.index(b"\n") + 1]
        ),
        "scp:49: duplicate key 'c0-0'",
    ),
    "a truncated archive": (
        train,
        lambda w: bytes_of(w / "train/xvector.ark", lambda text: text[:-4]),
        r"xvector\.ark:\d+: key 'cb-3': truncated",
    ),
    "no speaker for a vector": (
        train,
        lambda w: rewrite(w / "data/train/utt2spk", "c3-2 c3\n", ""),
        "no speaker for 'c3-2'; 1 of 48",
    ),
    "test vectors of other dimensions": (
        scoring,
        lambda w: write_rows(
            w / "test",
            *[
                read_vectors(w / "test/xvector.scp")[0],
                read_vectors(w / "test/xvector.scp")[1][:, :4],
            ],
        ),
        "embeddings of 4 dimensions, .*plda was trained on 5",
    ),
    "a NaN in a test vector": (
        scoring,
        lambda w: spoil_vector(w / "test", "t2-1", lambda v: v * np.nan),
        "the embedding of 't2-1' is NaN or Inf; 1 of 24",
    ),
    "a zero test vector": (
        scoring,
        lambda w: spoil_vector(w / "test", "t2-1", lambda v: 0 * v),
        "the embedding of 't2-1' is zero; 1 of 24",
    ),
    "embeddings of another network": (
        scoring,
        lambda w: rewrite(w / "test/provenance.json", "0f0f", "abcd"),
        'model is "abcd", .*plda was trained on model "0f0f"',
    ),
    "embeddings that do not say where they are from": (
        scoring,
        lambda w: rewrite(w / "test/provenance.json", "{", "["),
        r"provenance\.json: not a JSON object",
    ),
    "trials of another class than that of the speakers": (
        scoring,
        lambda w: (w / "data/test/trials").write_text("t0-0 t0-1 nontarget\n"),
        "trials:1: trial 't0-0 t0-1' is nontarget, but utt2spk says 't0' on both sides",
    ),
    "a missing side": (
        scoring,
        lambda w: rewrite(w / "data/test/trials", "t0-0 t3-2 ", "t0-0 t3-9 "),
        "test side 't3-9' of trial 't0-0 t3-9' has no embedding",
    ),
    "a <Plda> that is cut": (
        scoring,
        lambda w: bytes_of(w / "plda/plda", lambda text: text[:-12]),
        "plda/plda: psi of <Plda>: truncated or damaged",
    ),
    "a <Plda> that is a vector": (
        scoring,
        lambda w: (w / "plda/plda").write_bytes((GOLDEN / "mean.vec").read_bytes()),
        "expected Kaldi's <Plda>",
    ),
    "a backend.json that is cut": (
        scoring,
        lambda w: bytes_of(w / "plda/backend.json", lambda text: text[:20]),
        r"backend\.json: not a back end \(.*train it again",
    ),
    "a backend.json of something else": (
        scoring,
        lambda w: (w / "plda/backend.json").write_text("{}"),
        r"not a back end \(no 'options'\)",
    ),
    "a mean.vec of other dimensions": (
        scoring,
        lambda w: (w / "plda/mean.vec").write_bytes((GOLDEN / "mean.vec").read_bytes()),
        "takes vectors of 24 dimensions, .* of 5",
    ),
    "a mean.vec of other dimensions before a cosine": (
        lambda w: ("steps.score", w / "cosine", *scoring(w)[2:]),
        other_cosine,
        "takes vectors of 24 dimensions, the back end those of 5",
    ),
    "a mean.vec that is a matrix": (
        scoring,
        lambda w: (w / "plda/mean.vec").write_bytes((GOLDEN / "lda.mat").read_bytes()),
        "mean.vec: found a .* matrix .* expected a vector",
    ),
    "a test speaker in the cohort": (
        lambda w: norm(
            w, "--cohort-of", "utterances", "--cohort-utt2spk", w / "data/train/utt2spk"
        ),
        lambda w: rewrite(w / "data/train/utt2spk", "c7-0 c7\n", "c7-0 t3\n"),
        r"1 of 6 speakers of test set test are in the cohort \(t3\)",
    ),
    "a cohort of another network": (
        norm,
        lambda w: rewrite(w / "train/provenance.json", "16000", "8000"),
        "sample_rate_hz is 8000",
    ),
    "a cohort of other dimensions": (
        norm,
        lambda w: write_rows(
            w / "train", ["c0", "c1", "c2", "c3", "c4"], np.eye(5)[:, :4], "spk_xvector"
        ),
        "embeddings of 4 dimensions, .*plda was trained on 5",
    ),
    "a cohort that is not finite": (
        norm,
        lambda w: write_rows(
            w / "train", ["c0", "c1", "c2"], np.full((3, 5), np.inf), "spk_xvector"
        ),
        "the embedding of 'c0' is NaN or Inf",
    ),
    "calibration trials of one class": (
        calibration,
        lambda w: (w / "data/dev/trials").write_text("d0-0 d0-1 target\n"),
        "all 1 trials are target, expected both",
    ),
    "a calibration trial without a score": (
        calibration,
        lambda w: rewrite(w / "scores/dev/plda.scores", "d0-0 d3-2 ", "d0-0 d3-9 "),
        "trial 'd0-0 d3-2' has no score",
    ),
    "a decision without calibration": (
        lambda w: ("steps.decide", w / "scores/test/plda.scores", w / "new"),
        lambda w: None,
        "these scores are not calibrated",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_one_line_exit_code_1_and_nothing_written(work, command, case):
    split_words, spoil, message = CASES[case]
    spoil(work)
    done = command(*split_words(work))
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    print(done.stderr)
    assert re.search(message, done.stderr)
    assert not (work / "new").is_file()
    assert not [
        path for path in (work / "new").rglob("*") if path.is_file() and path.suffix != ".lock"
    ]


@pytest.mark.slow
def test_speakers_of_the_calibration_in_the_test_are_refused_by_the_command(work, command):
    calibrate([work / "scores/dev/plda.scores"], work / "data/dev", work / "calibration")
    rewrite(work / "data/test/utt2spk", "t1-0 t1\n", "t1-0 d1\n")
    done = command(
        "steps.apply_calibration",
        work / "calibration",
        work / "scores/dev/plda.scores",
        work / "data/dev",
        work / "new",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "are in calibration" in done.stderr


def test_a_cohort_is_taken_as_it_is_where_nothing_is_wrong(work):
    """Otherwise the cases above could fail for another reason."""
    assert (
        normalise_scores(
            work / "scores/test/plda.scores",
            work / "plda",
            work / "test",
            work / "data/test",
            work / "train",
            work / "new" / "x.scores",
            top_k=4,
        )["cohort"]
        == 12
    )


@pytest.mark.parametrize(
    ("adaptation", "message"),
    [
        ("name: plda\nlinks: [{name: coral}]\n", "found 3 vectors of 5 dimensions to adapt to"),
        (
            "name: plda\nadaptation: {name: coral_plus}\n",
            "found 3 vectors of 5 dimensions to adapt to",
        ),
        ("name: plda\nadaptation: {name: kaldi}\n", "found 3 vectors of 5 dimensions to adapt to"),
    ],
)
def test_too_few_vectors_to_adapt_to_are_one_line(work, command, adaptation, message):
    keys, vectors = read_vectors(work / "dev" / "xvector.scp")
    write_rows(work / "few", keys[:3], vectors[:3])
    say_where_from(work / "few")
    (work / "plda.yaml").write_text(adaptation)
    done = command(*train(work), "--adaptation", work / "few")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert message in done.stderr


def test_a_failed_training_tells_what_it_was_given(work, command):
    (work / "plda.yaml").write_text("name: plda\nrank: 12\n")
    done = command(*train(work))
    assert done.returncode == 1
    assert "training failed: vectors 48, dimensions 5, speakers 12" in done.stdout
    assert "rank 12 is not between 1 and 5" in done.stderr
