"""Transforms that take sounds from the bank: rooms, noises, babble."""

from typing import Literal

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Range, Transform, check_range
from utils.augmentation.signal import add_noise, reverberate


class Reverb(Transform):
    """A room of the bank, aligned to its peak, the energy kept.

    Parameters
    ----------
    probability : float
        How often.
    """

    uses_bank = True

    def open(self, bank: Bank) -> None:
        """Find the rooms.

        Parameters
        ----------
        bank : Bank
            Must have some.
        """
        super().open(bank)
        _ = bank.rooms

    def _draw(self, rng, num_samples):
        return (int(rng.integers(len(self.bank.rooms))),)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Play the crop in the room that was drawn."""
        response, spectrum = self.bank.room(int(drawn[0]), len(samples))
        return reverberate(samples, response, self.bank.peak, spectrum)


class Noise(Transform):
    """One noise of the bank from a random place; one that is too short is repeated from there.

    Parameters
    ----------
    probability : float
        How often.
    types : sequence of str or None
        Types of noise, one of which is drawn first; None: all noises are as likely (with ranges by type: those that are named).
    snr_db : (low, high), mapping of type to (low, high), or ``recorded``
        Signal-to-noise ratio over the crop; ``recorded`` adds the noise as loud as it was recorded.
    gain : float
        Factor of a noise at recorded level.
    """

    width, uses_bank = 3, True

    def __init__(
        self,
        *,
        probability: float = 1.0,
        types: tuple[str, ...] | None = None,
        snr_db: Range | dict[str, Range] | Literal["recorded"] = (5.0, 20.0),
        gain: float = 1.0,
    ):
        super().__init__(probability=probability)
        if snr_db == {} or types == ():
            raise ValueError("types and snr_db: found an empty one, expected one type or more")
        if isinstance(snr_db, dict) and types is not None and set(types) != set(snr_db):
            raise ValueError(
                f"types are {', '.join(sorted(types))}, snr_db has ranges of {', '.join(sorted(snr_db))}; expected the same or no types"
            )
        if gain != 1 and snr_db != "recorded":
            raise ValueError(f"gain: {gain} goes with snr_db: recorded only")
        if snr_db != "recorded":
            for bounds in snr_db.values() if isinstance(snr_db, dict) else [snr_db]:
                check_range("snr_db", bounds)
        self.types, self.snr_db, self.gain = types, snr_db, gain

    def open(self, bank: Bank) -> None:
        """Find the noises of the types.

        Parameters
        ----------
        bank : Bank
            Must have some of each.
        """
        super().open(bank)
        by_type = (
            self.snr_db
            if isinstance(self.snr_db, dict)
            else dict.fromkeys(self.types or (), self.snr_db)
        )
        every = [(np.arange(len(bank.noises)), self.snr_db)]
        self.choices = (
            list(
                zip(
                    bank.numbers_of(sorted(by_type)),
                    (by_type[kind] for kind in sorted(by_type)),
                    strict=True,
                )
            )
            or every
        )

    def _draw(self, rng, num_samples):
        numbers, bounds = self.choices[rng.integers(len(self.choices))]
        noise = int(numbers[rng.integers(len(numbers))])
        return (
            noise,
            self.bank.draw_start(noise, num_samples, rng),
            self.gain if bounds == "recorded" else rng.uniform(*bounds),
        )

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Add the noise that was drawn."""
        noise = self.bank.noise(int(drawn[0]), int(drawn[1]), len(samples))
        return (
            samples + noise * np.float32(drawn[2])
            if self.snr_db == "recorded"
            else add_noise(samples, noise, drawn[2])
        )


class Babble(Transform):
    """Several speakers at once, each another sound of the bank as long as there are enough of them.

    Parameters
    ----------
    probability : float
        How often.
    num_speakers : (low, high)
        How many.
    snr_db : (low, high)
        Signal-to-noise ratio over the crop.
    level : str
        ``sum``: of all speakers together, each as loud as the others; ``each``: of every speaker, drawn for each.
    type : str
        The bank's type of the speakers' sounds.
    """

    uses_bank = True

    def __init__(
        self,
        *,
        probability: float = 1.0,
        num_speakers: tuple[int, int] = (3, 7),
        snr_db: Range = (13.0, 20.0),
        level: Literal["sum", "each"] = "sum",
        type: str = "speech",
    ):
        super().__init__(probability=probability)
        check_range("num_speakers", num_speakers, lowest=1)
        check_range("snr_db", snr_db)
        self.num_speakers, self.snr_db, self.level, self.type = num_speakers, snr_db, level, type
        self.width = 3 * num_speakers[1]

    def open(self, bank: Bank) -> None:
        """Find the speakers.

        Parameters
        ----------
        bank : Bank
            Must have some.
        """
        super().open(bank)
        [self.numbers] = bank.numbers_of([self.type])

    def _draw(self, rng, num_samples):
        count = int(rng.integers(self.num_speakers[0], self.num_speakers[1] + 1))
        snr_db, drawn = rng.uniform(*self.snr_db), []
        for sound in rng.choice(self.numbers, count, replace=count > len(self.numbers)):
            drawn += [
                int(sound),
                self.bank.draw_start(int(sound), num_samples, rng),
                rng.uniform(*self.snr_db) if self.level == "each" else snr_db,
            ]
        return tuple(drawn)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Add the speakers that were drawn."""
        together = np.zeros_like(samples)
        for sound, start, snr_db in zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True):
            speaker = self.bank.noise(int(sound), int(start), len(samples))
            power = np.mean(np.square(speaker))
            if self.level == "each":
                together += add_noise(samples, speaker, snr_db) - samples
            elif power > 0:
                together += speaker / np.sqrt(power)
        return (
            samples + together if self.level == "each" else add_noise(samples, together, drawn[2])
        )
