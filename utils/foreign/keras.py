"""Weights that Keras 2 saved as HDF5: ``<layer>/<weight>`` -> array.

`read_keras` starts the sandbox (sandbox.py); the other functions run in it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.foreign.hdf5 import require_h5py
from utils.foreign.sandbox import Parts, read_in_sandbox

if TYPE_CHECKING:
    import h5py


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Weights of a file of ``save_weights``, or those of a whole model's file.

    Keys are the layer's name, a slash, and the last word of the weight's name without ``:0``.
    UserError: h5py is not installed, or the file is missing, damaged, or not from Keras.
    """
    require_h5py(path)
    expected = "not a whole file of weights as Keras 2 saves them"
    return read_in_sandbox(keras_weights, [path], expected)[""]


def keras_weights(path: Path, _parts: list[str]) -> Parts:
    """Runs in the sandbox: the weights of `read_keras`."""
    import h5py

    weights: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        group = file.get("model_weights", file)
        for layer in _names(group, "layer_names"):
            of_layer = _member(group, layer)
            for name in _names(of_layer, "weight_names"):
                key = f"{layer}/{name.split('/')[-1].partition(':')[0]}"
                if key in weights:
                    raise ValueError(f"two weights have the name {key}")
                weights[key] = _read_dataset(_member(of_layer, name), name)
    return {"": weights}


def _names(group: "h5py.Group", attribute: str) -> list[str]:
    """A list of names; Keras divides a long one among numbered attributes."""
    parts = [attribute]
    if attribute not in group.attrs:
        numbered = [f"{attribute}{number}" for number in range(len(group.attrs))]
        parts = [name for name in numbered if name in group.attrs]
    if not parts:
        raise KeyError(f"no attribute {attribute}")
    names: list[str] = []
    for part in parts:
        names += map(_to_text, group.attrs[part])
    return names


def _to_text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _read_dataset(dataset: "h5py.Dataset", name: str) -> np.ndarray:
    """The numbers of a dataset, which must all be in the file itself."""
    is_elsewhere = dataset.external or dataset.is_virtual or dataset.chunks
    if is_elsewhere or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{name} is not stored whole")
    array = np.asarray(dataset[()])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {array.dtype}, expected numbers")
    return array


def _member(group: "h5py.Group", name: str) -> "h5py.Group | h5py.Dataset":
    """The member of a group with this name; ValueError if a link leads out of the file."""
    import h5py

    for word in name.split("/"):
        if not isinstance(group.get(word, getlink=True), h5py.HardLink):
            raise ValueError(f"no {name} in the file itself")
        group = group[word]
    return group
