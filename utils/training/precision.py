"""``precision: auto``: bf16 if the device multiplies it in hardware, else fp32.

An experiment records the choice and resumes with it on any machine.
"""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from utils.training.experiment import read_claim
from utils.training.settings import Precision, Settings


def begun_precision(folders: Sequence[Path]) -> Precision | None:
    """The precision that the first started training among some folders records; else None."""
    for folder in folders:
        training = read_claim(folder)["config"].get("training")
        precision = training.get("precision") if isinstance(training, dict) else None
        if precision in ("fp32", "bf16"):
            return precision
    return None


def settle_precision(settings: Settings, begun: Precision | None, device: str) -> None:
    """Replace ``auto`` in the settings by a precision, the same in all processes.

    ``begun`` is the precision that the training, or an earlier phase, started with.  Prints a note
    if the device emulates bf16.
    """
    import torch

    from utils.torch_device import multiplies_bf16, rank_and_world

    rank, world = rank_and_world()
    in_hardware = multiplies_bf16(device)
    if world > 1:
        by_rank: list[bool | None] = [None] * world
        torch.distributed.all_gather_object(by_rank, in_hardware)
        in_hardware = all(by_rank)
        from_rank_0 = [begun]  # other ranks may see an older state of a shared file system
        torch.distributed.broadcast_object_list(from_rank_0, 0)
        begun = from_rank_0[0]
    if settings.auto_precision:
        settings.set_precision(begun or ("bf16" if in_hardware else "fp32"))
    if settings.training.precision == "bf16" and not in_hardware and rank == 0:
        print_once(f"note: {settings.path}: {_emulation_note(settings)}")


@cache
def print_once(line: str) -> None:
    """Print a line to standard error, once until the cache is cleared."""
    print(line, file=sys.stderr)


def _emulation_note(settings: Settings) -> str:
    """A note about training in bf16 on a device without bf16 units, and the remedy."""
    slow = (
        "this device emulates bf16 (no AMX, no AVX512-BF16, no GPU from Ampere on): "
        "a step takes 5 to 11 times as long as in fp32"
    )
    if settings.auto_precision:
        return (
            f"the training began in bf16 and keeps it; {slow}; "
            "continue where bf16 is multiplied in hardware, or train again under another --name"
        )
    return f"precision is bf16; {slow}; write precision: auto, and train under another --name"
