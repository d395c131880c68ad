"""How the audio of a packed data directory was made, for the provenance of embeddings."""

import json
from collections.abc import Iterable
from pathlib import Path

from utils.files import atomic_write, read_json_object
from utils.receipts.contents import existing_receipt

COPIES = "augmentation.json"  # written by steps.collect_copies
# Sentences that a report shows beside every result on a data directory's trials, one per line.
WATERMARKS = "watermarks"
SOUND = "sound.json"  # written by a step that makes a data directory from a packed one's audio


def vad_when_packed(data: Path) -> str:
    """Use of VAD decisions: ``trimmed when packed``, ``split when packed``, ``none``, ``unknown``.

    `data` is a packed data directory, or one made from it.
    """
    if (data / SOUND).exists():
        return _sound_facts(data)["vad"]
    if (data / COPIES).exists():
        return _copies_facts(data)["vad"]
    options = _packing_options(data)
    if not options:
        return "unknown"
    if options.get("trim"):
        return "trimmed when packed"
    if options.get("split"):
        return "split when packed"
    return "none"


def _packing_options(data: Path) -> dict:
    """Options of steps.pack_audio; none if another program made the data directory."""
    receipts = sorted((data / "receipts").glob("pack_audio.*.json"))
    if not receipts:
        return {}
    return existing_receipt(receipts[0])["options"]


def describe_augmentation(data: Path) -> str:
    """Augmentation on disk: ``none``, or ``originals and copies aug1 by kaldi_voxceleb, seed 1``.

    `data` is a packed data directory, or one of augmented copies.
    """
    if (data / SOUND).exists():
        return _sound_facts(data)["augmentation"]
    if not (data / COPIES).exists():
        return "none"
    facts = _copies_facts(data)
    copies = ", ".join(str(suffix) for suffix in facts["copies"])
    originals = "originals and " if facts["include_originals"] else ""
    return f"{originals}copies {copies} by {facts['policy_name']}, seed {facts['seed']}"


def describe_cut(data: Path) -> str:
    """How utterances were cut, or empty.

    ``cut to 2 s around the centre`` (steps.cut_audio), ``cut to the last 0.79 s`` (packing).
    """
    if (data / SOUND).exists():
        return _sound_facts(data)["cut"]
    if (data / COPIES).exists():
        return _copies_facts(data).get("cut", "")
    seconds = _packing_options(data).get("last_seconds", 0)
    return f"cut to the last {seconds:g} s" if seconds else ""


def _sound_facts(data: Path) -> dict:
    return read_json_object(data / SOUND, {"vad": str, "augmentation": str, "cut": str})


def _copies_facts(data: Path) -> dict:
    return read_json_object(
        data / COPIES,
        {"vad": str, "include_originals": bool, "copies": list, "policy_name": str, "seed": int},
    )


def write_sound_facts(source: Path, output: Path, cut: str = "") -> Path:
    """Write ``sound.json``, the facts about the source's audio with a new cut, if any; its path."""
    facts = {
        "vad": vad_when_packed(source),
        "augmentation": describe_augmentation(source),
        "cut": cut or describe_cut(source),
    }
    with atomic_write(output / SOUND) as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return output / SOUND


def exclude_other_packed(paths: Iterable[Path], packed: Path | None) -> list[Path]:
    """The paths without those in folders of packed audio beside `packed`; None: all.

    For ``data/full/packed_16000``, those in ``data/full/packed_16000_trim`` are left out.
    """
    if packed is None:
        return list(paths)
    others = [path for path in packed.parent.glob("packed_*") if path != packed]
    return [path for path in paths if not any(path.is_relative_to(other) for other in others)]
