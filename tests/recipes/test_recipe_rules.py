"""Rules of the shell scripts and of the YAML files of recipes."""

import re

import pytest
import yaml

from tests.conftest import ROOT
from tests.tree import RECIPES, SHELL, YAMLS, label
from utils.config import read_yaml, yaml_files

STAGES = [
    "prepare",
    "VAD",
    "pack",
    "train",
    "extract",
    "train",
    "score",
    "report",
]  # first words of the titles: they mean the same in every recipe
MAX_RECIPE_LINES, MAX_COLUMNS = 140, 110
SHARED_STAGES = "".join(
    (ROOT / "utils" / name).read_text() for name in ("audio_stages.sh", "model.sh", "scoring.sh")
)
SHARED = "|".join(re.findall(r"^(\w+)\(\) \{", SHARED_STAGES, re.MULTILINE))
COMMAND = rf"(({SHARED}) .*|(run|\$cmd JOB=1:\S+ \S+) .*-m (steps|local)\.\w+ .*)"
IN_A_STAGE = re.compile(
    rf"(#.*|:|for \w+ in .*; do|done|if .*; then|else|fi|(\[ .* \] (&&|\|\|) )?{COMMAND})"
)
# Above stage 0 are refusals and names only.  A value is a command's output, an array or one word.
CONDITION = r"\[ [^|&;]* \]"
VALUE = r"""(\$\([^()]*\)|\([^()]*\)|(\$\{[^{}]*\}|"[^"]*"|[^\s"'();&|<>])*)"""
FUNCTION = (
    r"(append(_stem)? \w+ [^;&|<>]*|append_(audio|training) \w+"
    r"|((use|tune)_model|check_domain) \S+)"
)
NAMED = rf"({CONDITION} \|\| )*(\w+\+?={VALUE}|{FUNCTION})"
REFUSAL = rf"({CONDITION} \|\| )+fail_usage \".*\""
ABOVE_THE_STAGES = re.compile(
    rf"({REFUSAL}|{NAMED}|if {CONDITION}( && {CONDITION})*; then|(  {NAMED})|else|fi|)"
)

recipe = pytest.mark.parametrize("path", RECIPES, ids=label)
SCRIPTS = sorted((ROOT / "recipes").glob("*/*.sh"))
SOURCED = [ROOT / "run.sh", ROOT / "path.sh", *sorted((ROOT / "utils").glob("*.sh"))]


def lines_of(text):
    """The lines of a script; continued ones are joined, comments cut off."""
    return re.sub(
        r"(^|\s+)#( .*)?$", "", re.sub(r" *\\\n *", " ", text), flags=re.MULTILINE
    ).splitlines()


def above_the_stages(path):
    """Code of a recipe between its options and stage 0, with that of its names.sh."""
    above = path.read_text().partition('. utils/stages.sh "$@"\n')[2].partition("if at_stage 0 ")[0]
    names = path.with_name("names.sh")
    return above.replace(f". {label(names)}\n", names.read_text() if names.exists() else "")


def stages_of(path):
    """(number, title, lines) of each stage; continued lines are joined, comments removed."""
    text = re.sub(r"  # .*", "", re.sub(r" *\\\n *", " ", path.read_text()))
    found = re.findall(
        r'^if at_stage (\d+) "(.*)"; then.*\n((?:[ #].*\n|\n)*)fi$', text, re.MULTILINE
    )
    return [
        (int(number), title, [line.strip() for line in body.splitlines() if line.strip()])
        for number, title, body in found
    ]


@recipe
def test_a_recipe_is_one_screen_of_options_and_one_of_stages(path):
    assert len(path.read_text().splitlines()) <= MAX_RECIPE_LINES
    numbers, titles = zip(*[(number, title) for number, title, _ in stages_of(path)], strict=True)
    assert list(numbers) == list(range(8)), (
        f"{label(path)}: stages {numbers}; one that is empty says so and is not left out"
    )
    assert [title.split()[0] for title in titles] == STAGES


@recipe
def test_stages_only_run_steps(path):
    logic = [
        f"stage {number}: {line}"
        for number, _, lines in stages_of(path)
        for line in lines
        if not IN_A_STAGE.fullmatch(line)
    ]
    assert not logic, f"{label(path)}: data logic belongs in a step: {logic}"


@recipe
def test_nothing_works_outside_the_gates(path):
    """Between the options and stage 0 are refusals and names only, behind the stages nothing."""
    stages = "if at_stage 0 " + path.read_text().partition("if at_stage 0 ")[2]
    assert (
        re.sub(r"^if at_stage .*\n((?:[ #].*\n|\n)*)fi$", "", stages, flags=re.MULTILINE).strip()
        == ""
    )
    above = lines_of(above_the_stages(path))
    assert [line for line in above if not ABOVE_THE_STAGES.fullmatch(line)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=label)
def test_a_line_sets_one_name_and_no_word_holds_a_command(path):
    """The output of a command is the whole value: a=$(command), not a=b$(command)."""
    lines = lines_of(path.read_text())
    bare = [re.sub(r'"[^"]*"|\([^()]*\)', "", line) for line in lines]
    assert [line for line in bare if len(re.findall(r"(?:^|\s)\w+\+?=", line)) > 1] == []
    assert [line for line in lines if "`" in line] == []
    commands = [line for line in lines if "$(" in line]
    alone = rf"\s*({CONDITION} \|\| )?\w+=\$\([^()]*\)"
    assert [line for line in commands if not re.fullmatch(alone, line)] == []


@pytest.mark.parametrize("path", [*SCRIPTS, *SOURCED], ids=label)
def test_lines_are_short(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [number for number, line in lines if len(line) > MAX_COLUMNS] == []


@recipe
def test_a_name_used_in_two_stages_is_set_above_the_first(path):
    """A stage reads its loop variables, and names that are set before stage 0."""
    options = path.read_text().partition("if at_stage 0 ")[0]
    shared = (ROOT / "utils" / "stages.sh").read_text()
    # names at the left margin are for all recipes
    shared += "".join(re.findall(r"^\w+=.*\n", SHARED_STAGES, re.MULTILINE))
    above = options + above_the_stages(path) + shared
    known = set(re.findall(r"(?:^|[ ;])(\w+)=", above, re.MULTILINE))
    for number, _, lines in stages_of(path):
        looped = set(re.findall(r"for (\w+) in", " ".join(lines)))
        used = set(re.findall(r"\$\{?(\w+)", " ".join(lines)))
        assert used <= known | looped, (
            f"{label(path)}: stage {number} reads {used - known - looped}, "
            f"set nowhere that --stage {number} passes"
        )


@pytest.mark.parametrize("path", SHELL, ids=label)
def test_a_script_says_which_shell_reads_it(path):
    """What shellcheck finds in it is a matter of tests/run.sh --lint."""
    assert path.read_text().startswith(("#!/usr/bin/env bash\n", "# shellcheck shell=bash\n"))


@recipe
def test_a_recipe_can_be_executed(path):
    assert path.stat().st_mode & 0o111, f"{label(path)}: chmod +x"


@pytest.mark.parametrize("path", YAMLS, ids=label)
@pytest.mark.slow
def test_every_section_of_a_yaml_can_be_built(path):
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.config import build
    from utils.training.objective import Objective
    from utils.training.schedules import Moment
    from utils.training.settings import read_phases
    from utils.training.setup import check_crops

    for settings in read_phases(path):
        network = build(MODELS, settings.sections["model"], settings.where("model"))
        loss = build(
            LOSSES,
            settings.sections["loss"],
            settings.where("loss"),
            embedding_dim=network.embedding_dim,
            num_speakers=7,
        )
        settings.optimizer.make(Objective(network, loss))
        check_crops(settings, network, loss)
        assert settings.schedule.rate(Moment(500, 10**6, 10)) > 0


@pytest.mark.parametrize("path", [path for path in YAMLS if path.stem.endswith("_cpu")], ids=label)
def test_a_cpu_yaml_is_based_on_the_full_one_and_loss_and_optimizer_stay(path):
    own = yaml.safe_load(path.read_text())
    assert own["base"] == f"{path.stem.removesuffix('_cpu')}.yaml"
    full, small = read_yaml(path.with_name(own["base"])), read_yaml(path)
    of_batch_size = {"learning_rate": None}  # which some papers tie to it
    assert small["loss"] == full["loss"]
    assert small["optimizer"] | of_batch_size == full["optimizer"] | of_batch_size


def repeated_values(base, own, name=""):
    """Names of the values that a YAML repeats of its base."""
    if "name" in own and own["name"] != base.get("name", own["name"]):
        return  # options of another class, which stand alone
    for key, value in own.items():
        where = f"{name}.{key}" if name else key
        if key not in base:
            continue
        if isinstance(value, dict) and isinstance(base[key], dict):
            yield from repeated_values(base[key], value, where)
        elif value == base[key]:
            yield where


def test_repeated_values_are_named():
    base = {"a": {"name": "x", "b": [1], "c": 2}, "d": {"name": "y", "e": 1}, "f": None}
    own = {"a": {"name": "x", "b": [1], "c": 3}, "d": {"name": "z", "e": 1}, "f": None, "g": 1}
    assert list(repeated_values(base, own)) == ["a.name", "a.b", "f"]


BASED = [path for path in YAMLS if "base" in yaml.safe_load(path.read_text())]


@pytest.mark.parametrize("path", BASED, ids=label)
def test_a_yaml_repeats_no_value_of_its_base(path, tmp_path):
    base = read_yaml(yaml_files(path)[1])
    alone = tmp_path / path.name
    alone.write_text(re.sub(r"(?m)^base: .*\n", "", path.read_text()))
    assert list(repeated_values(base, read_yaml(alone))) == []
    assert read_yaml(path) != base
