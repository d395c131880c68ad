"""Whether differences between systems are more than chance: paired tests of all pairs on the same draws of the speakers."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from utils.evaluation.results import series_of
from utils.evaluation.rows import Figures
from utils.metrics.intervals import paired_difference

SIGNIFICANT = 0.05
DIFFERENCE_ALONE = dict.fromkeys(("difference", "low", "high", "p", "speakers_needed"))
EXPLANATION = (
    "Row minus column, in points of EER, with its 95 % interval: both systems get the same draws of the speakers.  In bold: p below 0.05 "
    "after Holm's correction for all pairs.  Where a difference is not clear, the number of speakers that would show one of its size."
)


def differences_of(wholes: Sequence[tuple[Mapping, Figures]]) -> list[dict]:
    """Every pair of systems on one set, or on the mean of folds.

    Parameters
    ----------
    wholes : sequence of (mapping, Figures)
        Row of results.json of the whole list, and its figures with their draws; of at least two speakers.

    Returns
    -------
    list of dict
        Of differences.json: ``first``, ``second``, ``speakers``, a `Difference` for each figure that both have, and ``p_corrected`` of the EER;
        where one of the two has no interval, the difference alone, and ``no_interval`` of the EER says why.
    """
    found = []
    for (row, one), (other_row, other) in combinations(wholes, 2):
        size = row["speakers"]
        entry = {
            "test_set": row["test_set"],
            "first": series_of(row),
            "second": series_of(other_row),
            "speakers": size,
        }
        reasons = row["no_interval"] | other_row["no_interval"]
        for figure in (figure for figure in one.draws if figure in other.draws):
            value = row[figure] - other_row[figure]
            if figure in reasons:
                entry[figure] = DIFFERENCE_ALONE | {"difference": round(value, 6)}
                continue
            draws = one.draws[figure] - other.draws[figure]
            entry[figure] = paired_difference(value, draws, size).rounded(6)
        entry |= {"p_corrected": None, "no_interval": reasons.get("eer_percent")}
        found.append(entry)
    tested = [entry for entry in found if entry["no_interval"] is None]
    corrected = holm([entry["eer_percent"]["p"] for entry in tested])
    for entry, p in zip(tested, corrected, strict=True):
        entry["p_corrected"] = round(p, 6)
    return found


def is_clear(entry: Mapping) -> bool:
    """Whether a difference is more than chance.

    Parameters
    ----------
    entry : mapping
        Of differences.json.
    """
    return entry["p_corrected"] is not None and entry["p_corrected"] < SIGNIFICANT


def holm(p_values: Sequence[float]) -> list[float]:
    """Probabilities corrected for the number of tests made.

    Parameters
    ----------
    p_values : sequence of float
        One for each test.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1)).clip(
        max=1
    )
    corrected = np.empty(len(order))
    corrected[order] = raised
    return corrected.tolist()


def sentence(entry: Mapping) -> str:
    """A pair in words.

    Parameters
    ----------
    entry : mapping
        Of differences.json.
    """
    found = entry["eer_percent"]
    pair = f"{entry['test_set']}: {entry['first']} - {entry['second']}"
    said = f"{pair}: EER {found['difference']:+.2f} points"
    if entry["no_interval"]:
        return f"{said}, no interval: {entry['no_interval']}"
    clear = "" if is_clear(entry) else "; inconclusive" + needed(found)
    return (
        f"{said}, 95 % interval {found['low']:+.2f} to {found['high']:+.2f}, "
        f"{probability(entry['p_corrected'])}{clear}"
    )


def probability(p: float) -> str:
    """A probability in words.

    Parameters
    ----------
    p : float
        In [0, 1].
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def needed(found: Mapping) -> str:
    """How many speakers would do, as the end of a sentence.

    Parameters
    ----------
    found : mapping
        Of a `Difference`.
    """
    if not found["speakers_needed"]:
        return ", no difference"
    return f", would need about {found['speakers_needed']:,} speakers"
