"""What a training begins with: first weights from the phase before, a teacher, and sections that fit the network and the loss."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from utils.errors import UserError
from utils.torch_device import rank_and_world
from utils.training.checkpoints import take_weights, trained_weights
from utils.training.objective import TaughtObjective, load_teacher
from utils.training.schedules import Moment
from utils.training.settings import Settings

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork


def fits_crops(settings: Settings, network: "EmbeddingNetwork", loss: nn.Module) -> None:
    """Hold the section `crops` against what network and loss take.

    Parameters
    ----------
    settings : Settings
        The YAML.
    network, loss : torch.nn.Module
        Made from it.

    Raises
    ------
    UserError
        Crops are too short, or not of the network's only length; or the loss compares utterances of a speaker and batches have one of each.
    """
    _fits_shortest(settings, network)
    if network.batching == "fixed_samples":
        _fits_only_length(settings, network.min_samples, network.sample_rate_hz)
    compares = getattr(loss, "batch_shape", None) == "speakers_x_utterances"
    if compares and settings.crops.rows_per_speaker < 2:
        raise UserError(
            f"{settings.where('crops')}: the loss {settings.sections['loss']['name']} compares "
            "several utterances of each speaker; give batches: {speakers: N, utterances: M} "
            "with M of 2 or more in place of batch_size"
        )


def _fits_shortest(settings: Settings, network: "EmbeddingNetwork") -> None:
    """Refuse crops, and parts of them for a student, that are too short for the network."""
    lengths = [("crops", "crop_seconds", settings.crops.shortest_seconds)]
    if settings.teacher:
        lengths.append(("teacher", "student_seconds", settings.teacher.student_seconds))
    for section, name, seconds in lengths:
        samples = round(seconds * network.sample_rate_hz)
        if samples < network.min_samples:
            raise UserError(
                f"{settings.where(section)}: {name} {seconds} are {samples} samples; "
                f"this network takes {network.min_samples} or more"
            )


def _fits_only_length(settings: Settings, wanted: int, sample_rate_hz: int) -> None:
    """Refuse crops of another length than the network's only one, and a student's part of them."""
    found = settings.crops.lengths(sample_rate_hz)
    if found != wanted:
        if isinstance(found, int):
            said = f"{found} samples"
        else:
            said = f"{found[0]} to {found[-1]} samples"
        raise UserError(
            f"{settings.where('crops')}: crop_seconds are {said}; this network takes {wanted} only"
        )
    if settings.teacher:
        raise UserError(
            f"{settings.where('teacher')}: this network takes crops of {wanted} samples only, "
            "and a student hears less"
        )


def length_of_training(settings: Settings, epoch_size: int) -> int:
    """Number of steps.

    Parameters
    ----------
    settings : Settings
        The YAML.
    epoch_size : int
        Draws of an epoch.

    Raises
    ------
    UserError
        Not one step, batches that the processes cannot share evenly, or a schedule that does not fit.
    """
    section, batch_size = "crops", settings.crops.rows_per_batch
    try:
        settings.crops.check_shares(rank_and_world()[1])
        section = "training"
        steps = settings.training.total_steps(epoch_size, batch_size)
        section = "schedule"
        settings.schedule.rate(Moment(0, steps, epoch_size / batch_size))
    except ValueError as error:
        raise UserError(f"{settings.where(section)}: {error}") from None
    return steps


def first_weights(
    settings: Settings, network: nn.Module, loss: nn.Module, before: Path | None
) -> dict[str, dict]:
    """Take the weights that the phase asks for from the phase before, and say what was taken.

    Parameters
    ----------
    settings : Settings
        The phase.
    network, loss : torch.nn.Module
        As they were made; changed.
    before : path or None
        Folder of the phase before.

    Returns
    -------
    dict
        Empty where nothing is asked for; otherwise of `network` and `loss` what is ``taken``, ``new`` and ``left``.

    Raises
    ------
    UserError
        They do not fit.
    """
    phase = settings.phase
    if phase is None or phase.weights_from == "random":
        return {}
    assert before is not None  # the first phase asks for none
    states = trained_weights(before)
    said = {}
    for name, module, state in zip(("network", "loss"), (network, loss), states, strict=True):
        if name == "loss" and phase.weights_from == "previous":
            said[name] = {"taken": [], "new": list(module.state_dict()), "left": list(state)}
            continue
        try:
            said[name] = take_weights(module, state)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{settings.where('weights_from')}: {name}: {reason}; the weights are of {before}"
            ) from None
    if rank_and_world()[0] == 0:
        for name, lists in said.items():
            numbers = "; ".join(f"{len(names)} {kind}" for kind, names in lists.items())
            print(
                f"   {phase.title}: {name}: {numbers} (tensors by name: first_weights.json)",
                file=sys.stderr,
            )
    return said


def taught(
    settings: Settings,
    network: "EmbeddingNetwork",
    loss: nn.Module,
    folder: Path,
    device: str,
    registries: tuple[Mapping[str, Callable], Mapping[str, Callable]],
) -> tuple[TaughtObjective, str]:
    """Network and loss with the teacher of the YAML, and the digest of the teacher's weights.

    Parameters
    ----------
    settings : Settings
        The YAML.
    network, loss : torch.nn.Module
        The student's.
    folder : path
        The teacher's experiment.
    device : str
        Where the teacher goes.
    registries : two mappings
        Networks and losses by name.

    Raises
    ------
    UserError
        The teacher does not fit.
    """
    options = settings.teacher
    assert options is not None  # there is a folder only where there is a section
    teacher, digest = load_teacher(folder, options.checkpoint, *registries)
    own_hz, teacher_hz = network.sample_rate_hz, teacher.network.sample_rate_hz
    if own_hz != teacher_hz:
        raise UserError(
            f"{settings.where('teacher')}: {folder} takes {teacher_hz} Hz, this network {own_hz} Hz"
        )
    student_samples = round(options.student_seconds * own_hz)
    try:
        objective = TaughtObjective(network, loss, teacher, options, student_samples)
    except ValueError as error:
        raise UserError(f"{settings.where('teacher')}: {error}") from None
    teacher.to(torch.device(device))
    return objective, digest
