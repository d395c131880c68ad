"""The Slurm launcher on a real Slurm: arrays, failures, a node that goes down, requeued and cancelled jobs, a launcher that dies."""

import signal

import pytest

from tests.cluster.daemons import ask, wait_for
from tests.cluster.slurm import let_start, set_down, set_up
from tests.conftest import ROOT
from tests.launched import Launching

CONF = (ROOT / "conf" / "cluster" / "slurm.conf").read_text() + "default mem=500M\nset poll_seconds=0.5\nset visible_seconds=30\nset retries=1\n"
pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def launch(slurm_environment, tmp_path):
    """The step of tests/launched.py on Slurm."""
    return Launching(tmp_path, "slurm", CONF, slurm_environment)


@pytest.fixture
def scontrol(slurm_environment):
    """Call scontrol, squeue or scancel."""
    return lambda *words: ask(slurm_environment, *words)


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


def test_a_node_set_down_and_a_requeued_job_are_waited_for(launch, scontrol, slurm_environment):
    launch.hold(1, 2, 3)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: len(launch.runs()) == 3, launch.runs)
    where = dict(line.split() for line in scontrol("squeue", "--noheader", f"--jobs={job}", "--format=%K %N").splitlines())
    (alone,) = [task for task, node in where.items() if list(where.values()).count(node) == 1]
    set_down(slurm_environment, where[alone])
    other = str(int(alone) % 3 + 1)
    scontrol("scontrol", "requeue", f"{job}_{other}")
    launch.release()
    for task in (alone, other):
        let_start(slurm_environment, process, f"{job}_{task}")
    launch.finish(process)
    set_up(slurm_environment, where[alone])
    print(f"tasks {where}; {where[alone]} set down; begun: {launch.runs()}")
    assert {"1", "2", "3"} <= set(launch.runs())
    assert sorted(path.name for path in launch.folder.glob("receipts/*.json")) == [f"launched.{part}of3.json" for part in "123"]


def test_a_cancelled_task_is_a_failure_that_the_same_command_mends(launch, scontrol):
    launch.hold(2)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: "2" in launch.runs(), launch.runs)
    scontrol("scancel", f"{job}_2")
    error = launch.finish(process, code=1)
    assert "1 of 3 tasks failed: [2]" in error.splitlines()[-1]
    assert "cancelled, exit code 143, no receipt" in error
    launch.release()
    assert launch().returncode == 0
    assert launch.runs() == ["1", "2", "2", "3"]


def test_a_killed_launcher_leaves_its_jobs_to_the_next_one(launch):
    launch.hold(2)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: "2" in launch.runs(), launch.runs)
    process.kill()
    process.wait()
    again = launch.begin()
    launch.says(again, f"run already as job {job}")
    launch.release()
    launch.finish(again)
    assert launch.runs() == ["1", "2", "3"]


def test_ctrl_c_cancels_the_jobs_and_their_processes_end(launch, scontrol):
    launch.hold(2)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: "2" in launch.runs(), launch.runs)
    process.send_signal(signal.SIGINT)
    assert f"cancelled job {job}" in launch.finish(process, code=130)
    wait_for(lambda: not scontrol("squeue", "--noheader", "--jobs", job).strip())
    wait_for(lambda: not launch.processes(), launch.processes)


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
