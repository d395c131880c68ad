"""What a packed data directory says of how its sound was made, for the provenance of embeddings."""

import json
from collections.abc import Iterable
from pathlib import Path

from utils.files import atomic_write, read_json_object
from utils.receipts.contents import existing_receipt

COPIES = "augmentation.json"  # what steps.collect_copies writes
WATERMARKS = "watermarks"  # what has to be said beside every figure of a data directory's trials, one sentence on each line
SOUND = "sound.json"  # what a step writes that makes a data directory of a packed one's sound


def vad_of(data: Path) -> str:
    """What voice activity decisions did to packed audio: ``trimmed when packed``, ``split when packed``, ``none`` or ``unknown``.

    Parameters
    ----------
    data : path
        Packed data directory, or one made of it, which says what its originals were.
    """
    if (data / SOUND).exists():
        return sound_facts(data)["vad"]
    if (data / COPIES).exists():
        return copies_facts(data)["vad"]
    options = options_of_packing(data)
    if not options:
        return "unknown"
    return next(
        (
            f"{done} when packed"
            for option, done in (("trim", "trimmed"), ("split", "split"))
            if options.get(option)
        ),
        "none",
    )


def options_of_packing(data: Path) -> dict:
    """Options of the steps.pack_audio that made a data directory; none where another program did.

    Parameters
    ----------
    data : path
        Packed data directory.
    """
    receipts = sorted((data / "receipts").glob("pack_audio.*.json"))
    if not receipts:
        return {}
    return existing_receipt(receipts[0])["options"]


def augmentation_of(data: Path) -> str:
    """What augmentation did to packed audio: ``none``, or a phrase such as ``2 copies by kaldi_voxceleb, seed 1``.

    Parameters
    ----------
    data : path
        Packed data directory, or one of augmented copies.
    """
    if (data / SOUND).exists():
        return sound_facts(data)["augmentation"]
    if not (data / COPIES).exists():
        return "none"
    facts = copies_facts(data)
    originals = "originals and " if facts["include_originals"] else ""
    return f"{originals}copies {', '.join(map(str, facts['copies']))} by {facts['policy_name']}, seed {facts['seed']}"


def cut_of(data: Path) -> str:
    """How the utterances of a data directory were cut: ``cut to 2 s around the centre`` (steps.cut_audio), ``cut to the last 0.79 s`` (packing).

    Parameters
    ----------
    data : path
        Packed data directory, or one made of it.
    """
    if (data / SOUND).exists():
        return sound_facts(data)["cut"]
    if (data / COPIES).exists():
        return copies_facts(data).get("cut", "")
    seconds = options_of_packing(data).get("last_seconds", 0)
    return f"cut to the last {seconds:g} s" if seconds else ""


def sound_facts(data: Path) -> dict:
    """What ``sound.json`` says.

    Parameters
    ----------
    data : path
        Data directory that has one.
    """
    return read_json_object(data / SOUND, {"vad": str, "augmentation": str, "cut": str})


def copies_facts(data: Path) -> dict:
    """What ``augmentation.json`` says.

    Parameters
    ----------
    data : path
        Data directory that has one.
    """
    return read_json_object(
        data / COPIES,
        {"vad": str, "include_originals": bool, "copies": list, "policy_name": str, "seed": int},
    )


def write_sound_facts(source: Path, output: Path, cut: str = "") -> Path:
    """Write ``sound.json``: what was done to the sound of a data directory before another one was made of it.

    Parameters
    ----------
    source, output : path
        Data directories.
    cut : str
        What was done now; empty: nothing.

    Returns
    -------
    path
        What was written.
    """
    facts = {
        "vad": vad_of(source),
        "augmentation": augmentation_of(source),
        "cut": cut or cut_of(source),
    }
    with atomic_write(output / SOUND) as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return output / SOUND


def of_one_cut(paths: Iterable[Path], packed: Path | None) -> list[Path]:
    """Files below a folder of data directories without those of other folders of packed audio than one.

    Parameters
    ----------
    paths : iterable of path
        The files.
    packed : path or None
        ``data/full/packed_16000``: without what lies below ``data/full/packed_16000_trim``, for example; None: all.
    """
    others = (
        []
        if packed is None
        else [path for path in packed.parent.glob("packed_*") if path != packed]
    )
    return [path for path in paths if not any(path.is_relative_to(other) for other in others)]
