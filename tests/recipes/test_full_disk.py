"""A disk that is full or cannot be written: one line, nothing half-made, and the same command ends with the same bytes when the disk is mended."""

import os
import subprocess

import pytest

from tests.recipes.runs import contents, difference, last_line

pytestmark = pytest.mark.slow
FULL_AT_MEGABYTES = {"stage 0": 4, "stage 2": 14, "stage 3": 21}  # the recipe leaves about 30


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


def test_full_and_read_only_disks(runs, disk):
    mounted("-o", "remount,ro", disk)
    text = runs.run("mini", disk / "work", code=1)
    assert "Read-only file system" in last_line(text)
    mounted("-o", "remount,rw,size=1M", disk)
    for where, megabytes in FULL_AT_MEGABYTES.items():
        mounted("-o", f"remount,size={megabytes}M", disk)
        text = runs.run("mini", disk / "work", code=1)
        started = [line for line in text.splitlines() if line.startswith("== stage")]
        print(f"{megabytes} MB: {started[-1]}: {last_line(text)}")
        assert where in started[-1], "the sizes above have to be chosen anew"
        assert "No space left on device" in text
        assert "outputs are what was written" in runs.run("mini", disk / "work", "--verify")
    mounted("-o", "remount,size=100M", disk)
    runs.run("mini", disk / "work")
    assert difference(contents(runs.whole("mini")), contents(disk / "work")) == []
    mounted("-o", "remount,ro", disk)
    assert "report:" in runs.run("mini", disk / "work"), "finished work is shown from a disk that cannot be written"
