"""What all voice activity detectors share: frames, smoothing of decisions, cutting of audio.

Frames are Kaldi's with ``--snip-edges=false``: frame t covers [t, t + 1) x 10 ms, and there are
round(seconds x 100), so that there is one decision per frame of Kaldi's features.
"""

import importlib
import itertools
from types import ModuleType

import numpy as np

from utils.errors import UserError

FRAMES_PER_SECOND = 100


class VoiceActivityDetector:
    """A detector with its options: raw decisions of its own, smoothed in the same way for all.

    Parameters
    ----------
    min_silence_seconds : float
        A shorter gap between two stretches of speech counts as speech (stop consonants, pauses).
    min_speech_seconds : float
        A shorter stretch of speech, after closing gaps, counts as silence (clicks).
    padding_seconds : float
        Added on each side of every stretch, for soft onsets and endings.
    """

    def __init__(
        self,
        *,
        min_silence_seconds: float = 0.0,
        min_speech_seconds: float = 0.0,
        padding_seconds: float = 0.0,
    ) -> None:
        self.smoothing = {
            "min_silence_seconds": min_silence_seconds,
            "min_speech_seconds": min_speech_seconds,
            "padding_seconds": padding_seconds,
        }
        for option, seconds in self.smoothing.items():
            check_range(option, seconds, 0, float("inf"))

    def decisions(self, samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        """Which frames are speech: (T,) bool for (n,) float32 audio, T from `num_frames`.

        UserError: the package that the detector needs is not installed.
        """
        total = num_frames(len(samples), sample_rate_hz)
        if not total or not samples.any():
            return np.zeros(total, bool)
        return smooth(self._raw_decisions(samples, sample_rate_hz, total), **self.smoothing)

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        raise NotImplementedError


def check_range(option: str, value: float, low: float, high: float) -> None:
    """Raise ValueError for a value outside [low, high]."""
    if low <= value <= high:
        return
    expected = f"{low:g} to {high:g}"
    if high == float("inf"):
        expected = f"{low:g} or more"
    raise ValueError(f"{option}: {value}, expected {expected}")


def needed_package(module: str, requirement: str) -> ModuleType:
    """Import the package that a detector needs; UserError names the requirement to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"voice activity detection was asked for that needs the package {module}, "
            f"which cannot be imported ({error}); "
            f"pip install {requirement}, or choose another of conf/vad"
        ) from None


def num_frames(num_samples: int, sample_rate_hz: int) -> int:
    """Number of 10 ms frames of an utterance, as in Kaldi without snipped edges."""
    return (2 * FRAMES_PER_SECOND * num_samples + sample_rate_hz) // (2 * sample_rate_hz)


def smooth(
    decisions: np.ndarray,
    *,
    min_silence_seconds: float,
    min_speech_seconds: float,
    padding_seconds: float,
) -> np.ndarray:
    """Smooth (T,) raw decisions: close short gaps, remove short bursts, pad what is left."""
    speech = decisions.copy()
    stretches = runs(speech)
    for (_, end), (start, _) in itertools.pairwise(stretches):
        if start - end < round(min_silence_seconds * FRAMES_PER_SECOND):
            speech[end:start] = True
    padding = round(padding_seconds * FRAMES_PER_SECOND)
    padded = np.zeros_like(speech)
    for start, end in runs(speech):
        if end - start >= round(min_speech_seconds * FRAMES_PER_SECOND):
            padded[max(0, start - padding) : end + padding] = True
    return padded


def runs(decisions: np.ndarray) -> np.ndarray:
    """(R, 2) first frame and end frame (exclusive) of every stretch of speech, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], decisions.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def to_decisions(stretches: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
    """(total,) decisions from (R, 2) first and end samples, rounded to the edges of frames."""
    speech = np.zeros(total, bool)
    for start, end in np.asarray(stretches).reshape(-1, 2):
        speech[num_frames(int(start), sample_rate_hz) : num_frames(int(end), sample_rate_hz)] = True
    return speech


def cut_speech(
    samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray
) -> list[tuple[int, int, np.ndarray]]:
    """First frame, end frame (exclusive) and samples of every stretch of speech."""
    expected = num_frames(len(samples), sample_rate_hz)
    if len(decisions) != expected:
        raise ValueError(f"{len(decisions)} decisions for {expected} frames")
    pieces = []
    for start, end in runs(np.asarray(decisions, bool)):
        start_sample = start * sample_rate_hz // FRAMES_PER_SECOND
        end_sample = end * sample_rate_hz // FRAMES_PER_SECOND
        pieces.append((int(start), int(end), samples[start_sample:end_sample]))
    return pieces


def keep_speech(samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray) -> np.ndarray:
    """The frames of speech, joined: the silence is cut out."""
    pieces = [piece for _, _, piece in cut_speech(samples, sample_rate_hz, decisions)]
    return np.concatenate([samples[:0], *pieces])
