"""A disk that is full or cannot be written: one line, nothing half-made, and the same command ends with the same bytes when the disk is mended."""

import os
import shutil
import subprocess

import pytest

from tests.recipes.runs import contents, difference, last_line

pytestmark = pytest.mark.slow
FULL_AT_KILOBYTES = {"stage 0": 4_000, "stage 2": 14_000}  # data and packed audio are about 20 megabytes
ROOM_FOR_TRAINING = 128  # kilobytes; a checkpoint is larger


def mounted(*words) -> bool:
    """Whether mount took these words."""
    return subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not mounted("-t", "tmpfs", "-o", "size=1M", "tmpfs", place):
        pytest.skip("only root can mount a small tmpfs here: the full disk is not tried")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fails_on_a_full_disk(runs, disk, kilobytes, where):
    """The recipe ends in that stage, in one line that says why, and what it had finished before is whole."""
    mounted("-o", f"remount,size={kilobytes}k", disk)
    text = runs.run("mini", disk / "work", code=1)
    started = [line for line in text.splitlines() if line.startswith("== stage")]
    print(f"{kilobytes} kB: {started[-1]}: {last_line(text)}")
    assert where in started[-1], "the sizes above have to be chosen anew"
    assert "No space left on device" in text
    assert "outputs are what was written" in runs.run("mini", disk / "work", "--verify")


def test_full_and_read_only_disks(runs, disk):
    mounted("-o", "remount,ro", disk)
    text = runs.run("mini", disk / "work", code=1)
    assert "Read-only file system" in last_line(text)
    mounted("-o", "remount,rw,size=1M", disk)
    for where, kilobytes in FULL_AT_KILOBYTES.items():
        fails_on_a_full_disk(runs, disk, kilobytes, where)
    mounted("-o", "remount,size=100M", disk)
    runs.run("mini", disk / "work", "--stop-stage", 2)
    fails_on_a_full_disk(runs, disk, shutil.disk_usage(disk).used // 1024 + ROOM_FOR_TRAINING, "stage 3")
    mounted("-o", "remount,size=100M", disk)
    runs.run("mini", disk / "work")
    assert difference(contents(runs.whole("mini")), contents(disk / "work")) == []
    mounted("-o", "remount,ro", disk)
    assert "report:" in runs.run("mini", disk / "work"), "finished work is shown from a disk that cannot be written"
