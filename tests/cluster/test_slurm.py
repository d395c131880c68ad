"""The Slurm launcher on a real Slurm: arrays, failures, a node that goes down, requeued and cancelled jobs, a launcher that dies."""

import json
import signal
import subprocess
import time

import pytest

from tests.cluster.slurm import ask
from tests.conftest import ROOT
from tests.launched import Launching

CONF = (ROOT / "conf" / "cluster" / "slurm.conf").read_text() + "default mem=500M\nset poll_seconds=0.5\nset visible_seconds=4\nset retries=1\n"
pytestmark = [pytest.mark.slow, pytest.mark.cluster]
PATIENCE_SECONDS = 90


@pytest.fixture
def launch(slurm_environment, tmp_path):
    """The step of tests/launched.py on Slurm."""
    return Launching(tmp_path, "slurm", CONF, slurm_environment)


@pytest.fixture
def scontrol(slurm_environment):
    """Call scontrol, squeue or scancel."""
    return lambda *words: ask(slurm_environment, *words)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def hold(launch, *parts):
    for part in parts:
        (launch.folder / f"fail.{part}").write_text("hold")


def job_of(launch):
    """Number of the submitted job, once the record holds it."""
    def recorded():
        paths = list(launch.folder.glob("log/*.jobs.json"))
        return json.loads(paths[0].read_text())["submissions"][0]["job"] if paths else ""
    return wait_for(recorded)


def finish(process):
    _, error = process.communicate(timeout=PATIENCE_SECONDS)
    print(error)
    assert process.returncode == 0
    return error


def test_an_array_runs_and_only_what_failed_runs_again(launch):
    (launch.folder / "fail.2").write_text("loud")
    failed = launch("--num-threads", "2")
    assert failed.returncode == 1
    assert "x.ark: No space left on device" in failed.stderr
    assert "exit code 1, no receipt" in failed.stderr
    (launch.folder / "fail.2").unlink()
    done = launch()
    assert done.returncode == 0, done.stderr
    assert launch.runs() == ["1", "2", "2", "3"]
    assert not list(launch.folder.glob("log/*.jobs.json"))


def test_a_killed_task_is_tried_again_with_more_memory(launch):
    (launch.folder / "fail.2").write_text("kill once")
    done = launch()
    assert done.returncode == 0, done.stderr
    assert "exit code 137" in done.stderr
    assert "--mem 1000M" in done.stderr
    assert launch.runs() == ["1", "2", "2", "3"]


def test_a_node_set_down_in_the_middle_and_a_requeued_and_a_cancelled_job(launch, scontrol):
    hold(launch, 1, 2, 3)
    process = launch.start(stderr=subprocess.PIPE)
    job = job_of(launch)
    wait_for(lambda: len(launch.runs()) == 3)
    scontrol("scontrol", "update", "nodename=n1", "state=down", "reason=test")
    scontrol("scontrol", "requeue", f"{job}_2")
    scontrol("scancel", f"{job}_3")
    (launch.folder / "release").touch()
    scontrol("scontrol", "update", "nodename=n1", "state=idle")
    for task in (1, 2, 3):  # a requeued job is held for two minutes otherwise
        scontrol("scontrol", "update", f"jobid={job}_{task}", "starttime=now")
    finish(process)
    assert {"1", "2", "3"} <= set(launch.runs())
    assert sorted(path.name for path in launch.folder.glob("receipts/*.json")) == [f"launched.{part}of3.json" for part in "123"]


def test_a_killed_launcher_leaves_its_jobs_to_the_next_one(launch):
    hold(launch, 2)
    process = launch.start(stderr=subprocess.PIPE)
    job = job_of(launch)
    wait_for(lambda: "2" in launch.runs())
    process.kill()
    process.communicate()
    again = launch.start(stderr=subprocess.PIPE)
    time.sleep(3)
    (launch.folder / "release").touch()
    assert f"run already as job {job}" in finish(again)
    assert launch.runs() == ["1", "2", "3"]


def test_ctrl_c_cancels_the_jobs_and_their_processes_end(launch, scontrol):
    hold(launch, 2)
    process = launch.start(stderr=subprocess.PIPE)
    job = job_of(launch)
    wait_for(lambda: "2" in launch.runs())
    process.send_signal(signal.SIGINT)
    assert f"cancelled job {job}" in process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert process.returncode == 130
    wait_for(lambda: not scontrol("squeue", "--noheader", "--jobs", job).strip())
    left = ["pgrep", "-f", f"local.launched {launch.folder}"]
    wait_for(lambda: not subprocess.run(left, capture_output=True, text=True, check=False).stdout)


def test_the_doctor_asks_whether_jobs_would_be_taken_and_submits_none(slurm_environment, scontrol, command, tmp_path):
    words = ["utils.doctor", "--workdir", tmp_path, "--cmd", "slurm", "--cluster-conf", tmp_path / "site.conf"]
    before = scontrol("squeue", "--noheader", "--states=all")
    for partition, verdict in (("all", "ok"), ("nowhere", "bad")):
        (tmp_path / "site.conf").write_text(f"command sbatch --partition={partition}\noption num_threads=* --cpus-per-task=$0\n")
        lines = command(*words, env=slurm_environment).stdout.splitlines()
        (line,) = [line for line in lines if "site's file" in line]
        print(line)
        assert line.split()[0] == verdict
        assert "ok       scheduler        sinfo answers" in lines
        assert ("invalid partition specified: nowhere" in line) == (verdict == "bad")
    assert scontrol("squeue", "--noheader", "--states=all") == before
