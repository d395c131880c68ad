"""Synthetic sounds, rooms and a bank for the tests of augmentation, and measurements."""

from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter
from utils.audio import to_int16
from utils.augmentation.signal import PEAK_SECONDS, align_response
from utils.data_dir import write_map

RATE, N = 16000, 32000
PEAK = round(PEAK_SECONDS * RATE)


def crop(seed: int = 0, n: int = N) -> np.ndarray:
    """White noise that is far from full scale."""
    return np.random.default_rng(seed).uniform(-0.3, 0.3, n).astype(np.float32)


def energy_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.sum(np.square(samples, dtype=np.float64)))


def tone(hz: float, n: int = N) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(n) / RATE).astype(np.float32) / 4


def band_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Energy between two frequencies."""
    hertz, power = (
        np.fft.rfftfreq(len(samples), 1 / RATE),
        np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2,
    )
    return 10 * np.log10(power[(low_hz <= hertz) & (hertz <= high_hz)].sum())


def rt60_seconds(decaying: np.ndarray) -> float:
    """Reverberation time by Schroeder's backward integration: twice the time from -5 to -35 dB."""
    level = 10 * np.log10(np.cumsum(np.square(decaying, dtype=np.float64)[::-1])[::-1] + 1e-30)
    level -= level[0]
    return 2 * (np.argmax(level < -35) - np.argmax(level < -5)) / RATE


def room(delay: int = 0, rt60: float = 0.3, seed: int = 0, n: int = 8000) -> np.ndarray:
    """A direct sound after a delay, then a tail that falls by 60 dB in the RT60 (s)."""
    tail = np.random.default_rng(seed).normal(0, 0.1, n) * 10 ** (-3 * np.arange(n) / RATE / rt60)
    return np.concatenate([np.zeros(delay), [1.0], tail]).astype(np.float32)


def make_bank(
    folder: Path,
    noises: dict[str, np.ndarray] | None = None,
    types: dict[str, str] | None = None,
    rate: int = RATE,
) -> Path:
    """A bank's files.

    Without noises: hum (shorter than a crop), rain, song and five speakers (tones); two rooms.
    """
    rng = np.random.default_rng(7)
    if noises is None:
        noises = {
            "hum": 0.1 * np.sin(np.arange(N // 4) / 5),
            "rain": rng.normal(0, 0.05, 2 * N),
            "song": rng.normal(0, 0.2, N),
        }
        noises |= {f"speaker{k}": 0.1 * tone(300 + 200 * k, N + 1000 * k) for k in range(5)}
        types = {"hum": "noise", "rain": "noise", "song": "music"}
    rooms = {
        "hall": align_response(room(500, 0.8, 1), RATE),
        "study": align_response(room(0, 0.2, 2), RATE),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, named in {"noise": noises, "rirs": rooms}.items():
        with ArchiveWriter(folder / f"{kind}.ark", folder / f"{kind}.scp") as writer:
            for name, samples in named.items():
                writer.write_wave(name, to_int16(samples), rate)
        write_map(
            folder / f"{kind}.num_samples", {name: len(samples) for name, samples in named.items()}
        )
    write_map(
        folder / "noise.utt2type", {name: (types or {}).get(name, "speech") for name in noises}
    )
    return folder
