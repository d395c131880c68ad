"""The calibration in a model folder: an affine map of its scores to log-likelihood ratios.

It is bound to the network, the back end and the norm that made the scores: with others the same
numbers mean nothing.  ``calibration.json`` has ``slope``, ``offset``, ``domain`` (the speech that
it was trained on), ``bound_to`` (digests of ``model`` and ``backend``, and ``norm``), and figures.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.files import read_json_object
from utils.pretrained.folder import Model
from utils.receipts.contents import fingerprint

CALIBRATION, BACKEND = "calibration.json", "backend"
NORM, COHORT = "cohort/norm.json", "cohort/xvector.ark"
FORMAT = 1
ENTRIES: Mapping[str, type | tuple[type, ...]] = {
    "format": int,
    "slope": (int, float),
    "offset": (int, float),
    "domain": str,
    "bound_to": dict,
}


@dataclass(frozen=True)
class ModelCalibration:
    """Log-likelihood ratio = slope x score + offset; ``domain``: the speech it was trained on."""

    slope: float
    offset: float
    domain: str

    def ratios(self, scores: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (natural logarithms) of scores (N,) of the model."""
        return self.slope * np.asarray(scores, np.float64) + self.offset


def calibration_as_bytes(
    calibration: ModelCalibration,
    model_digest: str,
    backend_digest: str | None,
    *,
    norm: Mapping | None = None,
    figures: Mapping | None = None,
) -> bytes:
    """The file calibration.json, of scores of a model by a back end (None: plain cosine).

    ``norm`` is the content of cohort/norm.json, of normalised scores; ``figures`` are those of the
    training, such as numbers of speakers and trials.
    """
    bound_to = {"model": model_digest, "backend": backend_digest, "norm": norm}
    content = {
        "format": FORMAT,
        "slope": calibration.slope,
        "offset": calibration.offset,
        "domain": calibration.domain,
        "bound_to": bound_to,
        **(figures or {}),
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def read_model_calibration(model: Model) -> ModelCalibration | None:
    """The calibration of a model; None if it has none.

    UserError: it is damaged, or was trained on scores of another network, back end or norm.
    """
    if CALIBRATION not in model.files:
        return None
    path = model.folder / CALIBRATION
    remedy = "package the model again"
    content = read_json_object(path, ENTRIES, "a calibration of a model", remedy)
    if content["format"] > FORMAT:
        raise UserError(
            f"{path}: format {content['format']}, this version reads up to {FORMAT}; update the "
            "checkout"
        )
    slope, offset = content["slope"], content["offset"]
    if not (math.isfinite(slope) and math.isfinite(offset) and slope > 0):
        raise UserError(
            f"{path}: slope {slope:g} and offset {offset:g}, expected finite numbers and a slope "
            f"above 0; {remedy}"
        )
    _check_binding(path, content["bound_to"], scores_made_by(model))
    return ModelCalibration(float(slope), float(offset), content["domain"])


def scores_made_by(model: Model) -> dict:
    """What makes the scores of a model: digests of ``model`` and ``backend``, and the ``norm``."""
    backend, norm = None, None
    if has_backend(model):
        backend = backend_digest(model.folder / BACKEND)
    if NORM in model.files:
        norm = read_json_object(model.folder / NORM)
    return {"model": model.digest, "backend": backend, "norm": norm}


def has_backend(model: Model) -> bool:
    """Whether a model was packaged with a back end; without one its scores are plain cosine."""
    return f"{BACKEND}/backend.json" in model.files


def backend_digest(folder: Path) -> str:
    """What identifies a back end: the digest of the files that its receipt lists."""
    return fingerprint(backend_receipt(folder))


def backend_receipt(folder: Path) -> Path:
    """The receipt of a trained back end."""
    return folder / "receipts" / "train_backend.json"


def _check_binding(path: Path, expected: Mapping, found: Mapping) -> None:
    """Refuse a calibration of other scores."""
    names = {"model": "network", "backend": "back end", "norm": "score normalisation"}
    for key, name in names.items():
        if expected.get(key) != found[key]:
            raise UserError(
                f"{path}: trained on scores of another {name} ({shortened(expected.get(key))}), "
                f"this model has {shortened(found[key])}; calibrate its own scores"
            )


def shortened(value: object) -> str:
    """A digest, a norm or nothing, as a short text for messages."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return str(value.get("method"))
    return str(value)[:12]
