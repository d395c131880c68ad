"""Checks of a planned training: refuse early what it would refuse after hours of other work."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.chain import open_chain
from utils.augmentation.planned import planned_bank
from utils.config import build
from utils.embeddings.inputs import takes_features
from utils.embeddings.planned import note_network, planned_rate_hz, utterances_of_speakers
from utils.errors import UserError
from utils.receipts import DONE, MODE, Task
from utils.training.settings import Settings

Registries = Callable[[], tuple[Mapping[str, Callable], Mapping[str, Callable]]]
ANY_SPEAKERS = 2  # classes of a loss while the number of speakers is unknown


def check_planned_training(
    task: Task,
    settings: Settings,
    train_data: Path,
    bank: Path | None,
    seed: int,
    registries: Registries,
) -> None:
    """While a plan is checked: record the training's network, and refuse what would fail.

    ``registries`` gives networks and losses, which import torch.
    """
    if MODE.checking and task.status().state != DONE:
        _refuse_planned_training(settings, train_data, bank, seed, registries)
    note_network(task.home, settings.sections["model"])


def _refuse_planned_training(
    settings: Settings, train_data: Path, bank: Path | None, seed: int, registries: Registries
) -> None:
    """Check a YAML against the planned data; data that exist are checked by the training.

    UserError if network or loss are wrong, the audio will have another rate, the bank will lack
    noises or rooms, or the speakers fill no batch.
    """
    if takes_features(settings.sections["model"]) or (train_data / "wav.scp").exists():
        return
    rate = planned_rate_hz(train_data)
    if rate is None:  # the plan does not make these data
        return
    refuse_planned_bank(settings.augmentation, bank, rate, settings.where("augmentation"))
    from utils.training.setup import check_crops

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
    check_crops(settings, network, loss)
    if network.sample_rate_hz != rate:
        raise UserError(
            f"{train_data}: will be packed at {rate} Hz, "
            f"the network of {settings.where('model')} takes {network.sample_rate_hz} Hz; "
            "pack at that rate "
            f"(steps.pack_audio, and recipes: --sample-rate-hz {network.sample_rate_hz})"
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
    """Refuse a policy that needs noises or rooms that the planned bank will lack.

    ``bank`` is the folder that steps.augment is to write; ``where`` names the policy in messages.
    """
    planned = planned_bank(bank if augmentation.uses_bank else None, sample_rate_hz)
    if planned is None:
        return
    try:
        open_chain(augmentation.transforms, planned, "chain")
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
