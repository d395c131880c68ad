"""Two trainings beside each other: what differs, their curves, and paired error rates."""

import json
import shutil

import pytest
import yaml

from steps.compare import compare
from steps.compare_runs import compare_runs
from steps.evaluate import evaluate
from tests.steps.test_report import make_system, write_data
from utils.errors import UserError, WrongArguments
from utils.files import write_json
from utils.receipts import Task
from utils.training.progress import Progress

CONFIG = {
    "loss": {"name": "am_softmax", "margin": 0.2},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
}


def make_run(folder, margin, train_list, steps=2, inputs=None, **sections):
    """A finished training, as its files say."""
    (folder / "log").mkdir(parents=True)
    lists = folder.parent / f"{folder.name}.utt2spk"
    lists.write_text(train_list)
    config = CONFIG | {"loss": CONFIG["loss"] | {"margin": margin}} | sections
    inputs = {"train/utt2spk": lists} | (inputs or {})
    task = Task(folder, "train", format=1, inputs=inputs, options={})
    assert not task.is_done()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    entries = [
        {"step": step, "loss": margin + step, "accuracy": 0.5, "learning_rate": 0.01 / step}
        for step in range(1, steps + 1)
    ]
    (folder / "log" / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    task.finish(
        [folder / "config.yaml"], {"steps": steps, "draws": 6 * steps, "parameters": 1234567}
    )


@pytest.fixture
def work(tmp_path):
    """Two finished trainings; one margin and one list are different."""
    make_run(tmp_path / "exp" / "one", 0.2, "a-1 a\n")
    make_run(tmp_path / "exp" / "other", 0.3, "a-1 a\nb-1 b\n")
    return tmp_path


def compared(work, first="exp/one", second="exp/other", **options):
    """Counts, and the entries of runs.json: (kind, name) -> the two texts."""
    output = work / "compared"
    counts = compare_runs(work / first, work / second, output, **options)
    entries = json.loads((output / "runs.json").read_text())
    return counts, {
        (entry["kind"], entry["name"]): (entry["first"], entry["second"]) for entry in entries
    }


def test_values_lists_and_facts_that_differ_are_named(work, capsys):
    counts, found = compared(work)
    assert counts == {"values": 1, "lists": 1, "test_sets": 0, "pairs": 0, "clear": 0}
    assert found["value", "loss.margin"] == ("0.2", "0.3")
    one, other = found["list", "train/utt2spk"]
    assert one != other
    assert {len(one), len(other)} == {12}
    assert found["fact", "peak learning rate"] == ("0.01", "0.01")
    assert found["fact", "crops per step, of all processes"] == ("6", "6")
    assert found["fact", "parameters"] == ("1,234,567", "1,234,567")
    assert found["fact", "commit"][0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["one", "other"]
    assert ["loss.margin", "0.2", "0.3"] in [line.split() for line in lines]
    assert not any("parameters" in line for line in lines), "it does not differ"
    assert any(line.startswith("No error rates: neither experiment") for line in lines)


def test_both_curves_are_in_one_picture(work):
    compared(work)
    text = (work / "compared" / "report.html").read_text()
    loss = text[text.index("training loss over steps") :].partition("</svg>")[0]
    assert loss.count("<polyline") == 2
    assert "<title>one</title>" in loss
    assert "<title>other</title>" in loss
    assert "<b>0.3</b>" in text
    assert str(work) not in text


@pytest.mark.slow
def test_error_rates_are_paired_on_the_data_of_the_evaluation(work, capsys):
    write_data(work / "data" / "test")
    for name, noise, seed in (("one", 0.7, 0), ("other", 5.0, 1)):
        make_system(work / "exp" / name, noise, seed)
    evaluate(work / "exp" / "one", work / "data", replicates=100)
    counts, _ = compared(work, replicates=100)
    assert (counts["test_sets"], counts["pairs"], counts["clear"]) == (1, 1, 1)
    (entry,) = json.loads((work / "compared" / "differences.json").read_text())
    assert (entry["first"], entry["second"]) == ("one", "other")
    assert "test: one - other: EER -" in capsys.readouterr().out
    with_data, _ = compared(work, replicates=100, data=work / "data")
    assert with_data == counts
    with pytest.raises(UserError, match=r"--scorers: no test set .* 'plda'; in both .* cosine"):
        compared(work, scorers=["cosine", "plda"])
    with pytest.raises(UserError, match=r"--scorers: no test set .* 'plda'; in both .* cosine"):
        compared(work, scorers=["plda"], data=work / "data")
    assert compared(work, replicates=100, scorers=["cosine"])[0] == counts


def test_data_and_scorers_that_give_no_error_rates_are_refused(work):
    with pytest.raises(UserError, match="nosuch: no <set>/trials in it"):
        compared(work, data=work / "nosuch")
    with pytest.raises(UserError, match="--scorers: No error rates: neither experiment was"):
        compared(work, scorers=["cosine"])
    write_data(work / "data" / "test")
    with pytest.raises(
        UserError, match=r"data: no test set was scored in both .* leave --data out"
    ):
        compared(work, data=work / "data")


@pytest.mark.slow
def test_experiments_of_different_trials_have_no_error_rates_but_the_rest(work, capsys):
    for name, noise, seed in (("one", 0.7, 0), ("other", 5.0, 1)):
        shutil.rmtree(work / "data", ignore_errors=True)
        write_data(work / "data" / "test")
        trials = work / "data" / "test" / "trials"
        if name == "other":
            trials.write_text(trials.read_text().partition("\n")[2])
        make_system(work / "exp" / name, noise, seed)
        shutil.copytree(work / "data", work / f"data_{name}")
        evaluate(work / "exp" / name, work / f"data_{name}", replicates=2)
    counts, found = compared(work)
    assert (counts["values"], counts["test_sets"]) == (1, 0)
    assert ("value", "loss.margin") in found
    note = "No error rates of test: the experiments were evaluated on different trials"
    assert note in capsys.readouterr().out
    text = (work / "compared" / "report.html").read_text()
    assert note in text
    assert "training loss over steps" in text
    counts, _ = compared(work, data=work / "data_other", replicates=2)
    assert counts["pairs"] == 1
    for name in ("one", "other"):
        shutil.rmtree(work / f"data_{name}")
    evaluated = work / "exp" / "other" / "receipts" / "evaluate.json"
    evaluated.unlink()
    compared(work)
    assert "data_one/test/trials not there any more; name by --data" in capsys.readouterr().out


def test_a_training_that_has_not_finished_is_refused(work):
    other = work / "exp" / "other"
    (other / "receipts" / "train.json").unlink()
    with pytest.raises(UserError, match=r"other: no receipts/train.json in it, expected"):
        compared(work)
    (other / "checkpoints").mkdir()
    (other / "checkpoints" / "step-0000010.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"it is interrupted: step 10; finish it with steps.train"):
        compared(work)
    with Progress(other / "phases" / "1_head", 20) as progress:
        progress.note(5)
        shutil.rmtree(other / "checkpoints")
        with pytest.raises(
            UserError, match=r"it is running: step 5 of 20.*, phases/1_head; wait until it is done"
        ):
            compared(work)


def test_one_experiment_is_not_compared_with_itself(work):
    (work / "link").symlink_to(work / "exp" / "one")
    for second in ("exp/one", "exp/../exp/one", "link"):
        with pytest.raises(WrongArguments, match="one experiment given twice"):
            compared(work, second=second)


@pytest.mark.slow
def test_experiments_of_one_name_are_told_apart_by_their_folders(work, capsys):
    write_data(work / "data" / "test")
    shutil.copytree(work / "exp" / "other", work / "elsewhere" / "one")
    make_system(work / "exp" / "one", 0.7, 0)
    make_system(work / "elsewhere" / "one", 5.0, 1)
    counts, found = compared(work, second="elsewhere/one", data=work / "data", replicates=2)
    assert counts["pairs"] == 1
    assert found["value", "loss.margin"] == ("0.2", "0.3")
    assert "exp/one - elsewhere/one: EER" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["begun.json", "config.yaml", "receipts/train.json", "utt2spk"])
def test_an_output_that_is_something_else_is_refused(work, name):
    output = work / "compared"
    (output / name).parent.mkdir(parents=True)
    (output / name).write_text("")
    with pytest.raises(WrongArguments, match=f"compared: an experiment, .*{name} is in it"):
        compared(work)
    exp = work / "exp"
    with pytest.raises(WrongArguments, match=f"compared: an experiment, .*{name} is in it"):
        compare([work / "data"], output, experiments=[exp / "one", exp / "other"])


def make_packed(folder, audio):
    """A packed data directory of one archive, with the receipt of its making."""
    folder.mkdir(parents=True)
    task = Task(folder, "made", format=1, inputs={}, options={})
    assert not task.is_done()
    (folder / "packed.1.ark").write_bytes(audio)
    (folder / "wav.scp").write_text(f"a-1 {folder}/packed.1.ark:5\n")
    task.finish([folder / "packed.1.ark", folder / "wav.scp"], {})
    return {"train/wav.scp": folder / "wav.scp", "train/made": task.path}


def test_data_are_compared_by_their_content_wherever_they_lie(tmp_path):
    for name, audio in (("one", b"audio"), ("other", b"audio"), ("third", b"noise")):
        inputs = make_packed(tmp_path / f"work_{name}" / "train", audio)
        make_run(tmp_path / "exp" / name, 0.2, "a-1 a\n", inputs=inputs)
    assert compared(tmp_path)[0]["lists"] == 0
    _, found = compared(tmp_path, second="exp/third")
    lists = {name: pair for (kind, name), pair in found.items() if kind == "list"}
    assert list(lists) == ["train/made", "train/wav.scp"]
    assert all(one != other for one, other in lists.values())
    (tmp_path / "work_other" / "train" / "wav.scp").unlink()
    (tmp_path / "compared" / "receipts" / "compare_runs.json").unlink()
    _, found = compared(tmp_path)
    one, other = found["list", "train/wav.scp"]
    assert one.endswith(" (with paths)")
    assert other.endswith(" (with paths)")
    assert ("list", "train/made") not in found


def test_an_option_written_as_its_default_is_no_difference(tmp_path):
    front_end = {"name": "kaldi_fbank"}
    parts = [{"name": "softmax"}, {"name": "center"}]
    make_run(
        tmp_path / "exp" / "one",
        0.2,
        "a-1 a\n",
        model={"name": "ghostvlad", "front_end": front_end},
        loss={"name": "weighted_sum", "parts": parts},
        training={"steps": 2},
    )
    make_run(
        tmp_path / "exp" / "other",
        0.2,
        "a-1 a\n",
        model={"name": "ghostvlad", "ghosts": 3, "front_end": front_end | {"full_scale": 32768.0}},
        loss={"name": "weighted_sum", "parts": [parts[0] | {"bias": False}, parts[1]]},
        optimizer=CONFIG["optimizer"] | {"weight_decay": 0.0},
        training={"steps": 2, "choose_by_dev": False},
        schedule={"name": "a schedule of before", "cycle": [1, None, True]},
    )
    _, found = compared(tmp_path)
    values = {name: pair for (kind, name), pair in found.items() if kind == "value"}
    assert values == {
        "model.ghosts": ("2", "3"),
        "schedule.name": ("–", "a schedule of before"),
        "schedule.cycle": ("–", "[1, null, true]"),
    }


def make_phases(folder, names, margin=0.2):
    """A finished training of phases of 2, 3, 4, ... steps; all but the last have a softmax."""
    before, homes = {}, [folder / "phases" / f"{k}_{name}" for k, name in enumerate(names, 1)]
    for number, (name, home) in enumerate(zip(names, [*homes[:-1], folder], strict=True), 1):
        sections = {"phase": {"name": name, "number": number, "weights_from": "random"}}
        if home != folder:
            sections["loss"] = {"name": "softmax"}
        make_run(home, margin, "a-1 a\n", number + 1, before, **sections)
        before = {"previous": home / "receipts" / "train.json"}


def test_every_phase_of_a_training_is_shown(tmp_path, capsys):
    make_phases(tmp_path / "exp" / "one", ["head", "whole"])
    make_run(tmp_path / "exp" / "other", 0.2, "a-1 a\n", steps=3)
    _, found = compared(tmp_path)
    assert found["fact", "phase head: steps"] == ("2", "–")
    assert found["fact", "phase head: peak learning rate"] == ("0.01", "–")
    assert found["fact", "steps"] == ("3", "3")
    values = {name: pair for (kind, name), pair in found.items() if kind == "value"}
    assert values["phases.head.loss.name"] == ("softmax", "–")
    assert not any(name.startswith("phases.head.optimizer") for name in values), "as the last phase"
    out = capsys.readouterr().out
    assert "Phases of one: head, whole. Names without a phase are of the last one" in out
    assert "None" not in out
    text = (tmp_path / "compared" / "report.html").read_text()
    assert "one step 5: 3.2" in text, "2 steps of the first phase, 3 of the second"
    assert "other step 3: 3.2" in text
    assert "Names without a phase are of the last one" in text


def test_phases_of_both_trainings_are_compared_with_each_other(tmp_path):
    make_phases(tmp_path / "exp" / "one", [f"p{number}" for number in range(11)])
    make_phases(tmp_path / "exp" / "other", [f"p{number}" for number in range(11)])
    config = tmp_path / "exp" / "other" / "phases" / "10_p9" / "config.yaml"
    config.write_text(config.read_text().replace("softmax", "am_softmax"))
    write_json(tmp_path / "exp" / "one" / "phases" / "1_old" / "config.yaml", {"a": "leftover"})
    _, found = compared(tmp_path)
    values = {name: pair for (kind, name), pair in found.items() if kind == "value"}
    assert values["phases.p9.loss.name"] == ("softmax", "am_softmax")
    assert all(name.startswith("phases.p9.loss.") for name in values)
    assert found["fact", "phase p9: steps"] == ("11", "11")
    assert found["fact", "steps"] == ("12", "12")
