"""The Slurm launcher on a real Slurm: lack of memory, a node that goes down, a requeued job, the doctor; test_engines.py has the rest."""

import pytest

from tests.cluster.daemons import ask, wait_for
from tests.cluster.slurm import SITE, let_start, set_down, set_up
from tests.launched import Launching

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def launch(slurm_environment, tmp_path):
    """The step of tests/launched.py on Slurm."""
    return Launching(tmp_path, "slurm", SITE, slurm_environment)


@pytest.fixture
def scontrol(slurm_environment):
    """Call scontrol, squeue or scancel."""
    return lambda *words: ask(slurm_environment, *words)


def test_a_killed_task_is_tried_again_with_more_memory(launch):
    (launch.folder / "fail.2").write_text("kill once")
    done = launch()
    assert done.returncode == 0, done.stderr
    assert "exit code 137" in done.stderr
    assert "--mem 1000M" in done.stderr
    assert launch.runs() == ["1", "2", "2", "3"]


def test_tasks_cancelled_while_they_wait_are_failures_at_once(launch, scontrol):
    launch.hold(1)
    process = launch.begin("--max", "1")
    job = launch.job_of(process)
    wait_for(launch.runs)
    scontrol("scancel", job)
    error = launch.finish(process, code=1)
    assert "3 of 3 tasks failed: [1, 2, 3]" in error.splitlines()[-1]
    assert error.count("cancelled, no receipt") == 2
    assert "waiting up to" not in error, "there are no results to wait for"
    assert launch.runs() == ["1"]


def test_more_tasks_than_slurm_takes_are_refused_in_one_line(launch):
    refused = launch(tasks=1001)
    assert refused.returncode == 1
    assert "--array=1-1001 " in refused.stderr.splitlines()[-1]
    assert "refused: sbatch: error: Batch job submission failed: Invalid job array specification" in refused.stderr.splitlines()[-1]


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
