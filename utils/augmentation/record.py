"""What augmentation did to an utterance, as one word for ``utt2augmentation``: exact, with the names of the bank's sounds.

    speed(0.9)+reverb(small-03-1)+noise(rain-2,start=81920,snr_db=7.31264)

For a reader's eye there is utils/augmentation/words.py.
"""

from collections.abc import Sequence
from functools import cached_property, singledispatchmethod
from pathlib import Path

from utils.augmentation.base import Drawn, Transform
from utils.augmentation.chain import AllOf, OneOf
from utils.augmentation.channel import BandLimit, Codec, Reverse, Volume
from utils.augmentation.noise import Babble, Noise, Reverb

NOTHING = "none"


class Recorder:
    """Writes down what was drawn.

    Parameters
    ----------
    bank : path
        Whose sounds are named; opened where one was drawn.
    """

    def __init__(self, bank: Path):
        self.bank = bank

    @cached_property
    def noises(self) -> list[str]:
        """Names of the bank's noises, by number."""
        return self._names("noise")

    @cached_property
    def rooms(self) -> list[str]:
        """Names of the bank's rooms, by number."""
        return self._names("rirs")

    def record(self, speed_factor: float, transforms: Sequence[Transform], drawn: Sequence[Drawn | None]) -> str:
        """All that happened, in its order; `NOTHING` where nothing did.

        Parameters
        ----------
        speed_factor : float
            Speed that the utterance was played at.
        transforms : sequence of Transform
            Of the chain, opened.
        drawn : sequence of tuples or None
            What each drew.
        """
        speed = [] if speed_factor == 1 else [f"speed({speed_factor:g})"]
        return "+".join(speed + self._links(transforms, drawn)) or NOTHING

    @singledispatchmethod
    def link(self, transform: Transform, drawn: Drawn) -> str:
        """What one transform did; empty where it did nothing.

        Parameters
        ----------
        transform : Transform
            Opened.
        drawn : tuple of numbers
            What it drew.
        """
        raise NotImplementedError(type(transform).__name__)

    @link.register
    def _(self, transform: Reverb, drawn):
        return f"reverb({self.rooms[int(drawn[0])]})"

    @link.register
    def _(self, transform: Noise, drawn):
        return f"noise({self._sound(drawn, 'gain' if transform.snr_db == 'recorded' else 'snr_db')})"

    @link.register
    def _(self, transform: Babble, drawn):
        speakers = [self._sound(drawn[place:place + 3], "snr_db") for place in range(0, len(drawn), 3)]
        return f"babble_{transform.level}({';'.join(speakers)})"

    @link.register
    def _(self, transform: Volume, drawn):
        return f"volume(gain_db={drawn[0]:.6g})"

    @link.register
    def _(self, transform: BandLimit, drawn):
        return f"band_limit(low_hz={drawn[0]:.6g},high_hz={drawn[1]:.6g})"

    @link.register
    def _(self, transform: Codec, drawn):
        return f"codec({transform.codecs[int(drawn[0])]},compression={drawn[1]:.6g})"

    @link.register
    def _(self, transform: Reverse, drawn):
        return "reverse"

    @link.register
    def _(self, transform: OneOf, drawn):
        choice, *numbers = drawn
        return self.link(transform.of[int(choice)], numbers) if numbers else ""

    @link.register
    def _(self, transform: AllOf, drawn):
        return "+".join(self._links(transform.of, transform.split(drawn)))

    def _links(self, transforms: Sequence[Transform], drawn: Sequence[Drawn | None]) -> list[str]:
        return [link for transform, numbers in zip(transforms, drawn, strict=True) if numbers is not None and (link := self.link(transform, numbers))]

    def _sound(self, drawn: Drawn, level: str) -> str:
        return f"{self.noises[int(drawn[0])]},start={int(drawn[1])},{level}={drawn[2]:.6g}"

    def _names(self, kind: str) -> list[str]:
        from utils.archive import read_scp

        return list(read_scp(self.bank / f"{kind}.scp"))
