"""Every system of conf/ through the mini recipe, by its _cpu YAML, trained for two steps."""

import json

import pytest
import yaml

from steps.models import MODELS
from tests.conftest import ROOT
from utils.config import build, read_yaml

pytestmark = pytest.mark.slow
CONFIGS = sorted((ROOT / "conf").glob("*_cpu.yaml"))
# In every run: large margin after another training, one of 8 kHz, raw waveforms in two phases.
FIRST = ("ecapa_512_lm", "ge2e_ti", "rawnet")
AT_LENGTH = [
    pytest.param(
        path,
        id=path.stem,
        marks=[] if path.stem.removesuffix("_cpu") in FIRST else pytest.mark.long,
    )
    for path in CONFIGS
]


def test_no_network_of_the_registry_is_left_out():
    networks = {read_yaml(path)["model"]["name"] for path in CONFIGS}
    phases = {
        phase["model"]["name"]
        for path in CONFIGS
        for phase in read_yaml(path).get("phases", [])
        if "model" in phase
    }
    assert networks | phases == set(MODELS)


@pytest.mark.parametrize("path", AT_LENGTH)
def test_a_cpu_yaml_ends_with_error_rates(runs, path, tmp_path):
    """On a copy of the finished run: what does not depend on the network is done already."""
    options = read_yaml(path)
    rate = build(MODELS, options["model"], path.name).sample_rate_hz
    for section in (options, *options.get("phases", [])):
        batches = section.get("crops", {}).get("batches", {})
        for name, number in batches.items():
            batches[name] = min(number, 4)  # the tiny corpus has six speakers of four utterances
    config = tmp_path / path.name
    config.write_text(yaml.safe_dump(options))
    workdir = runs.copy("mini", tmp_path)
    chosen = ["--config", config, "--steps", 2, "--num-threads", 1, "--sample-rate-hz", rate]
    if "start_from" in options:
        before = ROOT / "conf" / f"{options['start_from']}.yaml"
        runs.run("mini", workdir, "--config", before, "--stop-stage", 3, *chosen[2:])
    text = runs.run("mini", workdir, *chosen)
    assert "stage 1: VAD decisions: done already" in text
    results = json.loads(next(workdir.glob(f"exp/{path.stem}-tiny*/results.json")).read_text())
    own = [row for row in results if row["system"].startswith(path.stem)]
    first = "before" if "start_from" in options else "untrained"
    (baseline,) = {row["system"] for row in own if row["system"].endswith(f"-{first}")}
    rates = {row["test_set"]: row["eer_percent"] for row in own if row["system"] != baseline}
    print(f"{path.stem}: {rates}")
    assert set(rates) == {"dev", "test"}
    assert all(0 < rate_percent < 100 for rate_percent in rates.values())
