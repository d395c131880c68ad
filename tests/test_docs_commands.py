"""Shell commands of the pages run on the tiny corpus, or say what they need.

A block of commands that needs something stands behind a comment: ``<!-- needs: a corpus -->``.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.recipes.conftest import runs  # noqa: F401  # a fixture
from tests.recipes.runs import TINY_PLDA_YAML
from tests.test_remedies import options_of, options_of_recipe
from tests.tree import LIBRARY, RECIPES, label

NEEDS = {
    "a calibrated experiment",
    "a cluster",
    "a container",
    "a corpus",
    "a fit machine",
    "a model folder",
    "a network connection",
    "a trained network",
    "an installation",
    "Kaldi",
    "minutes of tests",
    "minutes of training",
    "recordings of your own",
}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "recipes").glob("*/README.md")),
    ROOT / "conf" / "cluster" / "README.md",
    ROOT / "tests" / "fuzz" / "README.md",
]
BLOCK = re.compile(
    r"(?:^<!-- needs: ([^\n]+) -->\n+)?^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
LANGUAGES = {"bash", "python", "text", "yaml", "{toctree}"}
COMMAND = re.compile(r"^(\./run\.sh|recipes/\w+/\w+\.sh|tests/run\.sh|python -m|docker|sbatch)\b")
# What the pages call by the names of the full corpus, as the tiny one calls it below $WORKDIR.
TINY = {
    "./run.sh": './run.sh --size tiny --workdir "$WORKDIR"',
    "recipes/mini/run.sh": 'recipes/mini/run.sh --size tiny --workdir "$WORKDIR"',
    "recipes/mini/conf/ghostvlad_mini.yaml": "recipes/mini/conf/ghostvlad_tiny.yaml",
    "recipes/mini/exp/ghostvlad_mini": "$WORKDIR/exp/ghostvlad_tiny-tiny",
    "recipes/mini/exp": "$WORKDIR/exp",
    "recipes/mini/data/full": "$WORKDIR/data/tiny",
    "recipes/mini/data": "$WORKDIR/data",
    "conf/backends/lda60_plda.yaml": "$WORKDIR/lda60_plda.yaml",  # of fewer dimensions
}
TINY_NAMES = re.compile("|".join(map(re.escape, TINY)))  # longer names stand first
# Options in the running text that are those of other programs.
OF_OTHERS = {
    *(
        "config-cmd",
        "exclude",
        "fakeroot",
        "gpus-per-task",
        "ipc",
        "nodes",
        "ntasks",
        "ntasks-per-node",
    ),
    *("requeue", "shm-size", "summarize", "test-only", "export", "account", "array", "exclusive"),
    *("cpus-per-task", "gres", "mem", "partition", "time", "no-sign-request"),
}
OF_TESTS = {"alone", "everything", "minutes", "record", "replay", "keep", "rest", "lint", "site"}
OF_TESTS |= {"runs", "seed", "return-memory", "configs"}
OF_RUN_SH = {"help", "list", "recipe"}
PLACEHOLDERS = {"option", "options", "name"}
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, line, what it needs, its language and its text."""

    page: Path
    line: int
    needs: str
    language: str
    text: str

    def __str__(self):
        return f"{label(self.page)}:{self.line}"

    def commands(self):
        """Words of each command; variables stay as they are written, comments go."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
        return [words for words in lines if words]


def read_blocks(page):
    text = page.read_text()
    blocks = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        blocks.append(Block(page, line, match[1] or "", match[2], match[3]))
    return blocks


BLOCKS = [block for page in PAGES for block in read_blocks(page)]
SHELL_BLOCKS = [block for block in BLOCKS if block.language == "bash"]
RUN_PAGES = list(dict.fromkeys(block.page for block in SHELL_BLOCKS if not block.needs))
assert len(SHELL_BLOCKS) > 20
assert ROOT / "README.md" in RUN_PAGES


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_fences_of_a_page_are_known(page):
    """A fence that the pattern above overlooks would be a command that nobody checks."""
    assert 2 * len(read_blocks(page)) == len(re.findall(r"^\s*```", page.read_text(), re.MULTILINE))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_its_language_and_a_known_need(block):
    assert block.language in LANGUAGES
    if block.language == "bash":
        assert not block.needs or block.needs in NEEDS
        return
    assert not block.needs
    commands = [line for line in block.text.splitlines() if COMMAND.match(line)]
    assert commands == [], "commands stand in a block of bash"


def module_path(words):
    """The file of the module that `python -m` runs; None for other programs and for our tests."""
    if words[:2] not in (["python", "-m"], ["python3", "-m"]):
        return None
    name = words[2]
    if name.split(".")[0] not in ("steps", "utils", "local"):
        return None
    path = ROOT / name.replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def recipe_path(words):
    """The recipe that a command runs; of the front door, and of a variable, too."""
    for word in words:
        script = re.fullmatch(r"(?:\./)?recipes/(\w+)/run\.sh", word)
        if script:
            return ROOT / "recipes" / script[1] / "run.sh"
        if word == "./run.sh":
            name = words[words.index("--recipe") + 1] if "--recipe" in words else "mini"
            return ROOT / "recipes" / name / "run.sh"
    return None


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_what_a_block_names_exists(block):
    for words in block.commands():
        shown = " ".join(words)
        options = {
            word.partition("=")[0][2:].replace("_", "-") for word in words if word[:2] == "--"
        }
        module, recipe = module_path(words), recipe_path(words)
        if module:
            assert module in LIBRARY, shown
            known = {option.replace("_", "-") for option in options_of(module)}
            assert options <= known | {"help"}, shown
        elif recipe:
            assert recipe in RECIPES, shown
            ours = words[next(index for index, word in enumerate(words) if "run.sh" in word) :]
            named = {word[2:].replace("_", "-") for word in ours if word[:2] == "--"}
            assert named <= options_of_recipe(recipe) | OF_RUN_SH, shown
        files = [
            word
            for word in words
            if re.fullmatch(r"(conf|recipes|tests|steps)/[\w/.-]+\.\w+", word)
        ]
        for file in files:
            is_made = {"data", "exp"} & set(Path(file).parts)
            assert is_made or "NAME" in file or (ROOT / file).exists(), f"{shown}: {file}"


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_options_of_the_running_text_exist(page):
    known = set().union(*(options_of_recipe(path) for path in RECIPES))
    for path in LIBRARY:
        known |= {option.replace("_", "-") for option in options_of(path)}
    known |= OF_OTHERS | OF_TESTS | OF_RUN_SH | PLACEHOLDERS
    text = BLOCK.sub("", page.read_text())
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", text)
    named = {option.replace("_", "-") for span in spans for option in OPTION.findall(span)}
    assert sorted(named - known) == []


@pytest.mark.parametrize("page", RUN_PAGES, ids=label)
@pytest.mark.slow
def test_commands_of_a_page_run(page, runs, tmp_path):  # noqa: F811
    workdir = runs.copy("mini", tmp_path)
    (workdir / "lda60_plda.yaml").write_text(TINY_PLDA_YAML)
    shutil.copy(
        ROOT / "recipes" / "mini" / "conf" / "ghostvlad_mini.yaml", workdir
    )  # the tiny one's base
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "WORKDIR": str(workdir), "PYTHONPATH": str(ROOT)}
    for block in read_blocks(page):
        if block.language != "bash" or block.needs:
            continue
        script = TINY_NAMES.sub(lambda match: TINY[match[0]], block.text)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{block}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
