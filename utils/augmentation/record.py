"""What augmentation did to a crop or an utterance, said in two ways.

`Recorder` writes one word for ``utt2augmentation``, exact and with the names of the bank's sounds:

    speed(0.9)+reverb(small-03-1)+noise(rain-2,start=81920,snr_db=7.31264)

`describe_all` says it in English, rounded and by numbers, for figures and pages:

    speed 0.9, room 3 of 40, noise at 7.3 dB
"""

from collections.abc import Sequence
from functools import cached_property, singledispatch, singledispatchmethod
from pathlib import Path

from utils.augmentation.augmenter import Augmenter
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

    def record(
        self, speed_factor: float, transforms: Sequence[Transform], drawn: Sequence[Drawn | None]
    ) -> str:
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
        return (
            f"noise({self._sound(drawn, 'gain' if transform.snr_db == 'recorded' else 'snr_db')})"
        )

    @link.register
    def _(self, transform: Babble, drawn):
        speakers = [
            self._sound(drawn[place : place + 3], "snr_db") for place in range(0, len(drawn), 3)
        ]
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
        return [
            link
            for transform, numbers in zip(transforms, drawn, strict=True)
            if numbers is not None and (link := self.link(transform, numbers))
        ]

    def _sound(self, drawn: Drawn, level: str) -> str:
        return f"{self.noises[int(drawn[0])]},start={int(drawn[1])},{level}={drawn[2]:.6g}"

    def _names(self, kind: str) -> list[str]:
        from utils.archive import read_scp

        return list(read_scp(self.bank / f"{kind}.scp"))


def describe_all(augmenter: Augmenter, speed_factor: float, drawn: Sequence[Drawn | None]) -> str:
    """Everything that happened to a crop, in its order; empty where nothing did.

    Parameters
    ----------
    augmenter : Augmenter
        Opened.
    speed_factor : float
        Speed that the crop was played at.
    drawn : sequence of tuples or None
        From its `draw`.
    """
    speed = [] if speed_factor == 1 else [f"speed {speed_factor:g}"]
    return ", ".join(speed + _words(augmenter.transforms, drawn))


@singledispatch
def describe(transform: Transform, drawn: Drawn) -> str:
    """What one transform did.

    Parameters
    ----------
    transform : Transform
        Opened.
    drawn : tuple of numbers
        From its `draw`.
    """
    raise NotImplementedError(type(transform).__name__)


@describe.register
def _(transform: Reverb, drawn):
    return f"room {int(drawn[0]) + 1} of {len(transform.bank.rooms)}"


@describe.register
def _(transform: Noise, drawn):
    kind = transform.bank.noise_types[int(drawn[0])]
    return (
        f"{kind} as loud as recorded, times {drawn[2]:g}"
        if transform.snr_db == "recorded"
        else f"{kind} at {drawn[2]:.1f} dB"
    )


@describe.register
def _(transform: Babble, drawn):
    levels_db = drawn[2::3]
    level = (
        f"{levels_db[0]:.1f} dB"
        if transform.level == "sum"
        else f"{min(levels_db):.1f} to {max(levels_db):.1f} dB each"
    )
    return f"babble of {len(levels_db)} speakers at {level}"


@describe.register
def _(transform: Volume, drawn):
    return f"volume {drawn[0]:+.1f} dB"


@describe.register
def _(transform: BandLimit, drawn):
    ends = [
        f"{word} {hertz:.0f} Hz"
        for word, hertz in zip(("above", "below"), drawn, strict=True)
        if hertz
    ]
    return f"band {' and '.join(ends)}"


@describe.register
def _(transform: Codec, drawn):
    return f"codec {transform.codecs[int(drawn[0])]}"


@describe.register
def _(transform: Reverse, drawn):
    return "backwards"


@describe.register
def _(transform: OneOf, drawn):
    choice, *numbers = drawn
    return describe(transform.of[int(choice)], numbers) if numbers else ""


@describe.register
def _(transform: AllOf, drawn):
    return ", ".join(_words(transform.of, transform.split(drawn)))


def _words(transforms: Sequence[Transform], drawn: Sequence[Drawn | None]) -> list[str]:
    return [
        words
        for transform, numbers in zip(transforms, drawn, strict=True)
        if numbers is not None and (words := describe(transform, numbers))
    ]
