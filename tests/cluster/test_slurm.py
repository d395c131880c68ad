"""The Slurm launcher on a real Slurm: lack of memory, a lost node, a requeued job, the doctor."""

import pytest

from tests.cluster.daemons import ask, wait_for
from tests.cluster.slurm import SITE, let_start, set_down, set_up
from tests.conftest import ROOT
from tests.launched import Launching

EXAMPLE = (ROOT / "conf" / "cluster" / "example_slurm.conf").read_text().replace("mem=4G", "mem=1G")
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


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ("0", ("Partition=cpu ", "OverSubscribe=OK ")),
        ("1", ("Partition=gpu ", "TresPerNode=gres:gpu:a100:1 ", "OverSubscribe=OK ")),
        ("2", ("Partition=gpu-large ", "TresPerNode=gres:gpu:a100:2 ", "OverSubscribe=NO ")),
    ],
)
def test_resources_arrive_as_they_were_asked_for(launch, scontrol, gpus, words):
    launch.hold(1, 2, 3)
    (launch.folder / "site.conf").write_text(EXAMPLE + "set poll_seconds=0.5\n")
    process = launch.begin(
        "--mem", "500M", "--num-threads", "2", "--time", "0:30:00", "--gpu", gpus
    )
    told = scontrol("scontrol", "--oneliner", "show", "job", launch.job_of(process))
    print(told)
    for each in (
        "Account=speech ",
        "CPUs/Task=2 ",
        "MinMemoryNode=500M ",
        "TimeLimit=00:30:00 ",
        "Requeue=1 ",
        *words,
    ):
        assert each in told
    launch.release()
    launch.finish(process)
    assert set((launch.folder / "runs").read_text().split()) == {"12", "22", "32"}


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
    assert (
        "refused: sbatch: error: Batch job submission failed: Invalid job array specification"
        in refused.stderr.splitlines()[-1]
    )


@pytest.mark.long
def test_a_node_set_down_and_a_requeued_job_are_waited_for(launch, scontrol, slurm_environment):
    launch.hold(1, 2, 3)
    process = launch.begin()
    job = launch.job_of(process)
    wait_for(lambda: len(launch.runs()) == 3, launch.runs)
    where = dict(
        line.split()
        for line in scontrol("squeue", "--noheader", f"--jobs={job}", "--format=%K %N").splitlines()
    )
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
    assert sorted(path.name for path in launch.folder.glob("receipts/*.json")) == [
        f"launched.{part}of3.json" for part in "123"
    ]


def test_the_doctor_asks_whether_jobs_would_be_taken_and_submits_none(
    slurm_environment, scontrol, command, tmp_path
):
    words = [
        "utils.doctor",
        "--workdir",
        tmp_path,
        "--cmd",
        "slurm",
        "--cluster-conf",
        tmp_path / "site.conf",
        "--device",
        "cuda",
    ]
    before = scontrol("squeue", "--noheader", "--states=all")
    for text, verdict in (
        (EXAMPLE, "ok"),
        (EXAMPLE.replace("--partition=cpu", "--partition=nowhere"), "bad"),
    ):
        (tmp_path / "site.conf").write_text(text)
        lines = command(*words, env=slurm_environment).stdout.splitlines()
        (line,) = [line for line in lines if "site's file" in line]
        print(line)
        assert line.split()[0] == verdict
        assert "ok       scheduler        sinfo answers" in lines
        assert ("invalid partition specified: nowhere" in line) == (verdict == "bad")
    assert scontrol("squeue", "--noheader", "--states=all") == before
