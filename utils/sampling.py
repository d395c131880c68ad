"""What training sees at which step: a pure function of (seed, epoch, global draw index).

Workers and ranks only deal the draws out, so their number changes nothing that is drawn; the whole state of the sampler is one integer.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from utils.augmentation import Augmenter
    from utils.feature_reader import FeatureReader
    from utils.packed import PackedReader


class Untouched:
    """Stands in an Augmenter's place for features, which nothing is done to but SpecAugment in the network."""

    speed_factors, classes_per_speaker, device = (1.0,), 1, False

    def __call__(self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator) -> np.ndarray:
        """The crop as it is."""
        return samples


class CropDataset:
    """Training crops by global draw index, for `torch.utils.data.DataLoader`.

    Parameters
    ----------
    reader : PackedReader or FeatureReader
        Packed audio; or features, of which a sample is a frame.
    labels : sequence of int
        Speaker label of each utterance, from 0 on.
    crop_samples : int
        Length of every crop.
    augment : Augmenter or Untouched
        What happens to a crop; to features: nothing.
    seed : int
        Of the whole training.
    """

    def __init__(self, reader: "PackedReader | FeatureReader", labels: Sequence[int], crop_samples: int, augment: "Augmenter | Untouched",
                 seed: int):
        self.reader, self.labels, self.crop_samples, self.augment, self.seed = reader, np.asarray(labels), crop_samples, augment, seed
        self.num_speakers = int(self.labels.max()) + 1
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def epoch_size(self) -> int:
        """Draws in an epoch: each utterance once."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Speakers, each once per speed factor where a voice played faster is another voice."""
        return self.num_speakers * self.augment.classes_per_speaker

    def order(self, epoch: int) -> np.ndarray:
        """Utterances in the order in which an epoch draws them; the last one asked for is kept.

        Parameters
        ----------
        epoch : int
            From 0 on.
        """
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.epoch_size)
        return self._order

    def __getitem__(self, draw: int) -> tuple:
        """Crop (samples,) float32 in [-1, 1] or (frames, features), its class label, and a seed for what is drawn on the device.

        Where the device augments, too: the numbers that were drawn for that, and the crop may exceed full scale until then.
        """
        epoch, position = divmod(int(draw), self.epoch_size)
        rng = np.random.default_rng([self.seed, epoch, int(draw), 1])
        utterance = int(self.order(epoch)[position])
        speed = int(rng.integers(len(self.augment.speed_factors)))
        wanted = int(np.ceil(self.crop_samples * self.augment.speed_factors[speed]))
        available = int(self.reader.num_samples[utterance])
        start = int(rng.integers(max(available - wanted, 0) + 1))
        samples = self.reader.read(utterance, start, min(wanted, available))
        if len(samples) < wanted:
            samples = np.resize(samples, (wanted, *samples.shape[1:]))  # repeats it, whole samples or frames
        arguments = samples, self.augment.speed_factors[speed], self.crop_samples, rng
        samples, *drawn = self.augment.begin(*arguments) if self.augment.device else [self.augment(*arguments)]
        label = int(self.labels[utterance]) + speed % self.augment.classes_per_speaker * self.num_speakers
        return samples, label, int(rng.integers(2**31)), *drawn


class DealtDraws:
    """Batch sampler of one rank: of every global batch it takes each ``world``-th draw.

    Parameters
    ----------
    batch_size : int
        Size of the global batch, a multiple of world.
    rank, world : int
        This process, and how many there are.
    first_step, last_step : int
        Steps [first, last) are dealt.
    """

    def __init__(self, batch_size: int, rank: int, world: int, first_step: int, last_step: int):
        if batch_size % world:
            raise ValueError(f"batch_size {batch_size} is not a multiple of the {world} processes")
        self.batch_size, self.rank, self.world, self.first_step, self.last_step = batch_size, rank, world, first_step, last_step

    def __len__(self) -> int:
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.last_step):
            first = step * self.batch_size
            yield list(range(first + self.rank, first + self.batch_size, self.world))
