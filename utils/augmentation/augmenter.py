"""Augmentation of training crops: another speed, then a chain of rooms, noise, codecs.

Every random draw comes from the generator that the caller gives.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Transform, applied, to_row
from utils.augmentation.chain import build_chain, open_chain, resolved_chain
from utils.augmentation.signal import change_speed, limit_peak
from utils.config import resolved_options

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain

UNCHANGED = "none"  # the record of a copy without any change


class Augmenter:
    """The section ``augmentation`` of a training YAML; `open` it before the first crop.

    Parameters
    ----------
    speed_factors : sequence of float
        Speeds that crops are played at, all equally often.
    speed_is_new_speaker : bool
        Whether a speaker at another speed counts as another speaker, with another label.
    chain : sequence of mappings
        Transforms in order, each a ``name`` of utils.augmentation.chain.TRANSFORMS and its options.
    device : bool
        Whether the training device applies what comes after the last transform that cannot run
        there, from a bank in its memory.
    """

    def __init__(
        self,
        *,
        speed_factors: tuple[float, ...] = (1.0,),
        speed_is_new_speaker: bool = True,
        chain: tuple[dict, ...] = (),
        device: bool = False,
    ):
        in_range = all(0.5 <= factor <= 2 for factor in speed_factors)
        is_repeated = len(set(speed_factors)) < len(speed_factors)
        if not speed_factors or is_repeated or not in_range:
            raise ValueError(
                f"speed_factors: {list(speed_factors)}, expected different numbers from 0.5 to 2"
            )
        self.speed_factors = tuple(speed_factors)
        self.speed_is_new_speaker = speed_is_new_speaker
        self.device = device
        self.transforms = build_chain(chain, "chain")
        self.num_in_loader = len(self.transforms)
        if device:
            while self.num_in_loader and self.transforms[self.num_in_loader - 1].on_device:
                self.num_in_loader -= 1
        self.bank: Bank | None = None

    @property
    def classes_per_speaker(self) -> int:
        """Labels for the utterances of one speaker."""
        return len(self.speed_factors) if self.speed_is_new_speaker else 1

    @property
    def uses_bank(self) -> bool:
        """Whether noises or rooms are needed."""
        return any(transform.uses_bank and transform.probability for transform in self.transforms)

    @property
    def device_transforms(self) -> list[Transform]:
        """The end of the chain, which the training device applies."""
        return self.transforms[self.num_in_loader :]

    def open(self, bank: Path | None, sample_rate_hz: int) -> "Augmenter":
        """Open the bank for crops of this rate, and return the augmenter.

        UserError names the transform that lacks something: the bank is missing, empty or of
        another rate, or has no noise of a type.
        """
        self.bank = Bank(bank, sample_rate_hz)
        open_chain(self.transforms, self.bank, "chain")
        return self

    def draw(self, num_samples: int, rng: np.random.Generator) -> list[Drawn | None]:
        """The numbers of each transform for one crop; None: it does nothing."""
        return [transform.draw(rng, num_samples) for transform in self.transforms]

    def apply(self, samples: np.ndarray, drawn: Sequence[Drawn | None]) -> np.ndarray:
        """Apply the numbers of `draw`, or their beginning, to a crop; it may exceed full scale."""
        for transform, numbers in applied(self.transforms, drawn):
            samples = transform.apply(samples, numbers)
        return samples

    def __call__(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Augment one crop: change its speed, apply the chain, and scale it down to full scale.

        (ceil(num_samples * speed_factor),) float32 in [-1, 1] become (num_samples,) in [-1, 1].
        """
        samples = change_speed(samples, speed_factor, num_samples)
        drawn = self.draw(num_samples, rng)
        return limit_peak(self.apply(samples, drawn))

    def begin(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The loader's part of a call, if the device does the rest.

        Returns the crop, which may exceed full scale, and a float64 row of the numbers for the
        device (`utils.augmentation.base.to_row`).
        """
        drawn = self.draw(num_samples, rng)
        samples = change_speed(samples, speed_factor, num_samples)
        samples = self.apply(samples, drawn[: self.num_in_loader])
        row = to_row(self.device_transforms, drawn[self.num_in_loader :])
        return samples, np.array(row, np.float64)

    def on(self, device: "torch.device") -> "DeviceChain":
        """The end of the chain on a device, to be called with batches of what `begin` returns."""
        from utils.augmentation.device import DeviceChain

        assert self.bank is not None  # `open` comes before the first crop
        return DeviceChain(self.device_transforms, self.bank, device)

    def record(self, speed_factor: float, drawn: Sequence[Drawn | None]) -> str:
        """The exact record in one word, for ``utt2augmentation``; `UNCHANGED` for no change.

        ``speed(0.9)+reverb(small-03-1)+noise(rain-2,start=81920,snr_db=7.31264)``
        """
        parts = []
        if speed_factor != 1:
            parts.append(f"speed({speed_factor:g})")
        for transform, numbers in applied(self.transforms, drawn):
            parts.append(transform.record(numbers))
        return "+".join(part for part in parts if part) or UNCHANGED

    def describe(self, speed_factor: float, drawn: Sequence[Drawn | None]) -> str:
        """A rounded description for captions, such as ``speed 0.9, room 3 of 40``; may be empty."""
        parts = []
        if speed_factor != 1:
            parts.append(f"speed {speed_factor:g}")
        for transform, numbers in applied(self.transforms, drawn):
            parts.append(transform.describe(numbers))
        return ", ".join(part for part in parts if part)


def resolved_augmentation(options: dict | None) -> dict:
    """The section, already checked, with every default filled in, also of the transforms."""
    resolved = resolved_options(Augmenter, options)
    return resolved | {"chain": resolved_chain(resolved["chain"])}
