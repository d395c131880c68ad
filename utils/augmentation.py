"""Training crops made harder as they are read: another speed, a room, noise.  Every draw comes from the generator that is handed in.

A bank (steps/augment.py) holds the noises and the room responses as packed 16-bit waves; of a noise only the part that is needed is read.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np

from utils.audio import resample
from utils.errors import UserError
from utils.packed import PackedReader

PEAK_SECONDS = 0.01  # where the bank's room responses have their peak: what comes earlier than this before the direct sound is not the room's


class Augmenter:
    """The section ``augmentation`` of a training YAML: what happens to a crop, how often and how much.

    Parameters
    ----------
    noise_probability : float
        How often noise is added.
    noise_snr_db : (low, high), or mapping of noise type to (low, high)
        Signal-to-noise ratio, drawn evenly from the range.  One range: any noise; a mapping: first a type is drawn, then one of its noises.
    reverb_probability : float
        How often the crop is played in a room.
    speed_factors : sequence of float
        Speeds that crops are played at, each as likely; a voice played faster is another speaker (the sampler gives it another label).
    bank : path or None
        Folder made by steps.augment; needed for noise and rooms.
    sample_rate_hz : int or None
        What the bank's rate must be.
    """

    def __init__(self, *, noise_probability: float = 0.0, noise_snr_db: tuple[float, float] | dict[str, tuple[float, float]] = (5.0, 20.0),
                 reverb_probability: float = 0.0, speed_factors: tuple[float, ...] = (1.0,), bank: Path | None = None,
                 sample_rate_hz: int | None = None):
        _check_probability("noise_probability", noise_probability)
        _check_probability("reverb_probability", reverb_probability)
        if not speed_factors or len(set(speed_factors)) < len(speed_factors) or not all(0.5 <= factor <= 2 for factor in speed_factors):
            raise ValueError(f"speed_factors: {list(speed_factors)}, expected different numbers from 0.5 to 2")
        self.noise_probability, self.reverb_probability, self.speed_factors = noise_probability, reverb_probability, tuple(speed_factors)
        self.noises = _open("noise", noise_probability, bank, sample_rate_hz)
        self.rooms = _open("rirs", reverb_probability, bank, sample_rate_hz)
        self.noise_choices = _noise_choices(noise_snr_db, bank if self.noises else None)

    def __call__(self, samples: np.ndarray, speed_factor: float, num_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Augment one crop: speed, then room, then noise; turned down as a whole where its peak would exceed full scale.

        Parameters
        ----------
        samples : (ceil(num_samples * speed_factor),) float32 array
            As read, in [-1, 1].
        speed_factor : float
            Which speed to play it at.
        num_samples : int
            Length of the result.
        rng : numpy Generator
            The only source of what is drawn.

        Returns
        -------
        (num_samples,) float32 array
            In [-1, 1].
        """
        samples = change_speed(samples, speed_factor, num_samples)
        if rng.random() < self.reverb_probability:
            response = self.rooms.read(int(rng.integers(len(self.rooms))))
            samples = reverberate(samples, response, round(PEAK_SECONDS * self.rooms.sample_rate_hz))
        if rng.random() < self.noise_probability:
            numbers, (low, high) = self.noise_choices[rng.integers(len(self.noise_choices))]
            noise = _draw_window(self.noises, int(numbers[rng.integers(len(numbers))]), len(samples), rng)
            samples = add_noise(samples, noise, rng.uniform(low, high))
        peak = np.abs(samples).max(initial=0)
        return samples / peak if peak > 1 else samples


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {value}, expected a number from 0 to 1")


def _open(kind: str, probability: float, bank: Path | None, sample_rate_hz: int | None) -> PackedReader | None:
    """The bank's noises or room responses, if they will be wanted."""
    from utils.archive import read_scp
    from utils.data_dir import read_map

    if not probability:
        return None
    if bank is None or not (bank / f"{kind}.scp").exists():
        raise UserError(f"{kind} are asked for, but {f'{bank} has none' if bank else 'there is no bank'}: make it with steps.augment (stage 2)")
    reader = PackedReader(read_scp(bank / f"{kind}.scp"), read_map(bank / f"{kind}.num_samples"))
    if sample_rate_hz not in (None, reader.sample_rate_hz):
        raise UserError(f"{bank}: sound of {reader.sample_rate_hz} Hz, expected {sample_rate_hz} Hz; make the bank anew with --sample-rate-hz")
    return reader


def _noise_choices(snr_db, bank: Path | None) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """(Numbers of noises, range of SNR) for each thing to draw first."""
    from utils.data_dir import read_map

    for low, high in snr_db.values() if isinstance(snr_db, dict) else [snr_db]:
        if low > high:
            raise ValueError(f"noise_snr_db: from {low} to {high}, expected the lower bound first")
    if bank is None:
        return []
    types = np.array(list(read_map(bank / "noise.utt2type").values()))
    if not isinstance(snr_db, dict):
        return [(np.arange(len(types)), snr_db)]
    unknown = sorted(set(snr_db) - set(types))
    if unknown or not snr_db:
        raise UserError(f"noise_snr_db: no noise of type {', '.join(unknown) or '(none given)'} in {bank}; there is {', '.join(sorted(set(types)))}")
    return [(np.flatnonzero(types == kind), bounds) for kind, bounds in sorted(snr_db.items())]


def _draw_window(noises: PackedReader, index: int, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A part of a noise from a random place; a noise that is too short is repeated from there."""
    available = int(noises.num_samples[index])
    if available >= num_samples:
        return noises.read(index, int(rng.integers(available - num_samples + 1)), num_samples)
    return np.resize(np.roll(noises.read(index), -int(rng.integers(available))), num_samples)


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


def reverberate(samples: np.ndarray, response: np.ndarray, peak: int) -> np.ndarray:
    """Play a sound in a room: as loud as before, and not later.

    Parameters
    ----------
    samples : (n,) float32 array
        Sound.
    response : (m,) float32 array
        Room impulse response.
    peak : int
        Where the response has its peak, the direct sound: that much delay is taken out.

    Returns
    -------
    (n,) float32 array
        Of the energy of the input; what the room adds behind its end is cut.
    """
    from scipy import fft

    response = response[:len(samples) + peak]
    size = fft.next_fast_len(len(samples) + len(response) - 1, real=True)
    wet = fft.irfft(fft.rfft(samples, size) * fft.rfft(response, size), size)[peak:peak + len(samples)]
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
    return samples + noise * np.sqrt(signal_energy / noise_energy / 10 ** (snr_db / 10), dtype=np.float32)


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
    aligned = np.concatenate([np.zeros(max(0, lead - peak), np.float32), response[max(0, peak - lead):]])
    return aligned / (2 * np.abs(response[peak]))
