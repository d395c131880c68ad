"""Stages 4 to 7 of every recipe: the commands that options ask for, in the plan of run.sh."""

import os
import shlex
import subprocess

import pytest

from tests.conftest import ROOT

RECIPE = """#!/usr/bin/env bash
set -euo pipefail
cd {root} && . ./path.sh
# Options: name=default  # meaning
size=full   # one of full, tiny: of nothing
model=      # path: of nothing
. utils/stages.sh "$@"
{names}
if at_stage 4 "extract embeddings"; then
  extract_embeddings exp exp data train dev,test
  [ -z "${{baseline-}}" ] || extract_whole exp other data test --checkpoint step-0000000
fi
if at_stage 5 "train the back end"; then
  train_backends exp/embeddings/train data/train/utt2spk exp/backend --adaptation exp/embeddings/dev
fi
if at_stage 6 "score"; then
  score_systems exp exp/embeddings/train data {dev} {test}
  [ -z "${{baseline-}}" ] || score_whole other/backend/cosine other data {test}
fi
if at_stage 7 "report"; then
  evaluate_systems exp data data/train "{dev}" other
fi
"""


def start(script, plan, *options):
    """Write the plan of a recipe."""
    environment = {**os.environ, "SV_PLAN": str(plan)}
    return subprocess.run(
        ["bash", str(script), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def plan(tmp_path):
    """A function that gives the commands of a recipe by step, as lists of words."""

    def planned(*options, names="", dev="dev", test="test"):
        script, written = tmp_path / "run.sh", tmp_path / "plan"
        script.write_text(RECIPE.format(root=ROOT, names=names, dev=dev or '""', test=test))
        written.write_text("")
        done = start(script, written, *options)
        assert done.returncode == 0, done.stderr
        commands = {}
        for line in written.read_text().splitlines():
            kind, *words = shlex.split(line)
            words = words[words.index("-m") + 1 :] if kind in ("run", "launch") else [""]
            commands.setdefault(words[0].removeprefix("steps."), []).append(words[1:])
        return commands

    return planned


def option(words, name):
    """The value of an option; None where it is not given."""
    return words[words.index(name) + 1] if name in words else None


def test_without_options_there_is_one_cosine(plan):
    commands = plan()
    assert commands["train_backend"] == [
        ["exp/embeddings/train", "exp/backend/cosine", "--adaptation", "exp/embeddings/dev"]
    ]
    assert commands["score"] == [
        [
            "exp/backend/cosine",
            f"exp/embeddings/{name}",
            f"data/{name}/trials",
            f"exp/scores/{name}/cosine.scores",
        ]
        for name in ("dev", "test")
    ]
    (evaluate,) = commands["evaluate"]
    assert evaluate[:4] == ["exp", "data", "--others", "[other]"]
    assert [
        option(evaluate, name)
        for name in (
            "--train",
            "--dev",
            "--backend-training",
            "--cohort",
            "--calibration",
            "--allow-leakage",
        )
    ] == ["[data/train]", "[dev]", "[data/train]", None, None, "false"]
    assert commands["extract"] == [
        [
            "exp",
            "data",
            "exp/embeddings",
            "--sets",
            "[train, dev, test]",
            "--device",
            "cpu",
            "--job",
            "JOB/2",
        ]
    ]
    assert [words[1] for words in commands["collect_embeddings"]] == [
        f"exp/embeddings/{name}" for name in ("train", "dev", "test")
    ]
    assert set(commands) == {
        "",
        "extract",
        "collect_embeddings",
        "train_backend",
        "score",
        "evaluate",
    }


def test_a_test_protocol_is_of_both_sides_and_a_cut_of_one(plan):
    commands = plan(
        "--test-protocols",
        "crops_10x4s_rows,whole_reversed",
        names="cuts=whole,centre_2s baseline=yes",
        dev="",
    )
    cuts = ["", "centre_2s", "crops_10x4s_rows", "whole_reversed"]
    assert [
        (option(words, "--protocol") or "", option(words, "--sets"))
        for words in commands["extract"]
    ] == [(cut, "[dev, test]" if cut else "[train, dev, test]") for cut in cuts] + [("", "[test]")]
    assert commands["extract"][-1][2:] == [
        "other/embeddings",
        "--sets",
        "[test]",
        "--device",
        "cpu",
        "--job",
        "JOB/2",
        "--checkpoint",
        "step-0000000",
    ]
    assert [
        words[1].removeprefix("exp/embeddings/test").lstrip("/") for words in commands["score"][:-1]
    ] == cuts
    assert [option(words, "--enrol-embeddings") for words in commands["score"]] == [
        None,
        "exp/embeddings/test",
        None,
        None,
        None,
    ]
    assert commands["score"][-1][1] == "other/embeddings/test"


def test_every_option_has_its_commands(plan):
    commands = plan(
        "--backend",
        "conf/backends/cosine.yaml,conf/backends/plda.yaml",
        "--score-norm",
        "as_norm1",
        "--top-k",
        "5",
        "--calibrate",
        "quality",
        "--fuse",
        "true",
        "--operating-points",
        "0.001,0.1:2:1",
        "--allow-leakage",
        "true",
        names="policy=_copies",
    )
    assert [words[1] for words in commands["train_backend"]] == [
        "exp/backend/cosine_copies",
        "exp/backend/plda_copies",
    ]
    assert [option(words, "--config") for words in commands["train_backend"]] == [
        f"conf/backends/{name}.yaml" for name in ("cosine", "plda")
    ]
    assert len(commands["score"]) == len(commands["normalise_scores"]) == 4
    norm = commands["normalise_scores"][-1]
    assert norm[:6] == [
        "exp/scores/test/plda_copies.scores",
        "exp/backend/plda_copies",
        "exp/embeddings/test",
        "data/test",
        "exp/embeddings/train",
        "exp/scores/test/plda_copies_as_norm1.scores",
    ]
    assert (option(norm, "--top-k"), option(norm, "--allow-leakage")) == ("5", "true")
    assert [words[-3] for words in commands["calibrate"]] == [
        f"exp/calibration/{name}"
        for name in ("cosine_copies_as_norm1_quality", "plda_copies_as_norm1_quality", "fused")
    ]
    assert commands["calibrate"][2][:2] == [
        "exp/scores/dev/cosine_copies_as_norm1.scores",
        "exp/scores/dev/plda_copies_as_norm1.scores",
    ]
    assert commands["apply_calibration"][2][:5] == [
        "exp/calibration/fused",
        "exp/scores/test/cosine_copies_as_norm1.scores",
        "exp/scores/test/plda_copies_as_norm1.scores",
        "data/test",
        "exp/scores/test/fused.scores",
    ]
    assert (
        option(commands["apply_calibration"][2], "--measures")
        == "[data/test/utt2dur, exp/measures/test/utt2norm]"
    )
    assert commands["measure_norms"] == [
        [f"exp/embeddings/{name}", f"exp/measures/{name}"] for name in ("dev", "test")
    ]
    (evaluate,) = commands["evaluate"]
    assert [
        option(evaluate, name) for name in ("--cohort", "--calibration", "--operating-points")
    ] == ["[data/train]", "[dev]", "0.001,0.1:2:1"]


@pytest.mark.slow
def test_a_back_end_that_is_trained_already_is_taken_as_it_is(plan, tmp_path):
    trained = tmp_path / "elsewhere" / "plda"
    trained.mkdir(parents=True)
    (trained / "backend.json").write_text("{}")
    commands = plan(
        "--backend",
        f"conf/backends/cosine.yaml,{trained}",
        "--score-norm",
        "s_norm",
        names="policy=_copies",
    )
    assert [words[1] for words in commands["train_backend"]] == ["exp/backend/cosine_copies"]
    assert [(words[0], words[3]) for words in commands["score"][2:]] == [
        (str(trained), f"exp/scores/{name}/plda.scores") for name in ("dev", "test")
    ]
    assert commands["normalise_scores"][3][:2] == ["exp/scores/test/plda.scores", str(trained)]
    for given, complaint in (
        (tmp_path / "elsewhere", "a folder without backend.json"),
        (tmp_path / "none", "no such file"),
        (f"{trained},{trained}", "two of them have one name"),
    ):
        done = start(tmp_path / "run.sh", tmp_path / "plan", "--backend", str(given))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert complaint in done.stderr


@pytest.mark.parametrize(
    ("names", "protocols"),
    [("", "whole_reversed,whole_reversed"), ("cuts=whole,centre_2s", "centre_2s")],
)
@pytest.mark.slow
def test_a_protocol_that_would_be_scored_twice_in_one_place_is_refused(
    plan, tmp_path, names, protocols
):
    plan(names=names)
    done = start(tmp_path / "run.sh", tmp_path / "plan", "--test-protocols", protocols)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"--test-protocols {protocols}: each once" in done.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--top-k", "5"], "--top-k needs --score-norm as_norm1 or as_norm2"),
        (["--score-norm", "s_norm", "--top-k", "5"], "--top-k needs --score-norm"),
        (["--fuse-with", "elsewhere"], "--fuse-with needs --fuse true"),
        (["--fuse"], "--fuse needs several systems"),
        (["--cohort", "head"], "--cohort head needs --score-norm"),
        (["--cohort", "head", "--score-norm", "s_norm"], "--cohort head needs a network from"),
    ],
    ids=str,
)
@pytest.mark.slow
def test_an_option_without_what_it_belongs_to_is_refused(plan, tmp_path, options, complaint):
    plan()
    done = start(tmp_path / "run.sh", tmp_path / "plan", *options)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert complaint in done.stderr


def test_the_head_of_a_model_is_a_cohort_of_its_own_name(plan):
    commands = plan(
        *("--score-norm", "as_norm1", "--cohort", "head", "--calibrate"),
        *("--model", str(ROOT / "models" / "ecapa")),
        names="only_back_ends=true public_corpus=false",
    )
    norm = commands["normalise_scores"][1]
    assert norm[4:6] == ["models/ecapa", "exp/scores/test/cosine_as_norm1_head.scores"]
    assert option(norm, "--method") == "as_norm1"
    assert commands["calibrate"][0][0] == "exp/scores/dev/cosine_as_norm1_head.scores"
    (evaluate,) = commands["evaluate"]
    assert [option(evaluate, name) for name in ("--train", "--cohort", "--backend-training")] == [
        None,
        None,
        "[data/train]",
    ]
    assert option(evaluate, "--public-corpus") == "false"


def test_cut_sides_and_models_of_several_utterances(plan):
    commands = plan(
        "--score-norm",
        "s_norm",
        "--calibrate",
        "true",
        "--fuse-with",
        str(ROOT / "other"),
        "--fuse",
        "true",
        names='cuts=whole,centre_2s enrolled="test"',
    )
    whole, cut = commands["score"][1], commands["score"][3]
    assert whole[4:] == ["--enroll-spk2utt", "data/test/enroll.spk2utt"]
    assert cut == [
        "exp/backend/cosine",
        "exp/embeddings/test/centre_2s",
        "data/test/trials",
        "exp/scores/test/centre_2s/cosine.scores",
        "--enroll-spk2utt",
        "data/test/enroll.spk2utt",
        "--enrol-embeddings",
        "exp/embeddings/test",
    ]
    assert "--enroll-spk2utt" not in commands["score"][2]
    assert commands["normalise_scores"][3][2] == "exp/embeddings/test/centre_2s"
    assert [words[:2] for words in commands["calibrate"][2:]] == [
        ["exp/scores/dev/centre_2s/cosine_s_norm.scores", "data/dev"],
        [
            "exp/scores/dev/centre_2s/cosine_s_norm.scores",
            "other/scores/dev/centre_2s/cosine_s_norm.scores",
        ],
    ]
    assert commands["apply_calibration"][3][-3] == "exp/scores/test/centre_2s/fused.scores"


@pytest.mark.slow
def test_without_a_dev_set_there_is_no_calibration(plan, tmp_path):
    assert [words[1] for words in plan(dev="")["score"]] == ["exp/embeddings/test"]
    several = plan(dev="", names="tests=vox1_o,vox1_e", test='"$tests"')
    assert [words[1] for words in several["score"]] == [
        "exp/embeddings/vox1_o",
        "exp/embeddings/vox1_e",
    ]
    assert option(plan(dev="")["evaluate"][0], "--dev") is None
    done = start(tmp_path / "run.sh", tmp_path / "plan", "--calibrate")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--calibrate and --fuse learn from a dev set, and there is none" in done.stderr
