"""Weights in the safetensors format: names, shapes and numbers, and no code."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from utils.errors import UserError


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file by name; UserError if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of weights") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); copy it again") from None


def weights_as_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Tensors as a safetensors file; the same tensors give the same bytes."""
    from safetensors.numpy import save

    # np.ascontiguousarray would give an axis to numbers without one
    contiguous = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    return save(contiguous)
