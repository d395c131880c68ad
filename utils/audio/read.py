"""Sound in: files, wave archives and (on explicit leave) shell pipes become float samples.

What is wrong with the sound itself raises `UnreadableAudio`, whose reason goes to the ledger; what is wrong with the request raises UserError or
ValueError.  Crops of packed archives are read by utils/packed/reader.py.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import soundfile

from utils.audio.channels import Channel, ChannelCounts, channel_to_take, refuse_negative
from utils.audio.containers import (
    coding_in_words,
    is_cut_ogg,
    is_mp3_without_length,
    missing_sound_bytes,
    plain_wave_info,
    window,
)
from utils.audio.ffmpeg import SUFFIXES, compressed_format, compressed_info, decode, require_ffmpeg
from utils.audio.pipes import ends_where_its_command_does, output_of
from utils.errors import UnreadableAudio, is_of_the_machine

ARCHIVE = re.compile(r"(.+):([0-9]{1,18})")  # an entry of wav.scp: the archive and the place in it
FULL_SCALE = 32768  # a 16-bit sample divided by this lies in [-1, 1)
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's count for a flac that was written into a pipe
# samples that memory is taken for because a header announces them; for more, as they are decoded
FIRST_VALUES = 1 << 24
# samples of all channels that are read at a time, so that hours of many channels fit into memory
BLOCK_VALUES = 1 << 20
OVERSHOOT_SECONDS = 0.5  # Kaldi's extract-segments: a segment may end this much behind its recording, and is cut there


class AudioHeader(NamedTuple):
    """What the header of a sound says.

    Parameters
    ----------
    num_samples, sample_rate_hz : int
        Samples of one channel, and how many of them are a second.
    channels : int or None
        None: it does not say.
    """

    num_samples: int
    sample_rate_hz: int
    channels: int | None


def read_audio(
    entry: str | Path,
    *,
    allow_pipes: bool = False,
    start_sample: int = 0,
    num_samples: int | None = None,
    root: str | Path | None = None,
    channel: Channel = 0,
) -> tuple[np.ndarray, int]:
    """Read one channel of a sound, or a part of it; of what libsndfile reads no more than the part is read.

    Parameters
    ----------
    entry : str
        As in wav.scp: a path (wav, flac, ogg, mp3, whatever libsndfile reads, and m4a, webm and the like, which ffmpeg decodes),
        ``file.ark:offset``, or a shell command that ends in ``|``.
    allow_pipes : bool
        Leave to run such a command.
    start_sample, num_samples : int, int or None
        The part to read, which must lie inside; None: to the end.
    root : path or None
        Folder that relative paths start from; None: the working directory.
    channel : int or "mean"
        Channel of a sound of several, from 0, or the mean of all; a sound of one has that one.

    Returns
    -------
    samples : (n,) float32 array
        Full scale is [-1, 1]; sound stored as floats may exceed it.
    sample_rate_hz : int
        Samples per second.

    Raises
    ------
    UnreadableAudio
        It cannot be opened or decoded, has no samples, fewer than its header says, or NaN or Inf among them.
    UserError
        A pipe without leave; sound for ffmpeg where there is none.
    """
    samples, rate, _ = read_of_channels(
        entry,
        allow_pipes=allow_pipes,
        start_sample=start_sample,
        num_samples=num_samples,
        root=root,
        channel=channel,
    )
    return samples, rate


def read_of_channels(
    entry: str | Path,
    *,
    allow_pipes: bool = False,
    start_sample: int = 0,
    num_samples: int | None = None,
    root: str | Path | None = None,
    channel: Channel = 0,
) -> tuple[np.ndarray, int, int]:
    """Samples and rate as `read_audio` gives them, and how many channels the sound has.

    Parameters
    ----------
    entry, allow_pipes, start_sample, num_samples, root, channel
        As in `read_audio`.
    """
    entry = str(entry)
    if start_sample < 0 or (num_samples or 0) < 0 or (channel != "mean" and channel < 0):
        raise ValueError(
            f"{entry}: samples from {start_sample}, {num_samples} of them, of channel {channel}: expected none below 0"
        )
    with _opened(entry, allow_pipes, root) as (file, compressed):
        if compressed:
            samples, rate, channels = decode(
                entry,
                Path(file.name),
                compressed,
                channel=channel,
                start_sample=start_sample,
                num_samples=num_samples,
            )
        else:
            samples, rate, channels = _read_sound(entry, file, start_sample, num_samples, channel)
    if not len(samples) and num_samples != 0:
        raise UnreadableAudio(entry, "no samples")
    # NaN is the extreme of anything; no array as long as the sound
    if len(samples) and not np.isfinite([samples.min(), samples.max()]).all():
        raise UnreadableAudio(
            entry, f"NaN or Inf at sample {start_sample + int(np.argmin(np.isfinite(samples)))}"
        )
    return samples, rate, channels


def _read_sound(
    entry: str, file: IO[bytes], start_sample: int, num_samples: int | None, channel: Channel
) -> tuple[np.ndarray, int, int]:
    with soundfile.SoundFile(file) as sound:
        _refuse_unreadable(entry, sound)
        if sound.frames == 0:
            raise UnreadableAudio(entry, "no samples")
        channel = channel_to_take(entry, channel, sound.channels)
        wanted = sound.frames - start_sample if num_samples is None else num_samples
        if wanted < 0 or start_sample + wanted > sound.frames:
            raise ValueError(
                f"{entry}: samples {start_sample} to {start_sample + wanted} are not inside its {sound.frames}"
            )
        _go_to(sound, start_sample)
        try:
            samples = _read_channel(sound, wanted, channel)
        except ValueError as error:
            # soundfile counts what is left of some damaged mp3 as less than nothing
            raise UnreadableAudio(entry, f"cannot be read: {error}") from None
        if len(samples) < wanted:
            raise UnreadableAudio(
                entry,
                f"fewer samples than its header says: {start_sample + len(samples)} of {sound.frames}",
            )
        return samples, sound.samplerate, sound.channels


def _refuse_unreadable(entry: str, sound: soundfile.SoundFile) -> None:
    """Refuse what libsndfile opens and does not read."""
    if sound.subtype.startswith("DWVW"):
        raise UnreadableAudio(
            entry, f"its coding, {sound.subtype}, cannot be read; make it plain PCM"
        )
    if sound.frames == UNKNOWN_FRAMES:
        raise UnreadableAudio(
            entry,
            "its header does not say how many samples it has; `ffmpeg -i OLD.flac NEW.flac` writes it anew",
        )


def _go_to(sound: soundfile.SoundFile, start_sample: int) -> None:
    """Go to a sample; in a coding without a way to go there (GSM 6.10, ADPCM of telephones) by reading what comes before."""
    if start_sample == 0:  # where it stands when it has been opened
        return
    if sound.seekable():
        sound.seek(start_sample)
        return
    while start_sample and (done := len(sound.read(min(start_sample, BLOCK_VALUES)))):
        start_sample -= done


def _read_channel(sound: soundfile.SoundFile, wanted: int, channel: Channel) -> np.ndarray:
    samples = np.empty(min(wanted, FIRST_VALUES), np.float32)
    done = 0
    block_samples = max(1, BLOCK_VALUES // sound.channels)
    while done < wanted and len(
        block := sound.read(min(block_samples, wanted - done), dtype="float32", always_2d=True)
    ):
        if done + len(block) > len(samples):
            # in place, where the system can move pages
            samples.resize(min(wanted, 2 * len(samples)), refcheck=False)
        samples[done : done + len(block)] = (
            block.mean(axis=1) if channel == "mean" else block[:, channel]
        )
        done += len(block)
    return samples[:done]


def audio_info(
    entry: str | Path, *, allow_pipes: bool = False, root: str | Path | None = None
) -> tuple[int, int]:
    """Number of samples (of one channel) and sample rate in Hz, as `audio_header` finds them.

    Parameters
    ----------
    entry, allow_pipes, root
        As in `read_audio`.
    """
    header = audio_header(entry, allow_pipes=allow_pipes, root=root)
    return header.num_samples, header.sample_rate_hz


def audio_header(
    entry: str | Path, *, allow_pipes: bool = False, root: str | Path | None = None
) -> AudioHeader:
    """What the header says; a pipe is run for it, and webm and its like are decoded.

    Parameters
    ----------
    entry, allow_pipes, root
        As in `read_audio`.

    Raises
    ------
    UnreadableAudio
        It cannot be opened, or a wave file, an ogg or an mp4 lacks its end.
    """
    entry = str(entry)
    if plain := _plain_wave(entry, root):
        return AudioHeader(*plain)
    with _opened(entry, allow_pipes, root) as (file, compressed):
        if compressed:
            return AudioHeader(*compressed_info(entry, Path(file.name), compressed))
        with soundfile.SoundFile(file) as sound:
            _refuse_unreadable(entry, sound)
            return AudioHeader(sound.frames, sound.samplerate, sound.channels)


def _plain_wave(entry: str, root: str | Path | None) -> tuple[int, int, int] | None:
    """The short way for most files of most corpora; None: what it is, or what is wrong with it, takes a closer look."""
    if entry.endswith("|") or ARCHIVE.fullmatch(entry):
        return None
    try:
        with _open_file(os.path.join(root or "", entry), buffering=0) as file:
            return plain_wave_info(file.read(44), os.fstat(file.fileno()).st_size)
    except OSError:
        return None  # is said by the long way


@contextmanager
def _opened(
    entry: str, allow_pipes: bool, root: str | Path | None
) -> Iterator[tuple[IO[bytes], str | None]]:
    """The file, and its format where ffmpeg has to decode it."""
    try:
        with _opened_bytes(entry, allow_pipes, root) as file:
            is_file = hasattr(file, "name")  # which ffmpeg wants; no part of one
            compressed = compressed_format(file) if is_file else None
            if not ends_where_its_command_does(entry):
                _refuse_cut(entry, file)
            if not is_file and is_mp3_without_length(file):
                raise UnreadableAudio(
                    entry, "an mp3 that does not say how long it is; make it a wave file"
                )
            file.seek(0)
            try:
                yield file, compressed
            except soundfile.LibsndfileError as error:
                reason = f"cannot be read: {error.error_string}{coding_in_words(file)}"
                raise UnreadableAudio(entry, reason) from None
    except OSError as error:
        if is_of_the_machine(error):  # or the step would drop sound that is whole
            raise
        raise UnreadableAudio(entry, f"cannot be opened: {error.strerror or error}") from None


def _refuse_cut(entry: str, file: IO[bytes]) -> None:
    """Refuse a file that ends before its sound does."""
    try:
        missing = missing_sound_bytes(file)
    except ValueError as error:
        raise UnreadableAudio(entry, str(error)) from None
    if missing:
        raise UnreadableAudio(
            entry, f"fewer samples than its header says: {missing:,} bytes are missing"
        )
    if is_cut_ogg(file):
        raise UnreadableAudio(
            entry, "its last page, which says that the sound ends there, is missing"
        )


@contextmanager
def _opened_bytes(entry: str, allow_pipes: bool, root: str | Path | None) -> Iterator[IO[bytes]]:
    if entry.endswith("|"):
        yield io.BytesIO(output_of(entry, allow_pipes))
        return
    archive = ARCHIVE.fullmatch(entry)
    path = Path(root or "", archive[1] if archive else entry)
    with _open_file(path) as file:
        if not archive:
            yield file
            return
        start, end = int(archive[2]), file.seek(0, io.SEEK_END)
        file.seek(start)
        head = file.read(8)
        whole = int.from_bytes(head[4:], "little") + 8 if head[:4] == b"RIFF" else end
        yield window(file, start, max(0, min(whole, end - start)))


def _open_file(path: str | Path, buffering: int = -1) -> IO[bytes]:
    """Open a regular file; a pipe would be waited for, and a device may have no end."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "a name with a NUL in it")

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)

    file = open(path, "rb", buffering, opener=opener)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no regular file")
    return file


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Change the sample rate (soxr, "HQ"); sound at the right rate comes back as it is.

    Parameters
    ----------
    samples : (n,) float32 array
        Sound.
    from_hz, to_hz : float
        Rates; only their ratio matters.

    Returns
    -------
    (round(n * to_hz / from_hz),) float32 array
        The same sound; overshoot may exceed the range of the input a little.
    """
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples, from_hz, to_hz, quality="HQ")


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round to 16 bits; what lies beyond full scale is clipped.  Undoes the reading of 16-bit sound exactly.

    Parameters
    ----------
    samples : (n,) float array
        Full scale is [-1, 1].
    """
    scaled = samples * FULL_SCALE
    np.rint(scaled, out=scaled)  # in place: of hours of sound, a copy is a gigabyte
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype(np.int16)


class UtteranceReader:
    """Reads the utterances of a data directory, be they whole recordings or segments of them.

    Parameters
    ----------
    wav_scp : mapping of str to str
        Recording -> entry.
    segments : mapping of str to str, or None
        Utterance -> ``<recording> <start> <end>``, in seconds; an end of -1 is that of the recording.
    **options
        `allow_pipes`, `root` and `channel` of `read_audio`.

    Raises
    ------
    UserError
        Some of it is for ffmpeg, and there is none; the channel is negative.

    Attributes
    ----------
    heard : ChannelCounts
        Of the utterances that have been read: channels, rates, and those whose channel is silent.
    """

    def __init__(
        self, wav_scp: Mapping[str, str], segments: Mapping[str, str] | None = None, **options
    ):
        require_ffmpeg(wav_scp.values())
        refuse_negative(options.get("channel", 0))
        self.wav_scp, self.segments, self.options = wav_scp, segments, options
        # entry and channel, samples, rate and channels of the last sound that took a process: its segments follow
        self.latest: tuple[tuple[str, Channel], np.ndarray, int, int] | None = None
        self.heard = ChannelCounts(options.get("channel", 0))

    def read(self, utterance: str) -> tuple[np.ndarray, int]:
        """Samples and rate of one utterance, as `read_audio` gives them.

        Parameters
        ----------
        utterance : str
            Its name.

        Raises
        ------
        UnreadableAudio
            Also where a segment lies behind the end of its recording.
        """
        samples, rate, channels = self._read(utterance, self.options)

        def read_other(channel: int) -> np.ndarray:
            return self._read(utterance, self.options | {"channel": channel})[0]

        self.heard.add(utterance, samples, rate, channels, read_other)
        return samples, rate

    def _read(self, utterance: str, options: dict) -> tuple[np.ndarray, int, int]:
        """Samples, rate and number of channels."""
        if self.segments is None:
            return read_of_channels(self.wav_scp[utterance], **options)
        recording, start, end = self.segments[utterance].split()[:3]
        entry = self.wav_scp[recording]
        start_seconds, end_seconds = float(start), float(end)
        if entry.lower().endswith(("|", *SUFFIXES)):
            wanted = entry, options.get("channel", 0)
            if self.latest is None or self.latest[0] != wanted:
                self.latest = (wanted, *read_of_channels(entry, **options))
            _, whole, rate, channels = self.latest
            first, num = _segment_samples(entry, start_seconds, end_seconds, len(whole), rate)
            return whole[first : first + num], rate, channels
        total, rate = audio_info(entry, root=options.get("root"))
        first, num = _segment_samples(entry, start_seconds, end_seconds, total, rate)
        return read_of_channels(entry, start_sample=first, num_samples=num, **options)


def _segment_samples(
    entry: str, start_seconds: float, end_seconds: float, total: int, rate: int
) -> tuple[int, int]:
    start, end = (
        round(min(seconds * rate, UNKNOWN_FRAMES))
        for seconds in (start_seconds, total / rate if end_seconds == -1 else end_seconds)
    )
    if start >= total or end > total + OVERSHOOT_SECONDS * rate:
        raise UnreadableAudio(
            entry,
            f"a segment from {start_seconds} to {end_seconds} s of a recording of {total / rate:.2f} s",
        )
    return start, min(end, total) - start
