"""The leakage guard for networks from elsewhere: what their embeddings say of their training."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from utils.embeddings.provenance import read_provenance
from utils.pretrained.training_data import TrainedOn, read_training_data
from utils.receipts import read_receipt
from utils.scoring.score_files import score_receipt
from utils.trials.leakage import read_speakers

EMBEDDINGS = ("embeddings", "enrol_embeddings")  # inputs of a score file


def trained_on(experiment: Path, scores: Iterable[Path]) -> TrainedOn:
    """Speakers of the trainings of all networks behind the scores of an experiment.

    Found by the receipts of its score files, and in its embeddings, should it have been moved.
    """
    folders = {path.parent for path in experiment.glob("embeddings/**/provenance.json")}
    for path in scores:
        folders |= _embeddings_behind(score_receipt(path))
    speakers: set[str] = set()
    corpora: set[str] = set()
    for folder in folders:
        found = read_training_data(read_provenance(folder) or {}, folder / "provenance.json")
        speakers |= found.speakers
        corpora |= found.corpora
    return TrainedOn(frozenset(speakers), frozenset(corpora))


def _embeddings_behind(receipt_path: Path) -> set[Path]:
    """Folders of the embeddings that scores were made from, through normalisation and fusion."""
    receipt = read_receipt(receipt_path)
    folders: set[Path] = set()
    if receipt is None:
        return folders
    for label, entry in receipt["inputs"].items():
        path = Path(entry["path"])
        if label in EMBEDDINGS and path.parent.name == "receipts":
            folders.add(path.parent.parent)
        elif path.name.startswith("score_") and path.parent.name == "receipts":
            folders |= _embeddings_behind(path)
    return folders


def known_speakers(networks: Mapping[str, TrainedOn], names: Collection[str]) -> set[str]:
    """Those of these speakers that the network of some system was trained on."""
    known: set[str] = set()
    for network in networks.values():
        known |= network.known(names)
    return known


def doubts(networks: Mapping[str, TrainedOn], data: Path, is_public: bool) -> list[str]:
    """A watermark for each system whose network may be trained on the speakers of a test set."""
    speakers = read_speakers([data])
    marks = []
    for system, network in networks.items():
        reason = network.doubt(speakers, is_public)
        if reason:
            marks.append(
                f"leakage is possible: the speakers may have been heard by the network of "
                f"{system}, whose training speakers are not known: {reason}"
            )
    return marks
