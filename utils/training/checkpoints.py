"""Checkpoints of training, and the weights in them.

A checkpoint is whole or not there, the newest whole one is found again, and nothing but tensors and
plain values is ever loaded.  Of the weights: their mean over checkpoints, those that a training
ended with, those that another network takes over, and their digest.
"""

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError, is_of_the_machine
from utils.files import atomic_write
from utils.foreign.torch_load import FAULTS, is_whole, load_plain

if TYPE_CHECKING:
    import torch


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after a number of steps lies.

    Parameters
    ----------
    folder : path
        ``exp/<name>/checkpoints``.
    step : int
        Steps done.
    """
    return Path(folder) / f"step-{step:07d}.pt"


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, ascending.

    Parameters
    ----------
    folder : path
        ``exp/<name>/checkpoints``.
    """
    return sorted(
        int(found[1])
        for path in Path(folder).glob("step-*.pt")
        if (found := re.fullmatch(r"step-(\d{7,})\.pt", path.name))
    )


def save_checkpoint(path: Path, state: dict) -> None:
    """Write a checkpoint under its final name only when it is whole and synced.

    Parameters
    ----------
    path : path
        See `checkpoint_path`.
    state : dict
        Tensors, numbers, strings, lists and dicts of them.
    """
    import torch

    buffer = io.BytesIO()  # not the file itself: of a full disk torch tells in an error of its own
    torch.save(state, buffer)
    with atomic_write(path, "wb") as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU.

    Parameters
    ----------
    path : path
        Checkpoint file.

    Raises
    ------
    UserError
        It is missing, damaged, or holds anything but tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path):  # and not of torch's older format
            state = load_plain(path)
        if not isinstance(state, dict) or not {"step", "network"} <= state.keys():
            raise ValueError("it has no step and network")
        if (
            type(state["step"]) is not int
            or not isinstance(state["network"], dict)
            or not all(map(is_whole, state["network"].values()))
        ):
            raise ValueError("its step is no number, or its network no tensors")
        return state
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train the network first (stage 3)") from None
    except FAULTS as error:
        if is_of_the_machine(error):  # or training would go back to an older one
            raise
        reason = " ".join(str(error).split())[:120] or "it ends too early"
        raise UserError(
            f"{path}: not a whole checkpoint of tensors and plain values ({reason})"
        ) from None


def load_newest(folder: Path) -> dict | None:
    """The newest whole checkpoint, None where there never was one; a damaged one is named and passed over for an older one.

    Parameters
    ----------
    folder : path
        ``exp/<name>/checkpoints``.

    Raises
    ------
    UserError
        All are damaged.
    """
    steps = saved_steps(folder)
    for step in reversed(steps):
        try:
            return load_checkpoint(checkpoint_path(folder, step))
        except UserError as error:
            print(f"WARNING: {error}; going back to the one before", file=sys.stderr)
    if steps:
        raise UserError(
            f"{folder}: none of {len(steps)} checkpoints can be read; remove the folder to train from the beginning"
        )
    return None


def average_weights(paths: list[Path]) -> dict:
    """Mean of the network weights of several checkpoints, in float64; integer buffers are the last one's.

    Parameters
    ----------
    paths : list of path
        Oldest first.
    """
    states = [load_checkpoint(path)["network"] for path in paths]
    mean = {}
    for name, last in states[-1].items():
        if last.is_floating_point():
            total = sum(state[name].double() for state in states)
            mean[name] = total.div(len(states)).to(last.dtype)
        else:
            mean[name] = last
    return mean


def trained_weights(experiment: Path, checkpoint: str = "average") -> tuple[dict, dict]:
    """Weights of the network and of the loss that a training ended with.

    Parameters
    ----------
    experiment : path
        Finished training.
    checkpoint : str
        Of the network, without ``.pt``; the loss, of which no average is kept, is that of this checkpoint or else of the last one.

    Raises
    ------
    UserError
        They are not there.
    """
    folder = Path(experiment) / "checkpoints"
    state = load_checkpoint(folder / f"{checkpoint}.pt")
    steps = saved_steps(folder)
    if "loss" not in state and not steps:
        raise UserError(
            f"{folder}: no step-*.pt, which the weights of the loss are in; train it again"
        )
    of_loss = state if "loss" in state else load_checkpoint(checkpoint_path(folder, steps[-1]))
    return state["network"], of_loss["loss"]


def take_weights(
    module: "torch.nn.Module", state: "Mapping[str, torch.Tensor]"
) -> dict[str, list[str]]:
    """Load weights and statistics of the same names.

    A module with ``load_from(state)``, which returns the names that it took, does it its own way.

    Parameters
    ----------
    module : torch.nn.Module
        Which takes them.
    state : dict of str to tensor
        State of the other module.

    Returns
    -------
    dict of str to list of str
        ``taken``; ``new``: the module's own that stay as they were made; ``left``: the other's that are not used.

    Raises
    ------
    ValueError
        Something has the same name and another shape, or nothing has the same name.
    """
    own = module.state_dict()
    load_from = getattr(module, "load_from", None)
    if load_from is not None:
        taken = list(load_from(state))
    else:
        taken = [name for name in own if name in state]
        for name in taken:
            if own[name].shape != state[name].shape:
                raise ValueError(
                    f"{name} is {tuple(state[name].shape)} there and {tuple(own[name].shape)} here"
                )
        module.load_state_dict({name: state[name] for name in taken}, strict=False)
    if own and not taken:
        raise ValueError(
            f"no name is the same: {next(iter(state), 'nothing')} there, {next(iter(own))} here"
        )
    return {
        "taken": taken,
        "new": [name for name in own if name not in taken],
        "left": [name for name in state if name not in taken],
    }


def weights_digest(weights: "Mapping[str, torch.Tensor]") -> str:
    """SHA-256 over names and values of a network's weights.

    Parameters
    ----------
    weights : dict of str to tensor
        A state dictionary.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous().flatten()
        digest.update(name.encode())
        digest.update(values.view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return digest.hexdigest()
