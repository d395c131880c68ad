"""Sound in: files, wave archives and (on explicit leave) shell pipes become float samples.

`read` opens whatever libsndfile reads; `ffmpeg` decodes m4a and the like; `containers` and `mp4`
look at the bytes of headers.  The names below are for other packages.
"""

from utils.audio.channels import (
    Channel,
    ChannelCounts,
    channels_in_words,
    refuse_negative,
    sounding_channels,
)
from utils.audio.read import (
    FULL_SCALE,
    OVERSHOOT_SECONDS,
    UtteranceReader,
    audio_header,
    audio_info,
    read_audio,
    resample,
    to_int16,
)

__all__ = [
    "FULL_SCALE",
    "OVERSHOOT_SECONDS",
    "Channel",
    "ChannelCounts",
    "UtteranceReader",
    "audio_header",
    "audio_info",
    "channels_in_words",
    "read_audio",
    "refuse_negative",
    "resample",
    "sounding_channels",
    "to_int16",
]
