"""The section `crops` of a training YAML: how long crops are, and which of them make a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from utils.config import make, resolved_options

if TYPE_CHECKING:
    from utils.training.draw_order import EveryUtterance, SpeakersByUtterances
    from utils.training.sampling import ShortCrops

LENGTH_STEP_SECONDS = 0.01  # of lengths that are drawn: a frame of most front ends


@dataclass
class BatchOptions:
    """The section `batches` in `crops`: N different speakers with M different utterances of each.

    Parameters
    ----------
    speakers : int
        N, 2 or more.
    utterances : int
        M.
    crops_per_utterance : int
        Rows of the batch that each utterance gives.
    when_fewer : {"repeat", "leave_out"}
        A speaker with fewer than M utterances: these again with other crops, once per epoch; or never, the number of such speakers being told.
    """

    speakers: int
    utterances: int = 1
    crops_per_utterance: int = 1
    when_fewer: Literal["repeat", "leave_out"] = "repeat"

    def __post_init__(self):
        for name, least in (("speakers", 2), ("utterances", 1), ("crops_per_utterance", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {least} or more")


@dataclass
class ShortCropOptions:
    """The section `short_crops` in `crops`: some crops hold less of their utterance, and repeat it up to the length of the batch.

    Parameters
    ----------
    crop_seconds : tuple of float
        Least and most that such a crop holds; one of the lengths between, 10 ms apart, is drawn.
    probability : float
        Of a crop to be such a one, above 0 and at most 1.
    """

    crop_seconds: tuple[float, float]
    probability: float = 0.5

    def __post_init__(self):
        _check_range("crop_seconds", self.crop_seconds)
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability is {self.probability}, expected above 0 and at most 1")


@dataclass
class CropOptions:
    """The section `crops`.

    Parameters
    ----------
    crop_seconds : float or tuple of float
        Length of a training crop; or the shortest and the longest: one of the lengths between, 10 ms apart, is drawn for each batch.
    batch_size : int or None
        Crops in a step, over all processes, of any speakers; 64 where neither this nor batches is given.
    batches : dict or None
        In its place: what `BatchOptions` says.
    max_utterances_per_speaker : int or None
        Most utterances of a speaker in an epoch, drawn anew in each.
    short_crops : dict or None
        What `ShortCropOptions` says.
    """

    crop_seconds: float | tuple[float, float] = 2.0
    batch_size: int | None = None
    batches: dict | None = None
    max_utterances_per_speaker: int | None = None
    short_crops: dict | None = None

    def __post_init__(self):
        if isinstance(self.crop_seconds, tuple):
            _check_range("crop_seconds", self.crop_seconds)
        elif self.crop_seconds <= 0:
            raise ValueError(f"crop_seconds is {self.crop_seconds}, expected more than 0")
        if self.max_utterances_per_speaker is not None and self.max_utterances_per_speaker < 1:
            raise ValueError(
                f"max_utterances_per_speaker is {self.max_utterances_per_speaker}, expected 1 or more"
            )
        if self.batches is not None and self.batch_size is not None:
            raise ValueError(
                "batch_size and batches: expected one of the two; with batches it is speakers * utterances * crops_per_utterance"
            )
        self.composition: BatchOptions | None = None
        if self.batches is not None:
            self.composition = make(BatchOptions, self.batches, "batches")
        self.shorter: ShortCropOptions | None = None
        if self.short_crops is not None:
            self.shorter = make(ShortCropOptions, self.short_crops, "short_crops")
        if self.rows_per_batch < 2:
            raise ValueError(f"batch_size is {self.rows_per_batch}, expected 2 or more")

    @property
    def shortest_seconds(self) -> float:
        """Length of the shortest crop."""
        return self.crop_seconds[0] if isinstance(self.crop_seconds, tuple) else self.crop_seconds

    @property
    def longest_seconds(self) -> float:
        """Length of the longest crop."""
        return self.crop_seconds[1] if isinstance(self.crop_seconds, tuple) else self.crop_seconds

    @property
    def rows_per_speaker(self) -> int:
        """Rows of a batch that each of its speakers has; 1 where that is left to chance."""
        if self.composition is None:
            return 1
        return self.composition.utterances * self.composition.crops_per_utterance

    @property
    def rows_per_batch(self) -> int:
        """Rows of a batch, over all processes."""
        if self.composition is not None:
            return self.composition.speakers * self.rows_per_speaker
        return 64 if self.batch_size is None else self.batch_size

    def check_shares(self, world: int) -> None:
        """Refuse batches that processes cannot share.

        Parameters
        ----------
        world : int
            How many there are.

        Raises
        ------
        ValueError
            Not equal shares of 2 or more.
        """
        rows = self.rows_per_batch
        if rows % world or rows < 2 * world:
            said = (
                f"batches of {rows} rows give" if self.composition else f"batch_size {rows} gives"
            )
            raise ValueError(f"{said} {world} processes no equal shares of 2 or more")

    def lengths(self, sample_rate_hz: int) -> int | Sequence[int]:
        """The length of a crop in samples; or those that are drawn from.

        Parameters
        ----------
        sample_rate_hz : int
            Of the audio, or frames per second.
        """
        if isinstance(self.crop_seconds, tuple):
            return _lengths_between(self.crop_seconds, sample_rate_hz)
        return round(self.crop_seconds * sample_rate_hz)

    def shorter_lengths(self, sample_rate_hz: int) -> "ShortCrops | None":
        """How crops are shortened, if they are.

        Parameters
        ----------
        sample_rate_hz : int
            Of the audio, or frames per second.
        """
        from utils.training.sampling import ShortCrops

        if self.shorter is None:
            return None
        lengths = _lengths_between(self.shorter.crop_seconds, sample_rate_hz)
        return ShortCrops(self.shorter.probability, lengths)

    def order(self, labels: Sequence[int], seed: int) -> "EveryUtterance | SpeakersByUtterances":
        """Which utterances an epoch draws.

        Parameters
        ----------
        labels : sequence of int
            Speaker of each utterance.
        seed : int
            Of the whole training.

        Raises
        ------
        ValueError
            The speakers do not fill such batches.
        """
        from utils.training.draw_order import EveryUtterance, SpeakersByUtterances

        if self.composition is None:
            return EveryUtterance(labels, seed, self.max_utterances_per_speaker)
        return SpeakersByUtterances(
            labels, seed, max_per_speaker=self.max_utterances_per_speaker, **vars(self.composition)
        )


def resolved_crops(options: dict | None) -> dict:
    """The section with every default filled in, those of its parts too.

    Parameters
    ----------
    options : dict or None
        The section, already checked.
    """
    resolved = resolved_options(CropOptions, options)
    parts = {"batches": BatchOptions, "short_crops": ShortCropOptions}
    return resolved | {
        name: resolved_options(part, resolved[name])
        for name, part in parts.items()
        if resolved[name] is not None
    }


def _lengths_between(seconds: tuple[float, float], sample_rate_hz: int) -> range:
    """Lengths in samples from the shortest to the longest."""
    step = max(1, round(LENGTH_STEP_SECONDS * sample_rate_hz))
    shortest, longest = (round(length * sample_rate_hz) for length in seconds)
    return range(shortest, longest + 1, step)


def _check_range(name: str, seconds: tuple[float, float]) -> None:
    """Refuse two lengths that are none."""
    if not 0 < seconds[0] <= seconds[1]:
        raise ValueError(f"{name} is {list(seconds)}, expected lengths above 0, the shortest first")
