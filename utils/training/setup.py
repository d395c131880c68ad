"""What a training begins with: first weights from the phase before, a teacher, and sections that fit the network and the loss."""

import sys
from pathlib import Path

import torch
from torch import nn

from utils.errors import UserError
from utils.torch_device import rank_and_world
from utils.training.checkpoints import take_weights, trained_weights
from utils.training.objective import TaughtObjective, load_teacher
from utils.training.schedules import Moment
from utils.training.settings import Settings


def fits_crops(settings: Settings, network: nn.Module, loss: nn.Module) -> None:
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
    crops, teacher = settings.crops, settings.teacher
    lengths = [("crops", "crop_seconds", crops.shortest_seconds)] + (
        [("teacher", "student_seconds", teacher.student_seconds)] if teacher else []
    )
    for section, name, seconds in lengths:
        if (samples := round(seconds * network.sample_rate_hz)) < network.min_samples:
            raise UserError(
                f"{settings.where(section)}: {name} {seconds} are {samples} samples; this network takes {network.min_samples} or more"
            )
    if (
        network.batching == "fixed_samples"
        and (found := crops.lengths(network.sample_rate_hz)) != network.min_samples
    ):
        said = (
            f"{found} samples" if isinstance(found, int) else f"{found[0]} to {found[-1]} samples"
        )
        raise UserError(
            f"{settings.where('crops')}: crop_seconds are {said}; this network takes {network.min_samples} only"
        )
    if network.batching == "fixed_samples" and teacher:
        raise UserError(
            f"{settings.where('teacher')}: this network takes crops of {network.min_samples} samples only, and a student hears less"
        )
    if getattr(loss, "batch_shape", None) == "speakers_x_utterances" and crops.rows_per_speaker < 2:
        raise UserError(
            f"{settings.where('crops')}: the loss {settings.sections['loss']['name']} compares several utterances of each speaker; "
            "give batches: {speakers: N, utterances: M} with M of 2 or more in place of batch_size"
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
    section, batch_size = "crops", settings.crops.batch_size
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
    source = settings.phase.weights_from if settings.phase else "random"
    if source == "random":
        return {}
    said = {}
    for name, module, state in zip(
        ("network", "loss"), (network, loss), trained_weights(before), strict=True
    ):
        if name == "loss" and source == "previous":
            said[name] = {"taken": [], "new": list(module.state_dict()), "left": list(state)}
            continue
        try:
            said[name] = take_weights(module, state)
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{settings.where('weights_from')}: {name}: {' '.join(str(error).split())[:200]}; the weights are of {before}"
            ) from None
    if rank_and_world()[0] == 0:
        for name, lists in said.items():
            print(
                f"   {settings.phase.title}: {name}: "
                + "; ".join(f"{len(names)} {kind}" for kind, names in lists.items())
                + " (tensors by name: first_weights.json)",
                file=sys.stderr,
            )
    return said


def taught(
    settings: Settings,
    network: nn.Module,
    loss: nn.Module,
    folder: Path,
    device: str,
    registries: tuple[dict, dict],
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
    registries : tuple of dict
        Networks and losses by name.

    Raises
    ------
    UserError
        The teacher does not fit.
    """
    options = settings.teacher
    teacher, digest = load_teacher(folder, options.checkpoint, *registries)
    rates = network.sample_rate_hz, teacher.network.sample_rate_hz
    if rates[0] != rates[1]:
        raise UserError(
            f"{settings.where('teacher')}: {folder} takes {rates[1]} Hz, this network {rates[0]} Hz"
        )
    try:
        objective = TaughtObjective(
            network, loss, teacher, options, round(options.student_seconds * network.sample_rate_hz)
        )
    except ValueError as error:
        raise UserError(f"{settings.where('teacher')}: {error}") from None
    teacher.to(torch.device(device))
    return objective, digest
