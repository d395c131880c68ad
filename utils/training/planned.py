"""Checks before a training, planned or begun: refuse early what it would refuse later."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.chain import open_chain
from utils.augmentation.planned import planned_bank
from utils.embeddings.inputs import takes_features
from utils.embeddings.planned import note_network, planned_rate_hz, utterances_of_speakers
from utils.errors import UserError
from utils.receipts import DONE, MODE, Task
from utils.training.settings import Settings

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork

Registries = Callable[[], tuple[Mapping[str, Callable], Mapping[str, Callable]]]


def check_planned_training(
    task: Task,
    phases: Sequence[Settings],
    train_data: Path,
    bank: Path | None,
    seed: int,
    registries: Registries,
) -> None:
    """Refuse what a training would fail of, before its folder is made; a plan records its network.

    In a plan, a training that has finished keeps its state, stale or not, while its data are there.
    ``phases`` are that of the task and those after it.  ``registries`` gives networks and losses,
    which import torch.
    """
    has_data = (train_data / "wav.scp").exists()
    keeps_state = MODE.checking and has_data and task.path.exists()
    if not keeps_state and task.status().state != DONE:
        from utils.training.setup import check_phases

        objective = check_phases(phases, _utterances(train_data), seed, registries())
        if MODE.checking:
            _refuse_planned_data(phases[0], objective.network, train_data, bank)
    note_network(task.home, phases[0].sections["model"])


def _utterances(train_data: Path) -> np.ndarray | None:
    """Utterances of each speaker; None if they are unknown, or while a plan may change them."""
    utt2spk = train_data / "utt2spk"
    if MODE.checking and utt2spk.exists():
        return None
    return utterances_of_speakers(utt2spk)


def _refuse_planned_data(
    settings: Settings, network: "EmbeddingNetwork", train_data: Path, bank: Path | None
) -> None:
    """Refuse audio or a bank that a plan is going to make and that the training could not use.

    Data that exist are checked by the training.
    """
    if takes_features(settings.sections["model"]) or (train_data / "wav.scp").exists():
        return
    rate = planned_rate_hz(train_data)
    if rate is None:  # the plan does not make these data
        return
    refuse_planned_bank(settings.augmentation, bank, rate, settings.where("augmentation"))
    if network.sample_rate_hz != rate:
        raise UserError(
            f"{train_data}: will be packed at {rate} Hz, "
            f"the network of {settings.where('model')} takes {network.sample_rate_hz} Hz; "
            "pack at that rate "
            f"(steps.pack_audio, and recipes: --sample-rate-hz {network.sample_rate_hz})"
        )


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
