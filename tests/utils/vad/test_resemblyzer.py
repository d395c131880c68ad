"""Resemblyzer's removal of silences: counted by hand, and against the published code's results."""

import numpy as np
import pytest

from tests.conftest import ROOT
from utils.audio import read_audio
from utils.embeddings.protocols import read_protocol
from utils.vad.base import runs
from utils.vad.resemblyzer import ResemblyzerVad

RATE = 16000
# Resemblyzer 0.1.4, preprocess_wav: samples left of tests/golden/kaldi/wav.
SAMPLES_LEFT = {"w0": 39_840, "w1": 27_360, "w2": 58_080}


class Given(ResemblyzerVad):
    """The detector with given decisions in place of WebRTC's."""

    def __init__(self, decisions, **options):
        super().__init__(**options)
        self.given = decisions

    def decide_windows(self, samples, sample_rate_hz, num_windows):
        return np.array([letter == "x" for letter in self.given[:num_windows]])


def stretches(decisions, seconds=None, rate=RATE, **options):
    """First and end window of what is speech, of so many seconds."""
    samples = np.ones(round((seconds or 0.03 * len(decisions)) * rate), np.float32)
    frames = runs(Given(decisions, **options).decisions(samples, rate))
    return (frames / 3).tolist()


# Around window w lie the eight from w - 3 to w + 4; three are added on each side.
@pytest.mark.parametrize(
    ("decisions", "speech"),
    [
        ("......xxxxx.............", [[3, 13]]),  # five of eight around windows 6 to 9
        ("......xxxx..............", []),  # never more than four
        ("......x.x.x.x.x.........", []),
        ("......xx.xx.x...........", [[5, 13]]),  # five around windows 8 and 9
        ("xxxxx...................", [[0, 7]]),  # around windows 0 to 3; silence before
        ("...................xxxxx", [[16, 24]]),  # around windows 19 to 22; silence after
    ],
)
def test_more_than_half_of_eight_windows_make_speech_and_three_are_added(decisions, speech):
    assert stretches(decisions) == speech


def test_what_follows_the_last_whole_window_is_silence_at_any_rate():
    for rate in (8000, 16000, 44100):
        assert stretches("x" * 20, seconds=0.6, rate=rate) == [[0, 20]]
        assert stretches("x" * 20, seconds=0.62, rate=rate) == [[0, 20]]
        assert stretches("x" * 20, seconds=0.589, rate=rate) == [[0, 19]]
    assert len(Given("x").decisions(np.ones(160, np.float32), RATE)) == 1


def test_an_average_of_one_window_leaves_webrtcs_decisions():
    options = {"average_windows": 1, "padding_seconds": 0.0}
    assert stretches("..x..xx.", **options) == [[2, 3], [5, 7]]
    assert stretches("..x..xx.", average_windows=3, padding_seconds=0.0) == [[5, 7]]


@pytest.mark.parametrize("name", SAMPLES_LEFT)
def test_as_much_is_left_as_by_the_published_code(name):
    samples, rate = read_audio(ROOT / "tests" / "golden" / "kaldi" / "wav" / f"{name}.wav")
    preparation = read_protocol("resemblyzer")[0].preparation
    assert preparation.plan(samples, rate).num_samples == SAMPLES_LEFT[name]
