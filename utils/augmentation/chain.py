"""The transforms by their names in a YAML, and the two that combine others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Transform, applied, from_row, to_row
from utils.augmentation.channel import BandLimit, Codec, Reverse, Volume
from utils.augmentation.noise import Babble, Noise, Reverb
from utils.config import build, resolved_options
from utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain


class _Group(Transform):
    def __init__(self, *, of: tuple[dict, ...], probability: float = 1.0):
        super().__init__(probability=probability)
        if not of:
            raise ValueError("of: found no transform, expected one or more")
        self.of = build_chain(of, "of")
        self.on_device = all(transform.on_device for transform in self.of)
        self.uses_bank = any(transform.uses_bank and transform.probability for transform in self.of)

    def open(self, bank: Bank) -> None:
        super().open(bank)
        open_chain(self.of, bank, "of")


class OneOf(_Group):
    """One of several transforms, which then applies its own probability.

    Parameters
    ----------
    of : sequence of mappings
        Transforms, each with its options.
    weights : sequence of float or None
        Relative probability of each; None: equal.
    probability : float
        Probability of applying one of them.
    """

    def __init__(
        self,
        *,
        of: tuple[dict, ...],
        weights: tuple[float, ...] | None = None,
        probability: float = 1.0,
    ):
        super().__init__(of=of, probability=probability)
        if weights is None:
            weights = (1.0,) * len(self.of)
        if len(weights) != len(self.of) or min(weights) < 0 or not sum(weights):
            raise ValueError(
                f"weights: {list(weights)}, "
                f"expected {len(self.of)} numbers, none below 0 and not all 0"
            )
        self.limits = np.cumsum(weights) / sum(weights)
        self.width = 1 + max(transform.width for transform in self.of)

    def _draw(self, rng, num_samples):
        choice = int(np.searchsorted(self.limits, rng.random(), side="right"))
        numbers = self.of[choice].draw(rng, num_samples) or ()
        return choice, *numbers

    def _split(self, drawn: Drawn) -> tuple[Transform, Drawn]:
        """The transform chosen, and its numbers; none: it did nothing."""
        choice, *numbers = drawn
        return self.of[int(choice)], tuple(numbers)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Apply the transform that was chosen."""
        transform, numbers = self._split(drawn)
        if not numbers:
            return samples
        return transform.apply(samples, numbers)

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Apply each transform to the crops that chose it."""
        for choice, transform in enumerate(self.of):
            chosen = [numbers[1:] if numbers[0] == choice else None for numbers in drawn]
            waveforms_RS = chain.apply(transform, waveforms_RS, chosen)
        return waveforms_RS

    def record(self, drawn: Drawn) -> str:
        """The record of the transform that was chosen."""
        transform, numbers = self._split(drawn)
        return transform.record(numbers) if numbers else ""

    def describe(self, drawn: Drawn) -> str:
        """The description of the transform that was chosen."""
        transform, numbers = self._split(drawn)
        return transform.describe(numbers) if numbers else ""


class AllOf(_Group):
    """Several transforms in order, as one: a chain as a member of `one_of`.

    Parameters
    ----------
    of : sequence of mappings
        Transforms, each with its options.
    probability : float
        Probability of applying them.
    """

    def __init__(self, *, of: tuple[dict, ...], probability: float = 1.0):
        super().__init__(of=of, probability=probability)
        self.width = 1 + sum(transform.width for transform in self.of)

    def _draw(self, rng, num_samples):
        drawn = [transform.draw(rng, num_samples) for transform in self.of]
        return 1.0, *to_row(self.of, drawn)

    def _split(self, drawn: Drawn) -> list[Drawn | None]:
        """The numbers of each transform."""
        return from_row(self.of, drawn[1:])

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Apply those for which something was drawn."""
        for transform, numbers in applied(self.of, self._split(drawn)):
            samples = transform.apply(samples, numbers)
        return samples

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Apply each transform to the crops that drew numbers for it."""
        split = [self._split(numbers) for numbers in drawn]
        for index, transform in enumerate(self.of):
            waveforms_RS = chain.apply(transform, waveforms_RS, [row[index] for row in split])
        return waveforms_RS

    def record(self, drawn: Drawn) -> str:
        """Records joined by ``+``."""
        pairs = applied(self.of, self._split(drawn))
        parts = [transform.record(numbers) for transform, numbers in pairs]
        return "+".join(part for part in parts if part)

    def describe(self, drawn: Drawn) -> str:
        """Descriptions joined by commas."""
        pairs = applied(self.of, self._split(drawn))
        parts = [transform.describe(numbers) for transform, numbers in pairs]
        return ", ".join(part for part in parts if part)


TRANSFORMS = {
    "reverb": Reverb,
    "noise": Noise,
    "babble": Babble,
    "volume": Volume,
    "band_limit": BandLimit,
    "codec": Codec,
    "reverse": Reverse,
    "one_of": OneOf,
    "all_of": AllOf,
}


def build_chain(chain: Sequence[dict], where: str) -> list[Transform]:
    """Build the transforms of a chain and check their options; nothing is opened.

    `where` is the chain's key, for the UserError about a name, key, type or value.
    """
    return [
        build(TRANSFORMS, options, _link_name(where, number, options))
        for number, options in enumerate(chain, 1)
    ]


def open_chain(transforms: Sequence[Transform], bank: Bank, where: str) -> None:
    """Give the bank to every transform that can happen; UserError names the transform."""
    names = {transform_class: name for name, transform_class in TRANSFORMS.items()}
    for number, transform in enumerate(transforms, 1):
        if not transform.probability:
            continue
        try:
            transform.open(bank)
        except UserError as error:
            link = _link_name(where, number, {"name": names[type(transform)]})
            raise UserError(f"{link}: {error}") from None


def _link_name(where: str, number: int, options: object) -> str:
    """``chain 2 (noise)``, for messages; options may be anything that a YAML holds."""
    name = options.get("name") if isinstance(options, dict) else None
    if isinstance(name, str) and name in TRANSFORMS:
        return f"{where} {number} ({name})"
    return f"{where} {number}"


def resolved_chain(chain: Sequence[dict]) -> list[dict]:
    """A checked chain with every default filled in, as plain YAML values."""
    links = []
    for options in chain:
        link = resolved_options(TRANSFORMS, options)
        if "of" in link:
            link |= {"of": resolved_chain(link["of"])}
        links.append(link)
    return links
