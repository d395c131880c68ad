"""Two processes draw as one with batch compositions, phases and a teacher; they resume."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from steps.train import train
from tests.conftest import ROOT
from tests.training_runs import assert_same_end, history, steps_on_disk, variant
from utils.training.sampling import CropDataset

pytestmark = pytest.mark.slow
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONPATH": str(ROOT),
}
PATIENCE_SECONDS = 1200
CHANGES = [
    ("speed_factors: [1.0, 1.1]", ""),
    ("  spec_augment: {max_freq_bins: 8, max_time_frames: 4}\n", ""),
    (
        "crops: {crop_seconds: 0.5, batch_size: 6}",
        "crops: {crop_seconds: [0.4, 0.6], batches: {speakers: 4, utterances: 2}}",
    ),
    (
        "steps: 40, validate_every_steps: 20, checkpoint_every_steps: 10",
        "steps: 6, validate_every_steps: 6, checkpoint_every_steps: 2",
    ),
]
PHASES = """\
phases:
  - name: ge2e
    loss: {name: ge2e}
  - name: taught
    weights_from: previous
    loss: {name: softmax}
    teacher: {experiment: previous, student_seconds: 0.3, output_weight: 0, label_weight: 1}
"""


@pytest.fixture
def config(corpus, tmp_path):
    path = variant(corpus, tmp_path, *CHANGES)
    path.write_text(path.read_text() + PHASES)
    return path


def split_words(corpus, config, output, *before):
    places = [
        str(word) for word in (corpus / "train", corpus / "dev", config, output, "--num-threads", 1)
    ]
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *before,
        *places,
    ]


def start(words):
    return subprocess.Popen(
        words, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process):
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


def test_two_processes_draw_as_one_and_go_on_when_killed(corpus, config, tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    words = split_words(
        corpus, config, tmp_path / "undisturbed", "tests/two_processes.py", str(tmp_path / "notes")
    )
    finish(start(words))
    ranks = [json.loads((tmp_path / "notes" / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert ranks[0]["weights"] == ranks[1]["weights"]
    assert not ranks[0]["crops"].keys() & ranks[1]["crops"].keys()
    alone, plain = {}, CropDataset.__getitem__

    def noting(self, draw):
        crop, label, seed = plain(self, draw)
        alone[str(draw)] = [hashlib.sha256(crop.tobytes()).hexdigest(), label, seed]
        return crop, label, seed

    monkeypatch.setattr(CropDataset, "__getitem__", noting)
    train(corpus / "train", corpus / "dev", config, tmp_path / "alone", num_threads=1)
    assert ranks[0]["crops"] | ranks[1]["crops"] == alone
    for folder in (
        "phases/1_ge2e",
        ".",
    ):  # statistics of batch normalisation are those of each process's share, so weights are others
        together, one = (history(tmp_path / name / folder) for name in ("undisturbed", "alone"))
        assert [entry["step"] for entry in together] == [entry["step"] for entry in one]
        losses = [
            [round(entry["loss"], 2) for entry in entries if "loss" in entry]
            for entries in (together, one)
        ]
        print(f"{folder}: losses {losses[0]}, of one process {losses[1]}")

    process = start(split_words(corpus, config, tmp_path / "exp", "-m", "steps.train"))
    end = time.monotonic() + PATIENCE_SECONDS
    while not (
        tmp_path / "exp" / "checkpoints" / "step-0000002.pt"
    ).exists():  # in the second phase
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    print(f"killed with checkpoints {steps_on_disk(tmp_path / 'exp')}")
    finish(start(split_words(corpus, config, tmp_path / "exp", "-m", "steps.train")))
    assert_same_end(tmp_path / "exp", tmp_path / "undisturbed")
    assert_same_end(
        tmp_path / "exp" / "phases" / "1_ge2e", tmp_path / "undisturbed" / "phases" / "1_ge2e"
    )
