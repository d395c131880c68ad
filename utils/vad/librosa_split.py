"""librosa's two functions that cut quiet parts, as voice activity detectors."""

import numpy as np

from utils.audio import resample
from utils.vad.base import VoiceActivityDetector, check_range, needed_package, to_decisions


class _LibrosaVad(VoiceActivityDetector):
    """Quiet is what lies `top_db` below the loudest frame.

    Parameters
    ----------
    top_db : float
        Level below the loudest frame, in dB, from which audio is silence.
    frame_length, hop_length : int
        Samples of a frame, and between frames, at librosa's rate.
    sample_rate_hz : int
        Rate that the audio is resampled to first; 0: its own.
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        As in `VoiceActivityDetector`; librosa has none of them.
    """

    def __init__(
        self,
        *,
        top_db: float,
        frame_length: int = 2048,
        hop_length: int = 512,
        sample_rate_hz: int = 0,
        min_silence_seconds: float = 0.0,
        min_speech_seconds: float = 0.0,
        padding_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            min_silence_seconds=min_silence_seconds,
            min_speech_seconds=min_speech_seconds,
            padding_seconds=padding_seconds,
        )
        if top_db <= 0:
            raise ValueError(f"top_db: {top_db}, expected a positive number of dB")
        check_range("frame_length", frame_length, 1, float("inf"))
        check_range("hop_length", hop_length, 1, float("inf"))
        check_range("sample_rate_hz", sample_rate_hz, 0, float("inf"))
        self.rule = {"top_db": top_db, "frame_length": frame_length, "hop_length": hop_length}
        self.sample_rate_hz = sample_rate_hz

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        rate_hz = self.sample_rate_hz or sample_rate_hz
        effects = needed_package("librosa.effects", "librosa")
        stretches = self._stretches(effects, resample(samples, sample_rate_hz, rate_hz))
        return to_decisions(stretches, rate_hz, total)

    def _stretches(self, effects, samples: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class LibrosaTrimVad(_LibrosaVad):
    """librosa.effects.trim: all from the first to the last loud frame is speech, with its pauses.

    Choose it for read sentences recorded in quiet with silence at both ends (VCTK).

    Parameters
    ----------
    top_db : float
        Level below the loudest frame from which audio is silence; 14 in the text-dependent part of
        the reference GE2E code.
    **options
        `frame_length`, `hop_length`, `sample_rate_hz` (8000 in that code) and the smoothing, as in
        conf/vad/librosa_trim.yaml.

    References
    ----------
    McFee et al., librosa; top_db as in the reference GE2E code (TensorFlow, for Wan et al. 2018).
    """

    def __init__(self, *, top_db: float = 14.0, **options) -> None:
        super().__init__(top_db=top_db, **options)

    def _stretches(self, effects, samples: np.ndarray) -> np.ndarray:
        return effects.trim(samples, **self.rule)[1]


class LibrosaSplitVad(_LibrosaVad):
    """librosa.effects.split: every loud stretch is speech, without the pauses between them.

    Choose it like `LibrosaTrimVad` to remove pauses within, too, or, with ``--split true`` of
    packing, for pieces of speech without a pause.

    Parameters
    ----------
    top_db : float
        Level below the loudest frame from which audio is silence; 20 in the text-independent part
        of the reference GE2E code.
    **options
        As in `LibrosaTrimVad`.

    References
    ----------
    As in `LibrosaTrimVad`.
    """

    def __init__(self, *, top_db: float = 20.0, **options) -> None:
        super().__init__(top_db=top_db, **options)

    def _stretches(self, effects, samples: np.ndarray) -> np.ndarray:
        return effects.split(samples, **self.rule)
