"""What training refuses, in one line: wrong YAMLs, impossible options, data that do not fit."""

import os
import re
import shutil

import pytest
import torch

from steps.train import train
from tests.training_runs import train_tiny, variant
from utils.data_dir import read_map
from utils.errors import UserError

BAD_YAML = [
    (("model:", "modle:"), r"config.yaml: unknown key 'modle'; did you mean 'model'\?"),
    (("crops: {crop_seconds: 0.5, batch_size: 6}\n", ""), r"config.yaml: key 'crops' is missing"),
    (
        ("crop_seconds", "crop_second"),
        r"config.yaml: crops: unknown key 'crop_second'; did you mean 'crop_seconds'\?",
    ),
    (
        ("crop_seconds: 0.5", "crop_seconds: 0"),
        r"config.yaml: crops: crop_seconds is 0.0, expected more than 0",
    ),
    (
        ("batch_size: 6", "batch_size: six"),
        r"config.yaml: crops: batch_size: found 'six' \(text\), expected a whole number",
    ),
    (
        ("steps: 40", "steps: 40, epochs: 2"),
        r"config.yaml: training: steps and epochs: expected one of the two",
    ),
    (("steps: 40", "steps: 0"), r"config.yaml: training: steps is 0, expected 1 or more"),
    (
        ("steps: 40", "steps: 40, precision: fp16"),
        r"config.yaml: training: precision: found 'fp16' \(text\), expected one of fp32, bf16",
    ),
    (
        ("name: cosine", "name: cosin"),
        r"config.yaml: schedule: name: no 'cosin'; did you mean 'cosine'\?",
    ),
    (
        ("name: cosine", "name: cosine, warmup_fraction: 2"),
        r"config.yaml: schedule: warmup_fraction is 2.0, expected a fraction from 0 to 1",
    ),
    (
        ("learning_rate: 1e-2", "learning_rate: -1"),
        r"config.yaml: optimizer: learning_rate is -1.0, expected more than 0",
    ),
    (
        ("name: adam", "name: adam, momentum: 0.9"),
        r"config.yaml: optimizer: unknown key 'momentum'",
    ),
    (
        ("clip_norm: 5.0", "clip_norm: 0"),
        r"config.yaml: optimizer: clip_norm is 0.0, expected more than 0",
    ),
    (
        ("speed_factors", "speed_factor"),
        r"config.yaml: augmentation: unknown key 'speed_factor'; did you mean 'speed_factors'\?",
    ),
    (
        ("augmentation: {speed_factors: [1.0, 1.1]}", "augmentation: 3"),
        r"config.yaml: augmentation: found 3 .*expected a mapping",
    ),
    (
        ("speed_factors: [1.0, 1.1]", "speed_factors: [3.0]"),
        r"config.yaml: augmentation: speed_factors: \[3.0\], expected different numbers",
    ),
    (
        ("speed_factors: [1.0, 1.1]", "chain: [{name: reverp}]"),
        r"config.yaml: augmentation: chain 1: name: no 'reverp'; did you mean 'reverb'\?",
    ),
    (
        ("speed_factors: [1.0, 1.1]", "chain: [{name: reverse}, {name: noise, snr_db: [20, 5]}]"),
        (
            r"config.yaml: augmentation: chain 2 \(noise\): snr_db: from 20.0 to 5.0, "
            "expected the lower bound first"
        ),
    ),
    (
        ("loss: {name: softmax}", "loss: softmax"),
        r"config.yaml: loss: found 'softmax' \(text\), expected a mapping",
    ),
]
BAD_YAML_OF_NETWORKS = [
    (
        ("name: ghostvlad", "name: ghostvald"),
        r"config.yaml: model: name: no 'ghostvald'; did you mean 'ghostvlad'\?",
    ),
    (("clusters: 2", "clusters: 0"), r"config.yaml: model: clusters is 0, expected 1 or more"),
    (
        ("max_freq_bins", "max_freq_bin"),
        (
            r"config.yaml: model: spec_augment: unknown key 'max_freq_bin'; "
            r"did you mean 'max_freq_bins'\?"
        ),
    ),
    (
        ("name: softmax", "name: softmax, loss_sum: true"),
        r"config.yaml: loss: unknown key 'loss_sum'",
    ),
    (
        ("name: softmax", "name: am_softmax, margin: 1.5"),
        r"config.yaml: loss: margin is 1.5, expected 0 or more and below 1",
    ),
    (
        ("crop_seconds: 0.5", "crop_seconds: 0.005"),
        r"config.yaml: crops: crop_seconds 0.005 are 80 samples; this network takes \d+ or more",
    ),
    (
        ("speed_factors: [1.0, 1.1]", "chain: [{name: noise}]"),
        r"config.yaml: augmentation: chain 1 \(noise\): noise: asked for, but there is no",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"),
    BAD_YAML + BAD_YAML_OF_NETWORKS,
    ids=lambda value: value[1][:30] if isinstance(value, tuple) else "",
)
def test_a_wrong_yaml_is_named_before_audio_is_opened(
    corpus, tmp_path, monkeypatch, change, message
):
    config = variant(corpus, tmp_path, change)
    monkeypatch.setattr("utils.packed.reader.PackedReader.__init__", None)
    if (change, message) in BAD_YAML:
        monkeypatch.setattr("steps.train.assemble", None)  # where torch comes in
    with pytest.raises(UserError, match=message):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert not (tmp_path / "exp" / "config.yaml").exists()
    assert not (tmp_path / "exp" / "checkpoints").exists()


def test_a_wrong_yaml_is_one_line_and_exit_1_without_torch(corpus, tmp_path, command):
    config = variant(corpus, tmp_path, ("momentum", ""), ("learning_rate", "lerning_rate"))
    done = command(
        "steps.train",
        corpus / "train",
        corpus / "dev",
        config,
        tmp_path / "exp",
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1
    assert said == [
        (
            f"steps.train: {config}: optimizer: unknown key 'lerning_rate'; "
            "did you mean 'learning_rate'?"
        )
    ]
    assert not re.search(r"\| +torch$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "--seed is -1, expected 0 or more"),
        ({"steps": 0}, "--steps is 0, expected 1 or more"),
        ({"config": "none.yaml"}, "none.yaml: no such file"),
    ],
)
def test_impossible_options_are_named(corpus, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        train_tiny(corpus, tmp_path / "exp", **change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_one_line(corpus, tmp_path):
    with pytest.raises(UserError, match="--device cuda: no CUDA device is visible"):
        train_tiny(corpus, tmp_path / "exp", device="cuda")


def test_epochs_that_fill_no_batch_are_refused(corpus, tmp_path):
    config = variant(
        corpus, tmp_path, ("steps: 40", "epochs: 1"), ("batch_size: 6", "batch_size: 33")
    )
    with pytest.raises(
        UserError, match="training: epochs is 1: of 32 utterances, too few for one batch of 33"
    ):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)


@pytest.mark.parametrize("batch_size", [7, 2])
def test_a_batch_that_the_processes_cannot_share_is_refused(
    corpus, tmp_path, monkeypatch, batch_size
):
    monkeypatch.setattr("utils.training.setup.rank_and_world", lambda: (0, 2))
    config = variant(corpus, tmp_path, ("batch_size: 6", f"batch_size: {batch_size}"))
    with pytest.raises(
        UserError,
        match=f"config.yaml: crops: batch_size {batch_size}: "
        "expected equal shares of 2 rows or more for 2 processes",
    ):
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    assert not (tmp_path / "exp" / "config.yaml").exists()


@pytest.mark.parametrize("side", [0, 1])
def test_a_dev_trial_whose_side_is_not_there_is_named_with_its_line(corpus, tmp_path, side):
    dev = shutil.copytree(corpus / "dev", tmp_path / "dev")
    lines = (dev / "trials").read_text().splitlines()
    words = lines[2].split()
    words[side] = "nobody"
    (dev / "trials").write_text("\n".join([*lines[:2], " ".join(words), *lines[3:]]) + "\n")
    with pytest.raises(UserError, match=f"{dev}/trials:3: 'nobody' is not in {dev}/wav.scp"):
        train(corpus / "train", dev, corpus / "config.yaml", tmp_path / "exp", num_threads=1)


def test_data_directories_that_contradict_themselves_are_refused(corpus, tmp_path):
    data = shutil.copytree(corpus / "train", tmp_path / "train")
    assert len(read_map(data / "utt2spk")) == 32
    (data / "utt2spk").write_text(
        "".join((data / "utt2spk").read_text().splitlines(keepends=True)[:-1])
    )
    with pytest.raises(UserError, match="wav.scp and utt2spk name different utterances"):
        train(data, corpus / "dev", corpus / "config.yaml", tmp_path / "exp", num_threads=1)
