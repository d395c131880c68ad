"""Descriptions of augmentation: every transform has one, with its numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.chain import TRANSFORMS, build_chain

BANK = SimpleNamespace(noise_types=np.array(["hum", "music"]), rooms=[None] * 60)
CASES = [
    ({"name": "reverb"}, (16,), "room 17 of 60"),
    ({"name": "noise"}, (1, 4000, 12.34), "music at 12.3 dB"),
    (
        {"name": "noise", "snr_db": "recorded", "gain": 0.5},
        (0, 0, 0.5),
        "hum as loud as recorded, times 0.5",
    ),
    ({"name": "babble"}, (0, 9, 14.0, 1, 9, 14.0, 0, 9, 14.0), "babble of 3 speakers at 14.0 dB"),
    (
        {"name": "babble", "level": "each"},
        (0, 9, 14.0, 1, 9, 18.5),
        "babble of 2 speakers at 14.0 to 18.5 dB each",
    ),
    ({"name": "volume"}, (-3.21,), "volume -3.2 dB"),
    ({"name": "volume"}, (3.0,), "volume +3.0 dB"),
    ({"name": "band_limit"}, (300.4, 3400.0), "band above 300 Hz and below 3400 Hz"),
    ({"name": "band_limit"}, (0, 3400.0), "band below 3400 Hz"),
    ({"name": "codec", "codecs": ["mu_law", "gsm"]}, (1, 0.5), "codec gsm"),
    ({"name": "reverse"}, (1.0,), "backwards"),
    ({"name": "one_of", "of": [{"name": "volume"}, {"name": "reverb"}]}, (1, 16), "room 17 of 60"),
    ({"name": "one_of", "of": [{"name": "volume"}, {"name": "reverb"}]}, (1,), ""),
    (
        {"name": "all_of", "of": [{"name": "volume"}, {"name": "reverb"}, {"name": "reverse"}]},
        (1.0, 2.0, 16, np.nan),
        "volume +2.0 dB, room 17 of 60",
    ),
]


@pytest.mark.parametrize(("options", "drawn", "words"), CASES)
def test_a_description(options, drawn, words):
    [transform] = build_chain([options], "chain")
    for part in (transform, *getattr(transform, "of", ())):
        part.bank = BANK
    assert transform.describe(drawn) == words


def test_every_transform_has_a_description():
    assert {options["name"] for options, _, _ in CASES} == set(TRANSFORMS)


def test_a_crop_that_nothing_happened_to_has_none():
    augmenter = Augmenter(chain=[{"name": "volume"}, {"name": "reverse"}])
    assert augmenter.describe(1.0, [None, None]) == ""
    assert augmenter.describe(0.9, [None, (1.0,)]) == "speed 0.9, backwards"
