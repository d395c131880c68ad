"""The files of this project, for the tests that look at the text of all of them."""

import os
from pathlib import Path

from tests.conftest import ROOT

NOT_OURS = {
    ".git",
    ".venv",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    ".import_linter_cache",
    "_build",
    "__pycache__",
}
MADE = [
    ROOT / "recipes" / recipe.name / made
    for recipe in (ROOT / "recipes").iterdir()
    for made in ("data", "exp")
]


def all_files(folder: Path) -> list[Path]:
    """Files below a folder, without caches, environments and what the recipes have made."""
    found = []
    for place, names, files in os.walk(folder):
        names[:] = [
            name for name in names if name not in NOT_OURS and Path(place, name) not in MADE
        ]
        found += [
            Path(place, file) for file in files if file not in NOT_OURS
        ]  # of a worktree, .git is a file
    return sorted(found)


TREE = all_files(ROOT)
LIBRARY = [
    path
    for path in TREE
    if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("local", "steps", "utils")
]
TESTS = [
    path for path in TREE if path.suffix == ".py" and path.relative_to(ROOT).parts[0] == "tests"
]
RECIPES = sorted((ROOT / "recipes").glob("*/run.sh"))
SHELL = sorted(
    {path for path in TREE if path.suffix == ".sh"}
    | {path for path in TREE if path.parent == ROOT / ".ci"}
)
YAMLS = [
    path for path in TREE if path.suffix == ".yaml" and path.parent.name == "conf"
]  # of training; conf/vad and others have tests of their own

assert all([LIBRARY, TESTS, RECIPES, SHELL, YAMLS]), (
    "found nothing to check: a rule that checks nothing always passes"
)


def label(path: Path) -> str:
    """How a file is called in the name of a test."""
    return str(path.relative_to(ROOT))
