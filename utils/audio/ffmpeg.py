"""Audio that libsndfile cannot read (m4a and the like), decoded by ffmpeg.

One process per file, started without a shell.  The format is recognised by the first bytes and
passed to ffmpeg, so that it never follows a text file or playlist.  Any error that ffmpeg reports
is fatal, and the length must be that of the header, within `TOLERANCE_SECONDS`.
"""

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from utils.audio.channels import Channel, resolve_channel
from utils.audio.containers import CODINGS_OF_LIBSNDFILE, is_mp3_without_length, wave_coding
from utils.audio.mp4 import Mp4Audio, read_mp4_header
from utils.errors import UnreadableAudio, UserError

# Format -> first bytes.  Bits 13 and 14 of raw AAC (its layer) are 0; in MP3, which libsndfile
# reads, they are not.
SIGNATURES = {
    "mov": rb"(?s).{4}ftyp",
    "matroska": rb"\x1a\x45\xdf\xa3",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66",
    "flv": rb"FLV\x01",
    "amr": rb"#!AMR",
    "ac3": rb"\x0b\x77",
    "aac": rb"\xff[\xf0\xf1\xf8\xf9]",
}
SUFFIXES = (
    ".m4a",
    ".mp4",
    ".aac",
    ".webm",
    ".mkv",
    ".mka",
    ".mov",
    ".3gp",
    ".wma",
    ".flv",
    ".amr",
    ".ac3",
)
# AAC has up to 2,112 samples of padding before the audio and a frame of 1,024 after it, together
# 0.196 s at 16 kHz.  Truncation of an MP4 cannot hide in it, since its boxes are counted.
TOLERANCE_SECONDS = 0.2
BLOCK_SAMPLES = 1 << 20
MISSING = (
    "audio of this format is decoded by ffmpeg, which is not on the PATH; install it "
    "(Debian, Ubuntu: apt install ffmpeg; conda: conda install -c conda-forge ffmpeg; "
    "macOS: brew install ffmpeg)"
)


def compressed_format(file: IO[bytes]) -> str | None:
    """The format of a file that ffmpeg has to decode; None for others, which libsndfile may read.

    Besides formats unknown to libsndfile these are WAV of other codings (MP3, G.722, ...), and MP3
    without its length.  Rewinds the file.
    """
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    for name, signature in SIGNATURES.items():
        if re.match(signature, head):
            return name
    if wave_coding(file) not in (None, *CODINGS_OF_LIBSNDFILE):
        return "wav"
    if is_mp3_without_length(file):
        return "mp3"
    return None


def is_compressed(path: Path) -> bool:
    """Whether a file is one that ffmpeg has to decode; False for one that cannot be opened."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return compressed_format(file) is not None
    except OSError:
        return False


def require_ffmpeg(entries: Iterable[str]) -> None:
    """Raise UserError if entries of a wav.scp need ffmpeg, by their suffixes, and it is missing."""
    if shutil.which("ffmpeg") is None:
        for entry in entries:
            if entry.lower().endswith(SUFFIXES):
                raise UserError(f"{entry}: {MISSING}")


def compressed_info(entry: str, path: Path, file_format: str) -> tuple[int, int, int | None]:
    """Number of samples, sample rate and channels (None: unknown).

    From the header of an MP4, unless it is fragmented; otherwise by decoding, as in `decode`.
    """
    declared = _declared_audio(entry, path, file_format)
    if declared and declared.num_samples is not None:
        return declared.num_samples, declared.sample_rate_hz, declared.channels
    samples, sample_rate_hz, channels = decode(entry, path, file_format)
    return len(samples), sample_rate_hz, channels


def decode(
    entry: str,
    path: Path,
    file_format: str,
    *,
    channel: Channel = 0,
    start_sample: int = 0,
    num_samples: int | None = None,
) -> tuple[np.ndarray, int, int]:
    """Decode one channel of the first audio track of a file, or a part of it.

    Decoding begins at the start of the file, since seeking is not exact.  `entry` is for messages,
    `file_format` from `compressed_format`.  Returns (n,) float32 samples, their rate and the number
    of channels; a whole MP4 has as many samples as its header says, without the encoder's padding.

    UnreadableAudio: ffmpeg reports an error, or the length is not that of the header.  UserError:
    there is no ffmpeg.  ValueError: the part lies outside.
    """
    declared = _declared_audio(entry, path, file_format)
    samples, rate, channels, messages = _run_ffmpeg(
        entry, path, file_format, channel, _trim_filter(start_sample, num_samples)
    )
    end_sample = start_sample + len(samples)
    if declared and declared.num_samples is not None:
        total = round(declared.num_samples * rate / declared.sample_rate_hz)
        if num_samples is None:
            _check_length(entry, end_sample, total, rate)
        samples = samples[: max(0, total - start_sample)]
    elif num_samples is None:
        stated_seconds = _stated_seconds(messages)
        if stated_seconds is not None:
            _check_length(entry, end_sample, round(stated_seconds * rate), rate)
    if num_samples is not None and len(samples) < num_samples:
        raise ValueError(
            f"{entry}: samples {start_sample} to {start_sample + num_samples} "
            f"are outside its {start_sample + len(samples)} samples"
        )
    return samples, rate, channels


def _trim_filter(start_sample: int, num_samples: int | None) -> list[str]:
    if num_samples is not None:
        end_sample = start_sample + num_samples
        return ["-af", f"atrim=start_sample={start_sample}:end_sample={end_sample}"]
    if start_sample:
        return ["-af", f"atrim=start_sample={start_sample}"]
    return []


def _run_ffmpeg(
    entry: str, path: Path, file_format: str, channel: Channel, trim: list[str]
) -> tuple[np.ndarray, int, int, str]:
    """Samples, rate and channels that ffmpeg decodes, and its messages."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise UserError(f"{entry}: {MISSING}")
    arguments = ["-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-xerror"]
    arguments += ["-threads", "1", "-f", file_format, "-i", f"file:{path}", "-map", "0:a:0"]
    arguments += [*trim, "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    with tempfile.TemporaryFile() as message_file:
        with subprocess.Popen(
            [ffmpeg, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=message_file,
        ) as process:
            assert process.stdout is not None  # it is a pipe
            samples, rate, channels = _read_au(entry, process.stdout, channel)
        message_file.seek(0)
        messages = message_file.read().decode(errors="replace")
    for line in messages.splitlines():
        if "[error]" in line or "[fatal]" in line:
            reason = re.sub(r".*\[(error|fatal)\] ", "", line).replace(f"file:{path}", "it")
            raise UnreadableAudio(entry, f"ffmpeg cannot decode it: {reason}")
    if process.returncode:
        raise UnreadableAudio(entry, f"ffmpeg cannot decode it: exit code {process.returncode}")
    return samples, rate, channels, messages


def _declared_audio(entry: str, path: Path, file_format: str) -> Mp4Audio | None:
    """The audio track that the header of an MP4 declares; None for other formats."""
    if file_format != "mov":
        return None
    with open(path, "rb") as file:
        try:
            return read_mp4_header(file)
        except ValueError as error:
            raise UnreadableAudio(entry, str(error)) from None


def _read_au(entry: str, stream: IO[bytes], channel: Channel) -> tuple[np.ndarray, int, int]:
    """One channel of Sun's AU format: a header of six big-endian words, then samples."""
    head = stream.read(24)
    if len(head) < 24:
        return np.zeros(0, np.float32), 1, 1  # ffmpeg prints the reason
    _, offset, _, _, rate, channels = struct.unpack(">4s5I", head)
    stream.read(offset - 24)
    channel = resolve_channel(entry, channel, channels)
    samples = bytearray()  # grows in place, where joining blocks would take the memory twice
    while block := stream.read(BLOCK_SAMPLES // channels * channels * 4):
        num_frames = len(block) // (4 * channels)
        frames = np.frombuffer(block, ">f4", num_frames * channels).reshape(-1, channels)
        mono = frames.mean(axis=1) if channel == "mean" else frames[:, channel]
        samples += mono.astype(np.float32).tobytes()
    return np.frombuffer(samples, np.float32), rate, channels


def _stated_seconds(messages: str) -> float | None:
    """Duration that ffmpeg read in the container, unless it is a guess or may be a video's."""
    duration = re.search(r"^\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+)", messages, re.MULTILINE)
    has_video = re.search(r"^\[info\] +Stream #.*: Video:", messages, re.MULTILINE)
    if duration is None or has_video or "Estimating duration" in messages:
        return None
    hours, minutes, seconds = duration.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _check_length(entry: str, decoded: int, declared: int, rate: int) -> None:
    if abs(decoded - declared) > TOLERANCE_SECONDS * rate:
        raise UnreadableAudio(
            entry,
            f"{decoded / rate:.2f} s could be decoded, its header says {declared / rate:.2f} s",
        )
