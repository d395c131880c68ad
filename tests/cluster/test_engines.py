"""Launchers on a real Slurm and Grid Engine: arrays, failures, cancelled tasks, death, Ctrl-C."""

import signal

import pytest

from tests.cluster import sge, slurm
from tests.cluster.daemons import ask, wait_for
from tests.launched import Launching

CLUSTERS = {
    "slurm": (slurm.SITE, "slurm_environment"),
    "sge": (sge.SITE, "grid_engine"),
}  # the site's file, and the fixture that starts it
CANCEL = {"slurm": ("scancel", "{job}_{task}"), "sge": ("qdel", "{job}", "-t", "{task}")}
LEFT = {"slurm": ("squeue", "--noheader", "--jobs", "{job}"), "sge": ("qstat", "-u", "*")}
pytestmark = [pytest.mark.slow, pytest.mark.cluster]
WHOLE = [f"launched.{part}of3.json" for part in "123"]


@pytest.fixture(params=CLUSTERS)
def launch(request, tmp_path):
    """The step of tests/launched.py on each of them."""
    site, cluster = CLUSTERS[request.param]
    return Launching(tmp_path, request.param, site, request.getfixturevalue(cluster))


@pytest.fixture
def tell(launch):
    """Call a command of the scheduler about a job and one of its tasks."""
    return lambda words, job, task="": ask(
        launch.environment, *(word.format(job=job, task=task) for word in words[launch.launcher])
    )


def receipts(launch):
    return sorted(path.name for path in launch.folder.glob("receipts/*.json"))


def caught_at_it(launch):
    """A launcher whose second task holds still, and the number of its job."""
    launch.hold(2)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: launch.runs() == ["1", "2", "3"], launch.runs)
    return process, job


def test_an_array_runs_and_only_what_failed_runs_again(launch):
    (launch.folder / "fail.2").write_text("loud")
    failed = launch("--num-threads", "2")
    print(failed.stderr)
    assert failed.returncode == 1
    assert "x.ark: No space left on device" in failed.stderr
    assert "exit code 1, no receipt" in failed.stderr
    assert receipts(launch) == [WHOLE[0], WHOLE[2]]
    (launch.folder / "fail.2").unlink()
    done = launch()
    print(done.stderr)
    assert done.returncode == 0
    assert "2 of 3 tasks done already; running [2]" in done.stderr
    assert launch.runs() == ["1", "2", "2", "3"]
    assert receipts(launch) == WHOLE
    assert not list(launch.folder.glob("log/*.jobs.json"))


def test_a_folder_may_have_any_name(launch):
    """In file names, Slurm reads %a and backslashes, Grid Engine $HOME : and , ; JOB is ours."""
    good = launch.folder / "JOBS" / "50%a of größe, a:b 'c' \"d\""
    launch.logs = good / {"slurm": "back\\slash", "sge": "$HOME"}[launch.launcher]
    assert "in its name for logs; choose another --workdir" in launch().stderr.splitlines()[-1]
    launch.logs = good
    done = launch()
    print(done.stderr)
    assert done.returncode == 0
    assert receipts(launch) == WHOLE
    assert sorted(path.name for path in launch.logs.glob("*.log")) == ["1.log", "2.log", "3.log"]


def test_no_more_tasks_run_at_once_than_the_array_says(launch):
    launch.hold(1, 2, 3)
    process = launch.begin("--max", "1")
    wait_for(
        lambda: len(launch.runs()) == 1 and "1 running, 2 waiting" in launch.said.read_text(),
        launch.said.read_text,
    )
    launch.release()
    assert "2 running" not in launch.finish(process)


def test_a_cancelled_task_is_a_failure_that_the_same_command_mends(launch, tell):
    process, job = caught_at_it(launch)
    tell(CANCEL, job, 2)
    error = launch.finish(process, code=1)
    assert "1 of 3 tasks failed: [2]" in error.splitlines()[-1]
    assert "cancelled" in error
    launch.release()
    assert launch().returncode == 0
    assert launch.runs() == ["1", "2", "2", "3"]


def test_a_killed_launcher_leaves_its_jobs_to_the_next_one(launch):
    process, job = caught_at_it(launch)
    process.kill()
    process.wait()
    again = launch.begin()
    launch.says(again, f"already run as job {job}")
    launch.release()
    launch.finish(again)
    assert launch.runs() == ["1", "2", "3"]


def test_ctrl_c_cancels_the_jobs_and_their_processes_end(launch, tell):
    process, job = caught_at_it(launch)
    process.send_signal(signal.SIGINT)
    assert f"cancelled job {job}" in launch.finish(process, code=130)
    wait_for(lambda: not tell(LEFT, job).strip())
    wait_for(lambda: not launch.processes(), launch.processes)
