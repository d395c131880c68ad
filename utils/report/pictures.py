"""Pictures of sound as SVG text: a waveform with its voice activity decisions, a spectrogram.  Pure functions of samples: no files."""

import struct
import zlib

import numpy as np

from utils.report.svg import Axis, Plot, round_ticks
from utils.vad.base import FRAMES_PER_SECOND, runs

RANGE_DB = 70.0  # from the darkest to the brightest shade
SHADES = 64  # steps of about 1 dB: finer ones are not seen, and make the file larger
COLUMNS = 382  # of an envelope: the pixels that a plot is wide inside its margins
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.01
# of a spectrogram: longer sound is drawn in longer hops, a higher rate in wider bands
MOST_FRAMES, MOST_BANDS = 400, 256
SILENCE = 1e-14  # added to powers, so that they have a logarithm: far below the rounding of 16 bits

# Holds only where a picture is opened by itself: inside the report the page is the root, and its own style applies.
STYLE = """
svg:root { color-scheme: light dark; --soft: #5b6675; --rule: #e1e5ea; --s0: #0072b2; --s2: #00875f; background: #fff; max-width: 46rem;
  @media (prefers-color-scheme: dark) { --soft: #9aa5b4; --rule: #2b333e; --s0: #56b4e9; --s2: #2fc99a; background: #11161d; }
  text { font: 12px system-ui, sans-serif; fill: var(--soft); } .grid { stroke: var(--rule); } .wave { fill: var(--s0); stroke: var(--s0); }
  .speech { fill: var(--s2); fill-opacity: .25; } }
"""


def speech_picture(
    samples: np.ndarray, sample_rate_hz: int, decisions: np.ndarray, label: str
) -> str:
    """A waveform, with the stretches that count as speech shaded.

    Parameters
    ----------
    samples : (n,) float array
        In [-1, 1].
    sample_rate_hz : int
        Its rate.
    decisions : (T,) bool array
        Speech or not, per 10 ms frame.
    label : str
        What a screen reader says.
    """
    seconds, loudest = len(samples) / sample_rate_hz, max(float(np.abs(samples).max()), 1e-4)
    y = Axis(
        low=-loudest,
        high=loudest,
        ticks=round_ticks(-loudest, loudest, 4),
        title="amplitude (1: full scale)",
    )
    plot = Plot(x=time_axis(seconds), y=y, height=230, label=label)
    for start, end in (runs(decisions) / FRAMES_PER_SECOND).tolist():
        corners = [(start, -loudest), (start, loudest), (end, loudest), (end, -loudest)]
        plot.polygon(corners, "speech", f"speech from {start:.2f} to {end:.2f} s")
    lowest, highest = envelope(samples, COLUMNS)
    times = ((np.arange(len(lowest)) + 0.5) * seconds / len(lowest)).tolist()
    plot.polygon(
        [*zip(times, highest, strict=True), *zip(times[::-1], lowest[::-1], strict=True)], "wave"
    )
    return alone(plot.svg())


def envelope(samples: np.ndarray, columns: int) -> tuple[list[float], list[float]]:
    """Smallest and largest sample of each column of a drawing.

    Parameters
    ----------
    samples : (n,) float array
        Sound, n > 0.
    columns : int
        How many are wanted; no more than there are samples.

    Returns
    -------
    lowest, highest : lists of float
        One for each column.
    """
    columns = min(columns, len(samples))
    starts = np.arange(columns) * len(samples) // columns
    lowest = np.minimum.reduceat(samples, starts)
    highest = np.maximum.reduceat(samples, starts)
    return lowest.tolist(), highest.tolist()


def spectrogram(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Power over time and frequency, in windows of 25 ms.

    Parameters
    ----------
    samples : (n,) float array
        In [-1, 1].
    sample_rate_hz : int
        Its rate.

    Returns
    -------
    (T, F) float array
        In dB: a sine of full scale in the middle of a band has 0 there.  T frames and F bands share the time and [0, rate / 2) evenly.
    """
    window = np.hanning(round(WINDOW_SECONDS * sample_rate_hz) + 1)[:-1]
    hop = max(round(HOP_SECONDS * sample_rate_hz), -(-len(samples) // MOST_FRAMES))
    padded = np.pad(samples, len(window))
    middles = np.arange(max(1, round(len(samples) / hop))) * hop + hop // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[
        middles + len(window) - len(window) // 2
    ]
    size = 1 << (len(window) - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * window, size)[:, :-1]) ** 2 / (window.sum() / 2) ** 2
    wide = max(1, power.shape[1] // MOST_BANDS)
    return 10 * np.log10(power.reshape(len(power), -1, wide).max(axis=2) + SILENCE)


def spectrogram_picture(
    levels_db: np.ndarray, sample_rate_hz: int, seconds: float, top_db: float, label: str
) -> str:
    """A spectrogram in colours of even steps, 70 dB from the darkest to the brightest.

    Parameters
    ----------
    levels_db : (T, F) float array
        Of `spectrogram`.
    sample_rate_hz : int
        Of the sound.
    seconds : float
        Its length.
    top_db : float
        What has the brightest colour; pictures that are to be compared share it.
    label : str
        What a screen reader says.
    """
    highest_khz = sample_rate_hz / 2000
    y = Axis(low=0, high=highest_khz, ticks=round_ticks(0, highest_khz, 4), title="kHz")
    plot = Plot(x=time_axis(seconds), y=y, height=230, label=label)
    shades = np.clip(
        np.round((levels_db - top_db + RANGE_DB) * (SHADES - 1) / RANGE_DB), 0, SHADES - 1
    )
    plot.image(png(shades.T[::-1].astype(np.uint8), palette()))
    return alone(plot.svg())


def time_axis(seconds: float) -> Axis:
    """From the sound's beginning to its end.

    Parameters
    ----------
    seconds : float
        Its length.
    """
    return Axis(low=0, high=seconds, ticks=round_ticks(0, seconds, 6), title="seconds")


def colour_scale() -> str:
    """The colours of a spectrogram and the levels that they stand for."""
    levels = [(-k * 10.0, f"{-k * 10}") for k in range(int(RANGE_DB) // 10, -1, -1)]
    plot = Plot(
        x=Axis(
            low=-RANGE_DB,
            high=0,
            ticks=levels,
            title="dB, relative to the loudest place of the utterance",
        ),
        y=Axis(low=0, high=1, ticks=[], title=""),
        height=70,
        label=f"colour scale from -{RANGE_DB:g} to 0 dB",
    )
    plot.image(png(np.arange(SHADES, dtype=np.uint8)[None], palette()))
    return alone(plot.svg())


def palette() -> np.ndarray:
    """Colours of the shades, (`SHADES`, 3) uint8: equal steps look equal, and get brighter for those who see no colours too.

    References
    ----------
    Smith and van der Walt, "A better default colormap for Matplotlib", SciPy 2015: the map `magma`.
    """
    from matplotlib import colormaps

    return np.round(colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3] * 255).astype(np.uint8)


def png(shades: np.ndarray, colours: np.ndarray) -> bytes:
    """A PNG file of indexed colours, without anything that would make the same picture other bytes: no date, no name of a program.

    Parameters
    ----------
    shades : (H, W) uint8 array
        Number of each pixel's colour; the first row is the uppermost.
    colours : (C, 3) uint8 array
        Red, green, blue.

    References
    ----------
    ISO/IEC 15948, Portable Network Graphics.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        length = struct.pack(">I", len(content))
        return length + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = shades.shape
    eight_bit_indexed = bytes([8, 3, 0, 0, 0])
    # each row begins with the number of its filter: 0, none
    rows = np.pad(shades, ((0, 0), (1, 0))).tobytes()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">II", width, height) + eight_bit_indexed)
        + chunk(b"PLTE", colours.tobytes())
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def alone(svg: str) -> str:
    """A drawing that can be opened without the page.

    Parameters
    ----------
    svg : str
        Of `Plot.svg`.
    """
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}'
