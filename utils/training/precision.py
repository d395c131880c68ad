"""The section training's ``precision: auto``: bf16 where the device multiplies it in hardware, else fp32; an experiment keeps what it began with."""

import sys
from pathlib import Path

from utils.files import read_json_object
from utils.training.experiment import BEGUN
from utils.training.settings import Precision, Settings


def begun_precision(folder: Path) -> Precision | None:
    """What the training in a folder began with; before its first step, what the experiment's other phases did; None where nothing has begun.

    Parameters
    ----------
    folder : path
        ``exp/<name>``, or of a phase ``exp/<name>/phases/<phase>``.
    """
    experiment = folder.parent.parent if folder.parent.name == "phases" else folder
    for home in (folder, *sorted((experiment / "phases").glob("*")), experiment):
        if (home / BEGUN).exists():
            claim = read_json_object(
                home / BEGUN, mend="choose another --name, or move the folder away"
            )
            return claim["config"]["training"]["precision"]
    return None


def settle_precision(settings: Settings, folder: Path, device: str) -> None:
    """Put the precision of this training in place of ``auto``, the same in all processes; say where bf16 has to be emulated.

    Parameters
    ----------
    settings : Settings
        Changed in place.
    folder : path
        Of the training.
    device : str
        ``cpu`` or ``cuda``.
    """
    import torch

    from utils.torch_device import multiplies_bf16, rank_and_world

    rank, world = rank_and_world()
    in_hardware, begun = multiplies_bf16(device), begun_precision(folder)
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
        print(f"note: {_emulated(settings, folder)}", file=sys.stderr)


def _emulated(settings: Settings, folder: Path) -> str:
    """What to know of a training in bf16 on a device without bf16 units, and what to do."""
    slow = "this device emulates bf16 (no AMX, no AVX512-BF16, no GPU from Ampere on): a step takes 5 to 11 times as long as in fp32"
    if settings.auto_precision:
        return f"{folder}: began in bf16 and goes on in it; {slow}; continue where bf16 is multiplied in hardware, or train anew by another --name"
    return f"{settings.where('training')}: precision is bf16; {slow}; write precision: auto, and train anew by another --name"
