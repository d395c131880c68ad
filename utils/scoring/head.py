"""Rows of a network's classification head as a cohort: no audio of other speakers is needed.

A model folder may have them: ``head.safetensors`` with the tensor ``weight_NE``, and ``head.json``
with the ``speakers`` of the rows, or their ``hashed`` ids.  Rows are weights and no embeddings:
their mean is about zero, whatever that of embeddings is, and two of them have about the same
distance as two of any speakers.  So they can stand for speakers where embeddings are compared as
they are, by cosine, and not behind a mean, LDA or PLDA.
"""

from pathlib import Path

import numpy as np

from utils.embeddings.folders import embeddings_inputs
from utils.embeddings.provenance import read_provenance
from utils.errors import UserError
from utils.files import read_json_object
from utils.pretrained.folder import hashed_speaker, is_model, open_model
from utils.pretrained.weights import read_weights
from utils.scoring.cohort import Cohort

HEAD, SPEAKERS, ROWS = "head.safetensors", "head.json", "weight_NE"


def cohort_inputs(cohort: Path) -> dict[str, Path]:
    """A folder of embeddings, or the head of a model folder, as inputs of a step.

    UserError: the model folder has no head.
    """
    if not is_model(cohort):
        return {"cohort": embeddings_inputs(cohort)["embeddings"]}
    for name in (HEAD, SPEAKERS):
        if not (cohort / name).exists():
            raise UserError(
                f"{cohort}: no {name} in it, expected a model folder with the rows of its head, as "
                "the published ecapa's; or give a folder of embeddings as the cohort"
            )
    return {"cohort": cohort / HEAD, "cohort_speakers": cohort / SPEAKERS}


def read_head(folder: Path, embeddings: Path) -> Cohort:
    """The rows of a model's head, by their speakers' names or hashed ids.

    UserError: the head is damaged, or ``embeddings`` are of another network.
    """
    model = open_model(folder)
    facts = read_provenance(embeddings) or {}
    if facts.get("model") != model.provenance.get("model"):
        raise UserError(
            f"{folder}: its network did not make {embeddings}; the rows of a head compare with "
            "embeddings of the same network only"
        )
    rows = read_weights(folder / HEAD).get(ROWS)
    named = read_json_object(folder / SPEAKERS)
    names = named.get("speakers") or named.get("hashed") or []
    if rows is None or rows.ndim != 2 or len(set(names)) != len(rows):
        raise UserError(
            f"{folder / SPEAKERS}: {len(set(names)):,} speakers, expected one for each row of "
            f"{ROWS} in {HEAD}; make the model folder again"
        )
    return Cohort(folder, "speakers", dict.fromkeys(names, ""), np.asarray(rows, np.float32))


def head_speakers(folder: Path, tested: set[str]) -> set[str]:
    """The tested speakers that a head has a row of."""
    named = read_json_object(folder / SPEAKERS)
    known = set(named.get("hashed") or ())
    known |= {hashed_speaker(name) for name in named.get("speakers") or ()}
    return {name for name in tested if hashed_speaker(name) in known}
