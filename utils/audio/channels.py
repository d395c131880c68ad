"""Choice of one channel of audio with several, and what a ledger records about channels."""

from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np

from utils.errors import UnreadableAudio, UserError

Channel = int | Literal["mean"]  # a channel, from 0, or the mean of all

SILENT_PEAK = 1e-3  # of full scale; the noise of an unconnected channel stays below
MAX_CHECKED_CHANNELS = 8  # that are searched for sound if the chosen one is silent


def resolve_channel(entry: str, channel: Channel, channels: int) -> Channel:
    """The channel to read: the one asked for, or the only one; UnreadableAudio if there is none."""
    if channels == 1:
        return 0
    if channel != "mean" and channel >= channels:
        raise UnreadableAudio(
            entry, f"channel {channel} was asked for, it has {channels} (counted from 0)"
        )
    return channel


def refuse_negative_channel(channel: Channel) -> None:
    """Raise UserError for a negative channel."""
    if channel != "mean" and channel < 0:
        raise UserError(f"--channel: {channel}, expected 0 or more, or mean")


def describe_channels(channels: int, channel: Channel) -> str:
    """The channel read and the number of channels, for a ledger; empty if there is no choice."""
    if channels > 1 and channel == "mean":
        return f"of {channels} channels, their mean is taken"
    if channels > 1:
        return f"of {channels} channels, channel {channel} is taken"
    if channel in (0, "mean"):
        return ""
    return f"of 1 channel, taken for channel {channel}"


def _is_silent(samples: np.ndarray) -> bool:
    return not len(samples) or max(samples.max(), -samples.min()) <= SILENT_PEAK


def sounding_channels(
    samples: np.ndarray, channel: Channel, channels: int, read: Callable[[int], np.ndarray]
) -> list[int]:
    """Channels that are not silent, if the chosen one is; otherwise none.

    `read` returns the samples of another channel; it is called for at most `MAX_CHECKED_CHANNELS`.
    """
    if channels == 1 or channel == "mean" or not _is_silent(samples):
        return []
    checked = range(min(channels, MAX_CHECKED_CHANNELS))
    return [other for other in checked if other != channel and not _is_silent(read(other))]


class ChannelCounts:
    """Counts of channels and rates over the utterances that a step reads.

    Parameters
    ----------
    channel : int or "mean"
        The channel that the step reads.

    Attributes
    ----------
    counts : Counter of str
        ``of 2 channels, channel 0 is taken`` -> utterances, for a ledger; channel 0 of utterances
        with one channel is not counted.
    rates : Counter of int
        Sample rate in Hz -> utterances.
    silent : dict of str to str
        Utterance whose channel is silent while another one is not -> a remark for the ledger.
    """

    def __init__(self, channel: Channel):
        self.channel = channel
        self.counts: Counter[str] = Counter()
        self.rates: Counter[int] = Counter()
        self.silent: dict[str, str] = {}

    def add(
        self,
        utterance: str,
        samples: np.ndarray,
        rate: int,
        channels: int,
        read_other: Callable[[int], np.ndarray],
    ) -> None:
        """Count an utterance; `read_other` returns the samples of another channel."""
        self.rates[rate] += 1
        description = describe_channels(channels, self.channel)
        if description:
            self.counts[description] += 1
        sounding = sounding_channels(samples, self.channel, channels, read_other)
        if sounding:
            chosen, other = self.channel, sounding[0]
            self.counts[f"with channel {chosen} silent and channel {other} not"] += 1
            self.silent[utterance] = (
                f"channel {chosen} is silent, channel {other} is not: --channel {other}"
            )
