"""Reading the utterances of a data directory."""

from collections.abc import Mapping

import numpy as np

from utils.audio.channels import Channel, ChannelCounts, refuse_negative_channel
from utils.audio.ffmpeg import SUFFIXES, require_ffmpeg
from utils.audio.read import UNKNOWN_FRAMES, audio_info, read_with_channels
from utils.errors import UnreadableAudio

# A segment may end this much after its recording, and is cut there, as in Kaldi's extract-segments.
OVERSHOOT_SECONDS = 0.5


class UtteranceReader:
    """Reads the utterances of a data directory, which are recordings or segments of them.

    Parameters
    ----------
    wav_scp : mapping of str to str
        Recording -> entry.
    segments : mapping of str to str, or None
        Utterance -> ``<recording> <start> <end>``, in seconds; an end of -1 is the recording's.
    **options
        `allow_pipes`, `root` and `channel` of `read_audio`.

    Raises
    ------
    UserError
        An entry needs ffmpeg, and it is missing; the channel is negative.

    Attributes
    ----------
    channel_counts : ChannelCounts
        Channels and rates of the utterances that were read, and those with a silent channel.
    """

    def __init__(
        self, wav_scp: Mapping[str, str], segments: Mapping[str, str] | None = None, **options
    ):
        require_ffmpeg(wav_scp.values())
        channel = options.get("channel", 0)
        refuse_negative_channel(channel)
        self.wav_scp, self.segments, self.options = wav_scp, segments, options
        # (entry, channel), samples, rate and channels of the last recording that a process decoded:
        # its segments usually follow each other
        self._latest: tuple[tuple[str, Channel], np.ndarray, int, int] | None = None
        self.channel_counts = ChannelCounts(channel)

    def read(self, utterance: str) -> tuple[np.ndarray, int]:
        """Samples and rate of an utterance, as in `read_audio`.

        UnreadableAudio also for a segment that lies after the end of its recording.
        """
        samples, rate, channels = self._read(utterance, self.options)

        def read_other(channel: int) -> np.ndarray:
            other_samples, _, _ = self._read(utterance, self.options | {"channel": channel})
            return other_samples

        self.channel_counts.add(utterance, samples, rate, channels, read_other)
        return samples, rate

    def _read(self, utterance: str, options: dict) -> tuple[np.ndarray, int, int]:
        """Samples, rate and number of channels."""
        if self.segments is None:
            return read_with_channels(self.wav_scp[utterance], **options)
        recording, start, end = self.segments[utterance].split()[:3]
        entry = self.wav_scp[recording]
        seconds = float(start), float(end)
        if entry.lower().endswith(("|", *SUFFIXES)):
            key = entry, options.get("channel", 0)
            if self._latest is None or self._latest[0] != key:
                self._latest = (key, *read_with_channels(entry, **options))
            _, samples, rate, channels = self._latest
            first, num_samples = _segment_samples(entry, seconds, len(samples), rate)
            return samples[first : first + num_samples], rate, channels
        total, rate = audio_info(entry, root=options.get("root"))
        first, num_samples = _segment_samples(entry, seconds, total, rate)
        return read_with_channels(entry, start_sample=first, num_samples=num_samples, **options)


def _segment_samples(
    entry: str, seconds: tuple[float, float], total: int, rate: int
) -> tuple[int, int]:
    """First sample and number of samples of a segment from start to end."""
    start_seconds, end_seconds = seconds
    recording_seconds = total / rate
    start = _to_sample(start_seconds, rate)
    end = _to_sample(recording_seconds if end_seconds == -1 else end_seconds, rate)
    if start >= total or end > total + OVERSHOOT_SECONDS * rate:
        raise UnreadableAudio(
            entry,
            f"a segment from {start_seconds} to {end_seconds} s "
            f"exceeds its recording of {recording_seconds:.2f} s",
        )
    return start, min(end, total) - start


def _to_sample(seconds: float, rate: int) -> int:
    return round(min(seconds * rate, UNKNOWN_FRAMES))
