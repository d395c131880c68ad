"""Voice activity: frames counted as Kaldi counts them, the smoothing by hand, and made signals whose speech is known."""

import numpy as np
import pytest

from utils.vad import keep_speech, num_frames, runs, smooth, webrtc_decisions

RATE = 16000


def frames(text):
    return np.array([character == "#" for character in text])


def drawn(decisions):
    return "".join("#" if speech else "." for speech in decisions)


def vowels(seconds, rate=RATE):
    """Speech-like: 4 syllables a second of a 120 Hz pulse train through three formants."""
    times = np.arange(round(seconds * rate)) / rate
    harmonics = sum(np.cos(2 * np.pi * 120 * k * times) * sum(np.exp(-((120 * k - formant) / 150) ** 2) for formant in (500, 1500, 2500))
                    for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 4 * times) + 0.8, 0, 1)
    return (0.1 * harmonics * syllables).astype(np.float32)


@pytest.mark.parametrize(("num_samples", "rate", "expected"), [
    (0, RATE, 0), (79, RATE, 0), (80, RATE, 1), (16000, RATE, 100), (16079, RATE, 100), (16080, RATE, 101), (8000, 8000, 100), (44100, 44100, 100),
    (11025, 11025, 100), (96000, 96000, 100)])
def test_frames_are_rounded_to_10_ms_as_kaldi_does_without_snipped_edges(num_samples, rate, expected):
    assert num_frames(num_samples, rate) == expected


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("aggressiveness", [2, 3])
def test_speech_between_silences_is_found(rate, aggressiveness):
    silence = np.random.default_rng(0).normal(0, 1e-4, rate).astype(np.float32)
    speech = webrtc_decisions(np.concatenate([silence, vowels(2, rate), silence]), rate, aggressiveness=aggressiveness)
    assert speech.shape == (400,)
    inside, outside = speech[100:300].mean(), np.concatenate([speech[:95], speech[330:]]).mean()
    print(f"{rate} Hz, aggressiveness {aggressiveness}: {inside:.0%} of the speech, {outside:.0%} of the silence")
    assert inside > 0.9
    assert outside < 0.15


def test_more_aggressive_means_less_speech():
    faint = np.concatenate([np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32), vowels(2)])
    kept = [webrtc_decisions(faint, RATE, aggressiveness=aggressiveness).mean() for aggressiveness in range(4)]
    print("speech by aggressiveness:", kept)
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[3]


@pytest.mark.parametrize("window_ms", [10, 20, 30])
@pytest.mark.parametrize("num_samples", [0, 1, 320, 16000, 16123])
def test_silence_of_any_length_is_no_speech(window_ms, num_samples):
    speech = webrtc_decisions(np.zeros(num_samples, np.float32), RATE, window_ms=window_ms)
    assert len(speech) == num_frames(num_samples, RATE)
    assert not speech.any()


@pytest.mark.parametrize("options", [{"aggressiveness": 4}, {"window_ms": 25}])
def test_what_webrtc_does_not_offer_is_refused(options):
    with pytest.raises(ValueError, match="expected 10, 20 or 30 ms and 0 to 3"):
        webrtc_decisions(np.zeros(RATE, np.float32), RATE, **options)


@pytest.mark.parametrize(("raw", "smoothed"), [
    ("..........", ".........."),
    ("...####...", "..######.."),      # padding of one frame
    ("##......##", ".........."),  # two bursts that are too short
    (".##.##....", "#######..."),      # the gap of one closes before the bursts are judged
    (".###..###.", "##########"),  # padding meets in a gap of two that stays
    ("####......", "#####....."),
    ("......####", ".....#####")])
def test_smoothing_closes_gaps_then_drops_bursts_then_pads(raw, smoothed):
    assert drawn(smooth(frames(raw), min_silence_seconds=0.02, min_speech_seconds=0.03, padding_seconds=0.01)) == smoothed


def test_smoothing_by_nothing_changes_nothing():
    raw = np.random.default_rng(1).random(500) > 0.5
    assert np.array_equal(smooth(raw, min_silence_seconds=0, min_speech_seconds=0, padding_seconds=0), raw)


def test_stretches_have_a_first_frame_and_one_behind_the_last():
    assert runs(frames("##..#.###")).tolist() == [[0, 2], [4, 5], [6, 9]]
    assert runs(frames("....")).shape == (0, 2)


@pytest.mark.parametrize("rate", [16000, 11025])
def test_trimming_keeps_the_samples_of_the_frames_of_speech(rate):
    samples = np.arange(rate)
    speech = np.zeros(100, bool)
    speech[10:20] = speech[50:] = True
    kept = keep_speech(samples, rate, speech)
    assert np.array_equal(kept, np.concatenate([samples[rate // 10:rate // 5], samples[rate // 2:]]))
    with pytest.raises(ValueError, match="99 decisions for 100 frames"):
        keep_speech(samples, rate, speech[:99])
    assert len(keep_speech(samples, rate, ~(speech | True))) == 0
