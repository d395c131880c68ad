"""Channels and sample rates of the files of a corpus, and what packing does with them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from local.own.kaldi import entry_file
from local.own.measure import Measured
from utils.audio import Channel, audio_info, read_audio, sounding_channels
from utils.errors import UnreadableAudio

# Files with several channels of which the beginning is read, to see whether a channel is silent.
MAX_FILES_READ = 50
MAX_SECONDS_READ = 60


@dataclass(frozen=True)
class Packing:
    """Channel (a number or "mean") and sample rate of the packed audio."""

    channel: Channel = 0
    sample_rate_hz: int = 16000


def describe_audio(wav_scp: Mapping[str, str], measured: Measured, packing: Packing) -> list[str]:
    """Lines about the channels and rates of the recordings of ``wav_scp``."""
    channel, sample_rate_hz = packing.channel, packing.sample_rate_hz
    total = measured.rates.total()
    lines = _describe_channels(measured, channel)
    lines += _describe_silence(wav_scp, measured.several, channel)
    for rate, number in sorted(measured.rates.items()):
        if rate < sample_rate_hz:
            lines.append(
                f"  {number:,} of {total:,} files have {rate:,} Hz and are packed at "
                f"{sample_rate_hz:,} Hz: nothing above {rate / 2:,g} Hz is in them"
            )
    return lines


def _describe_channels(measured: Measured, channel: Channel) -> list[str]:
    taken = f"channel {channel} is taken"
    if channel == "mean":
        taken = "their mean is taken"
    total = measured.rates.total()
    lines = []
    for channels, number in sorted(Counter(measured.several.values()).items()):
        if channels:  # 0: the header does not say; counted when the file is read
            lines.append(
                f"  {number:,} of {total:,} files have {channels} channels: {taken} "
                "(--channel: another, from 0, or mean)"
            )
    single = total - len(measured.several)
    if single and channel not in (0, "mean"):
        lines.append(f"  {single:,} of {total:,} files have 1 channel, which is taken")
    return lines


def _describe_silence(
    wav_scp: Mapping[str, str], several: Mapping[str, int], channel: Channel
) -> list[str]:
    """Whether the channel is silent in some of the first files of several channels."""
    recordings = [key for key in sorted(wav_scp) if several.get(key, 1) > 1]
    files = [recording for recording in recordings if entry_file(wav_scp[recording])]
    examined = files[:MAX_FILES_READ]
    counts: Counter[int] = Counter()
    for recording in examined:
        counts.update(_sounding(wav_scp[recording], several[recording], channel)[:1])
    lines = []
    for other, number in sorted(counts.items()):
        lines.append(
            f"  channel {channel} is silent in {number:,} of {len(examined):,} files of several "
            f"channels (their first minute), channel {other} is not; give --channel {other}"
        )
    return lines


def _sounding(entry: str, channels: int, channel: Channel) -> list[int]:
    """Other channels that have sound if this one has none; none of an unreadable file."""

    def read_other(other):
        return _read_beginning(entry, other)

    try:
        return sounding_channels(_read_beginning(entry, channel), channel, channels, read_other)
    except UnreadableAudio:
        return []  # reported with the measurements


def _read_beginning(entry: str, channel: Channel) -> np.ndarray:
    """The first minute of a channel."""
    num_samples, rate = audio_info(entry)
    wanted = min(num_samples, MAX_SECONDS_READ * rate)
    return read_audio(entry, num_samples=wanted, channel=channel)[0]
