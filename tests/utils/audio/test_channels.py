"""Choice of a channel: the one asked for, the only one, and the remark if it is silent."""

from contextlib import suppress

import numpy as np
import pytest
import soundfile

from utils.audio import UtteranceReader, audio_header, read_audio, sounding_channels
from utils.errors import UnreadableAudio

RATE = 16000
TONE = 0.3 * np.sin(np.arange(RATE // 4) / 9).astype(np.float32)
HUM = TONE[::-1] / 2
SILENCE = np.zeros_like(TONE)


def write(path, *channels):
    soundfile.write(path, np.stack(channels, axis=1), RATE, "FLOAT")
    return str(path)


@pytest.fixture
def files(tmp_path):
    return {
        "both": write(tmp_path / "both.wav", TONE, HUM),
        "left": write(tmp_path / "left.wav", TONE, SILENCE),
        "right": write(tmp_path / "right.wav", SILENCE + 1e-4, TONE),
        "mono": write(tmp_path / "mono.wav", TONE),
        "neither": write(tmp_path / "neither.wav", SILENCE, SILENCE),
        "third": write(tmp_path / "third.wav", SILENCE, SILENCE, HUM),
    }


def heard(files, channel):
    reader = UtteranceReader(files, channel=channel)
    for name in files:
        with suppress(UnreadableAudio):  # those of two channels, where the third is asked for
            reader.read(name)
    return reader.channel_counts


def test_channels_are_counted_and_silent_ones_are_named_with_the_one_that_sounds(files):
    found = heard(files, 0)
    assert found.counts == {
        "of 2 channels, channel 0 is taken": 4,
        "of 3 channels, channel 0 is taken": 1,
        "with channel 0 silent and channel 1 not": 1,
        "with channel 0 silent and channel 2 not": 1,
    }
    assert found.silent == {
        "right": "channel 0 is silent, channel 1 is not: --channel 1",
        "third": "channel 0 is silent, channel 2 is not: --channel 2",
    }
    assert found.rates == {RATE: 6}


def test_the_only_channel_is_taken_for_any_other_and_it_is_counted(files):
    found = heard(files, 1)
    assert found.counts == {
        "of 1 channel, taken for channel 1": 1,
        "of 2 channels, channel 1 is taken": 4,
        "of 3 channels, channel 1 is taken": 1,
        "with channel 1 silent and channel 0 not": 1,
        "with channel 1 silent and channel 2 not": 1,
    }
    assert np.array_equal(read_audio(files["mono"], channel=1)[0], TONE)


def test_of_the_mean_nothing_is_silent_and_of_single_channels_nothing_is_said(files):
    found = heard(files, "mean")
    assert found.counts == {
        "of 2 channels, their mean is taken": 4,
        "of 3 channels, their mean is taken": 1,
    }
    assert heard({"mono": files["mono"]}, 0).counts == {}


def test_several_channels_without_the_one_that_was_asked_for_are_unreadable(files):
    with pytest.raises(UnreadableAudio, match="channel 2 was asked for, it has 2"):
        read_audio(files["both"], channel=2)
    assert heard(files, 2).counts["of 3 channels, channel 2 is taken"] == 1


def test_segments_of_a_pipe_hear_their_own_channel_after_another_was_looked_at(files):
    """The audio of a pipe is kept for the next segments, but not of a checked channel."""
    reader = UtteranceReader(
        {"r": f"cat {files['right']} |"},
        {"a": "r 0 0.1", "b": "r 0.1 0.2"},
        allow_pipes=True,
        channel=0,
    )
    for utterance in ("a", "b"):
        assert np.abs(reader.read(utterance)[0]).max() < 1e-3
    assert set(reader.channel_counts.silent) == {"a", "b"}


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_headers_tell_how_many_there_are(tmp_path, channels, ending):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, np.stack([TONE] * channels, axis=1), RATE)
    assert audio_header(path) == (len(TONE), RATE, channels)


def test_only_so_many_other_channels_are_looked_at():
    looked_at = []

    def read(channel):
        looked_at.append(channel)
        return SILENCE

    assert sounding_channels(SILENCE, 0, 64, read) == []
    assert looked_at == [1, 2, 3, 4, 5, 6, 7]
