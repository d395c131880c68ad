"""Transforms that need no other sound: volume, band limits, codecs, time reversal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Range, Transform, check_range
from utils.augmentation.codecs import CODECS, is_available, transcode
from utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from utils.augmentation.device import DeviceChain

DECIBELS_PER_OCTAVE = 20 * np.log10(2)  # of a filter of order 1
PADDING_SECONDS = 0.1  # so that the filter's response to a crop's end does not reach its start


class Volume(Transform):
    """A change of volume.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    gain_db : (low, high)
        Gain; a crop that exceeds full scale at the end of the chain is scaled down.
    """

    def __init__(self, *, probability: float = 1.0, gain_db: Range = (-10.0, 6.0)):
        super().__init__(probability=probability)
        check_range("gain_db", gain_db)
        self.gain_db = gain_db

    def _draw(self, rng, num_samples):
        return (rng.uniform(*self.gain_db),)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Multiply."""
        return samples * np.float32(10 ** (drawn[0] / 20))

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Multiply each crop by its gain."""
        from utils.augmentation.device import column

        gain_db_R1 = column([gain_db for (gain_db,) in drawn], waveforms_RS)
        return waveforms_RS * 10 ** (gain_db_R1 / 20)

    def record(self, drawn: Drawn) -> str:
        """``volume(gain_db=-3.12346)``."""
        return f"volume(gain_db={drawn[0]:.6g})"

    def describe(self, drawn: Drawn) -> str:
        """``volume -3.1 dB``."""
        return f"volume {drawn[0]:+.1f} dB"


class BandLimit(Transform):
    """A band-pass filter with the magnitude of a Butterworth filter and zero phase.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    low_hz, high_hz : (low, high) or None
        Range of each cutoff, 3 dB below the middle; None: the band is open at that end.
    slope_db_per_octave : float
        Slope beyond a cutoff.
    """

    width = 2

    def __init__(
        self,
        *,
        probability: float = 1.0,
        low_hz: Range | None = (200.0, 400.0),
        high_hz: Range | None = (3000.0, 3800.0),
        slope_db_per_octave: float = 48.0,
    ):
        super().__init__(probability=probability)
        for name, bounds in (("low_hz", low_hz), ("high_hz", high_hz)):
            if bounds is not None:
                check_range(name, bounds, lowest=1)
        if low_hz and high_hz and low_hz[1] >= high_hz[0]:
            raise ValueError(
                f"low_hz goes up to {low_hz[1]} and high_hz begins at {high_hz[0]}, "
                "expected a band between them"
            )
        if slope_db_per_octave <= 0:
            raise ValueError(f"slope_db_per_octave: {slope_db_per_octave}, expected more than 0")
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.order = slope_db_per_octave / DECIBELS_PER_OCTAVE

    def open(self, bank: Bank) -> None:
        """Take the bank; UserError if its sample rate is too low for the band."""
        super().open(bank)
        nyquist_hz = bank.sample_rate_hz / 2
        if self.high_hz and self.high_hz[1] > nyquist_hz:
            raise UserError(
                f"high_hz goes up to {self.high_hz[1]}, "
                f"expected at most half of the sample rate, {nyquist_hz}"
            )

    def _draw(self, rng, num_samples):
        low_hz = self.low_hz or (0, 0)  # an open end draws, too
        high_hz = self.high_hz or (0, 0)
        return rng.uniform(*low_hz), rng.uniform(*high_hz)

    def _fft_size(self, num_samples: int) -> int:
        from scipy import fft

        padding = round(PADDING_SECONDS * self.bank.sample_rate_hz)
        return fft.next_fast_len(num_samples + padding, real=True)

    def _response(self, size: int, low_hz: float, high_hz: float) -> np.ndarray:
        """(size // 2 + 1,) float32 gains of a transform of this size; a cutoff of 0 is open."""
        hertz, power = np.fft.rfftfreq(size, 1 / self.bank.sample_rate_hz), 1.0
        if low_hz:
            power = power / (1 + (low_hz / np.maximum(hertz, 1e-3)) ** (2 * self.order))
        if high_hz:
            power = power / (1 + (hertz / high_hz) ** (2 * self.order))
        return np.broadcast_to(np.sqrt(power), hertz.shape).astype(np.float32)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Filter."""
        from scipy import fft

        size = self._fft_size(len(samples))
        spectrum = fft.rfft(samples, size) * self._response(size, *drawn)
        return fft.irfft(spectrum, size)[: len(samples)]

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Filter each crop by its band."""
        import torch

        from utils.augmentation.device import column

        num_samples, device = waveforms_RS.shape[1], waveforms_RS.device
        size = self._fft_size(num_samples)
        hertz_F = torch.fft.rfftfreq(size, 1 / self.bank.sample_rate_hz, device=device)
        lows, highs = zip(*drawn, strict=True)
        power_RF = torch.ones(1, len(hertz_F), device=device)
        if self.low_hz:
            ratio_RF = column(lows, waveforms_RS) / hertz_F.clamp(min=1e-3)
            power_RF = power_RF / (1 + ratio_RF ** (2 * self.order))
        if self.high_hz:
            ratio_RF = hertz_F / column(highs, waveforms_RS)
            power_RF = power_RF / (1 + ratio_RF ** (2 * self.order))
        spectrum_RF = torch.fft.rfft(waveforms_RS, size) * power_RF.sqrt()
        return torch.fft.irfft(spectrum_RF, size)[:, :num_samples]

    def record(self, drawn: Drawn) -> str:
        """``band_limit(low_hz=300,high_hz=3400)``."""
        return f"band_limit(low_hz={drawn[0]:.6g},high_hz={drawn[1]:.6g})"

    def describe(self, drawn: Drawn) -> str:
        """``band above 300 Hz and below 3400 Hz``."""
        low_hz, high_hz = drawn
        ends = []
        if low_hz:
            ends.append(f"above {low_hz:.0f} Hz")
        if high_hz:
            ends.append(f"below {high_hz:.0f} Hz")
        return f"band {' and '.join(ends)}"


class Codec(Transform):
    """A telephone or web codec; telephone codecs run at 8 kHz.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    codecs : sequence of str
        Codecs to draw from.
    compression : (low, high)
        From 0, the best quality, to 1, the fewest bits (Opus, Vorbis, MP3).
    """

    on_device, width = False, 2

    def __init__(
        self,
        *,
        probability: float = 1.0,
        codecs: tuple[str, ...] = ("mu_law", "a_law", "gsm"),
        compression: Range = (0.0, 1.0),
    ):
        super().__init__(probability=probability)
        check_range("compression", compression, lowest=0, highest=1)
        unknown = sorted(set(codecs) - set(CODECS))
        if unknown or not codecs:
            raise ValueError(
                f"codecs: found {', '.join(unknown) or 'none'}, "
                f"expected some of {', '.join(sorted(CODECS))}"
            )
        absent = [codec for codec in codecs if not is_available(codec)]
        if absent:
            raise UserError(
                f"codecs: this machine's libsndfile has no {', '.join(absent)}; "
                "take them out, or install a newer soundfile"
            )
        self.codecs, self.compression = codecs, compression

    def _draw(self, rng, num_samples):
        return int(rng.integers(len(self.codecs))), rng.uniform(*self.compression)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Encode and decode."""
        return transcode(samples, self.bank.sample_rate_hz, self.codecs[int(drawn[0])], drawn[1])

    def record(self, drawn: Drawn) -> str:
        """``codec(mu_law,compression=0.5)``."""
        return f"codec({self.codecs[int(drawn[0])]},compression={drawn[1]:.6g})"

    def describe(self, drawn: Drawn) -> str:
        """``codec mu_law``."""
        return f"codec {self.codecs[int(drawn[0])]}"


class Reverse(Transform):
    """Time reversal.

    Parameters
    ----------
    probability : float
        Probability of applying it.
    """

    def _draw(self, rng, num_samples):
        return (1.0,)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Reverse."""
        return np.ascontiguousarray(samples[::-1])

    def apply_batch(
        self, waveforms_RS: "torch.Tensor", drawn: Sequence[Drawn], chain: "DeviceChain"
    ) -> "torch.Tensor":
        """Reverse each crop."""
        return waveforms_RS.flip(1)

    def record(self, drawn: Drawn) -> str:
        """``reverse``."""
        return "reverse"

    def describe(self, drawn: Drawn) -> str:
        """``backwards``."""
        return "backwards"
