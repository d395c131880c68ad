"""Telephone and web codecs of libsndfile, in memory; audio keeps its length, rate and timing."""

import io
from functools import cache
from typing import NamedTuple

import numpy as np
import soundfile

from utils.audio import resample
from utils.augmentation.signal import limit_peak

TELEPHONE_HZ = 8000
PROBE_SECONDS = 0.5
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class Format(NamedTuple):
    """libsndfile's names of a codec, and its sample rates; empty: any.

    Of several rates, the lowest that is not below the audio's is used.
    """

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
    "mp3": Format("MP3", "MPEG_LAYER_III", MP3_RATES_HZ, True),
}


def is_available(codec: str) -> bool:
    """Whether this machine's libsndfile writes and reads a codec of `CODECS`."""
    try:
        _delay(codec, TELEPHONE_HZ)
    except soundfile.LibsndfileError:
        return False
    return True


def transcode(
    samples: np.ndarray, sample_rate_hz: int, codec: str, compression: float = 0.5
) -> np.ndarray:
    """Encode and decode audio, (n,) float32, without a shift in time.

    Audio beyond full scale is scaled down first.  `compression` goes from 0, the best quality, to
    1, the fewest bits, and is used by Opus, Vorbis and MP3.
    """
    rates_hz = CODECS[codec].rates_hz or (sample_rate_hz,)
    high_enough_hz = [rate for rate in rates_hz if rate >= sample_rate_hz]
    coded_hz = min(high_enough_hz, default=max(rates_hz))
    samples_in = resample(limit_peak(samples), sample_rate_hz, coded_hz)
    samples_out = _encode_and_decode(samples_in, coded_hz, codec, compression)
    samples_out = samples_out[_delay(codec, coded_hz) :]
    decoded = resample(samples_out, coded_hz, sample_rate_hz)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _encode_and_decode(
    samples: np.ndarray, rate_hz: int, codec: str, compression: float
) -> np.ndarray:
    """Encode and decode; a codec that works in frames returns a few samples more."""
    container, subtype, _, has_compression = CODECS[codec]
    layout = {"samplerate": rate_hz, "channels": 1, "subtype": subtype, "format": container}
    level = compression if has_compression else None
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", **layout, compression_level=level) as sound:
        sound.write(samples)
    file.seek(0)
    header = layout if container == "RAW" else {}
    with soundfile.SoundFile(file, **header) as sound:
        return sound.read(2 * len(samples) + rate_hz, dtype="float32")


@cache
def _delay(codec: str, rate_hz: int) -> int:
    """Delay of a codec in samples, measured: versions of libsndfile remove different parts."""
    from scipy import signal

    probe = np.random.default_rng(0).normal(0, 0.1, round(PROBE_SECONDS * rate_hz))
    numerator, denominator = signal.butter(2, [0.05, 0.6], "bandpass")
    probe = signal.lfilter(numerator, denominator, probe).astype(np.float32)
    decoded = _encode_and_decode(probe, rate_hz, codec, 0.0)
    peak = int(np.argmax(signal.correlate(decoded, probe)))
    return max(0, peak - (len(probe) - 1))
