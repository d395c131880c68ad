"""Locks: one run at a time, its description, and only dead runs lose theirs."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from utils.errors import UserError
from utils.locks import run_lock
from utils.locks.run_lock import acquire, clear, is_own, lock_path, locked, release
from utils.machine import process_start_time

COMMAND = "recipes/mini/run.sh --size tiny"
DAY = 86400
TAKE = (
    "import os, sys; from pathlib import Path; from utils.locks.run_lock import acquire; "
    "acquire([Path(sys.argv[1])], os.getpid(), 'x'); print('got it', flush=True)"
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "full"


def read_lock(folder):
    return json.loads(lock_path(folder).read_text())


def change(folder, silent_seconds=0.0, **facts):
    """Change entries of a lock, and the age of its heartbeat."""
    lock_path(folder).write_text(json.dumps(read_lock(folder) | facts))
    then = time.time() - silent_seconds
    os.utime(lock_path(folder), (then, then))


def refusal(folder):
    with pytest.raises(UserError) as error:
        acquire([folder], os.getpid(), "another")
    print(error.value)
    return str(error.value)


def dead_process():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_run_is_refused_with_the_name_of_the_holder(folder):
    acquire([folder], os.getppid(), COMMAND)
    text = refusal(folder)
    assert text.startswith(
        f"{lock_path(folder)}: another run is at work here: {COMMAND} "
        f"(process {os.getppid()} on host {os.uname().nodename}, user "
    )
    assert text.endswith("its heartbeat is 0 s old; wait for it, or stop it")
    assert len(text.splitlines()) == 1
    assert read_lock(folder)["since"] in text
    release(os.getppid(), [lock_path(folder)])
    acquire([folder], os.getpid(), "another")
    assert read_lock(folder)["command"] == "another"
    assert [path.name for path in folder.parent.iterdir()] == [".full.lock"]


def test_of_several_folders_all_are_locked_or_none(folder, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    acquire([folders[1]], os.getppid(), COMMAND)
    with pytest.raises(UserError, match="another run"):
        acquire(folders, os.getpid(), "another")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.lock"]
    with locked([folders[0], folders[2]]):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".a.lock", ".b.lock", ".c.lock"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.lock"]


def test_the_lock_of_a_dead_process_is_taken_over_with_a_message(folder, capsys):
    acquire([folder], dead_process(), COMMAND)
    change(folder, started="12345")
    held = read_lock(folder)
    acquire([folder], os.getpid(), "another")
    message = capsys.readouterr().err
    print(message)
    assert message.startswith(
        f"{lock_path(folder)}: taken over from {COMMAND} (process {held['process']} on host"
    )
    assert message.endswith(f": process {held['process']} is dead\n")
    assert read_lock(folder)["command"] == "another"


def test_what_dead_runs_left_where_nothing_is_to_be_done_is_removed(folder, tmp_path, capsys):
    faraway = tmp_path / "faraway"
    acquire([folder], dead_process(), COMMAND)
    change(folder, started="12345")
    acquire([faraway], os.getpid(), COMMAND)
    change(faraway, host="faraway", process=1)
    clear([folder, faraway, tmp_path / "free"])
    assert not lock_path(folder).exists()
    assert lock_path(faraway).exists()
    assert f"{lock_path(folder)}: removed what was left by {COMMAND}" in capsys.readouterr().err


def take_and_release(folders):
    with locked(folders):
        pass


@pytest.mark.parametrize("look", [clear, take_and_release])
def test_what_a_run_left_that_died_while_it_wrote_its_lock_is_removed(folder, look):
    """On this host only: files of living processes, and of other hosts, stay."""
    lock, dead = lock_path(folder), dead_process()
    lock.parent.mkdir(parents=True)
    here = os.uname().nodename
    names = [
        f"{lock.name}.{host}.{process}.tmp"
        for host, process in ((here, dead), (here, os.getppid()), ("b.c", dead))
    ]
    for name in names:
        lock.with_name(name).write_text("{")
    look([folder])
    assert sorted(path.name for path in lock.parent.glob(".*")) == sorted(names[1:])


def test_another_process_of_the_same_number_is_not_the_holder(folder):
    """A process with this number lives, but started at another time than the lock says."""
    acquire([folder], os.getpid(), COMMAND)
    change(folder, started="1")
    acquire([folder], os.getpid(), "another")
    assert read_lock(folder)["command"] == "another"


def test_what_another_host_holds_is_never_taken(folder):
    acquire([folder], os.getpid(), COMMAND)
    change(folder, silent_seconds=3 * DAY, host="faraway", process=1)
    text = refusal(folder)
    assert "process 1 on host faraway" in text
    assert text.endswith(
        "its heartbeat is 3 days old; wait for it, stop it, or, if it is dead, "
        f"remove {lock_path(folder)}"
    )
    assert read_lock(folder)["host"] == "faraway"


def test_a_run_from_before_the_last_start_of_the_machine_is_dead_once_it_is_silent(folder):
    """Containers may share the name of a host: the heartbeat counts, not the process number."""
    acquire([folder], os.getpid(), COMMAND)
    change(folder, silent_seconds=60, machine="another start", process=dead_process())
    assert refusal(folder).endswith(
        "its heartbeat is 60 s old; wait for it, stop it, or, if it is dead, "
        f"remove {lock_path(folder)}"
    )
    change(folder, silent_seconds=600)
    acquire([folder], os.getpid(), "another")


@pytest.mark.parametrize(
    ("answer", "code", "taken"),
    [
        ("", 0, True),
        ("slurm_load_jobs error: Invalid job id specified", 1, True),
        ("12 cpu sv-x R", 0, False),
        ("Unable to contact slurm controller", 1, False),
    ],
)
def test_slurm_knows_which_of_its_jobs_are_over(folder, tmp_path, monkeypatch, answer, code, taken):
    acquire([folder], os.getpid(), COMMAND)
    change(folder, host="node7", slurm_job="12")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "squeue").write_text(
        f"#!/bin/sh\necho '{answer}' >&{1 + code}\nexit {code}\n" if answer else "#!/bin/sh\n"
    )
    (tmp_path / "bin" / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    if taken:
        acquire([folder], os.getpid(), "another")
    else:
        assert "on host node7" in refusal(folder)


def test_a_job_that_was_queued_again_knows_its_own_lock(folder, tmp_path, monkeypatch):
    acquire([folder], os.getpid(), COMMAND)
    change(folder, host="node7", slurm_job="12")
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 12 R\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert "on host node7" in refusal(folder), "two runs of one life of the job"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    acquire([folder], os.getpid(), "another")


@pytest.mark.parametrize(
    ("answer", "code", "taken"),
    [
        ("Following jobs do not exist: 12", 1, True),
        ("job_number: 12", 0, False),
        ("error: unable to contact qmaster", 1, False),
    ],
)
def test_grid_engine_knows_which_of_its_jobs_are_over(
    folder, tmp_path, monkeypatch, answer, code, taken
):
    (tmp_path / "qstat").write_text(f"#!/bin/sh\necho '{answer}' >&{1 + code}\nexit {code}\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    job = {
        "JOB_ID": "12",
        "SGE_TASK_ID": "undefined",
        "RESTARTED": "0",
        "SGE_ROOT": "/sge",
        "SGE_CELL": "default",
    }
    with monkeypatch.context() as inside:
        for name, value in job.items():
            inside.setenv(name, value)
        acquire([folder], os.getpid(), COMMAND)
        change(folder, host="node7")
        assert "on host node7" in refusal(folder), "two runs of one life of the job"
        inside.setenv("SGE_CELL", "other")
        assert "on host node7" in refusal(folder), (
            "the job of another cluster may have the same number"
        )
    if taken:
        acquire([folder], os.getpid(), "another")
        return
    assert "on host node7" in refusal(folder)
    for name, value in (job | {"RESTARTED": "1"}).items():
        monkeypatch.setenv(name, value)
    acquire([folder], os.getpid(), "another")


def test_of_many_that_find_a_dead_lock_one_gets_it(folder):
    acquire([folder], dead_process(), COMMAND)
    change(folder, started="12345")
    words = [sys.executable, "-c", TAKE + "; sys.stdin.read()", str(folder)]
    runs = [
        subprocess.Popen(
            words,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    lines = [process.stdout.readline() for process in runs]
    errors = [process.communicate()[1] for process in runs]
    print(lines)
    assert sorted(lines) == [""] * 5 + ["got it\n"]
    assert sum("another run is at work here" in error for error in errors) == 5
    assert sum("taken over" in error for error in errors) == 1


def test_a_lock_without_hard_links_is_one_too(folder, monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(run_lock.os, "link", no_links)
    acquire([folder], os.getppid(), COMMAND)
    assert COMMAND in refusal(folder)


def test_a_half_written_lock_is_not_judged(folder):
    folder.parent.mkdir()
    lock_path(folder).write_text('{"command": ')
    assert refusal(folder).startswith(
        f"{lock_path(folder)}: not a lock of a recipe, or half written, 0 s old"
    )


def test_a_disk_that_cannot_be_written_is_one_line(folder):
    """Where the folder should be is a file."""
    folder.parent.write_text("")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "from utils.cli import exit_with\nfrom pathlib import Path\n"
                "from utils.locks.run_lock import acquire\n"
                f"exit_with(lambda: acquire([Path({str(folder)!r})], 1, 'x'))"
            ),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert str(folder.parent) in done.stderr


def test_a_lost_lock_gives_a_message_and_the_new_lock_stays(folder, capsys):
    acquire([folder], os.getpid(), COMMAND)
    change(folder, process=1)
    release(os.getpid(), [lock_path(folder)])
    assert "this lock was removed" in capsys.readouterr().err
    assert lock_path(folder).exists()


def test_the_host_of_a_run_may_be_called_otherwise_before_its_end(folder, monkeypatch, capsys):
    """A laptop may change its host name."""
    acquire([folder], os.getpid(), COMMAND)
    monkeypatch.setattr(run_lock.socket, "gethostname", lambda: "elsewhere")
    assert is_own(lock_path(folder), os.getpid())
    release(os.getpid(), [lock_path(folder)])
    assert not lock_path(folder).exists()
    assert capsys.readouterr().err == ""


def test_the_heart_beats_as_long_as_the_run_lives_and_for_its_own_locks_alone(folder, tmp_path):
    """The run is a process that starts the heart and is then killed."""
    locks = f"[Path({str(lock_path(folder))!r}), Path({str(lock_path(tmp_path / 'other'))!r})]"
    beat = (
        "import os; from pathlib import Path; from utils.locks import run_lock; "
        "from utils.cli import die_with_parent; die_with_parent(); "
        f"run_lock.BEAT_SECONDS = 0.05; run_lock.beat(os.getppid(), {locks})"
    )
    run = (
        TAKE
        + f"; import subprocess; print(subprocess.Popen([sys.executable, '-c', {beat!r}]).pid, "
        + "flush=True); sys.stdin.read()"
    )
    acquire([tmp_path / "other"], os.getpid(), COMMAND)
    change(tmp_path / "other", silent_seconds=DAY)
    process = subprocess.Popen(
        [sys.executable, "-c", run, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "got it\n"
    heart = int(process.stdout.readline())
    os.utime(lock_path(folder), (0, 0))
    wait_until(lambda: lock_path(folder).stat().st_mtime > time.time() - DAY)
    process.kill()
    process.communicate()
    wait_until(lambda: not process_start_time(heart))
    assert lock_path(tmp_path / "other").stat().st_mtime < time.time() - DAY / 2


def wait_until(condition):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
