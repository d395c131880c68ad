"""Sounds that detectors of voice activity take for speech, and the silence around them."""

import numpy as np

RATE = 16000
FORMANTS_HZ = (500, 1500, 2500)


def voiced(seconds, rate=RATE, hz=120):
    """A steady voice of that pitch through three formants."""
    times = np.arange(round(seconds * rate)) / rate
    return 0.1 * sum(
        np.cos(2 * np.pi * hz * k * times)
        * sum(np.exp(-(((hz * k - formant) / 150) ** 2)) for formant in FORMANTS_HZ)
        for k in range(1, int(3500 / hz))
    )


def vowels(seconds, rate=RATE):
    """Four syllables a second."""
    syllables = np.clip(np.sin(2 * np.pi * 4 * np.arange(round(seconds * rate)) / rate) + 0.8, 0, 1)
    return (voiced(seconds, rate) * syllables).astype(np.float32)


def silence(seconds, rate=RATE):
    """Faint noise, 80 dB below full scale."""
    return np.random.default_rng(0).normal(0, 1e-4, round(seconds * rate)).astype(np.float32)


def babble(seconds, rate=RATE, hz=120, pause=0.3):
    """Silence, a voiced sound of that pitch, silence."""
    return np.concatenate(
        [silence(pause, rate), voiced(seconds, rate, hz), silence(pause, rate)]
    ).astype(np.float32)
