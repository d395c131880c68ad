"""Cluster launchers on a faulty scheduler (tests/fake_scheduler.py): success or a clear failure."""

import json
import signal

import pytest

from tests.cluster.daemons import wait_for
from tests.fake_scheduler import install
from tests.launched import Launching

CONF = {
    "slurm": """\
command sbatch --partition=cpu
option mem=* --mem=$0
option num_threads=* --cpus-per-task=$0
option gpu=* --gres=gpu:$0
""",
    "sge": """\
command qsub -P speech
option mem=* -l h_vmem=$per_thread
option num_threads=* -pe smp $0
option gpu=* -l gpu=$0
""",
}
SETTINGS = """\
default mem=2G
set poll_seconds=0.2
set visible_seconds=1
set answer_seconds=300
set retries=1
"""
START, ASK, CANCEL = (
    {"slurm": "sbatch", "sge": "qsub"},
    {"slurm": "scontrol", "sge": "qstat"},
    {"slurm": "scancel", "sge": "qdel"},
)
pytestmark = [pytest.mark.slow, pytest.mark.cluster]


class Cluster(Launching):
    """The step of tests/launched.py, launched on a scheduler with planned faults."""

    def __init__(self, folder, launcher):
        self.fake = folder / "fake"
        super().__init__(folder / "work", launcher, CONF[launcher] + SETTINGS, install(self.fake))
        (self.fake / "work_folder").write_text(str(self.folder))

    def plan_faults(self, commands=None, **tasks):
        """``_2=["lose"]``: the first run of task 2 is lost."""
        faults = {
            "tasks": {job[1:]: list(each) for job, each in tasks.items()},
            "commands": commands or {},
        }
        (self.fake / "faults.json").write_text(json.dumps(faults))

    def calls(self, command):
        """Command lines that were answered."""
        path = self.fake / "calls"
        return [
            line.split()
            for line in (path.read_text().splitlines() if path.exists() else [])
            if line.split()[0] == command
        ]

    def started(self):
        """Command lines of sbatch or qsub."""
        return self.calls(START[self.launcher])

    def setting(self, words):
        """Add a setting to the site's file."""
        with open(self.folder / "site.conf", "a") as file:
            file.write(f"set {words}\n")

    def wait_until_running(self):
        """Wait until a task has begun, or is held."""
        state = self.fake / "state.json"
        wait_for(lambda: state.exists() and '"RUNNING"' in state.read_text())


@pytest.fixture(params=["slurm", "sge"])
def cluster(request, tmp_path):
    return Cluster(tmp_path, request.param)


def receipts(cluster):
    return sorted(path.name for path in cluster.folder.glob("receipts/*.json"))


WHOLE = [f"launched.{part}of3.json" for part in "123"]


def test_an_array_is_submitted_once_with_its_resources_and_only_what_is_missing_again(cluster):
    done = cluster("--num-threads", "2", "--mem", "3G", "--max", "2", also=("--device", "cuda"))
    assert done.returncode == 0, done.stderr
    (words,) = cluster.started()
    assert {
        "slurm": {
            "--partition=cpu",
            "--mem=3G",
            "--cpus-per-task=2",
            "--gres=gpu:1",
            "--array=1-3%2",
        },
        "sge": {"-P", "h_vmem=1536M", "smp", "gpu=1", "-tc", "1-3"},
    }[cluster.launcher] <= set(words)
    assert receipts(cluster) == WHOLE
    assert (cluster.folder / "runs").read_text().split() == ["32", "22", "12"], (
        "the fake one begins with the last; two threads each"
    )
    assert "host" in (cluster.folder / "log" / "2.log").read_text().splitlines()[0]
    (cluster.folder / "out.2").unlink()
    done = cluster()
    assert done.returncode == 0, done.stderr
    assert cluster.runs() == ["1", "2", "2", "3"]
    assert len(cluster.started()) == 2
    assert not list(cluster.folder.glob("log/*.jobs.json"))
    assert not list(cluster.folder.glob("log/*.out"))


@pytest.mark.parametrize("fault", ["lose", "silent", "truncate", "memory"])
def test_a_lost_silent_truncated_or_killed_task_is_run_again(cluster, fault):
    cluster.plan_faults(_2=[fault])
    done = cluster()
    print(done.stderr)
    assert done.returncode == 0
    assert receipts(cluster) == WHOLE
    assert (cluster.folder / "out.2").read_text() == "2"
    assert len(cluster.started()) == 2
    assert "trying again: [2]" in done.stderr
    memory = [word for word in cluster.started()[1] if "mem" in word]
    assert ("4096M" in memory[0]) == (fault == "memory")
    assert ("2G" in memory[0] or "2048M" in memory[0]) == (fault != "memory")


@pytest.mark.parametrize("fault", ["lose", "silent", "memory"])
def test_repeated_faults_end_in_a_table_and_a_failure(cluster, fault):
    cluster.plan_faults(_2=[fault, fault])
    done = cluster()
    print(done.stderr)
    assert done.returncode == 1
    assert "1 of 3 tasks failed: [2]" in done.stderr.splitlines()[-1]
    row = next(
        line.split(maxsplit=3)
        for line in done.stderr.splitlines()
        if line.split()[0] == "2" and "no receipt" in line
    )
    assert (row[0], row[2]) == ("2", "2")
    assert {"lose": "no longer knows", "silent": "exit code 0", "memory": "137"}[fault] in row[3]
    assert cluster().returncode == 0
    assert cluster.runs() == ["1", "2", "3"]


def test_a_failure_with_a_message_of_the_step_is_not_tried_again(cluster):
    (cluster.folder / "fail.2").write_text("loud")
    done = cluster()
    assert done.returncode == 1
    assert "x.ark: No space left on device" in done.stderr
    assert len(cluster.started()) == 1


def test_a_task_that_runs_twice_at_once_is_done_once(cluster):
    cluster.plan_faults(_2=["twice"])
    done = cluster()
    assert done.returncode == 0, done.stderr
    assert cluster.runs() == ["1", "2", "3"]


def test_the_launcher_waits_for_results_that_appear_late(cluster):
    cluster.setting("visible_seconds=600")
    cluster.plan_faults(_2=["late"])
    process = cluster.begin()
    cluster.says(process, "results are not visible yet: waiting up to 600 s")
    (hidden,) = cluster.fake.glob("*.json.late")
    hidden.rename(cluster.folder / "receipts" / hidden.stem)
    cluster.finish(process)
    assert cluster.runs() == ["1", "2", "3"]


@pytest.mark.parametrize("fault", ["timeout", "mute", "down"])
def test_a_submission_that_fails_or_gets_no_answer_is_not_made_twice(cluster, fault):
    cluster.plan_faults(
        commands={
            START[cluster.launcher]: [fault],
            ASK[cluster.launcher]: ["down", ""] if cluster.launcher == "sge" else ["down"],
        }
    )
    done = cluster()
    assert done.returncode == 0, done.stderr
    assert cluster.runs() == ["1", "2", "3"]


def test_a_refused_submission_and_a_dead_scheduler_are_one_line(cluster):
    cluster.plan_faults(commands={START[cluster.launcher]: ["refuse"]})
    done = cluster()
    assert done.returncode == 1
    assert "invalid partition" in done.stderr.splitlines()[-1]
    assert "site.conf" in done.stderr.splitlines()[-1]
    cluster.setting("answer_seconds=3")
    cluster.plan_faults(commands={ASK[cluster.launcher]: ["down"] * 999})
    done = cluster()
    assert done.returncode == 1
    assert "no answer for 3 s" in done.stderr.splitlines()[-1]
    cluster.setting("answer_seconds=300")
    cluster.plan_faults()
    assert cluster().returncode == 0
    assert cluster.runs() == ["1", "2", "3"]


def test_jobs_outlive_a_killed_launcher_and_are_followed_again(cluster):
    cluster.plan_faults(_3=["hold"])
    process = cluster.start()
    cluster.wait_until_running()
    process.kill()
    process.wait()
    (cluster.fake / "release").touch()
    done = cluster()
    print(done.stderr)
    assert done.returncode == 0
    assert cluster.runs() == ["1", "2", "3"]
    assert len(cluster.started()) == 1


def test_a_job_without_a_recorded_number_is_identified_by_its_name(cluster):
    cluster.plan_faults(_3=["hold"])
    process = cluster.start()
    cluster.wait_until_running()
    process.kill()
    process.wait()
    record = next(cluster.folder.glob("log/*.jobs.json"))
    record.write_text(record.read_text().replace('"job": "1"', '"job": ""'))
    other = cluster(also=("--force",))
    assert other.returncode == 1
    assert "earlier command still writes the same outputs" in other.stderr
    (cluster.fake / "release").touch()
    assert cluster().returncode == 0
    assert len(cluster.started()) == 1


@pytest.mark.parametrize(
    ("number", "cancelled"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)]
)
def test_ctrl_c_cancels_jobs_and_a_hang_up_leaves_them(cluster, number, cancelled):
    cluster.plan_faults(_3=["hold"])
    process = cluster.begin()
    cluster.says(process, "1 running, 2 waiting")
    process.send_signal(number)
    cluster.finish(process, code=130)
    assert ("CANCELLED" in (cluster.fake / "state.json").read_text()) == cancelled
    (cluster.fake / "release").touch()
    assert cluster().returncode == 0
    assert cluster.runs() == ["1", "2", "3"]
    assert len(cluster.started()) == 1 + cancelled


def test_a_hang_up_after_sigterm_does_not_keep_the_launcher_from_cancelling(cluster):
    """A signal to the whole process group also ends the shell, and a hang-up follows."""
    cluster.plan_faults(commands={CANCEL[cluster.launcher]: ["down"] * 5}, _3=["hold"])
    process = cluster.begin()
    cluster.says(process, "1 running, 2 waiting")
    process.send_signal(signal.SIGTERM)
    cluster.says(process, "no answer yet")
    process.send_signal(signal.SIGHUP)
    text = cluster.finish(process, code=130)
    (cluster.fake / "release").touch()
    assert "cancelled job" in text


def test_two_launchers_at_once_and_another_kind_of_launcher_are_refused(cluster):
    cluster.plan_faults(_3=["hold"])
    process = cluster.start()
    cluster.wait_until_running()
    second = cluster()
    assert second.returncode == 1
    assert "another launcher works on this array (process" in second.stderr
    process.kill()
    process.wait()
    words, cluster.launcher, cluster.conf = cluster.launcher, "local", []
    third = cluster()
    assert third.returncode == 1
    assert f"submitted with --cmd {words}" in third.stderr
    (cluster.fake / "release").touch()
