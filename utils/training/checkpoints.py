"""Checkpoints of training, and the weights in them.

A checkpoint is written atomically, training resumes from the newest one that can be read, and
nothing but tensors and plain values is ever loaded.  Weights can be averaged over checkpoints,
copied into another network, and hashed.
"""

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError, is_resource_shortage
from utils.files import atomic_write
from utils.pretrained.folder import WEIGHTS, is_model, open_model
from utils.pretrained.weights import read_weights
from utils.training.torch_load import FAULTS, is_whole, load_plain

if TYPE_CHECKING:
    import torch


def checkpoint_path(folder: Path, step: int) -> Path:
    """Path of the checkpoint after ``step`` steps, in ``exp/<name>/checkpoints``."""
    return Path(folder) / f"step-{step:07d}.pt"


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, ascending."""
    steps = []
    for path in Path(folder).glob("step-*.pt"):
        match = re.fullmatch(r"step-(\d{7,})\.pt", path.name)
        if match:
            steps.append(int(match[1]))
    return sorted(steps)


def save_checkpoint(path: Path, state: dict) -> None:
    """Write a checkpoint atomically: tensors, numbers, strings, lists and dicts of them."""
    import torch

    buffer = io.BytesIO()  # not the file itself: torch hides a full disk behind its own error
    torch.save(state, buffer)
    with atomic_write(path, "wb") as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU.

    UserError if it is missing, damaged, or holds anything but tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path):  # torch's older format is refused
            state = load_plain(path)
        _check_state(state)
        return state
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train the network first (stage 3)") from None
    except FAULTS as error:
        if is_resource_shortage(error):  # training must not resume from an older one for that
            raise
        reason = " ".join(str(error).split())[:120] or "it ends too early"
        raise UserError(
            f"{path}: not a whole checkpoint of tensors and plain values ({reason})"
        ) from None


def _check_state(state: object) -> None:
    """Refuse what is not the content of a checkpoint (ValueError)."""
    if not isinstance(state, dict) or not {"step", "network"} <= state.keys():
        raise ValueError("it has no step and network")
    step, network = state["step"], state["network"]
    if type(step) is not int or not isinstance(network, dict):
        raise ValueError("its step is not a number, or its network not a dict of tensors")
    if not all(is_whole(tensor) for tensor in network.values()):
        raise ValueError("its step is not a number, or its network not a dict of tensors")


def load_newest(folder: Path) -> dict | None:
    """The newest checkpoint that can be read; None if there is no checkpoint.

    A damaged one is reported and skipped; UserError if all are damaged.
    """
    steps = saved_steps(folder)
    for step in reversed(steps):
        try:
            return load_checkpoint(checkpoint_path(folder, step))
        except UserError as error:
            print(f"WARNING: {error}; going back to the one before", file=sys.stderr)
    if steps:
        raise UserError(
            f"{folder}: none of {len(steps)} checkpoints can be read; "
            "remove the folder to train from the beginning"
        )
    return None


def read_network_weights(source: Path, checkpoint: str = "average") -> tuple[Path, dict]:
    """File and weights of the network of an experiment or of a model folder, which has one only.

    UserError: they are missing or damaged.
    """
    if not is_model(source):
        path = source / "checkpoints" / f"{checkpoint}.pt"
        return path, load_checkpoint(path)["network"]
    import torch

    path = open_model(source).folder / WEIGHTS
    tensors = {name: torch.from_numpy(array) for name, array in read_weights(path).items()}
    return path, tensors


def average_weights(paths: list[Path]) -> dict:
    """Mean of the network weights of several checkpoints, oldest first.

    Computed in float64; integer buffers are those of the last checkpoint.
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

    The loss has no average: its weights are those of the named checkpoint, else of the last one.
    UserError if they are missing.
    """
    folder = Path(experiment) / "checkpoints"
    state = load_checkpoint(folder / f"{checkpoint}.pt")
    if "loss" in state:
        return state["network"], state["loss"]
    steps = saved_steps(folder)
    if not steps:
        raise UserError(
            f"{folder}: no step-*.pt, which holds the weights of the loss; train it again"
        )
    last = load_checkpoint(checkpoint_path(folder, steps[-1]))
    return state["network"], last["loss"]


def take_weights(
    module: "torch.nn.Module", state: "Mapping[str, torch.Tensor]"
) -> dict[str, list[str]]:
    """Copy weights and statistics with the same names from another module's state.

    A module may define ``load_from(state)``, which returns the names that it copied.  Returns the
    names ``taken``, ``new`` (the module's own, unchanged) and ``left`` (not used).  ValueError if
    a name has another shape, or no name is the same.
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
                    f"{name} is {tuple(state[name].shape)} there, expected {tuple(own[name].shape)}"
                )
        module.load_state_dict({name: state[name] for name in taken}, strict=False)
    if own and not taken:
        raise ValueError(
            f"no name is the same: {next(iter(state), 'nothing')} there, expected {next(iter(own))}"
        )
    return {
        "taken": taken,
        "new": [name for name in own if name not in taken],
        "left": [name for name in state if name not in taken],
    }


def weights_digest(weights: "Mapping[str, torch.Tensor]") -> str:
    """SHA-256 over names and values of a state dictionary."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous().flatten()
        digest.update(name.encode())
        digest.update(values.view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return digest.hexdigest()
