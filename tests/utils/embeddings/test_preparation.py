"""What a protocol does to whole utterances: level, trimming, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.speechlike import RATE, silence, vowels
from utils.embeddings.preparation import Preparation, PreparedReader
from utils.errors import UserError

VAD = {"name": "resemblyzer"}


def preparation(level_dbfs=-30.0, **options):
    return Preparation(level_dbfs=level_dbfs, vad=options.pop("vad", VAD), **options)


def level_dbfs(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


def at_level(samples, dbfs):
    return (samples * 10 ** ((dbfs - level_dbfs(samples)) / 20)).astype(np.float32)


def spoken(dbfs):
    return at_level(np.concatenate([silence(1), vowels(2), silence(1)]), dbfs)


def reader(*utterances):
    return SimpleNamespace(
        sample_rate_hz=RATE,
        num_samples=np.array([len(samples) for samples in utterances]),
        read=lambda index: utterances[index],
    )


def test_quiet_audio_is_raised_to_the_level_and_loud_audio_stays():
    quiet, loud = spoken(-50), spoken(-20)
    assert preparation().plan(quiet, RATE).gain == pytest.approx(10, rel=1e-5)
    assert preparation().plan(loud, RATE).gain == 1
    assert preparation().plan(spoken(-30.001), RATE).gain == pytest.approx(1, abs=2e-4)
    prepared = PreparedReader(reader(quiet, loud), preparation(), [0, 1], ["q", "l"])
    # The level is that of the whole utterance: half of this one is silence.
    assert level_dbfs(prepared.read(0)) == pytest.approx(-30 + 10 * np.log10(2), abs=0.7)
    assert np.isin(prepared.read(1), loud).all()


def test_pieces_are_those_of_the_speech_joined_after_the_level_was_set():
    sound = np.concatenate([spoken(-40), spoken(-40)])
    prepared = PreparedReader(reader(silence(1), sound), preparation(), [1, 1], ["a", "a"])
    first, second = preparation().plan(sound, RATE).stretches
    by_hand = np.concatenate([sound[slice(*first)], sound[slice(*second)]]) * np.float32(10**0.5)
    assert prepared.num_samples == {1: len(by_hand)}
    assert 4 * RATE < len(by_hand) < 5.5 * RATE
    assert prepared.read(1) == pytest.approx(by_hand, rel=1e-5)
    assert np.array_equal(prepared.read(1, 700, 3000), prepared.read(1)[700:3700])
    assert np.array_equal(prepared.read(1, 700), prepared.read(1)[700:])


def test_with_little_speech_an_utterance_stays_as_long_as_it_is_and_is_named(capsys):
    short, long = spoken(-40), np.concatenate([spoken(-40), vowels(3)])
    left = preparation().plan(short, RATE).num_samples
    strict = preparation(min_speech_seconds=(left + 1) / RATE)
    prepared = PreparedReader(reader(short, long), strict, [0, 1], ["a-1", "a-2"])
    assert prepared.num_samples[0] == len(short)
    assert level_dbfs(prepared.read(0)) == pytest.approx(-30, abs=1e-3), "the level is set"
    assert prepared.num_samples[1] < len(long)
    noted = capsys.readouterr()
    assert noted.out == "", "standard output may be a program's"
    limit = f"{strict.min_speech_seconds:g} s"
    line = f"utterances not trimmed, since less than {limit} would be left: 1 (a-1)\n"
    assert noted.err == line
    PreparedReader(reader(short, long), preparation(), [0, 1], ["a-1", "a-2"])
    assert capsys.readouterr().err == "", "as much as the limit is enough"


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), silence(2), silence(0.01)])
def test_silence_is_refused_by_the_name_of_the_utterance(samples):
    with pytest.raises(UserError, match="^utterance 'b-7': no speech was found") as refused:
        PreparedReader(reader(spoken(-30), samples), preparation(), [0, 1], ["a-1", "b-7"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level_dbfs": 3.0}, "level_dbfs is 3, expected 0 .full scale. or less"),
        ({"min_speech_seconds": -1.0}, "min_speech_seconds is -1, expected 0 or more"),
        ({"vad": {"name": "resemblizer"}}, "vad: name: no 'resemblizer'; did you mean"),
        ({"vad": {"name": "webrtc", "aggressiveness": 4}}, "aggressiveness: found 4"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises((ValueError, UserError), match=message):
        preparation(**options)
