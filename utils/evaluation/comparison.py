"""Paired tests of differences between systems, all pairs on the same draws of the speakers."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from utils.evaluation.results import series_name
from utils.evaluation.rows import Figures
from utils.metrics.intervals import paired_difference

SIGNIFICANT = 0.05
DIFFERENCE_ALONE = dict.fromkeys(("difference", "low", "high", "p", "speakers_needed"))
EXPLANATION = (
    "Row minus column, in points of EER, with its 95 % interval: both systems get the same draws "
    "of the speakers.  In bold: p below 0.05 after Holm's correction for all pairs.  Where a "
    "difference is not clear, the number of speakers that would show one of its size."
)


def compare_pairs(wholes: Sequence[tuple[Mapping, Figures]]) -> list[dict]:
    """Entries of differences.json: every pair of systems on one set, or on the mean of folds.

    ``wholes``: of each system, the row of the whole list and its figures with draws; the list has
    at least two speakers.

    An entry has ``first``, ``second``, ``speakers``, a `Difference` of each figure that both have,
    and ``p_corrected`` of the EER.  If one of the two has no interval, it has only the difference,
    and ``no_interval`` of the EER states the reason.
    """
    entries = []
    for (row, one), (other_row, other) in combinations(wholes, 2):
        size = row["speakers"]
        entry = {
            "test_set": row["test_set"],
            "first": series_name(row),
            "second": series_name(other_row),
            "speakers": size,
        }
        reasons = row["no_interval"] | other_row["no_interval"]
        for figure in one.draws:
            if figure not in other.draws:
                continue
            value = row[figure] - other_row[figure]
            if figure in reasons:
                entry[figure] = DIFFERENCE_ALONE | {"difference": round(value, 6)}
                continue
            draws = one.draws[figure] - other.draws[figure]
            entry[figure] = paired_difference(value, draws, size).rounded(6)
        entry |= {"p_corrected": None, "no_interval": reasons.get("eer_percent")}
        entries.append(entry)
    tested, p_values = [], []
    for entry in entries:
        if entry["no_interval"] is None:
            tested.append(entry)
            p_values.append(entry["eer_percent"]["p"])
    for entry, p in zip(tested, holm(p_values), strict=True):
        entry["p_corrected"] = round(p, 6)
    return entries


def is_clear(entry: Mapping) -> bool:
    """True if a difference (an entry of differences.json) is more than chance."""
    return entry["p_corrected"] is not None and entry["p_corrected"] < SIGNIFICANT


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for the number of tests (Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p_values, kind="stable")
    raised = np.asarray(p_values)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(raised).clip(max=1)
    return corrected.tolist()


def sentence(entry: Mapping) -> str:
    """An entry of differences.json as a sentence."""
    eer = entry["eer_percent"]
    pair = f"{entry['test_set']}: {entry['first']} - {entry['second']}"
    text = f"{pair}: EER {eer['difference']:+.2f} points"
    if entry["no_interval"]:
        return f"{text}, no interval: {entry['no_interval']}"
    text += (
        f", 95 % interval {eer['low']:+.2f} to {eer['high']:+.2f}, "
        f"{probability(entry['p_corrected'])}"
    )
    if not is_clear(entry):
        text += f"; inconclusive{needed(eer)}"
    return text


def probability(p: float) -> str:
    """A probability as text."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}"


def needed(difference: Mapping) -> str:
    """How many speakers would show a difference, as the end of a sentence."""
    if not difference["speakers_needed"]:
        return ", no difference"
    return f", would need about {difference['speakers_needed']:,} speakers"
