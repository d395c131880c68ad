"""What a receipt says, what a file says, and whether outputs are those that a receipt describes."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.config import yaml_files
from utils.errors import UserError
from utils.files import read_json, sha256_of

Entries = Mapping[str, type | tuple[type, ...]]

ENTRIES: Entries = {
    "step": str,
    "format": int,
    "options": dict,
    "inputs": dict,
    "outputs": dict,
    "counts": dict,
    "seconds": (int, float),
    "core_seconds": (int, float),
}
PARTS: Mapping[str, Entries] = {  # of each input, of each output
    "inputs": {"path": str, "content": str},
    "outputs": {"bytes": int, "sha256": str},
}
# outputs up to this size are compared by content each time, larger ones by size
SMALL_BYTES = 1 << 20


def read_receipt(path: Path) -> dict | None:
    """The receipt's content, or None where it is missing.

    Parameters
    ----------
    path : path
        The receipt.

    Raises
    ------
    UserError
        It is not what `Task.finish` writes.
    """
    try:
        receipt = read_json(path)
    except FileNotFoundError:
        return None
    except ValueError:
        receipt = None
    if not (
        _has(receipt, ENTRIES)
        and _has({"values": {}} | receipt, {"values": dict})
        and all(
            _has(part, entries)
            for name, entries in PARTS.items()
            for part in receipt[name].values()
        )
        and re.fullmatch(r"[1-9]\d*/[1-9]\d*", str(receipt["options"].get("job", "1/1")))
    ):
        raise UserError(f"{path}: not a receipt; remove it to have the work done again")
    return receipt


def existing_receipt(path: Path) -> dict:
    """The content of a receipt that is there.

    Parameters
    ----------
    path : path
        The receipt, of work that is known to be done.

    Raises
    ------
    UserError
        As `read_receipt`.
    """
    receipt = read_receipt(path)
    assert receipt is not None, f"{path} was there"
    return receipt


def _has(value: object, entries: Entries) -> bool:
    """True of a mapping that has these entries, each of its type."""
    return isinstance(value, dict) and all(
        isinstance(value.get(name), kind) for name, kind in entries.items()
    )


def fingerprint(path: Path, is_config: bool = False) -> str:
    """SHA-256 of a file; of a receipt: of its outputs' checksums.

    Parameters
    ----------
    path : path
        Existing file.
    is_config : bool
        The file is a YAML: its base counts as a part of it.
    """
    if path.parent.name == "receipts" and path.suffix == ".json":
        receipt = existing_receipt(path)
        return hashlib.sha256(
            json.dumps([receipt["step"], receipt["outputs"]], sort_keys=True).encode()
        ).hexdigest()
    files = yaml_files(path) if is_config else [path]
    if len(files) == 1:
        return sha256_of(path)
    return hashlib.sha256("".join(sha256_of(file) for file in files).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """One thing that differs between a receipt and today.

    Attributes
    ----------
    phrase : str
        In words, for the line of a stage.
    detail : str
        By name, with the old value and the new one: options as JSON, contents as the first digits of their checksums.
    """

    phrase: str
    detail: str


DIGITS = 12  # of a checksum that is shown


def changed_input(
    label: str, recorded: Mapping | None, path: Path | None, is_config: bool = False
) -> Change | None:
    """How an input differs from what a receipt says of it; None where it does not.

    Parameters
    ----------
    label : str
        What the step calls it.
    recorded : mapping or None
        ``path`` and ``content`` that the receipt gives; None where the receipt has no such input.
    path : path or None
        Today's; None where the step has no such input any more.
    is_config : bool
        See `fingerprint`.
    """
    before = f"{recorded['content'][:DIGITS]} ({recorded['path']})" if recorded else "none"
    if path is None:
        assert recorded is not None, "a receipt's input, or today's"
        return Change(
            f"input {label} ({recorded['path']}) was taken away", f"input {label}: {before} -> none"
        )
    now = fingerprint(path, is_config) if path.exists() else None
    detail = f"input {label}: {before} -> {now[:DIGITS] if now else 'missing'} ({path})"
    if recorded is None:
        return Change(f"input {label} ({path}) was added", detail)
    if now is None:
        gone = f"1 file gone: {path}"
        return Change(gone, f"{gone} (input {label})")
    return None if now == recorded["content"] else Change(f"{path} changed", detail)


def changed_values(kind: str, before: Mapping, now: Mapping) -> Iterator[tuple[str, Change]]:
    """The entries of two mappings that differ, each with its name.

    Parameters
    ----------
    kind : str
        What they are called, for example ``option``.
    before, now : mapping
        Name -> JSON value.
    """
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            old, new = json.dumps(before.get(name)), json.dumps(now.get(name))
            yield (
                name,
                Change(f"{kind} {name} was {old}, is {new}", f"{kind} {name}: {old} -> {new}"),
            )


def first_bad_output(home: Path, outputs: Mapping[str, Mapping]) -> str:
    """The first of `bad_outputs`; empty when all are whole.

    Parameters
    ----------
    home, outputs : path and mapping
        As there.
    """
    return next(bad_outputs(home, outputs), "")


def bad_outputs(
    home: Path, outputs: Mapping[str, Mapping], read_all: bool = False
) -> Iterator[str]:
    """Each output that is missing or altered, as a sentence.

    Parameters
    ----------
    home : path
        Folder that the names are relative to.
    outputs : mapping
        Name -> {"bytes": int, "sha256": str}.
    read_all : bool
        Compare the content of large files too.
    """
    for name, facts in outputs.items():
        path = home / name
        if not os.path.isfile(path):  # of a device or a pipe, the content may have no end
            yield f"{path} is missing"
            continue
        size = path.stat().st_size
        if size != facts["bytes"]:
            yield f"{path} has {size} bytes, {facts['bytes']} were written"
        elif (read_all or size <= SMALL_BYTES) and sha256_of(path) != facts["sha256"]:
            yield f"{path} is not what was written (checksum differs)"
