"""Time of augmentation per crop, each part alone and all together, next to kaldi-native-fbank.

The noise bank and the crops are synthetic.

    python -m tests.bench.bench_augmentation                  # one core, with the filterbank
    python -m tests.bench.bench_augmentation --device cuda    # chain and filterbank on a device
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import kaldi_native_fbank
import numpy as np
import torch

from utils.archive import ArchiveWriter, read_scp
from utils.audio import FULL_SCALE, to_int16
from utils.augmentation.augmenter import Augmenter
from utils.augmentation.signal import align_response
from utils.cli import run
from utils.data_dir import write_map
from utils.features.kaldi import KaldiFbank
from utils.packed.reader import PackedReader

RATE, BATCH, ROUNDS = 16000, 64, 3
# number and seconds
SOUNDS = {"speech": (200, 8.0), "noise": (50, 30.0), "rirs": (50, 0.5)}
ROOM, NOISE = {"name": "reverb"}, {"name": "noise"}
GOAL_RATIO, GOAL_CROPS_PER_SECOND = 2.0, 256


def bench_augmentation(
    *,
    crop_seconds: float = 2.0,
    num_crops: int = 512,
    device: Literal["none", "cpu", "cuda"] = "none",
) -> dict:
    """Print core time per crop and its ratio to kaldi-native-fbank, or crops a second on a device.

    Parameters
    ----------
    crop_seconds : float
        Length of the crops.
    num_crops : int
        Number of timed crops, rounded up to whole batches; the fastest of three rounds counts.
    device : str
        ``none``: what the loader does, on one core; else where the chain runs.

    Returns
    -------
    dict
        Milliseconds of each row and the ratio, or crops per second.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        bank = Path(name)
        make_sounds(bank)
        reader = PackedReader(read_scp(bank / "speech.scp"), read_scp(bank / "speech.num_samples"))
        num_samples, batches = round(crop_seconds * RATE), -(-num_crops // BATCH)
        if device != "none":
            return on_device(reader, bank, num_samples, batches, device)
        return on_one_core(reader, bank, num_samples, batches)


def on_one_core(reader: PackedReader, bank: Path, num_samples: int, batches: int) -> dict:
    """Time what the loader does, on one core."""
    front_end, rows = KaldiFbank(num_mel_bins=80), {}
    parts = {
        "reading": {},
        "reading, speed 1.1": {"speed_factors": (1.1,)},
        "reading, noise": {"chain": (NOISE,)},
        "reading, room": {"chain": (ROOM,)},
        "reading, all three": {"speed_factors": (1.1,), "chain": (ROOM, NOISE)},
    }
    for label, options in parts.items():
        augmenter = Augmenter(**options).open(bank, RATE)
        rows[label] = timed(
            lambda batch, augmenter=augmenter: read_crops(reader, augmenter, num_samples, batch),
            batches,
        )
    crops = np.stack(read_crops(reader, augmenter, num_samples, 0))
    rows["filterbank, batches of 64"] = timed(lambda _: compute_features(front_end, crops), batches)
    rows["reading, all three, filterbank"] = timed(
        lambda batch: compute_features(
            front_end, np.stack(read_crops(reader, augmenter, num_samples, batch))
        ),
        batches,
    )
    options = kaldi_options()
    # lists are its fastest input; making them is not counted
    lists = [(crop * FULL_SCALE).tolist() for crop in crops]
    rows["kaldi-native-fbank alone"] = timed(
        lambda _: [kaldi_fbank(samples, options) for samples in lists], batches
    )
    ratio = rows["reading, all three, filterbank"] / rows["kaldi-native-fbank alone"]
    print(
        f"{batches * BATCH} crops of {num_samples / RATE} s, rooms of {SOUNDS['rirs'][1]} s, "
        f"one core; the fastest of {ROUNDS} rounds"
    )
    for label, milliseconds in rows.items():
        print(f"{label:40}{milliseconds:10.3f} ms a crop")
    print(f"ratio of the last two: {ratio:.2f} (goal: at most {GOAL_RATIO})")
    return rows | {"ratio": ratio}


def on_device(
    reader: PackedReader, bank: Path, num_samples: int, batches: int, device: str
) -> dict:
    """Time chain and filterbank on the device, after reading, speed and drawing on the host."""
    augmenter = Augmenter(chain=(ROOM, NOISE), device=True).open(bank, RATE)
    finish, front_end = augmenter.on(torch.device(device)), KaldiFbank(num_mel_bins=80).to(device)
    begun = [
        augmenter.begin(crop, 1.0, num_samples, np.random.default_rng(number))
        for number, crop in enumerate(
            read_crops(reader, Augmenter().open(None, RATE), num_samples, 0, 256)
        )
    ]
    crops, drawn = (torch.from_numpy(np.stack(parts)) for parts in zip(*begun, strict=True))
    crops = crops.pin_memory() if device == "cuda" else crops

    def work() -> float:
        start = time.perf_counter()
        for _ in range(batches):
            compute_features(front_end, finish(crops.to(device, non_blocking=True), drawn))
        if device == "cuda":
            torch.cuda.synchronize()
        return batches * len(crops) / (time.perf_counter() - start)

    work()
    per_second = max(work() for _ in range(ROUNDS))
    print(
        f"{device}: room, noise and filterbank of {per_second:,.0f} crops of "
        f"{num_samples / RATE} s per second, in batches of 256, from host memory "
        f"(goal: {GOAL_CROPS_PER_SECOND})"
    )
    return {"crops_per_second": per_second}


def read_crops(
    reader: PackedReader, augmenter: Augmenter, num_samples: int, batch: int, size: int = BATCH
) -> list[np.ndarray]:
    """Read and augment a batch of crops, as training does; the batch number seeds the draws."""
    factor, crops = augmenter.speed_factors[0], []
    wanted = int(np.ceil(num_samples * factor))
    for draw in range(batch * size, (batch + 1) * size):
        rng = np.random.default_rng([1, draw])
        index = int(rng.integers(len(reader)))
        start = int(rng.integers(reader.num_samples[index] - wanted + 1))
        crops.append(augmenter(reader.read(index, start, wanted), factor, num_samples, rng))
    return crops


@torch.no_grad()
def compute_features(front_end: KaldiFbank, crops_BS: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Features of whole crops: a (B, S) float32 array or tensor in [-1, 1]."""
    return front_end(torch.as_tensor(crops_BS), torch.full((len(crops_BS),), crops_BS.shape[1]))


def kaldi_options() -> kaldi_native_fbank.FbankOptions:
    """80 filters, no dither, as the front end's defaults."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80
    return options


def kaldi_fbank(samples: list[float], options: kaldi_native_fbank.FbankOptions) -> np.ndarray:
    """Filterbank of one crop by kaldi-native-fbank; samples at 16-bit full scale."""
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(RATE, samples)
    computer.input_finished()
    return np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])


def timed(work: Callable[[int], object], batches: int) -> float:
    """Milliseconds of core time per crop: the fastest round, after one warm-up batch."""

    def seconds() -> Iterator[float]:
        for _ in range(ROUNDS):
            start = time.process_time()
            for batch in range(batches):
                work(batch)
            yield time.process_time() - start

    work(0)
    return 1000 * min(seconds()) / batches / BATCH


def make_sounds(bank: Path) -> None:
    """Write speech, noises and room impulse responses, made of white noise."""
    rng = np.random.default_rng(0)
    for kind, (count, seconds) in SOUNDS.items():
        length, num_samples = round(seconds * RATE), {}
        with ArchiveWriter(bank / f"{kind}.ark", bank / f"{kind}.scp") as writer:
            for number in range(count):
                samples = rng.normal(0, 0.1, length)
                if kind == "rirs":
                    decay = 10 ** (-3 * np.arange(length) / length)
                    samples = align_response((samples * decay).astype(np.float32), RATE)
                writer.write_wave(f"{kind}{number:03}", to_int16(samples), RATE)
                num_samples[f"{kind}{number:03}"] = len(samples)
        write_map(bank / f"{kind}.num_samples", num_samples)
        write_map(bank / f"{kind}.utt2type", dict.fromkeys(num_samples, kind))


if __name__ == "__main__":
    run(bench_augmentation)
