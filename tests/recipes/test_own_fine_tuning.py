"""The recipe own with --fine-tune: two networks on the same trials, a death, refusals."""

import json
import os
import shutil
import signal
import time

import pytest

from tests.lookalike.own import make_kaldi, make_tree
from tests.models_for_tests import make_model
from tests.recipes.runs import contents, difference, last_line, run, start
from tests.training_runs import assert_same_end
from tests.voices import CONFIG
from utils.training.checkpoints import load_checkpoint, weights_digest

pytestmark = pytest.mark.slow
SPEAKERS = [f"speaker {number}" for number in range(12)]  # 5 for train, 2 for dev, 5 for test
QUICK = ("--vad", "conf/vad/energy.yaml", "--test-share", "0.42", "--nj", "1", "--num-threads", "1")
TUNED, BEFORE = "tune-tiny-mine-0.1-0.42-energy", "tiny-mine-0.1-0.42-energy"
TUNING = """
start_from: models/another
loss: {name: aam_softmax}
optimizer: {name: adam, learning_rate: 1e-3}
schedule: {name: cosine}
crops: {crop_seconds: 0.5, batch_size: 4}
training: {steps: 40, validate_every_steps: 20, checkpoint_every_steps: 5, choose_by_dev: true}
phases:
  - {name: head, freeze: [network.*], training: {steps: 5}}
  - {name: last, weights_from: previous_with_loss, freeze_if_few: [network.conv.*]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model folder, its YAML, a corpus, and trials of another domain."""
    folder = tmp_path_factory.mktemp("made")
    make_model(folder / "tiny")
    (folder / "tune.yaml").write_text(CONFIG.partition("loss:")[0] + TUNING)
    make_tree(folder / "mine", SPEAKERS, ("mo",), 3)
    far = make_kaldi(folder / "far", [f"x{number}" for number in range(5)], 2, seconds=1.0)
    names = [line.split()[0] for line in (far / "utt2spk").read_text().splitlines()]
    with open(far / "trials", "w") as file:
        for number, one in enumerate(names):
            for other in names[number + 1 :]:
                kind = "target" if one[:2] == other[:2] else "nontarget"
                file.write(f"{one} {other} {kind}\n")
    return folder


def words(made, work, *more):
    corpus = ("--corpus", made / "mine", "--model", made / "tiny", "--fine-tune")
    config = ("--config", made / "tune.yaml", "--own-domain", made / "far")
    return [*corpus, *config, "--workdir", work, *QUICK, *more]


@pytest.fixture(scope="module")
def tuned(made, tmp_path_factory):
    """The workdir of a whole run, and what it printed."""
    work = tmp_path_factory.mktemp("work")
    return work, run("own", *words(made, work))


def test_both_networks_are_tested_on_the_same_trials(tuned):
    work, text = tuned
    rows = json.loads((work / "exp" / TUNED / "results.json").read_text())
    wholes = [row for row in rows if row["subset"] == "all" and row["test_set"] == "test"]
    assert [row["system"] for row in wholes] == [TUNED, BEFORE]
    assert {row["backend"] for row in wholes} == {"cosine"}
    assert {(row["targets"], row["nontargets"]) for row in wholes} == {(15, 90)}
    assert "5 speakers, fewer than the embedding's 16 dimensions" in text
    begun = work / "exp" / TUNED / "phases" / "1_head" / "checkpoints" / "step-0000000.pt"
    facts = json.loads(
        (work / "exp" / BEFORE / "embeddings" / "test" / "provenance.json").read_text()
    )
    assert facts["model"] == weights_digest(load_checkpoint(begun)["network"])


def test_the_last_lines_say_whether_it_helped_and_what_it_costs(tuned):
    work, text = tuned
    (said,) = json.loads((work / "exp" / TUNED / "fine_tuning.json").read_text())
    before_stage_ends = text.partition("== stage 7:")[2]
    for line in said["lines"]:
        assert line in before_stage_ends
        assert line in (work / "exp" / TUNED / "report.html").read_text().replace("&#39;", "'")
    assert "network's own domain" in said["lines"][-1]
    results = json.loads(
        (work / "exp" / TUNED / "compared_own_domain" / "results.json").read_text()
    )
    assert {row["test_set"] for row in results} == {"domain_far"}
    assert {row["system"] for row in results} == {TUNED, BEFORE}


def test_what_is_done_stays_done(tuned, made):
    status = run("own", *words(made, tuned[0], "--status"))
    assert status.count("done") >= 8


def test_killed_while_it_trains_it_ends_with_the_same_files(tuned, made, tmp_path):
    shutil.copytree(tuned[0] / "data", tmp_path / "data")
    exp, whole = tmp_path / "exp" / TUNED, tuned[0] / "exp" / TUNED
    options = words(made, tmp_path, "--stage", "3", "--stop-stage", "3")
    process = start("own", *options)
    while not list((exp / "checkpoints").glob("step-0000015.pt")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (exp / "receipts" / "train.json").exists()
    assert "resuming from step" in run("own", *options)
    wanted, made_again = contents(whole, copied_from=tuned[0]), contents(exp, copied_from=tmp_path)
    assert len(made_again) > 8
    assert difference({name: wanted.get(name) for name in made_again}, made_again) == []
    assert_same_end(whole, exp)


def test_the_yaml_of_a_published_network_is_found_before_it_is_fetched(made, tmp_path):
    text = run(
        "own",
        *("--corpus", made / "mine", "--model", "ecapa", "--fine-tune", "true"),
        *("--workdir", tmp_path / "out", "--dry-run", "--verbose"),
    )
    assert "steps.fetch_pretrained ecapa models/ecapa" in text
    (training,) = [line for line in text.splitlines() if "steps.train " in line]
    assert " conf/ecapa_finetune.yaml " in training
    assert "/exp/ecapa_finetune-ecapa-mine " in training
    assert """--override 'start_from.source="models/ecapa"'""" in training
    assert "steps.judge_fine_tuning" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fine-tune"], "--fine-tune starts from a trained network: name it by --model"),
        (["--model", "resemblyzer", "--fine-tune"], "has a test protocol of its own"),
        (["--model", "campplus", "--own-domain", "."], "--own-domain belongs to --fine-tune"),
        (["--model", "campplus", "--fine-tune", "--own-domain", "."], "no wav.scp in it"),
        (
            ["--model", "MODEL", "--fine-tune", "--config", "TUNE", "--own-domain", "HIDDEN"],
            "hidden/trials: expected '<enrolment> <test> target' or '... nontarget' in each line",
        ),
        (["--model", "MODEL", "--fine-tune"], "conf/ has no YAML for ghostvlad, the network of"),
        (
            ["--model", "MODEL", "--fine-tune", "--config", "conf/ecapa_512_lm.yaml"],
            'has another network than conf/ecapa_512_lm.yaml: model.name is "ghostvlad" there',
        ),
        (
            ["--model", "campplus", "--fine-tune", "--backend", "BACKEND"],
            "give a YAML of conf/back",
        ),
        (
            ["--model", "campplus", "--fine-tune", "--score-norm", "s_norm", "--cohort", "head"],
            "the fine-tuned network has another head",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(tuned, made, tmp_path, options, message):
    backend = tuned[0] / "exp" / BEFORE / "backend" / "cosine"
    hidden = tmp_path / "hidden"
    shutil.copytree(made / "far", hidden)
    lines = (made / "far" / "trials").read_text().splitlines()
    (hidden / "trials").write_text("".join(f"{line.rpartition(' ')[0]}\n" for line in lines))
    named = {"MODEL": made / "tiny", "BACKEND": backend, "HIDDEN": hidden}
    named["TUNE"] = made / "tune.yaml"
    given = [named.get(word, word) for word in options]
    text = run("own", "--corpus", made / "mine", "--workdir", tmp_path / "out", *given, code=2)
    assert message in last_line(text)
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_is_refused_before_stage_0(made, tmp_path):
    config = tmp_path / "tune.yaml"
    config.write_text((made / "tune.yaml").read_text().replace("models/another", "nosuch"))
    options = ("--size", "tiny", "--config", config, "--workdir", tmp_path / "out")
    text = run("mini", *options, code=1)
    assert "no such folder, expected a finished experiment or a model folder" in last_line(text)
    assert not (tmp_path / "out" / "data").exists()
