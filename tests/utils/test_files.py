"""Files on slow and shared disks: temporary names, other mounts, missing disks, late files."""

import os
import shlex
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from tests.conftest import ROOT
from tests.launched import Launching
from tests.mounts import small_disk
from utils import files
from utils.errors import UserError
from utils.files import (
    atomic_write,
    make_folder,
    move_aside,
    publish,
    staging_folder,
    wait_until_visible,
)
from utils.launchers.array import End
from utils.launchers.failures import still_unfinished

LATE_SECONDS = 3.0


@pytest.fixture
def other_disk(tmp_path):
    with small_disk(tmp_path / "other", "1M") as folder:
        yield folder


def test_a_file_behind_a_link_to_another_mount_appears_whole_and_at_once(
    tmp_path, other_disk, monkeypatch
):
    (tmp_path / "exp").symlink_to(other_disk)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for text in ("first", "second"):
        with atomic_write(tmp_path / "exp" / "a" / "x") as file:
            file.write(text)
            assert [path.name for path in (other_disk / "a").glob(".*")] == [".x.tmp"], (
                "beside the final name, on its disk"
            )
    assert (other_disk / "a" / "x").read_text() == "second"
    assert [path.name for path in (other_disk / "a").iterdir()] == ["x"]


def test_nothing_is_moved_aside_if_a_part_lies_on_another_mount(tmp_path, other_disk):
    home = tmp_path / "exp"
    home.mkdir()
    (home / "checkpoints").symlink_to(other_disk)
    for name in ("config.yaml", "checkpoints/step.pt"):
        (home / name).write_text(name)
    with pytest.raises(
        UserError,
        match=r"checkpoints/step.pt: lies on another mount than .*/exp and cannot be renamed",
    ):
        move_aside(home, ["config.yaml", "checkpoints/step.pt"])
    assert (home / "config.yaml").read_text() == "config.yaml"
    assert not list(home.glob("old.*"))
    (home / "checkpoints").unlink()
    (home / "checkpoints").mkdir()
    (home / "checkpoints" / "step.pt").write_text("here")
    assert move_aside(home, ["config.yaml", "checkpoints/step.pt", "none"]) == home / "old.1"
    assert (home / "old.1" / "checkpoints" / "step.pt").read_text() == "here"


def test_an_interrupted_move_aside_is_completed(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    staging_folder(tmp_path, ".mine").mkdir()
    (tmp_path / "a").rename(staging_folder(tmp_path, ".mine") / "a")
    assert move_aside(tmp_path, ["a", "b"], ".mine") == tmp_path / "old.1"
    assert [path.name for path in tmp_path.iterdir()] == ["old.1"]
    assert {path.name: path.read_text() for path in (tmp_path / "old.1").iterdir()} == {
        "a": "a",
        "b": "b",
    }


def test_two_processes_that_move_aside_at_once_get_a_folder_each(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(
        files,
        "publish",
        lambda *names: (monkeypatch.undo(), move_aside(tmp_path, ["b"], ".other"), publish(*names)),
    )
    assert move_aside(tmp_path, ["a"], ".mine") == tmp_path / "old.2"
    assert [(tmp_path / folder).read_text() for folder in ("old.1/b", "old.2/a")] == ["b", "a"]


def test_a_link_to_a_disk_that_is_not_mounted_is_one_line(tmp_path):
    (tmp_path / "exp").symlink_to(tmp_path / "not mounted")
    with pytest.raises(
        UserError,
        match="exp: a link to .*not mounted, which does not exist; check that its disk is mounted",
    ):
        make_folder(tmp_path / "exp")
    with pytest.raises(UserError, match="exp: a link to"), atomic_write(tmp_path / "exp" / "x"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: a file, expected a folder"):
        make_folder(tmp_path / "file")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.fixture
def late(tmp_path):
    """Hide a file, and show it again after some seconds, as a cache of attributes does."""
    threads = []

    def hide(path, seconds=LATE_SECONDS):
        hidden = tmp_path / f"hidden {path.name}"
        os.replace(path, hidden)
        threads.append(threading.Timer(seconds, os.replace, (hidden, path)))
        threads[-1].start()

    yield hide
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_waiting_for_late_files_ends_when_they_appear_or_time_is_up(tmp_path, late, capsys):
    (tmp_path / "x").touch()
    late(tmp_path / "x")
    began = time.monotonic()
    wait_until_visible([tmp_path / "x"], 0)
    assert not (tmp_path / "x").exists(), "0 s: no waiting"
    assert capsys.readouterr().err == ""
    wait_until_visible([tmp_path / "x"], 600)
    assert (tmp_path / "x").exists()
    assert time.monotonic() - began > LATE_SECONDS - 0.5
    assert "x is not visible yet: waiting up to 600 s" in capsys.readouterr().err
    began = time.monotonic()
    wait_until_visible([tmp_path / "never"], 0.5)
    assert 0.5 <= time.monotonic() - began < 100


@pytest.mark.slow
@pytest.mark.parametrize(("visible", "left"), [(600, set()), (0.5, {2})])
def test_a_receipt_that_appears_three_seconds_late(tmp_path, late, monkeypatch, visible, left):
    """One of three finished tasks has no visible receipt yet; the site sets how long to wait."""
    launching = Launching(tmp_path / "work")
    assert launching().returncode == 0
    import local

    monkeypatch.setattr(local, "__path__", [*local.__path__, str(launching.folder)])
    monkeypatch.delitem(sys.modules, "local.launched", raising=False)
    command = launching.words()[launching.words().index("JOB=1:3") + 2 :]
    late(launching.folder / "receipts" / "launched.2of3.json")
    messages = []
    missing = still_unfinished(
        command, {job: End(0) for job in (1, 2, 3)}, [1, 2, 3], visible, messages.append
    )
    print(shlex.join(command), messages)
    assert missing.keys() == left
    assert messages == [
        (
            "tasks [2] ended without an error, and their results are not visible yet: "
            f"waiting up to {visible:g} s for the file system"
        )
    ]
    began = time.monotonic()
    still_unfinished(command, {2: End(1)}, [2], 600, messages.append)
    assert time.monotonic() - began < 300, "no waiting for a failed task"


def start_a_job(data, visible, log):
    """A step in a job of a cluster; the site sets how late files may be."""
    with open(log, "w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "steps.compute_vad", str(data)],
            cwd=ROOT,
            env=os.environ | {"SV_VISIBLE_SECONDS": visible},
            stderr=file,
        )


@pytest.mark.slow
def test_a_job_waits_for_inputs_that_its_node_sees_late(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    data.mkdir()
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    for name in ("utt2spk", "spk2utt"):
        (data / name).write_text("u u\n")
    assert start_a_job(data, "0", log).wait() == 1
    assert "wav.scp is missing: the step that makes it has not finished" in log.read_text()
    job = start_a_job(data, "60", log)
    while "wav.scp is not visible yet: waiting up to 60 s" not in log.read_text():
        assert job.poll() is None, log.read_text()
        time.sleep(0.1)
    (data / "wav.scp").write_text(f"u {tmp_path}/a.wav\n")
    assert job.wait() == 0, log.read_text()
    assert (data / "vad" / "vad.1.scp").exists()
