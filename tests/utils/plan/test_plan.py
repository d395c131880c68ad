"""The plan of a recipe: what is done, what is stale because of what, what would run."""

import os
import shutil
from pathlib import Path

import pytest

from tests.planned import PlannedRecipe
from utils.errors import UserError
from utils.locks.run_lock import locked
from utils.plan import __main__ as plan
from utils.plan.__main__ import finished, status
from utils.plan.stages import examine, read_plan
from utils.receipts import Task
from utils.receipts.check import evaluate


def states(path):
    return [stage.state for stage in examine(path)]


def test_an_array_is_spread_out_into_its_tasks(recipe):
    plan = recipe.plan
    stages = read_plan(plan())
    assert [len(stage.commands) for stage in stages] == [2, 1, 0]
    assert stages[0].commands[1][-1] == "2/2"


def test_states_follow_the_work(recipe):
    plan, work = recipe.plan, recipe.work
    assert states(plan()) == ["never run", "never run", "done"]
    work(plan(), [0])
    assert states(plan()) == ["done", "never run", "done"]
    work(plan(), [1])
    assert states(plan()) == ["done", "done", "done"]
    (recipe.one / "receipts" / "planned_one.2of2.json").unlink()
    assert states(plan())[0] == "partly done"
    assert "1 of 2 tasks" in examine(plan())[0].line()


def test_a_changed_option_makes_stale_what_depends_on_it_and_says_so(recipe):
    plan, work = recipe.plan, recipe.work
    work(plan())
    first, second, _ = examine(plan(x=2))
    assert first.line().endswith("stale because option x was 1, is 2")
    assert "stale because stage 0, which it needs, has to run again" in second.line()


def test_a_command_that_is_no_step_is_refused():
    with pytest.raises(UserError, match="is not a step"):
        evaluate(["rm", "-r", "data"])


def test_commands_of_the_plan(command, tmp_path):
    (tmp_path / "plan2").write_text(
        f"stage 0 first\nrun python3 -m local.prepare_noise {tmp_path} out\nstage 1 second\n"
    )
    done = command("utils.plan", "status", tmp_path / "plan2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["0", "first", "never", "run"]
    assert "empty in this recipe" in done.stdout.splitlines()[1]
    refused = command(
        "utils.plan", "finished", tmp_path / "plan2", "--first", "1", "--script", "recipes/x/run.sh"
    )
    assert refused.returncode == 1
    assert "--stage 1 needs stage 0, which is not done" in refused.stderr
    assert "run recipes/x/run.sh --stage 0" in refused.stderr


def test_receipts_that_another_host_wrote_just_now_are_waited_for_in_a_chain_of_jobs(
    recipe, monkeypatch, capsys
):
    recipe.work(recipe.plan())
    receipt = recipe.one / "receipts" / "planned_one.2of2.json"
    hidden = receipt.rename(recipe.folder / "hidden")
    with pytest.raises(UserError, match="--stage 1 needs stage 0, which is not done"):
        finished(recipe.plan(), first=1)
    monkeypatch.setattr(
        plan, "refresh_listing", lambda folder: hidden.rename(receipt) if hidden.exists() else None
    )  # the file system shows it
    monkeypatch.setenv("SV_VISIBLE_SECONDS", "5")
    finished(recipe.plan(), first=1)
    assert "1 of 2 tasks: waiting up to 5 s for the file system" in capsys.readouterr().err
    (recipe.folder / "in").write_text("b")
    monkeypatch.setenv("SV_VISIBLE_SECONDS", "1000")
    with pytest.raises(UserError, match="stale"):
        finished(recipe.plan(), first=1)


def test_a_run_goes_on_in_a_copy_and_says_whose_files_its_lists_name(
    recipe, tmp_path_factory, capsys
):
    recipe.work(recipe.plan(), [0])
    copy = PlannedRecipe(
        Path(shutil.copytree(recipe.folder, tmp_path_factory.mktemp("elsewhere") / "copy"))
    )
    finished(copy.plan())
    message = capsys.readouterr().err
    print(message)
    assert (
        f"note: {copy.folder} was made as {recipe.folder}, and its lists name files there: "
        "put a link at that path" in message
    )
    (recipe.folder / "in").unlink()
    (recipe.folder / "in").symlink_to(copy.folder / "in")
    finished(copy.plan())
    assert "note:" not in capsys.readouterr().err


def test_an_experiment_never_started_is_never_run_although_shared_baselines_are_done(recipe):
    """Stage 0 works on a folder of the recipe's own and on one that other experiments share."""
    plan = recipe.plan()
    lines = plan.read_text().splitlines()
    shared = lines[2].replace("data/one", "exp/baseline").replace("JOB=1:2", "JOB=1:1")
    shared = shared.replace("JOB/2", "1/1")
    plan.write_text("\n".join([*lines[:3], shared, *lines[3:]]) + "\n")
    recipe.work(plan, [0])
    assert states(plan)[0] == "done"
    for receipt in (recipe.one / "receipts").iterdir():
        receipt.unlink()
    stage = examine(plan)[0]
    assert sorted(status.state for status in stage.statuses) == ["done", "never run", "never run"]
    assert stage.line().split() == ["0", "first", "never", "run"]
    recipe.work(plan, [0])
    (recipe.one / "receipts" / "planned_one.1of2.json").unlink()
    assert "partly done: 2 of 3 tasks" in examine(plan)[0].line(), "it was started"


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (
            "running: step 354 of 400, host h, process 7",
            "running: step 354 of 400, host h, process 7",
        ),
        ("interrupted: step 60 of 400", "interrupted: step 60 of 400"),
        ("", "never run"),
    ],
)
def test_work_that_has_begun_says_how_far_it_is(recipe, monkeypatch, progress, expected):
    plain = Task.__init__

    def begun(self, *words, **options):
        plain(self, *words, **options)
        self.describe_progress = lambda: progress

    monkeypatch.setattr(Task, "__init__", begun)
    stage = examine(recipe.plan())[1]
    assert stage.line() == f"1  {'second':42} {expected}"
    assert (stage.state == "never run") == (not progress)


def test_the_status_names_the_run_that_is_at_work(recipe, capsys):
    recipe.work(recipe.plan())
    status(recipe.plan())
    assert "at work" not in capsys.readouterr().out
    with locked([recipe.one, recipe.two]):
        status(recipe.plan())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("at work")]
    assert len(lines) == 1, lines
    assert f"(process {os.getpid()} on host " in lines[0]
