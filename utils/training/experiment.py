"""What an experiment folder says of its training from the first step on.

It belongs to one configuration and its data: no other training ever goes on in it.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from utils.config import first_difference
from utils.errors import UserError
from utils.files import atomic_write, half_moved, move_aside, read_json_object
from utils.receipts.contents import fingerprint

BEGUN = "begun.json"
FIRST_WEIGHTS = "first_weights.json"
YAMLS = ("augmentation",)  # labels of inputs that stand in the resolved configuration
OF_A_TRAINING = (
    BEGUN,
    "config.yaml",
    FIRST_WEIGHTS,
    "checkpoints",
    "log/history.jsonl",
    "tensorboard",
)


def claim_of(folder: Path) -> dict[str, dict]:
    """What a folder's training began with; nothing where none began.

    Nothing also where the file is damaged: `begin_experiment` refuses that in its own words.

    Parameters
    ----------
    folder : path
        Of the training.

    Returns
    -------
    dict
        ``config``, the resolved configuration, and ``inputs``, the content of each input by
        label; each may be empty.
    """
    try:
        written = read_json_object(folder / BEGUN)
    except (FileNotFoundError, UserError):
        written = {}
    parts = {name: written.get(name) for name in ("config", "inputs")}
    return {name: part if isinstance(part, dict) else {} for name, part in parts.items()}


def contents_of(inputs: Mapping[str, Path]) -> dict[str, str]:
    """The content of each input, as 64 digits.

    Parameters
    ----------
    inputs : mapping of str to path
        By label.
    """
    return {label: fingerprint(path) for label, path in inputs.items()}


def has_inputs(folder: Path, inputs: Mapping[str, Path]) -> bool:
    """Whether a folder's training began with these inputs; the configuration says what YAMLs among them say.

    Parameters
    ----------
    folder : path
        Of the training.
    inputs : mapping of str to path
        By label.
    """
    return _of_data(claim_of(folder)["inputs"]) == _of_data(contents_of(inputs))


def _of_data(contents: Mapping) -> dict:
    """The contents of inputs without those of YAMLs, whose values stand in the configuration."""
    return {label: content for label, content in contents.items() if label not in YAMLS}


def begin_experiment(folder: Path, resolved: Mapping, inputs: Mapping[str, Path]) -> None:
    """Claim a folder for a training, or find it claimed by the same one; writes ``config.yaml``.

    With ``--force`` (SV_FORCE=1) the files of another training are moved aside.

    Parameters
    ----------
    folder : path
        ``exp/<name>``.
    resolved : mapping
        The resolved configuration: plain values.
    inputs : mapping of str to path
        What the training depends on besides, by label.

    Raises
    ------
    UserError
        It holds an unfinished training of another configuration or of other data.
    """
    claim = {"config": dict(resolved), "inputs": contents_of(inputs)}
    begun = [name for name in OF_A_TRAINING if (folder / name).exists()]
    if begun or half_moved(folder).exists():
        before = {}
        if BEGUN in begun:
            mend = "choose another --name, or move the folder away"
            before = read_json_object(folder / BEGUN, mend=mend)
        known = before | {"inputs": _of_data(before.get("inputs") or {})} if before else before
        difference = first_difference(known, claim | {"inputs": _of_data(claim["inputs"])})
        if difference and os.environ.get("SV_FORCE") != "1":
            raise UserError(
                f"{folder}: holds an unfinished training of another configuration: {difference}; "
                "choose another --name, or --force to begin anew (the old files are moved aside)"
            )
        if difference:
            place = move_aside(folder, begun)
            print(
                f"{folder}: {difference}: begun anew by --force; the old files are in {place}",
                file=sys.stderr,
            )
    with atomic_write(folder / BEGUN) as file:
        json.dump(claim, file, indent=1)
    with atomic_write(folder / "config.yaml") as file:
        yaml.safe_dump(dict(resolved), file, sort_keys=False)


def write_first_weights(folder: Path, said: Mapping) -> list[Path]:
    """Write which first weights a training has from elsewhere; returns what was written.

    Parameters
    ----------
    folder : path
        ``exp/<name>``.
    said : mapping
        Of network and loss, names of what was taken, new and left; empty: nothing is written.
    """
    if not said:
        return []
    with atomic_write(folder / FIRST_WEIGHTS) as file:
        json.dump(dict(said), file, indent=1)
    return [folder / FIRST_WEIGHTS]
