"""Back ends from YAML files: Kaldi's scores and files, bad YAMLs, bad embeddings."""

import json
import re

import numpy as np
import pytest

from steps.score import score
from steps.train_backend import train_backend
from tests.conftest import ROOT
from tests.steps.backends.kaldi_golden import GOLDEN, golden_vectors, training
from tests.steps.test_score import say_where_from
from utils.archive import ArchiveWriter, read_matrix, write_text_vectors
from utils.archive.plda import read_plda
from utils.errors import UserError
from utils.scoring.score_files import read_scores

CHAIN = "name: plda\nlinks: [{name: mean}, {name: lda, dim: 12}, {name: length_norm}]\n"
CONFIGS = sorted((ROOT / "conf" / "backends").glob("*.yaml"))


def write_embeddings(folder, keys, vectors, name="xvector"):
    """Embeddings of another toolkit: an archive without provenance."""
    with ArchiveWriter(folder / f"{name}.ark", folder / f"{name}.scp") as writer:
        for key, vector in zip(keys, vectors, strict=True):
            writer.write(key, np.asarray(vector, np.float32))
    return folder


@pytest.fixture
def work(tmp_path):
    """The golden vectors as folders, their speakers and trials."""
    write_embeddings(tmp_path / "train", *golden_vectors("train"))
    write_embeddings(tmp_path / "adapt", *golden_vectors("adapt"))
    (keys, vectors), (more, others) = golden_vectors("enroll"), golden_vectors("test")
    write_embeddings(tmp_path / "test", [*keys, *more], [*vectors, *others])
    return tmp_path


def trained(work, yaml, name="plda", **options):
    (work / f"{name}.yaml").write_text(yaml)
    train_backend(
        work / "train",
        work / name,
        config=work / f"{name}.yaml",
        utt2spk=GOLDEN / "train.utt2spk",
        **options,
    )
    return work / name


def score_trials(work, backend, **options):
    """Scores where files that enrol a person are averaged as Kaldi does."""
    options = {"averaging": "mean", **options}
    score(backend, work / "test", GOLDEN / "trials", work / "scores" / "x.scores", **options)
    return read_scores(work / "scores" / "x.scores")


@pytest.mark.parametrize(
    ("yaml", "name"),
    [
        ("name: plda\n", "scores_plda_raw"),
        ("name: plda\nnormalize_length: false\n", "scores_plda_raw_nonorm"),
        ("name: plda\nsimple_length_normalization: true\n", "scores_plda_raw_simple"),
        (CHAIN, "scores_plda_lda"),
        (CHAIN + "multi_session: average\n", "scores_plda_lda_single"),
        (
            (
                "name: plda\nadaptation: "
                "{name: kaldi, within_covar_scale: 0.75, between_covar_scale: 0.25}\n"
            ),
            "scores_plda_adapted",
        ),
    ],
)
def test_from_embeddings_to_the_scores_of_kaldi(work, yaml, name):
    backend = trained(work, yaml, adaptation=work / "adapt" if "adaptation" in yaml else None)
    enrol, test, ours = score_trials(work, backend, enroll_spk2utt=GOLDEN / "enroll.spk2utt")
    theirs = read_scores(GOLDEN / name)
    assert (enrol, test) == theirs[:2]
    print(f"{name}: largest difference {np.abs(ours - theirs[2]).max():.1e}")
    assert (np.abs(ours - theirs[2]) <= 1e-4 * np.maximum(1, np.abs(theirs[2]))).all()


def test_the_files_are_those_of_kaldi(work):
    backend = trained(work, CHAIN)
    names = {path.name for path in backend.iterdir() if path.is_file()}
    assert names == {"backend.json", "mean.vec", "transform.mat", "plda", "training.json"}
    assert read_matrix(backend / "transform.mat").shape == (12, 25)
    assert read_plda(backend / "plda").psi == pytest.approx(
        read_plda(GOLDEN / "plda_lda").psi, abs=1e-5
    )
    for name, golden in (("transform.mat", "lda.mat"), ("plda", "plda_lda")):
        assert (backend / name).stat().st_size == (GOLDEN / golden).stat().st_size


def test_the_order_of_lists_changes_no_score(work):
    """Scores don't depend on the order of the golden files."""
    rng = np.random.default_rng(0)
    backend = trained(work, CHAIN)
    enrol, test, ours = score_trials(work, backend, enroll_spk2utt=GOLDEN / "enroll.spk2utt")
    for path in (work / "train" / "xvector.scp", work / "test" / "xvector.scp"):
        path.write_text("".join(rng.permutation(path.read_text().splitlines(keepends=True))))
    (work / "trials").write_text(
        "".join(rng.permutation((GOLDEN / "trials").read_text().splitlines(keepends=True)))
    )
    again = trained(work, CHAIN, "again")
    score(
        again,
        work / "test",
        work / "trials",
        work / "again.scores",
        enroll_spk2utt=GOLDEN / "enroll.spk2utt",
        averaging="mean",
    )
    known = dict(zip(zip(enrol, test, strict=True), ours, strict=True))
    others = read_scores(work / "again.scores")
    assert others[:2] != (enrol, test)
    assert others[2] == pytest.approx(
        [known[pair] for pair in zip(*others[:2], strict=True)], abs=1e-4
    )


def test_kaldi_files_replace_ours(work):
    backend = trained(work, CHAIN)
    for name, golden in (
        ("mean.vec", "mean.vec"),
        ("transform.mat", "lda.mat"),
        ("plda", "plda_lda"),
    ):
        (backend / name).write_bytes((GOLDEN / golden).read_bytes())
    ours = score_trials(work, backend, enroll_spk2utt=GOLDEN / "enroll.spk2utt")[2]
    assert ours == pytest.approx(read_scores(GOLDEN / "scores_plda_lda")[2], abs=5e-5)


def test_speakers_of_an_archive_count_as_many_utterances_as_num_utts_says(work):
    backend = trained(work, CHAIN)
    models, means = golden_vectors("enroll_mean")
    write_embeddings(work / "test", models, means, "spk_xvector")
    num_utts = dict(
        line.split() for line in (GOLDEN / "enroll_num_utts.txt").read_text().splitlines()
    )
    write_text_vectors(
        work / "test" / "num_utts.ark", {model: int(num_utts[model]) for model in models}
    )
    assert score_trials(work, backend)[2] == pytest.approx(
        read_scores(GOLDEN / "scores_plda_lda")[2], abs=5e-5
    )
    (work / "scores" / "x.scores").unlink()
    (work / "test" / "num_utts.ark").unlink()
    assert score_trials(work, backend)[2] == pytest.approx(
        read_scores(GOLDEN / "scores_plda_lda_single")[2], abs=5e-5
    )


def test_a_speaker_without_a_number_is_named(work):
    backend = trained(work, CHAIN)
    write_embeddings(work / "test", *golden_vectors("enroll_mean"), "spk_xvector")
    (work / "test" / "num_utts.ark").write_text("spk000 3\n")
    with pytest.raises(
        UserError,
        match=r"num_utts\.ark: no number of utterances \(1 or more\) for speaker 'spk001'",
    ):
        score_trials(work, backend)


def test_the_training_is_printed_and_recorded(work, capsys):
    backend = trained(work, CHAIN)
    out, report = capsys.readouterr().out, json.loads((backend / "training.json").read_text())
    message = "trained on 473 embeddings: vectors 473, dimensions 12, speakers 80, "
    assert f"{work / 'train'}: {message}" in out
    assert len(report["log_likelihood_per_vector"]) == 11
    assert (report["within_rank"], report["between_rank"], report["speakers_with_one_vector"]) == (
        12,
        12,
        0,
    )


@pytest.mark.parametrize(
    ("keys", "augmentation", "copies"),
    [
        (["a-1", "a-1-noise", "a-1-music", "b-1"], "originals and copies 1, 2 by x, seed 1", 2),
        (["a-1", "sp0.9-a-1-aug1", "sp1.1-a-1-aug2", "b-1-x"], "originals and copies 1 by x", 2),
        (["a-1-noise", "b-1-noise"], "copies 1 by x, seed 1", 2),
        (["a-1", "a-1-noise", "b-1"], "none", 0),
    ],
)
def test_augmented_copies_in_the_training_are_printed_and_counted(
    tmp_path, capsys, keys, augmentation, copies
):
    vectors = np.random.default_rng(1).normal(size=(len(keys), 4))
    folder = write_embeddings(tmp_path / "train", keys, vectors)
    say_where_from(folder, augmentation=augmentation)
    counts = train_backend(folder, tmp_path / "cosine")
    assert counts.get("copies", 0) == copies
    recorded = json.loads((tmp_path / "cosine" / "training.json").read_text())
    assert recorded.get("copies", 0) == copies
    message = f"{copies} of the {len(keys)} training embeddings, which also give the mean, are of"
    assert (message in capsys.readouterr().out) == bool(copies)


def test_repeating_gives_the_same_bytes(work):
    first = {
        path.name: path.read_bytes() for path in trained(work, CHAIN).iterdir() if path.is_file()
    }
    again = {
        path.name: path.read_bytes()
        for path in trained(work, CHAIN, "again").iterdir()
        if path.is_file()
    }
    assert first == again


def test_another_yaml_makes_the_back_end_stale(work, capsys):
    trained(work, CHAIN)
    backend = trained(work, "name: plda\nlinks: [{name: mean}]\n")
    assert "redone" in capsys.readouterr().err
    assert not (backend / "transform.mat").exists()


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if path.stem != "bvector"], ids=lambda path: path.stem
)
def test_every_yaml_trains_and_scores(work, path):
    """With fewer dimensions, as the golden vectors have 24; test_bvector.py has the b-vector."""
    yaml = (
        path.read_text()
        .replace("dim: 200", "dim: 12")
        .replace("dim: 60", "dim: 12")
        .replace("dim: 150", "dim: 12")
    )
    backend = trained(work, yaml, path.stem, adaptation=work / "adapt")
    values = score_trials(work, backend, enroll_spk2utt=GOLDEN / "enroll.spk2utt")[2]
    assert np.isfinite(values).all()
    assert values.std() > 0


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("name: plda\nlinks: [{name: lda}]\n", r"x\.yaml: links\[0\]: key 'dim' is missing"),
        (
            "name: plda\nlinks: [{name: lba, dim: 3}]\n",
            r"x\.yaml: links\[0\]: name: no 'lba'; did you mean 'lda'\?",
        ),
        ("name: plda\nlinks: lda\n", r"x\.yaml: links: found 'lda', expected a list"),
        (
            "name: plda\nadaptation: {name: kaldi, within_scale: 1}\n",
            r"x\.yaml: adaptation: unknown key 'within_scale'",
        ),
        (
            "name: plda\niteration: 3\n",
            r"x\.yaml: unknown key 'iteration'; did you mean 'iterations'\?",
        ),
        ("name: plda\nsmoothing: -1\n", r"x\.yaml: found iterations 10, smoothing -1\.0"),
        (
            "name: plda\nlinks: [{name: lda, dim: 30}]\n",
            r"train: lda: dim 30 is more than the 24 dimensions",
        ),
        (
            "name: plda\nrank: 24\nlinks: [{name: lda, dim: 12}]\n",
            r"train: rank 24 is not between 1 and 12",
        ),
        ("name: plda\nadaptation: {name: kaldi}\n", r"x\.yaml: this back end needs --adaptation"),
    ],
)
def test_a_wrong_yaml_is_one_line(work, yaml, message):
    with pytest.raises(UserError, match=message) as error:
        trained(work, yaml, "x")
    assert len(str(error.value).splitlines()) == 1


def test_a_yaml_and_an_option_at_once_are_refused(work):
    with pytest.raises(UserError, match="leave --backend and --subtract-mean out"):
        trained(work, CHAIN, subtract_mean=False)


def test_plda_without_speakers_is_refused(work, command):
    (work / "x.yaml").write_text(CHAIN)
    done = command("steps.train_backend", work / "train", work / "x", "--config", work / "x.yaml")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "this back end needs --utt2spk" in done.stderr


def bad_training(case):
    """Keys, vectors and speakers with a fault."""
    (vectors, speakers), (keys, _) = training(), golden_vectors("train")
    vectors = vectors.copy()
    if case == "one_speaker":
        speakers = ["a"] * len(keys)
    elif case == "one_utterance_each":
        speakers = keys
    elif case == "fewer_than_dimensions":
        keys, vectors, speakers = keys[:20], vectors[:20], speakers[:20]
    elif case == "duplicates":
        vectors[5:8] = vectors[4]
    elif case in ("nan", "zero"):
        vectors[7] = np.nan if case == "nan" else 0
    elif case == "without_speaker":
        speakers = speakers[:-1]
    return keys, vectors, dict(zip(keys, speakers, strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("one_speaker", "found 1 speaker, expected several"),
        ("one_utterance_each", "each of the 473 speakers has one utterance"),
        ("fewer_than_dimensions", "found 20 vectors of 24 dimensions"),
        (
            "duplicates",
            "the embeddings of 'trn000-utt04' and 'trn000-utt05' are the same; 3 of 473",
        ),
        ("nan", "the embedding of 'trn001-utt01' is NaN or Inf; 1 of 473"),
        ("zero", "the embedding of 'trn001-utt01' is zero; 1 of 473"),
        ("without_speaker", "no speaker for 'trn079-utt..'; 1 of 473"),
    ],
)
def test_bad_training_embeddings_are_one_line_and_leave_no_file(tmp_path, command, case, message):
    keys, vectors, speaker_of = bad_training(case)
    write_embeddings(tmp_path / "train", keys, vectors)
    (tmp_path / "utt2spk").write_text(
        "".join(f"{key} {speaker}\n" for key, speaker in speaker_of.items())
    )
    (tmp_path / "x.yaml").write_text("name: plda\n")
    done = command(
        "steps.train_backend",
        tmp_path / "train",
        tmp_path / "x",
        "--config",
        tmp_path / "x.yaml",
        "--utt2spk",
        tmp_path / "utt2spk",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert not (tmp_path / "x" / "plda").exists()


def test_one_duplicate_is_counted_and_no_error(work, capsys):
    keys, vectors = golden_vectors("train")
    vectors[5] = vectors[4]
    write_embeddings(work / "train", keys, vectors)
    assert json.loads((trained(work, CHAIN) / "training.json").read_text())["duplicates"] == 1
    assert "trained on 473 embeddings, 1 of which equal another: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "plda",
            (GOLDEN / "plda_lda").read_bytes()[:700],
            "psi of <Plda>|transform of <Plda>|truncated",
        ),
        (
            "plda",
            (GOLDEN / "plda_raw").read_bytes(),
            "plda takes vectors of 24 dimensions, what comes before it leaves 12",
        ),
        ("plda", (GOLDEN / "mean.vec").read_bytes(), "expected Kaldi's <Plda>"),
        ("transform.mat", (GOLDEN / "mean.vec").read_bytes(), "expected a matrix"),
        ("transform.mat", (GOLDEN / "lda.mat").read_bytes()[:500], "truncated or damaged"),
        ("mean.vec", (GOLDEN / "lda.mat").read_bytes(), "expected a vector"),
    ],
)
def test_a_truncated_file_or_one_of_another_type_is_named(work, name, content, message):
    backend = trained(work, CHAIN)
    (backend / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        score_trials(work, backend, enroll_spk2utt=GOLDEN / "enroll.spk2utt")
    assert str(backend) in str(error.value)


def test_a_zero_test_vector_is_named(work):
    backend = trained(work, "name: plda\n")
    keys, vectors = golden_vectors("test")
    vectors[3] = 0
    write_embeddings(work / "test", keys, vectors)
    (work / "trials").write_text(f"{keys[3]} {keys[4]} target\n{keys[3]} {keys[5]} nontarget\n")
    with pytest.raises(UserError, match=f"the embedding of '{keys[3]}' is zero"):
        score(backend, work / "test", work / "trials", work / "scores" / "x.scores")


def test_adaptation_vectors_of_other_dimensions_are_refused(work):
    keys, vectors = golden_vectors("adapt")
    write_embeddings(work / "adapt", keys, vectors[:, :20])
    with pytest.raises(
        UserError, match="adapt: embeddings of 20 dimensions, those of .*train have 24"
    ):
        trained(work, "name: plda\nadaptation: {name: kaldi}\n", adaptation=work / "adapt")
