"""What replicates say: intervals of one figure, and of the difference of two systems on the same trials.

The interval is symmetric on the log-odds scale: log-odds of the figure, give or take a quantile of Student's t (speakers - 1 degrees of
freedom) times the replicates' standard deviation there.  Figures near zero are skewed, so that percentiles of replicates, and normal
intervals on the scale itself, lie too low; log-odds mend this.  tests/bench/intervals.md has the coverage of these and of others.
"""

from dataclasses import asdict, dataclass

import numpy as np

LEAST_SHARE = 0.5  # of the replicates that must have both classes; a subset of which fewer have gets no interval
POWER = 0.8  # chance of finding a difference, for which speakers_needed is given


def interval(
    value: float,
    replicates: np.ndarray,
    num_speakers: int,
    *,
    floor: float = 1e-4,
    level: float = 0.95,
    bounded: bool = True,
) -> tuple[float, float] | None:
    """Interval of a share: an error rate, or a normalised cost; or, on the logarithmic scale, of a figure that may exceed 1 (actual costs, Cllr).

    Parameters
    ----------
    value : float
        The figure itself, in [0, 1]; where it is 0, no speaker erred, and the upper end is what so many speakers without an error exclude.
    replicates : (R,) float array
        The same figure under other draws of the speakers; NaN where a draw had no trials of a class.
    num_speakers : int
        Speakers of the trials, at least 2.
    floor : float
        Shares below it and above 1 - floor are taken as it: half an error is a good one.  At most half the figure itself.
    level : float
        Share of lists whose interval holds the truth, in (0, 1).
    bounded : bool
        The figure is at most 1; False: it is positive only.

    Returns
    -------
    (float, float) or None
        None where too few draws have both classes or no draw changes the figure, and of fewer than two speakers.
        Whether the interval means something: utils/metrics/interval_rule.py.
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
    scale, back, top = (logit, expit, 1 - floor) if bounded else (np.log, np.exp, np.inf)
    spread = scale(np.clip(drawn, floor, top)).std(ddof=1)
    reach = stdtrit(num_speakers - 1, (1 + level) / 2) * spread
    low, high = back(scale(np.clip(value, floor, top)) + np.array([-reach, reach]))
    return float(min(low, value)), float(max(high, value))


@dataclass
class Difference:
    """A paired comparison.

    Attributes
    ----------
    difference : float
        First system minus second, in units of the figure.
    low, high : float
        Its 95 % interval.
    p : float
        Two-sided probability of so large a difference between systems that are equally good.
    speakers_needed : int or None
        About how many speakers would show a difference of this size at p < 0.05 in four of five tests; None where the systems do not differ at all.
    """

    difference: float
    low: float
    high: float
    p: float
    speakers_needed: int | None

    def rounded(self, digits: int = 4) -> dict:
        """As JSON values.

        Parameters
        ----------
        digits : int
            After the point.
        """
        return {
            name: round(value, digits) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def paired_difference(
    difference: float, replicates: np.ndarray, num_speakers: int, *, level: float = 0.95
) -> Difference:
    """Interval and p of the difference of two systems.

    Parameters
    ----------
    difference : float
        Of the figures of the two.
    replicates : (R,) float array
        Difference of their replicates on the same draws; NaN where a draw had no trials of a class.
    num_speakers : int
        Speakers of the trials, at least 2.
    level : float
        As for `interval`.

    Raises
    ------
    ValueError
        Fewer than two speakers, or no two draws with both classes.
    """
    from scipy.special import ndtri, stdtr, stdtrit

    drawn = replicates[np.isfinite(replicates)]
    if num_speakers < 2 or len(drawn) < 2:
        raise ValueError(
            f"need two speakers and two draws with trials of both classes, got {num_speakers} and {len(drawn)}"
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
