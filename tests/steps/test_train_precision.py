"""``precision: auto``: chosen by the device, recorded, and kept by the experiment."""

import json
import signal

import pytest
import torch

from steps.train import train
from tests.training_runs import assert_same_end, stop_after, variant
from utils.config import read_yaml
from utils.errors import UserError
from utils.receipts import MODE
from utils.torch_device import multiplies_bf16

SHORT = (
    "steps: 40, validate_every_steps: 20, checkpoint_every_steps: 10",
    "steps: 6, validate_every_steps: 6, checkpoint_every_steps: 2",
)
AUTO = ("validate_every_steps: 6", "validate_every_steps: 6, precision: auto")
PHASES = """
phases:
  - {name: first, training: {steps: 2}}
  - {name: second, weights_from: previous}
"""


def on_a_processor(monkeypatch, *units):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(units, True))


def run(corpus, config, output):
    return train(corpus / "train", corpus / "dev", config, output, num_threads=1)


def precision_of(experiment):
    return read_yaml(experiment / "config.yaml")["training"]["precision"]


def states(corpus, config, output):
    MODE.checking, MODE.collected = True, []
    try:
        run(corpus, config, output)
        return [(status.state, status.reason) for status in MODE.collected]
    finally:
        MODE.checking = False


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (["amx_bf16"], "bf16"),
        (["avx512_bf16"], "bf16"),
        (["avx2", "avx512_f"], "fp32"),
        ([], "fp32"),
    ],
)
def test_auto_is_what_the_processor_multiplies_in_hardware(
    corpus, tmp_path, monkeypatch, capsys, units, expected
):
    on_a_processor(monkeypatch, *units)
    assert multiplies_bf16("cpu") == (expected == "bf16")
    config = variant(corpus, tmp_path, SHORT, AUTO)
    run(corpus, config, tmp_path / "exp")
    assert precision_of(tmp_path / "exp") == expected
    assert "bf16" not in capsys.readouterr().err


def test_units_that_the_matrix_library_is_kept_from_do_not_count(monkeypatch):
    on_a_processor(monkeypatch, "amx_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not multiplies_bf16("cpu")


@pytest.mark.parametrize(("first", "then"), [("amx_bf16", "avx2"), ("avx2", "amx_bf16")])
@pytest.mark.slow
def test_an_experiment_goes_on_in_the_precision_that_it_began_with(
    corpus, tmp_path, monkeypatch, capsys, first, then
):
    config = variant(corpus, tmp_path, SHORT, AUTO)
    on_a_processor(monkeypatch, first)
    run(corpus, config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        stop_after(3, patched, signal.SIGTERM)
        with pytest.raises(UserError, match="stopped"):
            run(corpus, config, tmp_path / "stopped")
    capsys.readouterr()
    on_a_processor(monkeypatch, then)
    run(corpus, config, tmp_path / "stopped")
    assert_same_end(tmp_path / "whole", tmp_path / "stopped")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(said) == (1 if then == "avx2" else 0), said
    assert all("keeps it" in line and "another --name" in line for line in said)


def test_a_bf16_that_is_emulated_is_said_once_with_what_to_do(
    corpus, tmp_path, monkeypatch, capsys
):
    on_a_processor(monkeypatch, "avx2")
    config = variant(
        corpus,
        tmp_path,
        SHORT,
        ("validate_every_steps: 6", "validate_every_steps: 6, precision: bf16"),
    )
    run(corpus, config, tmp_path / "exp")
    said = [line for line in capsys.readouterr().err.splitlines() if "bf16" in line]
    assert len(said) == 1
    assert f"note: {config}: precision is bf16; " in said[0]
    assert "write precision: auto" in said[0]
    config.write_text(config.read_text().replace("precision: bf16", "precision: auto"))
    run(corpus, config, tmp_path / "exp-another")  # what it says works
    assert precision_of(tmp_path / "exp-another") == "fp32"


@pytest.mark.parametrize("phases", ["", PHASES], ids=["one training", "two phases"])
@pytest.mark.slow
def test_a_workdir_of_before_stays_done(corpus, tmp_path, monkeypatch, phases):
    config = variant(
        corpus,
        tmp_path,
        SHORT,
        ("validate_every_steps: 6", "validate_every_steps: 6, precision: bf16"),
    )
    config.write_text(config.read_text() + phases)
    run(corpus, config, tmp_path / "exp")
    on_a_processor(monkeypatch, "avx2")
    config.write_text(
        "# another head\n" + config.read_text().replace("precision: bf16", "precision: auto")
    )
    assert {state for state, _ in states(corpus, config, tmp_path / "exp")} == {"done"}
    if not phases:
        config.write_text(config.read_text().replace("precision: auto", "precision: fp32"))
        changed = f'{config}: training.precision was "bf16", is "fp32"'
        assert states(corpus, config, tmp_path / "exp") == [("stale", changed)]


def test_a_value_taken_out_of_the_yaml_is_a_change(corpus, tmp_path):
    config = variant(corpus, tmp_path, SHORT)
    run(corpus, config, tmp_path / "exp")
    config.write_text(config.read_text().replace(", average_checkpoints: 2", ""))
    assert "average_checkpoints" not in config.read_text()
    changed = f"{config}: training.average_checkpoints was 2, is 1"
    assert states(corpus, config, tmp_path / "exp") == [("stale", changed)]


def test_the_provenance_says_it(corpus, tmp_path, monkeypatch):
    from steps.extract import extract

    on_a_processor(monkeypatch, "amx_bf16")
    run(corpus, variant(corpus, tmp_path, SHORT, AUTO), tmp_path / "exp")
    extract(tmp_path / "exp", corpus / "dev", tmp_path / "embeddings")
    assert (
        json.loads((tmp_path / "embeddings" / "provenance.1.json").read_text())[
            "training_precision"
        ]
        == "bf16"
    )


def test_an_auto_phase_does_not_take_what_another_phase_was_told(
    corpus, tmp_path, monkeypatch, capsys
):
    on_a_processor(monkeypatch, "avx2")
    config = variant(corpus, tmp_path, SHORT, AUTO)
    phases = PHASES.replace("training: {steps: 2}", "training: {steps: 2, precision: bf16}")
    config.write_text(config.read_text() + phases)
    run(corpus, config, tmp_path / "exp")
    assert precision_of(tmp_path / "exp" / "phases" / "1_first") == "bf16"
    assert precision_of(tmp_path / "exp") == "fp32"
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(said) == 1, said
    assert "precision is bf16" in said[0]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.slow
def test_what_force_begins_anew_takes_the_precision_of_this_machine(
    corpus, tmp_path, monkeypatch, finished
):
    on_a_processor(monkeypatch, "amx_bf16")
    config = variant(corpus, tmp_path, SHORT, AUTO)
    run(corpus, config, tmp_path / "exp")
    assert precision_of(tmp_path / "exp") == "bf16"
    if not finished:
        (tmp_path / "exp" / "receipts" / "train.json").unlink()
    on_a_processor(monkeypatch, "avx2")
    config.write_text(config.read_text().replace("crop_seconds: 0.5", "crop_seconds: 0.6"))
    monkeypatch.setenv("SV_FORCE", "1")
    run(corpus, config, tmp_path / "exp")
    assert precision_of(tmp_path / "exp") == "fp32"


@pytest.mark.slow
def test_a_change_of_a_middle_phase_is_a_change(corpus, tmp_path):
    config = variant(corpus, tmp_path, SHORT)
    third = "  - {name: third, training: {steps: 2}}\n"
    config.write_text(config.read_text() + PHASES + third)
    run(corpus, config, tmp_path / "exp")
    assert {state for state, _ in states(corpus, config, tmp_path / "exp")} == {"done"}
    config.write_text(config.read_text().replace("weights_from: previous", "weights_from: random"))
    changed = 'phase 2 (second).phase.weights_from was "previous", is "random"'
    assert states(corpus, config, tmp_path / "exp")[-1] == ("stale", f"{config}: {changed}")


@pytest.mark.parametrize("claim", ["{}", '{"config": []}', '{"config": {"model": {}}}', "no JSON"])
@pytest.mark.slow
def test_a_begun_json_that_says_nothing_is_no_traceback(corpus, tmp_path, claim):
    config = variant(corpus, tmp_path, SHORT, AUTO)
    run(corpus, config, tmp_path / "exp")
    (tmp_path / "exp" / "begun.json").write_text(claim)
    [(state, reason)] = states(corpus, config, tmp_path / "exp")
    assert (state, "begun.json has" in reason) == ("unfinished", True)
