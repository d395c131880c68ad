"""First weights from a trained network, and first rows of the head by speaker.

The rows of a head are in blocks of one speed each (`source.class_speeds`), in a block by speaker;
where the loss has sub-centres, a class has several rows.
Shapes: ``N`` classes, ``K`` rows of a class, ``E`` embedding, ``U`` utterances, ``M`` classes that
the source lacks.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from utils.augmentation.signal import change_speed
from utils.config import differences, read_yaml, resolved_options, shown
from utils.embeddings.inference import embed_utterances
from utils.embeddings.inputs import compare_features
from utils.errors import UserError
from utils.files import read_json_object
from utils.pretrained import hashed_speaker, is_model, read_weights
from utils.pretrained.training_data import TRAINING_DATA
from utils.torch_device import rank_and_world, sum_over_processes
from utils.training.checkpoints import (
    read_network_weights,
    trained_weights,
    weights_digest,
)
from utils.training.settings import Settings
from utils.training.source import (
    class_speeds,
    finished_training,
    heard_speakers,
    listed_speakers,
)
from utils.training.values import completed

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader
    from utils.training.objective import Objective

WEIGHTS = "weight_NE"
OF_CLASSES = (WEIGHTS, "bias_N", "center_NE")  # tensors of losses with rows of classes
Class = tuple[str, float]  # a speaker's hashed id, and the speed


@dataclass(frozen=True)
class TrainingSet:
    """Utterances of a training: what `start` needs of them."""

    folder: Path
    reader: "PackedReader | FeatureReader"
    speakers: Sequence[str]  # in the order of the classes
    labels: Sequence[int]  # of the utterances, in the reader's order


@dataclass(frozen=True)
class SourceHead:
    """Rows of a trained head by class, and other weights of its loss."""

    classes: Mapping[Class, int]
    state: Mapping[str, torch.Tensor]

    def rows(self, kind: str) -> torch.Tensor | None:
        """The tensor of this kind, (classes, rows of a class, ...); None if there is none."""
        found = [tensor for name, tensor in self.state.items() if name.endswith(kind)]
        if not found:
            return None
        return found[0].unflatten(0, (len(self.classes), -1))


def start(
    settings: Settings,
    objective: "Objective",
    training_set: TrainingSet,
    models: Mapping[str, Callable],
) -> dict[str, dict]:
    """Give network and head their first weights from the source that the settings name.

    Returns what first_weights.json records.  UserError: the source has another network, or lacks a
    head that is asked for.
    """
    source, where = settings.source, settings.where("start_from")
    assert source is not None
    assert settings.start is not None
    config = read_yaml(source / "config.yaml")
    _refuse_other_network(config, settings, models)
    if "features" in config:
        compare_features(training_set.folder, config["features"], source)
    path, weights = read_network_weights(source)
    network = objective.network
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: {path}: does not fit {source}/config.yaml: {reason}") from None
    origins: dict[str, dict] = {"network": {"taken": list(weights), "new": [], "left": []}}
    head = None
    if settings.start.head in ("auto", "source"):
        head = _find_head(source, config, settings, training_set.speakers)
    try:
        origins |= _start_loss(settings, objective, training_set, head)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    origins["source"] = {
        "name": source.absolute().name,
        "weights": weights_digest(weights),
        TRAINING_DATA: heard_speakers(source),
    }
    if rank_and_world()[0] == 0:
        counts = ", ".join(f"{number} {kind}" for kind, number in origins["head"].items())
        print(f"   starts from {source}; classes of the head: {counts}", file=sys.stderr)
    return origins


def _refuse_other_network(config: Mapping, settings: Settings, models: Mapping) -> None:
    """Refuse a source whose network computes anything else; SpecAugment may differ."""
    where, source = settings.where("start_from"), settings.source
    theirs, own = config["model"], settings.sections["model"]
    if theirs["name"] != own["name"]:
        raise UserError(
            f"{where}: {source} has a network {theirs['name']}, this YAML {own['name']}; "
            "take its section model"
        )
    there, here = _model_options(theirs, models), _model_options(own, models)
    for name, old, new in differences(there, here, "model"):
        raise UserError(
            f"{where}: {source} has another network: {name} is {shown(old)} there, {shown(new)} "
            "here; take its section model"
        )


def _model_options(section: dict, models: Mapping[str, Callable]) -> dict:
    """The options of a network, with defaults, that its embeddings depend on."""
    options = completed({"model": resolved_options(models, section)})["model"]
    return {name: value for name, value in options.items() if name != "spec_augment"}


def _find_head(
    source: Path, config: Mapping, settings: Settings, speakers: Sequence[str]
) -> SourceHead | None:
    """The head of a source with rows of some of the speakers; None if there is no such one."""
    assert settings.start is not None
    try:
        if is_model(source):
            head = _model_head(source)
        else:
            head = _experiment_head(source, config)
        hashed = {hashed_speaker(name) for name in speakers}
        if hashed.isdisjoint(speaker for speaker, _ in head.classes):
            raise ValueError("its head has no row of any of the training speakers")
    except ValueError as error:
        if settings.start.head == "source":
            raise UserError(
                f"{settings.where('start_from')}: head is source, and {source}: {error}; "
                "set head: auto for class means"
            ) from None
        if rank_and_world()[0] == 0:
            print(f"   {source}: {error}; class means instead", file=sys.stderr)
        return None
    return head


def _model_head(model: Path) -> SourceHead:
    """The head of a model folder; ValueError if it has none, or none with names."""
    if not (model / "head.safetensors").exists():
        raise ValueError("it has no head.safetensors")
    listed = read_json_object(model / "head.json")
    hashed = listed.get("hashed")
    if not hashed:
        hashed = [hashed_speaker(name) for name in listed.get("speakers") or ()]
    rows = read_weights(model / "head.safetensors").get(WEIGHTS)
    if not hashed or rows is None or len(rows) % len(hashed):
        raise ValueError("its head.json does not name the speakers of its rows")
    classes = {(speaker, 1.0): number for number, speaker in enumerate(hashed)}
    return SourceHead(classes, {WEIGHTS: torch.from_numpy(rows)})


def _experiment_head(experiment: Path, config: Mapping) -> SourceHead:
    """The head of an experiment's last checkpoint; ValueError if rows and speakers are unknown."""
    speakers = listed_speakers(finished_training(experiment))
    if speakers is None:
        raise ValueError("the speakers of its training are not known, or their list has changed")
    _, state = trained_weights(experiment)
    heads = [tensor for name, tensor in state.items() if name.endswith(WEIGHTS)]
    if len(heads) != 1:
        raise ValueError(f"its loss has {len(heads)} classification heads, expected one")
    classes = _classes(speakers, class_speeds(config.get("augmentation")))
    if len(heads[0]) % len(classes):
        raise ValueError(f"its head has {len(heads[0])} rows, for {len(classes)} classes")
    return SourceHead({name: number for number, name in enumerate(classes)}, state)


def _classes(speakers: Sequence[str], speeds: Sequence[float]) -> list[Class]:
    """Names of the classes of a head, in its order."""
    hashed = [hashed_speaker(speaker) for speaker in speakers]
    return [(speaker, speed) for speed in speeds for speaker in hashed]


def _start_loss(
    settings: Settings,
    objective: "Objective",
    training_set: TrainingSet,
    head: SourceHead | None,
) -> dict[str, dict]:
    """Give the loss its first weights; what first_weights.json says of ``loss`` and ``head``."""
    assert settings.start is not None
    loss, speeds = objective.loss, class_speeds(settings.sections.get("augmentation"))
    classes = _classes(training_set.speakers, speeds)
    state = {name: tensor.cpu().clone() for name, tensor in loss.state_dict().items()}
    weights = [tensor for name, tensor in state.items() if name.endswith(WEIGHTS)]
    if not weights and settings.start.head == "source":
        name = settings.sections["loss"]["name"]
        raise UserError(
            f"head is source, and the loss {name} has no rows of speakers; leave head out"
        )
    known: dict[int, int] = {}
    taken: list[str] = []
    if head:
        known = _known_classes(classes, head)
        taken = [name for name in state if _take(state, name, head, len(classes), known)]
    missing = [number for number in range(len(classes)) if number not in known]
    counts = {"taken": len(known), "random": len(missing)}
    if not weights:
        counts = {"taken": 0}
    elif missing and settings.start.head != "random":
        means_NE = _class_means(objective.network, training_set, speeds, missing)
        for weight in weights:
            _set_means(weight.unflatten(0, (len(classes), -1)), means_NE, missing)
        counts = {"taken": len(known), "class_means": len(missing)}
    loss.load_state_dict(state)
    left: list[str] = []
    if head:
        left = [name for name in head.state if name not in taken]
    new = [name for name in state if name not in taken]
    return {"loss": {"taken": taken, "new": new, "left": left}, "head": counts}


def _known_classes(classes: Sequence[Class], head: SourceHead) -> dict[int, int]:
    """The number of each class that the source has, with its number there."""
    known = {}
    for number, name in enumerate(classes):
        if name in head.classes:
            known[number] = head.classes[name]
    return known


def _take(
    state: Mapping[str, torch.Tensor],
    name: str,
    head: SourceHead,
    num_classes: int,
    known: Mapping[int, int],
) -> bool:
    """Copy a tensor of the source's loss, rows by class; returns whether the source has it."""
    own = state[name]
    kinds = [kind for kind in OF_CLASSES if name.endswith(kind)]
    if not kinds:
        other = head.state.get(name)
        if other is None or other.shape != own.shape:
            return False
        own.copy_(other)
        return True
    theirs = head.rows(kinds[0])
    if theirs is None:
        return False
    rows = own.unflatten(0, (num_classes, -1))
    if rows.shape[1:] != theirs.shape[1:]:
        raise UserError(
            f"{kinds[0]}: {rows.shape[1]} rows of a class, the head of the source has "
            f"{theirs.shape[1]}; give loss.sub_centers the same number, or set "
            "start_from.head: class_means"
        )
    for number, place in known.items():
        rows[number] = theirs[place]
    return True


def _set_means(rows_NKE: torch.Tensor, means_ME: torch.Tensor, missing: Sequence[int]) -> None:
    """Set the first row of each missing class to its mean, as long as the other rows are.

    These are the rows of the source, or without any those that the loss drew.  Further sub-centres
    stay random: equal ones would stay equal.
    """
    others = torch.ones(len(rows_NKE), dtype=torch.bool)
    others[list(missing)] = False
    if not others.any():
        others[:] = True
    length = rows_NKE[others].norm(dim=-1).mean()
    rows_NKE[list(missing), 0] = length * means_ME


def _class_means(
    network: "EmbeddingNetwork",
    training_set: TrainingSet,
    speeds: Sequence[float],
    missing: Sequence[int],
) -> torch.Tensor:
    """Mean embeddings of classes, (classes, E): of vectors of length 1, and of length 1."""
    num_speakers = len(training_set.speakers)
    labels_U = np.asarray(training_set.labels)
    means = np.zeros((len(missing), network.embedding_dim))
    place = {number: row for row, number in enumerate(missing)}
    for block, speed in enumerate(speeds):
        speakers = [number % num_speakers for number in missing if number // num_speakers == block]
        utterances = np.flatnonzero(np.isin(labels_U, speakers)).tolist()
        if not utterances:
            continue
        reader = training_set.reader
        if speed != 1:
            reader = _AtSpeed(reader, speed)  # type: ignore[assignment]
        part_UE = embed_utterances(network, reader, utterances, share=rank_and_world())
        device = next(network.parameters()).device
        embedding_UE = sum_over_processes(part_UE, device).astype(np.float64)
        unit_UE = embedding_UE / np.linalg.norm(embedding_UE, axis=1, keepdims=True)
        rows_U = [place[block * num_speakers + int(label)] for label in labels_U[utterances]]
        np.add.at(means, rows_U, unit_UE)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return torch.from_numpy(means.astype(np.float32))


class _AtSpeed:
    """Utterances of a reader at another speed."""

    def __init__(self, reader: Any, speed: float):
        self.reader, self.speed = reader, speed
        self.num_samples = (np.asarray(reader.num_samples) / speed).astype(np.int64)

    def read(self, index: int, first: int = 0, number: int | None = None) -> np.ndarray:
        """Samples of an utterance from ``first`` on."""
        samples = change_speed(self.reader.read(index), self.speed, int(self.num_samples[index]))
        return samples[first:][:number]


def rows_of_speeds(
    state: Mapping[str, torch.Tensor], before: Sequence[float], now: Sequence[float]
) -> dict[str, torch.Tensor]:
    """The weights of a loss for the classes of some of its speeds, of the same speakers.

    ValueError: a speed was none of the classes before.
    """
    if tuple(before) == tuple(now):
        return dict(state)
    missing = [speed for speed in now if speed not in before]
    if missing:
        raise ValueError(f"speed {missing[0]:g} makes classes here, and made none before")
    chosen = [before.index(speed) for speed in now]
    kept = {}
    for name, tensor in state.items():
        kept[name] = tensor
        if name.endswith(OF_CLASSES):
            kept[name] = tensor.unflatten(0, (len(before), -1))[chosen].flatten(0, 1)
    return kept
