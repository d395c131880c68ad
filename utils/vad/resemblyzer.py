"""Resemblyzer's removal of long silences, by WebRTC's voice activity detector."""

from typing import Literal

import numpy as np

from utils.vad.base import FRAMES_PER_SECOND, check_range
from utils.vad.webrtc import WebrtcVad


class ResemblyzerVad(WebrtcVad):
    """WebRTC's decisions averaged over neighbouring windows: long silences alone are removed.

    Choose it to repeat Resemblyzer's preparation of audio; the defaults are the published ones.  A
    window is speech if more than half of those around it are.  What follows the last whole window
    of an utterance is silence.

    Parameters
    ----------
    average_windows : int
        Windows that are averaged; of an even number, one more lies after the window than before.
    aggressiveness, window_ms, min_silence_seconds, min_speech_seconds, padding_seconds
        As in `WebrtcVad`.
    """

    def __init__(
        self,
        *,
        aggressiveness: Literal[0, 1, 2, 3] = 3,
        window_ms: Literal[10, 20, 30] = 30,
        average_windows: int = 8,
        min_silence_seconds: float = 0.0,
        min_speech_seconds: float = 0.0,
        padding_seconds: float = 0.09,
    ) -> None:
        super().__init__(
            aggressiveness=aggressiveness,
            window_ms=window_ms,
            min_silence_seconds=min_silence_seconds,
            min_speech_seconds=min_speech_seconds,
            padding_seconds=padding_seconds,
        )
        check_range("average_windows", average_windows, 1, float("inf"))
        self.average_windows = average_windows

    def decisions(self, samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        """As in `VoiceActivityDetector`; the padding, too, ends with the last whole window."""
        speech = super().decisions(samples, sample_rate_hz)
        num_windows = self._whole_windows(samples, sample_rate_hz)
        speech[num_windows * self.window_ms * FRAMES_PER_SECOND // 1000 :] = False
        return speech

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        num_windows = self._whole_windows(samples, sample_rate_hz)
        decisions = self.decide_windows(samples, sample_rate_hz, num_windows)
        before = (self.average_windows - 1) // 2
        after = self.average_windows // 2
        padded = np.pad(decisions.astype(int), (before, after))
        sums = np.convolve(padded, np.ones(self.average_windows, int), "valid")
        averaged = sums[:num_windows] > self.average_windows / 2
        speech = np.zeros(total, bool)
        frames = np.repeat(averaged, self.window_ms * FRAMES_PER_SECOND // 1000)
        speech[: len(frames)] = frames
        return speech

    def _whole_windows(self, samples: np.ndarray, sample_rate_hz: int) -> int:
        return len(samples) * 1000 // (sample_rate_hz * self.window_ms)
