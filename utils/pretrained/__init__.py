"""Model folders: a trained network with all that belongs to it, and published networks.

`folder` writes and opens a MODEL, whose files are checked by their digests.  The network itself is
built by `steps.extract.load_network`.
"""

from utils.pretrained.folder import (
    Model,
    add_to_model,
    hashed_speaker,
    is_model,
    model_input,
    open_model,
    write_model,
)
from utils.pretrained.weights import read_weights, weights_as_bytes

__all__ = [
    "Model",
    "add_to_model",
    "hashed_speaker",
    "is_model",
    "model_input",
    "open_model",
    "read_weights",
    "weights_as_bytes",
    "write_model",
]
