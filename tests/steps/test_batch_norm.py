"""Which networks and losses see other statistics in several processes, and who says so."""

import json
import re

import pytest
import torch

from steps.extract import describe_batch_norm, load_network
from steps.losses import LOSSES
from steps.models import MODELS
from tests.conftest import ROOT
from tests.training_runs import train_tiny
from utils.config import build, read_yaml
from utils.embeddings.provenance import compare_provenance
from utils.training.objective import normalises_batches


def networks():
    """Name -> a network of each kind, from the YAMLs of narrow ones."""
    found = {}
    for path in sorted((ROOT / "conf").glob("*_cpu.yaml")) + sorted((ROOT / "conf").glob("*.yaml")):
        model = read_yaml(path).get("model")
        if model and model["name"] not in found:
            with torch.device("meta"):
                found[model["name"]] = build(MODELS, model, str(path))
    return found


def test_the_page_on_training_names_the_networks_without_batch_norm():
    found = networks()
    assert found.keys() == MODELS.keys()
    without = {name for name, network in found.items() if not normalises_batches(network)}
    page = (ROOT / "docs" / "train.md").read_text()
    said = re.search(
        r"All networks of the\s+table\s+but\s+(.*?)\s+have\s+BatchNorm", page, re.DOTALL
    )
    assert set(re.findall(r"`(\w+)`", said[1])) == without == {"ge2e_lstm", "resemblyzer"}


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"weighted_sum"}))
def test_no_loss_has_batch_norm(name):
    loss = build(LOSSES, {"name": name}, name, embedding_dim=8, num_speakers=4)
    assert not normalises_batches(loss)


def test_the_provenance_says_it_also_where_the_receipt_only_counts_processes(corpus, tmp_path):
    train_tiny(corpus, tmp_path / "exp", steps=1)
    _, facts = load_network(tmp_path / "exp", "average")
    assert "training_batch_norm" not in facts
    path = tmp_path / "exp" / "receipts" / "train.json"
    receipt = json.loads(path.read_text())
    assert "batch_norm" not in receipt["counts"]
    receipt["counts"]["processes"] = 2
    path.write_text(json.dumps(receipt))
    _, told = load_network(tmp_path / "exp", "average")
    said = "statistics of each process's own share of the batch, in 2 processes"
    assert told == facts | {"training_batch_norm": said}
    _, first = load_network(tmp_path / "exp", "step-0000000")
    assert "training_batch_norm" not in first, "no process had seen a batch yet"
    assert describe_batch_norm(tmp_path / "exp", torch.nn.Linear(1, 1)) == ""


def test_embeddings_from_before_it_was_recorded_go_with_those_from_after(tmp_path):
    facts = {"model": "x", "front_end": "y", "sample_rate_hz": 16000}
    for name, more in (("before", {}), ("after", {"training_batch_norm": "z"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "provenance.json").write_text(json.dumps(facts | more))
    assert compare_provenance(tmp_path / "before", tmp_path / "after") == []
