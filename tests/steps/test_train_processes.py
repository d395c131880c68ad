"""Training in separate processes: killed, stopped by a signal, and two under torchrun."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from steps.extract import load_network
from steps.train import train
from tests.conftest import ROOT
from tests.training_runs import assert_same_end, history, steps_on_disk, variant
from utils.augmentation.augmenter import Augmenter
from utils.data_dir import read_map
from utils.embeddings.inference import open_packed
from utils.training.sampling import CropDataset

pytestmark = pytest.mark.slow
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONPATH": str(ROOT),
}
PATIENCE_SECONDS = 1200


def arguments(corpus, output, config=None):
    return [
        str(word)
        for word in (
            corpus / "train",
            corpus / "dev",
            config or corpus / "config.yaml",
            output,
            "--num-threads",
            1,
        )
    ]


def start(words):
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def torchrun(*words):
    return ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]


def wait_for(path, process):
    """Return as soon as a file is there."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.001)


def checkpoint(output, step):
    return output / "checkpoints" / f"step-{step:07d}.pt"


def finish(process):
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


def test_killed_again_and_again_the_same_command_ends_with_the_same_weights(corpus, tmp_path):
    train(
        corpus / "train",
        corpus / "dev",
        corpus / "config.yaml",
        tmp_path / "undisturbed",
        num_threads=1,
    )
    words = ["steps.train", *arguments(corpus, tmp_path / "exp")]
    for step, seconds_later in (
        (10, 0),
        (20, 0.05),
        (40, 0),
    ):  # right after a checkpoint, between two, and before the average and the receipt
        process = start(words)
        wait_for(checkpoint(tmp_path / "exp", step), process)
        time.sleep(seconds_later)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL or step == 40, (
            f"it had ended before it could be killed behind step {step}"
        )
        print(f"killed with checkpoints {steps_on_disk(tmp_path / 'exp')}")
    finish(start(words))
    assert_same_end(tmp_path / "exp", tmp_path / "undisturbed")
    one, other = (
        json.loads((tmp_path / name / "receipts" / "train.json").read_text())
        for name in ("exp", "undisturbed")
    )
    assert one["outputs"].keys() == other["outputs"].keys()
    differing = {name for name in one["outputs"] if one["outputs"][name] != other["outputs"][name]}
    assert all("checkpoints/step-" in name for name in differing), (
        differing
    )  # pickles of equal tensors may differ
    assert one["counts"] == other["counts"]


def test_sigterm_to_the_whole_group_saves_the_state_and_exits_1_with_one_line(corpus, tmp_path):
    config = variant(corpus, tmp_path, ("steps: 40", "steps: 4000"))
    process = start(
        ["steps.train", *arguments(corpus, tmp_path / "exp", config), "--num-workers", "2"]
    )
    wait_for(checkpoint(tmp_path / "exp", 10), process)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, said
    step = steps_on_disk(tmp_path / "exp")[-1]
    last = said.splitlines()[-1]
    print(last)
    assert (
        last == f"steps.train: {tmp_path / 'exp'}: stopped by SIGTERM after step {step}; "
        "the state is saved: the same command resumes"
    )
    assert "Traceback" not in said
    assert history(tmp_path / "exp")[-1]["step"] == step


def test_two_processes_train_as_one_and_go_on_after_a_stop(corpus, tmp_path):
    finish(
        start(
            torchrun(
                "tests/two_processes.py",
                str(tmp_path),
                *arguments(corpus, tmp_path / "undisturbed"),
            )
        )
    )
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert ranks[0]["weights"] == ranks[1]["weights"]
    assert not ranks[0]["crops"].keys() & ranks[1]["crops"].keys()
    assert ranks[0]["crops"] | ranks[1]["crops"] == crops_of_one_process(corpus, 240)
    entries = history(tmp_path / "undisturbed")
    assert [entry["step"] for entry in entries if "loss" in entry] == list(range(1, 41))
    sixths = {round(6 * entry["accuracy"], 4) for entry in entries if "loss" in entry}
    print(f"right answers of 6: {sorted(sixths)}")
    assert sixths <= set(range(7))
    assert sixths & {1, 3, 5}, "one process alone has 3 answers, of which a third is 2 of 6"
    counts = json.loads((tmp_path / "undisturbed" / "receipts" / "train.json").read_text())[
        "counts"
    ]
    assert counts["processes"] == 2
    share = "statistics of each process's own share of the batch, in 2 processes"
    assert counts["batch_norm"] == load_network(tmp_path / "undisturbed", "average")[1][
        "training_batch_norm"
    ] == share  # fmt: skip

    words = torchrun("-m", "steps.train", *arguments(corpus, tmp_path / "exp"))
    process = start(words)
    wait_for(checkpoint(tmp_path / "exp", 10), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0, "it had ended before it could be stopped"
    step = steps_on_disk(tmp_path / "exp")[-1]
    assert f"stopped by SIGTERM after step {step}; the state is saved" in said
    assert history(tmp_path / "exp")[-1]["step"] == step
    assert f"resuming from step {step} of 40" in finish(start(words))
    assert_same_end(tmp_path / "exp", tmp_path / "undisturbed")


def crops_of_one_process(corpus, draws):
    keys, reader = open_packed(corpus / "train", 16000)
    utt2spk = read_map(corpus / "train" / "utt2spk")
    dataset = CropDataset(
        reader,
        ["abcd".index(utt2spk[key]) for key in keys],
        8000,
        Augmenter(speed_factors=(1.0, 1.1)),
        seed=1,
    )
    crops = {str(draw): dataset[draw] for draw in range(draws)}
    return {
        draw: [hashlib.sha256(crop.tobytes()).hexdigest(), label, seed]
        for draw, (crop, label, seed) in crops.items()
    }
