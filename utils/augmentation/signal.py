"""The signal processing of augmentation, without random draws: speed, rooms, noise."""

from fractions import Fraction

import numpy as np

from utils.audio import resample

# Position of the peak (the direct sound) in room responses of the bank; earlier samples are not
# part of the response and are cut.
PEAK_SECONDS = 0.01


def change_speed(samples: np.ndarray, factor: float, num_samples: int) -> np.ndarray:
    """Audio at another speed, (num_samples,) float32; pitch changes too, as on a tape.

    `samples` are ceil(num_samples * factor); a factor of 1.1 is a tenth faster.
    """
    if factor == 1:
        return samples[:num_samples]
    ratio = Fraction(factor).limit_denominator(1000)
    return resample(samples, ratio.numerator, ratio.denominator)[:num_samples]


def room_spectrum(response: np.ndarray, num_samples: int, peak: int) -> np.ndarray:
    """Spectrum of a room response for `reverberate` with audio of this length.

    Complex64 with size // 2 + 1 values, for a transform of an even size; `peak` is the sample at
    which the response has its peak.
    """
    from scipy import fft

    response = response[: num_samples + peak]
    return fft.rfft(response, fft.next_fast_len(num_samples + len(response) - 1, real=True))


def reverberate(
    samples: np.ndarray, response: np.ndarray, peak: int, spectrum: np.ndarray | None = None
) -> np.ndarray:
    """Convolve with a room response, without its delay up to the peak, and keep the energy.

    What the room adds after the end is cut.  `spectrum` is that of `room_spectrum`, if known.
    """
    from scipy import fft

    num_samples = len(samples)
    response_samples = min(len(response), num_samples + peak)
    size = fft.next_fast_len(num_samples + response_samples - 1, real=True)
    if spectrum is None:
        spectrum = room_spectrum(response, num_samples, peak)
    wet = fft.irfft(fft.rfft(samples, size) * spectrum, size)[peak : peak + num_samples]
    energy = np.dot(wet, wet)
    if energy > 0:
        return wet * np.sqrt(np.dot(samples, samples) / energy)
    return samples


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise of the same length at a signal-to-noise ratio over the whole crop.

    Without energy in one of them there is no such ratio, and the samples are returned.  The sum
    may exceed full scale.
    """
    signal_energy, noise_energy = np.dot(samples, samples), np.dot(noise, noise)
    if not (signal_energy > 0 and noise_energy > 0):
        return samples
    power_ratio = signal_energy / noise_energy / 10 ** (snr_db / 10)
    return samples + noise * np.sqrt(power_ratio, dtype=np.float32)


def limit_peak(samples: np.ndarray) -> np.ndarray:
    """Scale audio down as a whole if its peak exceeds full scale."""
    peak = np.abs(samples).max(initial=0)
    if peak > 1:
        return samples / peak
    return samples


def align_response(response: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A room response for the bank: its peak `PEAK_SECONDS` after the start, at +0.5 or -0.5.

    The response is not silent.  What comes earlier is cut, or zeros are put in front.
    """
    peak = int(np.argmax(np.abs(response)))
    wanted = round(PEAK_SECONDS * sample_rate_hz)
    zeros = np.zeros(max(0, wanted - peak), np.float32)
    aligned = np.concatenate([zeros, response[max(0, peak - wanted) :]])
    return aligned / (2 * np.abs(response[peak]))
