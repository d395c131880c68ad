"""Silero's voice activity detector, an optional package."""

from functools import cached_property

import numpy as np

from utils.audio import resample
from utils.vad.base import VoiceActivityDetector, check_range, needed_package, to_decisions

SILERO_RATES_HZ = (8000, 16000)
SILERO_REQUIREMENT = "silero-vad==6.2.3"  # as in requirements-optional.txt


class SileroVad(VoiceActivityDetector):
    """Silero's recurrent network, with its package's own rules for stretches of speech.

    Choose it for audio with music, street noise or laughter, which it was trained to tell from
    speech; it is the slowest, on one core a hundred times faster than real time.  Needs
    ``pip install silero-vad==6.2.3``: the weights are in the package, and none of its extras is
    needed (neither torchaudio nor onnxruntime).  Rates other than 8 and 16 kHz are resampled to
    16 kHz.

    Parameters
    ----------
    threshold : float
        Probability of speech at which a stretch starts; it ends 0.15 below.
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        The package's min_silence_duration_ms, min_speech_duration_ms and speech_pad_ms, in whole
        milliseconds.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        min_silence_seconds: float = 0.1,
        min_speech_seconds: float = 0.25,
        padding_seconds: float = 0.03,
    ) -> None:
        super().__init__(
            min_silence_seconds=min_silence_seconds,
            min_speech_seconds=min_speech_seconds,
            padding_seconds=padding_seconds,
        )
        check_range("threshold", threshold, 0, 1)
        self.rule = {
            "threshold": threshold,
            "min_silence_duration_ms": round(1000 * min_silence_seconds),
            "min_speech_duration_ms": round(1000 * min_speech_seconds),
            "speech_pad_ms": round(1000 * padding_seconds),
        }
        self.smoothing = dict.fromkeys(self.smoothing, 0.0)  # the package does it

    @cached_property
    def _network(self):
        return needed_package("silero_vad", SILERO_REQUIREMENT).load_silero_vad()

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        network = self._network
        import silero_vad
        import torch

        rate_hz = sample_rate_hz
        if rate_hz not in SILERO_RATES_HZ:
            rate_hz = max(SILERO_RATES_HZ)
        resampled = np.ascontiguousarray(resample(samples, sample_rate_hz, rate_hz))
        with torch.inference_mode():
            stretches = silero_vad.get_speech_timestamps(
                torch.from_numpy(resampled), network, sampling_rate=rate_hz, **self.rule
            )
        bounds = [(stretch["start"], stretch["end"]) for stretch in stretches]
        return to_decisions(np.array(bounds, int), rate_hz, total)
