"""What a chain of augmentation did to a crop, in words."""

from collections.abc import Sequence
from functools import singledispatch

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.base import Drawn, Transform
from utils.augmentation.chain import AllOf, OneOf
from utils.augmentation.channel import BandLimit, Codec, Reverse, Volume
from utils.augmentation.noise import Babble, Noise, Reverb


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
    return f"{kind} as loud as recorded, times {drawn[2]:g}" if transform.snr_db == "recorded" else f"{kind} at {drawn[2]:.1f} dB"


@describe.register
def _(transform: Babble, drawn):
    levels_db = drawn[2::3]
    level = f"{levels_db[0]:.1f} dB" if transform.level == "sum" else f"{min(levels_db):.1f} to {max(levels_db):.1f} dB each"
    return f"babble of {len(levels_db)} speakers at {level}"


@describe.register
def _(transform: Volume, drawn):
    return f"volume {drawn[0]:+.1f} dB"


@describe.register
def _(transform: BandLimit, drawn):
    ends = [f"{word} {hertz:.0f} Hz" for word, hertz in zip(("above", "below"), drawn, strict=True) if hertz]
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
    return [words for transform, numbers in zip(transforms, drawn, strict=True) if numbers is not None and (words := describe(transform, numbers))]
