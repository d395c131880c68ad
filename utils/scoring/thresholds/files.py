"""``threshold.json``: a threshold that was fitted on recordings of the user's own.

Its keys, of format 1::

    format            1
    model             digest of the model (`utils.pretrained.Model.digest`)
    backend           digest of the model's back end, or null: plain cosine
    norm              content of the model's cohort/norm.json, or null: scores are not normalised
    enrol_files       files that a person is enrolled with
    threshold         the lowest score that is accepted
    calibration       {"offset", "slope"}: log-likelihood ratio = offset + slope x score; or null
    mean              subtracted from length-normalised vectors, as a list; or null: not centred
    p_target, c_miss, c_fa   prior of a target and costs of the errors, for which the threshold is
    errors            {"miss", "false_alarm"}: {"rate", "bound"}, and {"cost"}: the same of the
                      normalised cost; bounds are approximate, one-sided, 95 %
    false_alarms      rows [threshold, rate, bound], by growing threshold: others than this one
    counts            speakers, files, trials, and the effective numbers behind the bounds
    marks             what a reader has to know, as sentences
    shift             what the model's own calibration does on these recordings, or null
    conditions        {"8 kHz": ..., "2 s": ...}: threshold, errors and counts of changed recordings
    recordings        of each recording the first 16 hexadecimal digits of its SHA-256

No name of a person is in it.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import UserError
from utils.files import atomic_write, read_json_object
from utils.metrics.llr import bayes_threshold

FORMAT = 1
NUMBER = (int, float)
PARTS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "model": str,
    "backend": (str, type(None)),
    "norm": (dict, type(None)),
    "enrol_files": int,
    "threshold": NUMBER,
    "calibration": (dict, type(None)),
    "mean": (list, type(None)),
    "p_target": NUMBER,
    "c_miss": NUMBER,
    "c_fa": NUMBER,
    "errors": dict,
    "false_alarms": list,
    "counts": dict,
    "marks": list,
    "shift": (dict, type(None)),
    "conditions": dict,
    "recordings": list,
}
REMEDY = "fit it again with steps.fit_threshold"


@dataclass(frozen=True)
class Calibration:
    """Log-likelihood ratio = offset + slope x score."""

    offset: float
    slope: float

    def ratio(self, score: float) -> float:
        """Log-likelihood ratio of a score."""
        return self.offset + self.slope * score

    def threshold(self, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
        """The lowest score that is accepted at a prior and costs; ValueError if out of range."""
        return (bayes_threshold(p_target, c_miss, c_fa) - self.offset) / self.slope


@dataclass(frozen=True)
class Decision:
    """What a threshold says of one score; ``ratio`` is None where none was fitted."""

    score: float
    ratio: float | None
    threshold: float
    accepted: bool


@dataclass(frozen=True)
class Threshold:
    """The content of ``threshold.json``; the module's head describes the attributes."""

    model: str
    threshold: float
    calibration: Calibration | None = None
    mean: np.ndarray | None = None  # (E,) float64
    backend: str | None = None
    enrol_files: int = 1
    p_target: float = 0.5
    c_miss: float = 1.0
    c_fa: float = 1.0
    errors: dict[str, dict[str, float]] = field(default_factory=dict)
    false_alarms: Sequence[Sequence[float]] = ()
    counts: dict[str, Any] = field(default_factory=dict)
    marks: Sequence[str] = ()
    shift: dict[str, Any] | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    recordings: Sequence[str] = ()
    norm: dict[str, Any] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether scores are cosines, without a back end or a norm."""
        return self.backend is None and self.norm is None

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings (N, E) length-normalised, centred if the threshold has a mean: unit vectors.

        UserError for a vector of length 0, or of another size than the mean.
        """
        return centred(vectors, self.mean)

    def score(self, enrol: np.ndarray, test: np.ndarray) -> float:
        """Cosine of a test embedding (E,) with the person whom N embeddings (N, E) enrol.

        Only for a threshold of cosines (`is_plain`).
        """
        return float(person(self.prepare(enrol)) @ self.prepare(np.atleast_2d(test))[0])

    def decide(self, score: float, threshold: float | None = None) -> Decision:
        """The decision for a score, at the fitted threshold or another one."""
        if threshold is None:
            threshold = self.threshold
        ratio = None
        if self.calibration is not None:
            ratio = self.calibration.ratio(score)
        return Decision(score, ratio, threshold, score >= threshold)

    def at_prior(self, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float | None:
        """The threshold of another prior and costs; None where no ratio was fitted.

        ValueError for a prior or costs out of range.
        """
        if (p_target, c_miss, c_fa) == (self.p_target, self.c_miss, self.c_fa):
            return self.threshold
        if self.calibration is None:
            return None
        return self.calibration.threshold(p_target, c_miss, c_fa)

    def at_false_alarm_rate(self, rate: float) -> float | None:
        """The lowest threshold whose false alarms have a bound of at most ``rate``.

        None: so few pairs of speakers cannot show so small a rate.  For a gallery of N people and
        a rate of the whole gallery, ask for rate / N.
        """
        for threshold, _, bound in self.false_alarms:
            if bound <= rate:
                return threshold
        return None

    def smallest_false_alarm_rate(self) -> float:
        """The smallest rate that `at_false_alarm_rate` has a threshold for."""
        return min((bound for _, _, bound in self.false_alarms), default=1.0)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, E) of length 1, float64; UserError for one of length 0."""
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise UserError("an embedding has length 0, so that it has no cosine; leave the file out")
    return vectors / lengths


def centred(vectors: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """Vectors (N, E) length-normalised; then, if there is a mean, less it and normalised again."""
    normalised = unit(vectors)
    if mean is None:
        return normalised
    if normalised.shape[-1] != len(mean):
        raise UserError(
            f"embeddings of {normalised.shape[-1]} values, a mean of {len(mean)}: the threshold "
            "belongs to another model"
        )
    return unit(normalised - mean)


def person(vectors: np.ndarray) -> np.ndarray:
    """The unit vector (E,) of a person whom unit vectors (N, E) enrol: that of their mean."""
    return unit(vectors.mean(axis=0))


def as_content(threshold: Threshold) -> dict:
    """The content of ``threshold.json``."""
    content = {"format": FORMAT} | asdict(threshold)
    if threshold.mean is not None:
        content["mean"] = threshold.mean.tolist()
    return {name: content[name] for name in PARTS}


def write_threshold(path: Path, threshold: Threshold) -> None:
    """Write ``threshold.json``; the same threshold gives the same bytes."""
    with atomic_write(path) as file:
        file.write(json.dumps(as_content(threshold), indent=1) + "\n")


def read_threshold(path: Path, model: str | None = None) -> Threshold:
    """A ``threshold.json``; ``model`` is the digest of the model that it has to belong to.

    UserError: missing, damaged, of a newer format, or of another model.
    """
    try:
        content = read_json_object(path, {"format": int}, "a threshold", REMEDY)
        if content["format"] > FORMAT:
            raise UserError(
                f"{path}: a threshold of format {content['format']}, this version reads up to "
                f"{FORMAT}; update the checkout"
            )
        content = read_json_object(path, PARTS, "a threshold", REMEDY)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {REMEDY}") from None
    try:
        threshold = _from_content(content)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a threshold ({error}); {REMEDY}") from None
    if model is not None and threshold.model != model:
        raise UserError(
            f"{path}: fitted for model {threshold.model[:12]}, this one is {model[:12]}; {REMEDY}"
        )
    return threshold


def _from_content(content: dict) -> Threshold:
    """The threshold of a file's content; ValueError for a number out of range."""
    values = {name: content[name] for name in PARTS if name != "format"}
    if values["calibration"] is not None:
        calibration = Calibration(**values["calibration"])
        if not (math.isfinite(calibration.offset) and 0 < calibration.slope < math.inf):
            raise ValueError(f"calibration {values['calibration']}")
        values["calibration"] = calibration
    if values["mean"] is not None:
        values["mean"] = np.array(values["mean"], np.float64)
        if values["mean"].ndim != 1 or not np.isfinite(values["mean"]).all():
            raise ValueError("a mean that is no vector of finite numbers")
    if not math.isfinite(values["threshold"]) or values["enrol_files"] < 1:
        raise ValueError(f"threshold {values['threshold']}, enrol_files {values['enrol_files']}")
    bayes_threshold(values["p_target"], values["c_miss"], values["c_fa"])
    for row in values["false_alarms"]:
        _, _, bound = row
        if not 0 <= bound <= 1:
            raise ValueError(f"a false-alarm bound of {bound}")
    return Threshold(**values)
