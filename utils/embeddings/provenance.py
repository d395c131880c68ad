"""Where embeddings come from: ``provenance.json`` beside each archive, and what may not differ between two of them."""

import json
from pathlib import Path

from utils.embeddings.rows import Compare
from utils.errors import UserError
from utils.files import read_json_object

MUST_AGREE = (
    "model",
    "front_end",
    "sample_rate_hz",
)  # vectors that differ here do not lie in one space


def read_provenance(folder: str | Path) -> dict | None:
    """Facts about the embeddings of a folder, or None where they came without (from Kaldi, say).

    Parameters
    ----------
    folder : path
        Folder of embeddings, or of a back end, which keeps those of its training embeddings.

    Raises
    ------
    UserError
        The file is not a JSON object.
    """
    try:
        return read_json_object(
            Path(folder) / "provenance.json", mend="extract the embeddings again"
        )
    except FileNotFoundError:
        return None


def compare_provenance(backend: str | Path, embeddings: str | Path) -> list[str]:
    """Refuse a back end for embeddings of another origin; say what else differs.

    Parameters
    ----------
    backend, embeddings : path
        The two folders.

    Returns
    -------
    list of str
        One sentence for each fact that differs without harm: VAD, crops, augmentation.

    Raises
    ------
    UserError
        Model, front end or sample rate differ, or only one of the two says where it comes from.
    """
    learned, given = read_provenance(backend), read_provenance(embeddings)
    if (learned is None) != (given is None):
        silent = backend if learned is None else embeddings
        raise UserError(
            f"{silent}/provenance.json is missing: nothing shows that {backend} was trained on embeddings like those of {embeddings}"
        )
    learned, given = learned or {}, given or {}
    unlike = {
        "protocol",
        "compare",
        "training_precision",
        "training_batch_norm",
    }  # the first names what "crops" says in words; the last two are told by the digest of the model
    facts = sorted((learned.keys() | given.keys()) - unlike)
    different = [key for key in facts if learned.get(key) != given.get(key)]
    for key in MUST_AGREE:
        if key in different:
            raise UserError(
                f"{embeddings}: {key} is {_shown(given.get(key))}, {backend} was trained on {key} {_shown(learned.get(key))}; "
                "train the back end on embeddings of the same network"
            )
    return [
        f"{key}: {backend} was trained on {_shown(learned.get(key))}, {embeddings} has {_shown(given.get(key))}"
        for key in different
    ]


def protocol_of(embeddings: str | Path, enrol_embeddings: str | Path | None = None) -> str:
    """Name of the test protocol of embeddings; of both sides', joined by ``-``, where they differ.

    Parameters
    ----------
    embeddings : path
        Folder of the test sides, and of the enrolment sides too.
    enrol_embeddings : path or None
        Folder of the enrolment sides, where it is another one.

    Returns
    -------
    str
        ``whole`` where nothing is said.
    """
    names = [
        (read_provenance(folder) or {}).get("protocol", "whole")
        for folder in (enrol_embeddings or embeddings, embeddings)
    ]
    return "-".join(dict.fromkeys(names))


def comparison_of(embeddings: str | Path) -> Compare:
    """Which rows of two matrices a trial compares, by the test protocol of embeddings: ``all`` or ``paired``.

    Parameters
    ----------
    embeddings : path
        Folder of the test sides.
    """
    return (read_provenance(embeddings) or {}).get("compare", "all")


def _shown(value: object) -> str:
    """A fact as a short text."""
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 60 else text[:57] + "..."
