"""Recipes on a real Slurm: mini by arrays, voxceleb1 as a chain of jobs, a disturbed training."""

import re
import time

import pytest

from tests.cluster.daemons import PATIENCE_SECONDS, wait_for
from tests.cluster.recipe import TRAINING, Recipe, unlike
from tests.cluster.slurm import let_start, set_down, set_up
from tests.recipes.runs import Runs

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def training(slurm_environment, prepared, tmp_path):
    """A copy on Slurm whose next stage is the training, and the weights that it has to end with."""
    return prepared[0].copy(
        tmp_path / "work", cmd="slurm", environment=slurm_environment
    ), prepared[1]


def caught_at_it(recipe):
    """The process of run.sh, and the number of the training's job, which has taken some steps."""
    process = recipe.start(*TRAINING)
    recipe.wait_until_training(process)
    (job,) = recipe.ask("squeue", "--noheader", "--states=running", "--format=%A").split()
    return process, job


def test_every_stage_on_slurm_gives_the_bytes_of_a_local_run(slurm_environment, whole, tmp_path):
    recipe = Recipe(tmp_path / "work", "slurm", slurm_environment)
    text = recipe.run()
    assert text.count("submitted") == 3 * 2 + 1 + 2, (
        "VAD and packing of three sets, the training, embeddings of two systems"
    )
    assert unlike(whole, recipe) == []


@pytest.mark.long
def test_a_chain_of_jobs_runs_the_stages_and_returns_at_once(slurm_environment, tmp_path):
    runs = Runs(tmp_path / "runs")
    whole = Recipe(runs.whole("voxceleb1"))
    recipe = Recipe(
        tmp_path / "work",
        "slurm",
        slurm_environment,
        name="voxceleb1",
        options=runs.options_of("voxceleb1"),
    )
    began = time.monotonic()
    text = recipe.run("--submit-all")
    print(f"returned after {time.monotonic() - began:.1f} s")
    jobs = re.findall(r"job (\d+);", text)
    assert len(jobs) == 8
    assert "export SV_VISIBLE_SECONDS=30\n" in (recipe.workdir / "log" / "stage3.sh").read_text()
    wait_for(
        lambda: not recipe.ask("squeue", "--noheader", f"--jobs={','.join(jobs)}").strip(),
        seconds=3 * PATIENCE_SECONDS,
    )
    logs = "\n".join(
        path.read_text()[-500:] for path in sorted(recipe.workdir.glob("log/stage*.log"))
    )
    assert recipe.run("--submit-all").startswith("nothing to do"), logs
    assert unlike(whole, recipe) == []


@pytest.mark.long
def test_a_stage_of_a_chain_that_is_out_of_time_is_queued_again_and_its_training_goes_on(training):
    recipe, weights = training
    (stage,) = re.findall(r"job (\d+);", recipe.run(*TRAINING, "--submit-all"))
    wait_for(recipe.has_trained)
    (job,) = set(recipe.ask("squeue", "--noheader", "--states=running", "--format=%A").split()) - {
        stage
    }
    recipe.ask("scancel", "--batch", "--signal=USR1", stage)  # what --signal=B:USR1@120 does
    let_start(recipe.environment, None, stage)
    wait_for(
        lambda: not recipe.ask("squeue", "--noheader", f"--jobs={stage},{job}").strip(),
        lambda: recipe.ask("squeue"),
    )
    told = [recipe.ask("scontrol", "--oneliner", "show", "job", each) for each in (stage, job)]
    print(*told, (recipe.workdir / "log" / "stage3.log").read_text(), sep="\n")
    assert ["JobState=COMPLETED" in each for each in told] == [True, True]
    assert "Restarts=1" in told[0]
    assert "Restarts=0" in told[1]
    assert recipe.weights() == weights


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("requeued", marks=pytest.mark.long),
        pytest.param("out of time", marks=pytest.mark.long),
        pytest.param("its node set down", marks=pytest.mark.long),
    ],
)
def test_training_that_is_queued_again_goes_on_by_itself(training, how):
    recipe, weights = training
    process, job = caught_at_it(recipe)
    node = recipe.ask("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    if how == "requeued":
        recipe.ask("scontrol", "requeue", job)
    elif how == "out of time":
        recipe.ask("scancel", "--batch", "--signal=USR1", job)  # what --signal=B:USR1@120 does
    else:
        set_down(recipe.environment, node)
    let_start(recipe.environment, process, job)
    recipe.finish(process)
    restarts, last = re.search(
        r"Restarts=(\d+).* NodeList=(\w+)", recipe.ask("scontrol", "--oneliner", "show", "job", job)
    ).groups()
    print(f"training {how}: begun on {node}, ended on {last}, queued again {restarts} times")
    assert restarts == "1"
    if how == "its node set down":
        assert last != node
        set_up(recipe.environment, node)
    (log,) = recipe.workdir.glob("exp/*/log/train.1.log")
    assert "exit code 0" in log.read_text().splitlines()[-1]
    assert recipe.weights() == weights


def test_cancelled_training_is_a_failure_that_the_same_command_mends(training):
    recipe, weights = training
    process, job = caught_at_it(recipe)
    recipe.ask("scancel", job)
    text = recipe.finish(process, code=1)
    assert "cancelled" in text
    assert "1 of 1 tasks failed" in text.splitlines()[-1]
    recipe.run(*TRAINING)
    assert recipe.weights() == weights


def test_training_over_two_nodes_gives_the_weights_of_two_processes_on_one(
    training, prepared, tmp_path
):
    recipe, _ = training
    recipe.environment = recipe.environment | {"SV_MASTER_ADDR": "127.0.0.1"}
    text = recipe.run(*TRAINING, "--nodes", "2")
    assert "submitted 1 tasks" in text
    together = prepared[0].copy(tmp_path / "together")
    together.run(*TRAINING, "--processes", "2")
    assert recipe.weights() == together.weights()
