"""State dictionaries that torch saved: tensors only, out of the wrappings that training programs put around them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError
from utils.foreign.torch_load import FAULTS, is_whole, load_plain

if TYPE_CHECKING:
    import torch

WRAPPINGS = ("model", "state_dict")
PREFIXES = (
    "module.",
    "__S__.",
)  # of DataParallel, and of the network beside the loss (``__L__.``) in voxceleb_trainer


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a file by key, in the file's order.

    Parameters
    ----------
    path : path
        A state dictionary, or a dictionary that has one under ``model`` or ``state_dict``.

    Raises
    ------
    UserError
        It is missing, damaged, holds anything but tensors and plain values, or no state dictionary.
    """
    import torch

    try:
        content = load_plain(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except FAULTS as error:
        raise UserError(
            f"{path}: not a file of torch that holds tensors and plain values only ({_reason(error)})"
        ) from None
    for wrapping in WRAPPINGS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapping), Mapping):
            content = content[wrapping]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(key, str) for key in content)
    ):
        raise UserError(
            f"{path}: holds {type(content).__name__}, expected a dictionary of tensors, or one of them under {' or '.join(WRAPPINGS)}"
        )
    if odd := [key for key, value in content.items() if not isinstance(value, torch.Tensor)]:
        raise UserError(
            f"{path}: '{odd[0]}' is no tensor; expected a dictionary of tensors, or one under {' or '.join(WRAPPINGS)}"
        )
    if odd := [key for key, value in content.items() if not is_whole(value)]:
        raise UserError(
            f"{path}: '{odd[0]}' is not stored whole, as numbers; expected what torch.save writes of a network's state_dict()"
        )
    return _without_prefixes(path, {key: _numbers(value) for key, value in content.items()})


def _reason(error: Exception) -> str:
    """Torch's complaint without its advice, which is to load the file all the same."""
    if asked := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it asks for {asked[1]}; nothing of it was run"
    if "weights_only" in str(error):
        return "its pickle is damaged, or asks for something else"
    return " ".join(str(error).split())[:120] or "it ends too early"


def _numbers(tensor: "torch.Tensor") -> np.ndarray:
    return (
        (tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor)
        .detach()
        .numpy()
    )


def _without_prefixes(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    plain = {}
    for key, array in arrays.items():
        name = key
        while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""):
            name = name.removeprefix(prefix)
        if name in plain:
            raise UserError(
                f"{path}: '{key}' is there twice, with and without {' or '.join(PREFIXES)}"
            )
        plain[name] = array
    return plain
