"""A sample of kills: at a point of each kind in each stage, and at random moments.

The others: tests/fail_points.py and tests/chaos.py.
"""

import re
import time

import pytest

from tests.alone import COMMANDS

pytestmark = pytest.mark.slow
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


@pytest.fixture
def proof(command, monkeypatch, tmp_path):
    """Run one of the two commands in a folder of its own; gives what it printed."""

    def call(*words):
        for name, value in {**SINGLE_THREAD, "TMPDIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        started = time.monotonic()
        done = command(*words)
        print(done.stdout + f"{' '.join(words)}: {time.monotonic() - started:.0f} s")
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return call


@pytest.mark.long
def test_death_at_a_point_of_each_kind_in_each_stage(proof):
    text = proof("tests.fail_points", "--sample", "--seed", "1", "--num-threads", "1")
    counts = {
        int(stage): (int(points), int(deaths))
        for stage, points, deaths in re.findall(
            r"^stage (\d): (\d+) points, (\d+) deaths", text, re.MULTILINE
        )
    }
    assert set(counts) == set(range(8))
    assert all(points >= deaths >= 7 for points, deaths in counts.values()), (
        "each stage writes, syncs and renames"
    )


@pytest.mark.long
def test_death_at_a_point_of_each_command_that_no_recipe_runs(proof):
    text = proof("tests.fail_points", "--alone", "--sample", "--seed", "1")
    assert int(re.search(r"^stage alone: \d+ points, (\d+) deaths", text, re.MULTILINE)[1]) == len(
        COMMANDS.strip().splitlines()
    )


@pytest.mark.long
def test_chaos(proof):
    """Ten whole runs; the others of the two hundred by the command."""
    text = proof("tests.chaos", "--runs", "10", "--seed", "1")
    assert len(re.findall(r'^{"seed": ', text, re.MULTILINE)) == 10
    assert int(re.search(r"10 runs, (\d+) kills", text)[1]) >= 20
