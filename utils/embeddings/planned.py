"""What is known of embeddings before there are any: the network that will make them, and whose utterances they will be of.

The commands of a plan are gone through in their order, and each tells here what those behind it may ask.
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
    """An experiment will have this network.

    Parameters
    ----------
    experiment : path
        Its folder.
    section : mapping
        ``model`` of the YAML.
    """
    MODE.note(NETWORK, experiment, dict(section))


def note_embeddings(folder: Path, experiment: Path, data: Path) -> None:
    """A folder will hold embeddings of a data directory by the network of an experiment.

    Parameters
    ----------
    folder, experiment, data : path
        All three.
    """
    MODE.note(MODEL, folder, experiment)
    MODE.note(EMBEDDED, folder, data)


def note_packed(packed: Path, data: Path, sample_rate_hz: int, has_pieces: bool) -> None:
    """A folder will hold the utterances of a data directory at this rate, or pieces of them.

    Parameters
    ----------
    packed, data : path
        Both.
    sample_rate_hz : int
        Of the packed audio.
    has_pieces : bool
        Utterances are taken to pieces, of which nobody knows the number.
    """
    MODE.note(RATE, packed, sample_rate_hz)
    if not has_pieces:
        MODE.note(SOURCE, packed, data)


def note_speakers(data: Path, utterances: Mapping[str, int]) -> None:
    """A data directory will hold so many utterances of these speakers.

    Parameters
    ----------
    data : path
        Its folder.
    utterances : mapping of str to int
        Speaker -> how many.
    """
    MODE.note(SPEAKERS, data, dict(utterances))


def rate_of_packed(packed: Path) -> int | None:
    """Sample rate in Hz that a folder will have; None: nobody said.

    Parameters
    ----------
    packed : path
        Data directory.
    """
    return MODE.noted(RATE, packed)


def network_of(experiment: Path) -> dict | None:
    """Section ``model`` of an experiment's network, made or planned; None where neither is known.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    planned = MODE.noted(NETWORK, experiment)
    config = experiment / "config.yaml"
    if planned is None and config.exists():
        return read_yaml(config).get("model")
    return planned


def dimensions_of(folder: Path, models: Callable[[], Mapping[str, Callable]]) -> int | None:
    """Dimensions that the embeddings of a folder will have; None where nobody knows.

    Parameters
    ----------
    folder : path
        Of embeddings.
    models : callable
        Gives the registry of networks: asked only where the YAML does not say the number, since it takes torch.
    """
    experiment = MODE.noted(MODEL, folder)
    section = network_of(experiment) if experiment else None
    made = folder / "receipts" / "collect_embeddings.json"
    if experiment is None and made.exists():
        return existing_receipt(made)["counts"].get("dimension")
    if section is None:
        return None
    if "embedding_dim" in section:
        return section["embedding_dim"]
    return resolved_options(models(), section).get("embedding_dim")


def utterances_of_embeddings(folder: Path) -> np.ndarray | None:
    """Of how many utterances of each speaker a folder will have embeddings; None where nobody knows.

    Parameters
    ----------
    folder : path
        Of embeddings.

    Returns
    -------
    (K,) int array or None
        As of `utterances_of_speakers`.
    """
    data = MODE.noted(EMBEDDED, folder)
    return None if data is None else utterances_of_speakers(data / "utt2spk")


def utterances_of_speakers(utt2spk: Path) -> np.ndarray | None:
    """Utterances of each speaker of a data directory, or of the one that it will be made of; None where neither is there yet.

    Parameters
    ----------
    utt2spk : path
        List of the directory.

    Returns
    -------
    (K,) int array or None
        Where the list is not there yet it may be a few more than there will be.
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
    return np.array(list(Counter(read_map(utt2spk).values()).values()))
