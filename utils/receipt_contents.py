"""What a receipt says, what a file says, and whether outputs are those that a receipt describes."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import sha256_of

SMALL_BYTES = 1 << 20  # outputs up to this size are compared by content each time, larger ones by size


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
        receipt = json.loads(Path(path).read_text(encoding="utf-8"))
        if not {"format", "options", "inputs", "outputs", "counts", "core_seconds"} <= receipt.keys():
            raise ValueError("incomplete")
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        raise UserError(f"{path}: not a receipt; remove it to have the work done again") from None
    return receipt


def fingerprint(path: Path) -> str:
    """What a file says, in 64 digits: of a receipt the checksums of its outputs, of anything else the content itself.

    Parameters
    ----------
    path : path
        Existing file.
    """
    if path.parent.name == "receipts" and path.suffix == ".json":
        receipt = read_receipt(path)
        return hashlib.sha256(json.dumps([receipt["step"], receipt["outputs"]], sort_keys=True).encode()).hexdigest()
    return sha256_of(path)


def first_bad_output(home: Path, outputs: Mapping[str, Mapping], read_all: bool = False) -> str:
    """The first output that is missing or altered, as a sentence; empty when all are whole.

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
        if not path.exists():
            return f"{path} is missing"
        size = path.stat().st_size
        if size != facts["bytes"]:
            return f"{path} has {size} bytes, {facts['bytes']} were written"
        if (read_all or size <= SMALL_BYTES) and sha256_of(path) != facts["sha256"]:
            return f"{path} is not what was written (checksum differs)"
    return ""
