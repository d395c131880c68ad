"""The doctor on machine and disk: control groups, shared memory, slow and odd disks, clocks."""

import errno
import fcntl
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from utils import machine
from utils.doctor import disk as doctor_disk
from utils.doctor import machine as doctor_machine
from utils.doctor.findings import BAD, OK, WARNING
from utils.doctor.machine import GIB
from utils.machine import cgroup_limits

FULL = shutil._ntuple_diskusage


def test_limits_of_the_innermost_control_group_and_those_around_it(tmp_path, monkeypatch):
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "job" / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "job" / "step" / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text("0::/job/step\n")
    assert cgroup_limits(("memory.max",), tmp_path, tmp_path / "own") == ["max", str(3 * GIB)]
    limits = {"cpu.max": ["150000 100000"], "memory.max": [str(3 * GIB)]}
    monkeypatch.setattr(machine, "cgroup_limits", lambda names: limits.get(names[0], []))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert doctor_machine.usable_cores() == 1.5
    assert doctor_machine.usable_memory()[0] == 3 * GIB
    cores = doctor_machine.check_cores()
    assert (cores.verdict, cores.facts) == (WARNING, "1.5 usable of 16")
    assert "--nj 1 " in cores.remedy
    limits["cpu.max"] = ["max 100000"]
    # version 1 of control groups
    limits["cpu.cfs_quota_us"] = ["400000", "-1"]
    limits["cpu.cfs_period_us"] = ["100000", "100000"]
    assert doctor_machine.usable_cores() == 4


@pytest.mark.parametrize(("free", "verdict"), [(1.0, BAD), (2.0, WARNING), (5.0, OK)])
def test_memory(monkeypatch, free, verdict):
    monkeypatch.setattr(doctor_machine, "usable_memory", lambda: (64 * GIB, int(free * GIB)))
    finding = doctor_machine.check_memory()
    assert (finding.verdict, finding.facts) == (verdict, f"{free} GiB free of 64.0")


@pytest.mark.parametrize(
    ("free", "verdict"), [(64 * 2**20, BAD), (GIB // 2, WARNING), (2 * GIB, OK)]
)
def test_shared_memory_of_a_container(tmp_path, monkeypatch, free, verdict):
    """64 MiB is what docker gives by default."""
    monkeypatch.setattr(doctor_machine, "SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FULL(free, 0, free))
    finding = doctor_machine.check_shared_memory()
    assert finding.verdict == verdict
    assert ("--shm-size" in finding.remedy) == (verdict != OK)


@pytest.mark.parametrize(
    ("soft", "verdict"), [(128, BAD), (512, WARNING), (4096, OK), (resource.RLIM_INFINITY, OK)]
)
def test_open_files(monkeypatch, soft, verdict):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, 9000))
    finding = doctor_machine.check_open_files()
    assert finding.verdict == verdict
    assert finding.remedy in ("", "ulimit -n 9000")


def test_a_limit_of_open_files_that_only_root_may_raise(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 200))
    assert "root has to allow" in doctor_machine.check_open_files().remedy


@pytest.mark.parametrize(("free", "verdict"), [(0.5, BAD), (5, WARNING), (50, OK)])
def test_room_on_disk(tmp_path, monkeypatch, free, verdict):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FULL(100 * GIB, 0, int(free * GIB)))
    assert doctor_disk.check_room(tmp_path).verdict == verdict


def test_a_slow_disk_is_a_warning_with_its_speed(tmp_path, monkeypatch):
    quick = doctor_disk.check_speed(tmp_path, 4 * 2**20)
    assert "writes" in quick.facts
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.5))
    slow = doctor_disk.check_speed(tmp_path, 4 * 2**20)  # 4 MiB in half a second at least
    print(slow.facts)
    assert slow.verdict == WARNING
    assert 1 <= int(slow.facts.split()[1]) <= 8
    assert list(tmp_path.iterdir()) == []


def refuse(number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


def test_an_ordinary_file_system_does_what_receipts_need(tmp_path):
    finding = doctor_disk.check_behaviour(tmp_path)
    assert finding.verdict == OK
    assert finding.facts == "renames replace; folders sync; hard links work; locks keep others out"


@pytest.mark.parametrize(
    ("call", "change", "verdict", "words"),
    [
        ("os.replace", refuse(errno.EPERM), BAD, "a rename fails"),
        ("os.replace", lambda *_: None, BAD, "a renamed file is not visible"),
        ("os.fsync", refuse(errno.EINVAL), BAD, "folders cannot be synced: Invalid argument"),
        ("os.link", refuse(errno.EPERM), OK, "no hard links"),
        ("fcntl.flock", refuse(errno.ENOLCK), BAD, "no locks"),
        ("fcntl.flock", lambda *_: None, WARNING, "locks do not keep other processes out"),
    ],
)
def test_faults_of_a_file_system_are_named(tmp_path, monkeypatch, call, change, verdict, words):
    monkeypatch.setattr({"os": os, "fcntl": fcntl}[call.split(".")[0]], call.split(".")[1], change)
    finding = doctor_disk.check_behaviour(tmp_path)
    print(finding.lines())
    assert finding.verdict == verdict
    assert words in finding.facts


def test_a_workdir_that_cannot_be_written_is_bad(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", refuse(errno.EROFS))
    _room, disk = doctor_disk.check_disk(tmp_path / "work" / "deep")
    assert disk.verdict == BAD
    assert disk.facts == f"{tmp_path}: cannot be written: Read-only file system"


@pytest.mark.parametrize(
    ("make", "kind"),
    [(Path.touch, "a file"), (lambda path: path.symlink_to("not mounted"), "a broken link")],
)
def test_a_workdir_that_is_no_folder_is_bad(tmp_path, make, kind):
    make(tmp_path / "work")
    (finding,) = doctor_disk.check_disk(tmp_path / "work" / "deep")
    assert finding.verdict == BAD
    assert finding.facts == f"{tmp_path / 'work'}: {kind}, expected a folder"


@pytest.mark.parametrize(("seconds", "verdict"), [(0, OK), (-30, WARNING), (30, WARNING)])
def test_a_file_server_with_another_time(tmp_path, monkeypatch, seconds, verdict):
    write = Path.write_text

    def write_elsewhere(path, text):
        write(path, text)
        os.utime(path, (time.time() + seconds,) * 2)

    monkeypatch.setattr(Path, "write_text", write_elsewhere)
    finding = doctor_disk.check_clock(tmp_path)
    assert finding.verdict == verdict
    if seconds:
        assert f"{abs(seconds)}" in finding.facts.replace("29.99", "30").replace("30.01", "30")
        assert ("ahead" in finding.facts) == (seconds > 0)


def test_a_clock_that_goes_backwards_is_bad(tmp_path, monkeypatch):
    ticks = iter(range(100, 0, -1))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    assert doctor_disk.check_clock(tmp_path).verdict == BAD


def test_a_missing_temporary_folder_is_bad(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert doctor_disk.check_temporary(tmp_path).facts.startswith(f"{tmp_path}, ")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    finding = doctor_disk.check_temporary(tmp_path)
    assert finding.verdict == BAD, "run.sh writes its plan there"
    assert "none cannot be used" in finding.remedy
