"""How long augmentation takes per crop, on one core, each part alone and all together; the bank and the crops are made on the spot.

python -m tests.bench.bench_augmentation
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, read_scp
from utils.audio import to_int16
from utils.augmentation import Augmenter, align_response
from utils.cli import run
from utils.data_dir import write_map
from utils.packed import PackedReader

RATE = 16000
SOUNDS = {"speech": (200, 8.0), "noise": (50, 30.0), "rirs": (50, 0.5)}  # how many, of how many seconds
BUDGET_MS = 2.0


def bench_augmentation(*, crop_seconds: float = 2.0, num_crops: int = 500) -> dict:
    """Print milliseconds per crop, the mean over many.

    Parameters
    ----------
    crop_seconds : float
        Length of the crops.
    num_crops : int
        How many are timed.

    Returns
    -------
    dict
        Milliseconds of each row.
    """
    with tempfile.TemporaryDirectory() as name:
        bank = Path(name)
        make_sounds(bank)
        reader = PackedReader(read_scp(bank / "speech.scp"), read_scp(bank / "speech.num_samples"))
        num_samples = round(crop_seconds * RATE)
        rows = {"nothing (seeding and reading)": {}, "noise": {"noise_probability": 1.0}, "room": {"reverb_probability": 1.0},
                "speed 1.1": {"speed_factors": (1.1,)}, "all, always": {"noise_probability": 1.0, "reverb_probability": 1.0, "speed_factors": (1.1,)}}
        milliseconds = {}
        print(f"{num_crops} crops of {crop_seconds} s, rooms of {SOUNDS['rirs'][1]} s, one core{'ms a crop':>20}")
        for label, options in rows.items():
            augmenter = Augmenter(**options, bank=bank)
            milliseconds[label] = timed(lambda draw, augmenter=augmenter: one_crop(reader, augmenter, num_samples, draw), num_crops)
            print(f"{label:60}{milliseconds[label]:10.3f}")
        print(f"{'budget':60}{BUDGET_MS:10.3f}")
        return milliseconds


def one_crop(reader: PackedReader, augmenter: Augmenter, num_samples: int, draw: int) -> np.ndarray:
    """Read and augment one crop, as training does.

    Parameters
    ----------
    reader : PackedReader
        Speech.
    augmenter : Augmenter
        What to do to it.
    num_samples : int
        Length of the crop.
    draw : int
        Seed.
    """
    rng = np.random.default_rng([1, draw])
    index, factor = int(rng.integers(len(reader))), augmenter.speed_factors[0]
    wanted = int(np.ceil(num_samples * factor))
    start = int(rng.integers(reader.num_samples[index] - wanted + 1))
    return augmenter(reader.read(index, start, wanted), factor, num_samples, rng)


def timed(work: Callable[[int], object], count: int) -> float:
    """Milliseconds of one of many calls, after ten to warm up.

    Parameters
    ----------
    work : callable
        Takes the number of the call.
    count : int
        How many calls.
    """
    for number in range(10):
        work(number)
    start = time.process_time()
    for number in range(count):
        work(number)
    return (time.process_time() - start) / count * 1000


def make_sounds(bank: Path) -> None:
    """Write speech, noises and room responses of white noise.

    Parameters
    ----------
    bank : path
        Folder.
    """
    rng = np.random.default_rng(0)
    for kind, (count, seconds) in SOUNDS.items():
        length, num_samples = round(seconds * RATE), {}
        with ArchiveWriter(bank / f"{kind}.ark", bank / f"{kind}.scp") as writer:
            for number in range(count):
                samples = rng.normal(0, 0.1, length) * (10 ** (-3 * np.arange(length) / length) if kind == "rirs" else 1)
                samples = align_response(samples.astype(np.float32), RATE) if kind == "rirs" else samples
                writer.write_wave(f"{kind}{number:03}", to_int16(samples), RATE)
                num_samples[f"{kind}{number:03}"] = len(samples)
        write_map(bank / f"{kind}.num_samples", num_samples)
        write_map(bank / f"{kind}.utt2type", dict.fromkeys(num_samples, kind))


if __name__ == "__main__":
    run(bench_augmentation)
