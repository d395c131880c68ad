"""The launcher: arrays, lines of logs, and receipts, which decide what runs again."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.cluster.daemons import wait_for
from tests.launched import Launching
from utils.errors import UserError
from utils.launchers import follow
from utils.launchers.__main__ import main
from utils.launchers.arguments import parse
from utils.launchers.array import Array, substitute
from utils.launchers.record import Submission, write_record
from utils.launchers.site import Site


@pytest.fixture
def launch(tmp_path):
    """The step of tests/launched.py."""
    return Launching(tmp_path)


def test_an_array_runs_and_logs_its_first_and_last_lines(launch, tmp_path):
    done = launch("--num-threads", "3")
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "runs").read_text().split()) == ["13", "23", "33"]
    lines = (tmp_path / "log" / "2.log").read_text().splitlines()
    assert "local.launched" in lines[0]
    assert "--job 2/3" in lines[0]
    assert "host" in lines[0]
    assert lines[-1].startswith("# exit code 0 |")
    assert re.fullmatch(r"   launched \S+ 3/3 \d+ s\n", done.stderr), "one line, without terminal"


@pytest.mark.parametrize(
    ("how", "words"),
    [("silent", "exit code 0, no receipt"), ("loud", "x.ark: No space left on device")],
)
@pytest.mark.slow
def test_the_receipt_decides_and_only_what_is_missing_runs_again(launch, tmp_path, how, words):
    (tmp_path / "fail.2").write_text(how)
    failed = launch()
    assert failed.returncode == 1
    assert words in failed.stderr
    assert "1 of 3 tasks failed: [2]" in failed.stderr
    (tmp_path / "fail.2").unlink()
    (tmp_path / "runs").unlink()
    done = launch()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs").read_text().split() == ["21"]
    assert "all 3 tasks done already" in launch().stderr


def test_tasks_die_with_a_killed_launcher(launch, tmp_path):
    for part in "123":
        (tmp_path / f"fail.{part}").write_text("sleep")
    process = launch.start()
    wait_for(launch.runs)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # they would sleep for 60 s
    wait_for(lambda: not launch.processes(), launch.processes, seconds=50)


def test_warning_signals_to_all_processes_of_a_job_do_not_end_its_step(launch, tmp_path):
    """As Grid Engine sends them before it suspends a job (-notify)."""
    launch.hold(1)
    step = [word.replace("JOB", "1") for word in launch.words(tasks=1)[-6:]]
    process = subprocess.Popen(
        [sys.executable, "-m", "utils.launchers.task", tmp_path / "log" / "1.log", *step],
        env=launch.environment | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    wait_for(lambda: launch.runs() or process.poll() is not None)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.killpg(process.pid, number)
    launch.release()
    assert process.wait() == 0
    assert len(list(tmp_path.glob("receipts/*.json"))) == 1, "the work is done"


@pytest.mark.slow
def test_no_more_tasks_run_at_once_than_cores_may_be_used(launch, tmp_path):
    launch.hold(1, 2, 3)
    core = min(os.sched_getaffinity(0))
    process = launch.begin(preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    wait_for(launch.runs)
    time.sleep(1)
    assert launch.runs() == ["1"], "the others wait, however many cores the machine has"
    launch.release()
    launch.finish(process)
    assert launch.runs() == ["1", "2", "3"]


def test_tasks_that_ended_without_a_launcher_are_checked_before_they_are_submitted(
    tmp_path, monkeypatch
):
    class Engine:
        name = "slurm"

        def task_states(self, job):
            return {}

        def numbers(self, jobs):
            raise AssertionError(f"{jobs} would be submitted a second time")

    array = Array(f"{tmp_path}/JOB.log", ["step", "JOB"], [1, 2], site=Site(tmp_path / "site.conf"))
    write_record(array.beside("jobs.json"), "slurm", [Submission("", {1: 1, 2: 2}, job="7")])
    monkeypatch.setattr(follow, "unfinished", lambda command, jobs: {})
    assert follow.follow(Engine(), array) == {}
    assert not array.beside("jobs.json").exists()
    write_record(array.beside("jobs.json"), "slurm", [Submission("", {1: 1, 2: 2}, job="7")])
    monkeypatch.setattr(follow, "unfinished", lambda command, jobs: {2: ""})
    with pytest.raises(AssertionError, match=r"^\[2\] would"):
        follow.follow(Engine(), array)


def test_resources_and_limits_are_parsed():
    resources, jobs, log, command = parse(
        ["--mem", "4G", "--gpu", "1", "JOB=1:8%2", "log.JOB", "python3", "-m", "x", "JOB/8"]
    )
    assert resources == {"mem": "4G", "gpu": "1", "max": "2"}
    assert list(jobs) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (log, command[-1]) == ("log.JOB", "JOB/8")


def test_task_numbers_replace_words_and_not_parts_of_paths():
    words = [
        "/data/JOBS/JOB/x",
        "/data/JOB",
        "--name",
        "my-JOB",
        "--job",
        "JOB/8",
        "--part=JOB/8",
        "JOB",
        "JOB.yaml",
    ]
    assert substitute(words, 3) == [
        "/data/JOBS/JOB/x",
        "/data/JOB",
        "--name",
        "my-JOB",
        "--job",
        "3/8",
        "--part=3/8",
        "3",
        "JOB.yaml",
    ]
    array = Array("/data/JOB/log/vad.JOB.log", words, [3])
    assert str(array.log_path(3)) == "/data/JOB/log/vad.3.log"
    assert str(array.beside("sh")) == "/data/JOB/log/vad.sh"


@pytest.mark.parametrize(
    "words",
    [
        ["JOB=1:8"],
        ["JOB=8", "log", "x"],
        ["--memory", "4G", "JOB=1:2", "log", "x"],
        [],
        ["JOB=1:0", "log", "x"],
        ["JOB=1:8%0", "log", "x"],
        ["--max", "0", "JOB=1:8", "log", "x"],
        ["--mem", "4000", "JOB=1:8", "log", "x"],
    ],
)
def test_a_malformed_array_is_refused(words):
    with pytest.raises(UserError):
        parse(words)
    assert main(["local", *words]) == 2


def test_an_unknown_launcher_is_refused(capsys):
    assert main(["slrum", "JOB=1:8", "log", "x"]) == 2
    assert "expected one of local, sge, slurm, found 'slrum'" in capsys.readouterr().err


def test_a_scheduler_that_is_not_installed_is_one_line(launch, tmp_path):
    (tmp_path / "site.conf").write_text("command no-such-sbatch\noption num_threads=*\n")
    launch.launcher, launch.conf = "slurm", ["--conf", str(tmp_path / "site.conf")]
    launch.environment["PATH"] = str(tmp_path)
    failed = launch()
    assert failed.returncode == 1
    assert "squeue: not found on PATH" in failed.stderr.splitlines()[-1]
    assert "--cmd local" in failed.stderr.splitlines()[-1]
