"""Reading audio: files, wave archives and (if allowed) shell pipes become float samples.

`read` reads whatever libsndfile reads, `ffmpeg` decodes m4a and the like, `containers` and `mp4`
check the bytes of headers, `utterances` reads the utterances of a data directory.
"""

from utils.audio.channels import (
    Channel,
    ChannelCounts,
    describe_channels,
    refuse_negative_channel,
    sounding_channels,
)
from utils.audio.read import FULL_SCALE, audio_header, audio_info, read_audio, resample, to_int16
from utils.audio.utterances import OVERSHOOT_SECONDS, UtteranceReader

__all__ = [
    "FULL_SCALE",
    "OVERSHOOT_SECONDS",
    "Channel",
    "ChannelCounts",
    "UtteranceReader",
    "audio_header",
    "audio_info",
    "describe_channels",
    "read_audio",
    "refuse_negative_channel",
    "resample",
    "sounding_channels",
    "to_int16",
]
