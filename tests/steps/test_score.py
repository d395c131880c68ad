"""Back end and scores: numbers by hand, Kaldi's own scores, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from steps.backends import BACKENDS
from steps.score import score
from steps.train_backend import train_backend
from utils.archive import ArchiveWriter, read_vector
from utils.errors import UserError
from utils.scoring.score_files import read_scores

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "kaldi"
VECTORS = {"ann-1": [4.0, 0.0], "ann-2": [4.0, 3.0], "bob-1": [0.0, 4.0], "bob-2": [1.0, 5.0]}
PROVENANCE = {
    "model": "0f0f",
    "front_end": {"name": "KaldiFbank", "num_bins": 80},
    "sample_rate_hz": 16000,
    "augmentation": "none",
}
QUICK = {
    "bvector": {"hidden_units": (32, 32), "steps": 5, "num_threads": 1}
}  # options of back ends whose training is long
TRIALS = "ann-1 ann-2 target\nann-1 bob-1 nontarget\nbob-2 bob-1 target\n"


def write_embeddings(folder, vectors, name="xvector"):
    """Embeddings as they come from outside: an archive and no provenance."""
    with ArchiveWriter(folder / f"{name}.ark", folder / f"{name}.scp") as writer:
        for key, vector in vectors.items():
            writer.write(key, np.asarray(vector, np.float32))
    return folder


def say_where_from(folder, **changes):
    """Make embeddings ours: provenance, and the receipt of the step that made them."""
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE | changes))
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


@pytest.fixture
def work(tmp_path):
    """Embeddings of four utterances in train/ and test/, and a list of trials."""
    for name in ("train", "test"):
        write_embeddings(tmp_path / name, VECTORS)
    (tmp_path / "trials").write_text(TRIALS)
    return tmp_path


def scores_of(work, **options):
    """Train, score, and read the scores."""
    train_backend(work / "train", work / "cosine")
    score(
        work / "cosine",
        work / "test",
        work / "trials",
        work / "scores" / "cosine.scores",
        **options,
    )
    return read_scores(work / "scores" / "cosine.scores")


def files_in(folder):
    """Names of all files below a folder, locks aside."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_scores_by_hand(work):
    """The mean is (2.25, 3): centred vectors (1.75, -3), (1.75, 0), (-2.25, 1), (-1.25, 2)."""
    enrol, test, values = scores_of(work)
    assert list(zip(enrol, test, strict=True)) == [
        ("ann-1", "ann-2"),
        ("ann-1", "bob-1"),
        ("bob-2", "bob-1"),
    ]
    length = np.hypot(1.75, 3)
    across, bobs = (
        (-2.25 * 1.75 - 3) / length / np.hypot(2.25, 1),
        (1.25 * 2.25 + 2) / np.hypot(1.25, 2) / np.hypot(2.25, 1),
    )
    assert values == pytest.approx([1.75 / length, across, bobs])
    assert (work / "scores" / "cosine.scores").read_text().splitlines()[
        0
    ] == f"ann-1 ann-2 {1.75 / length:.7g}"


def test_mean_is_written_as_kaldi_writes_it(work):
    train_backend(work / "train", work / "cosine")
    assert (work / "cosine" / "mean.vec").read_bytes() == b"\0BFV \4" + np.int32(
        2
    ).tobytes() + np.array([2.25, 3], np.float32).tobytes()


def test_mean_of_golden_training_vectors_is_that_of_kaldi(tmp_path, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    train_backend(golden_folder(tmp_path / "train", "train"), tmp_path / "cosine")
    ours, theirs = read_vector(tmp_path / "cosine" / "mean.vec"), read_vector(GOLDEN / "mean.vec")
    print(f"largest difference {np.abs(ours - theirs).max():.2e}")
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_cosine_without_mean_equals_kaldi_on_the_golden_set(tmp_path, monkeypatch):
    """Kaldi scored the mean of each model's utterances; we do so from the utterances."""
    monkeypatch.chdir(GOLDEN)
    folder = golden_folder(tmp_path / "test", "enroll", "test")
    train_backend(folder, tmp_path / "cosine", subtract_mean=False)
    score(
        tmp_path / "cosine",
        folder,
        GOLDEN / "trials",
        tmp_path / "cosine.scores",
        enroll_spk2utt=GOLDEN / "enroll.spk2utt",
        averaging="mean",
    )
    ours, theirs = read_scores(tmp_path / "cosine.scores"), read_scores(GOLDEN / "scores_cosine")
    assert ours[:2] == theirs[:2]
    print(f"{len(ours[2])} trials, largest difference {np.abs(ours[2] - theirs[2]).max():.2e}")
    assert len(ours[2]) > 500
    assert ours[2] == pytest.approx(theirs[2], abs=2e-6)


def golden_folder(folder, *names):
    """A folder whose xvector.scp lists Kaldi's archives."""
    folder.mkdir()
    (folder / "xvector.scp").write_text(
        "".join((GOLDEN / f"{name}.scp").read_text() for name in names)
    )
    return folder


def test_an_enrolment_side_may_be_a_speaker(work):
    write_embeddings(work / "test", {"ann": [4.0, 1.5], "bob": [0.5, 4.5]}, "spk_xvector")
    (work / "trials").write_text("ann bob-1 nontarget\nann-1 ann-2 target\nbob bob-1 target\n")
    values = scores_of(work)[2]
    left, right = np.array([1.75, -1.5]), np.array([-2.25, 1.0])
    assert values[0] == pytest.approx(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
    assert values[1] == pytest.approx(1.75 / np.hypot(1.75, 3))


@pytest.mark.parametrize(
    ("averaging", "model"),
    [
        # (1, 0) and (0.8, 0.6) have the mean (0.9, 0.3), which gets their mean length, 4.5
        (None, 4.5 * np.array([0.9, 0.3]) / np.hypot(0.9, 0.3)),
        ("unit", 4.5 * np.array([0.9, 0.3]) / np.hypot(0.9, 0.3)),
        ("mean", np.array([4.0, 1.5])),
    ],
)
def test_models_are_averages_of_their_utterances(work, averaging, model):
    (work / "enroll.spk2utt").write_text("model-a ann-1 ann-2\n")
    (work / "trials").write_text("model-a bob-1 nontarget\nmodel-a bob-2 nontarget\n")
    values = scores_of(work, enroll_spk2utt=work / "enroll.spk2utt", averaging=averaging)[2]
    left, right = model - [2.25, 3], np.array([-2.25, 1.0])
    assert values[0] == pytest.approx(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def test_a_protocol_may_state_another_average(work):
    (work / "enroll.spk2utt").write_text("model-a ann-1 ann-2\n")
    (work / "trials").write_text("model-a bob-1 nontarget\n")
    for name in ("train", "test"):
        say_where_from(work / name, averaging="mean")
    stated = scores_of(work, enroll_spk2utt=work / "enroll.spk2utt")[2]
    given = scores_of(work, enroll_spk2utt=work / "enroll.spk2utt", averaging="mean")[2]
    usual = scores_of(work, enroll_spk2utt=work / "enroll.spk2utt", averaging="unit")[2]
    assert stated == given != usual


@pytest.mark.parametrize(
    ("lists", "options", "message"),
    [
        (
            {"trials": "ann-1 ann-2 nontarget\n"},
            {},
            "trials:1: trial 'ann-1 ann-2' is nontarget, but utt2spk says 'ann' on both",
        ),
        (
            {"trials": "m ann-2 target\nm bob-2 target\n", "enroll.spk2utt": "m ann-1\n"},
            {"enroll_spk2utt": "enroll.spk2utt"},
            "trials:2: .* target, but utt2spk and enroll.spk2utt say 'ann' and 'bob'",
        ),
        (
            {"trials": "m bob-2 nontarget\nm ann-1 target\n", "elsewhere": "m ann-1\n"},
            {"enroll_spk2utt": "elsewhere"},
            "trials:2: test side 'ann-1' is an utterance of its own model 'm'",
        ),
        (
            {"trials": "m bob-2 nontarget\n", "elsewhere": "m ann-1 bob-1\n"},
            {"enroll_spk2utt": "elsewhere"},
            "elsewhere:1: model 'm' has utterances of 'ann' .* and 'bob'",
        ),
        (
            {"trials": "bob-1 bob-2 target\nann ann-2 target\n", "enroll.spk2utt": "ann ann-1\n"},
            {},
            (
                "trials:2: enrolment side 'ann' is a model of 1 utterances in .*; "
                "give --enroll-spk2utt .*enroll.spk2utt"
            ),
        ),
        (
            {"trials": "bob ann-1 nontarget\nann ann-2 target\n"},
            {},
            "trials:2: test side 'ann-2' is among the 2 utterances whose mean enrols speaker 'ann'",
        ),
    ],
)
def test_trials_are_held_against_the_lists_beside_them(work, lists, options, message):
    write_embeddings(work / "test", {"ann": [4.0, 1.5], "bob": [0.5, 4.5]}, "spk_xvector")
    (work / "test" / "num_utts.ark").write_text("ann 2\nbob 2\n")
    (work / "utt2spk").write_text("ann-1 ann\nann-2 ann\nbob-1 bob\nbob-2 bob\n")
    for name, content in lists.items():
        (work / name).write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        scores_of(work, **{name: work / path for name, path in options.items()})
    assert "\n" not in str(refused.value)
    assert files_in(work / "scores") == []


def test_a_refused_list_of_models_is_scored_as_the_message_says(work):
    (work / "enroll.spk2utt").write_text("ann ann-1\n")
    (work / "trials").write_text("ann ann-2 target\nann bob-1 nontarget\n")
    (work / "utt2spk").write_text("ann-1 ann\nann-2 ann\nbob-1 bob\nbob-2 bob\n")
    with pytest.raises(UserError, match="give --enroll-spk2utt") as refused:
        scores_of(work)
    told = Path(str(refused.value).rpartition("--enroll-spk2utt ")[2])
    output = work / "other" / "cosine.scores"  # a caught error keeps its lock
    counts = score(work / "cosine", work / "test", work / "trials", output, enroll_spk2utt=told)
    assert counts["trials"] == 2


def test_scores_need_no_classes(work, capsys):
    whole = scores_of(work)[2]
    for trials, said in (
        ("ann-1 ann-2\nann-1 bob-1\nbob-2 bob-1\n", "3 trials without a class"),
        (TRIALS.replace("nontarget", "target"), "all 3 trials are target"),
        ("ann-1 ann-2\nann-1 bob-1\nbob-2 bob-1\nbob-2 bob-2\n", "1 of 4 trials compare an utt"),
    ):
        (work / "trials").write_text(trials)
        found = scores_of(work)[2]
        assert found[:3].tolist() == whole.tolist()
        assert said in capsys.readouterr().out


def test_classes_that_cannot_be_checked_are_said_once(work, capsys):
    """As Kaldi's SRE16 writes test utterances."""
    (work / "utt2spk").write_text("ann-1 ann\nann-2 ann-2\nbob-1 bob-1\nbob-2 bob\n")
    assert len(scores_of(work)[2]) == 3
    said = [line for line in capsys.readouterr().out.splitlines() if "cannot be checked" in line]
    assert said == [
        (
            f"{work}/trials: the classes of 3 of 3 trials cannot be checked: "
            "utt2spk has no speaker for 'ann-2' (line 1)"
        )
    ]


def test_a_test_side_is_no_speaker(work):
    write_embeddings(work / "test", {"ann": [4.0, 1.5]}, "spk_xvector")
    (work / "trials").write_text("ann bob-1 nontarget\nann-1 ann target\n")
    with pytest.raises(
        UserError,
        match=r"trials:2: test side 'ann' of trial 'ann-1 ann' has no embedding in .*; 1 of 2",
    ):
        scores_of(work)


def test_repeating_is_done_already_and_gives_the_same_bytes(work):
    scores_of(work)
    output = work / "scores" / "cosine.scores"
    before, made = output.read_bytes(), output.stat().st_mtime_ns
    scores_of(work)
    assert output.stat().st_mtime_ns == made
    output.unlink()
    scores_of(work)
    assert output.read_bytes() == before


def test_another_back_end_has_the_scores_made_again(work, capsys):
    first = scores_of(work)[2]
    train_backend(work / "train", work / "cosine", subtract_mean=False)
    score(work / "cosine", work / "test", work / "trials", work / "scores" / "cosine.scores")
    assert "redone" in capsys.readouterr().err
    assert not np.allclose(first, read_scores(work / "scores" / "cosine.scores")[2])


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (
            "ann-1 ann-2 target\ncat-1 bob-1 nontarget\nann-1 dog-1 nontarget\n",
            (
                "trials:2: enrolment side 'cat-1' of trial 'cat-1 bob-1' has no embedding in .*test"
                "; 2 of 3 trials lack one"
            ),
        ),
        ("ann-1 ann-2 target\nann-1 bob-1\n", "trials:2"),
        ("ann-1 ann-2\nann-1 bob-1 nontarget\n", "trials:2: 3 fields .*, or none"),
        (
            "ann-1 ann-1 target\nann-1 bob-1 nontarget\n",
            "trials:1: trial of utterance 'ann-1' with itself",
        ),
        (
            "ann-1 bob-1 nontarget\nbob-1 ann-1 target\n",
            "trials:2: trial 'bob-1 ann-1' is target, in line 1 nontarget",
        ),
    ],
)
def test_bad_trials_are_one_line_and_leave_nothing(work, command, trials, message):
    (work / "trials").write_text(trials)
    train_backend(work / "train", work / "cosine")
    done = command(
        "steps.score",
        work / "cosine",
        work / "test",
        work / "trials",
        work / "scores" / "cosine.scores",
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert re.search(message, done.stderr)
    assert files_in(work / "scores") == []


@pytest.mark.parametrize(
    "change", [{"model": "beef"}, {"front_end": {"name": "KaldiMfcc"}}, {"sample_rate_hz": 8000}]
)
def test_embeddings_of_another_origin_are_refused(work, change):
    say_where_from(work / "train")
    say_where_from(work / "test", **change)
    with pytest.raises(UserError, match=f"{next(iter(change))} is .*, .*cosine was trained on"):
        scores_of(work)


def test_embeddings_that_do_not_say_where_they_are_from_are_refused_beside_some_that_do(work):
    say_where_from(work / "train")
    with pytest.raises(UserError, match=r"test/provenance\.json: missing"):
        scores_of(work)


def test_other_crops_or_augmentation_are_said_and_scored(work, capsys):
    say_where_from(work / "train", augmentation="noise")
    say_where_from(work / "test")
    scores_of(work)
    assert "augmentation: " in (said := capsys.readouterr().out)
    assert '"noise"' in said


def test_embeddings_without_their_receipt_are_unfinished(work):
    say_where_from(work / "train")
    (work / "train" / "receipts" / "collect_embeddings.json").unlink()
    with pytest.raises(UserError, match=r"collect_embeddings\.json is missing"):
        train_backend(work / "train", work / "cosine")


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("vector", [[np.nan, 1.0], [np.inf, 1.0], [np.inf, -np.inf], [1, -np.inf]])
def test_an_embedding_that_is_not_finite_is_named_without_a_warning(work, vector):
    write_embeddings(work / "test", VECTORS | {"bob-1": vector})
    with pytest.raises(UserError, match="the embedding of 'bob-1' is NaN or Inf; 1 of 4"):
        scores_of(work)
    write_embeddings(work / "train", VECTORS | {"bob-2": vector})
    with pytest.raises(UserError, match="the embedding of 'bob-2' is NaN or Inf"):
        train_backend(work / "train", work / "other")


def test_a_zero_embedding_is_named(work):
    write_embeddings(work / "test", VECTORS | {"ann-2": [2.25, 3.0]})
    with pytest.raises(UserError, match="the embedding of 'ann-2' is zero"):
        scores_of(work)


def test_other_dimensions_are_refused(work):
    write_embeddings(work / "test", {key: [*vector, 1.0] for key, vector in VECTORS.items()})
    with pytest.raises(UserError, match="embeddings of 3 dimensions, .*cosine was trained on 2"):
        scores_of(work)


def test_an_unknown_back_end_is_refused_by_the_command(work, command):
    done = command("steps.train_backend", work / "train", work / "other", "--backend", "cosin")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no 'cosin'; did you mean 'cosine'?" in done.stderr
    assert files_in(work / "other") == []


@pytest.mark.parametrize("name", BACKENDS)
def test_a_back_end_survives_its_files(name):
    rng = np.random.default_rng(0)
    train, enrol, test = (rng.standard_normal((50, 8)).astype(np.float32) for _ in range(3))
    learned = BACKENDS[name](**QUICK.get(name, {})).fit(
        train, [f"speaker{k % 10}" for k in range(50)]
    )
    again = BACKENDS[name](**QUICK.get(name, {})).from_parts(learned.parts())
    first, second = (
        one.score(one.transform(enrol), one.transform(test)) for one in (learned, again)
    )
    assert first.shape == (50,)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_score_depends_on_its_own_trial_only(name):
    rng = np.random.default_rng(1)
    enrol, test = (rng.standard_normal((3000, 16)).astype(np.float32) for _ in range(2))
    backend = BACKENDS[name](**QUICK.get(name, {})).fit(
        enrol, [f"speaker{k % 100}" for k in range(3000)]
    )
    together = backend.score(backend.transform(enrol), backend.transform(test))
    alone = [
        backend.score(backend.transform(enrol[k : k + 1]), backend.transform(test[k : k + 1]))[0]
        for k in (0, 1023, 1024, 2999)
    ]
    expected = together[[0, 1023, 1024, 2999]].tolist()
    assert alone == (
        pytest.approx(expected, rel=1e-4, abs=1e-5) if name == "bvector" else expected
    )  # a network: by float32 rounding it does
