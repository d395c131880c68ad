"""Readers of files from outside: kept findings, some hundred new inputs each, and planted faults.

Ten minutes of each are in README.md, with the command.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import guard, worker
from tests.fuzz.kept import kept_inputs
from tests.fuzz.target import OF_ONE_SEED, Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import MARKER, Tally, run_for, try_inputs
from tests.pickles import hostile, load_with_python
from utils.errors import UserError
from utils.foreign import sandbox

FEW = {"yaml": 60, "data_dir": 100}  # inputs of those that take long; of the others: MANY
MANY = 250


def told(findings):
    return "\n".join(f"{one.number}: {one.what} at {one.where}\n{one.text}" for one in findings)


@pytest.mark.parametrize("name", [name for name in TARGETS if kept_inputs(name)])
@pytest.mark.slow
def test_what_was_once_a_finding_is_read_or_refused(name, monkeypatch):
    monkeypatch.setattr(sandbox, "LEAST_CPU_SECONDS", 2)  # which one of them takes
    kept, tally = kept_inputs(name), Tally()
    found = list(try_inputs(TARGETS[name], range(len(kept)), tally, list(kept.values())))
    print(f"{name}: {tally.inputs} kept inputs, {tally.read} calls read, {tally.refused} refused")
    assert not found, f"of {list(kept)}: {told(found)}"
    assert tally.inputs == len(kept)
    assert tally.refused


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_new_inputs_are_read_or_refused(name):
    tally, found, seconds = run_for(TARGETS[name], 60, 2 * OF_ONE_SEED, most=FEW.get(name, MANY))
    print(
        f"{name}: {tally.inputs} inputs, {tally.read} calls read, {tally.refused} refused in "
        f"{seconds:.1f} s"
    )
    assert not found, told(found)
    assert tally.inputs == FEW.get(name, MANY)
    assert tally.read, "nothing was read: the inputs do not reach the readers"
    assert tally.refused, "nothing was refused: the inputs are not damaged"


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.slow
def test_the_first_input_is_read_as_it_stands(name):
    """A target whose files are all refused at once would find nothing."""
    target = TARGETS[name]
    for reader, read in target.readers.items():
        alone, tally = Target(name, {reader: read}, lambda: target.seeds), Tally()
        found = list(try_inputs(alone, range(OF_ONE_SEED, OF_ONE_SEED + len(target.seeds)), tally))
        assert not found, told(found)
        assert tally.read, f"{reader} reads none of {len(target.seeds)} seeds"


@pytest.mark.slow
def test_an_input_is_rebuilt_from_its_number_in_another_process():
    program = (
        "import hashlib\nfrom tests.fuzz.targets import TARGETS\n"
        "for name, target in TARGETS.items():\n"
        "    inputs = [target.input(n) for n in range(10**9, 10**9 + 150)]\n"
        "    print(name, hashlib.sha256(repr(inputs).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 64 * len(TARGETS)


@pytest.mark.slow
def test_the_command_draws_records_and_replays(command, tmp_path):
    drawn = command(
        "tests.fuzz", "plda", "--minutes", "0.02", "--seed", "3", "--record", tmp_path / "x.json"
    )
    record = json.loads((tmp_path / "x.json").read_text())
    print(drawn.stdout)
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    assert record["target"] == "plda"
    assert record["inputs"] > 0
    assert record["read"] + record["refused"] == 3 * record["inputs"]
    record["findings"] = [{"number": 3 * OF_ONE_SEED + k} for k in range(5)]
    (tmp_path / "x.json").write_text(json.dumps(record))
    for replayed, inputs in (
        ("kept", "0 inputs"),
        (str(3 * OF_ONE_SEED), "1 inputs"),
        (tmp_path / "x.json", "5 inputs"),
    ):
        done = command("tests.fuzz", "plda", "--replay", replayed)
        assert done.returncode == 0, done.stderr
        assert f"plda: {inputs}," in done.stdout


def _with(reader):
    """Findings of 12 inputs, of which every third has an 'x' in it."""
    target = Target(
        "bad", {"reader": reader}, lambda: [{"file": b"abc"}, {"file": b"axc"}, {"file": b"abc "}]
    )
    inputs = [target.seeds[k % 3] for k in range(12)]
    tally = Tally()
    return list(try_inputs(target, range(12), tally, inputs)), tally


def _at_x(deed):
    def reader(place):
        if b"x" in (place.given / "file").read_bytes():
            deed(place)
        raise UserError("not read")

    return reader


def _caught(place):
    try:
        (place.given.parent / "out").write_text("x")
    except BaseException:
        if place is None:
            raise


def _grow(place):
    bytearray(600 << 20)


DEEDS = {
    "another exception": (lambda place: [][1], "IndexError"),
    "memory": (_grow, "MemoryError"),
    "a crash": (lambda place: os.kill(os.getpid(), 11), "killed by SIGSEGV"),
    "the end of the process": (lambda place: sys.exit(0), "SystemExit"),
    "work without end": (lambda place: [None for _ in iter(int, 1)], "s of work"),
    "sleep": (lambda place: time.sleep(60), "asleep"),
    "a pipe that nobody writes": (
        lambda place: open(place.given.parent / "pipe", "rb"),  # noqa: SIM115
        "asleep",
    ),
    "a file beside the output": (
        lambda place: (place.output.parent / "out").write_text("x"),
        "Forbidden",
    ),
    "a file by ../": (lambda place: (place.output / "../../out").write_text("x"), "Forbidden"),
    "a file through a link": (
        lambda place: [
            (place.output / "a").symlink_to(".."),
            (place.output / "a/out").write_text("x"),
        ],
        "Forbidden",
    ),
    "a file whose fault is caught": (_caught, "Forbidden"),
    "an input changed": (lambda place: (place.given / "file").unlink(), "Forbidden"),
    "a command": (
        lambda place: subprocess.run(["touch", MARKER], check=False),
        "Forbidden: subprocess.Popen",
    ),
    "a pickle": (
        lambda place: load_with_python(hostile(MARKER)["asks for posix.system"]),
        "Forbidden: pickle.find_class",
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.slow
def test_a_bad_reader_is_found(deed, monkeypatch):
    monkeypatch.setattr(guard, "CPU_SECONDS", 0.1)
    monkeypatch.setattr(guard, "BLOCKED_SECONDS", 0.1 if "asleep" in DEEDS[deed][1] else 20)
    if "s of work" in DEEDS[deed][1] or "asleep" in DEEDS[deed][1]:
        monkeypatch.setattr(worker, "AT_A_TIME", 5)  # and so that more than one process is at it
    found, tally = _with(_at_x(DEEDS[deed][0]))
    assert [one.number for one in found] == list(range(1, 12, 3))
    assert all(DEEDS[deed][1] in one.what for one in found), told(found)
    assert (tally.inputs, tally.refused) == (12, 8)
    assert not MARKER.exists()


def test_a_file_that_c_code_writes_is_found():
    """What no audit hook sees is seen in the folders."""
    import ctypes

    def write(place: Path):
        libc = ctypes.CDLL(None)
        libc.close(libc.creat(str(place.output.parent / "out").encode(), 0o600))

    found, _ = _with(_at_x(write))
    assert len(found) == 4
    assert "written outside" in found[0].what


def test_a_good_reader_may_read_and_write_in_its_folder():
    def reader(place):
        (place.output / "folder").mkdir()
        (place.output / "folder/copy").write_bytes((place.given / "file").read_bytes())
        os.rename(place.output / "folder", place.output / "renamed")

    found, tally = _with(reader)
    assert not found, told(found)
    assert tally.read == 12


def test_a_planted_fault_is_found_by_drawn_inputs():
    """A reader that trusts a length: the mutations find it within some dozen inputs."""

    def reader(place):
        content = (place.given / "file").read_bytes()
        if content[:4] != b"HEAD":
            raise UserError("no head")
        return content[8:][int.from_bytes(content[4:8], "little") - 1]

    target = Target("trusting", {"reader": reader}, lambda: [{"file": b"HEAD\3\0\0\0abc"}])
    tally, found, _ = run_for(target, 20, OF_ONE_SEED, most=50)
    assert found, f"nothing in {tally.inputs} inputs"
    assert found[0].what.startswith("IndexError")
    again = list(try_inputs(target, [found[0].number], Tally()))
    assert [one.what for one in again] == [found[0].what], "the number alone brings it back"
