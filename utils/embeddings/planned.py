"""Facts about embeddings that do not exist yet, for the commands of a plan.

The commands of a plan are checked in their order; each notes facts here that later ones need: the
network that will make embeddings, and the utterances.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from utils.config import read_yaml, resolved_options
from utils.data_dir.lists import read_map
from utils.receipts import MODE, existing_receipt

NETWORK, MODEL, EMBEDDED = "network", "model", "embedded"
SOURCE, SPEAKERS, RATE = "source", "speakers", "rate"


def note_network(experiment: Path, section: Mapping) -> None:
    """Note that an experiment will have the network of a section ``model``."""
    MODE.note(NETWORK, experiment, dict(section))


def note_embeddings(folder: Path, experiment: Path, data: Path) -> None:
    """Note that a folder will have a data directory's embeddings by an experiment's network."""
    MODE.note(MODEL, folder, experiment)
    MODE.note(EMBEDDED, folder, data)


def note_packed(packed: Path, data: Path, sample_rate_hz: int, has_pieces: bool) -> None:
    """Note that a folder will have a data directory's packed utterances, or pieces of them."""
    MODE.note(RATE, packed, sample_rate_hz)
    if not has_pieces:  # the number of pieces is unknown
        MODE.note(SOURCE, packed, data)


def note_speakers(data: Path, utterances: Mapping[str, int]) -> None:
    """Note that a data directory will have these numbers of utterances by speaker."""
    MODE.note(SPEAKERS, data, dict(utterances))


def planned_rate_hz(packed: Path) -> int | None:
    """Sample rate in Hz that a folder will have; None: unknown."""
    return MODE.noted(RATE, packed)


def read_model_section(experiment: Path) -> dict | None:
    """Section ``model`` of an experiment's network, existing or planned; None: unknown."""
    planned = MODE.noted(NETWORK, experiment)
    config = experiment / "config.yaml"
    if planned is None and config.exists():
        return read_yaml(config).get("model")
    return planned


def planned_dimensions(folder: Path, models: Callable[[], Mapping[str, Callable]]) -> int | None:
    """Dimensions that the embeddings of a folder will have; None: unknown.

    ``models`` returns the registry of networks; it is called only if the YAML lacks the number,
    since it imports torch.
    """
    experiment = MODE.noted(MODEL, folder)
    receipt = folder / "receipts" / "collect_embeddings.json"
    if experiment is None:
        if receipt.exists():
            return existing_receipt(receipt)["counts"].get("dimension")
        return None
    section = read_model_section(experiment)
    if section is None:
        return None
    if "embedding_dim" in section:
        return section["embedding_dim"]
    return resolved_options(models(), section).get("embedding_dim")


def utterances_of_embeddings(folder: Path) -> np.ndarray | None:
    """(K,) embeddings of each speaker that a folder will have; None: unknown."""
    data = MODE.noted(EMBEDDED, folder)
    if data is None:
        return None
    return utterances_of_speakers(data / "utt2spk")


def utterances_of_speakers(utt2spk: Path) -> np.ndarray | None:
    """(K,) numbers of utterances of the speakers of an existing or planned list; None: unknown.

    Numbers of a planned list may be a little too large, since steps drop utterances.
    """
    data = utt2spk.parent
    while not utt2spk.exists():
        planned = MODE.noted(SPEAKERS, data)
        if planned is not None:
            return np.array(list(planned.values()))
        source = MODE.noted(SOURCE, data)
        if source is None:
            return None
        data, utt2spk = source, source / "utt2spk"
    counts = Counter(read_map(utt2spk).values())
    return np.array(list(counts.values()))
