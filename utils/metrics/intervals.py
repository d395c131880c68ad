"""Intervals from bootstrap replicates: of one figure, and of the difference of two systems.

The interval is symmetric on the log-odds scale: the figure's log-odds, plus or minus a quantile of
Student's t (speakers - 1 degrees of freedom) times the replicates' standard deviation there.
Figures near zero are skewed, so percentiles of replicates, and normal intervals on the scale of the
figure, are too low; log-odds correct this.  Coverage of these and others:
tests/bench/intervals.md.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

# of the replicates that must have both classes, else there is no interval
LEAST_SHARE = 0.5
POWER = 0.8  # of the test that `Difference.speakers_needed` is computed for


def interval(
    value: float,
    replicates: np.ndarray,
    num_speakers: int,
    *,
    floor: float = 1e-4,
    level: float = 0.95,
    bounded: bool = True,
) -> tuple[float, float] | None:
    """95 % interval (low, high) of a figure in [0, 1], or of any positive one if not ``bounded``.

    The interval of an unbounded figure (actual costs, Cllr) is symmetric on the logarithmic scale.
    ``replicates`` (R,) are the figure in each draw of the speakers, NaN without trials of a class.
    If the figure is 0, the upper end is the error rate that this number of speakers without an
    error excludes.  Values are clipped to [floor, 1 - floor] (unbounded: from below only), with a
    ``floor`` of at most half the figure.

    None if too few draws have both classes, no draw changes the figure, or there are fewer than two
    speakers.  Whether the interval is valid: utils/metrics/interval_rule.py.
    """
    from scipy.special import expit, logit, stdtrit

    drawn = replicates[np.isfinite(replicates)]
    if num_speakers < 2 or len(drawn) < max(2, LEAST_SHARE * len(replicates)):
        return None
    if value <= 0:
        return 0.0, 1 - ((1 - level) / 2) ** (1 / num_speakers)
    if np.ptp(drawn) == 0:
        return None
    floor = min(floor, value / 2)
    scale: Callable = np.log
    back: Callable = np.exp
    top = np.inf
    if bounded:
        scale, back, top = logit, expit, 1 - floor
    spread = scale(np.clip(drawn, floor, top)).std(ddof=1)
    reach = stdtrit(num_speakers - 1, (1 + level) / 2) * spread
    low, high = back(scale(np.clip(value, floor, top)) + np.array([-reach, reach]))
    return float(min(low, value)), float(max(high, value))


@dataclass
class Difference:
    """A paired comparison: first system minus second, its 95 % interval and its two-sided p.

    ``speakers_needed`` is about how many speakers a test needs to show a difference of this size at
    p < 0.05 with a power of 80 %; None if the systems do not differ.
    """

    difference: float
    low: float
    high: float
    p: float
    speakers_needed: int | None

    def rounded(self, digits: int = 4) -> dict:
        """A dict of JSON values, rounded."""
        values = asdict(self)
        for name in ("difference", "low", "high", "p"):
            values[name] = round(values[name], digits)
        return values


def paired_difference(
    difference: float, replicates: np.ndarray, num_speakers: int, *, level: float = 0.95
) -> Difference:
    """Interval and p of the difference of two systems.

    ``replicates`` (R,) are differences of their replicates on the same draws, NaN without trials of
    a class.  ValueError for fewer than two speakers, or two draws with both classes.
    """
    from scipy.special import ndtri, stdtr, stdtrit

    drawn = replicates[np.isfinite(replicates)]
    if num_speakers < 2 or len(drawn) < 2:
        raise ValueError(
            "need two speakers and two draws with trials of both classes, "
            f"got {num_speakers} and {len(drawn)}"
        )
    spread = float(drawn.std(ddof=1))
    reach = stdtrit(num_speakers - 1, (1 + level) / 2) * spread
    p = float(difference == 0)
    if spread > 0:
        p = 2 * float(stdtr(num_speakers - 1, -abs(difference) / spread))
    needed = None
    if difference:
        quantiles = ndtri((1 + level) / 2) + ndtri(POWER)
        needed = max(2, int(np.ceil(num_speakers * (quantiles * spread / difference) ** 2)))
    low, high = float(difference - reach), float(difference + reach)
    return Difference(float(difference), low, high, p, needed)
