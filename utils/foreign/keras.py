"""Weights that Keras 2 saved as HDF5: ``<layer>/<weight>`` -> array."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError
from utils.foreign.hdf5 import read_hdf5

if TYPE_CHECKING:
    import h5py


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Weights of a file of ``save_weights``, or those of a whole model's file.

    Parameters
    ----------
    path : path
        ``weights.h5``.

    Returns
    -------
    dict of str to array
        Key: the layer's name, a slash, and the last word of the weight's name without ``:0``.

    Raises
    ------
    UserError
        h5py is not installed, or the file is missing, damaged, or none of Keras.
    """
    try:
        return read_hdf5(path, _weights_of)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{path}: not a whole file of weights as Keras 2 saves them ({' '.join(str(error).split())[:160]})"
        ) from None


def _weights_of(file: "h5py.File") -> dict[str, np.ndarray]:
    group = file.get("model_weights", file)
    return {
        key: array
        for layer in _names(group, "layer_names")
        for key, array in _of_layer(group, layer)
    }


def _names(group: "h5py.Group", attribute: str) -> list[str]:
    """A list of names, which Keras divides among attributes with a number where it is long."""
    parts = (
        [attribute]
        if attribute in group.attrs
        else [name for k in range(len(group.attrs)) if (name := f"{attribute}{k}") in group.attrs]
    )
    if not parts:
        raise KeyError(f"no attribute {attribute}")
    return [
        name.decode() if isinstance(name, bytes) else str(name)
        for part in parts
        for name in group.attrs[part]
    ]


def _of_layer(group: "h5py.Group", layer: str) -> list[tuple[str, np.ndarray]]:
    weights = []
    for name in _names(_inside(group, layer), "weight_names"):
        dataset = _inside(_inside(group, layer), name)
        # read before its shape is looked at, so it must not be larger than what the file holds
        if (
            dataset.external
            or dataset.is_virtual
            or dataset.chunks
            or dataset.id.get_storage_size() != dataset.nbytes
        ):
            raise ValueError(f"{name} is not stored whole")
        weights.append((f"{layer}/{name.split('/')[-1].partition(':')[0]}", dataset[()]))
    return weights


def _inside(group: "h5py.Group", name: str) -> "h5py.Group | h5py.Dataset":
    """What has a name in a group, by links that do not lead out of the file."""
    import h5py

    for word in name.split("/"):
        if not isinstance(group.get(word, getlink=True), h5py.HardLink):
            raise ValueError(f"no {name} in the file itself")
        group = group[word]
    return group
