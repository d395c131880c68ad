"""Kaldi's energy-based voice activity decisions (compute-vad)."""

from typing import TypedDict

import numpy as np

from utils.audio import FULL_SCALE, resample
from utils.vad.base import FRAMES_PER_SECOND, VoiceActivityDetector, check_range, num_frames

# The energy of a frame grows with its number of samples, and the thresholds are those of Kaldi's
# recipes, at 8 and 16 kHz.
MAX_RATE_HZ = 16000
FRAME_SECONDS = 0.025
BLOCK_FRAMES = 6000  # frames in memory at once, so that hours of audio fit
FLOAT_EPSILON = np.finfo(np.float32).eps


class _Rule(TypedDict):
    """Options of `energy_decisions`."""

    energy_threshold: float
    energy_mean_scale: float
    frames_context: int
    proportion_threshold: float


class EnergyVad(VoiceActivityDetector):
    """Kaldi's rule: a frame is speech if enough frames around it are above an energy threshold.

    Choose it to repeat a Kaldi recipe: the decisions are those of compute-vad on the uncompressed
    C0 of compute-mfcc-feats with raw energy, dither 0 and snip-edges false.  The threshold depends
    on the utterance's mean, so noise as loud as the voice passes, and in a recording of constant
    level nearly everything or nothing does.  Rates above 16 kHz are reduced to 16 kHz.

    Parameters
    ----------
    energy_threshold : float
        For the natural logarithm of a 25 ms frame's energy, at 16-bit scale.
    energy_mean_scale : float
        This times the utterance's mean log energy is added to the threshold; 0: a fixed threshold.
    frames_context : int
        Number of frames on each side of a frame that count.
    proportion_threshold : float
        Speech if at least this proportion of them is above the threshold, in (0, 1).
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        As in `VoiceActivityDetector`; Kaldi has none of them.

    References
    ----------
    Kaldi, src/ivector/voice-activity-detection.cc; the defaults are those of
    egs/voxceleb/v2/conf/vad.conf.
    """

    def __init__(
        self,
        *,
        energy_threshold: float = 5.5,
        energy_mean_scale: float = 0.5,
        frames_context: int = 2,
        proportion_threshold: float = 0.12,
        min_silence_seconds: float = 0.0,
        min_speech_seconds: float = 0.0,
        padding_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            min_silence_seconds=min_silence_seconds,
            min_speech_seconds=min_speech_seconds,
            padding_seconds=padding_seconds,
        )
        check_range("energy_mean_scale", energy_mean_scale, 0, float("inf"))
        check_range("frames_context", frames_context, 0, float("inf"))
        if not 0 < proportion_threshold < 1:
            raise ValueError(
                f"proportion_threshold: {proportion_threshold}, expected a number between 0 and 1"
            )
        self.rule: _Rule = {
            "energy_threshold": energy_threshold,
            "energy_mean_scale": energy_mean_scale,
            "frames_context": frames_context,
            "proportion_threshold": proportion_threshold,
        }

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        rate_hz = min(sample_rate_hz, MAX_RATE_HZ)
        log_energy = log_energies(resample(samples, sample_rate_hz, rate_hz), rate_hz, total)
        return energy_decisions(log_energy, **self.rule)


def log_energies(samples: np.ndarray, sample_rate_hz: int, total: int | None = None) -> np.ndarray:
    """(T,) natural logarithms of the energy of 25 ms frames at 16-bit scale, 10 ms apart.

    Kaldi's raw energy without dither: the audio is mirrored at its ends, the frame's mean is
    removed, and float32's epsilon is the floor.  `total` is T, by default `num_frames`.
    """
    if total is None:
        total = num_frames(len(samples), sample_rate_hz)
    if not total:
        return np.zeros(0)
    length, shift = int(sample_rate_hz * FRAME_SECONDS), sample_rate_hz // FRAMES_PER_SECOND
    before = length // 2 - shift // 2
    starts = np.arange(total) * sample_rate_hz // FRAMES_PER_SECOND
    after = max(0, int(starts[-1]) + length - before - len(samples))
    padded = np.pad(samples, (before, after), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)
    energies = np.empty(total)
    for first in range(0, total, BLOCK_FRAMES):
        frames = windows[starts[first : first + BLOCK_FRAMES]] * float(FULL_SCALE)
        frames -= frames.mean(axis=1, keepdims=True)
        energies[first : first + BLOCK_FRAMES] = np.square(frames).sum(axis=1)
    return np.log(np.maximum(energies, FLOAT_EPSILON))


def energy_decisions(
    log_energy: np.ndarray,
    *,
    energy_threshold: float,
    energy_mean_scale: float,
    frames_context: int,
    proportion_threshold: float,
) -> np.ndarray:
    """(T,) decisions of Kaldi from (T,) log energies, such as the first column of its MFCC.

    The options are those of `EnergyVad`.
    """
    if not len(log_energy):
        return np.zeros(0, bool)
    mean = np.mean(log_energy, dtype=np.float64)
    is_loud = log_energy > energy_threshold + energy_mean_scale * mean
    loud_before = np.concatenate([[0], np.cumsum(is_loud)])
    frames = np.arange(len(log_energy))
    first = np.maximum(frames - frames_context, 0)
    end = np.minimum(frames + frames_context + 1, len(frames))
    num_around = (end - first).astype(np.float32)
    num_loud = loud_before[end] - loud_before[first]
    return num_loud >= np.float32(proportion_threshold) * num_around
