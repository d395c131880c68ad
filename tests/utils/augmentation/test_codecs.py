"""Codecs: the same audio at the same time, with the codec's bandwidth and loss."""

import numpy as np
import pytest
import soundfile
from scipy import signal

from tests.measured_sounds import RATE, N, band_db
from utils.augmentation import codecs as augmentation_codecs
from utils.augmentation.codecs import CODECS, is_available, transcode

TELEPHONE = ("mu_law", "a_law", "gsm", "g721", "g723_24", "vox_adpcm")


def speechlike(n=N, rate=RATE):
    """Noise that falls by 6 dB per octave above 500 Hz and swells four times a second."""
    noise = signal.lfilter(
        [1], [1, -np.exp(-2 * np.pi * 500 / rate)], np.random.default_rng(3).normal(0, 0.02, n)
    )
    return (noise * (1 + np.sin(2 * np.pi * 4 * np.arange(n) / rate))).astype(np.float32)


@pytest.fixture(autouse=True)
def only_available(request):
    codec = request.node.callspec.params.get("codec") if hasattr(request.node, "callspec") else None
    if codec and not is_available(codec):
        pytest.skip(f"this libsndfile has no {codec}")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_sound_comes_back_in_its_place_and_of_its_length(codec, rate):
    samples = speechlike(rate, rate)
    out = transcode(samples, rate, codec)
    assert out.shape == samples.shape
    assert out.dtype == np.float32
    correlation = signal.correlate(out, samples)
    lag = int(np.argmax(correlation)) - (len(samples) - 1)
    likeness = correlation.max() / np.linalg.norm(out) / np.linalg.norm(samples)
    level = 20 * np.log10(np.linalg.norm(out) / np.linalg.norm(samples))
    print(f"{codec} at {rate} Hz: lag {lag}, correlation {likeness:.3f}, level {level:+.1f} dB")
    assert lag == 0
    assert 0.8 < likeness < 0.99999
    assert abs(level) < 1.5


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_has_four_kilohertz_and_the_web_more(codec):
    samples = speechlike()
    lost = band_db(transcode(samples, RATE, codec, 0.0), 4400, 7000) - band_db(samples, 4400, 7000)
    print(f"{codec}: {lost:.1f} dB from 4.4 to 7 kHz")
    assert (lost < -20) == (codec in TELEPHONE)


@pytest.mark.parametrize(
    "codec", [codec for codec, layout in CODECS.items() if layout.has_compression]
)
def test_more_compression_leaves_less(codec):
    samples = speechlike()
    errors = [
        np.linalg.norm(transcode(samples, RATE, codec, compression) - samples)
        for compression in (0.0, 0.9)
    ]
    print(f"{codec}: {20 * np.log10(errors[1] / errors[0]):.1f} dB more error")
    assert errors[0] < errors[1]


def test_mu_law_is_what_the_standard_says():
    """G.711: about 38 dB of ratio over a wide range of levels."""
    samples = signal.resample(np.random.default_rng(0).normal(0, 1, 4000), 16000).astype(np.float32)
    for level in (0.02, 0.2):
        scaled = np.clip(level * samples / samples.std(), -1, 1)
        error = transcode(scaled, 8000, "mu_law") - scaled
        ratio = 20 * np.log10(np.linalg.norm(scaled) / np.linalg.norm(error))
        print(f"level {level}: {ratio:.1f} dB")
        assert 33 < ratio < 41


def test_sound_beyond_full_scale_is_turned_down_and_not_clipped():
    samples = 8 * speechlike() / np.abs(speechlike()).max()
    assert np.allclose(
        transcode(samples, RATE, "a_law"), transcode(samples / 8, RATE, "a_law"), atol=1e-3
    )


def test_a_codec_that_comes_late_is_moved_back(monkeypatch):
    """A libsndfile that leaves a codec's delay in would be measured and corrected."""
    plain = augmentation_codecs._encode_and_decode
    monkeypatch.setattr(
        augmentation_codecs,
        "_encode_and_decode",
        lambda samples, *rest: np.concatenate([np.zeros(123, np.float32), plain(samples, *rest)]),
    )
    augmentation_codecs._delay.cache_clear()
    try:
        late = transcode(speechlike(), RATE, "mu_law")
    finally:
        augmentation_codecs._delay.cache_clear()
    monkeypatch.undo()
    assert np.allclose(late, transcode(speechlike(), RATE, "mu_law"), atol=1e-6)


def test_a_codec_that_libsndfile_cannot_write_is_not_available(monkeypatch):
    def refuse(*_, **__):
        raise soundfile.LibsndfileError(1)

    augmentation_codecs._delay.cache_clear()
    monkeypatch.setattr(augmentation_codecs.soundfile, "SoundFile", refuse)
    assert not is_available("mp3")
