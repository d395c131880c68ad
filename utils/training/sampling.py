"""The crops of a training: a pure function of (seed, epoch, global draw index).

Workers and ranks only share the draws, so their number changes no crop; the whole state of the
sampler is one integer.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.training.draw_order import EveryUtterance, SpeakersByUtterances

if TYPE_CHECKING:
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader


class NoAugmentation:
    """Used instead of an Augmenter for features, which only SpecAugment changes."""

    speed_factors, classes_per_speaker, device = (1.0,), 1, False

    def __call__(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """The unchanged crop."""
        return samples


class CropDataset:
    """Training crops by global draw index, for `torch.utils.data.DataLoader`.

    ``labels`` are the speakers of the utterances, from 0.  ``crop_samples`` is the length of every
    crop, or the lengths of which one is drawn for each batch of ``batch_size``; a sample of
    features is a frame.  Without an ``order``, an epoch has every utterance once.
    """

    def __init__(
        self,
        reader: "PackedReader | FeatureReader",
        labels: Sequence[int],
        crop_samples: int | Sequence[int],
        augment: Augmenter | NoAugmentation,
        seed: int,
        *,
        order: EveryUtterance | SpeakersByUtterances | None = None,
        batch_size: int = 1,
        short_crops: "ShortCrops | None" = None,
    ):
        self.reader, self.augment, self.seed = reader, augment, seed
        self.labels = np.asarray(labels)
        self.crop_samples = [crop_samples] if isinstance(crop_samples, int) else crop_samples
        self.draws = order or EveryUtterance(labels, seed)
        self.batch_size, self.short_crops = batch_size, short_crops
        self.num_speakers = int(self.labels.max()) + 1
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def epoch_size(self) -> int:
        """Draws in an epoch."""
        return self.draws.epoch_size

    @property
    def num_classes(self) -> int:
        """Speakers, times the speed factors if each makes another speaker."""
        return self.num_speakers * self.augment.classes_per_speaker

    def order(self, epoch: int) -> np.ndarray:
        """The utterances of an epoch in their order; the last epoch is cached."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.draws.order(epoch)
        return self._order

    def length(self, draw: int) -> int:
        """Samples of a crop by its global draw index; the same in a batch."""
        if len(self.crop_samples) == 1:
            return self.crop_samples[0]
        rng = np.random.default_rng([self.seed, draw // self.batch_size, 0, 2])
        return self.crop_samples[int(rng.integers(len(self.crop_samples)))]

    def speed(self, draw: int, rng: np.random.Generator) -> int:
        """Index of the speed factor.

        If speed makes another speaker, all consecutive draws of one speaker get the same one.
        """
        if self.augment.classes_per_speaker > 1 and self.draws.rows_per_speaker > 1:
            rng = np.random.default_rng([self.seed, draw // self.draws.rows_per_speaker, 0, 3])
        return int(rng.integers(len(self.augment.speed_factors)))

    def __getitem__(self, draw: int) -> tuple:
        """Crop (samples,) float32 in [-1, 1] or (frames, features), class label, and a seed.

        The seed is for draws on the device.  If the device augments, the numbers drawn for that
        follow, and the crop may exceed full scale until then.
        """
        epoch, position = divmod(int(draw), self.epoch_size)
        rng = np.random.default_rng([self.seed, epoch, int(draw), 1])
        utterance = int(self.order(epoch)[position])
        speed, length = self.speed(int(draw), rng), self.length(int(draw))
        factor = self.augment.speed_factors[speed]
        own_length = length  # without repetition
        if self.short_crops:
            own_length = self.short_crops.draw(length, rng)
        samples = self._read(utterance, int(np.ceil(own_length * factor)), rng)
        voice = speed % self.augment.classes_per_speaker
        label = int(self.labels[utterance]) + voice * self.num_speakers
        if isinstance(self.augment, Augmenter) and self.augment.device:
            begun, drawn = self.augment.begin(samples, factor, own_length, rng)
            return _repeated(begun, length), label, int(rng.integers(2**31)), drawn
        crop = self.augment(samples, factor, own_length, rng)
        return _repeated(crop, length), label, int(rng.integers(2**31))

    def _read(self, utterance: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
        """Samples from a random start; an utterance that is too short is repeated."""
        available = int(self.reader.num_samples[utterance])
        start = int(rng.integers(max(available - wanted, 0) + 1))
        return _repeated(self.reader.read(utterance, start, min(wanted, available)), wanted)


class ShortCrops:
    """Draws shorter lengths for some crops, which are then repeated up to the batch's length."""

    def __init__(self, probability: float, lengths: Sequence[int]):
        self.probability, self.lengths = probability, lengths

    def draw(self, length: int, rng: np.random.Generator) -> int:
        """Samples that a crop of some length takes from its utterance."""
        if rng.random() >= self.probability:
            return length
        return min(length, self.lengths[int(rng.integers(len(self.lengths)))])


def _repeated(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples or frames, repeated from the start until there are enough."""
    return samples if len(samples) >= length else np.resize(samples, (length, *samples.shape[1:]))


class RankBatchSampler:
    """Batch sampler of one rank: every ``world``-th draw of each global batch.

    ``batch_size`` is that of the global batch; the steps are ``[first_step, last_step)``.
    """

    def __init__(self, batch_size: int, rank: int, world: int, first_step: int, last_step: int):
        if batch_size % world:
            raise ValueError(f"batch_size {batch_size} is not a multiple of the {world} processes")
        self.batch_size, self.rank, self.world = batch_size, rank, world
        self.first_step, self.last_step = first_step, last_step

    def __len__(self) -> int:
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.last_step):
            first = step * self.batch_size
            yield list(range(first + self.rank, first + self.batch_size, self.world))
