"""A sweep of tests/fail_points.py kills every command, or a reason says why it kills none."""

import ast

import pytest

from tests.alone import COMMANDS, NOTHING_TO_KILL, Command
from tests.fail_points import SWEEPS
from tests.forked_steps import planned
from tests.tree import LIBRARY, label


def commands_of(path):
    """Arguments of ``python -m``: the module, with each of its subcommands if it has several."""
    text, module = (
        path.read_text(),
        label(path).removesuffix(".py").replace("/", ".").removesuffix(".__main__"),
    )
    if 'if __name__ == "__main__":' not in text:
        return []
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "run_subcommands"
    ]
    return [f"{module} {key.value}" for call in calls for key in call.args[0].keys] or [module]


COMMANDS_THERE_ARE = {name for path in LIBRARY for name in commands_of(path)}
ALONE = {
    Command("alone", line.split()[0], line.split()[1:]).name
    for line in COMMANDS.strip().splitlines()
}


@pytest.fixture(scope="module")
def of_recipes(runs, tmp_path_factory):
    """Names of the steps that the recipes of the sweeps run."""
    folder = tmp_path_factory.mktemp("plans")
    (
        folder / "config.yaml"
    ).touch()  # a plan asks for no more of a network that was trained elsewhere
    steps = set()
    for recipe, options in SWEEPS:
        words = [
            *runs.options_of(recipe, model=folder),
            *options.format(corpora=runs.base / "corpora").split(),
        ]
        steps |= {step.name for step in planned(recipe, folder, folder / "plan", *words)}
    return steps


@pytest.mark.slow
def test_every_command_is_killed_or_has_a_reason(of_recipes):
    assert COMMANDS_THERE_ARE - of_recipes - ALONE == NOTHING_TO_KILL.keys(), (
        "add a line to SWEEPS of tests/fail_points.py, or to tests/alone.py"
    )


@pytest.mark.slow
def test_no_command_is_killed_twice_and_none_that_is_not_there(of_recipes):
    assert of_recipes | ALONE <= COMMANDS_THERE_ARE
    assert of_recipes & ALONE == {"steps.train"}, (
        "which is killed there where --force moves the old training aside"
    )
