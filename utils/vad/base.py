"""What all voice activity detectors share: their frames, how decisions are tidied, and how sound is cut by them.

Frames are Kaldi's with ``--snip-edges=false``: frame t covers [t, t + 1) x 10 ms, and there are round(seconds x 100) of them, so that one decision
belongs to each frame of Kaldi's features.
"""

import importlib
import itertools
from types import ModuleType

import numpy as np

from utils.errors import UserError

FRAMES_PER_SECOND = 100


class VoiceActivityDetector:
    """A detector with its options: raw decisions of its own kind, tidied the same way for all.

    Parameters
    ----------
    min_silence_seconds : float
        A gap between two stretches of speech that is shorter counts as speech: stop consonants, short pauses.
    min_speech_seconds : float
        A stretch of speech that is shorter (after closing gaps) counts as silence: clicks.
    padding_seconds : float
        Added on each side of every stretch: soft onsets and endings.
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
        """Which frames are speech.

        Parameters
        ----------
        samples : (n,) float32 array
            Full scale is [-1, 1].
        sample_rate_hz : int
            Any rate.

        Returns
        -------
        (T,) bool array
            Speech or not, T from `num_frames`.

        Raises
        ------
        UserError
            The package that the detector needs is not installed.
        """
        total = num_frames(len(samples), sample_rate_hz)
        if not total or not samples.any():
            return np.zeros(total, bool)
        return smooth(self._raw_decisions(samples, sample_rate_hz, total), **self.smoothing)

    def _raw_decisions(self, samples: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
        raise NotImplementedError


def check_range(option: str, value: float, low: float, high: float) -> None:
    """Refuse an option's value that lies outside its range.

    Parameters
    ----------
    option : str
        Its name.
    value, low, high : float
        What was given, and the range, ends included.
    """
    if not low <= value <= high:
        raise ValueError(
            f"{option}: {value}, expected {f'{low:g} to {high:g}' if high < float('inf') else f'{low:g} or more'}"
        )


def needed_package(module: str, requirement: str) -> ModuleType:
    """Import a package that a detector cannot do without.

    Parameters
    ----------
    module : str
        What to import.
    requirement : str
        What to install.

    Raises
    ------
    UserError
        It cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"voice activity detection was asked for that needs the package {module}, which cannot be imported ({error}); "
            f"pip install {requirement}, or choose another of conf/vad"
        ) from None


def num_frames(num_samples: int, sample_rate_hz: int) -> int:
    """Number of 10 ms frames of an utterance, as Kaldi counts them without snipped edges.

    Parameters
    ----------
    num_samples, sample_rate_hz : int
        Its length and rate.
    """
    return (2 * FRAMES_PER_SECOND * num_samples + sample_rate_hz) // (2 * sample_rate_hz)


def smooth(
    decisions: np.ndarray,
    *,
    min_silence_seconds: float,
    min_speech_seconds: float,
    padding_seconds: float,
) -> np.ndarray:
    """Tidy raw decisions, in this order: close short gaps, drop short bursts, widen what is left.

    Parameters
    ----------
    decisions : (T,) bool array
        Speech or not, per 10 ms frame.
    min_silence_seconds, min_speech_seconds, padding_seconds : float
        As for `VoiceActivityDetector`.

    Returns
    -------
    (T,) bool array
        Speech or not.
    """
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
    """First frame and frame behind the last of every stretch of speech.

    Parameters
    ----------
    decisions : (T,) bool array
        Speech or not.

    Returns
    -------
    (R, 2) int array
        In order of time.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], decisions.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def frames_of(stretches: np.ndarray, sample_rate_hz: int, total: int) -> np.ndarray:
    """Decisions per frame from stretches of samples, their ends at the nearest edge of a frame.

    Parameters
    ----------
    stretches : (R, 2) int array
        First sample and sample behind the last.
    sample_rate_hz : int
        Rate that the samples are counted at.
    total : int
        Number of frames.

    Returns
    -------
    (T,) bool array
        Speech or not.
    """
    speech = np.zeros(total, bool)
    for start, end in np.asarray(stretches).reshape(-1, 2):
        speech[num_frames(int(start), sample_rate_hz) : num_frames(int(end), sample_rate_hz)] = True
    return speech


def cut_speech(
    samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray
) -> list[tuple[int, int, np.ndarray]]:
    """The stretches of speech one by one.

    Parameters
    ----------
    samples : (n,) array
        Sound.
    sample_rate_hz : int
        Its rate.
    decisions : (T,) bool array
        Speech or not, per 10 ms frame; T is `num_frames` of the sound.

    Returns
    -------
    list of (int, int, (m,) array)
        First frame, frame behind the last, and the samples between.
    """
    if len(decisions) != num_frames(len(samples), sample_rate_hz):
        raise ValueError(
            f"{len(decisions)} decisions for {num_frames(len(samples), sample_rate_hz)} frames"
        )
    return [
        (
            int(start),
            int(end),
            samples[
                start * sample_rate_hz // FRAMES_PER_SECOND : end
                * sample_rate_hz
                // FRAMES_PER_SECOND
            ],
        )
        for start, end in runs(np.asarray(decisions, bool))
    ]


def keep_speech(samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray) -> np.ndarray:
    """Cut the silence out.

    Parameters
    ----------
    samples, sample_rate_hz, decisions
        As for `cut_speech`.

    Returns
    -------
    (m,) array
        The frames of speech, put together.
    """
    return np.concatenate(
        [samples[:0], *(piece for _, _, piece in cut_speech(samples, sample_rate_hz, decisions))]
    )
