"""The Grid Engine launcher on answers of 8.1.9: ends, deletions, tasks that cannot start."""

import subprocess

import pytest

from utils.launchers import sge
from utils.launchers.array import End
from utils.launchers.engine import ENDED, RUNNING, TaskState
from utils.launchers.failures import Failure

ENTRY = """==============================================================
qname        all.q
hostname     node3
taskid       {task}
failed       {failed}
exit_status  {code}
ru_wallclock {seconds}s
category     -l h_rt=60,h_vmem=1536M -pe smp 2
"""
REASON = "can't open /no/such/file as dummy input file"
ERROR = f"error reason    2:          11/26/2026 07:00:32 [0:31772]: error: {REASON}\n"


@pytest.fixture
def answers(monkeypatch):
    """Program -> what it prints."""
    words = {"qstat": "", "qacct": "", "qdel": "", "qstat -j": ""}

    def ask(command):
        called.append(" ".join(command))
        return subprocess.CompletedProcess(
            command, 0, words["qstat -j" if command[:2] == ["qstat", "-j"] else command[0]], ""
        )

    called: list[str] = []
    words["called"] = called
    monkeypatch.setattr(sge, "ask", ask)
    return words


def jobs(state):
    return (
        "<?xml version='1.0'?><job_info><queue_info><job_list state='running'>"
        "<JB_job_number>7</JB_job_number><JB_name>sv-1</JB_name>"
        f"<state>{state}</state><queue_name>all.q@node3</queue_name><tasks>2</tasks>"
        "</job_list></queue_info></job_info>"
    )


@pytest.mark.parametrize(
    ("failed", "code", "seconds", "reason", "lacks_memory"),
    [
        ("0    ", 0, 5, "", False),
        ("0    ", 1, 5, "", False),
        ("0    ", 137, 5, "", True),
        ("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", 137, 61, "over its time", False),
        (
            "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
            137,
            5,
            "over its time or memory",
            True,
        ),
        ("100 : assumedly after job", 137, 5, "100 : assumedly after job", True),
    ],
)
def test_ends_are_read_from_qacct(answers, tmp_path, failed, code, seconds, reason, lacks_memory):
    answers["qacct"] = ENTRY.format(task=2, failed=failed, code=code, seconds=seconds)
    ends = sge.GridEngine().ends("7")
    assert ends == {2: End(code, "node3", reason)}
    assert Failure(2, ends[2], "", tmp_path / "none").lacks_memory == lacks_memory


def test_a_task_in_deletion_is_cancelled_and_one_over_its_time_is_not(answers, tmp_path):
    engine = sge.GridEngine()
    answers["qstat"] = jobs("dr")
    assert engine.task_states("7") == {2: TaskState(RUNNING, End(None, "node3"))}
    answers["qacct"] = ENTRY.format(task=2, failed="100 : assumedly after job", code=137, seconds=5)
    (end,) = engine.ends("7").values()
    assert end.reason == "cancelled"
    assert Failure(2, end, "", tmp_path / "none").is_final
    answers["qacct"] = ENTRY.format(
        task=2, failed="37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", code=137, seconds=61
    )
    assert engine.ends("7")[2].reason == "over its time"


def test_a_task_that_cannot_start_is_deleted_with_a_reason(answers):
    answers |= {"qstat": jobs("Eqw"), "qstat -j": f"job_number: 7\n{ERROR}scheduling info: none\n"}
    end = End(None, "node3", f"the scheduler could not start it (Eqw): {REASON}")
    assert sge.GridEngine().task_states("7") == {2: TaskState(ENDED, end)}
    assert answers["called"][-1] == "qdel 7.2"
