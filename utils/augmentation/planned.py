"""A bank before it is made: which types of noise and whether rooms will be in it, for policies that ask for what nobody has."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from utils.augmentation.bank import Bank
from utils.data_dir.lists import read_map
from utils.errors import UserError
from utils.receipts import MODE

TYPES, BANK = "types of noise", "bank"


def note_noise_types(data: Path, types: Collection[str]) -> None:
    """A data directory of noises will have these types.

    Parameters
    ----------
    data : path
        Its folder.
    types : collection of str
        Of its ``utt2type``.
    """
    MODE.note(TYPES, data, frozenset(types))


def note_bank(bank: Path, noise: Path | None, rirs: Path | None) -> None:
    """A bank will be made of these data directories.

    Parameters
    ----------
    bank : path
        Folder that steps.augment writes.
    noise, rirs : path or None
        As of steps.augment.
    """
    types = frozenset() if noise is None else _types_of(noise)
    MODE.note(BANK, bank, (types, rirs is not None))


def _types_of(noise: Path) -> frozenset[str] | None:
    """Types of a data directory of noises, made or planned; None where nobody knows."""
    for name in ("utt2type", "utt2condition"):
        if (noise / name).exists():
            return frozenset(read_map(noise / name).values())
    return MODE.noted(TYPES, noise)


def planned_bank(folder: Path | None, sample_rate_hz: int) -> Bank | None:
    """What a bank will answer to those that open it; None where nobody knows.

    Parameters
    ----------
    folder : path or None
        Of the bank; None: there will be none.
    sample_rate_hz : int
        Rate of the sound.
    """
    if folder is None:
        return Bank(None, sample_rate_hz)
    types, has_rooms = MODE.noted(BANK, folder) or (None, False)
    return None if types is None else PlannedBank(folder, sample_rate_hz, types, has_rooms)


class PlannedBank(Bank):
    """Answers what is in a bank that is not made yet; there is no sound in it.

    Parameters
    ----------
    folder : path
        Where it will be.
    sample_rate_hz : int
        Of the sound.
    types : collection of str
        Types of its noises; empty: it has no noises.
    has_rooms : bool
        Whether it has room responses.
    """

    def __init__(self, folder: Path, sample_rate_hz: int, types: Collection[str], has_rooms: bool):
        super().__init__(folder, sample_rate_hz)
        self.types, self.has_rooms = sorted(types), has_rooms

    @property
    def noises(self) -> list[str]:  # type: ignore[override]  # of what is not there, the names
        """One name for each type."""
        return self._planned("noise", self.types)

    @property
    def rooms(self) -> list[str]:  # type: ignore[override]
        """One name, where there will be rooms."""
        return self._planned("rirs", ["room"] if self.has_rooms else [])

    @property
    def noise_types(self) -> np.ndarray:
        """(types,) array of str."""
        return np.array(self.types)

    def _planned(self, kind: str, names: list[str]) -> list[str]:
        if not names:
            option = {"noise": "noises", "rirs": "rooms"}[kind]
            raise UserError(
                f"{kind}: asked for, but {self.folder} will have none: give {option} for augmentation to the recipe"
            )
        return names
