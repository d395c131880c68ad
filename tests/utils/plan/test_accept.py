"""`--accept`: stale and whole outputs are accepted; none are if one would still not be done."""

import pytest

from utils.errors import UserError
from utils.plan.accept import accept
from utils.plan.stages import examine


def states(plan):
    return [stage.state for stage in examine(plan)]


def test_what_is_stale_counts_as_made_from_todays_options(recipe, capsys):
    recipe.work(recipe.plan())
    assert states(recipe.plan(x=2)) == ["stale", "stale", "done"]
    accept(recipe.plan(x=2), 0)
    assert capsys.readouterr().out.splitlines() == [
        f"accepted: {recipe.one}/receipts/planned_one.{part}of2.json (option x was 1, is 2)"
        for part in (2, 1)
    ]
    assert states(recipe.plan(x=2)) == ["done", "done", "done"]
    accept(recipe.plan(x=2), 0)
    assert (
        capsys.readouterr().out
        == "nothing is stale: 0  first                                      done\n"
    )


def test_a_stage_behind_a_stale_one_would_stay_stale(recipe):
    recipe.work(recipe.plan())
    with pytest.raises(
        UserError, match="stage 0, which it needs, has to run again: run that, or --accept 0, first"
    ):
        accept(recipe.plan(x=2), 1)
    assert states(recipe.plan(x=2)) == ["stale", "stale", "done"]


def test_unfinished_work_is_not_blessed_and_neither_is_the_rest_of_its_stage(recipe):
    recipe.work(recipe.plan())
    (recipe.one / "copy.2").write_text("xx")
    with pytest.raises(
        UserError,
        match=r"only finished work can be accepted, and .*copy\.2 has 2 bytes, "
        r"1 were written; run stage 0",
    ):
        accept(recipe.plan(x=2), 0)
    assert "option x was 1, is 2" in examine(recipe.plan(x=2))[0].line(), (
        "the first task is whole, and as stale as before"
    )


def test_a_stage_that_was_never_run_has_nothing_to_keep_and_gets_no_folders(recipe):
    with pytest.raises(
        UserError, match="--accept 1: there is nothing to keep: 1  second +never run"
    ):
        accept(recipe.plan(), 1)
    assert not (recipe.folder / "exp").exists()
