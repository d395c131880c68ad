"""Two runs of a recipe: refused in one folder, allowed where they write to different ones."""

import os
import signal

import pytest

from tests.recipes.runs import last_line
from tests.recipes.test_recipes import kill, wait_for

pytestmark = pytest.mark.slow


def locks(workdir):
    return sorted(
        str(path.relative_to(workdir))
        for path in workdir.glob("*/**/.*.lock")
        if path.parent.name != "receipts"
    )


def start_and_hold(runs, workdir, path, *options):
    """A run of mini that is stopped, but alive, as soon as a path exists."""
    process = runs.start("mini", workdir, *options)
    wait_for(path, process)
    os.killpg(process.pid, signal.SIGSTOP)
    return process


def test_a_second_run_is_refused_while_the_first_lives_and_takes_over_when_it_is_dead(
    runs, tmp_path, monkeypatch
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    process = start_and_hold(runs, tmp_path, tmp_path / "data" / ".tiny.lock")
    refused = runs.run("mini", tmp_path, code=1)
    print(refused)
    assert len(refused.splitlines()) == 1
    assert (
        f"run.sh --size tiny --workdir {tmp_path} "
        f"(process {process.pid} on host {os.uname().nodename}, user " in refused
    )
    assert refused.rstrip().endswith("; wait for it, or stop it")
    runs.run("mini", tmp_path, "--clean", 0, "--yes", code=1)
    for question in (["--status"], ["--dry-run"], ["--verify"], ["--why", 0], ["--clean", 0]):
        runs.run("mini", tmp_path, *question)
    kill(process)
    assert "data/.tiny.lock" in locks(tmp_path), "nothing was left to release it"

    process = start_and_hold(
        runs, tmp_path, tmp_path / "exp" / "ghostvlad_tiny-tiny" / "checkpoints" / "step-0000000.pt"
    )
    held = locks(tmp_path)
    kill(process)
    print(held)
    assert held == ["exp/.ghostvlad_tiny-tiny-untrained.lock", "exp/.ghostvlad_tiny-tiny.lock"], (
        "in its training it does not hold the data any more"
    )
    text = runs.run("mini", tmp_path, "--stop-stage", 3)
    dead = [line for line in text.splitlines() if line.endswith(f": process {process.pid} is dead")]
    print("\n".join(dead))
    assert [line.partition(": ")[0] for line in dead] == [
        str(tmp_path / lock) for lock in reversed(held)
    ]
    assert ": taken over from " in dead[0], "stage 3 writes there"
    assert ": removed what was left by " in dead[1], (
        "stages 0 to 3 do not need the folder of the untrained network"
    )
    assert locks(tmp_path) == []
    assert not [path for path in (tmp_path / "tmp").iterdir() if path.is_file()], (
        "the plan has no name"
    )


def test_experiments_of_the_same_data_run_beside_each_other(runs, tmp_path):
    """Both have to train; the data are done, so neither run locks them."""
    workdir = runs.copy("mini", tmp_path)
    first = start_and_hold(
        runs, workdir, workdir / "exp" / ".ghostvlad_tiny-tiny-a.lock", "--name", "a"
    )
    assert not [path for path in locks(workdir) if path.startswith("data")]
    assert "another run is at work here" in last_line(
        runs.run("mini", workdir, "--name", "a", code=1)
    )
    os.killpg(first.pid, signal.SIGCONT)
    runs.run("mini", workdir, "--name", "b", "--stop-stage", 3)
    first.communicate()
    assert first.returncode == 0
    assert locks(workdir) == []
    assert "nothing to do" in runs.run("mini", workdir, "--name", "a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_leaves_no_lock(runs, tmp_path, number):
    process = runs.start("mini", tmp_path)
    wait_for(tmp_path / "data" / "tiny" / "train" / "wav.scp", process)
    os.killpg(process.pid, number)
    process.communicate()
    assert process.returncode != 0
    assert locks(tmp_path) == []


def test_a_cleaned_stage_is_never_run_and_what_is_behind_it_is_not_done(runs, tmp_path):
    workdir, options = runs.copy("mini", tmp_path), ("--stage", 3)
    shown = runs.run("mini", workdir, "--clean", 4)
    assert "nothing was removed: --clean 4 --yes removes it" in last_line(shown)
    assert all(line.endswith("done") for line in runs.run("mini", workdir, "--status").splitlines())
    print(runs.run("mini", workdir, "--clean", 4, "--yes"))
    status = runs.run("mini", workdir, "--status", *options).splitlines()
    print("\n".join(status))
    assert status[0].endswith("done")
    assert status[1].endswith("never run")
    assert all("stale because" in line for line in status[2:])
    assert "nothing to do" not in runs.run("mini", workdir)
    assert all(line.endswith("done") for line in runs.run("mini", workdir, "--status").splitlines())
