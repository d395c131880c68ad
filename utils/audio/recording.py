"""Recordings that are read part by part, so that hours of audio fit into memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from utils.audio.channels import Channel, describe_channels, sounding_channels
from utils.audio.ffmpeg import is_compressed
from utils.audio.read import audio_header, read_blocks, read_with_channels
from utils.errors import UnreadableAudio

CLIPPED = 0.9998  # of full scale: the last steps of 16 bits
CHECKED_SECONDS = 60  # that are searched for sound in other channels


class Part(NamedTuple):
    """Samples of a recording at its own rate, and where they begin."""

    start_seconds: float
    samples: np.ndarray


class Recording(Protocol):
    """One channel of a recording."""

    name: str
    num_samples: int
    sample_rate_hz: int

    def read(self, start_sample: int, num_samples: int) -> np.ndarray:
        """Samples (num_samples,), float32."""

    def blocks(self, block_samples: int) -> Iterator[np.ndarray]:
        """All samples in order: (block_samples,), float32, of which the last are fewer."""

    def remarks(self) -> list[str]:
        """What its reader should know about its channels."""


class ArrayRecording:
    """A recording in memory: (n,) floats in [-1, 1], such as an application's own.

    UnreadableAudio: no samples, NaN or Inf, or more than one dimension.
    """

    def __init__(self, samples: np.ndarray, sample_rate_hz: int, name: str = "array"):
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            found = f"{samples.dtype} of shape {samples.shape}"
            raise UnreadableAudio(name, f"found {found}, expected (n,) floats in [-1, 1]")
        if not len(samples):
            raise UnreadableAudio(name, "no samples")
        if not np.isfinite(samples).all():
            raise UnreadableAudio(name, f"NaN or Inf at sample {np.isfinite(samples).argmin()}")
        self.name, self.samples = name, samples.astype(np.float32, copy=False)
        self.num_samples, self.sample_rate_hz = len(samples), sample_rate_hz

    def read(self, start_sample: int, num_samples: int) -> np.ndarray:
        """Samples (num_samples,)."""
        return self.samples[start_sample : start_sample + num_samples]

    def blocks(self, block_samples: int) -> Iterator[np.ndarray]:
        """All samples in order."""
        return _slices(self.samples, block_samples)

    def remarks(self) -> list[str]:
        """None: there is one channel."""
        return []


class FileRecording:
    """A recording of an entry of wav.scp, or of a file (a ``Path``).

    What libsndfile reads is read part by part; ffmpeg decodes a file once and whole, which takes
    4 bytes for each sample of the channel (3 hours at 16 kHz: 0.7 GB).
    """

    def __init__(
        self,
        entry: str | Path,
        *,
        name: str = "",
        channel: Channel = 0,
        root: Path | None = None,
        allow_pipes: bool = False,
    ):
        self.name, self.entry, self.channel = name or str(entry), entry, channel
        self.root, self.allow_pipes = root, allow_pipes
        self.decoded: np.ndarray | None = None
        path = Path(root or "", entry)
        is_pipe = isinstance(entry, str) and entry.endswith("|")
        if is_pipe or is_compressed(path):
            self.decoded, rate, channels = self._read(channel)
            self.num_samples, self.sample_rate_hz, self.channels = len(self.decoded), rate, channels
            return
        header = audio_header(entry, root=root)
        self.num_samples, self.sample_rate_hz = header.num_samples, header.sample_rate_hz
        self.channels = header.channels or 1
        if not self.num_samples:
            raise UnreadableAudio(entry, "no samples")

    def read(self, start_sample: int, num_samples: int) -> np.ndarray:
        """Samples (num_samples,)."""
        if self.decoded is not None:
            return self.decoded[start_sample : start_sample + num_samples]
        return self._read(self.channel, start_sample, num_samples)[0]

    def blocks(self, block_samples: int) -> Iterator[np.ndarray]:
        """All samples in order."""
        if self.decoded is not None:
            return _slices(self.decoded, block_samples)
        return read_blocks(self.entry, block_samples, root=self.root, channel=self.channel)

    def _read(
        self, channel: Channel, start_sample: int = 0, num_samples: int | None = None
    ) -> tuple[np.ndarray, int, int]:
        return read_with_channels(
            self.entry,
            allow_pipes=self.allow_pipes,
            start_sample=start_sample,
            num_samples=num_samples,
            root=self.root,
            channel=channel,
        )

    def remarks(self) -> list[str]:
        """The channel that is taken, if there are several."""
        described = describe_channels(self.channels, self.channel)
        if not described:
            return []
        return [described]

    def sounding_channel(self) -> int | None:
        """Another channel that is not silent in the first minute, where this one is; else None."""
        num_samples = min(self.num_samples, CHECKED_SECONDS * self.sample_rate_hz)

        def read_other(channel: int) -> np.ndarray:
            return self._read(channel, 0, num_samples)[0]

        samples = self.read(0, num_samples)
        sounding = sounding_channels(samples, self.channel, self.channels, read_other)
        if not sounding:
            return None
        return sounding[0]


def parts(recording: Recording, part_seconds: float | None) -> Iterator[Part]:
    """A recording whole (None), or in parts of a length, of which the last one is shorter."""
    rate = recording.sample_rate_hz
    size = recording.num_samples
    if part_seconds is not None:
        size = max(1, round(part_seconds * rate))
    start = 0
    for samples in recording.blocks(size):
        yield Part(start / rate, samples)
        start += len(samples)


def _slices(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Samples in pieces of a size."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def count_clipped(samples: np.ndarray) -> int:
    """Number of samples at full scale."""
    return int(np.count_nonzero(np.abs(samples) >= CLIPPED))
