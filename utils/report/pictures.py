"""Pictures of sound as SVG: a waveform with its VAD decisions, and a spectrogram.

Pure functions of samples: they read and write no files.
"""

import struct
import zlib

import numpy as np

from utils.report.colours import PALETTE, SHADES
from utils.report.svg import Axis, Plot, round_ticks
from utils.vad.base import FRAMES_PER_SECOND, runs

RANGE_DB = 70.0  # from the darkest to the brightest shade: steps of about 1 dB
COLUMNS = 382  # of an envelope: the width of a plot inside its margins, in pixels
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.01
# of a spectrogram: longer sound has longer hops, a higher rate has wider bands
MOST_FRAMES, MOST_BANDS = 400, 256
SILENCE = 1e-14  # added to powers before the logarithm: far below the rounding of 16 bits

# For a picture that is opened alone: inside the report the page's own style applies.
STYLE = (
    "\nsvg:root { color-scheme: light dark; --soft: #5b6675; --rule: #e1e5ea; --s0: #0072b2; "
    "--s2: #00875f; background: #fff; max-width: 46rem;\n"
    "  @media (prefers-color-scheme: dark) { --soft: #9aa5b4; --rule: #2b333e; --s0: #56b4e9; "
    "--s2: #2fc99a; background: #11161d; }\n"
    "  text { font: 12px system-ui, sans-serif; fill: var(--soft); } "
    ".grid { stroke: var(--rule); } .wave { fill: var(--s0); stroke: var(--s0); }\n"
    "  .speech { fill: var(--s2); fill-opacity: .25; } }\n"
)


def speech_picture(
    samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray, label: str
) -> str:
    """A waveform with its speech shaded; ``label`` is for screen readers.

    ``samples`` (n,) in [-1, 1]; ``decisions`` (T,) bool, speech or not per 10 ms frame.
    """
    seconds = len(samples) / sample_rate_hz
    loudest = max(float(np.abs(samples).max()), 1e-4)
    y = Axis(
        low=-loudest,
        high=loudest,
        ticks=round_ticks(-loudest, loudest, 4),
        title="amplitude (1: full scale)",
    )
    plot = Plot(x=_time_axis(seconds), y=y, height=230, label=label)
    for start, end in (runs(decisions) / FRAMES_PER_SECOND).tolist():
        corners = [(start, -loudest), (start, loudest), (end, loudest), (end, -loudest)]
        plot.polygon(corners, "speech", f"speech from {start:.2f} to {end:.2f} s")
    lowest, highest = envelope(samples, COLUMNS)
    times = ((np.arange(len(lowest)) + 0.5) * seconds / len(lowest)).tolist()
    upper_edge = zip(times, highest, strict=True)
    lower_edge = zip(times[::-1], lowest[::-1], strict=True)
    plot.polygon([*upper_edge, *lower_edge], "wave")
    return standalone(plot.svg())


def envelope(samples: np.ndarray, columns: int) -> tuple[list[float], list[float]]:
    """Smallest and largest sample of each column; of (n,) samples at most n columns."""
    columns = min(columns, len(samples))
    starts = np.arange(columns) * len(samples) // columns
    lowest = np.minimum.reduceat(samples, starts)
    highest = np.maximum.reduceat(samples, starts)
    return lowest.tolist(), highest.tolist()


def spectrogram(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Power in dB in windows of 25 ms, (T, F), of (n,) samples in [-1, 1].

    A sine of full scale in the middle of a band has 0 dB.  T frames share the duration evenly, F
    bands [0, rate / 2).
    """
    window = np.hanning(round(WINDOW_SECONDS * sample_rate_hz) + 1)[:-1]
    hop = max(round(HOP_SECONDS * sample_rate_hz), -(-len(samples) // MOST_FRAMES))
    padded = np.pad(samples, len(window))
    middles = np.arange(max(1, round(len(samples) / hop))) * hop + hop // 2
    starts = middles + len(window) - len(window) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[starts]
    size = 1 << (len(window) - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * window, size)[:, :-1]) ** 2 / (window.sum() / 2) ** 2
    width = max(1, power.shape[1] // MOST_BANDS)
    return 10 * np.log10(power.reshape(len(power), -1, width).max(axis=2) + SILENCE)


def spectrogram_picture(
    levels_db: np.ndarray, sample_rate_hz: int, seconds: float, top_db: float, label: str
) -> str:
    """A picture of (T, F) levels from `spectrogram`; ``label`` is for screen readers.

    ``top_db`` has the brightest colour; pictures that are compared with each other share it.
    """
    highest_khz = sample_rate_hz / 2000
    y = Axis(low=0, high=highest_khz, ticks=round_ticks(0, highest_khz, 4), title="kHz")
    plot = Plot(x=_time_axis(seconds), y=y, height=230, label=label)
    shades = np.round((levels_db - top_db + RANGE_DB) * (SHADES - 1) / RANGE_DB)
    shades = np.clip(shades, 0, SHADES - 1).astype(np.uint8)
    plot.image(png(shades.T[::-1], PALETTE))
    return standalone(plot.svg())


def _time_axis(seconds: float) -> Axis:
    """From 0 to the length of the sound."""
    return Axis(low=0, high=seconds, ticks=round_ticks(0, seconds, 6), title="seconds")


def colour_scale() -> str:
    """The colours of a spectrogram and their levels in dB."""
    levels = [(-k * 10.0, f"{-k * 10}") for k in range(int(RANGE_DB) // 10, -1, -1)]
    x = Axis(
        low=-RANGE_DB,
        high=0,
        ticks=levels,
        title="dB, relative to the loudest point of the utterance",
    )
    label = f"colour scale from -{RANGE_DB:g} to 0 dB"
    plot = Plot(x=x, y=Axis(low=0, high=1, ticks=[], title=""), height=70, label=label)
    plot.image(png(np.arange(SHADES, dtype=np.uint8)[None], PALETTE))
    return standalone(plot.svg())


def png(shades: np.ndarray, colours: np.ndarray) -> bytes:
    """A PNG file of (H, W) uint8 indices, top row first, into (C, 3) uint8 RGB colours.

    It has no date and no program name, so that equal pictures are equal bytes (ISO/IEC 15948).
    """
    height, width = shades.shape
    eight_bit_indexed = bytes([8, 3, 0, 0, 0])
    # each row begins with the number of its filter: 0, none
    rows = np.pad(shades, ((0, 0), (1, 0))).tobytes()
    chunks = [
        _png_chunk(b"IHDR", struct.pack(">II", width, height) + eight_bit_indexed),
        _png_chunk(b"PLTE", colours.tobytes()),
        _png_chunk(b"IDAT", zlib.compress(rows, 9)),
        _png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG file: length, kind, content, CRC."""
    length = struct.pack(">I", len(content))
    return length + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def standalone(svg: str) -> str:
    """A drawing of `Plot.svg` with a style of its own, for a file that is opened alone."""
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}'
