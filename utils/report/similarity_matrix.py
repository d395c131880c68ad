"""Scores of all models against all tests as a matrix, error rates over thresholds, and the matrix as a picture.

``R`` models, ``C`` tests.
"""

from collections.abc import Sequence

import numpy as np

from utils.report.pictures import SHADES, STYLE, alone, palette, png
from utils.report.svg import Axis, Plot

STEPS = 200  # between the lowest and the highest threshold
PUBLISHED_THRESHOLDS = np.arange(50, 100) / 100  # of the GE2E seed's test
MOST_TICKS = 24  # speakers named on an axis
UNKNOWN = 0  # shade of a pair without a score


def matrix_of(
    enrol: Sequence[str], test: Sequence[str], scores: np.ndarray, speaker_of: dict[str, str]
) -> tuple[list[str], list[str], np.ndarray]:
    """Scores by the two sides of their trials.

    Parameters
    ----------
    enrol, test : sequences of N str
        Models (or utterances) and tests.
    scores : (N,) float array
        One per trial.
    speaker_of : dict of str to str
        Of either side: rows and columns are in the order of speakers, then of names.

    Returns
    -------
    rows, columns, matrix : list of R str, list of C str, (R, C) float32 array
        NaN where two were not tried.
    """
    rows, columns = (
        sorted(set(side), key=lambda name: (speaker_of[name], name)) for side in (enrol, test)
    )
    row_of, column_of = (
        {name: place for place, name in enumerate(names)} for names in (rows, columns)
    )
    matrix = np.full((len(rows), len(columns)), np.nan, np.float32)
    matrix[[row_of[name] for name in enrol], [column_of[name] for name in test]] = scores
    return rows, columns, matrix


def thresholds_of(scores: np.ndarray) -> np.ndarray:
    """Thresholds to show error rates at: from -1 to 1 in steps of 0.01 for cosines, as many from the lowest to the highest score for others.

    Parameters
    ----------
    scores : (N,) float array
        Of all trials.
    """
    low, high = (
        (-1.0, 1.0) if np.abs(scores).max() <= 1 else (float(scores.min()), float(scores.max()))
    )
    return low + (high - low) * np.arange(STEPS + 1) / STEPS


def rates_at(
    thresholds: np.ndarray, target: np.ndarray, nontarget: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """False acceptance and false rejection where scores above a threshold are accepted.

    Parameters
    ----------
    thresholds : (K,) float array
        Of the scores.
    target, nontarget : float arrays
        Scores of target and of impostor trials, one or more of each.

    Returns
    -------
    far, frr : (K,) float arrays
        Shares of the impostor and of the target trials.
    """
    far = 1 - np.searchsorted(np.sort(nontarget), thresholds, side="right") / len(nontarget)
    return far, np.searchsorted(np.sort(target), thresholds, side="right") / len(target)


def thresholds_table(scores: np.ndarray, target: np.ndarray, nontarget: np.ndarray) -> str:
    """False acceptance and rejection over thresholds, one a line, with tabs between.

    Parameters
    ----------
    scores : (N,) float array
        Of all trials.
    target, nontarget : float arrays
        As of `rates_at`.
    """
    thresholds = thresholds_of(scores)
    rates = rates_at(thresholds, target, nontarget)
    rows = [
        f"{threshold:.6g}\t{far:.6f}\t{frr:.6f}\n"
        for threshold, far, frr in zip(thresholds, *rates, strict=True)
    ]
    return "threshold\tfar\tfrr\n" + "".join(rows)


def published_eer(target: np.ndarray, nontarget: np.ndarray) -> tuple[float, float]:
    """EER as the GE2E seed reports it, a share, and its threshold.

    Parameters
    ----------
    target, nontarget : float arrays
        As of `rates_at`.

    References
    ----------
    Speaker_Verification: of the thresholds 0.50 to 0.99 the one of the smallest difference, and there the mean of both rates.
    """
    far, frr = rates_at(PUBLISHED_THRESHOLDS, target, nontarget)
    best = int(np.argmin(np.abs(far - frr)))
    return float(far[best] + frr[best]) / 2, float(PUBLISHED_THRESHOLDS[best])


def similarity_picture(
    matrix: np.ndarray, row_speakers: Sequence[str], column_speakers: Sequence[str], note: str
) -> str:
    """The matrix as an SVG file: brighter is more similar.

    Parameters
    ----------
    matrix : (R, C) float array
        NaN: no trial.
    row_speakers, column_speakers : sequences of R and C str
        Speakers in order, which the axes name.
    note : str
        What has to be said with the picture; empty for nothing.
    """
    low, high = float(np.nanmin(matrix)), float(np.nanmax(matrix))
    shades = np.round(1 + (SHADES - 2) * (matrix - low) / max(high - low, 1e-9))
    x = Axis(
        low=0,
        high=len(column_speakers),
        ticks=ticks_of(column_speakers),
        title=f"tests by speaker; {low:.2f} dark to {high:.2f} bright",
    )
    from_top = [(len(row_speakers) - place, name) for place, name in ticks_of(row_speakers)]
    y = Axis(
        low=0, high=len(row_speakers), ticks=from_top, title=f"models{f' ({note})' if note else ''}"
    )
    plot = Plot(
        x=x,
        y=y,
        width=720,
        height=560,
        label=f"Similarity of {len(row_speakers)} models and {len(column_speakers)} tests. {note}".strip(),
    )
    plot.image(png(np.nan_to_num(shades, nan=UNKNOWN).astype(np.uint8), palette()))
    return alone(plot.svg()).replace(
        STYLE, STYLE + "svg:root image { image-rendering: pixelated; }\n"
    )


def ticks_of(speakers: Sequence[str]) -> list[tuple[float, str]]:
    """Middle of each speaker's rows or columns, and his name; of many speakers some.

    Parameters
    ----------
    speakers : sequence of str
        In order, each as often as he has rows.
    """
    names = list(dict.fromkeys(speakers))
    shown = names[:: -(-len(names) // MOST_TICKS)]
    places = {name: np.flatnonzero(np.asarray(speakers) == name) for name in shown}
    return [(float(place.mean()) + 0.5, name) for name, place in places.items()]
