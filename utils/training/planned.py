"""What a training would refuse at its start, said before the hours of work that come before it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.chain import open_chain
from utils.augmentation.planned import planned_bank
from utils.config import build
from utils.embeddings.inputs import takes_features
from utils.embeddings.planned import note_network, rate_of_packed, utterances_of_speakers
from utils.errors import UserError
from utils.receipts import DONE, MODE, Task
from utils.training.settings import Settings

Registries = Callable[[], tuple[Mapping[str, Callable], Mapping[str, Callable]]]
ANY_SPEAKERS = 2  # classes of a loss, where nobody knows yet how many there will be


def look_ahead(
    task: Task,
    settings: Settings,
    train_data: Path,
    bank: Path | None,
    seed: int,
    registries: Registries,
) -> None:
    """While a plan is checked: tell which network a training makes, and refuse one that would be refused at its start.

    Parameters
    ----------
    task : Task
        The training in its folder.
    settings, train_data, bank, seed, registries
        As of `refuse_planned_training`.
    """
    if MODE.checking and task.status().state != DONE:
        refuse_planned_training(settings, train_data, bank, seed, registries)
    note_network(task.home, settings.sections["model"])


def refuse_planned_training(
    settings: Settings, train_data: Path, bank: Path | None, seed: int, registries: Registries
) -> None:
    """Hold a YAML against what the plan says of the data that are to be made.

    Parameters
    ----------
    settings : Settings
        The YAML, or a phase of it.
    train_data : path
        Packed data directory; where it is made the training itself says at once what is wrong.
    bank : path or None
        Of noises and rooms.
    seed : int
        Of the training.
    registries : callable
        Gives those of networks and of losses, which import torch.

    Raises
    ------
    UserError
        The network or the loss is wrong, the audio will be of another rate, the bank will not have what is wanted, or the speakers fill no batch.
    """
    if takes_features(settings.sections["model"]) or (train_data / "wav.scp").exists():
        return
    rate = rate_of_packed(train_data)
    if rate is None:  # no plan of ours makes it
        return
    refuse_planned_bank(settings.augmentation, bank, rate, settings.where("augmentation"))
    from utils.training.setup import fits_crops

    utterances = utterances_of_speakers(train_data / "utt2spk")
    num_speakers = ANY_SPEAKERS if utterances is None else len(utterances)
    models, losses = registries()
    network = build(models, settings.sections["model"], settings.where("model"))
    loss = build(
        losses,
        settings.sections["loss"],
        settings.where("loss"),
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers * settings.augmentation.classes_per_speaker,
    )
    fits_crops(settings, network, loss)
    if network.sample_rate_hz != rate:
        raise UserError(
            f"{train_data}: will be packed at {rate} Hz, the network of {settings.where('model')} takes {network.sample_rate_hz} Hz; "
            f"pack at that rate (steps.pack_audio, and recipes: --sample-rate-hz {network.sample_rate_hz})"
        )
    if utterances is None:
        return
    try:
        settings.crops.order(np.repeat(np.arange(num_speakers), utterances).tolist(), seed)
    except ValueError as error:
        raise UserError(f"{settings.where('crops')}: {error}") from None


def refuse_planned_bank(
    augmentation: Augmenter, bank: Path | None, sample_rate_hz: int, where: str
) -> None:
    """Refuse a policy that asks for noises or rooms which will not be there.

    Parameters
    ----------
    augmentation : Augmenter
        The policy; nothing else is done with it.
    bank : path or None
        Folder that steps.augment is to write.
    sample_rate_hz : int
        Rate of the sound.
    where : str
        The policy, for messages.

    Raises
    ------
    UserError
        As `Augmenter.open`.
    """
    planned = planned_bank(bank if augmentation.uses_bank else None, sample_rate_hz)
    if planned is None:
        return
    try:
        open_chain(augmentation.transforms, planned, "chain")
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
