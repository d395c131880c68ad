"""Experiments exported to Kaldi and imported again, folders made by Kaldi, and refusals."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from steps.export_kaldi import export_kaldi
from steps.import_kaldi import import_kaldi
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.backends.kaldi_golden import GOLDEN, golden_vectors
from tests.steps.test_score import say_where_from, write_embeddings
from utils.archive import iterate_archive, read_matrix, read_scp, read_vector, read_vectors
from utils.archive.plda import read_plda
from utils.embeddings.provenance import read_provenance
from utils.errors import UserError
from utils.scoring.kaldi_commands import TrialFiles, links_rspecifier, scoring_command
from utils.scoring.score_files import read_scores

CHAIN = "name: plda\nlinks: [{name: mean}, {name: lda, dim: 12}, {name: length_norm}]\n"


@pytest.fixture
def experiment(tmp_path):
    """Kaldi's golden vectors as an experiment: two sets, a back end, scores, data directories."""
    exp, data = tmp_path / "exp", tmp_path / "data"
    (keys, vectors), (more, others), (models, means) = (
        golden_vectors("enroll"),
        golden_vectors("test"),
        golden_vectors("enroll_mean"),
    )
    write_embeddings(exp / "embeddings" / "train", dict(zip(*golden_vectors("train"), strict=True)))
    write_embeddings(
        exp / "embeddings" / "test", dict(zip([*keys, *more], [*vectors, *others], strict=True))
    )
    write_embeddings(
        exp / "embeddings" / "test", dict(zip(models, means, strict=True)), "spk_xvector"
    )
    shutil.copy(GOLDEN / "enroll_num_utts.txt", exp / "embeddings" / "test" / "num_utts.ark")
    for name in ("train", "test"):
        (data / name).mkdir(parents=True)
        say_where_from(exp / "embeddings" / name)
    for name in ("utt2spk", "spk2utt"):
        shutil.copy(GOLDEN / f"train.{name}", data / "train" / name)
    shutil.copy(GOLDEN / "trials", data / "test" / "trials")
    (tmp_path / "lda_plda.yaml").write_text(CHAIN)
    train_backend(
        exp / "embeddings" / "train",
        exp / "backend" / "lda_plda",
        config=tmp_path / "lda_plda.yaml",
        utt2spk=data / "train" / "utt2spk",
    )
    score(
        exp / "backend" / "lda_plda",
        exp / "embeddings" / "test",
        data / "test" / "trials",
        exp / "scores" / "test" / "lda_plda.scores",
    )
    return exp


@pytest.fixture
def kaldi(tmp_path):
    """A folder as Kaldi's scripts leave it: archives, paths relative to its recipe, back end."""
    recipe = tmp_path / "v2"
    for name, files, backend in (
        (
            "train",
            {"train": "xvector"},
            {"mean.vec": "mean.vec", "lda.mat": "transform.mat", "plda_lda": "plda"},
        ),
        ("test", {"test": "xvector", "enroll_mean": "spk_xvector"}, {}),
    ):
        folder = recipe / "exp" / "xvector_nnet_1a" / f"xvectors_{name}"
        folder.mkdir(parents=True)
        for golden, here in files.items():
            shutil.copy(GOLDEN / f"{golden}.ark", folder / f"{here}.ark")
            text = (GOLDEN / f"{golden}.scp").read_text()
            (folder / f"{here}.scp").write_text(
                text.replace(f" {golden}.ark:", f" exp/xvector_nnet_1a/xvectors_{name}/{here}.ark:")
            )
        for golden, here in backend.items():
            shutil.copy(GOLDEN / golden, folder / here)
    shutil.copy(GOLDEN / "enroll_num_utts.txt", folder / "num_utts.ark")
    return recipe / "exp" / "xvector_nnet_1a"


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "receipts" not in path.parts
    }


def test_a_folder_of_kaldi_is_scored_as_kaldi_scored_it(kaldi, tmp_path):
    counts = import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1])
    assert counts == {
        "utterances": {"test": 120, "train": 473},
        "backend": ["mean.vec", "transform.mat", "plda"],
    }
    out = tmp_path / "exp" / "scores" / "test" / "kaldi.scores"
    found = score(
        tmp_path / "exp" / "backend" / "kaldi",
        tmp_path / "exp" / "embeddings" / "test",
        GOLDEN / "trials",
        out,
    )
    assert found["centred"] == "mean that came with an imported back end"
    (enrol, test, ours), theirs = read_scores(out), read_scores(GOLDEN / "scores_plda_lda")
    assert (enrol, test) == theirs[:2]
    assert ours == pytest.approx(theirs[2], abs=5e-5)
    assert (tmp_path / "exp" / "backend" / "kaldi" / "plda").read_bytes() == (
        GOLDEN / "plda_lda"
    ).read_bytes()
    facts = read_provenance(tmp_path / "exp" / "embeddings" / "test")
    assert facts["front_end"] == "foreign: Kaldi's"
    assert facts == read_provenance(tmp_path / "exp" / "backend" / "kaldi")
    train_backend(
        tmp_path / "exp" / "embeddings" / "train", tmp_path / "exp" / "backend" / "cosine"
    )  # and ours is trained on Kaldi's vectors


@pytest.mark.parametrize(
    ("options", "files", "scores"),
    [
        (
            {"length_norm": False, "normalize_length": False},
            {"plda_raw": "plda"},
            "scores_plda_raw_nonorm",
        ),
        (
            {"length_norm": False, "simple_length_normalization": True},
            {"plda_raw": "plda"},
            "scores_plda_raw_simple",
        ),
        ({"length_norm": False, "plda": "plda_adapted"}, {}, "scores_plda_adapted"),
    ],
)
def test_other_back_ends_of_kaldi(kaldi, tmp_path, options, files, scores):
    for name in ("mean.vec", "transform.mat", "plda"):
        (kaldi / "xvectors_train" / name).unlink()
    for golden, here in files.items():
        shutil.copy(GOLDEN / golden, kaldi / "xvectors_train" / here)
    options |= {"plda": GOLDEN / options["plda"]} if "plda" in options else {}
    import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1], **options)
    out = tmp_path / "exp" / "x.scores"
    score(
        tmp_path / "exp" / "backend" / "kaldi",
        tmp_path / "exp" / "embeddings" / "test",
        GOLDEN / "trials",
        out,
    )
    assert read_scores(out)[2] == pytest.approx(read_scores(GOLDEN / scores)[2], abs=5e-5)


def test_files_in_text_form_are_taken_too(kaldi, tmp_path):
    import_kaldi(
        kaldi,
        tmp_path / "exp",
        root=kaldi.parents[1],
        mean=GOLDEN / "mean.txt",
        transform=GOLDEN / "lda.txt",
        plda=GOLDEN / "plda_lda.txt",
    )
    out, theirs = tmp_path / "exp" / "x.scores", read_scores(GOLDEN / "scores_plda_lda")[2]
    score(
        tmp_path / "exp" / "backend" / "kaldi",
        tmp_path / "exp" / "embeddings" / "test",
        GOLDEN / "trials",
        out,
    )
    assert (np.abs(read_scores(out)[2] - theirs) <= 1e-3 * np.maximum(1, np.abs(theirs))).all()


def test_smoothing_is_that_of_ivector_copy_plda(kaldi, tmp_path):
    import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1], smoothing=0.1)
    ours, theirs = (
        read_plda(tmp_path / "exp" / "backend" / "kaldi" / "plda"),
        read_plda(GOLDEN / "plda_lda_smoothed.txt"),
    )
    assert ours.psi == pytest.approx(theirs.psi, rel=1e-6)
    assert ours.transform == pytest.approx(theirs.transform, rel=1e-6, abs=1e-6)


def test_enrolments_may_have_a_set_of_their_own(kaldi, tmp_path):
    """As in egs/sre16/v2: models and their counts in xvectors_enroll, tests in xvectors_test."""
    enroll = kaldi / "xvectors_enroll"
    enroll.mkdir()
    for name in ("spk_xvector.ark", "spk_xvector.scp", "num_utts.ark"):
        shutil.move(kaldi / "xvectors_test" / name, enroll / name)
    shutil.copy(GOLDEN / "enroll.ark", enroll / "xvector.ark")
    exp, out = tmp_path / "exp", tmp_path / "exp" / "kaldi.scores"
    (enroll / "xvector.scp").write_text(
        (GOLDEN / "enroll.scp").read_text().replace("enroll.ark", "xvector.ark")
    )
    import_kaldi(kaldi, exp, archives="beside")
    score(
        exp / "backend" / "kaldi",
        exp / "embeddings" / "test",
        GOLDEN / "trials",
        out,
        enrol_embeddings=exp / "embeddings" / "enroll",
    )
    assert read_scores(out)[2] == pytest.approx(
        read_scores(GOLDEN / "scores_plda_lda")[2], abs=5e-5
    )


def test_a_copied_folder_of_ivectors_is_found_beside_its_lists(kaldi, tmp_path):
    copy = tmp_path / "elsewhere" / "exp"
    shutil.copytree(kaldi / "xvectors_test", copy / "ivectors_test")
    for old in list((copy / "ivectors_test").glob("*xvector.*")):
        content = old.read_bytes()
        old.unlink()
        if old.suffix == ".scp":
            content = content.replace(b"/xvector.ark", b"/ivector.ark").replace(
                b"/spk_xvector.ark", b"/spk_ivector.ark"
            )
        old.with_name(old.name.replace("xvector", "ivector")).write_bytes(content)
    with pytest.raises(UserError, match="no such regular file"):
        import_kaldi(copy, tmp_path / "first")
    assert import_kaldi(copy, tmp_path / "exp", archives="beside") == {
        "utterances": {"test": 120},
        "backend": [],
    }
    keys, vectors = read_vectors(tmp_path / "exp" / "embeddings" / "test" / "xvector.scp")
    assert (keys, vectors.tolist()) == (
        golden_vectors("test")[0],
        golden_vectors("test")[1].tolist(),
    )


def test_an_export_is_what_kaldis_scripts_expect(experiment, tmp_path):
    out = tmp_path / "kaldi"
    assert export_kaldi(experiment, tmp_path / "data", out, backend="lda_plda") == {
        "utterances": {"test": 163, "train": 473},
        "scores": ["test"],
    }
    assert set(content_of(out)) == {
        "xvectors_train/xvector.ark",
        "xvectors_train/xvector.scp",
        "xvectors_test/xvector.ark",
        "xvectors_test/xvector.scp",
        "xvectors_test/spk_xvector.ark",
        "xvectors_test/spk_xvector.scp",
        "xvectors_test/num_utts.ark",
        "xvectors_train/mean.vec",
        "xvectors_train/transform.mat",
        "xvectors_train/plda",
        "data/train/utt2spk",
        "data/train/spk2utt",
        "data/test/trials",
        "scores_test",
        "score.sh",
        "path.sh",
    }
    assert (out / "xvectors_train" / "xvector.ark").read_bytes() == (
        GOLDEN / "train.ark"
    ).read_bytes()
    assert (out / "xvectors_test" / "spk_xvector.ark").read_bytes() == (
        GOLDEN / "enroll_mean.ark"
    ).read_bytes()
    assert read_vector(out / "xvectors_train" / "mean.vec") == pytest.approx(
        read_vector(GOLDEN / "mean.vec"), abs=1e-6
    )
    assert read_matrix(out / "xvectors_train" / "transform.mat").shape == (12, 25)
    assert read_plda(out / "xvectors_train" / "plda").psi == pytest.approx(
        read_plda(GOLDEN / "plda_lda").psi, abs=1e-5
    )
    assert (out / "scores_test").read_bytes() == (
        experiment / "scores" / "test" / "lda_plda.scores"
    ).read_bytes()
    assert read_scores(out / "scores_test")[2] == pytest.approx(
        read_scores(GOLDEN / "scores_plda_lda")[2], abs=5e-5
    )


def test_paths_of_an_export_are_relative_to_it_or_to_a_root_or_absolute(
    experiment, tmp_path, monkeypatch
):
    for options, start in (
        ({}, ""),
        ({"root": tmp_path}, "there/"),
        ({"paths": "absolute"}, f"{tmp_path}/there/"),
    ):
        out = tmp_path / "there"
        shutil.rmtree(out, ignore_errors=True)
        export_kaldi(experiment, tmp_path / "data", out, backend="lda_plda", **options)
        assert next(iter(read_scp(out / "xvectors_test" / "xvector.scp").values())).startswith(
            f"{start}xvectors_test/xvector.ark:"
        )
        assert f" scp:{start}xvectors_test/spk_xvector.scp ark:- " in (out / "score.sh").read_text()
        with monkeypatch.context() as here:
            here.chdir(options.get("root", out))
            assert len(read_vectors(out / "xvectors_test" / "xvector.scp")[0]) == 163


def test_an_export_comes_back_with_the_same_scores_and_repeats_its_bytes(experiment, tmp_path):
    out, again = tmp_path / "kaldi", tmp_path / "again"
    for folder in (out, again):
        export_kaldi(experiment, tmp_path / "data", folder, backend="lda_plda")
    assert content_of(out) == content_of(again)
    import_kaldi(out, tmp_path / "back", root=out)
    scores = tmp_path / "back" / "scores" / "test" / "kaldi.scores"
    score(
        tmp_path / "back" / "backend" / "kaldi",
        tmp_path / "back" / "embeddings" / "test",
        out / "data" / "test" / "trials",
        scores,
    )
    assert scores.read_bytes() == (out / "scores_test").read_bytes()


def test_models_and_cosine_have_kaldis_commands_too(experiment, tmp_path):
    shutil.copy(GOLDEN / "enroll.spk2utt", tmp_path / "data" / "test" / "enroll.spk2utt")
    train_backend(experiment / "embeddings" / "train", experiment / "backend" / "cosine")
    export_kaldi(experiment, tmp_path / "data", tmp_path / "kaldi", backend="cosine", sets=["test"])
    lines = (tmp_path / "kaldi" / "score.sh").read_text()
    models = dict(iterate_archive(tmp_path / "kaldi" / "xvectors_test" / "enroll.ark"))
    assert set(models) == set(golden_vectors("enroll_mean")[0])
    counts = (tmp_path / "kaldi" / "xvectors_test" / "enroll_num_utts.ark").read_text()
    assert sorted(counts.split()) == sorted((GOLDEN / "enroll_num_utts.txt").read_text().split())
    side = (
        "ark:ivector-subtract-global-mean xvectors_train/mean.vec "
        "scp:xvectors_test/enroll.scp ark:- | ivector-normalize-length --scaleup=false"
    )
    assert f"  '{side} ark:- ark:- |'" in lines


def test_models_are_exported_as_they_were_averaged_for_the_scores(experiment, tmp_path):
    models = tmp_path / "data" / "test" / "enroll.spk2utt"
    shutil.copy(GOLDEN / "enroll.spk2utt", models)
    for number, averaging in enumerate(["mean", "unit"]):
        score(
            experiment / "backend" / "lda_plda",
            experiment / "embeddings" / "test",
            tmp_path / "data" / "test" / "trials",
            experiment / "scores" / "test" / "lda_plda.scores",
            enroll_spk2utt=models,
            averaging=averaging,
        )
        output = tmp_path / f"kaldi{number}"
        export_kaldi(experiment, tmp_path / "data", output, backend="lda_plda", sets=["test"])
        ours = dict(iterate_archive(output / "xvectors_test" / "enroll.ark"))
        means = dict(zip(*golden_vectors("enroll_mean"), strict=True))
        difference = max(np.abs(ours[name] - means[name]).max() for name in means)
        assert (difference < 1e-5) == (averaging == "mean")


def one_line(command):
    return " ".join(command.replace("\\\n", " ").split())


def test_the_commands_are_those_that_made_the_golden_files():
    """But for how the trials' names are cut out."""
    made = {
        line.split()[-1]: line
        for line in (GOLDEN / "COMMANDS.txt").read_text().splitlines()
        if "scores_" in line
    }
    plda = {
        "name": "plda",
        "links": [{"name": "length_norm", "scaleup": True}],
        "normalize_length": True,
        "simple_length_normalization": False,
        "multi_session": "by_the_book",
    }
    for name, chain, counts in (
        ("scores_plda_lda", ["mean.vec", "lda.mat", ""], "ark:enroll_num_utts.txt"),
        ("scores_plda_lda_single", ["mean.vec", "lda.mat", ""], None),
    ):
        files = TrialFiles("scp:enroll_mean.scp", "scp:test.scp", counts, "trials", name)
        ours = one_line(scoring_command(plda, chain, ".", files))
        expected = (
            made[name]
            .replace("cat trials | awk '{print \\$1, \\$2}' |", "awk '{print \\$1, \\$2}' trials |")
            .replace("plda_lda '", "plda '")
        )
        assert ours.replace("./", "") == expected
    files = TrialFiles("scp:enroll_mean.scp", "scp:test.scp", None, "trials", "scores_cosine")
    cosine = one_line(scoring_command({"name": "cosine"}, [], ".", files))
    assert cosine == made["scores_cosine"].replace(
        "cat trials | awk '{print \\$1, \\$2}' |", "awk '{print \\$1, \\$2}' trials |"
    )
    assert links_rspecifier("scp:x", [], ".", []) == "scp:x"


def broken(kaldi, case):
    """Spoil a folder of Kaldi's."""
    train, test = kaldi / "xvectors_train", kaldi / "xvectors_test"
    if case == "cut archive":
        (test / "xvector.ark").write_bytes((test / "xvector.ark").read_bytes()[:-5])
    elif case == "cut plda":
        (train / "plda").write_bytes((train / "plda").read_bytes()[:-9])
    elif case == "plda is a matrix":
        shutil.copy(train / "transform.mat", train / "plda")
    elif case == "other plda":
        shutil.copy(GOLDEN / "plda_raw", train / "plda")
    elif case == "other mean":
        (train / "transform.mat").unlink()
        (train / "plda").unlink()
        (train / "mean.vec").write_bytes(
            b"\0BFV \4" + np.int32(2).tobytes() + np.zeros(2, np.float32).tobytes()
        )
    elif case == "mean of nothing":
        (train / "mean.vec").write_bytes(
            b"\0BFV \4" + np.int32(24).tobytes() + np.full(24, np.nan, np.float32).tobytes()
        )
    elif case == "two back ends":
        shutil.copy(train / "plda", test / "plda")
    elif case == "matrices":
        (test / "xvector.scp").write_text(
            "".join(
                f"{key} {GOLDEN}/{entry}\n" for key, entry in read_scp(GOLDEN / "mats.scp").items()
            )
        )
    elif case == "pipe":
        (test / "xvector.scp").write_text("a copy-vector x - |\n")
    elif case == "no counts":
        (test / "num_utts.ark").write_text("spk000 3\n")
    elif case == "empty":
        (test / "xvector.scp").write_text("")
    else:
        shutil.rmtree(train)
        shutil.rmtree(test)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("cut archive", r"xvector\.ark:\d+: key 'tst119': truncated"),
        ("cut plda", r"train/plda: "),
        ("plda is a matrix", "expected Kaldi's <Plda>"),
        ("other plda", "plda takes vectors of 24 dimensions, what comes before it leaves 12"),
        ("other mean", "mean.vec: takes vectors of 2 dimensions, those of set test have 24"),
        ("mean of nothing", "mean.vec has values that are not finite"),
        ("two back ends", "in the folders of test, train, expected one set; choose by --backend"),
        ("matrices", "key 'm0': found a float32 matrix of 25 x 13, expected a float vector"),
        ("pipe", "is a shell pipe"),
        (
            "no counts",
            r"num_utts\.ark: no number of utterances \(1 or more\) for speaker 'spk001'; 19 of 20",
        ),
        ("empty", "no entries"),
        ("nothing", "no xvectors_<set>/xvector.scp"),
    ],
)
def test_a_bad_folder_of_kaldi_is_one_line(kaldi, tmp_path, case, words):
    broken(kaldi, case)
    with pytest.raises(UserError, match=words) as refused:
        import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "exp" / "backend" / "kaldi" / "receipts" / "train_backend.json").exists()


@pytest.mark.filterwarnings("error::RuntimeWarning:steps.backends.plda")
def test_sets_and_files_that_are_not_there_are_named(kaldi, experiment, tmp_path):
    for options, words in (
        ({"sets": ["tset"]}, "no set 'tset'; there are test, train"),
        ({"backend_set": "dev"}, "no set 'dev'"),
        ({"plda": Path("none")}, "none: no such file"),
        ({"smoothing": -1.0}, "smoothing from 0"),
    ):
        with pytest.raises(UserError, match=words):
            import_kaldi(kaldi, tmp_path / "x", root=kaldi.parents[1], **options)
    with pytest.raises(UserError, match=r"backend/plda/receipts/train_backend\.json is missing"):
        export_kaldi(experiment, tmp_path / "data", tmp_path / "kaldi", backend="plda")


def two_back_ends(kaldi):
    """A second set with files of a back end, of other sizes."""
    shutil.copy(kaldi / "xvectors_train" / "mean.vec", kaldi / "xvectors_test" / "mean.vec")


def test_back_ends_of_two_sets_are_told_before_anything_is_written(kaldi, tmp_path):
    two_back_ends(kaldi)
    with pytest.raises(
        UserError,
        match="test, train, expected one set; choose by --backend-set, .* --embeddings-only",
    ):
        import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1], sets=["test"])
    assert not (tmp_path / "exp").exists()


def test_embeddings_are_imported_alone_where_that_is_asked_for(kaldi, tmp_path):
    two_back_ends(kaldi)
    options = {"root": kaldi.parents[1], "sets": ["test"], "embeddings_only": True}
    told = import_kaldi(kaldi, tmp_path / "exp", **options)
    assert (list(told["utterances"]), told["backend"]) == (["test"], [])
    assert (tmp_path / "exp" / "embeddings" / "test" / "xvector.scp").exists()
    assert not (tmp_path / "exp" / "backend").exists()
    for more in ({"backend_set": "train"}, {"plda": kaldi / "xvectors_train" / "plda"}):
        with pytest.raises(UserError, match="--embeddings-only and files of a back end"):
            import_kaldi(kaldi, tmp_path / "other", **options, **more)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("mean.vec", " [ 1 2 3 ]\n", "takes vectors of 3 dimensions, those of set test have 24"),
        ("transform.mat", " [\n  1 2 3\n  4 5 6 ]\n", "takes vectors of 2 or 3 dimensions"),
        ("plda", "no plda", "plda"),
    ],
)
def test_a_back_end_that_does_not_fit_is_told_before_anything_is_written(
    kaldi, tmp_path, file, content, words
):
    for name in ("mean.vec", "transform.mat", "plda"):
        (kaldi / "xvectors_train" / name).unlink()
    (kaldi / "xvectors_train" / file).write_text(content)
    with pytest.raises(UserError, match=words):
        import_kaldi(kaldi, tmp_path / "exp", root=kaldi.parents[1], sets=["test"])
    assert not (tmp_path / "exp").exists()


def test_matrices_and_networks_do_not_go_to_kaldi(experiment, tmp_path):
    write_embeddings(experiment / "embeddings" / "rows", {"a": np.ones((3, 4))})
    say_where_from(experiment / "embeddings" / "rows")
    with pytest.raises(
        UserError,
        match="a float32 matrix of 3 x 4, expected a vector for each utterance",
    ):
        export_kaldi(experiment, tmp_path / "data", tmp_path / "kaldi", sets=["rows"])
    (experiment / "backend" / "lda_plda" / "backend.json").write_text(
        '{"options": {"name": "euclidean"}, "parts": [], "dimensions": 24}'
    )
    with pytest.raises(UserError, match="Kaldi has no program for back end 'euclidean'"):
        export_kaldi(
            experiment, tmp_path / "data", tmp_path / "kaldi", sets=["test"], backend="lda_plda"
        )


def test_the_commands_exit_as_they_should(kaldi, tmp_path, command):
    assert (
        command(
            "steps.import_kaldi", kaldi, tmp_path / "exp", "--root", kaldi.parents[1]
        ).returncode
        == 0
    )
    done = command(
        "steps.export_kaldi",
        tmp_path / "exp",
        tmp_path / "data",
        tmp_path / "out",
        "--backend",
        "kaldi",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(iterate_archive(tmp_path / "out" / "xvectors_test" / "xvector.ark"))) == 120
    shutil.rmtree(kaldi)
    done = command("steps.import_kaldi", kaldi, tmp_path / "other")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_kaldis_own_scripts_run_in_an_export_and_find_its_sound(experiment, tmp_path):
    """Stand-ins for Kaldi's scripts in its folder layout; the real ones if KALDI_ROOT is set."""
    wav, packed = tmp_path / "a.wav", tmp_path / "data" / "test"
    wav.touch()
    (packed / "wav.scp").write_text(f"a {os.path.relpath(wav)}\n")
    (packed / "utt2dur").write_text("a 1.5\n")
    out = tmp_path / "kaldi"
    export_kaldi(experiment, tmp_path / "data", out, sets=["test"], sound=True)
    assert (out / "data" / "test" / "wav.scp").read_text() == f"a {wav}\n"
    assert (out / "data" / "test" / "utt2dur").read_bytes() == (packed / "utt2dur").read_bytes()

    root = tmp_path / "with a blank" / "kaldi"
    for folder in ("wsj/s5/utils", "wsj/s5/steps", "sre08/v1/sid"):
        script = root / "egs" / folder / "who.sh"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\necho {folder}\n")
        script.chmod(0o755)
    calls = "set -eu; . ./path.sh; . ./path.sh; utils/who.sh; steps/who.sh; sid/who.sh; who.sh"
    for given in (root, os.path.relpath(root, out)):
        done = subprocess.run(
            ["bash", "-c", calls],
            cwd=out,
            env={**os.environ, "KALDI_ROOT": str(given)},
            capture_output=True,
            text=True,
        )
        assert (done.stdout.split(), done.stderr) == (
            ["wsj/s5/utils", "wsj/s5/steps", "sre08/v1/sid", "wsj/s5/utils"],
            "",
        )
    environment = {name: value for name, value in os.environ.items() if name != "KALDI_ROOT"}
    refused = subprocess.run(
        ["bash", "-c", calls], cwd=out, env=environment, capture_output=True, text=True
    )
    assert refused.returncode != 0
    assert "KALDI_ROOT: is not set; export KALDI_ROOT=FOLDER" in refused.stderr


@pytest.mark.skipif("KALDI_ROOT" not in os.environ, reason="KALDI_ROOT names no Kaldi")
def test_kaldis_validation_finds_an_export_good(experiment, tmp_path):
    out = tmp_path / "kaldi"
    export_kaldi(experiment, tmp_path / "data", out, sets=["train"])
    calls = ". ./path.sh; utils/validate_data_dir.sh --no-wav --no-feats --no-text data/train"
    done = subprocess.run(["bash", "-c", calls], cwd=out, capture_output=True, text=True)
    assert (done.returncode, "Successfully validated" in done.stdout) == (0, True), done
