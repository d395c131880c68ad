"""The section `start_from` of a training YAML: the trained network that a training begins with.

Found and checked here without torch; `fine_tuning` takes its weights.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from utils.data_dir import read_map
from utils.errors import UserError
from utils.pretrained import hashed_speaker, is_model
from utils.pretrained.published import PUBLISHED, default_folder
from utils.pretrained.training_data import (
    PUBLIC,
    TRAINING_DATA,
    training_data_facts,
)
from utils.receipts.contents import fingerprint, first_bad_output, read_receipt
from utils.training.progress import describe_progress


@dataclass
class StartOptions:
    """The section `start_from`; a path alone stands for ``source``.

    Parameters
    ----------
    source : str
        Folder of a finished training, an imported network or a model.  A name without ``/`` is the
        experiment of that name beside the one that is trained, with the same suffixes, but for
        that of --override.
    head : {"auto", "source", "class_means", "random"}
        First rows of the classification head.  ``auto``: those of the source for speakers that it
        has rows of, class means for the others; ``source``: the same, and an error if the source
        has no row of any speaker; ``class_means``: the mean of a speaker's embeddings for all of
        them; ``random``: as the loss draws them.
    """

    source: str
    head: Literal["auto", "source", "class_means", "random"] = "auto"

    def __post_init__(self):
        if not self.source:
            raise ValueError("source is empty, expected the folder of a trained network")


def find_source(source: str, config: Path, experiment: Path, override_name: str = "") -> Path:
    """The folder that ``source`` of a YAML names, for a training in ``experiment``.

    A name without ``/`` is beside the experiment; what follows the YAML's stem in the experiment's
    name (a variant, ``--name``) follows there, too, but for the part that --override gives.
    """
    if "/" in source:
        return Path(source)
    suffix = ""
    if experiment.name.startswith(config.stem):
        suffix = experiment.name.removeprefix(config.stem)
    if override_name:
        suffix = re.sub(rf"-{re.escape(override_name)}(?=-|$)", "", suffix, count=1)
    return experiment.with_name(f"{source}{suffix}")


def refuse_unusable(source: Path, where: str) -> None:
    """Refuse a source that does not exist, or whose training has not finished."""
    if is_model(source):
        return
    for name in PUBLISHED:
        if source == default_folder(name) or source == Path("models") / name:
            raise UserError(
                f"{where}: {source} does not exist yet; fetch it: "
                f"python -m steps.fetch_pretrained {name}"
            )
    if not source.is_dir():
        raise UserError(
            f"{where}: {source}: no such folder, expected a finished experiment or a model folder"
            f"{_note_of_others(source)}"
        )
    try:
        finished_training(source)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _note_of_others(source: Path) -> str:
    """Finished experiments beside a missing one whose names begin alike, for a message."""
    stem = source.name.partition("-")[0]
    found = source.parent.glob(f"{stem}*/receipts/train.json")
    names = sorted(path.parents[1].name for path in found)
    if not names:
        return "; train it first"
    return f"; beside it there are {', '.join(names)}: give the path of one"


def finished_training(experiment: Path) -> dict:
    """The receipt of a finished training; UserError if it is missing, or its outputs are."""
    path = experiment / "receipts" / "train.json"
    receipt = read_receipt(path)
    if receipt is None:
        progress, remedy = describe_progress(experiment), "finish it with steps.train (stage 3)"
        if progress.startswith("running"):
            remedy = "wait until it is done"
        if progress:
            remedy = f"it is {progress}; {remedy}"
        raise UserError(
            f"{path}: missing, expected an experiment whose training has finished; {remedy}"
        )
    fault = first_bad_output(experiment, receipt["outputs"])
    if fault:
        raise UserError(f"{fault}; train the network again (stage 3)")
    return receipt


def listed_speakers(receipt: Mapping) -> list[str] | None:
    """Speakers of a training's data in the order of the classes.

    None if they are not known: the network is imported, or the list is another one by now.
    """
    entry = receipt["inputs"].get("train/utt2spk")
    if entry is None:
        return None
    path = Path(entry["path"])
    if not path.exists() or fingerprint(path) != entry["content"]:
        return None
    return sorted(set(read_map(path).values()))


def class_speeds(augmentation: Mapping | None) -> tuple[float, ...]:
    """The speed of each block of a head's classes; every block has all speakers in their order."""
    options = augmentation or {}
    if not options.get("speed_is_new_speaker", True):
        return (1.0,)
    return tuple(options.get("speed_factors", (1.0,)))


def heard_speakers(source: Path) -> dict[str, Any]:
    """Hashed speakers that a network has heard in all its trainings, for the leakage guard.

    Where nothing is known of them, any published corpus may be among them.
    """
    known = training_data_facts(source).get(TRAINING_DATA, {})
    speakers, corpora = known.get("speakers"), set(known.get("may_have_heard", ()))
    if not is_model(source):
        names = listed_speakers(finished_training(source))
        if names is None:
            corpora.add(PUBLIC)
        own = {hashed_speaker(name) for name in names or ()}
        speakers = own.union(speakers or ())
    if not speakers and not corpora:
        corpora.add(PUBLIC)
    return {"speakers": sorted(speakers or ()), "may_have_heard": sorted(corpora)}
