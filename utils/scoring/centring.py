"""What embeddings are centred by before they are compared: asked of a back end, and of a score file, whose receipts lead to its back end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils.config import read_yaml
from utils.receipts.contents import read_receipt
from utils.scoring.backend_files import Families, build_backend, read_declared
from utils.scoring.score_files import receipt_of

NOT_CENTRED = "not centred"
TRAINED = "train_backend.json"  # receipt of a back end


def takes_mean(backend: Path, families: Families) -> bool:
    """Whether a back end takes a mean away.

    Parameters
    ----------
    backend : path
        YAML of a back end, or folder of a trained one.
    families : mapping of registries
        As of `utils.scoring.backend_files`.

    Raises
    ------
    UserError
        It is neither.
    """
    options = read_declared(backend)["options"] if backend.is_dir() else read_yaml(backend)
    untrained, _ = build_backend(families, options, str(backend))
    return "mean" in untrained.takes


def centring_of(scores: Path, families: Families) -> str | None:
    """What the embeddings behind a score file were centred by, in words.

    Parameters
    ----------
    scores : path
        Score file with a receipt.
    families : mapping of registries
        As of `utils.scoring.backend_files`.

    Returns
    -------
    str or None
        Such as ``mean of train (960 utterances)`` or ``not centred``; None where that is not known.
    """
    return _centring_of_scores(receipt_of(scores), families)


def centring_of_inputs(inputs: Iterable[Path], families: Families) -> str | None:
    """The same of scores that are made of these inputs: of a back end, or of other scores.

    Parameters
    ----------
    inputs : iterable of path
        Among them receipts of back ends and of score files.
    families : mapping of registries
        As of `utils.scoring.backend_files`.
    """
    texts = []
    for path in inputs:
        if path.name == TRAINED:
            texts.append(_centring_of_backend(path, families))
        elif path.name.startswith("score_") and path.parent.name == "receipts":
            texts.append(_centring_of_scores(path, families))
    known = [text for text in texts if text]
    if not texts or len(known) < len(texts):
        return None
    return "; ".join(dict.fromkeys(part for text in known for part in text.split("; ")))


def _centring_of_scores(path: Path, families: Families) -> str | None:
    """By the receipt of a score file: what it counts, or, where it is an old one, what its inputs lead to."""
    receipt = read_receipt(path)
    if receipt is None:
        return None
    if "centred" in receipt["counts"]:
        return receipt["counts"]["centred"]
    inputs = [Path(entry["path"]) for entry in receipt["inputs"].values()]
    return centring_of_inputs(inputs, families)


def _centring_of_backend(path: Path, families: Families) -> str | None:
    """Of one back end, by its receipt."""
    receipt = read_receipt(path)
    folder = path.parent.parent
    if receipt is None or not (folder / "backend.json").exists():
        return None
    options = read_declared(folder)["options"]
    untrained, _ = build_backend(families, options, str(folder / "backend.json"))
    if not untrained.takes:
        return NOT_CENTRED
    inputs = receipt["inputs"]
    words = " and ".join(part for part in ("mean", "deviation") if part in untrained.takes)
    if "embeddings" not in inputs:
        text = f"{words} that came with an imported back end"
    else:
        number = receipt["counts"].get("embeddings", 0)
        text = f"{words} of {_set_of(inputs, 'embeddings')} ({number:,} utterances)"
    if _centres_by_adaptation(options) and "adaptation" in inputs:
        text = f"{words} of {_set_of(inputs, 'adaptation')}, to which it is adapted"
    return text if "mean" in untrained.takes else f"{NOT_CENTRED}, {text}"


def _set_of(inputs: dict[str, Any], label: str) -> str:
    """Name of a set of embeddings, and of its protocol, by the receipt or the list that stands for the folder."""
    folder = Path(inputs[label]["path"]).parent
    if folder.name == "receipts":
        folder = folder.parent
    if folder.parent.parent.name == "embeddings":
        return f"{folder.parent.name}/{folder.name}"
    return folder.name


def _centres_by_adaptation(options: dict[str, Any]) -> bool:
    """Whether the mean of the adaptation vectors is what goes."""
    return any(link.get("of") == "adaptation" for link in options.get("links", ()))
