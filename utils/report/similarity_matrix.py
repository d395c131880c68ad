"""Scores of R models against C tests: as a matrix, a table of error rates, and a picture."""

from collections.abc import Sequence

import numpy as np

from utils.report.colours import PALETTE, SHADES
from utils.report.pictures import STYLE, png, standalone
from utils.report.svg import Axis, Plot

STEPS = 200  # between the lowest and the highest threshold
PUBLISHED_THRESHOLDS = np.arange(50, 100) / 100  # of the GE2E implementation
MOST_TICKS = 24  # speakers named on an axis
UNKNOWN = 0  # shade of a pair without a score
PIXELATED = "svg:root image { image-rendering: pixelated; }\n"


def arrange_scores(
    enrol: Sequence[str], test: Sequence[str], scores: np.ndarray, speaker_of: dict[str, str]
) -> tuple[list[str], list[str], np.ndarray]:
    """Names of rows and columns, and the (R, C) float32 matrix of the scores of N trials.

    Rows (enrolment sides) and columns (test sides) are sorted by speaker, then by name.  Pairs
    without a trial are NaN.
    """
    rows, columns = _sort_by_speaker(enrol, speaker_of), _sort_by_speaker(test, speaker_of)
    row_index = {name: index for index, name in enumerate(rows)}
    column_index = {name: index for index, name in enumerate(columns)}
    matrix = np.full((len(rows), len(columns)), np.nan, np.float32)
    matrix[[row_index[name] for name in enrol], [column_index[name] for name in test]] = scores
    return rows, columns, matrix


def _sort_by_speaker(names: Sequence[str], speaker_of: dict[str, str]) -> list[str]:
    """Each name once, by speaker, then by name."""
    return sorted(set(names), key=lambda name: (speaker_of[name], name))


def score_thresholds(scores: np.ndarray) -> np.ndarray:
    """201 thresholds: from -1 to 1 for cosines, else from the lowest to the highest score."""
    low, high = -1.0, 1.0
    if np.abs(scores).max() > 1:
        low, high = float(scores.min()), float(scores.max())
    return low + (high - low) * np.arange(STEPS + 1) / STEPS


def rates_at(
    thresholds: np.ndarray, target: np.ndarray, nontarget: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """False acceptance and rejection rates if scores above a threshold are accepted."""
    far = 1 - np.searchsorted(np.sort(nontarget), thresholds, side="right") / len(nontarget)
    frr = np.searchsorted(np.sort(target), thresholds, side="right") / len(target)
    return far, frr


def thresholds_table(scores: np.ndarray, target: np.ndarray, nontarget: np.ndarray) -> str:
    """The text of thresholds.tsv: threshold, false acceptance, false rejection."""
    thresholds = score_thresholds(scores)
    rates = rates_at(thresholds, target, nontarget)
    lines = ["threshold\tfar\tfrr\n"]
    for threshold, far, frr in zip(thresholds, *rates, strict=True):
        lines.append(f"{threshold:.6g}\t{far:.6f}\t{frr:.6f}\n")
    return "".join(lines)


def published_eer(target: np.ndarray, nontarget: np.ndarray) -> tuple[float, float]:
    """EER, in [0, 1], and its threshold as the GE2E implementation reports them.

    Speaker_Verification: the threshold from 0.50 to 0.99 at which the two rates are closest, and
    the mean of the rates there.
    """
    far, frr = rates_at(PUBLISHED_THRESHOLDS, target, nontarget)
    best = int(np.argmin(np.abs(far - frr)))
    return float(far[best] + frr[best]) / 2, float(PUBLISHED_THRESHOLDS[best])


def similarity_picture(
    matrix: np.ndarray, row_speakers: Sequence[str], column_speakers: Sequence[str], note: str
) -> str:
    """An (R, C) matrix as an SVG file: brighter is more similar, NaN is no trial.

    The axes name the R and C sorted speakers; ``note`` is part of the vertical axis' title.
    """
    low, high = float(np.nanmin(matrix)), float(np.nanmax(matrix))
    shades = np.round(1 + (SHADES - 2) * (matrix - low) / max(high - low, 1e-9))
    shades = np.nan_to_num(shades, nan=UNKNOWN).astype(np.uint8)
    height, width = len(row_speakers), len(column_speakers)
    x = Axis(
        low=0,
        high=width,
        ticks=speaker_ticks(column_speakers),
        title=f"tests by speaker; {low:.2f} dark to {high:.2f} bright",
    )
    from_top = [(height - index, name) for index, name in speaker_ticks(row_speakers)]
    y = Axis(low=0, high=height, ticks=from_top, title=f"models ({note})" if note else "models")
    label = f"Similarity of {height} models and {width} tests. {note}".strip()
    plot = Plot(x=x, y=y, width=720, height=560, label=label)
    plot.image(png(shades, PALETTE))
    return standalone(plot.svg()).replace(STYLE, STYLE + PIXELATED)


def speaker_ticks(speakers: Sequence[str]) -> list[tuple[float, str]]:
    """The middle of each speaker's rows or columns, and the name; of many speakers some."""
    names = list(dict.fromkeys(speakers))
    every = -(-len(names) // MOST_TICKS)
    ticks = []
    for name in names[::every]:
        indices = np.flatnonzero(np.asarray(speakers) == name)
        ticks.append((float(indices.mean()) + 0.5, name))
    return ticks
