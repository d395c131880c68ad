"""Back end, calibration and cohort of an experiment, as files of a model folder.

A back end keeps its digest when it is packaged, so that calibrations of its scores still apply.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.archive import read_vectors
from utils.archive.objects import encode_object
from utils.errors import UserError
from utils.pretrained import ModelCalibration, hashed_speaker
from utils.pretrained.calibration import (
    BACKEND,
    CALIBRATION,
    COHORT,
    NORM,
    backend_digest,
    backend_receipt,
    calibration_as_bytes,
)
from utils.receipts.contents import existing_receipt, fingerprint, first_bad_output
from utils.scoring.calibration_files import read_calibration
from utils.scoring.normalise import usual_top_k

LEAVE_OUT = "none"
FIGURES = ("p_target", "trials", "targets", "cross_entropy", "min_cllr", "separable")


@dataclass(frozen=True)
class Scores:
    """What makes the scores of a packaged model: the digests that a calibration is bound to."""

    model: str  # digest of the model
    backend: str | None  # digest of the back end; None: plain cosine
    protocol: str  # name of the test protocol

    @property
    def maker(self) -> str:
        """The input `backend` of receipts of scores, as `utils.scoring.systems` records it."""
        return self.backend or self.model


def choose(option: str, given: str | None, known: Sequence[str], folder: Path) -> str | None:
    """The name of what is packaged: the one given, else the only one; None where there is none.

    ``none`` leaves it out. UserError: it is not known, or there are several and none is given.
    """
    names = ", ".join(known) or "none"
    if given == LEAVE_OUT:
        return None
    if given is not None and given not in known:
        raise UserError(
            f"--{option} {given}: {folder} has {names}; give one of these, or '{LEAVE_OUT}'"
        )
    if given is None and len(known) > 1:
        raise UserError(
            f"{folder}: has {names}; choose one by --{option} NAME, or leave all out by "
            f"--{option} {LEAVE_OUT}"
        )
    if given is None and known:
        return known[0]
    return given


def list_backends(experiment: Path) -> list[str]:
    """Names of the trained back ends of an experiment."""
    return sorted(path.parent.name for path in experiment.glob("backend/*/backend.json"))


def backend_contents(folder: Path, experiment: Path) -> dict[str, bytes | Path]:
    """The files of a trained back end by their names in a model folder; UserError if damaged."""
    path = backend_receipt(folder)
    if not path.exists():
        raise UserError(f"{path}: missing; train the back end again with steps.train_backend")
    receipt = existing_receipt(path)
    fault = first_bad_output(folder, receipt["outputs"])
    if fault:
        raise UserError(f"{fault}; train the back end again with steps.train_backend")
    contents: dict[str, bytes | Path] = {}
    for name in receipt["outputs"]:
        contents[f"{BACKEND}/{name}"] = folder / name
    kept = _without_traces(receipt, experiment)
    contents[f"{BACKEND}/receipts/{path.name}"] = (json.dumps(kept, indent=1) + "\n").encode()
    return contents


def _without_traces(receipt: Mapping, experiment: Path) -> dict:
    """A receipt without what it says about a machine; its fingerprint stays."""
    inputs = {}
    for label, entry in receipt["inputs"].items():
        path = Path(entry["path"]).absolute()
        if path.is_relative_to(experiment.absolute()):
            path = path.relative_to(experiment.absolute())
        else:
            path = Path(*path.parts[-2:])
        inputs[label] = {"path": str(path), "content": entry["content"]}
    kept = {name: receipt[name] for name in ("step", "format", "outputs", "counts")}
    named = receipt["options"].items()
    options = {name: value for name, value in named if not _is_absolute(value)}
    return {**kept, "options": options, "inputs": inputs, "seconds": 0, "core_seconds": 0}


def _is_absolute(value: object) -> bool:
    """Whether an option is a path of one machine."""
    return isinstance(value, str) and Path(value).is_absolute()


def list_calibrations(experiment: Path) -> list[str]:
    """Names of the calibrations of an experiment: their folders below ``calibration/``."""
    folder = experiment / "calibration"
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("calibration.json"))


def calibration_contents(
    experiment: Path, given: str | None, scores: Scores, domain: str
) -> dict[str, bytes | Path]:
    """The calibration of a model's scores, with the cohort of their norm; empty without one.

    UserError: several fit and none is ``given``, or the one given is not for these scores.
    """
    folder = experiment / "calibration"
    faults = {}
    for name in list_calibrations(experiment):
        faults[name] = _why_not(folder / name, experiment, scores)
    if given is None:
        for name, fault in faults.items():
            if fault:
                print(f"{folder / name}: left out: {fault}")
        known = [name for name, fault in faults.items() if not fault]
    else:
        known = list(faults)
    chosen = choose("calibration", given, known, folder)
    if chosen is None:
        return {}
    if faults[chosen]:
        raise UserError(
            f"{folder / chosen}: {faults[chosen]}; calibrate the scores that are packaged, or give "
            f"--calibration {LEAVE_OUT}"
        )
    return _calibration_files(folder / chosen, experiment, scores, domain)


def _why_not(folder: Path, experiment: Path, scores: Scores) -> str:
    """Why a calibration is not one of these scores alone; empty if it is."""
    learned = read_calibration(folder)
    if len(learned["systems"]) > 1:
        return f"a fusion of {len(learned['systems'])} systems, and a model is one"
    if learned["measures"]:
        return f"it needs quality measures ({', '.join(learned['measures'])})"
    made = learned["made_with"].get(learned["systems"][0])
    if made is None:
        return "no receipt shows which scores it was trained on"
    if made.get("backend") != scores.maker:
        return "trained on scores of another back end"
    if made.get("protocol") != scores.protocol:
        return f"trained on protocol {made.get('protocol')}, packaged is {scores.protocol}"
    if "calibration" in made:
        return "trained on calibrated scores"
    if "cohort" in made:
        return _why_no_cohort(made, experiment)
    return ""


def _why_no_cohort(made: Mapping, experiment: Path) -> str:
    """Why the cohort of normalised scores cannot be packaged; empty if it can."""
    if made["options"].get("cohort_of") != "speakers" or "cohort_list" in made:
        return "scores are normalised by other than all speakers of a cohort"
    if find_cohort(experiment, made["cohort"]) is None:
        return "the cohort of its scores is not in the experiment, or has changed"
    return ""


def find_cohort(experiment: Path, content: str) -> Path | None:
    """The folder of embeddings with a fingerprint; None if the experiment has none."""
    for path in sorted(experiment.glob("embeddings/**/receipts/collect_embeddings.json")):
        if fingerprint(path) == content:
            return path.parent.parent
    return None


def _calibration_files(
    folder: Path, experiment: Path, scores: Scores, domain: str
) -> dict[str, bytes | Path]:
    """calibration.json, and the cohort of normalised scores."""
    learned = read_calibration(folder)
    (system,) = learned["systems"]
    made = learned["made_with"][system]
    contents: dict[str, bytes | Path] = {}
    norm = None
    if "cohort" in made:
        cohort = find_cohort(experiment, made["cohort"])
        assert cohort is not None, "checked by _why_no_cohort"
        norm, contents = cohort_contents(cohort, made["options"])
    figures = {name: learned[name] for name in FIGURES if name in learned}
    figures["speakers"] = len(learned["speakers"])
    calibration = ModelCalibration(
        learned["weights"][system], learned["offset"], describe_domain(folder, learned, domain)
    )
    contents[CALIBRATION] = calibration_as_bytes(
        calibration, scores.model, scores.backend, norm=norm, figures=figures
    )
    return contents


def describe_domain(folder: Path, learned: Mapping, domain: str) -> str:
    """What a calibration was trained on, as text; ``domain`` describes the speech, if given."""
    receipt = existing_receipt(folder / "receipts" / "calibrate.json")
    speech = domain or f"set {Path(receipt['inputs']['trials']['path']).parent.name}"
    return (
        f"calibrated on {speech}: {len(learned['speakers']):,} speakers, "
        f"{learned.get('trials', 0):,} trials"
    )


def cohort_contents(cohort: Path, options: Mapping) -> tuple[dict, dict[str, bytes | Path]]:
    """How scores are normalised, and the files of a cohort of speakers; their names are hashed."""
    names, vectors = read_vectors(cohort / "spk_xvector.scp")
    top_k = options.get("top_k")
    if top_k is None and options["method"].startswith("as_"):
        top_k = usual_top_k(len(names))
    archive = b""
    for name, vector in zip(names, vectors, strict=True):
        archive += hashed_speaker(name).encode() + b" " + encode_object(vector)
    digest = hashlib.sha256(archive).hexdigest()
    norm = {"method": options["method"], "top_k": top_k, "members": len(names), "sha256": digest}
    norm_file = (json.dumps(norm, indent=1) + "\n").encode()
    return norm, {COHORT: archive, NORM: norm_file}


def packaged_backend_digest(experiment: Path, name: str | None) -> str | None:
    """The digest of a back end of an experiment; None for plain cosine."""
    if name is None:
        return None
    return backend_digest(experiment / "backend" / name)
