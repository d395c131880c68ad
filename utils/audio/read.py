"""Reading audio: files, wave archives and (if allowed) shell pipes become float samples.

Faults of the audio raise `UnreadableAudio`, with the reason for the ledger; faults of the request
raise UserError or ValueError.  Crops of packed archives are read by
utils/packed/reader.py.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import soundfile

from utils.audio.channels import Channel, resolve_channel
from utils.audio.containers import (
    byte_range,
    count_missing_bytes,
    describe_coding,
    is_mp3_without_length,
    is_truncated_ogg,
    plain_wave_info,
)
from utils.audio.ffmpeg import compressed_format, compressed_info, decode
from utils.audio.pipes import may_end_early, run_entry
from utils.errors import UnreadableAudio, is_resource_shortage

ARCHIVE = re.compile(r"(.+):([0-9]{1,18})")  # entry of wav.scp: an archive and an offset in bytes
FULL_SCALE = 32768  # a 16-bit sample divided by this lies in [-1, 1)
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's length of a FLAC that was written into a pipe
# Memory for this many samples is allocated as the header says, for more as they are decoded.
FIRST_SAMPLES = 1 << 24
BLOCK_VALUES = 1 << 20  # samples of all channels in a block, so that long files fit into memory


class AudioHeader(NamedTuple):
    """Samples of one channel, sample rate, and channels (None: the header does not give them)."""

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
    """Read one channel of a file, or a part of it; libsndfile reads no more than the part.

    Parameters
    ----------
    entry : str or path
        As in wav.scp: a path (whatever libsndfile reads, such as wav, flac, ogg and mp3, and m4a,
        webm and the like, which ffmpeg decodes), ``file.ark:offset``, or a shell command and ``|``.
        A ``Path`` is a file, whatever its name.
    allow_pipes : bool
        Whether to run such a command.
    start_sample, num_samples : int, int or None
        The part to read, which must lie inside; None: to the end.
    root : path or None
        Folder that relative paths start from; None: the working directory.
    channel : int or "mean"
        Channel, from 0, or the mean of all; audio with one channel has that one.

    Returns
    -------
    samples : (n,) float32 array
        Full scale is [-1, 1]; audio stored as floats may exceed it.
    sample_rate_hz : int
        Samples per second.

    Raises
    ------
    UnreadableAudio
        It cannot be opened or decoded, has no samples, fewer than its header says, or NaN or Inf.
    UserError
        A pipe is not allowed, or ffmpeg is needed and missing.
    """
    samples, rate, _ = read_with_channels(
        entry,
        allow_pipes=allow_pipes,
        start_sample=start_sample,
        num_samples=num_samples,
        root=root,
        channel=channel,
    )
    return samples, rate


def read_with_channels(
    entry: str | Path,
    *,
    allow_pipes: bool = False,
    start_sample: int = 0,
    num_samples: int | None = None,
    root: str | Path | None = None,
    channel: Channel = 0,
) -> tuple[np.ndarray, int, int]:
    """Samples and rate as in `read_audio`, and the number of channels."""
    is_negative_channel = channel != "mean" and channel < 0
    if start_sample < 0 or (num_samples or 0) < 0 or is_negative_channel:
        raise ValueError(
            f"{entry}: samples from {start_sample}, {num_samples} of them, of channel {channel}: "
            "expected none below 0"
        )
    with _open_entry(entry, allow_pipes, root) as (file, compressed):
        if compressed:
            samples, rate, channels = decode(
                str(entry),
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
    _refuse_not_finite(entry, samples, start_sample)
    return samples, rate, channels


def read_blocks(
    entry: str | Path, block_samples: int, *, root: str | Path | None = None, channel: Channel = 0
) -> Iterator[np.ndarray]:
    """One channel of an entry that libsndfile reads, in blocks: (block_samples,), the last shorter.

    The entry is opened once: finding a place in an MP3 means reading all that comes before it.
    UnreadableAudio as in `read_audio`.
    """
    with _open_entry(entry, False, root) as (file, _), _open_sound(file) as sound:
        _refuse_unreadable(entry, sound)
        channel = resolve_channel(str(entry), channel, sound.channels)
        for start in range(0, sound.frames, block_samples):
            wanted = min(block_samples, sound.frames - start)
            samples = _read_whole_part(entry, sound, start, wanted, channel)
            _refuse_not_finite(entry, samples, start)
            yield samples


def _refuse_not_finite(entry: str | Path, samples: np.ndarray, start_sample: int) -> None:
    """Raise UnreadableAudio for NaN or Inf."""
    # NaN is both minimum and maximum; this needs no array as long as the audio
    if len(samples) and not np.isfinite([samples.min(), samples.max()]).all():
        first = start_sample + int(np.argmin(np.isfinite(samples)))
        raise UnreadableAudio(entry, f"NaN or Inf at sample {first}")


def _read_sound(
    entry: str | Path, file: IO[bytes], start_sample: int, num_samples: int | None, channel: Channel
) -> tuple[np.ndarray, int, int]:
    with _open_sound(file) as sound:
        _refuse_unreadable(entry, sound)
        if sound.frames == 0:
            raise UnreadableAudio(entry, "no samples")
        channel = resolve_channel(str(entry), channel, sound.channels)
        wanted = sound.frames - start_sample if num_samples is None else num_samples
        if wanted < 0 or start_sample + wanted > sound.frames:
            raise ValueError(
                f"{entry}: samples {start_sample} to {start_sample + wanted} "
                f"are outside its {sound.frames} samples"
            )
        _seek(sound, start_sample)
        samples = _read_whole_part(entry, sound, start_sample, wanted, channel)
        return samples, sound.samplerate, sound.channels


def _read_whole_part(
    entry: str | Path, sound: soundfile.SoundFile, start_sample: int, wanted: int, channel: Channel
) -> np.ndarray:
    """Samples (wanted,) from where the file is, ``start_sample``; UnreadableAudio for fewer."""
    try:
        samples = _read_channel(sound, wanted, channel)
    except ValueError as error:
        # soundfile computes a negative rest of some damaged MP3
        raise UnreadableAudio(entry, f"cannot be read: {error}") from None
    if len(samples) < wanted:
        end = start_sample + len(samples)
        raise UnreadableAudio(entry, f"fewer samples than its header says: {end} of {sound.frames}")
    return samples


def _open_sound(file: IO[bytes]) -> soundfile.SoundFile:
    """Open audio by its content; soundfile would take the name ``x.raw`` for a missing header."""
    if str(getattr(file, "name", "")).lower().endswith(".raw"):
        file = byte_range(file, 0, file.seek(0, io.SEEK_END))
    return soundfile.SoundFile(file)


def _refuse_unreadable(entry: str | Path, sound: soundfile.SoundFile) -> None:
    """Raise UnreadableAudio for files that libsndfile opens and does not read."""
    if sound.subtype.startswith("DWVW"):
        raise UnreadableAudio(
            entry, f"its coding, {sound.subtype}, cannot be read; convert it to PCM"
        )
    if sound.frames == UNKNOWN_FRAMES:
        raise UnreadableAudio(
            entry,
            "its header does not say how many samples it has; "
            "`ffmpeg -i OLD.flac NEW.flac` repairs it",
        )


def _seek(sound: soundfile.SoundFile, start_sample: int) -> None:
    """Move to a sample; read up to it where the coding cannot seek (GSM 6.10, VOX ADPCM)."""
    if start_sample == 0:  # just opened
        return
    if sound.seekable():
        sound.seek(start_sample)
        return
    while start_sample and (done := len(sound.read(min(start_sample, BLOCK_VALUES)))):
        start_sample -= done


def _read_channel(sound: soundfile.SoundFile, wanted: int, channel: Channel) -> np.ndarray:
    samples = np.empty(min(wanted, FIRST_SAMPLES), np.float32)
    block_samples = max(1, BLOCK_VALUES // sound.channels)
    done = 0
    while done < wanted:
        block = sound.read(min(block_samples, wanted - done), dtype="float32", always_2d=True)
        if not len(block):
            break
        end = done + len(block)
        if end > len(samples):
            # in place, where the system can move pages
            samples.resize(min(wanted, 2 * len(samples)), refcheck=False)
        samples[done:end] = block.mean(axis=1) if channel == "mean" else block[:, channel]
        done = end
    return samples[:done]


def audio_info(
    entry: str | Path, *, allow_pipes: bool = False, root: str | Path | None = None
) -> tuple[int, int]:
    """Number of samples (of one channel) and sample rate in Hz, as in `audio_header`."""
    header = audio_header(entry, allow_pipes=allow_pipes, root=root)
    return header.num_samples, header.sample_rate_hz


def audio_header(
    entry: str | Path, *, allow_pipes: bool = False, root: str | Path | None = None
) -> AudioHeader:
    """The header of an entry as in `read_audio`; runs pipes, and decodes webm and the like.

    UnreadableAudio: it cannot be opened, or a WAV, Ogg or MP4 file is truncated.
    """
    plain = _plain_wave_info(entry, root)
    if plain:
        return AudioHeader(*plain)
    with _open_entry(entry, allow_pipes, root) as (file, compressed):
        if compressed:
            return AudioHeader(*compressed_info(str(entry), Path(file.name), compressed))
        with _open_sound(file) as sound:
            _refuse_unreadable(entry, sound)
            return AudioHeader(sound.frames, sound.samplerate, sound.channels)


def _plain_wave_info(entry: str | Path, root: str | Path | None) -> tuple[int, int, int] | None:
    """Header of a plain WAV, the fast path; None for anything else, also for unreadable files."""
    if _is_pipe(entry) or _archive_and_offset(entry):
        return None
    try:
        with _open_file(os.path.join(root or "", entry), buffering=0) as file:
            return plain_wave_info(file.read(44), os.fstat(file.fileno()).st_size)
    except OSError:
        return None


@contextmanager
def _open_entry(
    entry: str | Path, allow_pipes: bool, root: str | Path | None
) -> Iterator[tuple[IO[bytes], str | None]]:
    """Open an entry: the file, and its format if ffmpeg has to decode it, else None."""
    try:
        with _open_bytes(entry, allow_pipes, root) as file:
            is_file = hasattr(file, "name")  # ffmpeg needs a file, not a byte range of one
            compressed = compressed_format(file) if is_file else None
            if not (_is_pipe(entry) and may_end_early(str(entry))):
                _refuse_truncated(entry, file)
            if not is_file and is_mp3_without_length(file):
                raise UnreadableAudio(entry, "an MP3 whose header has no length; convert it to WAV")
            file.seek(0)
            try:
                yield file, compressed
            except soundfile.LibsndfileError as error:
                reason = f"cannot be read: {error.error_string}{describe_coding(file)}"
                raise UnreadableAudio(entry, reason) from None
    except OSError as error:
        if is_resource_shortage(error):  # otherwise the step would drop good audio
            raise
        raise UnreadableAudio(entry, f"cannot be opened: {error.strerror or error}") from None


def _refuse_truncated(entry: str | Path, file: IO[bytes]) -> None:
    try:
        missing = count_missing_bytes(file)
    except ValueError as error:
        raise UnreadableAudio(entry, str(error)) from None
    if missing:
        raise UnreadableAudio(
            entry, f"fewer samples than its header says: {missing:,} bytes are missing"
        )
    if is_truncated_ogg(file):
        raise UnreadableAudio(entry, "truncated: the last page of the Ogg stream is missing")


@contextmanager
def _open_bytes(
    entry: str | Path, allow_pipes: bool, root: str | Path | None
) -> Iterator[IO[bytes]]:
    if _is_pipe(entry):
        yield io.BytesIO(run_entry(str(entry), allow_pipes))
        return
    archive = _archive_and_offset(entry)
    if not archive:
        with _open_file(Path(root or "", entry)) as file:
            yield file
        return
    with _open_file(Path(root or "", archive[1])) as file:
        start, length = int(archive[2]), file.seek(0, io.SEEK_END)
        available = length - start
        file.seek(start)
        head = file.read(8)
        if head[:4] == b"RIFF":
            length = int.from_bytes(head[4:], "little") + 8
        yield byte_range(file, start, max(0, min(length, available)))


def _is_pipe(entry: str | Path) -> bool:
    return isinstance(entry, str) and entry.endswith("|")


def _archive_and_offset(entry: str | Path) -> re.Match | None:
    """Archive and offset of an entry of wav.scp; None for a file."""
    if isinstance(entry, Path):
        return None
    return ARCHIVE.fullmatch(entry)


def _open_file(path: str | Path, buffering: int = -1) -> IO[bytes]:
    """Open a regular file; reading a pipe could wait for ever, and a device may have no end."""
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
    """Change the sample rate of (n,) float32 audio to round(n * to_hz / from_hz) samples.

    By soxr in quality "HQ"; equal rates return the input.  The result may exceed the input's range
    a little.
    """
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples, from_hz, to_hz, quality="HQ")


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round to 16 bits, clipping at full scale; 16-bit audio that was read comes back exactly."""
    scaled = samples * FULL_SCALE
    np.rint(scaled, out=scaled)  # in place: a copy of hours of audio is a gigabyte
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype(np.int16)
