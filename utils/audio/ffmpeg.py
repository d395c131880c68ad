"""Sound that libsndfile cannot read (m4a and the like), decoded by ffmpeg: one process a file, started with a list of arguments and no shell.

What is decoded is known by its first bytes and ffmpeg is told its format, so that no text file or playlist is ever followed.  Any error that ffmpeg
reports is fatal, and what comes out must be as long as the file declares, within `TOLERANCE_SECONDS`.
"""

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

import numpy as np

from utils.audio.channels import channel_to_take
from utils.audio.containers import CODINGS_OF_LIBSNDFILE, is_mp3_without_length, wave_coding
from utils.audio.mp4 import Mp4Sound, read_mp4_header
from utils.errors import UnreadableAudio, UserError

# Format -> what stands at which byte.  The third byte and a half of raw AAC, its layer, is 0; in mp3, which libsndfile reads, it is not.
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
# A decoder may give that much less or more than the container declares: AAC has up to 2,112 samples before the sound and up to a frame of 1,024
# behind it, at 16 kHz 0.196 s together.  No byte of an mp4 can be missing within it, since its boxes are counted.
TOLERANCE_SECONDS = 0.2
BLOCK_SAMPLES = 1 << 20
MISSING = (
    "sound of this kind is decoded by ffmpeg, which was not found on the PATH; install it (Debian, Ubuntu: apt install ffmpeg; "
    "conda: conda install -c conda-forge ffmpeg; macOS: brew install ffmpeg)"
)


def compressed_format(file: IO[bytes]) -> str | None:
    """The format of a file that ffmpeg has to decode; None: it is for libsndfile, or no sound.

    Besides what libsndfile does not know these are wave files of other codings (MP3, G.722, ...), and an mp3 that does not say how long it is.

    Parameters
    ----------
    file : binary file
        Is read from its start, and left there.
    """
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    known = next(
        (name for name, signature in SIGNATURES.items() if re.match(signature, head)), None
    )
    if known:
        return known
    if wave_coding(file) not in (None, *CODINGS_OF_LIBSNDFILE):
        return "wav"
    return "mp3" if is_mp3_without_length(file) else None


def require_ffmpeg(entries: Iterable[str]) -> None:
    """Refuse a list with compressed sound, judged by the ends of names, where there is no ffmpeg: before the first file is opened.

    Parameters
    ----------
    entries : iterable of str
        As in wav.scp.

    Raises
    ------
    UserError
        Names the first and says how to install it.
    """
    if shutil.which("ffmpeg") is None:
        for entry in entries:
            if entry.lower().endswith(SUFFIXES):
                raise UserError(f"{entry}: {MISSING}")


def compressed_info(entry: str, path: Path, file_format: str) -> tuple[int, int, int | None]:
    """Number of samples, sample rate and channels (None: not known): of an mp4 from its header, otherwise, and where it is in fragments, by decoding.

    Parameters
    ----------
    entry, path, file_format
        As in `decode`.

    Raises
    ------
    UnreadableAudio
        As `decode`.
    """
    declared = _declared(entry, path, file_format)
    if declared and declared.num_samples is not None:
        return declared.num_samples, declared.sample_rate_hz, declared.channels
    samples, sample_rate_hz, channels = decode(entry, path, file_format)
    return len(samples), sample_rate_hz, channels


def decode(
    entry: str,
    path: Path,
    file_format: str,
    *,
    channel: int | Literal["mean"] = 0,
    start_sample: int = 0,
    num_samples: int | None = None,
) -> tuple[np.ndarray, int, int]:
    """Decode the first sound of a file, or a part of it: from its start, since only so positions are exact, to the part's end.

    Parameters
    ----------
    entry : str
        Its entry in wav.scp, for messages.
    path : path
        File.
    file_format : str
        From `compressed_format`.
    channel : int or "mean"
        Channel from 0, or the mean of all; sound of one channel has that one.
    start_sample, num_samples : int, int or None
        The part, which must lie inside; None: to the end.

    Returns
    -------
    samples : (n,) float32 array
        Of a whole mp4: as many as its header declares (what the decoder has behind them is the encoder's padding).
    sample_rate_hz, channels : int
        Samples per second; how many channels the file has.

    Raises
    ------
    UnreadableAudio
        ffmpeg reports an error, or decodes nothing, or more or less than is declared.
    UserError
        There is no ffmpeg.
    """
    declared = _declared(entry, path, file_format)
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise UserError(f"{entry}: {MISSING}")
    end = "" if num_samples is None else f":end_sample={start_sample + num_samples}"
    cut = ["-af", f"atrim=start_sample={start_sample}{end}"] if start_sample or end else []
    words = [
        ffmpeg,
        "-nostdin",
        "-hide_banner",
        "-nostats",
        "-v",
        "level+info",
        "-xerror",
        "-threads",
        "1",
        "-f",
        file_format,
        "-i",
        f"file:{path}",
        "-map",
        "0:a:0",
        *cut,
        "-c:a",
        "pcm_f32be",
        "-f",
        "au",
        "pipe:1",
    ]
    with tempfile.TemporaryFile() as messages:
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        ) as process:
            assert process.stdout is not None  # it is a pipe
            samples, rate, channels = _read_au(entry, process.stdout, channel)
        messages.seek(0)
        said = messages.read().decode(errors="replace")
    faults = [line for line in said.splitlines() if "[error]" in line or "[fatal]" in line]
    if process.returncode or faults:
        reason = (
            re.sub(r".*\[(error|fatal)\] ", "", faults[0]).replace(f"file:{path}", "it")
            if faults
            else f"exit code {process.returncode}"
        )
        raise UnreadableAudio(entry, f"ffmpeg cannot decode it: {reason}")
    if declared and declared.num_samples is not None:
        total = round(declared.num_samples * rate / declared.sample_rate_hz)
        if num_samples is None:
            _compare(entry, start_sample + len(samples), total, rate)
        samples = samples[: max(0, total - start_sample)]
    elif num_samples is None and (stated := _stated_seconds(said)) is not None:
        _compare(entry, start_sample + len(samples), round(stated * rate), rate)
    if num_samples is not None and len(samples) < num_samples:
        raise ValueError(
            f"{entry}: samples {start_sample} to {start_sample + num_samples} are not inside its {start_sample + len(samples)}"
        )
    return samples, rate, channels


def _declared(entry: str, path: Path, file_format: str) -> Mp4Sound | None:
    """What the header of an mp4 says; None of others."""
    if file_format != "mov":
        return None
    with open(path, "rb") as file:
        try:
            return read_mp4_header(file)
        except ValueError as error:
            raise UnreadableAudio(entry, str(error)) from None


def _read_au(
    entry: str, stream: IO[bytes], channel: int | Literal["mean"]
) -> tuple[np.ndarray, int, int]:
    """One channel of the sound in Sun's au format: six big-endian numbers, the first of them its name, then samples."""
    head = stream.read(24)
    if len(head) < 24:
        return np.zeros(0, np.float32), 1, 1  # ffmpeg says why
    _, offset, _, _, rate, channels = struct.unpack(">4s5I", head)
    stream.read(offset - 24)
    channel = channel_to_take(entry, channel, channels)
    samples = bytearray()  # grows in place, where joining blocks would take the memory twice
    while block := stream.read(BLOCK_SAMPLES // channels * channels * 4):
        frames = np.frombuffer(block, ">f4", len(block) // (4 * channels) * channels).reshape(
            -1, channels
        )
        samples += (
            (frames.mean(axis=1) if channel == "mean" else frames[:, channel])
            .astype(np.float32)
            .tobytes()
        )
    return np.frombuffer(samples, np.float32), rate, channels


def _stated_seconds(said: str) -> float | None:
    """Duration that ffmpeg read in the container, unless it is its own guess or may be that of a picture track."""
    found = re.search(r"^\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+)", said, re.MULTILINE)
    if (
        found is None
        or "Estimating duration" in said
        or re.search(r"^\[info\] +Stream #.*: Video:", said, re.MULTILINE)
    ):
        return None
    return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])


def _compare(entry: str, decoded: int, declared: int, rate: int) -> None:
    if abs(decoded - declared) > TOLERANCE_SECONDS * rate:
        raise UnreadableAudio(
            entry,
            f"{decoded / rate:.2f} s could be decoded, its header says {declared / rate:.2f} s",
        )
