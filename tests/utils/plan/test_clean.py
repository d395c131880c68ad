"""`--clean` shows the outputs of a stage with their size, and removes these alone if confirmed."""

import io
import os
import sys
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.locks.run_lock import acquire, lock_path, release
from utils.plan.clean import clean
from utils.plan.stages import examine


def files(folder):
    """Files below a folder, without the locks of tasks, which hold nothing."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    )


def states(plan):
    return [stage.state for stage in examine(plan)]


def test_without_leave_it_only_shows(recipe, capsys):
    recipe.work(recipe.plan())
    before = files(recipe.folder)
    clean(recipe.plan(), 0, recipe.folder)
    text = capsys.readouterr().out
    print(text)
    assert f"{recipe.one}/receipts/planned_one.1of2.json and its outputs (1): 0.00 MB" in text
    assert text.splitlines()[-1].endswith("nothing was removed: --clean 0 --yes removes it")
    assert files(recipe.folder) == before


def test_it_removes_the_stage_alone_with_what_was_moved_aside_or_half_written(recipe, capsys):
    """1 MB in old.1 and 2 MB half written; files of a user and of the stage behind stay."""
    recipe.work(recipe.plan())
    for name, size in (
        ("old.1/copy.1", 1_000_000),
        (".copy.3.tmp", 2_000_000),
        ("notes.txt", 10),
        ("old.2/else", 10),
    ):
        (recipe.one / name).parent.mkdir(exist_ok=True)
        (recipe.one / name).write_bytes(bytes(size))
    (recipe.one / "old.1" / "receipts").mkdir()
    (recipe.one / "old.1" / "receipts" / "planned_one.1of2.json").write_text("")
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    text = capsys.readouterr().out
    print(text, file=sys.stderr)
    assert f"{recipe.one}/old.1: 1.00 MB" in text
    assert text.splitlines()[-1] == "removed the output of stage 0: 3.00 MB"
    assert files(recipe.one) == ["notes.txt", "old.2/else"]
    assert files(recipe.two) == ["copy.1", "receipts/planned_two.1of1.json"]
    assert (recipe.folder / "in").read_text() == "a"
    assert states(recipe.plan()) == ["never run", "stale", "done"]
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert capsys.readouterr().out == "stage 0 has no output\n"
    recipe.work(recipe.plan())
    assert states(recipe.plan()) == ["done", "done", "done"]


def test_receipts_of_another_number_of_jobs_go_too(recipe):
    recipe.work(recipe.plan())
    for name in ("1of2", "2of2"):
        path = recipe.one / "receipts" / f"planned_one.{name}.json"
        path.rename(path.with_name(path.name.replace("of2", "of5")))
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert files(recipe.folder / "data") == []


def test_a_receipt_goes_before_its_outputs(recipe, monkeypatch):
    """After a kill at any removal, no receipt is left without the files that it names."""
    recipe.work(recipe.plan())
    unlink = Path.unlink

    def checked(path, *words, **options):
        unlink(path, *words, **options)
        for task in (
            status.task
            for stage in examine(recipe.plan())
            for status in stage.statuses
            if stage.number == 0
        ):
            assert task.status().state in ("done", "never run"), (
                f"after {path}: {task.path} is {task.status().reason}"
            )

    monkeypatch.setattr(Path, "unlink", checked)
    clean(recipe.plan(), 0, recipe.folder, yes=True)


def test_a_clean_that_died_behind_a_receipt_is_finished_by_the_next(recipe, monkeypatch):
    recipe.work(recipe.plan())
    unlink = Path.unlink

    def die_at_an_output(path, *words, **options):
        if path.name == "copy.1":
            raise KeyboardInterrupt
        unlink(path, *words, **options)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", die_at_an_output)
        with pytest.raises(KeyboardInterrupt):
            clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert states(recipe.plan())[0] == "partly done"
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert files(recipe.folder / "data") == []


def test_it_refuses_while_a_run_holds_the_place(recipe):
    recipe.work(recipe.plan())
    before = files(recipe.folder / "data")
    acquire([recipe.one], os.getppid(), "run.sh of somebody")
    with pytest.raises(UserError, match="another run is at work here: run.sh of somebody"):
        clean(recipe.plan(), 0, recipe.folder, yes=True)
    clean(recipe.plan(), 1, recipe.folder, yes=True)
    release(os.getppid(), [lock_path(recipe.one)])
    assert files(recipe.folder / "data") == before
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert files(recipe.folder / "data") == files(recipe.folder / "exp") == []


def test_no_answer_at_the_terminal_is_a_no(recipe, monkeypatch, capsys):
    recipe.work(recipe.plan())
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    clean(recipe.plan(), 0, recipe.folder)
    assert capsys.readouterr().out.endswith("nothing was removed: --clean 0 --yes removes it\n")
    assert states(recipe.plan()) == ["done", "done", "done"]


def test_data_and_exp_may_be_links_to_other_disks(recipe, tmp_path):
    recipe.work(recipe.plan())
    (tmp_path / "disk").mkdir()
    (recipe.folder / "data").rename(tmp_path / "disk" / "data")
    (recipe.folder / "data").symlink_to(tmp_path / "disk" / "data")
    clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert files(tmp_path / "disk") == []


def test_nothing_outside_the_workdir_is_removed(recipe, tmp_path):
    recipe.work(recipe.plan())
    with pytest.raises(UserError, match=r"outside data/ and exp/ of .*; nothing was removed"):
        clean(recipe.plan(), 0, tmp_path / "elsewhere", yes=True)
    (tmp_path / "corpus").mkdir()
    recipe.one.rename(tmp_path / "corpus" / "one")
    recipe.one.symlink_to(tmp_path / "corpus" / "one")
    with pytest.raises(UserError, match=r"lies in .*corpus/one"):
        clean(recipe.plan(), 0, recipe.folder, yes=True)
    assert len(files(tmp_path / "corpus")) == 4
