"""Frames counted as in Kaldi, smoothing by hand and its properties, and cutting of audio."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.vad.base import cut_speech, keep_speech, num_frames, runs, smooth, to_decisions

RATE = 16000
decisions_of_frames = st.lists(st.booleans(), max_size=80).map(
    lambda frames: np.array(frames, bool)
)
hundredths = st.integers(0, 20).map(lambda frames: frames / 100)


def frames(text):
    return np.array([character == "#" for character in text])


def drawn(decisions):
    return "".join("#" if speech else "." for speech in decisions)


@pytest.mark.parametrize(
    ("num_samples", "rate", "expected"),
    [
        (0, RATE, 0),
        (79, RATE, 0),
        (80, RATE, 1),
        (16000, RATE, 100),
        (16079, RATE, 100),
        (16080, RATE, 101),
        (8000, 8000, 100),
        (44100, 44100, 100),
        (11025, 11025, 100),
        (96000, 96000, 100),
    ],
)
def test_frames_are_rounded_to_10_ms_as_kaldi_does_without_snipped_edges(
    num_samples, rate, expected
):
    assert num_frames(num_samples, rate) == expected


@pytest.mark.parametrize(
    ("raw", "smoothed"),
    [
        ("..........", ".........."),
        ("...####...", "..######.."),  # padding of one frame
        ("##......##", ".........."),  # two bursts that are too short
        (".##.##....", "#######..."),  # the gap of one closes before the bursts are judged
        (".###..###.", "##########"),  # padding meets in a gap of two that stays
        ("####......", "#####....."),
        ("......####", ".....#####"),
    ],
)
def test_smoothing_closes_gaps_then_drops_bursts_then_pads(raw, smoothed):
    assert (
        drawn(
            smooth(
                frames(raw), min_silence_seconds=0.02, min_speech_seconds=0.03, padding_seconds=0.01
            )
        )
        == smoothed
    )


@given(decisions_of_frames)
def test_smoothing_by_nothing_changes_nothing(raw):
    assert np.array_equal(
        smooth(raw, min_silence_seconds=0, min_speech_seconds=0, padding_seconds=0), raw
    )


@given(decisions_of_frames, hundredths, hundredths, hundredths)
def test_smoothed_stretches_are_long_and_speech_stays_where_no_burst_is_dropped(
    raw, min_silence, min_speech, padding
):
    options = {"min_silence_seconds": min_silence, "min_speech_seconds": min_speech}
    bare = smooth(raw, **options, padding_seconds=0)
    padded = smooth(raw, **options, padding_seconds=padding)
    assert all(end - start >= round(100 * min_speech) for start, end in runs(bare))
    assert not (bare & ~padded).any()
    gaps = runs(
        ~smooth(raw, min_silence_seconds=min_silence, min_speech_seconds=0, padding_seconds=0)
    )
    assert all(
        end - start >= round(100 * min_silence)
        for start, end in gaps
        if start > 0 and end < len(raw)
    )
    assert not (
        raw
        & ~smooth(
            raw, min_silence_seconds=min_silence, min_speech_seconds=0, padding_seconds=padding
        )
    ).any()
    near = [
        bare[max(0, frame - round(100 * padding)) : frame + round(100 * padding) + 1].any()
        for frame in range(len(raw))
    ]
    assert padded.tolist() == near


@given(decisions_of_frames, hundredths, hundredths)
def test_smoothing_without_padding_is_done_once(raw, min_silence, min_speech):
    options = {
        "min_silence_seconds": min_silence,
        "min_speech_seconds": min_speech,
        "padding_seconds": 0,
    }
    assert np.array_equal(smooth(smooth(raw, **options), **options), smooth(raw, **options))


def test_stretches_have_a_first_frame_and_one_behind_the_last():
    assert runs(frames("##..#.###")).tolist() == [[0, 2], [4, 5], [6, 9]]
    assert runs(frames("....")).shape == (0, 2)


@given(decisions_of_frames)
def test_stretches_of_samples_become_the_frames_that_they_came_from(raw):
    assert np.array_equal(to_decisions(runs(raw) * 160, RATE, len(raw)), raw)


def test_ends_of_stretches_go_to_the_nearest_frame():
    assert drawn(to_decisions(np.array([[239, 801], [1000, 1000]]), RATE, 8)) == ".####..."
    assert drawn(to_decisions(np.array([[240, 900]]), RATE, 5)) == "..###"
    assert drawn(to_decisions(np.zeros((0, 2), int), RATE, 3)) == "..."


@pytest.mark.parametrize("rate", [16000, 11025])
def test_trimming_keeps_the_samples_of_the_frames_of_speech(rate):
    samples = np.arange(rate)
    speech = np.zeros(100, bool)
    speech[10:20] = speech[50:] = True
    kept = keep_speech(samples, rate, speech)
    assert np.array_equal(
        kept, np.concatenate([samples[rate // 10 : rate // 5], samples[rate // 2 :]])
    )
    assert [
        (start, end, len(piece)) for start, end, piece in cut_speech(samples, rate, speech)
    ] == [(10, 20, rate // 5 - rate // 10), (50, 100, rate - rate // 2)]
    with pytest.raises(ValueError, match="99 decisions for 100 frames"):
        keep_speech(samples, rate, speech[:99])
    assert len(keep_speech(samples, rate, ~(speech | True))) == 0


@given(st.integers(0, 20000), st.sampled_from([8000, 11025, 16000, 44100]), st.integers(0, 2**32))
def test_speech_and_silence_together_are_the_whole_but_for_half_a_frame(num_samples, rate, seed):
    samples = np.arange(num_samples)
    raw = np.random.default_rng(seed).random(num_frames(num_samples, rate)) < 0.5
    parts = np.concatenate([keep_speech(samples, rate, raw), keep_speech(samples, rate, ~raw)])
    assert np.array_equal(np.sort(parts), samples[: len(parts)])
    assert 0 <= num_samples - len(parts) <= rate / 200 + 1
