"""Voice activity: which 10 ms frames of an utterance are speech.  Pure functions of samples: no files.

Frames are Kaldi's with ``--snip-edges=false``: frame t covers [t, t + 1) x 10 ms, and there are round(seconds x 100) of them, so that one decision
belongs to each frame of Kaldi's features.
"""

import numpy as np

from utils.audio import resample, to_int16

FRAMES_PER_SECOND = 100
WEBRTC_RATE_HZ = 16000


def num_frames(num_samples: int, sample_rate_hz: int) -> int:
    """Number of 10 ms frames of an utterance, as Kaldi counts them without snipped edges.

    Parameters
    ----------
    num_samples, sample_rate_hz : int
        Its length and rate.
    """
    return (2 * FRAMES_PER_SECOND * num_samples + sample_rate_hz) // (2 * sample_rate_hz)


def webrtc_decisions(samples: np.ndarray, sample_rate_hz: int, *, aggressiveness: int = 2, window_ms: int = 30) -> np.ndarray:
    """Raw decisions of WebRTC's detector, which looks at windows of 10, 20 or 30 ms of 16 kHz sound one after another.

    Parameters
    ----------
    samples : (n,) float32 array
        Full scale is [-1, 1].
    sample_rate_hz : int
        Any rate: others than 16 kHz are resampled.
    aggressiveness : int
        From 0, which keeps most, to 3.
    window_ms : int
        10, 20 or 30 ms; the decision holds for each of its frames.

    Returns
    -------
    (T,) bool array
        Speech or not, per 10 ms frame.
    """
    import webrtcvad

    if window_ms not in (10, 20, 30) or aggressiveness not in (0, 1, 2, 3):
        raise ValueError(f"window of {window_ms} ms and aggressiveness {aggressiveness}, expected 10, 20 or 30 ms and 0 to 3")
    frames_per_window = window_ms * FRAMES_PER_SECOND // 1000
    total = num_frames(len(samples), sample_rate_hz)
    sound = to_int16(resample(samples, sample_rate_hz, WEBRTC_RATE_HZ))
    window = frames_per_window * WEBRTC_RATE_HZ // FRAMES_PER_SECOND
    num_windows = -(-total // frames_per_window)
    padded = np.zeros(num_windows * window, np.int16)
    padded[:min(len(sound), len(padded))] = sound[:len(padded)]
    detector, data = webrtcvad.Vad(aggressiveness), padded.tobytes()
    decisions = [detector.is_speech(data[2 * start:2 * (start + window)], WEBRTC_RATE_HZ) for start in range(0, len(padded), window)]
    return np.repeat(np.array(decisions, bool), frames_per_window)[:total]


def smooth(decisions: np.ndarray, *, min_silence_seconds: float, min_speech_seconds: float, padding_seconds: float) -> np.ndarray:
    """Tidy raw decisions, in this order: close short gaps, drop short bursts, widen what is left.

    Parameters
    ----------
    decisions : (T,) bool array
        Speech or not, per 10 ms frame.
    min_silence_seconds : float
        A gap between two stretches of speech that is shorter counts as speech: stop consonants, short pauses.
    min_speech_seconds : float
        A stretch of speech that is shorter (after closing gaps) counts as silence: clicks.
    padding_seconds : float
        Added on each side of every stretch: soft onsets and endings.

    Returns
    -------
    (T,) bool array
        Speech or not.
    """
    speech = decisions.copy()
    stretches = runs(speech)
    for (_, end), (start, _) in zip(stretches[:-1], stretches[1:], strict=True):
        if start - end < round(min_silence_seconds * FRAMES_PER_SECOND):
            speech[end:start] = True
    padding = round(padding_seconds * FRAMES_PER_SECOND)
    padded = np.zeros_like(speech)
    for start, end in runs(speech):
        if end - start >= round(min_speech_seconds * FRAMES_PER_SECOND):
            padded[max(0, start - padding):end + padding] = True
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


def keep_speech(samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray) -> np.ndarray:
    """Cut the silence out.

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
    (m,) array
        The frames of speech, put together.
    """
    if len(decisions) != num_frames(len(samples), sample_rate_hz):
        raise ValueError(f"{len(decisions)} decisions for {num_frames(len(samples), sample_rate_hz)} frames")
    edges = runs(np.asarray(decisions, bool)) * sample_rate_hz // FRAMES_PER_SECOND
    parts = [samples[start:end] for start, end in edges]
    return np.concatenate(parts) if parts else samples[:0]
