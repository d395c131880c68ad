"""When a 95 % interval is valid: one rule for all figures, by number of speakers, EER and prior.

With few speakers, or where few errors decide a figure, an interval contains the truth less often
than it claims.  `NEEDED` is from tests/bench/cost_intervals.md, on simulated lists with known
truth: with that number of speakers, and with each larger number tried, the interval contains the
truth in at least 88 of 100 lists.  Between two EERs or priors that were tried, the larger number
counts.  A prior outside those tried has no interval; an EER outside them has the nearest one's
number.
"""

from bisect import bisect_left, bisect_right

EERS_PERCENT = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 45.0)
ANY = 0.5  # stands for the prior of figures that have none
NONE = 1 << 60  # no number of speakers that was tried is enough
# measure -> effective prior -> speakers needed at each of the EERs
NEEDED: dict[str, dict[float, tuple[int, ...]]] = {
    "eer": {ANY: (5, 5, 5, 5, 5, 5, 5, 5)},
    "cllr": {ANY: (20, 10, 5, 5, 5, 5, 5, 5)},
    "min": {
        0.001: (NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE),
        0.005: (400, 400, 400, NONE, NONE, NONE, NONE, NONE),
        0.01: (400, 400, 400, 400, 400, NONE, NONE, NONE),
        0.05: (40, 20, 20, 5, 5, 400, NONE, NONE),
        0.1: (40, 20, 10, 5, 5, 40, NONE, NONE),
        0.5: (40, 20, 5, 5, 5, 5, 5, 100),
        0.9: (100, 40, 20, 10, 5, 400, NONE, NONE),
        0.99: (NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE),
    },
    "act": {
        0.001: (NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE),
        0.005: (NONE, 400, 400, 400, 400, NONE, NONE, NONE),
        0.01: (400, 400, 400, 100, 100, NONE, NONE, NONE),
        0.05: (20, 5, 5, 5, 5, 5, NONE, NONE),
        0.1: (20, 5, 5, 5, 5, 5, 40, NONE),
        0.5: (5, 5, 5, 5, 5, 5, 5, 5),
        0.9: (20, 5, 5, 5, 5, 5, 20, NONE),
        0.99: (NONE, 400, 400, 400, 400, NONE, NONE, NONE),
    },
}


def speakers_needed(measure: str, eer_percent: float, prior: float | None = None) -> int | None:
    """Fewest test speakers with which a figure has an interval; None if no number is enough.

    ``measure`` is ``eer``, ``cllr``, ``min`` or ``act`` (lowest and actual cost, with an effective
    ``prior``).
    """
    rows = NEEDED[measure]
    eer = min(max(eer_percent, EERS_PERCENT[0]), EERS_PERCENT[-1])
    columns = _neighbours(EERS_PERCENT, eer)
    if prior is None:
        prior = ANY
    priors = _neighbours(tuple(rows), prior)
    if not priors:
        return None
    most = max(rows[row][EERS_PERCENT.index(column)] for row in priors for column in columns)
    if most == NONE:
        return None
    return most


def _neighbours(tried: tuple[float, ...], value: float) -> set[float]:
    """The value itself if it was tried, else the two around it; empty outside the ends."""
    above, below = bisect_left(tried, value), bisect_right(tried, value) - 1
    if above == len(tried) or below < 0:
        return set()
    return {tried[below], tried[above]}


def why_no_interval(
    measure: str, num_speakers: int, eer_percent: float, prior: float | None = None
) -> str:
    """Why a figure has no interval, in a few words; empty if it has one."""
    if prior is not None and not _neighbours(tuple(NEEDED[measure]), prior):
        return f"not tried at prior {prior:g}"
    needed = speakers_needed(measure, eer_percent, prior)
    if needed is None:
        return "at this EER no number of speakers is enough"
    if num_speakers < needed:
        return f"{num_speakers} speakers, {needed} needed"
    return ""


def least_speakers(measure: str, prior: float | None = None) -> int | None:
    """Fewest test speakers with which a figure can have an interval, at any EER; or None."""
    needed = [speakers_needed(measure, eer, prior) for eer in EERS_PERCENT]
    return min((number for number in needed if number is not None), default=None)


def few_speakers(num_speakers: int) -> str:
    """A note on the usual figures without an interval for so few speakers; empty if none."""
    usual = {"EER": ("eer", None), "minDCF 0.01": ("min", 0.01), "minDCF 0.05": ("min", 0.05)}
    lacking = []
    for title, (measure, prior) in usual.items():
        needed = least_speakers(measure, prior)
        if needed is None:
            lacking.append(f"{title} (never)")
        elif num_speakers < needed:
            lacking.append(f"{title} (needs {needed})")
    if not lacking:
        return ""
    return f"{num_speakers} speakers: no interval of {', '.join(lacking)}"
