"""A disk that is full or not writable: one line, nothing half written, and the same bytes later."""

import shutil

import pytest

from tests.mounts import mounted, small_disk
from tests.recipes.runs import contents, difference, last_line

pytestmark = pytest.mark.slow
FULL_AT_KILOBYTES = {
    "stage 0": 4_000,
    "stage 2": 14_000,
}  # data and packed audio are about 20 megabytes
ROOM_FOR_TRAINING = 128  # kilobytes; a checkpoint is larger


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", "1M") as folder:
        yield folder


def fails_on_a_full_disk(runs, disk, kilobytes, where):
    """The recipe ends in that stage with one line that says why; finished work stays whole."""
    mounted("-o", f"remount,size={kilobytes}k", disk)
    text = runs.run("mini", disk / "work", code=1)
    started = [line for line in text.splitlines() if line.startswith("== stage")]
    print(f"{kilobytes} kB: {started[-1]}: {last_line(text)}")
    assert where in started[-1], "the sizes above have to be chosen again"
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
    fails_on_a_full_disk(
        runs, disk, shutil.disk_usage(disk).used // 1024 + ROOM_FOR_TRAINING, "stage 3"
    )
    mounted("-o", "remount,size=100M", disk)
    runs.run("mini", disk / "work")
    assert difference(contents(runs.whole("mini")), contents(disk / "work")) == []
    mounted("-o", "remount,ro", disk)
    assert "report:" in runs.run("mini", disk / "work"), (
        "finished work is shown from a disk that cannot be written"
    )


def test_a_full_folder_of_temporary_files_is_one_line_and_not_a_recipe_without_stages(
    runs, tmp_path, monkeypatch
):
    with small_disk(tmp_path / "temporary", "64k") as temporary:
        (temporary / "fill").write_bytes(bytes(64 * 1024))
        monkeypatch.setenv("TMPDIR", str(temporary))
        for question in ([], ["--status"], ["--clean", 3]):
            text = runs.run("mini", tmp_path / "work", *question, code=1)
            assert len(text.splitlines()) == 1, text
            assert "cannot be written; make room there, or export TMPDIR=DIR" in text
    assert not (tmp_path / "work").exists()


@pytest.mark.long
def test_outputs_on_two_disks_and_temporary_files_on_a_third(runs, tmp_path):
    """exp/ linked to another mount, a TMPDIR of 1 MB: the same bytes, no file in TMPDIR."""
    work = tmp_path / "work"
    work.mkdir()
    with (
        small_disk(tmp_path / "exp_disk", "100M") as exp,
        small_disk(tmp_path / "temporary", "1M") as temporary,
    ):
        (work / "exp").symlink_to(exp)
        environment = {"TMPDIR": str(temporary)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            runs.run("mini", work)
        assert exp.stat().st_dev != work.stat().st_dev
        assert list(exp.glob("*/report.html"))
        left = [path.name for path in temporary.iterdir()]
        assert [name for name in left if not name.startswith("torchinductor_")] == []  # torch's
        (tmp_path / "flat").mkdir()
        shutil.copytree(work / "data", tmp_path / "flat" / "data")
        shutil.copytree(exp, tmp_path / "flat" / "exp")
        assert (
            difference(contents(runs.whole("mini")), contents(tmp_path / "flat", copied_from=work))
            == []
        )
