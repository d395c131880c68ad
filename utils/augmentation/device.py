"""The chain of augmentation on the training device: batches in torch, from a bank that is held in the device's memory as 16-bit integers.

What is done to a crop was drawn by the loader (`Augmenter.begin`); for the same numbers the result is that of the CPU, within 1e-4 of full scale.

Shapes: B crops of S samples, or R of them that a transform is applied to; K noises or rooms end to end.
"""

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import torch
from scipy import fft

from utils.audio import FULL_SCALE, to_int16
from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Transform, unpack
from utils.augmentation.chain import AllOf, OneOf
from utils.augmentation.channel import BandLimit, Reverse, Volume
from utils.augmentation.noise import Babble, Noise, Reverb
from utils.errors import UserError
from utils.packed.reader import PackedReader


class Sounds:
    """All sounds of one kind of the bank, on a device.

    Parameters
    ----------
    reader : PackedReader
        The sounds.
    device : torch.device
        Where to.
    """

    def __init__(self, reader: PackedReader, device: torch.device):
        lengths = np.asarray(reader.num_samples)
        whole = np.empty(lengths.sum(), np.int16)
        for number, end in enumerate(np.cumsum(lengths)):
            whole[end - lengths[number] : end] = to_int16(reader.read(number))
        try:
            self.samples = torch.from_numpy(whole).to(device)
        except torch.OutOfMemoryError:
            raise UserError(
                f"device: {reader.paths[0]}: {whole.nbytes:,} bytes do not fit into the device's memory; take a smaller bank, "
                "or augment in the loader (device: false)"
            ) from None
        self.starts_K = torch.from_numpy(np.cumsum(lengths) - lengths).to(device)
        self.lengths_K = torch.from_numpy(lengths).to(device)

    def windows(
        self, numbers: Sequence[float], starts: Sequence[float], num_samples: int
    ) -> torch.Tensor:
        """Parts of sounds, repeated where they are too short.

        Parameters
        ----------
        numbers, starts : (R,) sequences of whole numbers
            Which sounds, and from where.
        num_samples : int
            Length of every part.

        Returns
        -------
        (R, num_samples) float32 tensor
            In [-1, 1).
        """
        numbers_R = self._numbers(numbers)
        place_RS = self._numbers(starts)[:, None] + torch.arange(
            num_samples, device=self.samples.device
        )
        return self._at(self.starts_K[numbers_R, None] + place_RS % self.lengths_K[numbers_R, None])

    def padded(self, numbers: Sequence[float], longest: int) -> torch.Tensor:
        """Whole sounds with silence behind them, as long as the longest.

        Parameters
        ----------
        numbers : (R,) sequence of whole numbers
            Which.
        longest : int
            Sounds are cut there.

        Returns
        -------
        (R, samples) float32 tensor
            In [-1, 1).
        """
        numbers_R = self._numbers(numbers)
        lengths_R = self.lengths_K[numbers_R].clamp(max=longest)
        place_RS = torch.arange(int(lengths_R.max()), device=self.samples.device).expand(
            len(numbers_R), -1
        )
        inside_RS = place_RS < lengths_R[:, None]
        return (
            self._at(torch.where(inside_RS, self.starts_K[numbers_R, None] + place_RS, 0))
            * inside_RS
        )

    def _numbers(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor([int(value) for value in values], device=self.samples.device)

    def _at(self, places: torch.Tensor) -> torch.Tensor:
        return self.samples[places].float() / FULL_SCALE


class DeviceChain:
    """The end of a chain, on a device; the last thing it does is to turn down what exceeds full scale.

    Parameters
    ----------
    transforms : sequence of Transform
        Opened; each can run on a device.
    bank : Bank
        Its noises and rooms are copied when they are first needed.
    device : torch.device
        Where the crops are.
    """

    def __init__(self, transforms: Sequence[Transform], bank: Bank, device: torch.device):
        self.transforms, self.bank, self.device = transforms, bank, device
        self._sounds: dict[str, Sounds] = {}

    @torch.no_grad()
    def __call__(self, waveforms_BS: torch.Tensor, drawn_BW: torch.Tensor) -> torch.Tensor:
        """Augment a batch.

        Parameters
        ----------
        waveforms_BS : (B, S) float32 tensor
            On the device, as `Augmenter.begin` left them.
        drawn_BW : (B, width) float64 tensor
            On the host: what was drawn for each crop.

        Returns
        -------
        (B, S) float32 tensor
            In [-1, 1].
        """
        drawn = [unpack(self.transforms, row) for row in drawn_BW.tolist()]
        for number, transform in enumerate(self.transforms):
            waveforms_BS = self.apply(transform, waveforms_BS, [row[number] for row in drawn])
        return waveforms_BS / waveforms_BS.abs().amax(dim=1, keepdim=True).clamp(min=1)

    def apply(
        self, transform: Transform, waveforms_BS: torch.Tensor, drawn: Sequence[Drawn | None]
    ) -> torch.Tensor:
        """One transform, on those crops for which something was drawn.

        Parameters
        ----------
        transform : Transform
            Which.
        waveforms_BS : (B, S) tensor
            Crops.
        drawn : sequence of tuples or None
            Of each crop.
        """
        happens = {row: numbers for row, numbers in enumerate(drawn) if numbers}
        if not happens:
            return waveforms_BS
        rows_R = torch.tensor(list(happens), device=waveforms_BS.device)
        changed_RS = apply_batch(transform, waveforms_BS[rows_R], list(happens.values()), self)
        return waveforms_BS.index_copy(0, rows_R, changed_RS)

    def sounds(self, kind: str) -> Sounds:
        """The bank's ``noises`` or ``rooms`` on the device.

        Parameters
        ----------
        kind : str
            Which of the two.
        """
        if kind not in self._sounds:
            self._sounds[kind] = Sounds(getattr(self.bank, kind), self.device)
        return self._sounds[kind]


@singledispatch
def apply_batch(
    transform: Transform, waveforms_RS: torch.Tensor, drawn: Sequence[Drawn], chain: DeviceChain
) -> torch.Tensor:
    """Do to each crop what was drawn, as `transform.apply` does to one.

    Parameters
    ----------
    transform : Transform
        One whose `on_device` is true.
    waveforms_RS : (R, S) float32 tensor
        Crops.
    drawn : (R,) sequence of tuples
        Of each crop.
    chain : DeviceChain
        Holds the bank.

    Returns
    -------
    (R, S) float32 tensor
        They may exceed full scale.
    """
    raise TypeError(f"{type(transform).__name__} cannot run on a device")


@apply_batch.register
def _(transform: Reverb, waveforms_RS, drawn, chain):
    num_samples, peak = waveforms_RS.shape[1], chain.bank.peak
    response_RS = chain.sounds("rooms").padded([room for (room,) in drawn], num_samples + peak)
    size = fft.next_fast_len(num_samples + response_RS.shape[1] - 1, real=True)
    wet_RS = torch.fft.irfft(
        torch.fft.rfft(waveforms_RS, size) * torch.fft.rfft(response_RS, size), size
    )[:, peak : peak + num_samples]
    before_R1, after_R1 = _energy(waveforms_RS), _energy(wet_RS)
    return torch.where(after_R1 > 0, wet_RS * (before_R1 / after_R1).sqrt(), waveforms_RS)


@apply_batch.register
def _(transform: Noise, waveforms_RS, drawn, chain):
    numbers, starts, levels = zip(*drawn, strict=True)
    noise_RS = chain.sounds("noises").windows(numbers, starts, waveforms_RS.shape[1])
    level_R1 = _column(levels, waveforms_RS)
    return waveforms_RS + noise_RS * (
        level_R1
        if transform.snr_db == "recorded"
        else _noise_gain(waveforms_RS, noise_RS, level_R1)
    )


@apply_batch.register
def _(transform: Babble, waveforms_RS, drawn, chain):
    together_RS = torch.zeros_like(waveforms_RS)
    for place in range(0, max(map(len, drawn)), 3):
        speaking = [row for row, numbers in enumerate(drawn) if len(numbers) > place]
        numbers, starts, levels = zip(
            *(drawn[row][place : place + 3] for row in speaking), strict=True
        )
        speaker_RS = chain.sounds("noises").windows(numbers, starts, waveforms_RS.shape[1])
        rows_R = torch.tensor(speaking, device=chain.device)
        gain_R1 = (
            _noise_gain(waveforms_RS[rows_R], speaker_RS, _column(levels, waveforms_RS))
            if transform.level == "each"
            else speaker_RS.square()
            .mean(dim=1, keepdim=True)
            .clamp(min=torch.finfo(torch.float32).tiny)
            .rsqrt()
        )
        together_RS = together_RS.index_add(0, rows_R, speaker_RS * gain_R1)
    if transform.level == "each":
        return waveforms_RS + together_RS
    return waveforms_RS + together_RS * _noise_gain(
        waveforms_RS, together_RS, _column([numbers[2] for numbers in drawn], waveforms_RS)
    )


@apply_batch.register
def _(transform: Volume, waveforms_RS, drawn, chain):
    return waveforms_RS * 10 ** (_column([gain_db for (gain_db,) in drawn], waveforms_RS) / 20)


@apply_batch.register
def _(transform: BandLimit, waveforms_RS, drawn, chain):
    size = transform.transform_samples(waveforms_RS.shape[1])
    hertz_F = torch.fft.rfftfreq(size, 1 / chain.bank.sample_rate_hz, device=waveforms_RS.device)
    low_R1, high_R1 = (_column(values, waveforms_RS) for values in zip(*drawn, strict=True))
    power_RF = torch.ones(1, len(hertz_F), device=waveforms_RS.device)
    if transform.low_hz:
        power_RF = power_RF / (1 + (low_R1 / hertz_F.clamp(min=1e-3)) ** (2 * transform.order))
    if transform.high_hz:
        power_RF = power_RF / (1 + (hertz_F / high_R1) ** (2 * transform.order))
    return torch.fft.irfft(torch.fft.rfft(waveforms_RS, size) * power_RF.sqrt(), size)[
        :, : waveforms_RS.shape[1]
    ]


@apply_batch.register
def _(transform: Reverse, waveforms_RS, drawn, chain):
    return waveforms_RS.flip(1)


@apply_batch.register
def _(transform: OneOf, waveforms_RS, drawn, chain):
    for choice, inner in enumerate(transform.of):
        waveforms_RS = chain.apply(
            inner,
            waveforms_RS,
            [numbers[1:] if numbers[0] == choice else None for numbers in drawn],
        )
    return waveforms_RS


@apply_batch.register
def _(transform: AllOf, waveforms_RS, drawn, chain):
    split = [transform.split(numbers) for numbers in drawn]
    for number, inner in enumerate(transform.of):
        waveforms_RS = chain.apply(inner, waveforms_RS, [numbers[number] for numbers in split])
    return waveforms_RS


def _noise_gain(
    waveforms_RS: torch.Tensor, noise_RS: torch.Tensor, snr_db_R1: torch.Tensor
) -> torch.Tensor:
    """What noise is multiplied with; 0 where there is no such ratio."""
    signal_R1, noise_R1 = _energy(waveforms_RS), _energy(noise_RS)
    return torch.where(noise_R1 > 0, signal_R1 / noise_R1 / 10 ** (snr_db_R1 / 10), 0).sqrt()


def _energy(samples_RS: torch.Tensor) -> torch.Tensor:
    return samples_RS.square().sum(dim=1, keepdim=True)


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
