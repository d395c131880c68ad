"""A tiny packed corpus and a tiny network for tests of training and extraction."""

from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter
from utils.data_dir import DataDir, write_data_dir

RATE = 16000
CONFIG = """\
model:
  name: ghostvlad
  conv_channels: 8
  bottleneck_channels: [4, 4]
  stage_channels: [16, 16]
  blocks: [1, 1]
  strides: [1, 2]
  clusters: 2
  ghosts: 1
  frame_channels: 8
  embedding_dim: 16
  bn_momentum: 0.1
  spec_augment: {max_freq_bins: 8, max_time_frames: 4}
loss: {name: softmax}
optimizer: {name: adam, learning_rate: 1e-2, weight_decay: 1e-4, clip_norm: 5.0}
schedule: {name: cosine}
crops: {crop_seconds: 0.5, batch_size: 6}
augmentation: {speed_factors: [1.0, 1.1]}
training: {steps: 40, validate_every_steps: 20, checkpoint_every_steps: 10,
           log_every_steps: 1, average_checkpoints: 2}
"""


def voice(hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A buzz of that pitch with two formants above it, and some noise, as 16-bit samples."""
    times = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(3000 / hz)) * hz
    loudness = np.exp(-(((harmonics - 4 * hz) / 400) ** 2)) + 0.5 * np.exp(
        -(((harmonics - 9 * hz) / 400) ** 2)
    )
    tone = (
        loudness[:, None]
        * np.sin(2 * np.pi * harmonics[:, None] * times + rng.uniform(0, 6, (len(harmonics), 1)))
    ).sum(axis=0)
    return np.int16(3000 * tone + rng.normal(0, 300, len(times)))


def make_packed(folder: Path, pitches_hz: dict[str, float], utterances: int, seed: int = 0) -> Path:
    """A packed data directory: utterances of 0.3 to 1.1 s, trials of the first two per speaker."""
    rng, utt2spk, num_samples = np.random.default_rng(seed), {}, {}
    folder.mkdir(parents=True)
    with ArchiveWriter(folder / "packed.1.ark", folder / "packed.1.scp") as writer:
        for speaker, hz in pitches_hz.items():
            for number in range(utterances):
                key, samples = (
                    f"{speaker}-{number}",
                    voice(hz * rng.uniform(0.97, 1.03), rng.uniform(0.3, 1.1), rng),
                )
                writer.write_wave(key, samples, RATE)
                utt2spk[key], num_samples[key] = speaker, str(len(samples))
    wav_scp = dict(line.split(" ") for line in (folder / "packed.1.scp").read_text().splitlines())
    first = [f"{speaker}-{number}" for speaker in pitches_hz for number in range(2)]
    trials = [
        f"{a} {b} {'target' if a[0] == b[0] else 'nontarget'}"
        for k, a in enumerate(first)
        for b in first[k + 1 :]
    ]
    write_data_dir(
        DataDir(folder, wav_scp, utt2spk, None, {"utt2num_samples": num_samples}, trials), folder
    )
    return folder


def make_corpus(folder: Path) -> Path:
    """``train``, ``dev`` and ``config.yaml`` in a folder."""
    make_packed(folder / "train", {"a": 100, "b": 140, "c": 190, "d": 250}, utterances=8)
    make_packed(folder / "dev", {"e": 120, "f": 170, "g": 220}, utterances=4, seed=1)
    (folder / "config.yaml").write_text(CONFIG)
    return folder
