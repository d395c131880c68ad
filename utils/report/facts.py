"""What the report says of the experiment as a whole: when, from which commit, which network, how long it was trained.

All of it stands in receipts: the page says the same whenever it is made.
"""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from utils.config import read_yaml
from utils.receipts.contents import existing_receipt, read_receipt
from utils.report.render import render


def facts_part(experiment: Path) -> Markup:
    """Date, commit, network and its size, and hours of training, as far as receipts tell.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    evaluated = read_receipt(experiment / "receipts" / "evaluate.json") or {}
    trained = home_of_network(experiment)
    facts = [
        ("evaluated", evaluated.get("finished", "")[:10]),
        ("commit", evaluated.get("commit", "")),
        ("network", _network_of(trained)),
        ("training", _training_of(trained, evaluated.get("commit", ""))),
    ]
    return render("facts.html", facts=[(name, value) for name, value in facts if value])


def home_of_network(experiment: Path) -> Path:
    """Where the network of an experiment was trained: there, or where its embeddings say.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    if (experiment / "receipts" / "train.json").exists():
        return experiment
    for path in sorted(experiment.glob("embeddings/*/receipts/extract.*.json")):
        model = existing_receipt(path)["inputs"].get("model", {"path": ""})
        trained = Path(model["path"])
        if trained.exists() and trained.name == "train.json":
            return trained.parents[1]
    return experiment


def _network_of(experiment: Path) -> str:
    """Name and size of the network."""
    path = experiment / "config.yaml"
    model = (read_yaml(path) if path.exists() else {}).get("model", {})
    receipt = read_receipt(experiment / "receipts" / "train.json") or {"counts": {}}
    size = receipt["counts"].get("parameters")
    told = f"{size:,} parameters" if size else ""
    return ", ".join(filter(None, [model.get("name", ""), told]))


def _training_of(experiment: Path, evaluated_at: str) -> str:
    """How long the network was trained, where, when, and from which commit if that is another one."""
    paths = [
        *sorted(experiment.glob("phases/*/receipts/train.json")),
        experiment / "receipts" / "train.json",
    ]
    receipts = [receipt for receipt in map(read_receipt, paths) if receipt]
    if not receipts:
        return ""
    last, counts = receipts[-1], receipts[-1]["counts"]
    if "imported" in last["options"]:
        return "none here: the weights are imported"
    seconds = sum(receipt["seconds"] for receipt in receipts)
    hours = f"{seconds / 3600:,.2f} hours" if seconds >= 36 else "less than 0.01 hours"
    words = [f"{hours} since it was resumed" if resumed(paths) else hours]
    steps = sum(receipt["counts"].get("steps", 0) for receipt in receipts)
    words += [f"{steps:,} steps"] if steps else []
    if "processes" in counts and "device" in counts:
        number = counts["processes"]
        words.append(f"{number} process{'es' if number > 1 else ''} on {counts['device']}")
    words.append(last.get("finished", "")[:10])
    commit = last.get("commit", "")
    words.append(f"commit {commit}" if commit not in ("", evaluated_at) else "")
    return ", ".join(filter(None, words))


def resumed(receipts: Sequence[Path]) -> bool:
    """Whether a training was interrupted: a receipt has the seconds of the last process alone.

    Parameters
    ----------
    receipts : sequence of path
        Of its phases; beside each, TensorBoard has a file for every process that wrote.
    """
    logs = [path.parents[1] / "tensorboard" for path in receipts]
    return any(len(list(log.glob("events.out.*"))) > 1 for log in logs)
