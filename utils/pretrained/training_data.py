"""Speakers that a network from elsewhere was trained on, as far as they are known.

A model folder has them in ``provenance.json``, under ``training_data``; extraction copies them into
the provenance of embeddings, so that the leakage guard finds them wherever these go.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import read_json_object
from utils.pretrained.folder import PROVENANCE, hashed_speaker, is_model

TRAINING_DATA = "training_data"
VOXCELEB, PUBLIC = "voxceleb", "public"  # in "may_have_heard"
FIRST_WEIGHTS = "first_weights.json"  # of an experiment; it may name the network it began with
VOXCELEB_SPEAKER = re.compile(r"id\d{5}")


@dataclass(frozen=True)
class TrainedOn:
    """Hashed speakers of a training, and corpora (`VOXCELEB`, `PUBLIC`) that may be in it."""

    speakers: frozenset[str] = frozenset()
    corpora: frozenset[str] = frozenset()

    def known(self, names: Collection[str]) -> set[str]:
        """Those of these speakers that are certainly in the training."""
        if not self.speakers:
            return set()
        return {name for name in names if hashed_speaker(name) in self.speakers}

    def doubt(self, names: Collection[str], is_public: bool) -> str:
        """Why these speakers may be in the training; empty if they are in no such corpus.

        VoxCeleb is known by its speakers' ids; ``is_public``: they are of a published corpus.
        """
        voxceleb = [name for name in names if VOXCELEB_SPEAKER.fullmatch(name)]
        if voxceleb and self.corpora & {VOXCELEB, PUBLIC}:
            return f"{len(voxceleb)} of {len(names)} have ids of VoxCeleb"
        if is_public and PUBLIC in self.corpora:
            return "any published corpus may be in its training"
        return ""


def training_data_facts(source: Path) -> dict[str, dict]:
    """What is known of the speakers that a network has heard, for the provenance of embeddings.

    Of an experiment only those of the network that it began with: its own training data are named
    to the leakage guard.
    """
    if is_model(source):
        recorded = read_json_object(source / PROVENANCE).get(TRAINING_DATA) or {}
    else:
        origin = read_first_network(source)
        if origin is None:
            return {}
        recorded = origin[TRAINING_DATA]
    facts = {
        "speakers": recorded.get("speakers"),
        "may_have_heard": recorded.get("may_have_heard", []),
    }
    return {TRAINING_DATA: facts}


def read_first_network(experiment: Path) -> dict | None:
    """What first_weights.json says of the trained network that an experiment began with, if any."""
    path = experiment / FIRST_WEIGHTS
    if not path.exists():
        return None
    return read_json_object(path).get("source")


def first_network(source: Path) -> str:
    """Digest of the weights that a training began with; empty if they were random."""
    if is_model(source):
        return read_json_object(source / PROVENANCE).get("started_from", "")
    origin = read_first_network(source) or {}
    return origin.get("weights", "")


def read_training_data(facts: Mapping[str, Any], where: Path) -> TrainedOn:
    """The speakers of a network's training, from the provenance of embeddings.

    Empty if it does not name them: a network that was trained here.  Where nothing at all is known
    of a model's training, any published corpus may be in it.  UserError, naming ``where``: the
    entry has another form.
    """
    recorded = facts.get(TRAINING_DATA)
    if recorded is None:
        return TrainedOn()
    if not _is_complete(recorded):
        raise UserError(
            f"{where}: {TRAINING_DATA} lacks the lists 'speakers' and 'may_have_heard'; extract "
            "the embeddings again"
        )
    speakers, corpora = recorded["speakers"], recorded["may_have_heard"]
    if speakers is None and not corpora:
        corpora = [PUBLIC]
    return TrainedOn(frozenset(speakers or ()), frozenset(corpora))


def _is_complete(recorded: object) -> bool:
    """Whether an entry has both lists; that of the speakers may be null."""
    if not isinstance(recorded, Mapping):
        return False
    if not isinstance(recorded.get("may_have_heard"), list):
        return False
    return isinstance(recorded.get("speakers", ""), list | None)
