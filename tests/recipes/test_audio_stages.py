"""Stages 1 and 2 of every recipe: the commands that options ask for, in the plan of run.sh."""

import shlex

import pytest

from tests.conftest import ROOT
from tests.recipes.test_scoring import option, start

RECIPE = """#!/usr/bin/env bash
set -euo pipefail
cd {root} && . ./path.sh
# Options: name=default  # kind: meaning
seed=1   # number from 0: of the copies
{declared}
. utils/stages.sh "$@"
{names}
if at_stage 1 "VAD decisions"; then
  detect_speech data train,dev
fi
if at_stage 2 "pack audio"; then
  pack_sets data packed train,dev,test
  make_noise_bank "${{bank-}}" --noise data/noise
  copy_train packed "${{bank-}}"
fi
"""


@pytest.fixture
def plan(tmp_path):
    """A function that returns the commands of a recipe as (step, arguments)."""

    def planned(*options, declared="", names=""):
        script, written = tmp_path / "run.sh", tmp_path / "plan"
        script.write_text(RECIPE.format(root=ROOT, declared=declared, names=names))
        written.write_text("")
        done = start(script, written, *options)
        assert done.returncode == 0, done.stderr
        commands = []
        for line in written.read_text().splitlines():
            words = shlex.split(line)
            if "-m" in words:
                module = words.index("-m") + 1
                commands.append((words[module].removeprefix("steps."), words[module + 1 :]))
        return commands

    return planned


def test_without_options_sets_are_packed_one_by_one_and_nothing_is_copied(plan):
    commands = plan()
    assert [(step, arguments[:1]) for step, arguments in commands] == [
        ("compute_vad", ["data/train"]),
        ("collect_vad", ["data/train"]),
        ("compute_vad", ["data/dev"]),
        ("collect_vad", ["data/dev"]),
        ("pack_audio", ["data/train"]),
        ("collect_packed", ["data/train"]),
        ("pack_audio", ["data/dev"]),
        ("collect_packed", ["data/dev"]),
        ("pack_audio", ["data/test"]),
        ("collect_packed", ["data/test"]),
    ]
    for _, arguments in commands:
        assert option(arguments, "--allow-pipes") is None
        assert option(arguments, "--max-policy-fraction") is None


def test_vad_trim_split_and_channel_reach_the_steps(plan):
    commands = plan("--vad=conf/vad/energy.yaml", "--trim", "--split", "--channel=mean")
    for step, arguments in commands:
        if step == "compute_vad":
            assert option(arguments, "--config") == "conf/vad/energy.yaml"
            assert option(arguments, "--channel") == "mean"
    packed = [arguments for step, arguments in commands if step == "pack_audio"]
    assert [option(arguments, "--trim") for arguments in packed] == ["true"] * 3
    assert [option(arguments, "--split") for arguments in packed] == ["true", "false", "false"]


def test_copies_are_made_of_train_with_a_bank_or_none(plan):
    copies = "recipes/mini/conf/augmentation/copies.yaml"
    commands = dict(plan(f"--copies={copies}", names="bank=packed/bank"))
    assert commands["augment"][0] == "packed/bank"
    target = "packed/train_copies"
    assert commands["augment_copies"][:4] == ["packed/train", "packed/bank", copies, target]
    assert commands["collect_copies"][:2] == ["packed/train", target]
    commands = dict(plan(f"--copies={copies}"))
    assert "augment" not in commands
    assert commands["augment_copies"][1] == "none"


def test_pipes_and_packing_limits_of_a_recipe_reach_the_steps(plan):
    commands = plan(
        "--allow-pipes",
        declared="allow_pipes=false  # run commands",
        names="packing_limits=(--max-policy-fraction 0.9)",
    )
    for step, arguments in commands:
        pipes = "true" if step in ("compute_vad", "pack_audio") else None
        assert option(arguments, "--allow-pipes") == pipes
        limit = "0.9" if step == "collect_packed" else None
        assert option(arguments, "--max-policy-fraction") == limit
