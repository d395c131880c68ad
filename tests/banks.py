"""A small bank of noises, music, speech and rooms for the tests of augmentation."""

from pathlib import Path

import numpy as np

from steps.augment import augment
from tests.voices import RATE, voice
from utils.archive import ArchiveWriter, read_scp
from utils.data_dir import DataDir, write_data_dir

TYPES = ("music", "noise", "speech")


def make_data_dir(
    folder: Path, sounds: dict[str, np.ndarray], maps: dict[str, dict[str, str]]
) -> Path:
    """A data directory of waves in an archive; every sound is its own speaker."""
    folder.mkdir(parents=True)
    with ArchiveWriter(folder / "sounds.ark", folder / "wav.scp") as writer:
        for key in sorted(sounds):
            writer.write_wave(key, sounds[key], RATE)
    write_data_dir(
        DataDir(folder, read_scp(folder / "wav.scp"), {key: key for key in sounds}, None, maps),
        folder,
    )
    return folder


def make_bank(folder: Path, types: tuple[str, ...] = TYPES, rooms: bool = True) -> Path:
    """A bank of three rooms and three sounds per type, one of them shorter than most utterances."""
    rng, sounds = np.random.default_rng(11), {}
    for kind in types:
        for number, seconds in enumerate((0.2, 1.5, 3.0)):
            noise = np.int16(rng.normal(0, 1500, round(seconds * RATE)))
            sounds[f"{kind}-{number}"] = (
                voice(rng.uniform(90, 250), seconds, rng) if kind == "speech" else noise
            )
    noise = make_data_dir(
        folder.with_name(f"{folder.name}_noise"),
        sounds,
        {"utt2type": {key: key.split("-")[0] for key in sounds}},
    )
    decays = {
        f"room-{number}": 10 ** (-3 * np.arange(RATE // 4) / RATE / (0.1 + 0.1 * number))
        for number in range(3)
    }
    responses = {
        key: np.int16(8000 * decay * rng.choice([-0.3, 0.3], len(decay)))
        for key, decay in decays.items()
    }
    for number, response in enumerate(responses.values()):
        response[40 * number] = 16000  # the direct sound, which is not the first sample
    rirs = make_data_dir(folder.with_name(f"{folder.name}_rirs"), responses, {}) if rooms else None
    augment(folder, noise=noise, rirs=rirs)
    return folder
