"""--override as a command line gives it: refused before a folder is made, and in fine-tuning."""

import pytest

from steps.plan_fine_tuning import plan_fine_tuning, start_override
from steps.train import train
from tests.models_for_tests import make_model
from utils.cli import call, run_and_report
from utils.config import parse_override
from utils.errors import WrongArguments


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("", "--override: found ''"),
        ("loss.scale", "--override: found 'loss.scale'"),
        ("loss.scal=1", "--override: loss: unknown key 'scal'"),
        ("model.ghosts=-1", "model with --override: ghosts is -1"),
        ("freeze=[nosuch]", "freeze with --override: no parameter's name matches 'nosuch'"),
        ("optimizer.weight_decay_factors={nosuch: 2}", "optimizer with --override: "),
        ("crops.crop_seconds=0.001", "crops with --override: crop_seconds 0.001 are 16 samples"),
        (
            "schedule={name: cosine_restarts, cycle_steps: 5, warmup_steps: 9}",
            "a cycle of 5 steps is",
        ),
        (
            "crops={batch_size: null, batches: {speakers: 99, utterances: 2}}",
            "crops with --overrid",
        ),
    ],
)
def test_a_wrong_override_is_a_wrong_command_line_and_leaves_no_folder(
    corpus, tmp_path, capsys, override, message
):
    words = [corpus / "train", corpus / "dev", corpus / "config.yaml", tmp_path / "exp"]
    words += ["--num-threads=1", "--steps=1", f"--override={override}"]
    code = run_and_report(lambda: call(train, list(map(str, words)), "train"))
    text = capsys.readouterr().err
    assert message in text
    assert len(text.splitlines()) == 1
    assert code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_override_given_twice_is_refused(corpus, tmp_path, capsys):
    words = [corpus / "train", corpus / "dev", corpus / "config.yaml", tmp_path / "exp"]
    twice = ["--override=loss.scale=1", "--override", "optimizer.clip_norm=1"]
    with pytest.raises(SystemExit) as caught:
        call(train, [*map(str, words), *twice], "train")
    assert caught.value.code == 2
    expected = "train: --override is given twice; join the two by a comma; see --help\n"
    assert capsys.readouterr().err == expected


def test_a_fine_tuning_starts_from_its_model_whatever_a_path_is_called(tmp_path, capsys):
    model = tmp_path / "we,ird=x, y.z=3"
    make_model(model)
    assert parse_override(start_override(model)) == {"start_from": {"source": str(model)}}
    plan_fine_tuning(
        model, model / "config.yaml", override="start_from={head: random},loss.scale=3"
    )
    _, override = capsys.readouterr().out.splitlines()
    start = {"source": str(model), "head": "random"}
    assert parse_override(override) == {"start_from": start, "loss": {"scale": 3}}


def test_a_fault_of_a_later_phase_leaves_no_folder_either(corpus, tmp_path):
    config = tmp_path / "phases.yaml"
    phases = "phases:\n  - {name: a}\n  - {name: b, weights_from: previous}\n"
    config.write_text((corpus / "config.yaml").read_text() + phases)
    words = (corpus / "train", corpus / "dev", config, tmp_path / "exp")
    with pytest.raises(WrongArguments, match="--override: phases.b.loss: unknown key 'marginn'"):
        train(*words, override="phases.b.loss.marginn=1", num_threads=1, steps=1)
    with pytest.raises(
        WrongArguments, match=r"phase 2 \(b\): weights_from.* with --override: netwo"
    ):
        train(
            *words,
            override="phases.b.model.embedding_dim=9,phases.b.weights_from=previous",
            num_threads=1,
            steps=1,
        )
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize("other", ["start_from=Y", "start_from.source=Y", "start_from=null"])
def test_a_fine_tuning_takes_no_other_source(tmp_path, capsys, other):
    make_model(tmp_path / "tiny")
    with pytest.raises(
        WrongArguments, match="start_from: with --fine-tune, .* from --model .*/tiny"
    ):
        plan_fine_tuning(tmp_path / "tiny", tmp_path / "tiny" / "config.yaml", override=other)
    assert capsys.readouterr().out == ""
