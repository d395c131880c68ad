"""`evaluate`: all figures of a row of results.json, from one sort of the scores."""

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
    """All figures of a row of results.json, rounded.

    If the scores are log-likelihood ratios (``llr``), also actual costs and Cllr, else None.
    ``points`` are effective priors of the costs, among them ``0.01``.
    """
    target, nontarget = sorted_scores(target_scores, nontarget_scores)
    _, targets, nontargets = counts_below(target, nontarget)
    miss, false_alarm = targets / targets[-1], 1 - nontargets / nontargets[-1]
    blocks = pav_blocks(targets, nontargets)
    figures: dict[str, float | int | None] = {
        "eer_percent": round(100 * crossing(miss, false_alarm), 4),
        "min_dcf": None,  # that of 0.01
    }
    for point, prior in points.items():
        figures[f"min_dcf_{point}"] = round(lowest_cost(miss, false_alarm, prior), 6)
    figures["min_dcf"] = figures["min_dcf_0.01"]
    for point, prior in points.items():
        figures[f"act_dcf_{point}"] = None
        if llr:
            figures[f"act_dcf_{point}"] = round(actual_cost(target, nontarget, prior), 6)
    figures["cllr"] = None
    if llr:
        figures["cllr"] = round(cllr(target, nontarget), 6)
    figures["min_cllr"] = round(lowest_cllr(*blocks), 6)
    figures["eer_hull_percent"] = round(100 * hull_error_rate(*blocks), 4)
    figures["eer_kaldi_percent"] = round(100 * kaldi_step(target, nontarget), 4)
    for rate, missed in zip(FALSE_ALARM_RATES, miss_at(miss, false_alarm), strict=True):
        figures[f"tpr_at_far_{rate}"] = round(1 - float(missed), 6)
    figures["best_accuracy"] = round(highest_accuracy(targets, nontargets), 6)
    figures["targets"] = len(target)
    figures["nontargets"] = len(nontarget)
    return figures
