"""The noise bank that a plan is going to make, to check policies before it exists."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from utils.augmentation.bank import Bank
from utils.data_dir.lists import read_map
from utils.errors import UserError
from utils.receipts import MODE

TYPES, BANK = "types of noise", "bank"


def note_noise_types(data: Path, types: Collection[str]) -> None:
    """Note the types that the ``utt2type`` of a data directory of noises is going to have."""
    MODE.note(TYPES, data, frozenset(types))


def note_bank(bank: Path, noise: Path | None, rirs: Path | None) -> None:
    """Note that a bank is going to be made of these data directories, by steps.augment."""
    types = frozenset() if noise is None else _noise_types(noise)
    MODE.note(BANK, bank, (types, rirs is not None))


def _noise_types(noise: Path) -> frozenset[str] | None:
    """Types of a data directory of noises, made or planned; None: not known."""
    for name in ("utt2type", "utt2condition"):
        if (noise / name).exists():
            return frozenset(read_map(noise / name).values())
    return MODE.noted(TYPES, noise)


def planned_bank(folder: Path | None, sample_rate_hz: int) -> Bank | None:
    """A stand-in for a bank that is not made yet; None: nothing is known of it.

    `folder` is None if there is not going to be a bank.
    """
    if folder is None:
        return Bank(None, sample_rate_hz)
    types, has_rooms = MODE.noted(BANK, folder) or (None, False)
    if types is None:
        return None
    return PlannedBank(folder, sample_rate_hz, types, has_rooms)


class PlannedBank(Bank):
    """A bank that is not made yet: it knows the types of its noises, and holds no audio."""

    def __init__(self, folder: Path, sample_rate_hz: int, types: Collection[str], has_rooms: bool):
        super().__init__(folder, sample_rate_hz)
        self.types, self.has_rooms = sorted(types), has_rooms

    @property
    def noises(self) -> list[str]:  # type: ignore[override]  # names instead of audio
        """One name for each type."""
        return self._planned("noise", "noises", self.types)

    @property
    def rooms(self) -> list[str]:  # type: ignore[override]
        """One name, if there are going to be rooms."""
        return self._planned("rirs", "rooms", ["room"] if self.has_rooms else [])

    @property
    def noise_types(self) -> np.ndarray:
        """(types,) array of str."""
        return np.array(self.types)

    def _planned(self, kind: str, option: str, names: list[str]) -> list[str]:
        if not names:
            raise UserError(
                f"{kind}: asked for, but {self.folder} will have none: "
                f"give {option} for augmentation to the recipe"
            )
        return names
