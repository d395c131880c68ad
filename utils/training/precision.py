"""``precision: auto``: bf16 where the device multiplies it in hardware, else fp32.

An experiment records which it was and goes on in it, on whatever machine.
"""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from utils.training.experiment import claim_of
from utils.training.settings import Precision, Settings


def begun_precision(folders: Sequence[Path]) -> Precision | None:
    """What the first of some trainings that has begun records; None where none has.

    Parameters
    ----------
    folders : sequence of path
        Folders of trainings.
    """
    for folder in folders:
        training = claim_of(folder)["config"].get("training")
        precision = training.get("precision") if isinstance(training, dict) else None
        if precision in ("fp32", "bf16"):
            return precision
    return None


def settle_precision(settings: Settings, begun: Precision | None, device: str) -> None:
    """Replace ``auto`` by a precision, the same in all processes; say where bf16 is emulated.

    Parameters
    ----------
    settings : Settings
        Changed in place.
    begun : str or None
        What the training, or the experiment's phases before it, began with.
    device : str
        ``cpu`` or ``cuda``.
    """
    import torch

    from utils.torch_device import multiplies_bf16, rank_and_world

    rank, world = rank_and_world()
    in_hardware = multiplies_bf16(device)
    if world > 1:
        of_all: list[bool | None] = [None] * world
        torch.distributed.all_gather_object(of_all, in_hardware)
        in_hardware = all(of_all)
        of_rank_0 = [begun]  # others may see an older state of a shared file system
        torch.distributed.broadcast_object_list(of_rank_0, 0)
        begun = of_rank_0[0]
    if settings.auto_precision:
        settings.set_precision(begun or ("bf16" if in_hardware else "fp32"))
    if settings.training.precision == "bf16" and not in_hardware and rank == 0:
        say_once(f"note: {settings.path}: {_emulated(settings)}")


@cache
def say_once(line: str) -> None:
    """Print a line, once until the cache is cleared.

    Parameters
    ----------
    line : str
        For standard error.
    """
    print(line, file=sys.stderr)


def _emulated(settings: Settings) -> str:
    """What to know of a training in bf16 on a device without bf16 units, and what to do."""
    slow = (
        "this device emulates bf16 (no AMX, no AVX512-BF16, no GPU from Ampere on): "
        "a step takes 5 to 11 times as long as in fp32"
    )
    if settings.auto_precision:
        return (
            f"the training began in bf16 and goes on in it; {slow}; "
            "continue where bf16 is multiplied in hardware, or train anew by another --name"
        )
    return f"precision is bf16; {slow}; write precision: auto, and train anew by another --name"
