"""Records of augmentation: one word per utterance, with the names of the bank's sounds."""

import numpy as np
import pytest

from tests.banks import make_bank
from tests.voices import RATE
from utils.augmentation.augmenter import UNCHANGED, Augmenter
from utils.augmentation.chain import TRANSFORMS

ONE = np.random.default_rng


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return make_bank(tmp_path_factory.mktemp("record") / "bank")


def record(bank, *chain, speed_factor=1.0, drawn=None):
    augmenter = Augmenter(chain=list(chain)).open(bank, RATE)
    if drawn is None:
        drawn = augmenter.draw(RATE, ONE(5))
    return augmenter.record(speed_factor, drawn)


@pytest.mark.parametrize(
    ("link", "drawn", "expected"),
    [
        ({"name": "reverb"}, (1,), "reverb(room-1)"),
        ({"name": "noise"}, (4, 320, 7.25), "noise(noise-1,start=320,snr_db=7.25)"),
        (
            {"name": "noise", "snr_db": "recorded", "gain": 2.0},
            (0, 0, 2.0),
            "noise(music-0,start=0,gain=2)",
        ),
        (
            {"name": "babble"},
            (6, 1, 15.0, 8, 2, 15.0),
            "babble_sum(speech-0,start=1,snr_db=15;speech-2,start=2,snr_db=15)",
        ),
        ({"name": "volume"}, (-3.123456789,), "volume(gain_db=-3.12346)"),
        ({"name": "band_limit"}, (300.0, 3400.0), "band_limit(low_hz=300,high_hz=3400)"),
        (
            {"name": "codec", "codecs": ["a_law", "mu_law"]},
            (1, 0.5),
            "codec(mu_law,compression=0.5)",
        ),
        ({"name": "reverse"}, (1.0,), "reverse"),
        (
            {"name": "one_of", "of": [{"name": "reverse"}, {"name": "reverb"}]},
            (1, 2),
            "reverb(room-2)",
        ),
        ({"name": "one_of", "of": [{"name": "reverse", "probability": 0.0}]}, (0,), UNCHANGED),
        (
            {"name": "all_of", "of": [{"name": "volume"}, {"name": "reverb"}]},
            (1.0, 6.0, 2.0),
            "volume(gain_db=6)+reverb(room-2)",
        ),
    ],
)
def test_a_transform_by_hand(bank, link, drawn, expected):
    assert record(bank, link, drawn=[drawn]) == expected


def test_every_transform_has_a_record(bank):
    for name in TRANSFORMS:
        options = {"of": [{"name": "reverse"}]} if name.endswith("_of") else {}
        text = record(bank, {"name": name, **options})
        assert text != UNCHANGED
        assert not set(text) & {" ", "\t", "\n"}


def test_a_chain_is_written_in_its_order_after_the_speed(bank):
    chain = [
        {"name": "volume", "gain_db": [3, 3]},
        {"name": "reverb", "probability": 0.0},
        {"name": "reverse"},
    ]
    assert record(bank, *chain, speed_factor=0.9) == "speed(0.9)+volume(gain_db=3)+reverse"
    assert record(bank) == UNCHANGED
