"""Transforms that take sounds from the bank: rooms, noises, babble."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Range, Transform, check_range
from utils.augmentation.signal import add_noise, reverberate

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain


class Reverb(Transform):
    """Reverberation by a room response of the bank, aligned to its peak; the energy stays.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    """

    uses_bank = True

    def open(self, bank: Bank) -> None:
        """Take the bank, which must have rooms."""
        super().open(bank)
        _ = bank.rooms

    def _draw(self, rng, num_samples):
        return (int(rng.integers(len(self.bank.rooms))),)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Convolve with the room response."""
        response, spectrum = self.bank.room(int(drawn[0]), len(samples))
        return reverberate(samples, response, self.bank.peak, spectrum)

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Convolve each crop with its room response."""
        import torch
        from scipy import fft

        from utils.augmentation.device import energy

        num_samples, peak = waveforms_RS.shape[1], self.bank.peak
        rooms = [room for (room,) in drawn]
        response_RS = chain.sounds("rooms").padded(rooms, num_samples + peak)
        size = fft.next_fast_len(num_samples + response_RS.shape[1] - 1, real=True)
        spectrum_RF = torch.fft.rfft(waveforms_RS, size) * torch.fft.rfft(response_RS, size)
        wet_RS = torch.fft.irfft(spectrum_RF, size)[:, peak : peak + num_samples]
        before_R1, after_R1 = energy(waveforms_RS), energy(wet_RS)
        return torch.where(after_R1 > 0, wet_RS * (before_R1 / after_R1).sqrt(), waveforms_RS)

    def record(self, drawn: Drawn) -> str:
        """``reverb(small-03-1)``."""
        return f"reverb({self.bank.room_names[int(drawn[0])]})"

    def describe(self, drawn: Drawn) -> str:
        """``room 3 of 40``."""
        return f"room {int(drawn[0]) + 1} of {len(self.bank.rooms)}"


class Noise(Transform):
    """A part of one noise of the bank; a noise that is too short is repeated.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    types : sequence of str or None
        Types of noise: first a type is drawn, then a noise of that type.  None: all noises, or
        the types that ``snr_db`` maps to ranges.
    snr_db : (low, high), mapping of type to (low, high), or ``recorded``
        Signal-to-noise ratio over the crop; ``recorded`` adds the noise at its recorded level.
    gain : float
        Factor of a noise at its recorded level.
    """

    width, uses_bank = 3, True

    def __init__(
        self,
        *,
        probability: float = 1.0,
        types: tuple[str, ...] | None = None,
        snr_db: Range | dict[str, Range] | Literal["recorded"] = (5.0, 20.0),
        gain: float = 1.0,
    ):
        super().__init__(probability=probability)
        if snr_db == {} or types == ():
            raise ValueError("types or snr_db is empty, expected one type or more")
        if isinstance(snr_db, dict) and types is not None and set(types) != set(snr_db):
            raise ValueError(
                f"types are {', '.join(sorted(types))}, snr_db has ranges for "
                f"{', '.join(sorted(snr_db))}; expected the same types, or no option types"
            )
        self.is_recorded = snr_db == "recorded"
        if gain != 1 and not self.is_recorded:
            raise ValueError(f"gain: {gain} needs snr_db: recorded; set it, or remove gain")
        if isinstance(snr_db, dict):
            for bounds in snr_db.values():
                check_range("snr_db", bounds)
        elif not isinstance(snr_db, str):
            check_range("snr_db", snr_db)
        self.types, self.snr_db, self.gain = types, snr_db, gain

    def open(self, bank: Bank) -> None:
        """Take the bank, which must have noises, and some of each type."""
        super().open(bank)
        types = sorted(self.types or ())
        bounds = [self.snr_db] * len(types)
        if isinstance(self.snr_db, dict):
            types = sorted(self.snr_db)
            bounds = [self.snr_db[kind] for kind in types]
        # (noises, range) pairs: first a pair is drawn, then one of its noises
        self.choices = list(zip(bank.indices_by_type(types), bounds, strict=True))
        if not types:
            self.choices = [(np.arange(len(bank.noises)), self.snr_db)]

    def _draw(self, rng, num_samples):
        noises, bounds = self.choices[rng.integers(len(self.choices))]
        noise = int(noises[rng.integers(len(noises))])
        start = self.bank.draw_start(noise, num_samples, rng)
        if self.is_recorded:
            return noise, start, self.gain
        return noise, start, rng.uniform(*bounds)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Add the noise."""
        noise = self.bank.noise(int(drawn[0]), int(drawn[1]), len(samples))
        if self.is_recorded:
            return samples + noise * np.float32(drawn[2])
        return add_noise(samples, noise, drawn[2])

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Add to each crop its noise."""
        from utils.augmentation.device import column, noise_gain

        noises, starts, levels = zip(*drawn, strict=True)
        noise_RS = chain.sounds("noises").parts(noises, starts, waveforms_RS.shape[1])
        gain_R1 = column(levels, waveforms_RS)
        if not self.is_recorded:
            gain_R1 = noise_gain(waveforms_RS, noise_RS, gain_R1)
        return waveforms_RS + noise_RS * gain_R1

    def record(self, drawn: Drawn) -> str:
        """``noise(rain-2,start=81920,snr_db=7.31264)``, or with ``gain=``."""
        level = "gain" if self.is_recorded else "snr_db"
        return f"noise({_record_sound(self.bank, drawn, level)})"

    def describe(self, drawn: Drawn) -> str:
        """``rain at 7.3 dB``."""
        kind = self.bank.noise_types[int(drawn[0])]
        if self.is_recorded:
            return f"{kind} as loud as recorded, times {drawn[2]:g}"
        return f"{kind} at {drawn[2]:.1f} dB"


class Babble(Transform):
    """Several speakers at once, all different if the bank has enough.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    num_speakers : (low, high)
        Range of their number.
    snr_db : (low, high)
        Signal-to-noise ratio over the crop.
    level : str
        ``sum``: the ratio is that of all speakers together, who are equally loud; ``each``: every
        speaker has a ratio of its own.
    type : str
        Type of the speakers' sounds in the bank.
    """

    uses_bank = True

    def __init__(
        self,
        *,
        probability: float = 1.0,
        num_speakers: tuple[int, int] = (3, 7),
        snr_db: Range = (13.0, 20.0),
        level: Literal["sum", "each"] = "sum",
        type: str = "speech",
    ):
        super().__init__(probability=probability)
        check_range("num_speakers", num_speakers, lowest=1)
        check_range("snr_db", snr_db)
        self.num_speakers, self.snr_db, self.level, self.type = num_speakers, snr_db, level, type
        self.width = 3 * num_speakers[1]

    def open(self, bank: Bank) -> None:
        """Take the bank, which must have speakers."""
        super().open(bank)
        [self.speakers] = bank.indices_by_type([self.type])

    def _draw(self, rng, num_samples):
        count = int(rng.integers(self.num_speakers[0], self.num_speakers[1] + 1))
        snr_db, drawn = rng.uniform(*self.snr_db), []
        for speaker in rng.choice(self.speakers, count, replace=count > len(self.speakers)):
            start = self.bank.draw_start(int(speaker), num_samples, rng)
            if self.level == "each":
                snr_db = rng.uniform(*self.snr_db)
            drawn += [int(speaker), start, snr_db]
        return tuple(drawn)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Add the speakers."""
        babble = np.zeros_like(samples)
        for noise, start, snr_db in zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True):
            speaker = self.bank.noise(int(noise), int(start), len(samples))
            power = np.mean(np.square(speaker))
            if self.level == "each":
                babble += add_noise(samples, speaker, snr_db) - samples
            elif power > 0:
                babble += speaker / np.sqrt(power)
        if self.level == "each":
            return samples + babble
        return add_noise(samples, babble, drawn[2])

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Add to each crop its speakers; crops may have different numbers of them."""
        import torch

        from utils.augmentation.device import column, noise_gain

        babble_RS = torch.zeros_like(waveforms_RS)
        most_numbers = max(len(numbers) for numbers in drawn)
        for first in range(0, most_numbers, 3):
            rows = [row for row, numbers in enumerate(drawn) if len(numbers) > first]
            speakers, starts, levels = zip(
                *(drawn[row][first : first + 3] for row in rows), strict=True
            )
            speaker_RS = chain.sounds("noises").parts(speakers, starts, waveforms_RS.shape[1])
            rows_R = torch.tensor(rows, device=chain.device)
            if self.level == "each":
                snr_db_R1 = column(levels, waveforms_RS)
                gain_R1 = noise_gain(waveforms_RS[rows_R], speaker_RS, snr_db_R1)
            else:
                power_R1 = speaker_RS.square().mean(dim=1, keepdim=True)
                gain_R1 = power_R1.clamp(min=torch.finfo(torch.float32).tiny).rsqrt()
            babble_RS = babble_RS.index_add(0, rows_R, speaker_RS * gain_R1)
        if self.level == "each":
            return waveforms_RS + babble_RS
        snr_db_R1 = column([numbers[2] for numbers in drawn], waveforms_RS)
        return waveforms_RS + babble_RS * noise_gain(waveforms_RS, babble_RS, snr_db_R1)

    def record(self, drawn: Drawn) -> str:
        """``babble_sum(speech-0,start=1,snr_db=15;speech-2,start=2,snr_db=15)``."""
        by_speaker = zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True)
        speakers = [_record_sound(self.bank, numbers, "snr_db") for numbers in by_speaker]
        return f"babble_{self.level}({';'.join(speakers)})"

    def describe(self, drawn: Drawn) -> str:
        """``babble of 3 speakers at 14.0 dB``."""
        levels_db = drawn[2::3]
        level = f"{min(levels_db):.1f} to {max(levels_db):.1f} dB each"
        if self.level == "sum":
            level = f"{levels_db[0]:.1f} dB"
        return f"babble of {len(levels_db)} speakers at {level}"


def _record_sound(bank: Bank, drawn: Drawn, level: str) -> str:
    noise, start, value = drawn
    return f"{bank.noise_names[int(noise)]},start={int(start)},{level}={value:.6g}"
