"""What embeddings are centred by before comparison, from receipts of back ends and scores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils.config import read_yaml
from utils.pretrained.folder import IDENTITY
from utils.receipts.contents import read_receipt
from utils.scoring.backend_files import Families, build_backend, read_declared
from utils.scoring.score_files import score_receipt

NOT_CENTRED = "not centred"
TRAINED = "train_backend.json"  # receipt of a back end


def takes_mean(backend: Path, families: Families) -> bool:
    """True if a back end (a YAML, or the folder of a trained one) subtracts a mean."""
    if backend.is_dir():
        options = read_declared(backend)["options"]
    else:
        options = read_yaml(backend)
    untrained, _ = build_backend(families, options, str(backend))
    return "mean" in untrained.takes


def read_centring(scores: Path, families: Families) -> str | None:
    """What the embeddings of a score file were centred by; None if that is not known.

    Such as ``mean of train (960 utterances)`` or ``not centred``.
    """
    return _centring_from_scores(score_receipt(scores), families)


def centring_from_inputs(inputs: Iterable[Path], families: Families) -> str | None:
    """The same for scores made from these inputs: from receipts of back ends or scores in them."""
    parts: list[str] = []
    for path in inputs:
        if path.name == TRAINED:
            text = _centring_from_backend(path, families)
        elif path.name == IDENTITY:  # a model without a back end
            text = NOT_CENTRED
        elif path.name.startswith("score_") and path.parent.name == "receipts":
            text = _centring_from_scores(path, families)
        else:
            continue
        if not text:
            return None
        parts += text.split("; ")
    return "; ".join(dict.fromkeys(parts)) or None


def _centring_from_scores(path: Path, families: Families) -> str | None:
    """The same, from the receipt of a score file: as recorded there, else from its inputs."""
    receipt = read_receipt(path)
    if receipt is None:
        return None
    if "centred" in receipt["counts"]:
        return receipt["counts"]["centred"]
    inputs = [Path(entry["path"]) for entry in receipt["inputs"].values()]
    return centring_from_inputs(inputs, families)


def _centring_from_backend(path: Path, families: Families) -> str | None:
    """What a back end centres by, from its receipt; None if that is not known."""
    receipt = read_receipt(path)
    folder = path.parent.parent
    if receipt is None or not (folder / "backend.json").exists():
        return None
    options = read_declared(folder)["options"]
    untrained, _ = build_backend(families, options, str(folder / "backend.json"))
    if not untrained.takes:
        return NOT_CENTRED
    inputs = receipt["inputs"]
    statistics = " and ".join(part for part in ("mean", "deviation") if part in untrained.takes)
    if "embeddings" not in inputs:
        text = f"{statistics} that came with an imported back end"
    else:
        number = receipt["counts"].get("embeddings", 0)
        text = f"{statistics} of {_set_name(inputs, 'embeddings')} ({number:,} utterances)"
    if _centres_by_adaptation(options) and "adaptation" in inputs:
        text = f"{statistics} of {_set_name(inputs, 'adaptation')}, to which it is adapted"
    if "mean" not in untrained.takes:
        return f"{NOT_CENTRED}, {text}"
    return text


def _set_name(inputs: dict[str, Any], label: str) -> str:
    """Name of a set of embeddings, and its protocol, from the path of its receipt or list."""
    folder = Path(inputs[label]["path"]).parent
    if folder.name == "receipts":
        folder = folder.parent
    if folder.parent.parent.name == "embeddings":
        return f"{folder.parent.name}/{folder.name}"
    return folder.name


def _centres_by_adaptation(options: dict[str, Any]) -> bool:
    """True if the mean of the adaptation vectors is subtracted."""
    return any(link.get("of") == "adaptation" for link in options.get("links", ()))
