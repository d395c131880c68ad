"""Channels of the generated corpus: rooms, noise, babble, music, microphones.

A channel is drawn independently of the speaker, so that it carries no information about the
speaker. Waves are float32 at 16 kHz; speech has a root mean square of `SPEECH_RMS`.
"""

from dataclasses import dataclass

import numpy as np

from local.mini.synthesis import SAMPLE_RATE_HZ, SPEECH_RMS
from utils.audio import to_int16

# Frequencies at which a random response is drawn.
KNOTS_HZ = np.array([60.0, 150, 300, 600, 1200, 2400, 4800, 8000])


@dataclass(frozen=True)
class Condition:
    """One kind of recording; each pair is the range of a uniform draw."""

    snr_db: tuple[float, float]
    response_db: float  # standard deviation of the microphone's response at `KNOTS_HZ`
    low_hz: tuple[float, float]  # lower edge of the band that passes
    high_hz: tuple[float, float]  # upper edge
    rt60_seconds: tuple[float, float]  # time in which the room's echo falls by 60 dB
    direct_db: tuple[float, float]  # direct sound over echo


CONDITIONS = {
    # A microphone at the mouth, in a quiet room.
    "close": Condition((15, 35), 4.0, (50, 120), (6000, 8000), (0.1, 0.2), (10, 20)),
    # Across a room, sometimes limited to a telephone's band.
    "far": Condition((4, 18), 6.0, (80, 300), (3400, 7500), (0.2, 0.6), (-3, 8)),
}


def filtered(
    samples: np.ndarray, response_db: np.ndarray, low_hz: float = 20.0, high_hz: float = 8000.0
) -> np.ndarray:
    """Filter (n,) samples by a smooth frequency response, with linear phase and no delay.

    The response has (8,) gains at `KNOTS_HZ`, interpolated over log frequency; outside the band
    from ``low_hz`` to ``high_hz`` the gain falls by 36 dB per octave.
    """
    size = 1 << int(np.ceil(np.log2(len(samples) + 1024)))
    hz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ), 1.0)
    gain_db = np.interp(np.log(hz), np.log(KNOTS_HZ), response_db)
    gain_db -= 36 * (np.maximum(np.log2(low_hz / hz), 0) + np.maximum(np.log2(hz / high_hz), 0))
    gain = 10 ** (np.maximum(gain_db, -80) / 20)
    result = np.fft.irfft(np.fft.rfft(samples, size) * gain, size)
    return result[: len(samples)].astype(np.float32)


def room_response(rt60_seconds: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """Impulse response of a room, (n,) float32: the direct sound (1), then an echo.

    The echo falls by 60 dB in ``rt60_seconds``, high frequencies faster; its energy is
    ``direct_db`` below that of the direct sound.
    """
    seconds = np.arange(int(rt60_seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    low, high = rng.standard_normal((2, len(seconds)))
    low = np.convolve(low, np.ones(8) / 8**0.5, "same")
    start_seconds = rng.uniform(0.002, 0.008)
    echo = low * 10 ** (-3 * seconds / rt60_seconds)
    echo = echo + high * 10 ** (-3 * seconds / (0.6 * rt60_seconds))
    early = rng.random(len(seconds)) < 0.004  # single reflections, before they merge
    echo *= np.where(early & (seconds < 0.05), 6.0, 1.0) * (seconds > start_seconds)
    echo *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    return echo.astype(np.float32)


def _convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The start of a wave's convolution with an impulse response, as long as the wave."""
    size = 1 << int(np.ceil(np.log2(len(samples) + len(response))))
    result = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return result[: len(samples)].astype(np.float32)


def make_noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of a drawn colour that swells and fades, sometimes with a hum; root mean square 1."""
    slope_db = rng.uniform(-8, 0)  # per octave
    colour_db = slope_db * np.log2(KNOTS_HZ / KNOTS_HZ[0])
    colour_db = colour_db + 4 * rng.standard_normal(len(KNOTS_HZ))
    noise = filtered(rng.standard_normal(num_samples), colour_db)
    seconds = np.arange(num_samples) / SAMPLE_RATE_HZ
    depth, swell_hz, phase = rng.uniform(0, 0.6), rng.uniform(0.2, 4), rng.random()
    noise *= 1 + depth * np.sin(2 * np.pi * (swell_hz * seconds + phase))
    noise /= np.sqrt(np.mean(noise**2))
    if rng.random() < 0.3:
        hum_hz = rng.choice([50, 60, 100, 120])
        hum = np.zeros(num_samples)
        for k in range(1, 6):
            hum += np.sin(2 * np.pi * (k * hum_hz * seconds + rng.random())) / k
        noise += rng.uniform(0.2, 0.8) * hum
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def make_babble(voices: list[np.ndarray], num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Several talkers at once, each (n,) wave repeated from a drawn start; root mean square 1."""
    babble = np.zeros(num_samples, np.float32)
    for voice in voices:
        start = rng.integers(len(voice))
        babble += 10 ** (rng.uniform(-6, 0) / 20) * np.resize(np.roll(voice, start), num_samples)
    return (babble / np.sqrt(np.mean(babble**2))).astype(np.float32)


def make_music(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Chords over a bass with a beat, of drawn key, tempo and timbre; root mean square 1."""
    beat = int(SAMPLE_RATE_HZ * 60 / rng.uniform(70, 150))
    root_hz = 110 * 2 ** (rng.integers(12) / 12)
    partials = rng.uniform(0.3, 0.8) ** np.arange(6)
    seconds = np.arange(2 * beat) / SAMPLE_RATE_HZ
    decay = np.exp(-seconds * rng.uniform(1.5, 6)) * np.minimum(seconds / 0.01, 1)
    drum = rng.standard_normal(beat) * np.exp(-np.arange(beat) / SAMPLE_RATE_HZ * 30)
    music = np.zeros(num_samples + 2 * beat, np.float32)
    for start in range(0, num_samples, beat):
        root, third, seventh = rng.choice([0, 5, 7, 9]), rng.choice([3, 4]), rng.choice([10, 12])
        chord = root + np.array([0, third, 7, seventh])
        notes_hz = root_hz * 2 ** (np.append(chord, chord[0] - 12) / 12)
        tones = np.zeros(len(seconds))
        for hz in notes_hz:
            for k, amplitude in enumerate(partials, 1):
                if k * hz < 7500:
                    tones += np.sin(2 * np.pi * k * hz * seconds) * amplitude
        music[start : start + 2 * beat] += decay * tones
        music[start : start + beat] += rng.uniform(0, 1.5) * drum
    music = music[:num_samples]
    return music / np.sqrt(np.mean(music**2))


def record(speech: np.ndarray, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    """Record speech (root mean square `SPEECH_RMS`) in a drawn room; (m,) int16 samples.

    Noise, microphone and gain are drawn too, independently of the speech. 0.3 to 0.5 s of the
    channel alone come before the speech and 0.5 to 0.7 s after it, where the echo fades.
    """
    before, after = (rng.uniform([0.3, 0.5], [0.5, 0.7]) * SAMPLE_RATE_HZ).astype(int)
    wave = np.pad(speech, (before, after))
    rt60_seconds, direct_db = (
        rng.uniform(*condition.rt60_seconds),
        rng.uniform(*condition.direct_db),
    )
    wave = _convolved(wave, room_response(rt60_seconds, direct_db, rng))
    noise_rms = SPEECH_RMS * 10 ** (-rng.uniform(*condition.snr_db) / 20)
    wave += noise_rms * make_noise(len(wave), rng)
    response_db = condition.response_db * rng.standard_normal(len(KNOTS_HZ))
    wave = filtered(
        wave,
        response_db - response_db[1:6].mean(),
        rng.uniform(*condition.low_hz),
        rng.uniform(*condition.high_hz),
    )
    return to_int16(wave * 10 ** (rng.uniform(-14, -2) / 20))
