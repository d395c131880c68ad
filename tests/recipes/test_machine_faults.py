"""Faults of the machine: the message, and the same bytes once the machine is repaired.

Full disks: test_full_disk.py.  All tests but the first start from a copy of the finished tiny
recipe, from which they remove a part.
"""

import os
import random
import shutil
import signal
import subprocess

import pytest

from tests.recipes.runs import contents, difference, last_line
from tests.recipes.test_full_disk import mounted
from tests.recipes.test_recipes import wait_for
from utils.receipts.contents import SMALL_BYTES

pytestmark = pytest.mark.slow
EXPERIMENT = "exp/ghostvlad_tiny-tiny"


@pytest.fixture
def copy(runs, tmp_path):
    """A finished run to spoil."""
    return runs.copy("mini", tmp_path)


def same_as_whole(runs, workdir, below=""):
    """Files that differ from those of the undisturbed run, in one of its folders."""
    whole = runs.whole("mini")
    wanted, actual = contents(whole), contents(workdir, copied_from=whole)
    chosen = [
        {name: digest for name, digest in side.items() if name.startswith(below)}
        for side in (wanted, actual)
    ]
    assert chosen[0], f"nothing below {below}"
    return difference(*chosen) == []


def flip_a_byte(path):
    """Alter the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_too_few_file_handles(runs, tmp_path):
    text = runs.run("mini", tmp_path, "--stop-stage", "0", code=1, under=["prlimit", "--nofile=16"])
    print(last_line(text))
    assert last_line(text).endswith(
        "Too many open files; raise the limit (`ulimit -n`), and run the same command again"
    )
    runs.run("mini", tmp_path, "--stop-stage", "0")
    names = [
        f"data/tiny/{name}/{file}"
        for name in ("train", "rirs")
        for file in ("audio.ark", "utt2spk")
    ]
    whole, actual = contents(runs.whole("mini")), contents(tmp_path)
    assert [whole[name] for name in names] == [actual[name] for name in names]


def test_too_little_memory(runs, copy):
    (copy / EXPERIMENT / "embeddings" / "test" / "receipts" / "extract.1of2.json").unlink()
    text = runs.run(
        "mini",
        copy,
        "--stage",
        "4",
        "--stop-stage",
        "4",
        code=1,
        under=["prlimit", "--as=400000000"],
    )
    errors = [line.strip() for line in text.splitlines() if "Cannot allocate memory" in line]
    print(errors)
    assert errors
    assert errors[0].startswith("steps.extract: ")
    runs.run("mini", copy)
    assert same_as_whole(runs, copy)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["run.sh", "all of its processes"])
def test_signals_in_training(runs, copy, number, whom):
    shutil.rmtree(copy / EXPERIMENT)
    process = runs.start("mini", copy, "--stop-stage", "3")
    wait_for(copy / EXPERIMENT / "checkpoints" / "step-0000004.pt", process)
    (os.kill if whom == "run.sh" else os.killpg)(process.pid, number)
    assert process.wait(timeout=600) in (-number, 128 + number)
    assert not (copy / EXPERIMENT / "receipts" / "train.json").exists(), "stopped too late"
    text = runs.run("mini", copy, "--stop-stage", "3")
    print([line.strip() for line in text.splitlines() if "resuming from" in line])
    assert "resuming from step" in text
    assert same_as_whole(runs, copy, f"{EXPERIMENT}/checkpoints")
    assert same_as_whole(runs, copy, "data")


def test_a_folder_that_cannot_be_written(runs, copy):
    folder = copy / EXPERIMENT / "scores"
    (folder / "test" / "cosine.scores").unlink()
    if os.geteuid():
        os.chmod(folder / "test", 0o555)
        os.chmod(folder / "test" / "receipts", 0o555)
    elif not (mounted("--bind", folder, folder) and mounted("-o", "remount,bind,ro", folder)):
        pytest.skip("this root may not mount: the read-only folder is not tried")
    text = runs.run("mini", copy, code=1)
    print(last_line(text))
    assert last_line(text).startswith("steps.score: ")
    assert last_line(text).endswith(("Read-only file system", "Permission denied"))
    if os.geteuid():
        os.chmod(folder / "test", 0o755)
        os.chmod(folder / "test" / "receipts", 0o755)
    else:
        subprocess.run(["umount", str(folder)], check=True)
    runs.run("mini", copy)
    assert same_as_whole(runs, copy)


def test_altered_modification_times_make_nothing_stale(runs, copy):
    moments = random.Random(1)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    for path in files:
        os.utime(path, (0, moments.uniform(0, 4e9)))
    print(f"{len(files)} files with times from 1970 to 2096")
    assert "nothing to do" in runs.run("mini", copy)
    assert same_as_whole(runs, copy)


def test_an_altered_byte_of_a_small_archive_is_seen_at_once_and_the_archive_made_again(runs, copy):
    archive = copy / EXPERIMENT / "embeddings" / "test" / "xvector.1.ark"
    assert archive.stat().st_size <= SMALL_BYTES
    flip_a_byte(archive)
    shown = runs.run("mini", copy, "--status")
    print(next(line for line in shown.splitlines() if line.startswith("4")))
    assert f"{archive} is not what was written (checksum differs)" in shown
    text = runs.run("mini", copy)
    assert "== stage 2: pack audio and prepare augmentation: done already" in text
    assert same_as_whole(runs, copy)


@pytest.mark.long
def test_an_altered_byte_of_a_large_archive_is_found_by_verify_and_the_archive_made_again(
    runs, tmp_path
):
    """In a run of its own: the lists of a copy name the original's audio."""
    copy = tmp_path / "own"
    runs.run("mini", copy)
    archive = copy / "data" / "tiny" / "packed_16000" / "train" / "packed.1.ark"
    assert archive.stat().st_size > SMALL_BYTES
    assert "outputs are what was written" in runs.run("mini", copy, "--verify")
    flip_a_byte(archive)
    assert "nothing to do" in runs.run("mini", copy), "large archives are not read each time"
    text = runs.run("mini", copy, "--verify", code=1)
    print(text)
    assert f"{archive} is not what was written (checksum differs)" in text
    assert last_line(text).endswith(
        "outputs are not what was written; remove them and run their stage again"
    )
    trained = (copy / EXPERIMENT / "receipts" / "train.json").read_bytes()
    archive.unlink()
    runs.run("mini", copy)
    assert (copy / EXPERIMENT / "receipts" / "train.json").read_bytes() == trained, (
        "the same bytes again make nothing stale"
    )
    assert same_as_whole(runs, copy)


def test_a_large_archive_whose_header_is_destroyed_is_named_by_the_step_that_reads_it(runs, copy):
    """The lists of a copy name the original's archive; this makes them name the copy's."""
    packed, whole = copy / "data" / "tiny" / "packed_16000" / "test", runs.whole("mini")
    command = [
        "-m",
        "steps.extract",
        copy / EXPERIMENT,
        packed.parent,
        copy / "again",
        "--sets",
        "[test]",
    ]
    scp = packed / "wav.scp"
    scp.write_text(scp.read_text().replace(str(whole), str(copy)))
    archive = packed / "packed.1.ark"
    content = bytearray(archive.read_bytes())
    offset = content.index(b"RIFF")
    content[offset : offset + 4] = b"????"
    archive.write_bytes(content)
    done = subprocess.run(
        ["python3", *map(str, command)], capture_output=True, text=True, check=False
    )
    print(last_line(done.stderr))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(archive) in last_line(done.stderr)
