"""The chain of augmentation: the transforms by their names in a YAML, and those that are made of others."""

from collections.abc import Sequence

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Transform, pack, unpack
from utils.augmentation.channel import BandLimit, Codec, Reverse, Volume
from utils.augmentation.noise import Babble, Noise, Reverb
from utils.config import build, resolved_options
from utils.errors import UserError


class Group(Transform):
    """A transform that is made of others.

    Parameters
    ----------
    of : sequence of mappings
        Transforms, each with its options.
    probability : float
        How often any of it happens.
    """

    def __init__(self, *, of: tuple[dict, ...], probability: float = 1.0):
        super().__init__(probability=probability)
        if not of:
            raise ValueError("of: found no transform, expected one or more")
        self.of = build_chain(of, "of")
        self.on_device = all(transform.on_device for transform in self.of)
        self.uses_bank = any(transform.uses_bank and transform.probability for transform in self.of)

    def open(self, bank: Bank) -> None:
        """Hand the bank to every transform.

        Parameters
        ----------
        bank : Bank
            Noises and rooms.
        """
        super().open(bank)
        open_chain(self.of, bank, "of")


class OneOf(Group):
    """One of several transforms, and then with the probability of its own.

    Parameters
    ----------
    weights : sequence of float or None
        How often each is taken, in any unit; None: all as often.
    **options
        As Group.
    """

    def __init__(self, *, weights: tuple[float, ...] | None = None, **options):
        super().__init__(**options)
        weights = (1.0,) * len(self.of) if weights is None else weights
        if len(weights) != len(self.of) or min(weights) < 0 or not sum(weights):
            raise ValueError(
                f"weights: {list(weights)}, expected {len(self.of)} numbers, none below 0 and not all 0"
            )
        self.limits = np.cumsum(weights) / sum(weights)
        self.width = 1 + max(transform.width for transform in self.of)

    def _draw(self, rng, num_samples):
        choice = int(np.searchsorted(self.limits, rng.random(), side="right"))
        return choice, *(self.of[choice].draw(rng, num_samples) or ())

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Apply the one that was drawn."""
        choice, *inner = drawn
        return self.of[int(choice)].apply(samples, tuple(inner)) if inner else samples


class AllOf(Group):
    """Several transforms, one after the other: a link of `one_of` that is a chain itself.

    Parameters
    ----------
    **options
        As Group.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.width = 1 + sum(transform.width for transform in self.of)

    def _draw(self, rng, num_samples):
        return 1.0, *pack(self.of, [transform.draw(rng, num_samples) for transform in self.of])

    def split(self, drawn: Sequence[float]) -> list[Drawn | None]:
        """What was drawn for each.

        Parameters
        ----------
        drawn : sequence of float
            What was drawn for all.
        """
        return unpack(self.of, drawn[1:])

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Apply each for which something was drawn."""
        for transform, numbers in zip(self.of, self.split(drawn), strict=True):
            samples = samples if numbers is None else transform.apply(samples, numbers)
        return samples


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
    """The transforms of a chain, their options checked; nothing is opened.

    Parameters
    ----------
    chain : sequence of mappings
        A ``name`` of TRANSFORMS and its options each.
    where : str
        The chain's key, for messages.

    Raises
    ------
    UserError
        An unknown name or key, a wrong type, an impossible value.
    """
    return [
        build(TRANSFORMS, options, place(where, number, options))
        for number, options in enumerate(chain, 1)
    ]


def open_chain(transforms: Sequence[Transform], bank: Bank, where: str) -> None:
    """Hand the bank to every transform that can happen.

    Parameters
    ----------
    transforms : sequence of Transform
        The chain.
    bank : Bank
        Noises and rooms.
    where : str
        The chain's key, for messages.
    """
    names = {part: name for name, part in TRANSFORMS.items()}
    for number, transform in enumerate(transforms, 1):
        try:
            if transform.probability:
                transform.open(bank)
        except UserError as error:
            raise UserError(
                f"{place(where, number, {'name': names[type(transform)]})}: {error}"
            ) from None


def place(where: str, number: int, options: object) -> str:
    """A link of a chain, for messages.

    Parameters
    ----------
    where : str
        The chain's key.
    number : int
        Of the link, from 1.
    options : mapping
        With its name.
    """
    name = options.get("name") if isinstance(options, dict) else None
    return f"{where} {number}{f' ({name})' if name in TRANSFORMS else ''}"


def resolved_chain(chain: Sequence[dict]) -> list[dict]:
    """The chain with every default filled in, as plain YAML values.

    Parameters
    ----------
    chain : sequence of mappings
        Already checked.
    """
    links = [resolved_options(TRANSFORMS, options) for options in chain]
    return [link | ({"of": resolved_chain(link["of"])} if "of" in link else {}) for link in links]
