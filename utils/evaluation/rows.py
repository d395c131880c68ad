"""From the scores of systems to rows of results.json, and to curves.json."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.evaluation.decisions import Rates, Thresholds, cheapest_thresholds, decisions_at
from utils.evaluation.sets import System, TrialSet
from utils.metrics.bootstrap import (
    SortedTrials,
    drawn_weights,
    sort_trials,
    speaker_rows,
    weighted_figures,
    weighted_llr_figures,
    weighted_rates,
)
from utils.metrics.curves import det_positions, histogram, miss_band, rate_table
from utils.metrics.interval_rule import why_no_interval
from utils.metrics.intervals import interval
from utils.metrics.llr import calibration_points
from utils.metrics.operating_points import USUAL, operating_points
from utils.metrics.rates import counts_below, equal_error_rate, sorted_scores
from utils.metrics.summary import evaluate

REPLICATES_OF_SUBSETS = 200  # a standard deviation needs no more
REPLICATES_OF_BANDS = 200
BAND_POINTS = 60
WORST_TRIALS = 20
# decimals of figures and of the ends of their intervals; other figures have 6
DIGITS = {"eer_percent": 4, "eer_hull_percent": 4, "eer_kaldi_percent": 4}


@dataclass(frozen=True)
class Evaluated:
    """Systems on one list of trials: entries of results.json, curves.json and differences.json."""

    rows: list[dict]
    curves: list[dict]
    differences: list[dict]


@dataclass(frozen=True)
class Drawing:
    """Options of intervals: number of draws of the speakers (0: none), seed, effective priors."""

    replicates: int = 1000
    seed: int = 0
    points: Mapping[str, float] = field(default_factory=lambda: USUAL)


@dataclass
class Figures:
    """Figures of a list of trials, and their values (R,) in R draws of its speakers.

    ``values`` is a row of results.json without its first columns.
    """

    values: dict
    draws: dict[str, np.ndarray]


class Part(NamedTuple):
    """A list of trials: scores, classes, speakers of both sides, and the seed of its draws."""

    scores: np.ndarray
    is_target: np.ndarray
    enrol: np.ndarray
    test: np.ndarray
    seed: int


def make_drawing(replicates: int, seed: int, points: str | None, least: int = 0) -> Drawing:
    """The `Drawing` for the options of a step; ``least`` is the lowest number of draws.

    UserError for too few draws, or an invalid operating point.
    """
    if replicates < least or replicates < 0 or replicates == 1:
        expected = "at least 2 draws"
        if not least:
            expected = "0 (no intervals) or at least 2 draws"
        raise UserError(f"--replicates: {replicates}, expected {expected}")
    return Drawing(replicates, seed, operating_points(points))


def system_rows(
    system: System, folds: Sequence[TrialSet], drawing: Drawing
) -> tuple[list[dict], Figures]:
    """Rows of results.json of one system on one set, or on the mean of folds.

    Also the figures of the whole list.
    """
    by_subset = subset_figures(folds, system.scores, system.llr, drawing)
    notes = {"centred": system.centred, "watermarks": system.watermarks}
    rows = []
    for subset, figures in by_subset.items():
        row = {**system.head, "subset": subset, **figures.values, **notes}
        rows.append(row)
    return rows, by_subset["all"]


def subset_figures(
    folds: Sequence[TrialSet], scores: Sequence[np.ndarray], llr: bool, drawing: Drawing
) -> dict[str, Figures]:
    """Figures and intervals of each subset of the trials; averaged over several folds.

    ``scores`` are (N,) for the trials of each fold.  The figures are those of
    `utils.metrics.summary.evaluate`, ``speakers``, and ``<figure>_interval``: [low, high] or None.
    A subset with trials of one class has its counts and no figures.
    """
    by_subset: dict[str, Figures] = {}
    empty: dict = {}
    for subset in dict.fromkeys(subset for fold in folds for subset in fold.subsets):
        parts = []
        for number, (fold, values) in enumerate(zip(folds, scores, strict=True)):
            part = select_part(fold, values, subset, drawing.seed + number)
            parts.append(part)
        replicates = drawing.replicates
        if subset != "all":
            replicates = min(replicates, REPLICATES_OF_SUBSETS)
            empty = dict.fromkeys(by_subset["all"].values)
        by_subset[subset] = mean_figures(parts, llr, replicates, drawing.points, empty)
    return by_subset


def select_part(tests: TrialSet, scores: np.ndarray, subset: str, seed: int) -> Part:
    """The trials of a subset; none if the set has no such subset."""
    member = tests.subsets.get(subset, np.zeros(len(scores), bool))
    enrol, test = tests.speakers
    return Part(scores[member], tests.is_target[member], enrol[member], test[member], seed)


def mean_figures(
    parts: Sequence[Part], llr: bool, replicates: int, points: Mapping[str, float], empty: Mapping
) -> Figures:
    """Figures of lists without common speakers, averaged over those with trials of both classes.

    ``empty`` is a row without figures, for when no list has both classes.
    """
    values: dict = dict(empty)
    drawn: dict[str, np.ndarray] = {}
    used, each, draws = [], [], []
    for part in parts:
        target, nontarget = part.scores[part.is_target], part.scores[~part.is_target]
        if len(target) and len(nontarget):
            used.append(part)
            each.append(evaluate(target, nontarget, llr=llr, points=points))
            draws.append(bootstrap_figures(part, llr, replicates, points))
    if used:
        for name in each[0]:
            values[name] = mean_figure(name, [figures[name] for figures in each])
        if all(draws):
            for name in draws[0]:
                drawn[name] = np.mean([one[name] for one in draws], axis=0)
    counted = used or parts
    targets, trials, speakers = 0, 0, 0
    for part in counted:
        targets += int(part.is_target.sum())
        trials += len(part.is_target)
        speakers += len(np.unique(np.concatenate([part.enrol, part.test])))
    values |= {"targets": targets, "nontargets": trials - targets, "speakers": speakers}
    if used:
        values |= figure_intervals(values, drawn, points)
        values["no_interval"] = why_none(values, drawn, points)
    return Figures(values, drawn)


def mean_figure(name: str, column: Sequence[float | None]) -> float | None:
    """Mean of one figure over several lists, rounded; None if one of them has none."""
    known = [value for value in column if value is not None]
    if len(known) < len(column):
        return None
    return round(float(np.mean(known)), DIGITS.get(name, 6))


def bootstrap_figures(
    part: Part, llr: bool, replicates: int, points: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Figure -> its values (R,) in each draw of the speakers; empty: no draws, or one speaker."""
    size, left, right = speaker_rows(part.enrol, part.test, part.is_target)
    if not replicates or size < 2:
        return {}
    weights = drawn_weights(size, replicates, part.seed)
    trials = sort_trials(part.scores, part.is_target, left, right)
    draws = weighted_figures(trials, weights, points)
    if llr:
        draws |= weighted_llr_figures(part.scores, part.is_target, left, right, weights, points)
    return draws


def figure_intervals(
    values: Mapping, drawn: Mapping[str, np.ndarray], points: Mapping[str, float]
) -> dict[str, list[float] | None]:
    """``<figure>_interval`` -> [low, high]; None without draws, or if it is not valid."""
    intervals: dict[str, list[float] | None] = {}
    for name, (measure, prior) in interval_measures(points).items():
        intervals[f"{name}_interval"] = None
        reason = why_no_interval(measure, values["speakers"], values["eer_percent"], prior)
        if name not in drawn or reason:
            continue
        unit, value = 1, values[name]
        if name == "eer_percent":
            unit, value = 100, values[name] / 100
        bounded = not name.startswith(("cllr", "act_dcf"))
        if bounded:
            value = min(value, 1)
        draws, floor = drawn[name] / unit, 0.5 / values["targets"]
        ends = interval(value, draws, values["speakers"], floor=floor, bounded=bounded)
        if ends:
            digits = DIGITS.get(name, 6)
            intervals[f"{name}_interval"] = [round(unit * end, digits) for end in ends]
    return intervals


def interval_measures(points: Mapping[str, float]) -> dict[str, tuple[str, float | None]]:
    """Figures that can have intervals: name -> measure of `why_no_interval`, and prior."""
    measures: dict[str, tuple[str, float | None]] = {"eer_percent": ("eer", None)}
    for kind in ("min", "act"):
        for point, prior in points.items():
            measures[f"{kind}_dcf_{point}"] = kind, prior
    measures["cllr"] = "cllr", None
    return measures


def why_none(
    values: Mapping, drawn: Mapping[str, np.ndarray], points: Mapping[str, float]
) -> dict[str, str]:
    """Figure -> why it has no interval although it has draws."""
    reasons: dict[str, str] = {}
    for name, (measure, prior) in interval_measures(points).items():
        if name in drawn and values[f"{name}_interval"] is None:
            reason = why_no_interval(measure, values["speakers"], values["eer_percent"], prior)
            reasons[name] = reason or "its draws do not vary"
    return reasons


def make_curves(
    tests: TrialSet,
    scores: np.ndarray,
    llr: bool,
    drawing: Drawing,
    chosen: tuple[str, Thresholds] | None = None,
) -> dict:
    """An entry of curves.json: the data of the plots and tables of one score file.

    DET curve with its band, error rates by threshold, decisions, histograms, calibration plot and
    worst trials.

    ``chosen`` are thresholds, and the name of the set that they were chosen on; None: they are
    chosen on these trials.  Log-likelihood ratios always have Bayes' thresholds.
    """
    target, nontarget = sorted_scores(scores[tests.is_target], scores[~tests.is_target])
    thresholds, targets, nontargets = counts_below(target, nontarget)
    miss, false_alarm = targets / targets[-1], 1 - nontargets / nontargets[-1]
    rates = thresholds, miss, false_alarm
    shown = det_positions(miss, false_alarm)
    edges, target_share, nontarget_share = histogram(target, nontarget)
    columns = {
        "miss": miss[shown],
        "false_alarm": false_alarm[shown],
        "edges": edges,
        "target_share": target_share,
        "nontarget_share": nontarget_share,
    }
    size, left, right = speaker_rows(*tests.speakers, tests.is_target)
    eer = 100 * equal_error_rate(target, nontarget)
    if drawing.replicates and not why_no_interval("eer", size, eer):
        trials = sort_trials(scores, tests.is_target, left, right)
        replicates = min(drawing.replicates, REPLICATES_OF_BANDS)
        weights = drawn_weights(size, replicates, drawing.seed)
        columns |= _band(trials, weights, rates, targets + nontargets)
    if llr:
        columns["said"], columns["found"] = calibration_points(target, nontarget)
    entry: dict = {name: rounded(values) for name, values in columns.items()}
    entry["rates"] = [rounded(row) for row in rate_table(*rates)]
    if chosen is None:
        chosen = tests.name, cheapest_thresholds(rates, drawing.points)
    chosen_on: str | None
    cheapest: Thresholds | None
    chosen_on, cheapest = chosen
    if llr:
        chosen_on, cheapest = None, None
    entry["decisions"] = decisions_at(scores, tests.is_target, drawing.points, cheapest, chosen_on)
    entry["worst"] = worst_trials(tests, scores)
    return entry


def _band(
    trials: SortedTrials, weights: np.ndarray, rates: Rates, num_below: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of the band of a DET curve; ``num_below`` are the trials below each threshold."""
    from scipy.special import stdtrit

    _, miss, false_alarm = rates
    positions = det_positions(miss, false_alarm, BAND_POINTS)
    if len(positions) < 2:
        return {}
    drawn = weighted_rates(trials, weights, num_below[positions])
    num_targets = int(trials.is_target.sum())
    floor = 0.5 / min(num_targets, len(trials.is_target) - num_targets)
    num_speakers = len(weights) - 1
    reach = float(stdtrit(num_speakers - 1, 0.975))
    low, high = miss_band(miss[positions], false_alarm[positions], *drawn, reach, floor)
    return {"band_false_alarm": false_alarm[positions], "band_low": low, "band_high": high}


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers with 6 significant digits."""
    return [float(f"{value:.6g}") for value in values]


def worst_trials(tests: TrialSet, scores: np.ndarray) -> dict[str, list]:
    """Targets with the lowest and nontargets with the highest scores, [enrol, test, score] each."""
    worst: dict[str, list] = {}
    for kind, chosen, sign in (
        ("targets", tests.is_target, 1),
        ("nontargets", ~tests.is_target, -1),
    ):
        rows = np.flatnonzero(chosen)
        first = rows[np.argsort(sign * scores[rows], kind="stable")[:WORST_TRIALS]]
        worst[kind] = []
        for row, score in zip(first, rounded(scores[first]), strict=True):
            worst[kind].append([tests.enrol[row], tests.test[row], score])
    return worst
