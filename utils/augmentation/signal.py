"""What augmentation does to sound, as functions of numbers that someone else has drawn: another speed, a room, noise."""

from fractions import Fraction

import numpy as np

from utils.audio import resample

PEAK_SECONDS = 0.01  # where the bank's room responses have their peak: what comes earlier than this before the direct sound is not the room's


def change_speed(samples: np.ndarray, factor: float, num_samples: int) -> np.ndarray:
    """Play a sound faster or slower, as a tape would: pitch and formants move too.

    Parameters
    ----------
    samples : (ceil(num_samples * factor),) float32 array
        Sound.
    factor : float
        1.1: faster by a tenth.
    num_samples : int
        Length of the result.

    Returns
    -------
    (num_samples,) float32 array
        The same sound in another time.
    """
    if factor == 1:
        return samples[:num_samples]
    ratio = Fraction(factor).limit_denominator(1000)
    return resample(samples, ratio.numerator, ratio.denominator)[:num_samples]


def room_spectrum(response: np.ndarray, num_samples: int, peak: int) -> np.ndarray:
    """What `reverberate` multiplies with, for sound of one length; its own length says how long the transform is.

    Parameters
    ----------
    response : (m,) float32 array
        Room impulse response.
    num_samples : int
        Length of the sound.
    peak : int
        Where the response has its peak.

    Returns
    -------
    (size // 2 + 1,) complex64 array
        Spectrum of the response; the size is even.
    """
    from scipy import fft

    response = response[: num_samples + peak]
    return fft.rfft(response, fft.next_fast_len(num_samples + len(response) - 1, real=True))


def reverberate(
    samples: np.ndarray, response: np.ndarray, peak: int, spectrum: np.ndarray | None = None
) -> np.ndarray:
    """Play a sound in a room: as loud as before, and not later.

    Parameters
    ----------
    samples : (n,) float32 array
        Sound.
    response : (m,) float32 array
        Room impulse response.
    peak : int
        Where the response has its peak, the direct sound: that much delay is taken out.
    spectrum : (size // 2 + 1,) complex64 array or None
        The `room_spectrum` of that response, where it is at hand.

    Returns
    -------
    (n,) float32 array
        Of the energy of the input; what the room adds behind its end is cut.
    """
    from scipy import fft

    size = fft.next_fast_len(len(samples) + min(len(response), len(samples) + peak) - 1, real=True)
    spectrum = room_spectrum(response, len(samples), peak) if spectrum is None else spectrum
    wet = fft.irfft(fft.rfft(samples, size) * spectrum, size)[peak : peak + len(samples)]
    energy = np.dot(wet, wet)
    return wet * np.sqrt(np.dot(samples, samples) / energy) if energy > 0 else samples


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise at a ratio of energies over the whole crop.

    Parameters
    ----------
    samples, noise : (n,) float32 arrays
        Sound and noise of the same length.
    snr_db : float
        Energy of the sound over that of the noise, in dB; where either is silent there is no such ratio, and the sound is returned as it is.

    Returns
    -------
    (n,) float32 array
        The mixture; it may exceed full scale.
    """
    signal_energy, noise_energy = np.dot(samples, samples), np.dot(noise, noise)
    if not (signal_energy > 0 and noise_energy > 0):
        return samples
    return samples + noise * np.sqrt(
        signal_energy / noise_energy / 10 ** (snr_db / 10), dtype=np.float32
    )


def turn_down(samples: np.ndarray) -> np.ndarray:
    """The sound, turned down as a whole where its peak exceeds full scale.

    Parameters
    ----------
    samples : (n,) float32 array
        Sound.
    """
    peak = np.abs(samples).max(initial=0)
    return samples / peak if peak > 1 else samples


def align_response(response: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A room response as the bank keeps it: its peak `PEAK_SECONDS` behind the start, at half of full scale, with a positive sign or a negative one.

    Parameters
    ----------
    response : (m,) float32 array
        As measured or simulated; not silent.
    sample_rate_hz : int
        Its rate.

    Returns
    -------
    (m',) float32 array
        Earlier sound (a delay, noise) is cut off, or silence put in front.
    """
    peak, lead = int(np.argmax(np.abs(response))), round(PEAK_SECONDS * sample_rate_hz)
    aligned = np.concatenate(
        [np.zeros(max(0, lead - peak), np.float32), response[max(0, peak - lead) :]]
    )
    return aligned / (2 * np.abs(response[peak]))
