"""run.sh around the stages: options, what is done or stale, and bad input, each in one line."""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.recipes.runs import TRAIN_NOTHING, contents, difference, last_line, run
from tests.tree import RECIPES

NAMES = [path.parent.name for path in RECIPES]
each_recipe = pytest.mark.parametrize("recipe", NAMES)


def options_of(script):
    """Names of the options that a script declares."""
    return re.findall(
        r"^([a-z]\w*)=.*?  ?# ",
        script.read_text().partition("# Options")[2].partition("\n.")[0].partition("# End")[0],
        re.MULTILINE,
    )


def test_list_shows_every_recipe():
    text = run("mini", "--list")
    assert [line.split()[0] for line in text.splitlines()] == NAMES


@each_recipe
def test_help_names_every_stage_and_every_option(recipe):
    text = run(recipe, "--help")
    declared = options_of(ROOT / "recipes" / recipe / "run.sh") + options_of(
        ROOT / "utils" / "stages.sh"
    )
    of_training = {"config", "seed"} if recipe not in TRAIN_NOTHING else set()
    assert of_training | {
        "stage",
        "stop_stage",
        "workdir",
        "nj",
        "cmd",
        "force",
        "accept",
        "status",
        "dry_run",
        "verify",
    } <= set(declared)
    assert re.findall(r"^  --([\w-]+) ", text, re.MULTILINE) == [
        name.replace("_", "-") for name in declared
    ]
    assert [int(number) for number in re.findall(r"^  (\d)  \w", text, re.MULTILINE)] == list(
        range(8)
    )


def test_help_has_the_options_of_the_recipe_first_then_groups_in_narrow_lines():
    lines = run("own", "--help").splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Options of this recipe (--name value):",
        "Stages and folders:",
        "Data:",
        "Training:",
        "Scoring:",
        "Inspecting (these run nothing):",
        "Stale and unneeded outputs:",
        "Cluster:",
        "Stages:",
    ]
    assert max(map(len, lines)) <= 100
    first = lines.index(headings[0])
    assert lines[first + 1].split()[:2] == ["--corpus", "path:"]
    assert lines.index(headings[1]) < [line.split()[:1] for line in lines].index(["--stage"])


WRONG_BY_KIND = {
    "speechocean762": ["--fold=0", "--fold=", "--fold=x", "--seed=-1"],
    "own": ["--enrol-utterances=0", "--targets-per-speaker=1.5", "--simulate-rooms=maybe"],
    "vctk_ge2e": ["--dev-speakers=x", "--utterances=", "--mic=3"],
    "voices": ["--set=test", "--test-seconds=4"],
    "voxceleb1": ["--dev-speakers=-1", "--config=conf", "--training="],
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", WRONG_BY_KIND)
def test_the_kind_in_the_block_of_a_recipe_refuses_what_is_not_of_it(tmp_path, recipe):
    for option in WRONG_BY_KIND[recipe]:
        text = run(recipe, "--workdir", tmp_path / "work", option, code=2)
        assert len(text.splitlines()) == 1
        name, _, value = option.partition("=")
        assert name in text
        assert value in text
    assert list(tmp_path.iterdir()) == []


def test_an_option_without_a_default_may_be_empty(tmp_path):
    plan = tmp_path / "plan"
    environment = os.environ | {"SV_PLAN": str(plan)}
    words = [ROOT / "recipes" / "mini" / "run.sh", "--size=tiny", "--steps=", "--top-k=", "--why="]
    subprocess.run(words, cwd=ROOT, env=environment, check=True)
    assert "steps.train " in plan.read_text()
    assert "--steps" not in plan.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--stage", "9"],
        ["--stage", "-1"],
        ["--stage"],
        ["--stage="],
        ["--stage", "5", "--stop-stage", "3"],
        ["--stop_stage", "8"],
        ["--accept", "x"],
        ["--stagee", "3"],
        ["--verbose"],
        ["3"],
        ["--nj", "0"],
        ["--nj="],
        ["--why", "8"],
        ["--channel", "01"],
        ["--backend="],
        ["--backend", "conf"],
        ["--copies", "conf"],
        ["--fuse-with=a,"],
        ["--test-protocols", "none"],
        ["--name", "a/b"],
        ["--cluster-conf", "none.conf"],
        ["--nj", "many"],
        ["--cmd", "pbs"],
        ["--trim", "perhaps"],
        ["--status", "maybe"],
        ["--seed", "one"],
        ["--steps", "many"],
        ["--override", "loss.margin"],
        ["--override=loss.margin=1,loss.margin=2"],
        ["--override=loss.margin=1", "--override", "loss.scale=2"],
        ["--override="],
        ["--override", "loss.marginn=1"],
        ["--override=loss=null", "--dry-run"],
        ["--device"],
        ["--recipe"],
        ["--recipe", "none"],
        ["--recipe=none"],
        ["--config", "none.yaml"],
        ["--config", "scp:none.scp"],
        ["--vad=ark,t:-"],
        ["--score-norm", "b_norm"],
        ["--top-k", "0"],
        ["--calibrate", "maybe"],
        ["--fuse", "true"],
        ["--backend=conf/backends/cosine.yaml,none.yaml"],
        ["--vad", "none.yaml"],
        ["--augmentation=none.yaml"],
        ["--copies", "none.yaml"],
        ["--processes", "0"],
        ["--num-threads", "two"],
        ["--st.ge", "3"],
        ["--st.ge=3"],
        ["--.*", "3"],
        ["--"],
        ["--config", ""],
        ["--vad="],
        ["--name", "JOBS"],
        ["--vad", "line\nend"],
        ["--doctor", "--cmd", "pbs"],
        ["--status", "--clean", "6", "--yes"],
        ["--accept", "3", "--why", "3"],
    ],
    ids=" ".join,
)
def test_a_mistyped_option_is_one_line_and_2_and_nothing_is_written(tmp_path, options):
    text = run("mini", "--workdir", tmp_path / "work", "--size", "tiny", *options, code=2)
    print(text)
    assert len(text.splitlines()) == 1
    assert any(
        word in text
        for word in (options[0].partition("=")[0], options[0].partition("=")[2] or options[-1])
    )
    assert list(tmp_path.iterdir()) == []


def test_no_workdir_at_all_is_not_the_present_folder():
    assert (
        last_line(run("mini", "--workdir", "", "--status", code=2))
        == "recipes/mini/run.sh: option --workdir is a path, not ''"
    )


@pytest.mark.slow
@each_recipe
def test_letters_blanks_quotes_and_brackets_in_a_workdir_are_nothing_special(
    runs, recipe, tmp_path
):
    measured = ["--calibrate", "quality"] if recipe not in TRAIN_NOTHING else []
    status = runs.run(
        recipe, tmp_path / 'Jürgen\'s "work" [a], $b: #c {d} \\e*', "--status", *measured
    ).splitlines()
    print("\n".join(status))
    assert [line.split()[0] for line in status] == [str(stage) for stage in range(8)]


@pytest.mark.slow
@each_recipe
def test_a_stage_whose_inputs_are_not_made_names_the_stage_to_run(runs, recipe, tmp_path):
    text = runs.run(recipe, tmp_path / "work", "--stage", 4, code=1)
    assert len(text.splitlines()) == 1
    assert "--stage 4 needs stage 0, which is not done: 0  prepare data directories" in text
    assert f"run recipes/{recipe}/run.sh --stage 0" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@each_recipe
def test_status_and_dry_run_write_nothing(runs, recipe, tmp_path):
    status = runs.run(recipe, tmp_path / "work", "--status").splitlines()
    assert [line.split()[0] for line in status] == [str(stage) for stage in range(8)]
    assert all("never run" in line or line.endswith("empty in this recipe") for line in status)
    text = runs.run(recipe, tmp_path / "work", "--dry-run")
    assert "-m steps." not in text, "the commands are for --verbose"
    assert "no run recorded; as a rule of thumb" in text
    hours = re.findall(r"^1  .{31} +(\S+) ", text, re.MULTILINE)
    assert hours[0] != "?", "the length of the audio is known before the first hour"
    assert re.search(r"disk: .* free: [\d,]+ MB", last_line(text))
    text = runs.run(recipe, tmp_path / "work", "--dry-run", "--verbose")
    assert ("-m steps.train " if recipe not in TRAIN_NOTHING else "-m steps.extract ") in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_missing_or_empty_corpus_is_one_line(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    for corpus, code in (("nowhere", 1), ("empty", 1)):
        text = runs.run(
            "speechocean762", tmp_path / "work", "--corpus", tmp_path / corpus, code=code
        )
        print(last_line(text))
        assert str(tmp_path / corpus) in last_line(text)
        assert not list(tmp_path.rglob("wav.scp"))
    assert "--corpus is needed" in run("speechocean762", "--workdir", tmp_path / "work", code=2)


@pytest.mark.slow
@each_recipe
def test_status_of_finished_work_is_done_whatever_the_times_of_its_files(runs, recipe, tmp_path):
    workdir = runs.copy(recipe, tmp_path)
    for path in workdir.rglob("*"):
        os.utime(path, (random.Random(str(path)).uniform(0, 2e9),) * 2)
    status = runs.run(recipe, workdir, "--status").splitlines()
    assert all(line.endswith(("done", "empty in this recipe")) for line in status), status
    assert "nothing to do" in runs.run(recipe, workdir, "--dry-run")


@pytest.mark.slow
def test_one_flipped_byte_of_a_big_archive_is_found_by_verify(runs, tmp_path):
    workdir = runs.copy("mini", tmp_path)
    assert "outputs are what was written" in runs.run("mini", workdir, "--verify")
    archive = workdir / "data" / "tiny" / "packed_16000" / "train" / "packed.1.ark"
    assert archive.stat().st_size > 1 << 20, "smaller ones are read each time"
    with open(archive, "r+b") as file:
        file.seek(1234567)
        byte = file.read(1)
        file.seek(1234567)
        file.write(bytes([byte[0] ^ 1]))
    assert all(
        line.endswith("done") for line in runs.run("mini", workdir, "--status").splitlines()
    ), "big archives are not read for the status"
    text = runs.run("mini", workdir, "--verify", code=1)
    assert f"{archive} is not what was written" in text
    assert "1 of " in last_line(text)


@pytest.mark.slow
def test_a_spoilt_list_is_made_again_with_the_same_bytes(runs, tmp_path):
    workdir = runs.copy("speechocean762", tmp_path)
    scores = next(workdir.glob("exp/tiny/scores/test/*.scores"))
    scores.write_text(scores.read_text()[:-20])
    assert re.search(
        r"^6 .*partly done.*bytes", runs.run("speechocean762", workdir, "--status"), re.MULTILINE
    )
    text = runs.run("speechocean762", workdir)
    print(text)
    assert re.search(r"^== stage 6: \d+ s$", text, re.MULTILINE)
    assert re.search(r"^== total: \d+ s$", text, re.MULTILINE)
    assert "\r" not in text, "there is no terminal"
    whole = runs.whole("speechocean762")
    assert difference(contents(whole), contents(workdir, copied_from=whole)) == []


@pytest.mark.slow
def test_a_changed_option_makes_stale_what_depends_on_it_and_expensive_work_stops(runs, tmp_path):
    """The training is expensive: it is neither redone nor skipped without --force or --accept."""
    workdir = runs.copy("speechocean762", tmp_path)
    before = contents(workdir)
    status = runs.run("speechocean762", workdir, "--steps", 4, "--status").splitlines()
    assert [("done" in line, "stale because" in line) for line in status] == [(True, False)] * 3 + [
        (False, True)
    ] * 5, status
    assert "option steps was null, is 4" in status[3]
    assert all(
        re.search(r"stage \d, which it needs, has to run again", line) for line in status[4:]
    )
    stopped = last_line(runs.run("speechocean762", workdir, "--steps", 4, code=1))
    remedies = ("--force", "--accept", "--name NEW")
    assert all(words in stopped for words in ("option steps was null, is 4", *remedies))
    assert difference(before, contents(workdir)) == []
    beside = ("--steps", 4, "--name", "new", "--stop-stage", 3)
    runs.run("speechocean762", workdir, *beside)
    assert before.items() <= contents(workdir).items(), "nothing of the old one is touched"
    shutil.rmtree(workdir / "exp" / "tiny-new")

    assert "accepted" in runs.run("speechocean762", workdir, "--steps", 4, "--accept", 3)
    assert "nothing to do" in runs.run("speechocean762", workdir, "--steps", 4)
    assert difference(before, contents(workdir)) == []


@pytest.mark.slow
def test_a_comment_in_a_yaml_makes_nothing_stale_and_a_value_is_named_old_and_new(runs, tmp_path):
    workdir = runs.copy("speechocean762", tmp_path)
    config = tmp_path / "tiny.yaml"
    text = (runs.base / "corpora" / "tiny.yaml").read_text()
    config.write_text("# a comment\n" + text.replace("1e-3", "0.001").replace("1.0", "1"))
    status = runs.run("speechocean762", workdir, "--config", config, "--status")
    assert all(line.endswith("done") for line in status.splitlines()), status
    config.write_text(text.replace("{steps: 12", "{steps: 112"))
    changes = runs.run("speechocean762", workdir, "--config", config, "--why", 3)
    assert f"{config}: training.steps: 12 -> 112\n" in changes, changes


@pytest.mark.long
@pytest.mark.slow
def test_force_redoes_expensive_work_and_moves_the_old_output_aside(runs, tmp_path):
    workdir = runs.copy("speechocean762", tmp_path)
    kept = contents(workdir / "exp" / "tiny" / "checkpoints")
    text = runs.run("speechocean762", workdir, "--steps", 4, "--force")
    assert re.search(
        r"redone by --force; the old output is in \S+: option steps was null, is 4", text
    )
    assert contents(workdir / "exp" / "tiny" / "old.1" / "checkpoints") == kept
    fresh = tmp_path / "fresh"
    runs.run("speechocean762", fresh, "--steps", 4)
    again = {
        name: seen
        for name, seen in contents(workdir, copied_from=runs.whole("speechocean762")).items()
        if "/old." not in name
    }
    assert difference(again, contents(fresh)) == []


@pytest.mark.slow
def test_trials_that_cannot_be_scored_are_named(runs, tmp_path):
    workdir = runs.whole("speechocean762")
    trials = next(workdir.glob("data/fold1/packed_16000/test/trials")).read_text().splitlines()

    def score(lines):
        (tmp_path / "trials").write_text("".join(line + "\n" for line in lines))
        words = [
            "steps.score",
            "exp/tiny/backend/cosine",
            "exp/tiny/embeddings/test",
            tmp_path / "trials",
            tmp_path / "out" / "cosine.scores",
        ]
        words[1:3] = [workdir / word for word in words[1:3]]
        return subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    lost = score([*trials[:3], "nobody " + trials[0].split(" ", 1)[1], *trials[3:]])
    print(lost.stderr)
    assert (lost.returncode, len(lost.stderr.splitlines())) == (1, 1)
    assert f"{tmp_path / 'trials'}:4" in lost.stderr
    assert "nobody" in lost.stderr
    assert not list(tmp_path.rglob("*.scores"))
    assert score(trials).returncode == 0


@pytest.mark.slow
def test_trials_of_one_class_are_named(runs, tmp_path):
    """Evaluation is where both classes are needed: there are no error rates, and it says why."""
    workdir, data = runs.copy("speechocean762", tmp_path), tmp_path / "sets" / "test"
    data.mkdir(parents=True)
    packed = next(workdir.glob("data/fold1/packed_16000/test"))
    lines = (packed / "trials").read_text().splitlines(keepends=True)
    shutil.copy(packed / "utt2spk", data)
    (data / "trials").write_text("".join(line for line in lines if line.endswith(" target\n")))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "steps.evaluate",
            str(workdir / "exp" / "tiny"),
            str(tmp_path / "sets"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{data / 'trials'}: all " in done.stdout
    assert "they can be scored, but have none" in done.stdout
    assert json.loads((workdir / "exp" / "tiny" / "results.json").read_text()) == []
