"""What a transform of augmentation is: it draws plain numbers for a crop, and does to the crop what it has drawn.

A transform knows its options from the YAML, checked before anything is opened; `open` hands it the bank.  The same drawn numbers give the same sound
on the CPU (`apply`, one crop in numpy) and on the training device (utils/augmentation/device.py, batches in torch).
"""

import math
from collections.abc import Sequence

import numpy as np

from utils.augmentation.bank import Bank

Range = tuple[float, float]
Drawn = tuple[float, ...]


class Transform:
    """One link of a chain.

    Parameters
    ----------
    probability : float
        How often it is applied.

    Attributes
    ----------
    on_device : bool
        Whether it can run on the training device.
    width : int
        How many numbers it draws, at most.
    uses_bank : bool
        Whether it takes sounds from the bank.
    """

    on_device, width, uses_bank = True, 1, False

    def __init__(self, *, probability: float = 1.0):
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: {probability}, expected a number from 0 to 1")
        self.probability = probability

    def open(self, bank: Bank) -> None:
        """Find in the bank what is wanted.

        Parameters
        ----------
        bank : Bank
            Its sample rate is that of the sound.

        Raises
        ------
        UserError
            The bank, or the rate, has it not.
        """
        self.bank = bank

    def draw(self, rng: np.random.Generator, num_samples: int) -> Drawn | None:
        """The numbers of one crop.

        Parameters
        ----------
        rng : numpy Generator
            The only source.
        num_samples : int
            Length of the crop.

        Returns
        -------
        tuple of up to `width` numbers, or None
            None: not this time.
        """
        return self._draw(rng, num_samples) if rng.random() < self.probability else None

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Do to one crop what was drawn.

        Parameters
        ----------
        samples : (n,) float32 array
            The crop.
        drawn : tuple of numbers
            From `draw`, for the same length.

        Returns
        -------
        (n,) float32 array
            It may exceed full scale.
        """
        raise NotImplementedError

    def _draw(self, rng: np.random.Generator, num_samples: int) -> Drawn:
        raise NotImplementedError


def pack(transforms: Sequence[Transform], drawn: Sequence[Drawn | None]) -> Drawn:
    """What several transforms drew as one row of numbers of a fixed length, which can travel.

    Parameters
    ----------
    transforms : sequence of Transform
        In their order.
    drawn : sequence of tuples or None
        What each drew.

    Returns
    -------
    tuple of numbers
        As many for each as its width; NaN where there is none.
    """
    return tuple(
        number
        for transform, numbers in zip(transforms, drawn, strict=True)
        for number in (*(numbers or ()), *(math.nan,) * (transform.width - len(numbers or ())))
    )


def unpack(transforms: Sequence[Transform], row: Sequence[float]) -> list[Drawn | None]:
    """What `pack` packed.

    Parameters
    ----------
    transforms : sequence of Transform
        In their order.
    row : sequence of float
        The numbers; NaN at its end may be missing.
    """
    drawn, place = [], 0
    for transform in transforms:
        numbers = list(row[place : place + transform.width])
        while numbers and math.isnan(numbers[-1]):
            numbers.pop()
        drawn.append(tuple(numbers) or None)
        place += transform.width
    return drawn


def check_range(
    name: str, bounds: tuple[float, float], lowest: float = -np.inf, highest: float = np.inf
) -> None:
    """Refuse a range that is none.

    Parameters
    ----------
    name : str
        Option.
    bounds : (low, high)
        The range.
    lowest, highest : float
        What it has to lie within.

    Raises
    ------
    ValueError
        Reversed, or outside.
    """
    low, high = bounds
    if low > high:
        raise ValueError(f"{name}: from {low} to {high}, expected the lower bound first")
    if low < lowest or high > highest:
        expected = (
            f"{lowest} or more" if highest == np.inf else f"numbers from {lowest} to {highest}"
        )
        raise ValueError(f"{name}: from {low} to {high}, expected {expected}")
