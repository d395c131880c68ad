"""Training speed in utterances per second, with crops in memory, in float32 and bfloat16.

    python -m tests.bench.bench_training --device cuda
    python -m tests.bench.bench_training --batch-size 16 --steps 3

The default networks are ghostvlad in full size and its _cpu form.
"""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import torch

from steps.losses import LOSSES
from steps.models import MODELS
from utils.cli import run
from utils.config import build
from utils.torch_device import use_device
from utils.training.objective import Objective
from utils.training.settings import read_settings
from utils.training.trainer import Trainer

CONFIGS = (Path("conf/ghostvlad.yaml"), Path("conf/ghostvlad_cpu.yaml"))


def bench_training(
    *,
    configs: tuple[Path, ...] = CONFIGS,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 2,
    batch_size: int | None = None,
    steps: int = 10,
    num_speakers: int = 5994,
    return_memory: bool = False,
) -> dict:
    """Print utterances per second, the mean over the steps after the first two.

    Parameters
    ----------
    configs : tuple of path
        YAMLs.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads on the CPU.
    batch_size : int or None
        Crops in a step; None: the YAML's.
    steps : int
        How many are timed.
    num_speakers : int
        Classes of the loss.
    return_memory : bool
        Give freed memory back to the kernel, as glibc does by default, to see the gain of
        utils.torch_device.keep_freed_memory.

    Returns
    -------
    dict
        (YAML, precision) -> utterances per second.
    """
    if return_memory:
        torch.set_num_threads(num_threads)
    else:
        use_device(device, num_threads)
    rates = {}
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {num_threads} threads"
    print(f"{name}, torch {torch.__version__}, {num_speakers} speakers")
    print(f"{'':28}{'batch':>8}{'crop':>10}{'ms a step':>12}{'utterances/s':>15}{'GPU memory':>13}")
    for config in configs:
        for precision in ("fp32", "bf16"):
            trainer, batch = assembled(config, precision, device, batch_size, num_speakers)
            seconds = timed(trainer, batch, steps)
            rates[config.stem, precision] = len(batch[0]) / seconds
            memory = (
                f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else ""
            )
            label = f"{config.stem} {precision}"
            crops, samples = batch[0].shape
            print(
                f"{label:28}{crops:8}{samples / 16000:8.2f} s{1000 * seconds:12.1f}"
                f"{crops / seconds:15.1f}{memory:>13}"
            )
    return rates


def assembled(
    config: Path, precision: str, device: str, batch_size: int | None, num_speakers: int
) -> tuple[Trainer, tuple]:
    """A trainer and one batch of noise for it."""
    settings = read_settings(config, steps=10**6)
    settings.training.precision = precision
    torch.manual_seed(1)
    network = build(MODELS, settings.sections["model"], settings.where("model"))
    loss = build(
        LOSSES,
        settings.sections["loss"],
        settings.where("loss"),
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers,
    )
    objective = Objective(network, loss).to(device)
    size = batch_size or settings.crops.rows_per_batch
    draws = SimpleNamespace(augment=SimpleNamespace(device=False), epoch_size=10**6)
    trainer = Trainer(
        objective,
        settings.optimizer.make(objective),
        settings.schedule,
        draws,
        batch_size=size,
        total_steps=10**6,
        options=settings.training,
        folder=Path(),
        validate=lambda _: {"dev_eer_percent": 0.0, "dev_centred_by": 0},
        clip_norm=settings.optimizer.clip_norm,
        num_workers=0,
    )
    waveforms_BS = 0.1 * torch.randn(
        size, round(settings.crops.longest_seconds * network.sample_rate_hz)
    )
    batch = waveforms_BS, torch.arange(size) % num_speakers, torch.arange(size)
    return trainer, tuple(part.pin_memory() for part in batch) if device == "cuda" else batch


def timed(trainer: Trainer, batch: tuple[torch.Tensor, ...], steps: int) -> float:
    """Seconds of one step, device work included, after two steps to warm up."""

    def wait():
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(2):
        trainer._train_step(*batch)
    wait()
    start = time.perf_counter()
    for _ in range(steps):
        trainer._train_step(*batch)
    wait()
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    run(bench_training)
