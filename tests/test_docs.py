"""The front page, the site behind it, and the messages that its troubleshooting page lists."""

import re
from functools import cache

import pytest
import yaml

from tests.conftest import ROOT
from tests.test_remedies import messages_of
from tests.tree import LIBRARY, SHELL, TREE, label

README = ROOT / "README.md"
DOCS = ROOT / "docs"
MOST_LINES, MOST_COLUMNS, MOST_WORDS = 150, 120, 1200
PAGES = sorted(DOCS.glob("*.md"))
NO_COMMANDS = ("__init__", "api")
COMMANDS = sorted(path.stem for path in (ROOT / "steps").glob("*.py"))
COMMANDS = [name for name in COMMANDS if name not in NO_COMMANDS]


def prose_lines(text):
    """(number, line) of sentences: no tables, code or headings."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith(("|", "#", "<!--")):
            yield number, line


def test_the_front_page_is_one_page():
    text = README.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS
    assert [line for line in text.splitlines() if len(line) > MOST_COLUMNS] == []


def test_the_front_page_shows_a_report():
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", README.read_text())
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert len(content) < 200_000


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=label)
def test_prose_has_a_sane_width(path):
    wide = [number for number, line in prose_lines(path.read_text()) if len(line) > MOST_COLUMNS]
    assert wide == []


def toctrees(path):
    """Pages that the tables of contents of a page name."""
    for body in re.findall(
        r"^```\{toctree\}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL
    ):
        entries = [line for line in body.splitlines() if line and not line.startswith(":")]
        yield from ((path.parent / f"{entry}.md").resolve() for entry in entries)


def test_every_page_is_in_the_table_of_contents():
    listed = {*toctrees(DOCS / "index.md"), *toctrees(DOCS / "api" / "index.md")}
    pages = {*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("recipes/*/*.md")}
    assert pages - listed == {DOCS / "index.md"}
    assert [label(page) for page in listed if not page.exists()] == []


def documented(page, directive):
    return re.findall(
        rf"^\.\. {directive}:: (\S+)$", (DOCS / "api" / page).read_text(), re.MULTILINE
    )


def test_the_reference_has_every_command():
    steps = [f"steps.{name}.{name}" for name in COMMANDS]
    paths = [*(ROOT / "local").glob("prepare_*.py"), ROOT / "local" / "simulate_rooms.py"]
    corpora = [f"local.{path.stem}.{path.stem}" for path in paths]
    assert sorted(documented("commands.md", "autofunction")) == sorted([*steps, *corpora])


def test_the_reference_has_every_package():
    modules = set(documented("utils.md", "automodule"))
    for path in (ROOT / "utils").iterdir():
        is_package = (path / "__init__.py").exists()
        if is_package or (path.suffix == ".py" and path.stem != "__init__"):
            assert f"utils.{path.stem}" in modules


@pytest.mark.parametrize("page", ["models", "losses", "backends"])
def test_the_reference_has_every_network_loss_and_back_end(page):
    """By what the registry imports."""
    package = f"steps.{page}"
    registries = [ROOT / "steps" / page / name for name in ("__init__.py", "parts.py")]
    text = "".join(path.read_text() for path in registries if path.exists())
    used = set(re.findall(rf"^from ({package}\.\w+) import", text, re.MULTILINE)) - {
        f"{package}.parts"
    }
    assert used
    assert used <= set(documented(f"{page}.md", "automodule"))


ROW = re.compile(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall((DOCS / "troubleshooting.md").read_text())
assert len(ROWS) > 50


@cache
def all_messages():
    """Every text of the product that may be a message; what is filled in is cut out."""
    texts = [text for path in LIBRARY for _, text in messages_of(path)]
    for path in SHELL:
        script = re.sub(r'" \\\n *"', "", path.read_text())
        texts += [line for line in script.splitlines() if "fail_" in line]
    return texts


def in_order(parts, text):
    """Whether the parts stand in the text, one behind the other."""
    start = 0
    for part in parts:
        index = text.find(part, start)
        if index < 0:
            return False
        start = index + len(part)
    return True


@pytest.mark.parametrize("message", [row[0] for row in ROWS])
def test_a_message_of_the_troubleshooting_page_is_one_of_the_product(message):
    parts = [part.strip() for part in message.split("...") if part.strip()]
    assert parts
    assert any(in_order(parts, text) for text in all_messages()), "reword it on the page too"


def test_no_message_is_listed_twice():
    messages = [row[0] for row in ROWS]
    assert sorted(set(messages)) == sorted(messages)


def test_the_citation_file_has_what_readers_of_it_need():
    entry = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert entry["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= entry.keys()


def test_the_workflow_runs_scripts_that_exist():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"].split()[0] for step in steps if "run" in step]
    assert "tests/run.sh" in commands
    assert all((ROOT / command).exists() for command in commands if "/" in command)


def test_the_packages_of_the_site_are_pinned():
    lines = (ROOT / "requirements-docs.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in pinned)
    assert {line.partition("==")[0] for line in pinned} >= {"sphinx", "myst-parser", "numpydoc"}


def test_no_page_names_a_section_of_the_front_page_that_has_gone():
    """`README, "Scores"` in comments and pages: the sections are pages of docs/ now."""
    cited = re.compile(r'README(?:\.md)?(?:,|[^\n]{0,30} under) "')
    pages = [path for path in TREE if path.suffix in (".py", ".sh", ".md", ".yaml", ".txt", ".def")]
    own = ROOT / "tests" / "test_docs.py"
    faults = [label(path) for path in pages if path != own and cited.search(path.read_text())]
    assert faults == []
