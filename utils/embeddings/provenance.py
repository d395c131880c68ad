"""Origin of embeddings: ``provenance.json`` beside each archive, and facts that have to agree."""

import json
from collections.abc import Mapping
from pathlib import Path

from utils.embeddings.rows import Compare
from utils.errors import UserError
from utils.files import read_json_object

# Embeddings that differ in these are not in the same space.
MUST_AGREE = ("model", "front_end", "sample_rate_hz")
# The first two are in "crops" as a text, the third is about enrolment; the digest of the model
# covers the others.
NOT_COMPARED = {
    "protocol",
    "compare",
    "averaging",
    "training_precision",
    "training_batch_norm",
    "training_data",
}
MAX_CHARACTERS = 60  # of a fact in a message


def read_provenance(folder: str | Path) -> dict | None:
    """Facts about the embeddings of a folder, or of those that a back end was trained on.

    None if there are none, as for embeddings from Kaldi. UserError: not a JSON object.
    """
    try:
        return read_json_object(
            Path(folder) / "provenance.json", remedy="extract the embeddings again"
        )
    except FileNotFoundError:
        return None


def compare_provenance(backend: str | Path, embeddings: str | Path) -> list[str]:
    """A line for each fact (VAD, crops, augmentation) in which a back end and embeddings differ.

    UserError: model, front end or sample rate differ, or only one of the two has a provenance.
    """
    recorded, current = read_provenance(backend), read_provenance(embeddings)
    if recorded is None and current is None:
        return []
    if recorded is None or current is None:
        missing = backend
        if current is None:
            missing = embeddings
        raise UserError(
            f"{missing}/provenance.json: missing, expected it to show that {backend} was trained "
            f"on embeddings like those of {embeddings}; make both with the same steps"
        )
    facts = sorted((recorded.keys() | current.keys()) - NOT_COMPARED)
    different = [key for key in facts if recorded.get(key) != current.get(key)]
    for key in MUST_AGREE:
        if key in different:
            raise UserError(
                f"{embeddings}: {key} is {_shorten(current.get(key))}, {backend} was trained on "
                f"{key} {_shorten(recorded.get(key))}; train the back end on embeddings of the "
                "same network"
            )
    lines = []
    for key in different:
        trained, given = _shorten(recorded.get(key)), _shorten(current.get(key))
        lines.append(f"{key}: {backend} was trained on {trained}, {embeddings} has {given}")
    return lines


def refuse_other_network(facts: Mapping, network: str | Path, embeddings: str | Path) -> None:
    """Refuse embeddings that are not of a network, whose provenance has these ``facts``.

    ``network`` is its folder, for the message.
    """
    current = read_provenance(embeddings)
    if current is None:
        raise UserError(
            f"{embeddings}/provenance.json: missing, expected it to show embeddings of {network}; "
            "extract them with steps.extract"
        )
    for key in MUST_AGREE:
        if current.get(key) != facts.get(key):
            raise UserError(
                f"{embeddings}: {key} is {_shorten(current.get(key))}, that of {network} is "
                f"{_shorten(facts.get(key))}; extract the embeddings with this network"
            )


def protocol_name(embeddings: str | Path, enrol_embeddings: str | Path | None = None) -> str:
    """Name of the test protocol of embeddings (``whole`` if they have none).

    If enrolment sides are in another folder and by another protocol: both names, joined by ``-``.
    """
    names = []
    for folder in (enrol_embeddings or embeddings, embeddings):
        facts = read_provenance(folder) or {}
        names.append(facts.get("protocol", "whole"))
    return "-".join(dict.fromkeys(names))


def read_comparison(embeddings: str | Path) -> Compare:
    """Which rows of two matrices a trial compares by the test protocol of embeddings."""
    return (read_provenance(embeddings) or {}).get("compare", "all")


def _shorten(value: object) -> str:
    """A fact as a short text."""
    text = json.dumps(value, sort_keys=True)
    if len(text) <= MAX_CHARACTERS:
        return text
    return text[: MAX_CHARACTERS - 3] + "..."
