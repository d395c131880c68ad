"""What a packed data directory says of how its sound was made, for the provenance of embeddings."""

import json
from pathlib import Path

from utils.receipt_contents import read_receipt

COPIES = "augmentation.json"  # what steps.collect_copies writes


def vad_of(data: Path) -> str:
    """What voice activity decisions did to packed audio: ``trimmed when packed``, ``split when packed``, ``none``, or ``unknown`` where nothing says so.

    Parameters
    ----------
    data : path
        Packed data directory, or one of augmented copies, which says what its originals were.
    """
    if (data / COPIES).exists():
        return json.loads((data / COPIES).read_text(encoding="utf-8"))["vad"]
    receipt = next((read_receipt(path) for path in sorted((data / "receipts").glob("pack_audio.*.json"))), None)
    if receipt is None:
        return "unknown"
    return next((f"{done} when packed" for option, done in (("trim", "trimmed"), ("split", "split")) if receipt["options"].get(option)), "none")


def augmentation_of(data: Path) -> str:
    """What augmentation did to packed audio: ``none``, or a phrase such as ``2 copies by kaldi_voxceleb, seed 1``.

    Parameters
    ----------
    data : path
        Packed data directory, or one of augmented copies.
    """
    if not (data / COPIES).exists():
        return "none"
    facts = json.loads((data / COPIES).read_text(encoding="utf-8"))
    originals = "originals and " if facts["include_originals"] else ""
    return f"{originals}copies {', '.join(facts['copies'])} by {facts['policy_name']}, seed {facts['seed']}"
