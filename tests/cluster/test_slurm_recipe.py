"""Whole recipes on a real Slurm: the tiny one by arrays and as a chain of jobs; its training queued again, cancelled, over two nodes."""

import os
import re
import shutil
import subprocess
import time

import pytest

from tests.cluster.slurm import ask
from tests.conftest import ROOT
from tests.recipes.runs import contents, difference, tensors

CONF = (ROOT / "conf" / "cluster" / "slurm.conf").read_text() + "set poll_seconds=0.5\nset visible_seconds=4\n"
pytestmark = [pytest.mark.slow, pytest.mark.cluster]
PATIENCE_SECONDS = 240
TINY = ["--size", "tiny", "--num-threads", "1"]
LONG = ["--stage", "3", "--stop-stage", "3", "--steps", "150"]  # long enough to be caught at it


class Recipe:
    """The tiny recipe in a folder, here or on the Slurm of the tests.

    Parameters
    ----------
    workdir : path
        Of the recipe.
    environment : mapping
        In which Slurm's commands work; empty: no Slurm.
    """

    def __init__(self, workdir, environment=None):
        self.workdir, self.environment = workdir, environment or {}
        self.conf = workdir.with_suffix(".conf")
        self.conf.write_text(CONF)

    def start(self, *options):
        """Start run.sh."""
        cluster = ["--cmd", "slurm", "--cluster-conf", str(self.conf)] if self.environment else []
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SV_", "OMP_"))}
        return subprocess.Popen([str(ROOT / "recipes" / "mini" / "run.sh"), *TINY, "--workdir", str(self.workdir), *cluster, *options], text=True,
                                env=clean | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def run(self, *options, code=0):
        """Run it to its end."""
        return self.finish(self.start(*options), code)

    def finish(self, process, code=0):
        """Wait for its end; what it printed."""
        text, _ = process.communicate(timeout=PATIENCE_SECONDS)
        print(text)
        assert process.returncode == code
        assert "Traceback" not in text
        return text

    def slurm(self, *words):
        """What a command of Slurm prints."""
        return ask(self.environment, *words)

    def training_job(self):
        """Number of the training's job, once it has taken some steps."""
        checkpoint = re.compile(r"step-0*[1-9]\d*\.pt")
        wait_for(lambda: any(checkpoint.fullmatch(path.name) for path in self.workdir.glob("exp/*/checkpoints/step-*.pt")))
        return wait_for(lambda: self.slurm("squeue", "--noheader", "--states=running", "--format=%A").split())[0]

    def weights(self):
        """Fingerprint of the averaged weights."""
        (path,) = self.workdir.glob("exp/*/checkpoints/average.pt")
        return tensors(path)


def wait_for(condition):
    """Until something is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def unlike(one, other):
    """Files that differ; the locks of arrays are left out."""
    sides = [{name: value for name, value in contents(recipe.workdir).items() if not name.endswith("jobs.lock")} for recipe in (one, other)]
    print(f"{len(sides[0])} files compared")
    return difference(*sides)


@pytest.fixture(scope="module")
def whole(slurm_environment, tmp_path_factory):
    """A run without Slurm."""
    recipe = Recipe(tmp_path_factory.mktemp("local") / "whole")
    recipe.run()
    return recipe


@pytest.fixture(scope="module")
def prepared(whole):
    """Stages 0 to 2 of a run, and the weights of a longer training that nothing disturbed."""
    recipe = Recipe(shutil.copytree(whole.workdir, whole.workdir.with_name("prepared")))
    shutil.rmtree(recipe.workdir / "exp")
    undisturbed = Recipe(shutil.copytree(recipe.workdir, whole.workdir.with_name("undisturbed")))
    undisturbed.run(*LONG)
    return recipe, undisturbed.weights()


@pytest.fixture
def training(slurm_environment, prepared, tmp_path):
    """A copy on Slurm whose next stage is the training, and the weights that it has to end with."""
    return Recipe(shutil.copytree(prepared[0].workdir, tmp_path / "work"), slurm_environment), prepared[1]


def test_every_stage_on_slurm_gives_the_bytes_of_a_local_run(whole, slurm_environment, tmp_path):
    recipe = Recipe(tmp_path / "work", slurm_environment)
    text = recipe.run()
    assert text.count("submitted") == 3 * 2 + 1 + 2, "VAD and packing of three sets, the training, embeddings of two systems"
    assert unlike(whole, recipe) == []


def test_a_chain_of_jobs_runs_the_stages_and_returns_at_once(whole, slurm_environment, tmp_path):
    recipe = Recipe(tmp_path / "work", slurm_environment)
    began = time.monotonic()
    text = recipe.run("--submit-all")
    print(f"returned after {time.monotonic() - began:.1f} s")
    jobs = re.findall(r"job (\d+);", text)
    assert len(jobs) == 8
    wait_for(lambda: not recipe.slurm("squeue", "--noheader", f"--jobs={','.join(jobs)}").strip())
    logs = "\n".join(path.read_text()[-500:] for path in sorted(recipe.workdir.glob("log/stage*.log")))
    assert recipe.run("--submit-all").startswith("nothing to do"), logs
    assert unlike(whole, recipe) == []


@pytest.mark.parametrize("how", ["requeued", "out of time"])
def test_training_that_is_queued_again_goes_on_by_itself(training, how):
    recipe, weights = training
    process = recipe.start(*LONG)
    job = recipe.training_job()
    if how == "requeued":
        recipe.slurm("scontrol", "requeue", job)
    else:
        recipe.slurm("scancel", "--batch", "--signal=USR1", job)  # what --signal=B:USR1@120 does
    wait_for(lambda: "Restarts=1" in recipe.slurm("scontrol", "show", "job", job))
    wait_for(lambda: "JobState=PENDING" in recipe.slurm("scontrol", "show", "job", job) or process.poll() is not None)
    recipe.slurm("scontrol", "update", f"jobid={job}", "starttime=now")  # else it is held for two minutes
    recipe.finish(process)
    (log,) = recipe.workdir.glob("exp/*/log/train.1.log")
    assert "exit code 0" in log.read_text().splitlines()[-1]
    assert recipe.weights() == weights


def test_cancelled_training_is_a_failure_that_the_same_command_mends(training):
    recipe, weights = training
    process = recipe.start(*LONG)
    recipe.slurm("scancel", recipe.training_job())
    text = recipe.finish(process, code=1)
    assert "cancelled" in text
    assert "1 of 1 tasks failed" in text.splitlines()[-1]
    recipe.run(*LONG)
    assert recipe.weights() == weights


def test_training_over_two_nodes_gives_the_weights_of_two_processes_on_one(training, prepared, tmp_path):
    recipe, _ = training
    recipe.environment = recipe.environment | {"SV_MASTER_ADDR": "127.0.0.1"}
    text = recipe.run(*LONG, "--nodes", "2")
    assert "submitted 1 tasks" in text
    together = Recipe(shutil.copytree(prepared[0].workdir, tmp_path / "together"))
    together.run(*LONG, "--processes", "2")
    assert recipe.weights() == together.weights()
