"""The section `crops` of a training YAML: the length of crops, and how they form batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from utils.config import make, resolved_options

if TYPE_CHECKING:
    from utils.training.draw_order import EveryUtterance, SpeakersByUtterances
    from utils.training.sampling import ShortCrops

LENGTH_STEP_SECONDS = 0.01  # between the lengths to draw from: the frame shift of most front ends


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
        What happens to a speaker with fewer than M utterances: once per epoch, they are repeated
        with other crops; or the speaker is left out, and counted.
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
    """The section `short_crops` in `crops`: shorter crops, repeated up to the batch's length.

    Parameters
    ----------
    crop_seconds : tuple of float
        Shortest and longest part of an utterance in such a crop; drawn in steps of 10 ms.
    probability : float
        Share of short crops, above 0 and at most 1.
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
        Length of a training crop; or the shortest and the longest: one length between them is
        drawn for each batch, in steps of 10 ms.
    batch_size : int or None
        Crops in a step, over all processes, of any speakers; 64 if neither this nor batches is set.
    batches : dict or None
        Instead of it: see `BatchOptions`.
    max_utterances_per_speaker : int or None
        Most utterances of a speaker in an epoch; each epoch draws others.
    short_crops : dict or None
        See `ShortCropOptions`.
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
            most = self.max_utterances_per_speaker
            raise ValueError(f"max_utterances_per_speaker is {most}, expected 1 or more")
        if self.batches is not None and self.batch_size is not None:
            raise ValueError(
                "batch_size and batches: expected one of the two; "
                "with batches it is speakers * utterances * crops_per_utterance"
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
        """Rows of each speaker in a batch; 1 if speakers are not grouped."""
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
        """Refuse batches that ``world`` processes cannot share equally, 2 rows or more each."""
        rows = self.rows_per_batch
        if rows % world == 0 and rows >= 2 * world:
            return
        batch = f"batches of {rows} rows" if self.composition else f"batch_size {rows}"
        raise ValueError(f"{batch}: expected equal shares of 2 rows or more for {world} processes")

    def lengths(self, sample_rate_hz: int) -> int | Sequence[int]:
        """Length of a crop in samples (or frames), or all lengths to draw from."""
        if isinstance(self.crop_seconds, tuple):
            return _lengths_between(self.crop_seconds, sample_rate_hz)
        return round(self.crop_seconds * sample_rate_hz)

    def shorter_lengths(self, sample_rate_hz: int) -> "ShortCrops | None":
        """How some crops are shortened; None if none are."""
        from utils.training.sampling import ShortCrops

        if self.shorter is None:
            return None
        lengths = _lengths_between(self.shorter.crop_seconds, sample_rate_hz)
        return ShortCrops(self.shorter.probability, lengths)

    def order(self, labels: Sequence[int], seed: int) -> "EveryUtterance | SpeakersByUtterances":
        """The order of utterances in an epoch; ``labels`` are the speakers of all utterances.

        ValueError if the speakers do not fill such batches.
        """
        from utils.training.draw_order import EveryUtterance, SpeakersByUtterances

        if self.composition is None:
            return EveryUtterance(labels, seed, self.max_utterances_per_speaker)
        return SpeakersByUtterances(
            labels, seed, max_per_speaker=self.max_utterances_per_speaker, **vars(self.composition)
        )


def resolved_crops(options: dict | None) -> dict:
    """The section `crops`, already checked, with all defaults, those of its mappings too."""
    resolved = resolved_options(CropOptions, options)
    for name, kind in (("batches", BatchOptions), ("short_crops", ShortCropOptions)):
        if resolved[name] is not None:
            resolved[name] = resolved_options(kind, resolved[name])
    return resolved


def _lengths_between(seconds: tuple[float, float], sample_rate_hz: int) -> range:
    """Lengths in samples from the shortest to the longest."""
    step = max(1, round(LENGTH_STEP_SECONDS * sample_rate_hz))
    shortest, longest = round(seconds[0] * sample_rate_hz), round(seconds[1] * sample_rate_hz)
    return range(shortest, longest + 1, step)


def _check_range(name: str, seconds: tuple[float, float]) -> None:
    """Refuse a range of lengths that is empty or not above 0."""
    if not 0 < seconds[0] <= seconds[1]:
        raise ValueError(f"{name} is {list(seconds)}, expected lengths above 0, the shortest first")
