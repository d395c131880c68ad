"""What training sees at which step: a pure function of (seed, epoch, global draw index).

Workers and ranks only deal the draws out, so their number changes nothing that is drawn; the whole state of the sampler is one integer.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.training.draw_order import EveryUtterance, SpeakersByUtterances

if TYPE_CHECKING:
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader


class Untouched:
    """Stands in an Augmenter's place for features: only the network's SpecAugment changes them."""

    speed_factors, classes_per_speaker, device = (1.0,), 1, False

    def __call__(
        self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
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
    crop_samples : int or sequence of int
        Length of every crop; or lengths, of which one is drawn for each batch.
    augment : Augmenter or Untouched
        What happens to a crop; to features: nothing.
    seed : int
        Of the whole training.
    order : EveryUtterance or SpeakersByUtterances or None
        Which utterances an epoch draws; None: every one.
    batch_size : int
        Draws of a batch; only lengths that are drawn depend on it.
    short_crops : ShortCrops or None
        Whether some crops are taken shorter and repeated.
    """

    def __init__(
        self,
        reader: "PackedReader | FeatureReader",
        labels: Sequence[int],
        crop_samples: int | Sequence[int],
        augment: Augmenter | Untouched,
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
            self._epoch, self._order = epoch, self.draws.order(epoch)
        return self._order

    def length(self, draw: int) -> int:
        """Samples of a crop: the same for all draws of a batch.

        Parameters
        ----------
        draw : int
            Global index.
        """
        if len(self.crop_samples) == 1:
            return self.crop_samples[0]
        rng = np.random.default_rng([self.seed, draw // self.batch_size, 0, 2])
        return self.crop_samples[int(rng.integers(len(self.crop_samples)))]

    def speed(self, draw: int, rng: np.random.Generator) -> int:
        """Number of the speed factor: one for all neighbours that are to be of one speaker, where a faster voice is another speaker.

        Parameters
        ----------
        draw : int
            Global index.
        rng : numpy Generator
            Of this draw.
        """
        if self.augment.classes_per_speaker > 1 and self.draws.rows_per_speaker > 1:
            rng = np.random.default_rng([self.seed, draw // self.draws.rows_per_speaker, 0, 3])
        return int(rng.integers(len(self.augment.speed_factors)))

    def __getitem__(self, draw: int) -> tuple:
        """Crop (samples,) float32 in [-1, 1] or (frames, features), its class label, and a seed for what is drawn on the device.

        Where the device augments, too: the numbers that were drawn for that, and the crop may exceed full scale until then.
        """
        epoch, position = divmod(int(draw), self.epoch_size)
        rng = np.random.default_rng([self.seed, epoch, int(draw), 1])
        utterance = int(self.order(epoch)[position])
        speed, length = self.speed(int(draw), rng), self.length(int(draw))
        factor = self.augment.speed_factors[speed]
        taken = self.short_crops.draw(length, rng) if self.short_crops else length
        samples = self._read(utterance, int(np.ceil(taken * factor)), rng)
        voice = speed % self.augment.classes_per_speaker
        label = int(self.labels[utterance]) + voice * self.num_speakers
        if isinstance(self.augment, Augmenter) and self.augment.device:
            begun, drawn = self.augment.begin(samples, factor, taken, rng)
            return _repeated(begun, length), label, int(rng.integers(2**31)), drawn
        crop = self.augment(samples, factor, taken, rng)
        return _repeated(crop, length), label, int(rng.integers(2**31))

    def _read(self, utterance: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
        """So many samples from a place that is drawn; an utterance that is too short is repeated."""
        available = int(self.reader.num_samples[utterance])
        start = int(rng.integers(max(available - wanted, 0) + 1))
        return _repeated(self.reader.read(utterance, start, min(wanted, available)), wanted)


class ShortCrops:
    """Some crops hold less of their utterance than the others, and repeat it: the network meets short utterances in batches of one length.

    Parameters
    ----------
    probability : float
        Of a crop to be shorter, in (0, 1].
    lengths : sequence of int
        Samples, one of which is drawn.
    """

    def __init__(self, probability: float, lengths: Sequence[int]):
        self.probability, self.lengths = probability, lengths

    def draw(self, length: int, rng: np.random.Generator) -> int:
        """Samples that a crop takes from its utterance.

        Parameters
        ----------
        length : int
            Of the crop.
        rng : numpy Generator
            Of this draw.
        """
        if rng.random() >= self.probability:
            return length
        return min(length, self.lengths[int(rng.integers(len(self.lengths)))])


def _repeated(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples or frames from the beginning on again, until there are enough."""
    return samples if len(samples) >= length else np.resize(samples, (length, *samples.shape[1:]))


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
        self.batch_size, self.rank, self.world = batch_size, rank, world
        self.first_step, self.last_step = first_step, last_step

    def __len__(self) -> int:
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.last_step):
            first = step * self.batch_size
            yield list(range(first + self.rank, first + self.batch_size, self.world))
