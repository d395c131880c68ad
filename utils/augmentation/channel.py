"""Transforms that need no other sound: volume, band limits, codecs, time reversal."""

import numpy as np

from utils.augmentation.bank import Bank
from utils.augmentation.base import Drawn, Range, Transform, check_range
from utils.augmentation.codecs import CODECS, is_available, transcode
from utils.errors import UserError

DECIBELS_PER_OCTAVE = 20 * np.log10(2)  # of one order of a filter
PADDING_SECONDS = 0.1  # a filter's answer to the end of a crop must not come back at its start


class Volume(Transform):
    """Louder or softer.

    Parameters
    ----------
    probability : float
        How often.
    gain_db : (low, high)
        By how much; what exceeds full scale at the end of the chain is turned down as a whole.
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


class BandLimit(Transform):
    """Only the frequencies of a band, without delay (a Butterworth filter's magnitude, no phase).

    Parameters
    ----------
    probability : float
        How often.
    low_hz, high_hz : (low, high) or None
        Where the band begins and ends: 3 dB below the middle; None: it does not.
    slope_db_per_octave : float
        How steeply it falls beyond.
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
                f"low_hz goes up to {low_hz[1]} and high_hz begins at {high_hz[0]}, expected a band between them"
            )
        if slope_db_per_octave <= 0:
            raise ValueError(f"slope_db_per_octave: {slope_db_per_octave}, expected more than 0")
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.order = slope_db_per_octave / DECIBELS_PER_OCTAVE

    def open(self, bank: Bank) -> None:
        """Check the band against the rate.

        Parameters
        ----------
        bank : Bank
            Knows the rate.
        """
        super().open(bank)
        if self.high_hz and self.high_hz[1] > bank.sample_rate_hz / 2:
            raise UserError(
                f"high_hz goes up to {self.high_hz[1]}, expected at most half of the sample rate, {bank.sample_rate_hz / 2}"
            )

    def _draw(self, rng, num_samples):
        return rng.uniform(*self.low_hz or (0, 0)), rng.uniform(*self.high_hz or (0, 0))

    def transform_samples(self, num_samples: int) -> int:
        """Length of the Fourier transform.

        Parameters
        ----------
        num_samples : int
            Length of the sound.
        """
        from scipy import fft

        return fft.next_fast_len(
            num_samples + round(PADDING_SECONDS * self.bank.sample_rate_hz), real=True
        )

    def response(self, size: int, low_hz: float, high_hz: float) -> np.ndarray:
        """Factor of each frequency.

        Parameters
        ----------
        size : int
            Length of the Fourier transform.
        low_hz, high_hz : float
            The band; 0: open at that end.

        Returns
        -------
        (size // 2 + 1,) float32 array
            From 0 to 1.
        """
        hertz, power = np.fft.rfftfreq(size, 1 / self.bank.sample_rate_hz), 1.0
        if low_hz:
            power = power / (1 + (low_hz / np.maximum(hertz, 1e-3)) ** (2 * self.order))
        if high_hz:
            power = power / (1 + (hertz / high_hz) ** (2 * self.order))
        return np.broadcast_to(np.sqrt(power), hertz.shape).astype(np.float32)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Filter."""
        from scipy import fft

        size = self.transform_samples(len(samples))
        return fft.irfft(fft.rfft(samples, size) * self.response(size, *drawn), size)[
            : len(samples)
        ]


class Codec(Transform):
    """A telephone or web codec; telephone codecs at 8 kHz.

    Parameters
    ----------
    probability : float
        How often.
    codecs : sequence of str
        Of these one is drawn.
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
        if not codecs or (unknown := sorted(set(codecs) - set(CODECS))):
            raise ValueError(
                f"codecs: found {', '.join(unknown) if codecs else 'none'}, expected some of {', '.join(sorted(CODECS))}"
            )
        if absent := [codec for codec in codecs if not is_available(codec)]:
            raise UserError(
                f"codecs: this machine's libsndfile has no {', '.join(absent)}; take them out, or install a newer soundfile"
            )
        self.codecs, self.compression = codecs, compression

    def _draw(self, rng, num_samples):
        return int(rng.integers(len(self.codecs))), rng.uniform(*self.compression)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Encode and decode."""
        return transcode(samples, self.bank.sample_rate_hz, self.codecs[int(drawn[0])], drawn[1])


class Reverse(Transform):
    """Backwards in time.

    Parameters
    ----------
    probability : float
        How often.
    """

    def _draw(self, rng, num_samples):
        return (1.0,)

    def apply(self, samples: np.ndarray, drawn: Drawn) -> np.ndarray:
        """The last sample first."""
        return np.ascontiguousarray(samples[::-1])
