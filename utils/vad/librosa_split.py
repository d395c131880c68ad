"""librosa's two ways of cutting quiet parts, as voice activity decisions."""

import numpy as np

from utils.audio import resample
from utils.vad.base import VoiceActivityDetector, check_range, frames_of, needed_package


class _LibrosaVad(VoiceActivityDetector):
    """What both share: quiet is what lies so many dB below the loudest frame.

    Parameters
    ----------
    top_db : float
        How far below the loudest frame sound counts as silence.
    frame_length, hop_length : int
        Samples of a frame, and between frames, at the rate that librosa sees.
    sample_rate_hz : int
        Rate that the sound is brought to first; 0: its own.
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        As for `VoiceActivityDetector`; librosa has none of it.
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
        return frames_of(
            self._stretches(effects, resample(samples, sample_rate_hz, rate_hz)), rate_hz, total
        )

    def _stretches(self, effects, sound: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class LibrosaTrimVad(_LibrosaVad):
    """librosa.effects.trim: everything between the first and the last loud frame is speech, pauses included.

    Choose it for read sentences recorded in quiet with silence at both ends (VCTK).

    Parameters
    ----------
    top_db : float
        How far below the loudest frame sound counts as silence; 14 for the text-dependent part of the GE2E seed.
    **options
        `frame_length`, `hop_length`, `sample_rate_hz` (the seed's is 8000) and the smoothing, as in conf/vad/librosa_trim.yaml.

    References
    ----------
    McFee et al., librosa; top_db as in the GE2E seed (TensorFlow code for Wan et al. 2018).
    """

    def __init__(self, *, top_db: float = 14.0, **options) -> None:
        super().__init__(top_db=top_db, **options)

    def _stretches(self, effects, sound: np.ndarray) -> np.ndarray:
        return effects.trim(sound, **self.rule)[1]


class LibrosaSplitVad(_LibrosaVad):
    """librosa.effects.split: every loud stretch is speech, pauses between them are not.

    Choose it as `LibrosaTrimVad` where pauses within are to go too, or, with packing's ``--split true``, for pieces of speech without a pause.

    Parameters
    ----------
    top_db : float
        How far below the loudest frame sound counts as silence; 20 for the text-independent part of the GE2E seed.
    **options
        As for `LibrosaTrimVad`.

    References
    ----------
    As for `LibrosaTrimVad`.
    """

    def __init__(self, *, top_db: float = 20.0, **options) -> None:
        super().__init__(top_db=top_db, **options)

    def _stretches(self, effects, sound: np.ndarray) -> np.ndarray:
        return effects.split(sound, **self.rule)
