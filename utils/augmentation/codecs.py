"""Telephone and web codecs, by libsndfile and in memory: sound goes through one and comes back in its place, of its length and at its rate."""

import io
from functools import cache
from typing import NamedTuple

import numpy as np
import soundfile

from utils.audio import resample
from utils.augmentation.signal import turn_down

TELEPHONE_HZ = 8000
PROBE_SECONDS = 0.5


class Format(NamedTuple):
    """How libsndfile calls a codec, and the rates that it takes; of several the lowest that is not below the sound's, none means any."""

    container: str
    subtype: str
    rates_hz: tuple[int, ...] = (TELEPHONE_HZ,)
    has_compression: bool = False


CODECS = {
    "mu_law": Format("WAV", "ULAW"),
    "a_law": Format("WAV", "ALAW"),
    "gsm": Format("WAV", "GSM610"),
    "g721": Format("AU", "G721_32"),
    "g723_24": Format("AU", "G723_24"),
    "vox_adpcm": Format("RAW", "VOX_ADPCM"),
    "ima_adpcm": Format("WAV", "IMA_ADPCM", ()),
    "opus": Format("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000), True),
    "vorbis": Format("OGG", "VORBIS", (), True),
    "mp3": Format(
        "MP3",
        "MPEG_LAYER_III",
        (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        True,
    ),
}


def is_available(codec: str) -> bool:
    """Whether this machine's libsndfile writes and reads a codec.

    Parameters
    ----------
    codec : str
        One of CODECS.
    """
    try:
        _delay(codec, TELEPHONE_HZ)
    except soundfile.LibsndfileError:
        return False
    return True


def transcode(
    samples: np.ndarray, sample_rate_hz: int, codec: str, compression: float = 0.5
) -> np.ndarray:
    """What a codec leaves of a sound.

    Parameters
    ----------
    samples : (n,) float32 array
        Sound; turned down as a whole where its peak exceeds full scale.
    sample_rate_hz : int
        Its rate.
    codec : str
        One of CODECS.
    compression : float
        From 0, the best quality, to 1, the fewest bits; only Opus, Vorbis and MP3 have a choice.

    Returns
    -------
    (n,) float32 array
        The same sound, neither earlier nor later.
    """
    rates_hz = CODECS[codec].rates_hz or (sample_rate_hz,)
    coded_hz = min((rate for rate in rates_hz if rate >= sample_rate_hz), default=max(rates_hz))
    coded = _through(
        resample(turn_down(samples), sample_rate_hz, coded_hz), coded_hz, codec, compression
    )[_delay(codec, coded_hz) :]
    decoded = resample(coded, coded_hz, sample_rate_hz)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _through(samples: np.ndarray, rate_hz: int, codec: str, compression: float) -> np.ndarray:
    """Encode and decode; a codec of frames returns a few samples more."""
    container, subtype, _, has_compression = CODECS[codec]
    layout = {"samplerate": rate_hz, "channels": 1, "subtype": subtype, "format": container}
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", **layout, compression_level=compression if has_compression else None
    ) as sound:
        sound.write(samples)
    file.seek(0)
    with soundfile.SoundFile(file, **(layout if container == "RAW" else {})) as sound:
        return sound.read(2 * len(samples) + rate_hz, dtype="float32")


@cache
def _delay(codec: str, rate_hz: int) -> int:
    """By how many samples a codec comes late at a rate, measured: versions of libsndfile differ in what they take out themselves."""
    from scipy import signal

    probe = np.random.default_rng(0).normal(0, 0.1, round(PROBE_SECONDS * rate_hz))
    probe = signal.lfilter(*signal.butter(2, [0.05, 0.6], "bandpass"), probe).astype(np.float32)
    decoded = _through(probe, rate_hz, codec, 0.0)
    return max(0, int(np.argmax(signal.correlate(decoded, probe))) - (len(probe) - 1))
