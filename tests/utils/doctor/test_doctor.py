"""The doctor: a healthy machine, a bare Python, and every fault with its verdict and remedy."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from utils.doctor import cluster as doctor_cluster
from utils.doctor import software as doctor_software
from utils.doctor.findings import BAD, OK, WARNING, Finding, joined
from utils.requirements import faults, read_pins

NAMES = [
    "Python",
    "packages",
    "ffmpeg",
    "libsndfile",
    "GPU",
    "locale",
    "cores",
    "memory",
    "shared memory",
    "open files",
    "room on disk",
    "speed of disk",
    "file system",
    "clock",
    "temporary files",
    "scheduler",
]


def verdicts(text):
    """Name -> verdict, by the printed lines; indented lines belong to the one above."""
    lines = [line for line in text.splitlines()[:-1] if not line.startswith(" ")]
    return {line[9:25].strip(): line.split()[0] for line in lines}


def program(folder, name, text):
    """Write a shell script of that name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.slow
def test_every_topic_has_a_line_and_no_file_remains(command, tmp_path):
    done = command("utils.doctor", "--workdir", tmp_path / "not" / "made")
    print(done.stdout)
    assert list(verdicts(done.stdout)) == NAMES
    assert set(verdicts(done.stdout).values()) <= {OK, WARNING, BAD}
    assert done.returncode == int(BAD in verdicts(done.stdout).values())
    assert list(tmp_path.iterdir()) == []
    for line, after in zip(done.stdout.splitlines(), done.stdout.splitlines()[1:], strict=False):
        if line.startswith((WARNING, BAD)):
            assert after.strip().startswith("-> "), f"no remedy: {line}"


def test_a_bare_python_lists_missing_packages(tmp_path):
    """-S: no packages, as before the environment exists."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "utils.doctor", "--workdir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 1, done.stderr
    findings = verdicts(done.stdout)
    assert (
        findings["Python"],
        findings["packages"],
        findings["libsndfile"],
        findings["file system"],
    ) == (
        OK,
        BAD,
        BAD,
        OK,
    )
    assert f"torch=={read_pins(ROOT / 'requirements.txt')['torch']}" in done.stdout
    assert "pip install -r requirements.txt" in done.stdout


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the doctor needs, and a python3 without packages that logs its arguments."""
    for name in ("run.sh", "path.sh", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("utils", "recipes"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("data", "exp", "__pycache__"),
        )
    program(
        tmp_path / "bin", "python3", f'echo "$@" >>{tmp_path}/asked\nexec {sys.executable} -S "$@"'
    )
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [["run.sh", "--doctor"], ["recipes/voices/run.sh", "--doctor", "true", "--cmd", "slurm"]],
    ids=" ".join,
)
def test_run_sh_starts_the_doctor_without_an_environment(checkout, words):
    """Nothing is installed, and options that the recipe needs are not asked for."""
    program(checkout / "bin", "sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    path = f"{checkout / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        [checkout / words[0], *words[1:]],
        cwd="/",
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 1
    assert verdicts(done.stdout)["packages"] == BAD
    assert verdicts(done.stdout)["locale"] == OK
    assert "pip" not in (checkout / "asked").read_text()
    assert not (checkout / ".venv").exists()
    assert (verdicts(done.stdout)["scheduler"] == BAD) == ("slurm" in words)


def test_run_sh_without_any_python_names_the_lack(checkout):
    bare = checkout / "bare"
    bare.mkdir()
    for name in ("bash", "dirname", "env"):
        (bare / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        [checkout / "run.sh", "--doctor"],
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("bad      Python           no python3 on PATH")


@pytest.mark.slow
def test_the_login_node_of_a_cluster_needs_no_gpu(command, tmp_path, monkeypatch):
    program(tmp_path / "bin", "nvidia-smi", "exit 18")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    words = ["utils.doctor", "--workdir", tmp_path, "--device", "cuda", "--cmd"]
    here, elsewhere = (verdicts(command(*words, cmd).stdout)["GPU"] for cmd in ("local", "slurm"))
    assert (here, elsewhere) == (BAD, WARNING)


def test_an_unknown_option_is_2(command):
    assert command("utils.doctor", "--disk", "x").returncode == 2


def test_missing_and_old_packages_are_distinguished(tmp_path):
    (tmp_path / "wanted.txt").write_text(
        "# a comment\nnumpy==999.0   # too new\nno-such-package[extra]==1.2\nscipy==0.1\n"
    )
    missing, old = faults([tmp_path / "wanted.txt"])
    assert missing == ["no-such-package==1.2"]
    assert [word.split()[0] for word in old] == ["numpy"]
    assert "(999.0 required)" in old[0]
    for text, code in (("scipy==0.1\n", 0), ("numpy==999.0\n", 1)):
        (tmp_path / "wanted.txt").write_text(text)
        assert (
            subprocess.run(
                [sys.executable, "-m", "utils.requirements", tmp_path / "wanted.txt"],
                cwd=ROOT,
                check=False,
            ).returncode
            == code
        )


def test_the_worst_part_is_the_verdict_of_the_whole():
    parts = [
        Finding("", OK, "a"),
        Finding("", BAD, "b", "do b"),
        Finding("", WARNING, "c", "do c"),
        Finding("", WARNING, "d", "do c"),
    ]
    assert joined("x", parts) == Finding("x", BAD, "a; b; c; d", "do b; do c")


@pytest.mark.parametrize(
    ("cards", "torch", "device", "verdict", "words"),
    [
        (None, "2.13.0+cpu none 0", "cpu", OK, "no nvidia-smi"),
        (None, "2.13.0+cpu none 0", "cuda", BAD, "--gpus all"),
        ("echo 'NVIDIA X, 80000 MiB, 580.1'", "2.13.0+cu130 13.0 1", "cuda", OK, "580.1"),
        ("echo 'NVIDIA X, 80000 MiB, 525.1'", "2.13.0+cu130 13.0 0", "cuda", BAD, "newer driver"),
        (
            "echo 'NVIDIA X, 80000 MiB, 580.1'",
            "2.13.0+cpu none 0",
            "cpu",
            WARNING,
            "built for CPUs",
        ),
        (
            "echo 'Driver/library version mismatch'; exit 18",
            "2.13.0+cu130 13.0 0",
            "cuda",
            BAD,
            "mismatch",
        ),
    ],
)
def test_cards_driver_and_torch(tmp_path, monkeypatch, cards, torch, device, verdict, words):
    if cards:
        program(tmp_path / "bin", "nvidia-smi", cards)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(doctor_software, "TORCH", f"print({torch!r})")
    finding = doctor_software.check_gpu(device)
    print(finding.lines())
    assert finding.verdict == verdict
    assert words in finding.facts + finding.remedy


def test_ffmpeg_and_the_order_of_sort(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert doctor_software.check_ffmpeg().verdict == WARNING
    program(tmp_path / "bin", "ffmpeg", "echo 'ffmpeg version 7.1'")
    assert doctor_software.check_ffmpeg() == Finding("ffmpeg", OK, "ffmpeg version 7.1")
    program(tmp_path / "bin", "ffmpeg", "echo 'libx264.so: not findings' >&2; exit 127")
    assert doctor_software.check_ffmpeg().verdict == BAD
    program(tmp_path / "bin", "sort", "echo a; echo B")
    assert "LC_ALL=C" in doctor_software.check_locale().remedy
    program(tmp_path / "bin", "sort", "echo B; echo a")
    assert doctor_software.check_locale().verdict == OK


def test_formats_that_libsndfile_lacks_are_named(monkeypatch):
    assert doctor_software.check_libsndfile().verdict == OK
    monkeypatch.setattr(doctor_software, "FORMATS", ("WAV", "MP4"))
    finding = doctor_software.check_libsndfile()
    assert finding.verdict == WARNING
    assert finding.facts.endswith("reads wav; not mp4")


ANSWERING = {
    "slurm": {"sinfo": "exit 0", "sbatch": 'echo "$@" >>"$ASKED"'},
    "sge": {"qstat": "exit 0", "qsub": 'echo "$@" >>"$ASKED"'},
}


@pytest.mark.parametrize(
    ("cmd", "asks"), [("slurm", "--test-only --wrap=true"), ("sge", "-w v -b y true")]
)
def test_a_scheduler_is_asked_about_jobs_with_and_without_a_gpu(tmp_path, monkeypatch, cmd, asks):
    for name, text in ANSWERING[cmd].items():
        program(tmp_path / "bin", name, text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    findings = list(doctor_cluster.check_scheduler(cmd, f"conf/cluster/example_{cmd}.conf", "cuda"))
    assert [finding.verdict for finding in findings] == [OK, OK], findings
    plain, gpu = (tmp_path / "asked").read_text().splitlines()
    assert plain.endswith(asks)
    assert gpu.endswith(asks)
    assert "gpu" not in plain.replace("gpu=0", "")
    assert {"slurm": "--gres=gpu:a100:1", "sge": "-l gpu=1"}[cmd] in gpu


@pytest.mark.parametrize(
    ("now", "verdict"), [("exit 0", OK), ("echo no suitable queues; exit 1", BAD)]
)
def test_grid_engine_is_asked_about_the_present_cluster_if_an_empty_one_would_refuse(
    tmp_path, monkeypatch, now, verdict
):
    program(tmp_path / "bin", "qstat", "exit 0")
    program(
        tmp_path / "bin",
        "qsub",
        f'case "$*" in *"-w p"*) {now} ;; *) echo no suitable queues; exit 1 ;; esac',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    _, site = doctor_cluster.check_scheduler("sge", "conf/cluster/example_sge.conf", "cpu")
    assert site.verdict == verdict, site


def test_missing_silent_and_refusing_schedulers_are_bad(tmp_path, monkeypatch):
    def findings(conf=""):
        return list(doctor_cluster.check_scheduler("slurm", conf, "cpu"))

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (
        next(doctor_cluster.check_scheduler("local", "", "cpu")).facts
        == "none asked for, and none here"
    )
    absent, untried = findings()
    assert (absent.verdict, untried.verdict) == (BAD, WARNING)
    program(
        tmp_path / "bin",
        "sinfo",
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    )
    program(
        tmp_path / "bin",
        "sbatch",
        "echo 'sbatch: error: invalid partition specified: cpu' >&2; exit 1",
    )
    silent, refused = findings()
    assert (silent.verdict, refused.verdict) == (BAD, BAD)
    assert "Unable to contact" in silent.facts
    assert "invalid partition" in refused.facts
    assert "no-such.conf: no such file" in findings("no-such.conf")[1].facts
