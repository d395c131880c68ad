"""What the files of a corpus decide without a word, said: which channel is heard, and which bands there are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from local.own.kaldi import file_of
from local.own.measure import Measured
from utils.audio import Channel, audio_info, read_audio, sounding_channels
from utils.errors import UnreadableAudio

LOOKED_AT = 50  # files of several channels that are read, and how much of each
LOOKED_AT_SECONDS = 60


@dataclass(frozen=True)
class Heard:
    """What the recipe makes of the files.

    Attributes
    ----------
    channel : int or "mean"
        The one that is heard, of several.
    sample_rate_hz : int
        Rate of the packed audio.
    """

    channel: Channel = 0
    sample_rate_hz: int = 16000


def sound_lines(wav_scp: Mapping[str, str], measured: Measured, heard: Heard) -> list[str]:
    """Lines of the channels and rates of files, for stage 0.

    Parameters
    ----------
    wav_scp : mapping of str to str
        Recording -> entry, of those that were measured.
    measured : Measured
        What their headers say.
    heard : Heard
        Channel and rate of the packed audio.
    """
    channel, sample_rate_hz = heard.channel, heard.sample_rate_hz
    total = measured.rates.total()
    single = total - len(measured.several)
    lines = []
    for channels, number in sorted(Counter(measured.several.values()).items()):
        if channels:  # those whose header does not say are counted when they are read
            taken = "their mean is taken" if channel == "mean" else f"channel {channel} is taken"
            lines.append(
                f"  {number:,} of {total:,} files have {channels} channels: {taken} (--channel: another, from 0, or mean)"
            )
    if single and channel not in (0, "mean"):
        lines.append(f"  {single:,} of {total:,} files have 1 channel, which is taken")
    lines += _silent_lines(wav_scp, measured.several, channel)
    for rate, number in sorted(measured.rates.items()):
        if rate < sample_rate_hz:
            lines.append(
                f"  {number:,} of {total:,} files have {rate:,} Hz, and are packed at {sample_rate_hz:,} Hz: nothing above {rate / 2:,g} Hz "
                "is in them"
            )
    return lines


def _silent_lines(
    wav_scp: Mapping[str, str], several: Mapping[str, int], channel: Channel
) -> list[str]:
    """Whether the channel is silent in some of the first files of several channels, and which one is not."""
    files = {
        recording: entry
        for recording, entry in wav_scp.items()
        if several.get(recording, 1) > 1 and file_of(entry)
    }
    counts: Counter[int] = Counter()
    looked_at = dict(islice(sorted(files.items()), LOOKED_AT))
    for recording, entry in looked_at.items():
        counts.update(_sounding(entry, several[recording], channel)[:1])
    return [
        f"  channel {channel} is silent in {number:,} of {len(looked_at):,} files of several channels (their first minute), channel {other} is "
        f"not; --channel {other}"
        for other, number in sorted(counts.items())
    ]


def _sounding(entry: str, channels: int, channel: Channel) -> list[int]:
    """Other channels with sound where this one has none; none of a file that cannot be read, which is told elsewhere."""
    try:
        return sounding_channels(
            _beginning(entry, channel), channel, channels, lambda other: _beginning(entry, other)
        )
    except UnreadableAudio:
        return []


def _beginning(entry: str, channel: Channel) -> np.ndarray:
    """The first minute of a channel."""
    num_samples, rate = audio_info(entry)
    wanted = min(num_samples, LOOKED_AT_SECONDS * rate)
    return read_audio(entry, num_samples=wanted, channel=channel)[0]
