"""The Grid Engine launcher on a real Grid Engine: resources, time, the doctor, the tiny recipe."""

import os
import re

import pytest

from tests.cluster.daemons import ask
from tests.cluster.recipe import TRAINING, Recipe, unlike
from tests.cluster.sge import SITE
from tests.conftest import ROOT
from tests.launched import Launching

EXAMPLE = (ROOT / "conf" / "cluster" / "example_sge.conf").read_text().replace("mem=8G", "mem=4G")
pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def launch(grid_engine, tmp_path):
    """The step of tests/launched.py on Grid Engine."""
    return Launching(tmp_path, "sge", SITE, grid_engine)


@pytest.fixture
def qtell(grid_engine):
    """Call qstat, qacct, qdel or qalter."""
    return lambda *words: ask(grid_engine, *words)


def test_a_killed_task_is_tried_again_with_more_memory(launch):
    (launch.folder / "fail.2").write_text("kill once")
    done = launch("--mem", "3G", "--num-threads", "2")
    print(done.stderr)
    assert done.returncode == 0
    assert "trying again: [2]" in done.stderr
    assert "exit code 137" in done.stderr
    assert "--mem 6144M" in done.stderr
    assert launch.runs() == ["1", "2", "2", "3"]


def test_resources_arrive_as_they_were_asked_for(launch, qtell):
    launch.hold(1, 2, 3)
    (launch.folder / "site.conf").write_text(EXAMPLE + "set poll_seconds=0.5\n")
    process = launch.begin("--mem", "3G", "--num-threads", "2", "--time", "0:30:00", "--gpu", "1")
    told = qtell("qstat", "-j", launch.job_of(process))
    print(told)
    assert "mem_free=3G,h_vmem=1536M" in told.replace(
        "h_vmem=1536M,mem_free=3G", "mem_free=3G,h_vmem=1536M"
    )
    for words in (
        "gpu=1",
        "h_rt=1800",
        "smp range: 2",
        "gpu.q",
        "project:                    speech",
    ):
        assert words in told
    launch.release()
    launch.finish(process)
    assert (launch.folder / "runs").read_text().split() == ["12", "22", "32"], (
        "one GPU of two, two slots of two: one task at a time"
    )


def test_a_task_over_its_time_is_said_to_be(launch):
    (launch.folder / "fail.2").write_text("loud")
    launch()  # the others are done, however slow this machine
    launch.hold(2)
    failed = launch("--time", "0:00:03")
    print(failed.stderr)
    assert failed.returncode == 1
    assert "1 of 3 tasks failed: [2]" in failed.stderr.splitlines()[-1]
    assert "over its time" in failed.stderr


def test_a_task_that_cannot_start_is_a_failure_and_not_waited_for(launch, qtell):
    (launch.folder / "site.conf").write_text(SITE + "command qsub -r y -i /no/such/file\n")
    failed = launch()
    print(failed.stderr)
    assert failed.returncode == 1
    assert "the scheduler could not start it (Eqw): " in failed.stderr
    assert "/no/such/file" in failed.stderr
    assert "waiting up to" not in failed.stderr
    assert qtell("qstat", "-u", "*") == ""


def test_the_doctor_asks_whether_jobs_would_be_taken_and_submits_none(
    grid_engine, command, tmp_path, qtell
):
    for text, verdict in ((EXAMPLE, "ok"), (EXAMPLE.replace("-q all.q", "-q nowhere.q"), "bad")):
        (tmp_path / "site.conf").write_text(text)
        words = [
            "utils.doctor",
            "--workdir",
            tmp_path,
            "--cmd",
            "sge",
            "--cluster-conf",
            tmp_path / "site.conf",
        ]
        lines = command(*words, env=os.environ | grid_engine).stdout.splitlines()
        (line,) = [line for line in lines if "site's file" in line]
        print(line)
        assert line.split()[0] == verdict
        assert "ok       scheduler        qstat answers" in lines
    assert qtell("qstat", "-u", "*") == ""


@pytest.fixture
def training(grid_engine, prepared, tmp_path):
    """A copy on Grid Engine with the training as its next stage, and the expected weights."""
    return prepared[0].copy(tmp_path / "work", cmd="sge", environment=grid_engine), prepared[1]


def caught_at_it(recipe):
    """The process of run.sh, and the number of the training's job, which has taken some steps."""
    process = recipe.start(*TRAINING)
    recipe.wait_until_training(process)
    (job,) = set(re.findall(r"^ *(\d+) ", recipe.ask("qstat"), re.MULTILINE))
    return process, job


def test_every_stage_on_grid_engine_gives_the_bytes_of_a_local_run(grid_engine, whole, tmp_path):
    recipe = Recipe(tmp_path / "work", "sge", grid_engine)
    text = recipe.run()
    assert text.count("submitted") == 3 * 2 + 1 + 2, (
        "VAD and packing of three sets, the training, embeddings of two systems"
    )
    assert unlike(whole, recipe) == []


@pytest.mark.parametrize("how", ["queued again", "out of time"])
def test_training_that_is_queued_again_goes_on_by_itself(training, how):
    recipe, weights = training
    process, job = caught_at_it(recipe)
    if how == "queued again":
        recipe.ask("qmod", "-rj", job)
    else:
        (task,) = recipe.ask("pgrep", "-f", f"utils.launchers.task {recipe.workdir}").split()
        recipe.ask("kill", "-USR2", task)  # what -notify does before an end
    recipe.finish(process)
    assert recipe.weights() == weights


def test_deleted_training_is_a_failure_that_the_same_command_mends(training):
    recipe, weights = training
    process, job = caught_at_it(recipe)
    recipe.ask("qdel", job)
    text = recipe.finish(process, code=1)
    assert "1 of 1 tasks failed" in text.splitlines()[-1]
    recipe.run(*TRAINING)
    assert recipe.weights() == weights
