"""Augmentation in training: a file instead of the section, speeds as speakers, and the bank."""

import json

import pytest
import yaml

from steps.train import train
from tests.banks import make_bank
from tests.training_runs import assert_same_end, train_tiny, variant
from tests.voices import make_corpus
from utils.errors import UserError

POLICY = """\
speed_factors: [1.0, 0.9]
speed_is_new_speaker: false
chain:
  - {name: volume, probability: 0.5}
  - {name: codec, codecs: [mu_law]}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The tiny packed corpus with a bank, and a policy."""
    folder = make_corpus(tmp_path_factory.mktemp("corpus"))
    make_bank(folder / "bank")
    (folder / "policy.yaml").write_text(POLICY)
    return folder


def test_a_file_stands_in_for_the_section_and_is_recorded(corpus, tmp_path):
    counts = train_tiny(corpus, tmp_path / "file", steps=4, augmentation=corpus / "policy.yaml")
    assert counts["classes"] == 4
    recorded = yaml.safe_load((tmp_path / "file" / "config.yaml").read_text())["augmentation"]
    assert recorded == {
        "speed_factors": [1.0, 0.9],
        "speed_is_new_speaker": False,
        "device": False,
        "chain": [
            {"name": "volume", "probability": 0.5, "gain_db": [-10.0, 6.0]},
            {"name": "codec", "probability": 1.0, "codecs": ["mu_law"], "compression": [0.0, 1.0]},
        ],
    }
    assert (
        "augmentation"
        in json.loads((tmp_path / "file" / "receipts" / "train.json").read_text())["inputs"]
    )
    section = variant(
        corpus,
        tmp_path,
        (
            "augmentation: {speed_factors: [1.0, 1.1]}",
            "augmentation:\n" + "".join(f"  {line}\n" for line in POLICY.splitlines()),
        ),
    )
    train_tiny(corpus, tmp_path / "section", config=section, steps=4)
    assert_same_end(tmp_path / "file", tmp_path / "section")


def test_workers_change_nothing(corpus, tmp_path):
    for workers in (0, 2):
        train_tiny(
            corpus,
            tmp_path / str(workers),
            steps=4,
            augmentation=corpus / "policy.yaml",
            num_workers=workers,
        )
    assert_same_end(tmp_path / "0", tmp_path / "2")


def test_another_policy_is_another_training(corpus, tmp_path):
    train_tiny(corpus, tmp_path / "exp", steps=2, augmentation=corpus / "policy.yaml")
    (tmp_path / "other.yaml").write_text(POLICY.replace("0.5", "0.6"))
    with pytest.raises(UserError, match="exp"):
        train_tiny(corpus, tmp_path / "exp", steps=2, augmentation=tmp_path / "other.yaml")


def test_speeds_are_other_speakers_unless_told(corpus, tmp_path):
    assert train_tiny(corpus, tmp_path / "exp", steps=1)["classes"] == 8
    config = variant(
        corpus,
        tmp_path,
        ("speed_factors: [1.0, 1.1]", "speed_factors: [1.0, 1.1], speed_is_new_speaker: false"),
    )
    assert train_tiny(corpus, tmp_path / "other", config=config, steps=1)["classes"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "chain: [{name: nois}]\n",
            r"policy.yaml: chain 1: name: no 'nois'; did you mean 'noise'\?",
        ),
        ("augmentation: {chain: []}\n", r"policy.yaml: unknown key 'augmentation'"),
        (
            "chain: [{name: noise, types: [talk]}]\n",
            (
                r"policy.yaml: chain 1 \(noise\): no noise of type talk in .*; "
                "there is music, noise, speech"
            ),
        ),
        ("chain: [\n", r"policy.yaml:\d+: "),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_the_file(corpus, tmp_path, text, message):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        train_tiny(
            corpus,
            tmp_path / "exp",
            steps=1,
            augmentation=tmp_path / "policy.yaml",
            bank=corpus / "bank",
        )
    with pytest.raises(UserError, match="no-such.yaml: no such file"):
        train(
            corpus / "train",
            corpus / "dev",
            corpus / "config.yaml",
            tmp_path / "exp",
            augmentation=tmp_path / "no-such.yaml",
        )
