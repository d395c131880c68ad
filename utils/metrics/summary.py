"""`evaluate`: all the figures of a line of results.json, those of utils/metrics/rates.py and those of
utils/metrics/llr.py, from one sort of the scores.
"""

from collections.abc import Mapping

from numpy.typing import ArrayLike

from utils.metrics.llr import actual_cost, cllr, hull_error_rate, lowest_cllr, pav_blocks
from utils.metrics.operating_points import USUAL
from utils.metrics.rates import (
    FALSE_ALARM_RATES,
    counts_below,
    crossing,
    highest_accuracy,
    kaldi_step,
    lowest_cost,
    miss_at,
    sorted_scores,
)


def evaluate(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    *,
    llr: bool = False,
    points: Mapping[str, float] = USUAL,
) -> dict[str, float | int | None]:
    """The figures of one line of results.json, from one sort of the scores.

    Parameters
    ----------
    target_scores, nontarget_scores : (T,) and (N,) float arrays
        As for `error_rates`.
    llr : bool
        Scores are natural logarithms of likelihood ratios: the actual costs and Cllr have a meaning.
    points : mapping of str to float
        Effective prior of each operating point of the costs, of which ``0.01`` has to be one.

    Returns
    -------
    dict
        ``eer_percent``, ``min_dcf`` (the one at 0.01), ``min_dcf_<point>``, ``act_dcf_<point>``, ``cllr`` (both None unless ``llr``), ``min_cllr``,
        ``eer_hull_percent``, ``eer_kaldi_percent``, ``tpr_at_far_<rate>``, ``best_accuracy``, ``targets``, ``nontargets``.
    """
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _, targets, nontargets = counts_below(target, nontarget)
    miss, false_alarm = targets / targets[-1], 1 - nontargets / nontargets[-1]
    blocks = pav_blocks(targets, nontargets)
    costs = {
        f"min_dcf_{point}": round(lowest_cost(miss, false_alarm, prior), 6)
        for point, prior in points.items()
    }
    actual = {
        f"act_dcf_{point}": round(actual_cost(target, nontarget, prior), 6) if llr else None
        for point, prior in points.items()
    }
    found = {
        f"tpr_at_far_{rate}": round(1 - float(missed), 6)
        for rate, missed in zip(FALSE_ALARM_RATES, miss_at(miss, false_alarm), strict=True)
    }
    return {
        "eer_percent": round(100 * crossing(miss, false_alarm), 4),
        "min_dcf": costs["min_dcf_0.01"],
        **costs,
        **actual,
        "cllr": round(cllr(target, nontarget), 6) if llr else None,
        "min_cllr": round(lowest_cllr(*blocks), 6),
        "eer_hull_percent": round(100 * hull_error_rate(*blocks), 4),
        "eer_kaldi_percent": round(100 * kaldi_step(target, nontarget), 4),
        **found,
        "best_accuracy": round(highest_accuracy(targets, nontargets), 6),
        "targets": len(target),
        "nontargets": len(nontarget),
    }
