"""The end of a chain on the training device, with the bank in its memory as 16-bit integers.

The loader draws (`Augmenter.begin`); for the same numbers the result is that of the CPU within
1e-4 of full scale.

Shapes: B crops of S samples, of which a transform changes R; a bank of K noises or rooms.
"""

from collections.abc import Sequence

import numpy as np
import torch

from utils.audio import FULL_SCALE, to_int16
from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Transform, from_row
from utils.errors import UserError
from utils.packed.reader import PackedReader


class BankSounds:
    """All sounds of one kind of the bank on a device, one after the other."""

    def __init__(self, reader: PackedReader, device: torch.device):
        lengths = np.asarray(reader.num_samples)
        joined = np.empty(lengths.sum(), np.int16)
        for index, end in enumerate(np.cumsum(lengths)):
            joined[end - lengths[index] : end] = to_int16(reader.read(index))
        try:
            self.samples = torch.from_numpy(joined).to(device)
        except torch.OutOfMemoryError:
            raise UserError(
                f"device: {reader.paths[0]}: {joined.nbytes:,} bytes do not fit into the device's "
                "memory; take a smaller bank, or augment in the loader (device: false)"
            ) from None
        self.starts_K = torch.from_numpy(np.cumsum(lengths) - lengths).to(device)
        self.lengths_K = torch.from_numpy(lengths).to(device)

    def parts(
        self, sounds: Sequence[float], starts: Sequence[float], num_samples: int
    ) -> torch.Tensor:
        """(R, num_samples) float32 parts of sounds from their starts, repeated if too short."""
        sounds_R1 = self._integers(sounds)[:, None]
        offsets_S = torch.arange(num_samples, device=self.samples.device)
        positions_RS = self._integers(starts)[:, None] + offsets_S
        return self._read(self.starts_K[sounds_R1] + positions_RS % self.lengths_K[sounds_R1])

    def padded(self, sounds: Sequence[float], max_samples: int) -> torch.Tensor:
        """(R, samples) float32 sounds, cut at `max_samples`, and zeros after the shorter ones."""
        sounds_R = self._integers(sounds)
        lengths_R = self.lengths_K[sounds_R].clamp(max=max_samples)
        offsets_S = torch.arange(int(lengths_R.max()), device=self.samples.device)
        is_inside_RS = offsets_S < lengths_R[:, None]
        positions_RS = torch.where(is_inside_RS, self.starts_K[sounds_R, None] + offsets_S, 0)
        return self._read(positions_RS) * is_inside_RS

    def _integers(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor([int(value) for value in values], device=self.samples.device)

    def _read(self, positions: torch.Tensor) -> torch.Tensor:
        return self.samples[positions].float() / FULL_SCALE


class DeviceChain:
    """The end of a chain on a device; afterwards, crops beyond full scale are scaled down.

    Every transform is opened and can run on a device.  The bank's noises and rooms are copied
    there when they are first needed.
    """

    def __init__(self, transforms: Sequence[Transform], bank: Bank, device: torch.device):
        self.transforms, self.bank, self.device = transforms, bank, device
        self._sounds: dict[str, BankSounds] = {}

    @torch.no_grad()
    def __call__(self, waveforms_BS: torch.Tensor, drawn_BW: torch.Tensor) -> torch.Tensor:
        """Augment crops on the device by the float64 rows on the host, from `Augmenter.begin`."""
        drawn = [from_row(self.transforms, row) for row in drawn_BW.tolist()]
        for index, transform in enumerate(self.transforms):
            waveforms_BS = self.apply(transform, waveforms_BS, [row[index] for row in drawn])
        return waveforms_BS / waveforms_BS.abs().amax(dim=1, keepdim=True).clamp(min=1)

    def apply(
        self, transform: Transform, waveforms_BS: torch.Tensor, drawn: Sequence[Drawn | None]
    ) -> torch.Tensor:
        """Apply one transform to the crops that drew numbers for it."""
        drawn_by_row = {row: numbers for row, numbers in enumerate(drawn) if numbers}
        if not drawn_by_row:
            return waveforms_BS
        rows_R = torch.tensor(list(drawn_by_row), device=waveforms_BS.device)
        numbers = list(drawn_by_row.values())
        changed_RS = transform.apply_batch(waveforms_BS[rows_R], numbers, self)
        return waveforms_BS.index_copy(0, rows_R, changed_RS)

    def sounds(self, kind: str) -> BankSounds:
        """The bank's ``noises`` or ``rooms`` on the device."""
        if kind not in self._sounds:
            self._sounds[kind] = BankSounds(getattr(self.bank, kind), self.device)
        return self._sounds[kind]


def noise_gain(
    waveforms_RS: torch.Tensor, noise_RS: torch.Tensor, snr_db_R1: torch.Tensor
) -> torch.Tensor:
    """(R, 1) factors that give the noise its ratio; 0 for silent noise."""
    signal_R1, noise_R1 = energy(waveforms_RS), energy(noise_RS)
    return torch.where(noise_R1 > 0, signal_R1 / noise_R1 / 10 ** (snr_db_R1 / 10), 0).sqrt()


def energy(samples_RS: torch.Tensor) -> torch.Tensor:
    """(R, 1) sums of squares."""
    return samples_RS.square().sum(dim=1, keepdim=True)


def column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    """(R, 1) values, with the type and device of a tensor."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
