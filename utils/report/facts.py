"""The report's facts on an experiment: date, commit, network, hours of training.

All of them are read from receipts, so that they don't depend on when the page is made.
"""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from utils.config import read_yaml
from utils.receipts.contents import existing_receipt, read_receipt
from utils.report.render import NOTHING, render


def facts_part(experiment: Path, name: str = "") -> Markup:
    """Date, commit, network and its size, and hours of training, as far as receipts have them.

    With a name the list begins with it, and is empty if nothing else is known.
    """
    evaluated = read_receipt(experiment / "receipts" / "evaluate.json") or {}
    trained = network_folder(experiment)
    facts = [
        ("evaluated", evaluated.get("finished", "")[:10]),
        ("commit", evaluated.get("commit", "")),
        ("network", _describe_network(trained)),
        ("training", _describe_training(trained, evaluated.get("commit", ""))),
    ]
    known = [(title, value) for title, value in facts if value]
    if name:
        if not known:
            return NOTHING
        known.insert(0, ("experiment", name))
    return render("facts.html", facts=known)


def network_folder(experiment: Path) -> Path:
    """The model folder of an experiment's network: its own, or that of its embeddings' receipts."""
    if (experiment / "receipts" / "train.json").exists():
        return experiment
    for path in sorted(experiment.glob("embeddings/*/receipts/extract.*.json")):
        model = existing_receipt(path)["inputs"].get("model", {"path": ""})
        receipt = Path(model["path"])
        if receipt.exists() and receipt.name == "train.json":
            return receipt.parents[1]
    return experiment


def _describe_network(folder: Path) -> str:
    """Name and size of the network in a model folder."""
    words = []
    path = folder / "config.yaml"
    if path.exists():
        words.append(read_yaml(path).get("model", {}).get("name", ""))
    receipt = read_receipt(folder / "receipts" / "train.json")
    if receipt and receipt["counts"].get("parameters"):
        words.append(f"{receipt['counts']['parameters']:,} parameters")
    return ", ".join(filter(None, words))


def _describe_training(folder: Path, evaluation_commit: str) -> str:
    """Duration, steps, device and date of a training; its commit if the evaluation's differs."""
    paths = [
        *sorted(folder.glob("phases/*/receipts/train.json")),
        folder / "receipts" / "train.json",
    ]
    last, seconds, steps = None, 0.0, 0
    for path in paths:
        receipt = read_receipt(path)
        if receipt:
            last = receipt
            seconds += receipt["seconds"]
            steps += receipt["counts"].get("steps", 0)
    if last is None:
        return ""
    if "imported" in last["options"]:
        return "none here: the weights are imported"
    words = [_describe_hours(seconds)]
    if was_resumed(paths):
        words[0] += " since it was resumed"
    if steps:
        words.append(f"{steps:,} steps")
    counts = last["counts"]
    if "processes" in counts and "device" in counts:
        plural = "es" if counts["processes"] > 1 else ""
        words.append(f"{counts['processes']} process{plural} on {counts['device']}")
    words.append(last.get("finished", "")[:10])
    commit = last.get("commit", "")
    if commit not in ("", evaluation_commit):
        words.append(f"commit {commit}")
    return ", ".join(filter(None, words))


def _describe_hours(seconds: float) -> str:
    """A duration in hours, with two digits after the point."""
    if seconds < 36:
        return "less than 0.01 hours"
    return f"{seconds / 3600:,.2f} hours"


def was_resumed(receipts: Sequence[Path]) -> bool:
    """Whether a training of these phases was interrupted; receipts time its last process only.

    Each process writes a TensorBoard file of its own.
    """
    for path in receipts:
        logs = path.parents[1] / "tensorboard"
        if len(list(logs.glob("events.out.*"))) > 1:
            return True
    return False
