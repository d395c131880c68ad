"""Training crops made harder as they are read: another speed, then a chain of rooms, noise, codecs.  All draws come from the generator handed in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, pack
from utils.augmentation.chain import build_chain, open_chain, resolved_chain
from utils.augmentation.signal import change_speed, turn_down
from utils.config import resolved_options

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain


class Augmenter:
    """The section ``augmentation`` of a training YAML: what happens to a crop, how often and how much.  `open` it before the first crop.

    Parameters
    ----------
    speed_factors : sequence of float
        Speeds that crops are played at, each as likely.
    speed_is_new_speaker : bool
        Whether a voice that is played faster or slower is another speaker (the sampler gives it another label).
    chain : sequence of mappings
        Transforms in their order, each a ``name`` of utils.augmentation.chain.TRANSFORMS and its options.
    device : bool
        Whether the training device does what stands behind the last transform that cannot run there, from a bank in its memory.
    """

    def __init__(
        self,
        *,
        speed_factors: tuple[float, ...] = (1.0,),
        speed_is_new_speaker: bool = True,
        chain: tuple[dict, ...] = (),
        device: bool = False,
    ):
        if (
            not speed_factors
            or len(set(speed_factors)) < len(speed_factors)
            or not all(0.5 <= factor <= 2 for factor in speed_factors)
        ):
            raise ValueError(
                f"speed_factors: {list(speed_factors)}, expected different numbers from 0.5 to 2"
            )
        self.speed_factors = tuple(speed_factors)
        self.speed_is_new_speaker = speed_is_new_speaker
        self.device = device
        self.transforms = build_chain(chain, "chain")
        hosted = max(
            (
                number
                for number, transform in enumerate(self.transforms, 1)
                if not transform.on_device
            ),
            default=0,
        )
        self.num_hosted = hosted if device else len(self.transforms)
        self.bank: Bank | None = None

    @property
    def classes_per_speaker(self) -> int:
        """Labels that a speaker's utterances get."""
        return len(self.speed_factors) if self.speed_is_new_speaker else 1

    @property
    def uses_bank(self) -> bool:
        """Whether noises or rooms are wanted."""
        return any(transform.uses_bank and transform.probability for transform in self.transforms)

    @property
    def device_transforms(self) -> list:
        """The end of the chain that the training device does."""
        return self.transforms[self.num_hosted :]

    def open(self, bank: Path | None, sample_rate_hz: int) -> "Augmenter":
        """Open the bank; returns the augmenter.

        Parameters
        ----------
        bank : path or None
            Folder made by steps.augment; needed where `uses_bank`.
        sample_rate_hz : int
            Rate of the crops.

        Raises
        ------
        UserError
            The bank is missing, empty or of another rate, or has not what a transform wants: names the transform.
        """
        self.bank = Bank(bank, sample_rate_hz)
        open_chain(self.transforms, self.bank, "chain")
        return self

    def draw(self, num_samples: int, rng: np.random.Generator) -> list[Drawn | None]:
        """What happens to one crop: a tuple of numbers of each transform, None where it does nothing.

        Parameters
        ----------
        num_samples : int
            Length of the crop.
        rng : numpy Generator
            The only source of what is drawn.
        """
        return [transform.draw(rng, num_samples) for transform in self.transforms]

    def apply(self, samples: np.ndarray, drawn: Sequence[Drawn | None]) -> np.ndarray:
        """Do to one crop what was drawn, from the first transform on; the device does what is not told of here.

        Parameters
        ----------
        samples : (n,) float32 array
            The crop.
        drawn : sequence of tuples or None
            From `draw`, or its beginning.

        Returns
        -------
        (n,) float32 array
            It may exceed full scale.
        """
        for transform, numbers in zip(self.transforms, drawn, strict=False):
            samples = samples if numbers is None else transform.apply(samples, numbers)
        return samples

    def __call__(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Augment one crop: speed, then the whole chain; turned down as a whole where its peak would exceed full scale.

        Parameters
        ----------
        samples : (ceil(num_samples * speed_factor),) float32 array
            As read, in [-1, 1].
        speed_factor : float
            Which speed to play it at.
        num_samples : int
            Length of the result.
        rng : numpy Generator
            The only source of what is drawn.

        Returns
        -------
        (num_samples,) float32 array
            In [-1, 1].
        """
        return turn_down(
            self.apply(
                change_speed(samples, speed_factor, num_samples), self.draw(num_samples, rng)
            )
        )

    def begin(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The loader's share where the device does the rest.

        Parameters
        ----------
        samples, speed_factor, num_samples, rng
            As when called.

        Returns
        -------
        samples : (num_samples,) float32 array
            It may exceed full scale.
        drawn : (width,) float64 array
            What the device is to do, as `utils.augmentation.base.pack` packs it; empty where it has nothing to do.
        """
        drawn = self.draw(num_samples, rng)
        samples = self.apply(
            change_speed(samples, speed_factor, num_samples), drawn[: self.num_hosted]
        )
        return samples, np.array(pack(self.device_transforms, drawn[self.num_hosted :]), np.float64)

    def on(self, device: "torch.device") -> "DeviceChain":
        """The end of the chain on a device: a function of the crops that `begin` began and of what was drawn.

        Parameters
        ----------
        device : torch.device
            Where.
        """
        from utils.augmentation.device import DeviceChain

        assert self.bank is not None  # `open` comes before the first crop
        return DeviceChain(self.device_transforms, self.bank, device)


def resolved_augmentation(options: dict | None) -> dict:
    """The section with every default filled in, those of the transforms too.

    Parameters
    ----------
    options : dict or None
        The section, already checked.
    """
    resolved = resolved_options(Augmenter, options)
    return resolved | {"chain": resolved_chain(resolved["chain"])}
