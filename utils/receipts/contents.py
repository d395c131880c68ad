"""Content of receipts, and its comparison with the present files."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.config import yaml_files
from utils.errors import UserError
from utils.files import file_sha256, read_json

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
    """The content of a receipt, or None if it is missing.

    Raises
    ------
    UserError
        The file is not a receipt as `Task.finish` writes it.
    """
    try:
        receipt = read_json(path)
    except FileNotFoundError:
        return None
    except ValueError:
        receipt = None
    if not _is_receipt(receipt):
        raise UserError(f"{path}: not a receipt; remove it to have the work done again")
    return receipt


def existing_receipt(path: Path) -> dict:
    """The content of the receipt of work that is known to be done; raises as `read_receipt`."""
    receipt = read_receipt(path)
    assert receipt is not None, f"{path} was there"
    return receipt


def _is_receipt(value: object) -> bool:
    if not isinstance(value, dict) or not _has(value, ENTRIES):
        return False
    if not isinstance(value.get("values", {}), dict):
        return False
    for name, entries in PARTS.items():
        if not all(_has(part, entries) for part in value[name].values()):
            return False
    job = str(value["options"].get("job", "1/1"))
    return re.fullmatch(r"[1-9]\d*/[1-9]\d*", job) is not None


def _has(value: object, entries: Entries) -> bool:
    """True for a mapping that has these entries, each of its type."""
    if not isinstance(value, dict):
        return False
    return all(isinstance(value.get(name), kind) for name, kind in entries.items())


def fingerprint(path: Path, is_config: bool = False) -> str:
    """SHA-256 of a file; for a receipt, of its outputs' checksums.

    ``is_config``: the file is a YAML, and its base counts as a part of it.
    """
    if path.parent.name == "receipts" and path.suffix == ".json":
        receipt = existing_receipt(path)
        content = json.dumps([receipt["step"], receipt["outputs"]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
    files = yaml_files(path) if is_config else [path]
    if len(files) == 1:
        return file_sha256(path)
    checksums = "".join(file_sha256(file) for file in files)
    return hashlib.sha256(checksums.encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """A difference between a receipt and today.

    ``summary`` is for the line of a stage.  ``detail`` has the name, the old and the new value:
    options as JSON, contents as the first digits of their checksums.
    """

    summary: str
    detail: str


DIGITS = 12  # of a checksum that is shown


def changed_input(
    label: str, recorded: Mapping | None, path: Path | None, is_config: bool = False
) -> Change | None:
    """How an input differs from its ``path`` and ``content`` in a receipt; None if it does not.

    ``recorded`` is None if the receipt has no such input, ``path`` if the step has none today;
    ``is_config`` as in `fingerprint`.
    """
    before = f"{recorded['content'][:DIGITS]} ({recorded['path']})" if recorded else "none"
    if path is None:
        assert recorded is not None, "a receipt's input, or today's"
        return Change(
            f"input {label} ({recorded['path']}) was removed", f"input {label}: {before} -> none"
        )
    if path.exists():
        now = fingerprint(path, is_config)
        shown = now[:DIGITS]
    else:
        now, shown = None, "missing"
    detail = f"input {label}: {before} -> {shown} ({path})"
    if recorded is None:
        return Change(f"input {label} ({path}) was added", detail)
    if now is None:
        return Change(f"1 file gone: {path}", f"1 file gone: {path} (input {label})")
    if now == recorded["content"]:
        return None
    return Change(f"{path} changed", detail)


def changed_values(kind: str, before: Mapping, now: Mapping) -> Iterator[tuple[str, Change]]:
    """The entries of two mappings of JSON values that differ, each with its name.

    ``kind`` is what messages call them, for example ``option``.
    """
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) == now.get(name):
            continue
        old, new = json.dumps(before.get(name)), json.dumps(now.get(name))
        change = Change(f"{kind} {name} was {old}, is {new}", f"{kind} {name}: {old} -> {new}")
        yield name, change


def first_bad_output(home: Path, outputs: Mapping[str, Mapping]) -> str:
    """The first of `bad_outputs`; empty if all are good."""
    return next(bad_outputs(home, outputs), "")


def bad_outputs(
    home: Path, outputs: Mapping[str, Mapping], read_all: bool = False
) -> Iterator[str]:
    """A message for each output that is missing or altered.

    Names are relative to home, each with ``bytes`` and ``sha256``; ``read_all`` compares the
    content of large files too.
    """
    for name, facts in outputs.items():
        path = home / name
        if not os.path.isfile(path):  # of a device or a pipe, the content may have no end
            yield f"{path} is missing"
            continue
        size = path.stat().st_size
        if size != facts["bytes"]:
            yield f"{path} has {size} bytes, {facts['bytes']} were written"
        elif (read_all or size <= SMALL_BYTES) and file_sha256(path) != facts["sha256"]:
            yield f"{path} is not what was written (checksum differs)"
