"""Receipts: done work stays done, changes are named, nothing that cost hours is overwritten."""

import json

import pytest

from utils.errors import UserError
from utils.files import atomic_write, staging_folder
from utils.receipts import DONE, NEVER, STALE, UNFINISHED, Task
from utils.receipts.contents import read_receipt


@pytest.fixture
def work(tmp_path):
    """A function that makes a task over one input file, and one that does its work."""
    (tmp_path / "in").write_text("a\n")

    def task(**changes):
        given = {"format": 1, "inputs": {"list": tmp_path / "in"}, "options": {"x": 1}} | changes
        return Task(tmp_path / "out", "copy", **given)

    def do(**changes):
        mine = task(**changes)
        if not mine.is_done():
            with atomic_write(tmp_path / "out" / "copy") as file:
                file.write((tmp_path / "in").read_text())
            mine.finish([tmp_path / "out" / "copy"], {"lines": 1})
        return mine.counts

    return task, do


def test_a_finished_task_is_done_and_gives_its_counts(work):
    task, do = work
    assert task().status().state == NEVER
    assert do() == {"lines": 1}
    assert task().status().state == DONE
    assert task().is_done()
    assert do() == {"lines": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": {"x": 2}}, "option x was 1, is 2"),
        ({"options": {"x": 1, "y": True}}, "option y was null, is true"),
        ({"format": 2}, "FORMAT 2"),
        ({"inputs": {}}, "was removed"),
    ],
)
def test_what_changed_is_named(work, changes, reason):
    task, do = work
    do()
    status = task(**changes).status()
    assert status.state == STALE
    assert reason in status.reason


def test_freshness_looks_at_contents_not_at_times(work, tmp_path):
    task, do = work
    do()
    (tmp_path / "in").write_text("a\n")
    assert task().status().state == DONE
    (tmp_path / "in").write_text("b\n")
    assert task().status().state == STALE


def test_a_shortened_altered_or_missing_output_is_unfinished(work, tmp_path):
    task, do = work
    for damage in (
        lambda path: path.write_text(""),
        lambda path: path.write_text("x\n"),
        lambda path: path.unlink(),
    ):
        do()
        damage(tmp_path / "out" / "copy")
        assert task().status().state == UNFINISHED
        do()
        assert task().status().state == DONE


def test_stale_and_cheap_is_redone_saying_why(work, tmp_path, capsys):
    _task, do = work
    do()
    (tmp_path / "in").write_text("b\n")
    do()
    assert (tmp_path / "out" / "copy").read_text() == "b\n"
    assert "redone" in capsys.readouterr().err


def test_stale_and_dear_stops_and_force_moves_the_old_output_aside(work, tmp_path, monkeypatch):
    _task, do = work
    do(expensive=True)
    (tmp_path / "in").write_text("b\n")
    with pytest.raises(UserError, match=r"in changed; --force"):
        do(expensive=True)
    assert (tmp_path / "out" / "copy").read_text() == "a\n"
    monkeypatch.setenv("SV_FORCE", "1")
    do(expensive=True)
    assert (tmp_path / "out" / "copy").read_text() == "b\n"
    assert (tmp_path / "out" / "old.1" / "copy").read_text() == "a\n"


@pytest.mark.parametrize("moved", [["copy"], ["copy", "receipts/copy.json"]])
def test_force_that_died_while_it_moved_the_old_output_leaves_it_in_one_place(
    work, tmp_path, moved, monkeypatch
):
    _task, do = work
    do(expensive=True)
    (tmp_path / "in").write_text("b\n")
    monkeypatch.setenv("SV_FORCE", "1")
    half = staging_folder(tmp_path / "out", ".copy")
    (half / "receipts").mkdir(parents=True)
    for name in moved:
        (tmp_path / "out" / name).rename(half / name)
    do(expensive=True)
    assert (tmp_path / "out" / "copy").read_text() == "b\n"
    old = tmp_path / "out" / "old.1"
    assert (old / "copy").read_text() == "a\n"
    assert (old / "receipts" / "copy.json").exists()
    assert not half.exists()


def test_what_took_long_is_dear_whatever_its_step(work, tmp_path):
    _task, do = work
    do()
    path = tmp_path / "out" / "receipts" / "copy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"core_seconds": 601}))
    (tmp_path / "in").write_text("b\n")
    with pytest.raises(UserError, match="--force"):
        do()


def test_accept_blesses_a_stale_output(work, tmp_path):
    task, do = work
    do(expensive=True)
    (tmp_path / "in").write_text("b\n")
    task().accept()
    assert task().status().state == DONE
    assert json.loads((tmp_path / "out" / "receipts" / "copy.json").read_text())["accepted"]


def test_the_message_offers_only_what_helps(work, tmp_path, monkeypatch):
    """--accept is an option of recipes; --name makes another folder of the experiment alone."""
    _task, do = work
    do(expensive=True)
    (tmp_path / "in").write_text("b\n")
    redo = "--force redoes it (the old output is moved aside)"

    def refusal():
        with pytest.raises(UserError) as refused:
            do(expensive=True)
        return str(refused.value).partition("changed; ")[2]

    monkeypatch.delenv("SV_STAGED", raising=False)
    monkeypatch.delenv("SV_EXPERIMENT", raising=False)
    assert refusal() == redo
    monkeypatch.setenv("SV_STAGED", "1")
    assert refusal() == f"{redo}, --accept STAGE keeps it"
    for elsewhere in ("", str(tmp_path / "other"), str(tmp_path / "ou")):
        monkeypatch.setenv("SV_EXPERIMENT", elsewhere)
        assert "--name" not in refusal(), "of data there is one folder for all experiments"
    monkeypatch.setenv("SV_EXPERIMENT", str(tmp_path / "out"))
    assert (
        refusal()
        == f"{redo}, --accept STAGE keeps it, --name NEW makes another experiment beside it"
    )


def test_an_option_that_is_a_checksum_is_explained_in_words(work):
    task, do = work
    do(options={"files": "abc"})
    status = task(
        options={"files": "abd"}, explain={"files": lambda: "1 file gone: a.wav"}
    ).status()
    assert (status.state, status.reason) == (STALE, "1 file gone: a.wav")
    status = task(options={"files": "abc"}, explain={"files": lambda: "not asked"}).status()
    assert status.state == DONE


def test_work_that_has_begun_is_unfinished_and_says_how_far_it_is(work):
    task, do = work
    status = task(describe_progress=lambda: "interrupted: step 60 of 400").status()
    assert (status.state, status.reason, status.is_begun) == (
        UNFINISHED,
        "interrupted: step 60 of 400",
        True,
    )
    do()
    assert task(describe_progress=lambda: "interrupted: step 60 of 400").status().state == DONE


def test_a_receipt_as_input_stands_for_the_checksums_in_it(work, tmp_path):
    _task, do = work
    do()
    after = Task(
        tmp_path / "out2",
        "after",
        format=1,
        inputs={"copy": tmp_path / "out" / "receipts" / "copy.json"},
        options={},
    )
    assert not after.is_done()
    after.finish([], {})
    do(options={"x": 2})  # another receipt, the same output
    assert after.status().state == DONE
    (tmp_path / "in").write_text("b\n")
    do(options={"x": 2})
    assert after.status().state == STALE


def test_a_missing_input_is_named(work, tmp_path):
    task, _ = work
    (tmp_path / "in").unlink()
    with pytest.raises(UserError, match=r"in is missing.*run the earlier stage"):
        task().is_done()


def test_two_processes_cannot_do_the_same_work(work):
    task, _ = work
    first = task()
    assert not first.is_done()
    with pytest.raises(UserError, match="another process is doing this work"):
        task().is_done()
    first.lock.close()


def test_verify_reads_large_outputs_too(work, tmp_path):
    _task, do = work
    do()
    big = tmp_path / "out" / "big"
    big.write_bytes(bytes(2 << 20))
    mine = Task(tmp_path / "out", "big", format=1, inputs={}, options={})
    assert not mine.is_done()
    mine.finish([big])
    with open(big, "r+b") as file:
        file.seek(1 << 20)
        file.write(b"x")
    assert mine.status().state == DONE
    assert mine.verify() == [f"{big} is not what was written (checksum differs)"]


def test_verify_names_every_output_that_is_not_what_was_written(work, tmp_path):
    mine = Task(tmp_path / "out", "three", format=1, inputs={}, options={})
    assert not mine.is_done()
    files = [tmp_path / "out" / name for name in "abc"]
    for file in files:
        file.write_text("as it was")
    mine.finish(files)
    files[0].write_text("altered")
    files[2].unlink()
    assert mine.verify() == [f"{files[0]} has 7 bytes, 9 were written", f"{files[2]} is missing"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": 1}'])
def test_a_damaged_receipt_is_an_error_of_one_line(work, tmp_path, content):
    task, do = work
    do()
    (tmp_path / "out" / "receipts" / "copy.json").write_text(content)
    with pytest.raises(UserError, match="not a receipt"):
        task().status()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", None),
        ("format", "1"),
        ("seconds", None),
        ("core_seconds", "many"),
        ("inputs", {"list": 3}),
        ("inputs", {"list": {"path": "in"}}),
        ("outputs", {"copy": {"bytes": "2", "sha256": ""}}),
        ("outputs", {"copy": {"bytes": 2}}),
        ("values", 3),
        ("options", {"job": 3}),
        ("options", {"job": "1/none"}),
    ],
)
def test_a_receipt_with_an_altered_entry_is_an_error_of_one_line(work, tmp_path, name, value):
    """In all readers: its own step, steps with it among their inputs, the dry run."""
    _, do = work
    do()
    path = tmp_path / "out" / "receipts" / "copy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(
        UserError, match=r"copy\.json: not a receipt; remove it to have the work done again"
    ):
        read_receipt(path)


def test_another_number_of_jobs_is_no_reason_to_work_again(tmp_path):
    def part(job):
        return Task(tmp_path, "pack", format=1, inputs={}, options={"x": 1}, job=job)

    for job in ("1/2", "2/2"):
        assert part("1/3").status().state == NEVER
        mine = part(job)
        assert not mine.is_done()
        mine.finish([], {})
    assert part("1/3").status().state == DONE
    assert (
        Task(tmp_path, "pack", format=1, inputs={}, options={"x": 2}, job="1/3").status().state
        == NEVER
    )
