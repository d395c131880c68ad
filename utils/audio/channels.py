"""Which channel of a sound of several is heard: the one that was asked for, and what is said of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from utils.errors import UnreadableAudio, UserError

Channel = int | Literal["mean"]  # which one of a sound of several, from 0, or all of them averaged

SILENT_PEAK = 1e-3  # full scale is 1: the noise of a channel that nothing is plugged into is below
MOST_CHANNELS = 8  # that are looked at for sound where the one that was asked for is silent


def channel_to_take(entry: str, channel: Channel, channels: int) -> Channel:
    """The channel that is read: the one that was asked for, or the only one.

    Parameters
    ----------
    entry : str
        For the message.
    channel : int or "mean"
        What was asked for.
    channels : int
        How many there are.

    Raises
    ------
    UnreadableAudio
        There are several, and not so many.
    """
    if channels == 1:
        return 0
    if channel != "mean" and channel >= channels:
        raise UnreadableAudio(
            entry, f"channel {channel} was asked for, it has {channels} (counted from 0)"
        )
    return channel


def refuse_negative(channel: Channel) -> None:
    """Refuse what is no channel.

    Parameters
    ----------
    channel : int or "mean"
        What was asked for.
    """
    if channel != "mean" and channel < 0:
        raise UserError(f"--channel: {channel}, expected 0 or more, or mean")


def channels_in_words(channels: int, channel: Channel) -> str:
    """What is taken of a sound of so many channels; empty where that is no question.

    Parameters
    ----------
    channels : int
        How many there are.
    channel : int or "mean"
        What was asked for.
    """
    if channels == 1:
        return f"of 1 channel, taken for channel {channel}" if channel not in (0, "mean") else ""
    taken = "their mean is taken" if channel == "mean" else f"channel {channel} is taken"
    return f"of {channels} channels, {taken}"


def silent_in_words(channel: Channel, sounding: Sequence[int]) -> str:
    """That a channel is silent, and which are not.

    Parameters
    ----------
    channel : int or "mean"
        The silent one.
    sounding : sequence of int
        Others with sound.
    """
    return f"with channel {channel} silent and channel {sounding[0]} not"


def is_silent(samples: np.ndarray) -> bool:
    """Whether a channel holds no sound.

    Parameters
    ----------
    samples : (n,) float array
        Full scale is [-1, 1].
    """
    return not len(samples) or max(samples.max(), -samples.min()) <= SILENT_PEAK


def sounding_channels(
    samples: np.ndarray, channel: Channel, channels: int, read: Callable[[int], np.ndarray]
) -> list[int]:
    """Other channels with sound, where the one that was asked for is silent; else none.

    Parameters
    ----------
    samples : (n,) float array
        The channel that was asked for.
    channel : int or "mean"
        Which it is.
    channels : int
        How many there are.
    read : callable
        Channel -> samples.
    """
    if channels == 1 or channel == "mean" or not is_silent(samples):
        return []
    others = [number for number in range(min(channels, MOST_CHANNELS)) if number != channel]
    return [number for number in others if not is_silent(read(number))]


class ChannelCounts:
    """Of the utterances that a step reads: how many channels and which rates they have, and whose channel is silent.

    Parameters
    ----------
    channel : int or "mean"
        The one that is heard.

    Attributes
    ----------
    counts : Counter of str
        For a ledger: ``of 2 channels, channel 0 is taken`` -> utterances; nothing of sounds of one channel where channel 0 is heard.
    rates : Counter of int
        Sample rate in Hz -> utterances.
    silent : dict of str to str
        Utterance whose channel is silent while another is not -> what the ledger says beside its fate.
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
        """Enter an utterance.

        Parameters
        ----------
        utterance : str
            Its name.
        samples : (n,) float array
            As heard.
        rate, channels : int
            Hz, and how many channels there are.
        read_other : callable
            Channel -> samples.
        """
        self.rates[rate] += 1
        words = channels_in_words(channels, self.channel)
        if words:
            self.counts[words] += 1
        sounding = sounding_channels(samples, self.channel, channels, read_other)
        if sounding:
            self.counts[silent_in_words(self.channel, sounding)] += 1
            self.silent[utterance] = (
                f"channel {self.channel} is silent, channel {sounding[0]} is not: --channel {sounding[0]}"
            )
