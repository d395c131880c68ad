"""Normalised score files: against a slow loop over files, the cohort, and what is refused."""

import json

import numpy as np
import pytest

from steps.normalise_scores import normalise_scores
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.test_score import say_where_from, write_embeddings
from utils.archive import read_vectors
from utils.data_dir import read_map
from utils.errors import UserError
from utils.receipts import read_receipt
from utils.scoring.score_files import read_scores, score_receipt

SPEAKERS, UTTERANCES, DIMENSIONS = 6, 4, 5


def voices(rng, prefix, num_speakers, utterances=UTTERANCES):
    """Embeddings of some speakers: {utterance: vector}, {utterance: speaker}, {speaker: mean}."""
    vectors, utt2spk, means = {}, {}, {}
    for speaker in (f"{prefix}{number:x}" for number in range(num_speakers)):
        centre = 2 * rng.standard_normal(DIMENSIONS)
        mine = {
            f"{speaker}-{k}": centre + rng.standard_normal(DIMENSIONS) for k in range(utterances)
        }
        vectors |= mine
        utt2spk |= dict.fromkeys(mine, speaker)
        means[speaker] = np.mean(list(mine.values()), axis=0)
    return vectors, utt2spk, means


@pytest.fixture
def work(tmp_path):
    """Embeddings of test speakers t0.. and cohort speakers c0.., trials, two back ends, scores."""
    rng = np.random.default_rng(0)
    for name, prefix, count in (("test", "t", SPEAKERS), ("train", "c", 12)):
        vectors, utt2spk, means = voices(rng, prefix, count)
        write_embeddings(tmp_path / "emb" / name, vectors)
        write_embeddings(tmp_path / "emb" / name, means, "spk_xvector")
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "utt2spk").write_text(
            "".join(f"{key} {speaker}\n" for key, speaker in utt2spk.items())
        )
    keys, speaker_of = (
        list(read_map(tmp_path / "data" / "test" / "utt2spk")),
        read_map(tmp_path / "data" / "test" / "utt2spk"),
    )
    pairs = [
        (a, b) for a in keys[:10] for b in keys[3:] if a != b
    ]  # keys[3:] enrol too, but the first three never test
    lines = [
        f"{a} {b} {'target' if speaker_of[a] == speaker_of[b] else 'nontarget'}\n" for a, b in pairs
    ]
    (tmp_path / "data" / "test" / "trials").write_text("".join(lines))
    return tmp_path


def scored(work, backend="cosine"):
    """A trained back end's scores of the test trials."""
    if backend == "cosine":
        train_backend(work / "emb" / "train", work / "backend" / backend)
    else:
        (work / "plda.yaml").write_text("{name: plda, links: [{name: mean}]}\n")
        train_backend(
            work / "emb" / "train",
            work / "backend" / backend,
            config=work / "plda.yaml",
            utt2spk=work / "data" / "train" / "utt2spk",
        )
    path = work / "scores" / "test" / f"{backend}.scores"
    score(
        work / "backend" / backend, work / "emb" / "test", work / "data" / "test" / "trials", path
    )
    return path


def normalised(work, backend="cosine", output="normalised", **options):
    """The step on the fixture; returns the output's path."""
    path = work / "scores" / "test" / f"{output}.scores"
    normalise_scores(
        work / "scores" / "test" / f"{backend}.scores",
        work / "backend" / backend,
        work / "emb" / "test",
        work / "data" / "test",
        work / "emb" / "train",
        path,
        **({"top_k": 5} | options),
    )
    return path


def slow_cosine_asnorm(work, top_k):
    """One trial after the other."""
    mean = np.mean(
        read_vectors(work / "emb" / "train" / "xvector.scp")[1].astype(np.float64), axis=0
    )
    vector_of = dict(zip(*read_vectors(work / "emb" / "test" / "xvector.scp"), strict=True))
    cohort = read_vectors(work / "emb" / "train" / "spk_xvector.scp")[1]

    def cosine(a, b):
        a, b = a - mean, b - mean
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    found = []
    for line in (work / "data" / "test" / "trials").read_text().splitlines():
        a, b, _ = line.split()
        raw, parts = cosine(vector_of[a], vector_of[b]), []
        for side in (a, b):
            best = sorted((cosine(vector_of[side], member) for member in cohort), reverse=True)[
                :top_k
            ]
            parts.append((raw - np.mean(best)) / np.std(best))
        found.append(np.mean(parts))
    return found


def test_files_in_files_out_equal_a_slow_loop(work):
    scored(work)
    enrol, test, values = read_scores(normalised(work))
    assert values == pytest.approx(slow_cosine_asnorm(work, 5), rel=1e-4, abs=1e-4)
    assert [f"{a} {b}" for a, b in zip(enrol, test, strict=True)] == [
        line.rpartition(" ")[0]
        for line in (work / "data" / "test" / "trials").read_text().splitlines()
    ]


def test_the_cohort_and_the_statistics_of_each_side_are_written(work):
    scored(work)
    folder = normalised(work).with_suffix("")
    assert (folder / "cohort").read_text().split() == [f"c{k:x}" for k in range(12)]
    means, deviations = (
        read_map(folder / "utt2cohort_mean"),
        read_map(folder / "utt2cohort_deviation"),
    )
    enrol, test, _ = read_scores(work / "scores" / "test" / "cosine.scores")
    assert list(means) == list(deviations) == sorted({*enrol, *test})
    assert all(-1 < float(value) < 1 for value in means.values())
    assert all(0 < float(value) < 1 for value in deviations.values())
    receipt = read_receipt(score_receipt(normalised(work)))
    assert receipt["counts"] == {
        "trials": len(enrol),
        "sides": len(means),
        "cohort": 12,
        "protocol": "whole",
        "centred": "mean of train (48 utterances)",
        "watermarks": [],
    }
    assert len(receipt["outputs"]) == 4


def test_plda_is_normalised_through_the_same_door(work):
    scored(work, "plda")
    raw, values = (
        read_scores(work / "scores" / "test" / "plda.scores")[2],
        read_scores(normalised(work, "plda", method="s_norm"))[2],
    )
    assert np.corrcoef(raw, values)[0, 1] > 0.8
    folder = normalised(work, "plda", method="s_norm").with_suffix("")
    mean = float(read_map(folder / "utt2cohort_mean")["t0-0"])
    from steps.backends import FAMILIES
    from utils.scoring.backend_files import read_backend

    plda = read_backend(work / "backend" / "plda", FAMILIES).scorer
    side = plda.transform(read_vectors(work / "emb" / "test" / "xvector.scp")[1][:1])
    members = plda.transform(read_vectors(work / "emb" / "train" / "spk_xvector.scp")[1])
    assert mean == pytest.approx(
        np.mean([plda.score(side, member[None])[0] for member in members]), rel=1e-3, abs=1e-3
    )


def test_a_cohort_of_utterances_and_a_list_of_members(work):
    scored(work)
    (work / "chosen").write_text("c3-1\nc4-0 c4\nc5-2\nc9-0\nc3-1\n")
    path = normalised(
        work,
        cohort_of="utterances",
        cohort_list=work / "chosen",
        cohort_utt2spk=work / "data" / "train" / "utt2spk",
        top_k=3,
    )
    assert (path.with_suffix("") / "cohort").read_text().split() == ["c3-1", "c4-0", "c5-2", "c9-0"]
    again = normalised(
        work,
        output="again",
        cohort_of="utterances",
        cohort_list=path.with_suffix("") / "cohort",
        top_k=3,
        cohort_utt2spk=work / "data" / "train" / "utt2spk",
    )
    assert again.read_bytes() == path.read_bytes()


def test_embeddings_that_are_matrices_have_the_mean_of_their_rows_scores(work):
    keys, vectors = read_vectors(work / "emb" / "test" / "xvector.scp")
    apart = np.random.default_rng(1).standard_normal((len(keys), 3, DIMENSIONS))
    write_embeddings(
        work / "rows",
        {key: vector + rows for key, vector, rows in zip(keys, vectors, apart, strict=True)},
    )
    train_backend(work / "emb" / "train", work / "backend" / "cosine")
    path = work / "scores" / "test" / "rows.scores"
    score(work / "backend" / "cosine", work / "rows", work / "data" / "test" / "trials", path)
    out = work / "scores" / "test" / "rows_norm.scores"
    normalise_scores(
        path,
        work / "backend" / "cosine",
        work / "rows",
        work / "data" / "test",
        work / "emb" / "train",
        out,
        method="z_norm",
    )
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    mean = np.mean(read_vectors(work / "emb" / "train" / "xvector.scp")[1], axis=0)
    cohort = unit(read_vectors(work / "emb" / "train" / "spk_xvector.scp")[1] - mean)
    against = (unit(vectors[0] + apart[0] - mean) @ cohort.T).mean(axis=0)
    assert float(read_map(out.with_suffix("") / "utt2cohort_mean")[keys[0]]) == pytest.approx(
        against.mean(), abs=1e-5
    )
    assert float(read_map(out.with_suffix("") / "utt2cohort_deviation")[keys[0]]) == pytest.approx(
        against.std(), abs=1e-5
    )


def test_test_speakers_in_the_cohort_are_refused_by_name_or_watermarked(work):
    scored(work)
    utt2spk = work / "data" / "train" / "utt2spk"
    utt2spk.write_text(utt2spk.read_text().replace(" c7\n", " t2\n"))
    options = {"cohort_of": "utterances", "cohort_utt2spk": utt2spk}
    with pytest.raises(
        UserError, match=r"1 of 6 speakers of test set test are in the cohort \(t2\)"
    ):
        normalised(work, **options)
    assert not (work / "scores" / "test" / "normalised.scores").exists()
    path = normalised(work, **options, allow_leakage=True)
    assert read_receipt(score_receipt(path))["counts"]["watermarks"] == [
        "leakage: 1 of 6 speakers of test set test are in the cohort (t2)"
    ]


def test_models_of_several_utterances_are_sides_whose_speakers_are_compared(work):
    train_backend(work / "emb" / "train", work / "backend" / "cosine")
    (work / "models").write_text("m-a t0-0 t0-1\nm-b t1-0 t1-1\n")
    (work / "data" / "test" / "trials").write_text(
        "m-a t0-2 target\nm-a t1-2 nontarget\nm-b t1-2 target\n"
    )
    path = work / "scores" / "test" / "cosine.scores"
    score(
        work / "backend" / "cosine",
        work / "emb" / "test",
        work / "data" / "test" / "trials",
        path,
        enroll_spk2utt=work / "models",
    )
    out = normalised(work, enroll_spk2utt=work / "models")
    assert list(read_map(out.with_suffix("") / "utt2cohort_mean")) == ["m-a", "m-b", "t0-2", "t1-2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top_k": 13}, "top_k is 13, expected 2 to 12"),
        ({"top_k": 1}, "top_k is 1, expected 2"),
        ({"top_k": 0}, "top_k is 0, expected 2"),
        ({"cohort_of": "utterances"}, "--cohort-utt2spk is missing"),
        ({"cohort_list": "one"}, "a cohort of 1 has no standard deviation"),
        ({"cohort_list": "unknown"}, "no embedding of 'c99'"),
        ({"cohort_list": "nobody", "method": "s_norm"}, "nobody: names no member"),
        ({"device": "cuda", "method": "as_norm2"}, "--device cuda is for cosine"),
        (
            {"cohort_of": "utterances", "cohort_utt2spk": "short_utt2spk"},
            "no speaker for 'c0-1' of the cohort; 47 of 48",
        ),
    ],
)
def test_bad_options_are_refused_in_one_line(work, options, words):
    scored(work)
    for name, content in {
        "one": "c3\n",
        "unknown": "c3\nc99\n",
        "nobody": "\n",
        "short_utt2spk": "c0-0 c0\n",
    }.items():
        (work / name).write_text(content)
    options = {
        key: work / value if key in ("cohort_list", "cohort_utt2spk") else value
        for key, value in options.items()
    }
    with pytest.raises(UserError, match=words) as refused:
        normalised(work, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["plda", "euclidean"])
def test_only_dot_products_are_computed_on_a_gpu(work, name):
    """Distances are a back end derived from cosine, but no dot products."""
    (work / "euclidean.yaml").write_text("{name: euclidean}\n")
    if name == "plda":
        scored(work, "plda")
    else:
        train_backend(
            work / "emb" / "train", work / "backend" / name, config=work / "euclidean.yaml"
        )
        score(
            work / "backend" / name,
            work / "emb" / "test",
            work / "data" / "test" / "trials",
            work / "scores" / "test" / f"{name}.scores",
        )
    with pytest.raises(UserError, match="--device cuda is for cosine"):
        normalised(work, name, device="cuda")


def test_a_cohort_of_one_voice_is_refused_with_the_side_s_name(work):
    scored(work)
    write_embeddings(
        work / "emb" / "train", {f"c{k:x}": np.ones(DIMENSIONS) for k in range(12)}, "spk_xvector"
    )
    with pytest.raises(UserError, match="the cohort scores of 't0-0' are all alike"):
        normalised(work)


def test_a_cohort_vector_that_is_not_finite_is_named(work):
    scored(work)
    write_embeddings(
        work / "emb" / "train",
        {f"c{k:x}": np.full(DIMENSIONS, np.nan if k == 4 else k + 1.0) for k in range(12)},
        "spk_xvector",
    )
    with pytest.raises(UserError, match="the embedding of 'c4' is NaN or Inf"):
        normalised(work)


def test_a_side_without_embedding_or_without_speaker_is_named(work):
    path = scored(work)
    path.write_text(path.read_text() + "t0-0 stranger 0.5\n")
    score_receipt(path).unlink()
    with pytest.raises(UserError, match="no speaker for 'stranger'"):
        normalised(work)
    utt2spk = work / "data" / "test" / "utt2spk"
    utt2spk.write_text("stranger nobody\n" + utt2spk.read_text())
    with pytest.raises(
        UserError, match="test side 'stranger' of trial 't0-0 stranger' has no embedding"
    ):
        normalised(work)


def test_scores_of_another_back_end_are_refused(work):
    scored(work)
    scored(work, "plda")
    with pytest.raises(
        UserError,
        match="cosine.scores: made with the back end of .*cosine, this is .*plda.*normalise with",
    ):
        normalise_scores(
            work / "scores" / "test" / "cosine.scores",
            work / "backend" / "plda",
            work / "emb" / "test",
            work / "data" / "test",
            work / "emb" / "train",
            work / "scores" / "test" / "x.scores",
            top_k=5,
        )


def test_a_cohort_of_another_network_is_refused(work):
    for name, model in (("test", "0f0f"), ("train", "0f0f")):
        say_where_from(work / "emb" / name, model=model)
    scored(work)
    other = json.loads((work / "emb" / "train" / "provenance.json").read_text()) | {"model": "abcd"}
    (work / "emb" / "train" / "provenance.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match='model is "abcd"'):
        normalised(work)


def test_without_a_number_a_quarter_of_a_small_cohort_is_close(work, capsys):
    scored(work)
    path = normalised(work, top_k=None)
    assert "by the 3 closest of a cohort of 12 speakers" in capsys.readouterr().out
    assert read_scores(path)[2] == pytest.approx(
        read_scores(normalised(work, output="three", top_k=3))[2]
    )


def test_a_second_run_does_nothing_and_another_option_redoes(work, capsys):
    scored(work)
    path = normalised(work)
    before = path.stat().st_mtime_ns
    normalised(work)
    assert path.stat().st_mtime_ns == before
    normalised(work, top_k=6)
    assert "option top_k was 5, is 6" in capsys.readouterr().err


def test_the_number_of_threads_changes_nothing(work):
    scored(work)
    assert (
        normalised(work, num_threads=1).read_bytes()
        == normalised(work, output="two", num_threads=2).read_bytes()
    )
