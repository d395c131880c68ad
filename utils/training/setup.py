"""The start of a training: first weights, a teacher, and checks that the sections fit together."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from utils.augmentation.augmenter import Augmenter
from utils.config import build, read_yaml, refusal
from utils.embeddings.inputs import compare_features, made_features
from utils.features.precomputed import Precomputed
from utils.pretrained.training_data import read_first_network
from utils.torch_device import rank_and_world
from utils.training.checkpoints import take_weights, trained_weights
from utils.training.fine_tuning import rows_of_speeds
from utils.training.objective import Objective, StudentObjective, load_teacher
from utils.training.sampling import NoAugmentation
from utils.training.schedules import Moment
from utils.training.settings import Settings
from utils.training.source import class_speeds

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork

ANY_SPEAKERS = 2  # classes of a loss while the number of speakers is unknown
Registries = tuple[Mapping[str, Callable], Mapping[str, Callable]]  # networks and losses by name


def check_crops(settings: Settings, network: "EmbeddingNetwork", loss: nn.Module) -> None:
    """Check the section `crops` against the network and the loss that the YAML describes.

    UserError if crops are too short or not of the network's fixed length, or if the loss compares
    utterances of a speaker and a batch has only one.
    """
    _check_shortest(settings, network)
    if network.batching == "fixed_samples":
        _check_fixed_length(settings, network.min_samples, network.sample_rate_hz)
    compares_utterances = getattr(loss, "batch_shape", None) == "speakers_x_utterances"
    if compares_utterances and settings.crops.rows_per_speaker < 2:
        raise refusal(
            settings.where("crops"),
            f"the loss {settings.sections['loss']['name']} compares "
            "several utterances of each speaker; give batches: {speakers: N, utterances: M} "
            "with M of 2 or more in place of batch_size",
        )


def _check_shortest(settings: Settings, network: "EmbeddingNetwork") -> None:
    """Refuse crops, and the parts that a student sees, that are too short for the network."""
    lengths = [("crops", "crop_seconds", settings.crops.shortest_seconds)]
    if settings.teacher:
        lengths.append(("teacher", "student_seconds", settings.teacher.student_seconds))
    for section, name, seconds in lengths:
        samples = round(seconds * network.sample_rate_hz)
        if samples < network.min_samples:
            raise refusal(
                settings.where(section),
                f"{name} {seconds} are {samples} samples; "
                f"this network takes {network.min_samples} or more",
            )


def _check_fixed_length(settings: Settings, wanted: int, sample_rate_hz: int) -> None:
    """Refuse crops of another length than the network's fixed one, and a teacher."""
    lengths = settings.crops.lengths(sample_rate_hz)
    if lengths != wanted:
        samples = lengths if isinstance(lengths, int) else f"{lengths[0]} to {lengths[-1]}"
        raise refusal(
            settings.where("crops"),
            f"crop_seconds are {samples} samples; this network takes {wanted} only",
        )
    if settings.teacher:
        raise refusal(
            settings.where("teacher"),
            f"this network takes crops of {wanted} samples only, "
            "and a student sees less; remove the section",
        )


def length_of_training(settings: Settings, epoch_size: int) -> int:
    """Number of steps of a training with ``epoch_size`` draws in an epoch.

    UserError if there is no step, the processes cannot share the batches equally, or the schedule
    does not fit.
    """
    section, batch_size = "crops", settings.crops.rows_per_batch
    try:
        settings.crops.check_shares(rank_and_world()[1])
        section = "training"
        steps = settings.training.total_steps(epoch_size, batch_size)
        section = "schedule"
        settings.schedule.rate(Moment(0, steps, epoch_size / batch_size))
    except ValueError as error:
        raise refusal(settings.where(section), str(error)) from None
    return steps


def first_weights(
    settings: Settings, network: nn.Module, loss: nn.Module, before: Path | None
) -> dict[str, dict]:
    """Copy the weights that a phase takes from the phase before into network and loss.

    Returns for both the names ``taken``, ``new`` and ``left`` (see `take_weights`), or nothing if
    the phase starts with random weights.  UserError if the weights do not fit.
    """
    phase = settings.phase
    if phase is None or phase.weights_from == "random":
        return {}
    assert before is not None  # the first phase takes none
    modules, states = (network, loss), trained_weights(before)
    origins = _take_from(settings, modules, states, _speeds(before), str(before))
    if rank_and_world()[0] == 0:
        for name, lists in origins.items():
            numbers = "; ".join(f"{len(names)} {kind}" for kind, names in lists.items())
            print(
                f"   {phase.title}: {name}: {numbers} (tensors by name: first_weights.json)",
                file=sys.stderr,
            )
    source = read_first_network(before)
    if source:
        origins["source"] = source
    return origins


def _take_from(
    settings: Settings,
    modules: tuple[nn.Module, nn.Module],
    states: tuple[Mapping, Mapping],
    speeds: tuple[float, ...],
    where: str,
) -> dict[str, dict]:
    """Copy weights of network and loss, whose classes had these speeds, into those of a phase.

    UserError, which names ``where`` the weights are: they do not fit.
    """
    phase, augmentation = settings.phase, settings.sections.get("augmentation")
    assert phase is not None
    origins: dict[str, dict] = {}
    for name, module, state in zip(("network", "loss"), modules, states, strict=True):
        if name == "loss" and phase.weights_from == "previous":
            origins[name] = {"taken": [], "new": list(module.state_dict()), "left": list(state)}
            continue
        try:
            if name == "loss":
                state = rows_of_speeds(state, speeds, class_speeds(augmentation))
            origins[name] = take_weights(module, state)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise refusal(
                settings.where("weights_from"), f"{name}: {reason}; the weights are of {where}"
            ) from None
    return origins


def _speeds(experiment: Path) -> tuple[float, ...]:
    """The speeds that make classes in a training."""
    return class_speeds(read_yaml(experiment / "config.yaml").get("augmentation"))


def freeze(settings: Settings, objective: Objective, num_speakers: int) -> None:
    """Freeze the parameters that the settings name, and say how many; UserError as `freeze_named`.

    Fewer speakers than dimensions span a part of the space of embeddings, and the loss says nothing
    of the rest: ``freeze_if_few`` keeps the layers that made it.
    """
    number = freeze_named(settings, objective, num_speakers)
    note, dimensions = "", objective.network.embedding_dim
    if settings.freeze_if_few and num_speakers < dimensions:
        note = (
            f": {num_speakers:,} speakers, fewer than the embedding's {dimensions:,} dimensions, "
            "say too little of the layers before the last"
        )
    elif settings.freeze_if_few:
        note = f": {num_speakers:,} speakers are enough for the layers before the last, too"
    if (settings.freeze or note) and rank_and_world()[0] == 0:
        total = sum(parameter.numel() for parameter in objective.parameters())
        print(f"   {number:,} of {total:,} parameters are frozen{note}", file=sys.stderr)


def freeze_named(settings: Settings, objective: Objective, num_speakers: int) -> int:
    """Freeze the parameters that the settings name for so many speakers; returns how many numbers.

    UserError if a pattern matches no name, or nothing is left to train.
    """
    patterns = list(settings.freeze)
    if num_speakers < objective.network.embedding_dim:
        patterns += settings.freeze_if_few
    section = "freeze"
    if settings.freeze_if_few:
        section = "freeze, freeze_if_few"
    if not patterns and not settings.freeze_if_few:
        return 0
    try:
        objective.refuse_unknown(settings.freeze_if_few)  # also where there are many speakers
        return objective.freeze(patterns)
    except ValueError as error:
        raise refusal(settings.where(section), str(error)) from None


def check_phases(
    phases: Sequence[Settings], utterances: np.ndarray | None, seed: int, registries: Registries
) -> Objective:
    """Build network and loss of each phase, as `steps.train` does, before the first one trains.

    ``utterances`` are those of each speaker; None: they are unknown.  ``registries`` are networks
    and losses by name.  Returns what the first phase trains.  UserError: an option is wrong, crops,
    speakers or schedule do not fit, a name to freeze matches nothing, or weights of a phase do not
    fit the next one.
    """
    before: Objective | None = None
    speeds: tuple[float, ...] = ()
    objectives = []
    for settings in phases:
        num_speakers = ANY_SPEAKERS if utterances is None else len(utterances)
        objective = build_objective(settings, num_speakers, registries)
        objectives.append(objective)
        if before and settings.phase and settings.phase.weights_from != "random":
            modules = (objective.network, objective.loss)
            states = (before.network.state_dict(), before.loss.state_dict())
            _take_from(settings, modules, states, speeds, "the phase before")
        if utterances is None:
            num_speakers = objective.network.embedding_dim  # not few
        freeze_named(settings, objective, num_speakers)
        make_optimizer(settings, objective)
        if utterances is not None:
            _check_length(settings, utterances, seed)
        before, speeds = objective, class_speeds(settings.sections.get("augmentation"))
    return objectives[0]


def _check_length(settings: Settings, utterances: np.ndarray, seed: int) -> None:
    """Refuse speakers that fill no batch, and a length or a schedule that does not fit them."""
    labels = np.repeat(np.arange(len(utterances)), utterances).tolist()
    try:
        order = settings.crops.order(labels, seed)
    except ValueError as error:
        raise refusal(settings.where("crops"), str(error)) from None
    length_of_training(settings, order.epoch_size)


def build_objective(settings: Settings, num_speakers: int, registries: Registries) -> Objective:
    """Network and loss with random weights; UserError if options are wrong or do not fit."""
    models, losses = registries
    network = build(models, settings.sections["model"], settings.where("model"))
    loss = build(
        losses,
        settings.sections["loss"],
        settings.where("loss"),
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers * settings.augmentation.classes_per_speaker,
    )
    check_crops(settings, network, loss)
    return Objective(network, loss)


def make_optimizer(settings: Settings, objective: Objective) -> torch.optim.Optimizer:
    """The optimiser of what is not frozen; UserError if an option does not fit."""
    try:
        return settings.optimizer.make(objective)
    except ValueError as error:
        raise refusal(settings.where("optimizer"), str(error)) from None


def open_augmentation(
    settings: Settings,
    network: "EmbeddingNetwork",
    train_data: Path,
    dev_data: Path | None,
    bank: Path | None,
) -> Augmenter | NoAugmentation:
    """The augmentation of crops; none for features, after a check that dev features agree."""
    if not isinstance(network.front_end, Precomputed):
        return settings.open_augmentation(bank, network.sample_rate_hz)
    if dev_data is not None:
        compare_features(dev_data, made_features(train_data), train_data)
    return NoAugmentation()


def add_teacher(
    settings: Settings,
    network: "EmbeddingNetwork",
    loss: nn.Module,
    folder: Path,
    device: str,
    registries: Registries,
) -> tuple[StudentObjective, str]:
    """The student with its teacher (an experiment folder), and the digest of the teacher's weights.

    UserError if the teacher does not fit.
    """
    options = settings.teacher
    assert options is not None  # without the section there is no folder
    teacher, digest = load_teacher(folder, options.checkpoint, *registries)
    own_hz, teacher_hz = network.sample_rate_hz, teacher.network.sample_rate_hz
    if own_hz != teacher_hz:
        raise refusal(
            settings.where("teacher"),
            f"{folder} takes {teacher_hz} Hz, this network {own_hz} Hz",
        )
    student_samples = round(options.student_seconds * own_hz)
    try:
        objective = StudentObjective(network, loss, teacher, options, student_samples)
    except ValueError as error:
        raise refusal(settings.where("teacher"), str(error)) from None
    teacher.to(torch.device(device))
    return objective, digest
