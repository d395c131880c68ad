"""Base class of the transforms of augmentation.

A transform gets its options from the YAML, which are checked before anything is opened, and then
the bank by `open`.  For each crop it draws plain numbers, and everything else is a function of
these: the sound on the CPU (`apply`) and on the training device (`apply_batch`), the record on
disk (`record`) and the description for readers (`describe`).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.bank import Bank

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain

Range = tuple[float, float]
Drawn = tuple[float, ...]


class Transform:
    """One transform of a chain.

    A new one is a subclass, and a line in `utils.augmentation.chain.TRANSFORMS`.  The class
    attributes say whether it can run on the training device (`on_device`), how many numbers it
    draws at most (`width`), and whether it takes sounds from the bank (`uses_bank`).
    """

    on_device, width, uses_bank = True, 1, False

    def __init__(self, *, probability: float = 1.0):
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: {probability}, expected a number from 0 to 1")
        self.probability = probability

    def open(self, bank: Bank) -> None:
        """Take the bank, which knows the sample rate; UserError if it lacks what is needed."""
        self.bank = bank

    def draw(self, rng: np.random.Generator, num_samples: int) -> Drawn | None:
        """Up to `width` numbers for a crop of `num_samples`; None: the crop stays as it is."""
        if rng.random() < self.probability:
            return self._draw(rng, num_samples)
        return None

    def _draw(self, rng: np.random.Generator, num_samples: int) -> Drawn:
        raise NotImplementedError

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Transform one crop, (n,) float32, by the numbers drawn; it may exceed full scale."""
        raise NotImplementedError

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """The same on the training device for R crops, within 1e-4 of `apply`."""
        raise TypeError(f"{type(self).__name__} cannot run on a device")

    def record(self, drawn: Drawn) -> str:
        """The exact numbers without blanks, for ``utt2augmentation``; empty: nothing was done."""
        raise NotImplementedError

    def describe(self, drawn: Drawn) -> str:
        """Rounded numbers in plain English, for captions; empty: nothing was done."""
        raise NotImplementedError


def applied(
    transforms: Sequence[Transform], drawn: Sequence[Drawn | None]
) -> list[tuple[Transform, Drawn]]:
    """Transforms and their numbers, without those that drew none; `drawn` may end early."""
    pairs = zip(transforms, drawn, strict=False)
    return [(transform, numbers) for transform, numbers in pairs if numbers is not None]


def to_row(transforms: Sequence[Transform], drawn: Sequence[Drawn | None]) -> Drawn:
    """The numbers of several transforms as one row of fixed length, padded with NaN."""
    row: list[float] = []
    for transform, numbers in zip(transforms, drawn, strict=True):
        numbers = numbers or ()
        row.extend(numbers)
        row.extend([math.nan] * (transform.width - len(numbers)))
    return tuple(row)


def from_row(transforms: Sequence[Transform], row: Sequence[float]) -> list[Drawn | None]:
    """The inverse of `to_row`; NaN at the row's end may be missing."""
    drawn: list[Drawn | None] = []
    start = 0
    for transform in transforms:
        numbers = list(row[start : start + transform.width])
        while numbers and math.isnan(numbers[-1]):
            numbers.pop()
        drawn.append(tuple(numbers) or None)
        start += transform.width
    return drawn


def check_range(name: str, bounds: Range, lowest: float = -np.inf, highest: float = np.inf) -> None:
    """Raise ValueError for a range that is reversed, or not between lowest and highest."""
    low, high = bounds
    if low > high:
        raise ValueError(f"{name}: from {low} to {high}, expected the lower bound first")
    if low < lowest or high > highest:
        expected = f"numbers from {lowest} to {highest}"
        if highest == np.inf:
            expected = f"{lowest} or more"
        raise ValueError(f"{name}: from {low} to {high}, expected {expected}")
