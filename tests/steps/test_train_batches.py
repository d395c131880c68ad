"""Batches of speakers x utterances, random lengths, and gradients scaled after clipping."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from steps.train import train
from tests.training_runs import history, train_tiny, variant
from tests.voices import CONFIG
from utils.config import read_yaml
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint
from utils.training.objective import Objective
from utils.training.sampling import CropDataset
from utils.training.settings import read_settings
from utils.training.setup import check_crops

BATCHES = (
    "crops: {crop_seconds: 0.5, batch_size: 6}",
    "crops: {crop_seconds: [0.3, 0.6], batches: {speakers: 3, utterances: 2}}",
)
GE2E = ("loss: {name: softmax}", "loss: {name: ge2e}")


@pytest.mark.parametrize("loss", ["ge2e", "triplet", "angular_prototypical", "softmax"])
@pytest.mark.slow
def test_losses_train_on_batches_of_speakers_by_utterances(corpus, tmp_path, monkeypatch, loss):
    seen, plain = [], CropDataset.__getitem__
    monkeypatch.setattr(
        CropDataset,
        "__getitem__",
        lambda self, draw: seen.append((draw, *plain(self, draw)[:2])) or plain(self, draw),
    )
    config = variant(
        corpus, tmp_path, BATCHES, ("loss: {name: softmax}", f"loss: {{name: {loss}}}")
    )
    counts = train(
        corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=12
    )
    assert counts["draws"] == 72
    assert [draw for draw, _, _ in seen] == list(range(72))
    for step in range(12):
        rows = seen[6 * step : 6 * step + 6]
        assert len({len(crop) for _, crop, _ in rows}) == 1
        labels = [label for _, _, label in rows]
        assert (labels[0::2] == labels[1::2], len(set(labels))) == (True, 3)
    assert len({len(crop) for _, crop, _ in seen}) > 4
    assert all(
        0 <= entry["accuracy"] <= 1 for entry in history(tmp_path / "exp") if "loss" in entry
    )
    assert read_yaml(tmp_path / "exp" / "config.yaml")["crops"]["batches"]["speakers"] == 3


@pytest.mark.slow
def test_ge2e_learns(corpus, tmp_path):
    plain = (
        ("speed_factors: [1.0, 1.1]", ""),
        ("  spec_augment: {max_freq_bins: 8, max_time_frames: 4}\n", ""),
    )
    config = variant(corpus, tmp_path, BATCHES, GE2E, *plain)
    train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)
    losses = [entry["loss"] for entry in history(tmp_path / "exp") if "loss" in entry]
    first, last = sum(losses[:10]) / 10, sum(losses[-10:]) / 10
    print(f"mean loss of the first ten steps {first:.2f}, of the last ten {last:.2f}")
    assert last < 0.85 * first


def test_gradients_are_scaled_after_clipping(corpus, tmp_path):
    """With plain SGD the scale moves a hundredth as far as without factor; the rest is equal."""
    moved, adam = {}, "name: adam, learning_rate: 1e-2, weight_decay: 1e-4, clip_norm: 5.0"
    for factor in (1.0, 0.01):
        config = variant(
            corpus,
            tmp_path,
            BATCHES,
            ("loss: {name: softmax}", f"loss: {{name: ge2e, gradient_scale: {factor}}}"),
            (adam, "name: sgd, learning_rate: 10, momentum: 0, clip_norm: 1.0"),
            ("name: cosine", "name: constant"),
        )
        train(
            corpus / "train",
            corpus / "dev",
            config,
            tmp_path / f"exp{factor}",
            num_threads=1,
            steps=1,
        )
        states = [
            load_checkpoint(tmp_path / f"exp{factor}" / "checkpoints" / f"step-000000{step}.pt")
            for step in (0, 1)
        ]
        moved[factor] = [state["loss"]["scale"].item() for state in states], states[1]["network"]
    (before, after), (_, less) = moved[1.0][0], moved[0.01][0]
    print(f"scale {before} -> {after} and {less}")
    assert abs(after - before) > 1e-2
    assert (less - before) == pytest.approx(0.01 * (after - before), rel=0.1)
    assert all(torch.equal(value, moved[0.01][1][name]) for name, value in moved[1.0][1].items())


def test_scaled_gradients_of_the_network_are_found_by_name_and_unknown_ones_refused():
    network, loss = nn.Linear(2, 2), nn.Linear(2, 2)
    network.gradient_scales = {"weight": 0.5}
    ((parameter, factor),) = Objective(network, loss).scaled_gradients()
    assert (parameter is network.weight, factor) == (True, 0.5)
    loss.gradient_scales = {"scale": 0.5}
    with pytest.raises(
        ValueError, match="Linear scales the gradient of scale, which is not one of its parameters"
    ):
        Objective(network, loss).scaled_gradients()


@pytest.mark.parametrize(
    ("crops", "more", "message"),
    [
        (
            "crop_seconds: 0.6",
            "",
            "crops: crop_seconds are 9600 samples; this network takes 9000 only",
        ),
        (
            "crop_seconds: 0.5",
            "",
            "crops: crop_seconds 0.5 are 8000 samples; this network takes 9000 or more",
        ),
        (
            "crop_seconds: [0.5625, 0.6]",
            "",
            "crops: crop_seconds are 9000 to 9480 samples; this network takes 9000 only",
        ),
        (
            "crop_seconds: 0.5625",
            "teacher: {experiment: exp/a, student_seconds: 0.5625}\n",
            "teacher: this network takes crops of 9000 samples only",
        ),
    ],
)
def test_a_network_of_one_length_wants_crops_of_that_length(tmp_path, crops, more, message):
    (tmp_path / "x.yaml").write_text(CONFIG.replace("crop_seconds: 0.5", crops) + more)
    network = SimpleNamespace(batching="fixed_samples", min_samples=9000, sample_rate_hz=16000)
    with pytest.raises(UserError, match=f"x.yaml: {message}"):
        check_crops(read_settings(tmp_path / "x.yaml"), network, nn.Identity())


def test_speakers_that_are_left_out_are_counted(corpus, tmp_path):
    data = tmp_path / "train"
    data.mkdir()
    for name in (
        "wav.scp",
        "utt2spk",
        "utt2num_samples",
    ):  # of the last speaker two utterances stay
        lines = (corpus / "train" / name).read_text().splitlines(keepends=True)
        (data / name).write_text(
            "".join(line for line in lines if not line.startswith("d-") or line[2] in "01")
        )
    config = variant(
        corpus,
        tmp_path,
        ("batch_size: 6", "batches: {speakers: 3, utterances: 4, when_fewer: leave_out}"),
    )
    counts = train(data, corpus / "dev", config, tmp_path / "exp", num_threads=1, steps=1)
    assert (counts["speakers_left_out"], counts["utterances"], counts["draws"]) == (1, 26, 12)


def test_epochs_are_those_of_what_is_drawn(corpus, tmp_path):
    batches = "batches: {speakers: 2, utterances: 2}, max_utterances_per_speaker: 4"
    config = variant(corpus, tmp_path, ("batch_size: 6", batches), ("steps: 40", "epochs: 2"))
    assert (
        train(corpus / "train", corpus / "dev", config, tmp_path / "exp", num_threads=1)["draws"]
        == 2 * 16
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [GE2E],
            (
                r"crops: the loss ge2e compares several utterances of each speaker; "
                r"give batches: \{speakers: N, utterances: M\}"
            ),
        ),
        (
            [GE2E, ("batch_size: 6", "batches: {speakers: 4}")],
            "crops: the loss ge2e compares several utterances",
        ),
        (
            [("batch_size: 6", "batches: {speakers: 4, utterances: 9}")],
            "crops: utterances is 9: no speaker has that many, the most is 8",
        ),
        ([("batch_size: 6", "batches: {speakers: 5}")], "crops: speakers is 5: there are 4"),
        (
            [
                (
                    "batch_size: 6",
                    "batches: {speakers: 4, utterances: 3}, max_utterances_per_speaker: 2",
                )
            ],
            "crops: max_utterances_per_speaker is 2, a batch",
        ),
        (
            [("crop_seconds: 0.5", "crop_seconds: [0.005, 0.5]")],
            "crops: crop_seconds 0.005 are 80 samples; this network takes",
        ),
        (
            [("name: adam", "name: adam, learning_rate_factors: {head.: 2}")],
            "optimizer: learning_rate_factors: no parameter's name begins with 'head.'",
        ),
        (
            [("{name: cosine}", "{name: cosine_restarts, cycle_steps: 5, warmup_steps: 5}")],
            "schedule: a cycle of 5 steps is not longer than its warm-up",
        ),
    ],
)
def test_sections_that_do_not_fit_are_one_line(corpus, tmp_path, changes, message):
    config = variant(corpus, tmp_path, *changes)
    with pytest.raises(UserError, match=f"config.yaml: {message}") as error:
        train_tiny(corpus, tmp_path / "exp", config=config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "exp" / "checkpoints").exists()
