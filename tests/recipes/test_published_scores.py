"""The scores that GhostVLAD's authors published, by the command that RESULTS.md gives."""

import json
import subprocess

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "recipes" / "voxceleb1" / "published_scores.sh"
EER_PERCENT = {
    "am_0111": 3.6638,
    "am_0117": 5.3128,
    "am_0121": 3.982,
    "sm_0104": 3.9767,
    "sm_0111": 3.3139,
    "sm_0121": 3.5578,
    "fused": 3.176,
}


@pytest.fixture
def published(shared_data, tmp_path):
    """A folder with the score files, so that nothing is downloaded; skipped if there are none."""
    there = shared_data.parent / "golden" / "vgg_voxceleb1"
    if not there.is_dir():
        pytest.skip(f"no published scores at {there}")
    for path in there.glob("*.npy"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def run(folder, trials):
    """The script with few draws; returns the finished process with its text."""
    return subprocess.run(
        [SCRIPT, folder, trials, "--replicates", "10"], capture_output=True, text=True
    )


@pytest.mark.slow
def test_six_trainings_and_their_fusion_come_out(published, shared_data):
    done = run(published, shared_data / "lists" / "veri_test.txt")
    assert done.returncode == 0, done.stderr
    rows = json.loads((published / "results" / "results.json").read_text())
    assert {row["system"]: row["eer_percent"] for row in rows} == pytest.approx(EER_PERCENT)
    assert [row["system"] for row in rows if row["cllr"] is not None] == ["fused"]
    differences = json.loads((published / "results" / "differences.json").read_text())
    assert len(differences) == 7 * 6 // 2
    assert "test trials were used" in done.stdout


@pytest.mark.slow
def test_a_file_that_is_not_the_published_one_is_named(published, shared_data):
    (published / "am_0111.npy").unlink()
    (published / "am_0111.npy").write_bytes(b"half of it")
    done = run(published, shared_data / "lists" / "veri_test.txt")
    assert done.returncode == 1
    assert "am_0111.npy: FAILED" in done.stdout
    assert "remove it" in done.stderr
    assert not (published / "results").exists()
