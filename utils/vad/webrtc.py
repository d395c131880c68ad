"""WebRTC's voice activity detector."""

from typing import Literal

import numpy as np

from utils.audio import resample, to_int16
from utils.vad.base import FRAMES_PER_SECOND, VoiceActivityDetector, needed_package

WEBRTC_RATE_HZ = 16000


class WebrtcVad(VoiceActivityDetector):
    """WebRTC's Gaussian mixtures over six bands: the default.

    Choose it for speech of any loudness without much noise: thousands of times faster than real
    time, and without a threshold to tune.  It takes music and loud noise for speech; where there is
    much of either, choose Silero.

    Parameters
    ----------
    aggressiveness : int
        From 0, which takes most for speech, to 3.
    window_ms : int
        10, 20 or 30 ms: length of the window of one decision, which holds for each of its frames.
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        As in `VoiceActivityDetector`; three zeros give WebRTC's own decisions.
    """

    def __init__(
        self,
        *,
        aggressiveness: Literal[0, 1, 2, 3] = 2,
        window_ms: Literal[10, 20, 30] = 30,
        min_silence_seconds: float = 0.2,
        min_speech_seconds: float = 0.1,
        padding_seconds: float = 0.05,
    ) -> None:
        super().__init__(
            min_silence_seconds=min_silence_seconds,
            min_speech_seconds=min_speech_seconds,
            padding_seconds=padding_seconds,
        )
        if window_ms not in (10, 20, 30) or aggressiveness not in (0, 1, 2, 3):
            raise ValueError(
                f"window of {window_ms} ms and aggressiveness {aggressiveness}, "
                "expected 10, 20 or 30 ms and 0 to 3"
            )
        self.aggressiveness, self.window_ms = aggressiveness, window_ms

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        frames_per_window = self.window_ms * FRAMES_PER_SECOND // 1000
        num_windows = -(-total // frames_per_window)
        decisions = self.decide_windows(samples, sample_rate_hz, num_windows)
        return np.repeat(decisions, frames_per_window)[:total]

    def decide_windows(
        self, samples: np.ndarray, sample_rate_hz: int, num_windows: int
    ) -> np.ndarray:
        """WebRTC's own decision for each of the first windows; (num_windows,) bool.

        Audio that ends before the last window does is followed by silence.
        """
        # the package webrtcvad itself fails to import on Python 3.12 and later
        webrtcvad = needed_package("webrtcvad", "webrtcvad-wheels")
        window_samples = self.window_ms * WEBRTC_RATE_HZ // 1000
        resampled = to_int16(resample(samples, sample_rate_hz, WEBRTC_RATE_HZ))
        padded = np.zeros(num_windows * window_samples, np.int16)
        padded[: min(len(resampled), len(padded))] = resampled[: len(padded)]
        detector = webrtcvad.Vad(self.aggressiveness)
        decisions = np.zeros(num_windows, bool)
        for index, window in enumerate(padded.reshape(num_windows, window_samples)):
            decisions[index] = detector.is_speech(window.tobytes(), WEBRTC_RATE_HZ)
        return decisions
