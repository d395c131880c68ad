"""The plan of a recipe: what is done, what is stale because of what, what would run."""

import shlex
import sys

import pytest

from utils.errors import UserError
from utils.plan import evaluate, examine, read_plan

STEPS = '''"""Steps of a recipe of two stages."""
from pathlib import Path

from utils.files import atomic_write
from utils.receipts import Task


def {name}(source: Path, output: Path, *, x: int = 1, job: str = "1/1") -> dict:
    """Copy.

    Parameters
    ----------
    source, output : path
        File and folder.
    x : int
        An option.
    job : str
        Part.
    """
    part = job[0]
    task = Task(output, "{name}", job=job, format=1, inputs={{"source": source}}, options={{"x": x}})
    if task.is_done():
        return task.counts
    with atomic_write(output / f"copy.{{part}}") as file:
        file.write(source.read_text())
    return task.finish([output / f"copy.{{part}}"], {{"files": 1}})
'''


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Two made-up steps, and a function that writes the plan that a run.sh with them would write."""
    for name in ("planned_one", "planned_two"):
        (tmp_path / f"{name}.py").write_text(STEPS.format(name=name))
        monkeypatch.delitem(sys.modules, f"local.{name}", raising=False)
    import local

    monkeypatch.setattr(local, "__path__", [*local.__path__, str(tmp_path)])
    (tmp_path / "in").write_text("a")

    def plan(x=1):
        one = ["python3", "-m", "local.planned_one", f"{tmp_path}/in", f"{tmp_path}/one", "--x", str(x), "--job", "JOB/2"]
        two = ["python3", "-m", "local.planned_two", f"{tmp_path}/one/receipts/planned_one.1of2.json", f"{tmp_path}/two"]
        array = "launch --num-threads 1 JOB=1:2 log.JOB " + shlex.join(one)
        lines = ["stage 0 first", array, "stage 1 second", "run " + shlex.join(two), "stage 2 nothing"]
        (tmp_path / "plan").write_text("\n".join(lines) + "\n")
        return tmp_path / "plan"

    def work(path, stages=(0, 1)):
        from utils.cli import call

        for stage in read_plan(path):
            for words in stage.commands if stage.number in stages else []:
                module = words[2].split(".")[1]
                call(getattr(__import__(words[2], fromlist=[module]), module), words[3:], module)

    return plan, work


def states(path):
    return [stage.state for stage in examine(path)]


def test_an_array_is_spread_out_into_its_tasks(recipe):
    plan, _ = recipe
    stages = read_plan(plan())
    assert [len(stage.commands) for stage in stages] == [2, 1, 0]
    assert stages[0].commands[1][-1] == "2/2"


def test_states_follow_the_work(recipe, tmp_path):
    plan, work = recipe
    assert states(plan()) == ["never run", "never run", "done"]
    work(plan(), [0])
    assert states(plan()) == ["done", "never run", "done"]
    work(plan(), [1])
    assert states(plan()) == ["done", "done", "done"]
    (tmp_path / "one" / "receipts" / "planned_one.2of2.json").unlink()
    assert states(plan())[0] == "partly done"
    assert "1 of 2 tasks" in examine(plan())[0].line()


def test_a_changed_option_makes_stale_what_depends_on_it_and_says_so(recipe):
    plan, work = recipe
    work(plan())
    first, second, _ = examine(plan(x=2))
    assert first.line().endswith("stale because option x was 1, is 2")
    assert "stale because stage 0, which it needs, has to run again" in second.line()


def test_a_command_that_is_no_step_is_refused():
    with pytest.raises(UserError, match="is no step"):
        evaluate(["rm", "-r", "data"])


def test_commands_of_the_plan(recipe, command, tmp_path):
    plan, _ = recipe
    (tmp_path / "plan2").write_text("stage 0 first\nrun python3 -m local.prepare_noise nowhere out\nstage 1 second\n")
    done = command("utils.plan", "status", tmp_path / "plan2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["0", "first", "never", "run"]
    assert "empty in this recipe" in done.stdout.splitlines()[1]
    refused = command("utils.plan", "finished", tmp_path / "plan2", "--first", "1", "--script", "recipes/x/run.sh")
    assert refused.returncode == 1
    assert "--stage 1 needs stage 0, which is not done" in refused.stderr
    assert "run recipes/x/run.sh --stage 0" in refused.stderr
