"""Volume, band limits, codecs and time reversal, measured on spectra."""

import numpy as np
import pytest

from tests.measured_sounds import RATE, N, band_db, crop, energy_db
from utils.augmentation.bank import Bank
from utils.augmentation.channel import BandLimit, Codec, Reverse, Volume


def opened(transform):
    transform.open(Bank(None, RATE))
    return transform


def test_volume_changes_by_the_gain_that_was_drawn():
    volume, seen = opened(Volume(gain_db=(-10.0, 6.0))), []
    for seed in range(200):
        drawn = volume.draw(np.random.default_rng(seed), N)
        seen += drawn
        assert energy_db(volume.apply(crop(), drawn)) - energy_db(crop()) == pytest.approx(
            drawn[0], abs=1e-3
        )
    assert -10 <= min(seen) < -9.5
    assert 5.5 < max(seen) <= 6


def test_a_band_limit_keeps_the_band_and_takes_the_rest_without_delay():
    limit = opened(BandLimit(low_hz=(300.0, 300.0), high_hz=(3400.0, 3400.0)))
    out = limit.apply(crop(), limit.draw(np.random.default_rng(0), N))
    change = {
        band: band_db(out, *band) - band_db(crop(), *band)
        for band in [(0, 150), (295, 305), (500, 2800), (3395, 3405), (6800, 8000)]
    }
    print({band: round(float(value), 1) for band, value in change.items()})
    assert change[0, 150] < -40  # the cut ends of the noise spread a little
    assert change[295, 305] == pytest.approx(-3, abs=0.5)
    assert abs(change[500, 2800]) < 0.1
    assert change[3395, 3405] == pytest.approx(-3, abs=0.5)
    assert change[6800, 8000] < -45
    assert np.argmax(np.correlate(out[100:-100], crop(), "valid")) == 100
    assert out.dtype == np.float32


@pytest.mark.parametrize(("slope", "octave_db"), [(24.0, -24), (48.0, -48)])
def test_a_band_falls_as_steeply_as_asked(slope, octave_db):
    limit = opened(BandLimit(low_hz=None, high_hz=(2000.0, 2000.0), slope_db_per_octave=slope))
    out = limit.apply(crop(), limit.draw(np.random.default_rng(0), N))
    fall = band_db(out, 3990, 4010) - band_db(crop(), 3990, 4010)
    assert fall == pytest.approx(octave_db, abs=1)


def test_bands_are_drawn_from_their_ranges_and_open_ends_stay_open():
    limit = opened(BandLimit())
    drawn = np.array([limit.draw(np.random.default_rng(seed), N) for seed in range(200)])
    assert (drawn.min(axis=0) >= [200, 3000]).all()
    assert (drawn.max(axis=0) <= [400, 3800]).all()
    assert (np.ptp(drawn, axis=0) > [180, 700]).all()
    whole = opened(BandLimit(low_hz=None, high_hz=None))
    assert np.allclose(
        whole.apply(crop(), whole.draw(np.random.default_rng(0), N)), crop(), atol=1e-6
    )


def test_a_filter_does_not_bring_the_end_of_a_crop_to_its_start():
    late = np.zeros(N, np.float32)
    late[-1] = 1
    limit = opened(BandLimit())
    assert np.abs(limit.apply(late, (300.0, 3400.0))[: N // 2]).max() < 1e-4


def test_every_codec_of_a_list_is_used_and_the_crop_keeps_its_length():
    codec, seen = opened(Codec(codecs=("mu_law", "ima_adpcm", "gsm"))), set()
    for seed in range(30):
        drawn = codec.draw(np.random.default_rng(seed), N)
        assert 0 <= drawn[1] <= 1
        seen.add(drawn[0])
    assert seen == {0, 1, 2}
    out = codec.apply(crop(n=4801), (0, 0.0))
    assert out.shape == (4801,)
    assert not codec.on_device


def test_reversal_is_the_last_sample_first():
    reverse = opened(Reverse())
    assert np.array_equal(
        reverse.apply(crop(), reverse.draw(np.random.default_rng(0), N)), crop()[::-1]
    )
