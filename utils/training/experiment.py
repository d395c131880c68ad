"""The files of an experiment that belong to its training, from the first step on.

An experiment belongs to one configuration and its data: no other training resumes in it.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from utils.config import first_difference
from utils.errors import UserError
from utils.files import atomic_write, move_aside, read_json_object, staging_folder
from utils.pretrained.training_data import FIRST_WEIGHTS
from utils.receipts.contents import fingerprint

BEGUN = "begun.json"
YAMLS = ("augmentation",)  # labels of inputs that are a part of the resolved configuration
TRAINING_FILES = (
    BEGUN,
    "config.yaml",
    FIRST_WEIGHTS,
    "checkpoints",
    "log/history.jsonl",
    "tensorboard",
)


def read_claim(folder: Path) -> dict[str, dict]:
    """What the training in a folder started with, read from begun.json.

    ``config`` is the resolved configuration, ``inputs`` the digest of each input by label.  Both
    are empty if no training started, or if the file is damaged: `begin_experiment` refuses that.
    """
    try:
        written = read_json_object(folder / BEGUN)
    except (FileNotFoundError, UserError):
        written = {}
    parts = {name: written.get(name) for name in ("config", "inputs")}
    return {name: part if isinstance(part, dict) else {} for name, part in parts.items()}


def has_inputs(folder: Path, inputs: Mapping[str, Path]) -> bool:
    """Whether a folder's training started with these inputs; YAMLs are not compared."""
    return _without_yamls(read_claim(folder)["inputs"]) == _without_yamls(_digests(inputs))


def _digests(inputs: Mapping[str, Path]) -> dict[str, str]:
    """The digest of each input, by label."""
    return {label: fingerprint(path) for label, path in inputs.items()}


def _without_yamls(digests: Mapping) -> dict:
    """The digests without those of YAMLs, whose values are a part of the configuration."""
    return {label: digest for label, digest in digests.items() if label not in YAMLS}


def begin_experiment(folder: Path, resolved: Mapping, inputs: Mapping[str, Path]) -> None:
    """Claim a folder for a training, or check that it holds the same one; writes config.yaml.

    With ``--force`` (SV_FORCE=1) the files of another training are moved aside.  UserError if the
    folder holds an unfinished training of another configuration or of other data.
    """
    claim = {"config": dict(resolved), "inputs": _digests(inputs)}
    existing = [name for name in TRAINING_FILES if (folder / name).exists()]
    if existing or staging_folder(folder).exists():
        _check_claim(folder, existing, claim)
    with atomic_write(folder / BEGUN) as file:
        json.dump(claim, file, indent=1)
    with atomic_write(folder / "config.yaml") as file:
        yaml.safe_dump(dict(resolved), file, sort_keys=False)


def _check_claim(folder: Path, existing: list[str], claim: Mapping) -> None:
    """Refuse another training in a folder, or with --force move its files aside."""
    before = {}
    if BEGUN in existing:
        remedy = "choose another --name, or move the folder away"
        before = read_json_object(folder / BEGUN, remedy=remedy)
        before["inputs"] = _without_yamls(before.get("inputs") or {})
    difference = first_difference(before, {**claim, "inputs": _without_yamls(claim["inputs"])})
    if not difference:
        return
    if os.environ.get("SV_FORCE") != "1":
        raise UserError(
            f"{folder}: holds an unfinished training of another configuration: {difference}; "
            "choose another --name, or --force to start again (the old files are moved aside)"
        )
    moved_to = move_aside(folder, existing)
    note = f"started again because of --force; the old files are in {moved_to}"
    print(f"{folder}: {difference}: {note}", file=sys.stderr)


def write_first_weights(folder: Path, origins: Mapping) -> list[Path]:
    """Write where the first weights of network and loss come from; returns the files written.

    ``origins`` has the names that were taken, new and left; if it is empty, nothing is written.
    """
    if not origins:
        return []
    with atomic_write(folder / FIRST_WEIGHTS) as file:
        json.dump(dict(origins), file, indent=1)
    return [folder / FIRST_WEIGHTS]
