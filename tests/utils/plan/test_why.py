"""`--why`: each output of a stage, and what changed, by name, old and new."""

import hashlib
import sys

from utils.plan.why import why


def explain(capsys, plan, stage):
    why(plan, stage)
    text = capsys.readouterr().out
    print(text, file=sys.stderr)
    return [line.strip() for line in text.splitlines()]


def short(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def test_what_was_never_run_and_what_is_fresh(recipe, capsys):
    never = f"{recipe.one}: planned_one, 2 receipts: never run"
    assert explain(capsys, recipe.plan(), 0) == [
        "0  first                                      never run",
        never,
    ]
    assert explain(capsys, recipe.plan(), 1)[1:] == [
        f"{recipe.two}: planned_two: never run",
        f"needs {recipe.one}/receipts/planned_one.1of2.json",
    ]
    recipe.work(recipe.plan())
    assert explain(capsys, recipe.plan(), 0) == [
        "0  first                                      done",
        f"{recipe.one}: planned_one, 2 receipts: fresh",
    ]
    assert explain(capsys, recipe.plan(), 2) == [
        "2  nothing                                    empty in this recipe"
    ]


def test_every_change_is_named_with_its_old_and_new_value_and_the_outputs_concerned(recipe, capsys):
    """Option and file changed; --status names the first only.  Two copies of a letter: 0.0 MB."""
    recipe.work(recipe.plan())
    (recipe.folder / "in").write_text("b")
    source = f"input source: {short('a')} ({recipe.folder}/in) -> {short('b')} ({recipe.folder}/in)"
    lines = explain(capsys, recipe.plan(x=2), 0)
    assert lines[0].endswith("stale because option x was 1, is 2")
    assert lines[1:] == [
        f"{recipe.one}: planned_one, 2 receipts: stale",
        "option x: 1 -> 2",
        source,
        "outputs: copy.1, copy.2 (0.0 MB)",
    ]
    lines = explain(capsys, recipe.plan(x=2), 1)
    assert (
        lines[2]
        == f"input {recipe.one}/receipts/planned_one.1of2.json: stage 0 has to make it again"
    )
    assert lines[3] == "outputs: copy.1 (0.0 MB)"


def test_tasks_of_an_array_are_shown_together_whatever_lies_between_them(recipe, capsys):
    """As in an extraction, where each task of the array works on several sets."""
    plan = recipe.plan()
    lines = plan.read_text().splitlines()
    one, two = (
        next(line for line in lines if name in line) for name in ("planned_one ", "planned_two ")
    )
    plan.write_text(
        "\n".join(
            [
                lines[0],
                "stage 0 both",
                one.replace("JOB=1:2", "JOB=1:1").replace("JOB/2", "1/2"),
                two,
                one.replace("JOB=1:2", "JOB=1:1").replace("JOB/2", "2/2"),
            ]
        )
        + "\n"
    )
    assert explain(capsys, plan, 0)[1:3] == [
        f"{recipe.one}: planned_one, 2 receipts: never run",
        f"{recipe.two}: planned_two: never run",
    ]


def test_a_changed_receipt_of_the_stage_before_is_named(recipe, capsys):
    """Stage 0 was redone by itself with another result: stage 1 says so with both checksums."""
    recipe.work(recipe.plan())
    (recipe.folder / "in").write_text("b")
    recipe.work(recipe.plan(), [0])
    receipt = f"{recipe.one}/receipts/planned_one.1of2.json"
    change = explain(capsys, recipe.plan(), 1)[2]
    before, after = change.removeprefix("input source: ").split(" -> ")
    assert before.endswith(f"({receipt})")
    assert after.endswith(f"({receipt})")
    assert before[:12] != after[:12]


def test_a_format_a_missing_input_and_spoilt_outputs_are_named(recipe, capsys):
    recipe.work(recipe.plan())
    path = recipe.one / "receipts" / "planned_one.1of2.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 7'))
    (recipe.folder / "in").unlink()
    (recipe.one / "copy.2").write_text("xx")
    lines = explain(capsys, recipe.plan(), 0)
    assert lines[0].endswith(
        "stale because planned_one has FORMAT 1, its output was made by FORMAT 7"
    )
    missing = f"1 file gone: {recipe.folder}/in (input source)"
    assert lines[1:5] == [
        f"{recipe.one}: planned_one: stale",
        "FORMAT of planned_one: 7 -> 1",
        missing,
        "outputs: copy.1 (0.0 MB)",
    ]
    spoilt = f"{recipe.one}/copy.2 has 2 bytes, 1 were written"
    assert lines[5:] == [
        f"{recipe.one}: planned_one: unfinished",
        spoilt,
        missing,
        "outputs: copy.2 (0.0 MB)",
    ]
