"""The content of inputs wherever their folders lie, to compare the work of two folders.

Lists of audio and features have absolute paths, and the receipts of data have such lists among
their outputs.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from utils.archive import read_scp
from utils.receipts.contents import existing_receipt, fingerprint

LIST = ".scp"
WEIGHTS = "checkpoints/"
ENTRY = re.compile(r"(.*?)((?::\d+)?(?:\[[^\]]*\])?)", re.DOTALL)  # file, offset and range


def has_paths(path: Path) -> bool:
    """Whether the digest of an input, as a receipt has it, depends on where folders lie."""
    return path.suffix == LIST or path.parent.name == "receipts"


def content_without_paths(recorded: Mapping) -> str:
    """The digest of an input, the same wherever its folder lies, by its entry in a receipt.

    Of a list: keys, archives by content, offsets; of a receipt: outputs that aren't lists, of a
    training the weights; of another file: its bytes.  Empty if a list or receipt has changed or
    gone since.
    """
    path, content = Path(recorded["path"]), recorded["content"]
    if not has_paths(path):
        return content
    if not path.exists() or fingerprint(path) != content:
        return ""
    known = _list_content(path) if path.suffix == LIST else _receipt_content(path)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _receipt_content(path: Path) -> list:
    """The step of a receipt, and the digests of its outputs that have no paths."""
    receipt = existing_receipt(path)
    digests = {name: facts["sha256"] for name, facts in sorted(receipt["outputs"].items())}
    kept = {name: digest for name, digest in digests.items() if not name.endswith(LIST)}
    # begun.json has digests of lists, and the history has times
    weights = {name: digest for name, digest in kept.items() if name.startswith(WEIGHTS)}
    return [receipt["step"], weights or kept]


def _list_content(path: Path) -> list[list[str]]:
    """Key, archive by its content, and place in it, of each line of a list."""
    archives: dict[str, str] = {}
    lines = []
    for key, entry in read_scp(path).items():
        match = ENTRY.fullmatch(entry)
        assert match, "every text matches"
        file, place = match.groups()
        if file not in archives:
            archives[file] = _archive_content(Path(file))
        lines.append([key, archives[file], place])
    return lines


def _archive_content(path: Path) -> str:
    """The digest of an archive by a receipt beside it; without one, its name and size."""
    for beside in sorted(path.parent.glob("receipts/*.json")):
        facts = existing_receipt(beside)["outputs"].get(path.name)
        if facts:
            return facts["sha256"]
    size_bytes = path.stat().st_size if path.exists() else 0
    return f"{path.name} {size_bytes}"
