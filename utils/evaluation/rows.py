"""From the scores of systems to the rows of results.json and what the report draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.evaluation.decisions import Thresholds, cheapest_thresholds, decisions_at
from utils.evaluation.sets import System, TrialSet
from utils.metrics.bootstrap import (
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
from utils.metrics.summary import evaluate as figures_of

REPLICATES_OF_SUBSETS = 200  # a standard deviation needs no more
REPLICATES_OF_BANDS = 200
BAND_POINTS = 60
WORST_TRIALS = 20
# after the point, of figures and of the ends of their intervals; of others 6
DIGITS = {"eer_percent": 4, "eer_hull_percent": 4, "eer_kaldi_percent": 4}


@dataclass(frozen=True)
class Evaluated:
    """Systems on one list of trials.

    Attributes
    ----------
    rows, curves, differences : lists of dict
        Of results.json, curves.json and differences.json.
    """

    rows: list[dict]
    curves: list[dict]
    differences: list[dict]


@dataclass(frozen=True)
class Drawing:
    """How intervals are made.

    Parameters
    ----------
    replicates : int
        Draws of the speakers; 0 for no intervals.
    seed : int
        Of the draws.
    points : mapping of str to float
        Effective prior of each operating point, by its name.
    """

    replicates: int = 1000
    seed: int = 0
    points: Mapping[str, float] = field(default_factory=lambda: USUAL)


@dataclass
class Figures:
    """Figures of a list of trials, and the same figures under draws of its speakers.

    Attributes
    ----------
    values : dict
        A row of results.json, without its first columns.
    draws : dict of str to (R,) float array
        Replicates of those that have intervals; empty where none were drawn.
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


def drawing_of(replicates: int, seed: int, points: str | None, least: int = 0) -> Drawing:
    """How intervals are made, from the options of a step.

    Parameters
    ----------
    replicates, seed, points : int, int, str or None
        Options ``replicates``, ``seed`` and ``operating_points``.
    least : int
        Lowest number of draws; 0 means none at all.

    Raises
    ------
    UserError
        The number of draws is too low, or an operating point is none.
    """
    if replicates < least or replicates < 0 or replicates == 1:
        none = "" if least else "0 (no intervals) or "
        raise UserError(f"--replicates: {replicates}, expected {none}at least 2 draws")
    return Drawing(replicates, seed, operating_points(points))


def rows_of(
    system: System, folds: Sequence[TrialSet], drawing: Drawing
) -> tuple[list[dict], Figures]:
    """Rows of results.json of one system on one set, or on the mean of folds, and the figures of the whole list.

    Parameters
    ----------
    system : System
        From `read_system`.
    folds : sequence of TrialSet
        Its trials.
    drawing : Drawing
        How intervals are made.
    """
    found = figures_of_subsets(folds, system.scores, system.llr, drawing)
    said = {"centred": system.centred, "watermarks": system.watermarks}
    rows = [
        {**system.head, "subset": subset, **figures.values, **said}
        for subset, figures in found.items()
    ]
    return rows, found["all"]


def figures_of_subsets(
    folds: Sequence[TrialSet], scores: Sequence[np.ndarray], llr: bool, drawing: Drawing
) -> dict[str, Figures]:
    """Figures and intervals of each subset of the trials.

    Parameters
    ----------
    folds : sequence of TrialSet
        The trials: one list, or several without common speakers, over which figures are averaged.
    scores : sequence of (N,) float arrays
        One per trial of each.
    llr : bool
        They are log-likelihood ratios.
    drawing : Drawing
        How intervals are made.

    Returns
    -------
    dict of str to Figures
        Subset -> `utils.metrics.summary.evaluate`'s figures, ``speakers``, ``<figure>_interval``: [low, high] or None.  A subset with trials of
        one class only has its counts and no figures.
    """
    found: dict[str, Figures] = {}
    for subset in dict.fromkeys(subset for fold in folds for subset in fold.subsets):
        parts = [
            part_of(fold, values, subset, drawing.seed + number)
            for number, (fold, values) in enumerate(zip(folds, scores, strict=True))
        ]
        replicates = drawing.replicates
        if subset != "all":
            replicates = min(replicates, REPLICATES_OF_SUBSETS)
        empty = dict.fromkeys(found["all"].values) if found else {}
        found[subset] = mean_figures(parts, llr, replicates, drawing.points, empty)
    return found


def part_of(tests: TrialSet, scores: np.ndarray, subset: str, seed: int) -> Part:
    """The trials of a subset; none where the set has no such subset.

    Parameters
    ----------
    tests : TrialSet
        All trials.
    scores : (N,) float array
        One per trial.
    subset : str
        Its name.
    seed : int
        Of its draws.
    """
    member = tests.subsets.get(subset, np.zeros(len(scores), bool))
    enrol, test = tests.speakers
    return Part(scores[member], tests.is_target[member], enrol[member], test[member], seed)


def mean_figures(
    parts: Sequence[Part], llr: bool, replicates: int, points: Mapping[str, float], empty: Mapping
) -> Figures:
    """Figures of some lists of trials, averaged over those that have both classes.

    Parameters
    ----------
    parts : sequence of Part
        The lists; no speaker is in two of them.
    llr : bool
        Scores are log-likelihood ratios.
    replicates : int
        Number of draws.
    points : mapping of str to float
        As in `Drawing`.
    empty : mapping
        A row without figures, for where there are none.
    """
    used = [part for part in parts if 0 < part.is_target.sum() < len(part.is_target)]
    each = [
        figures_of(
            part.scores[part.is_target], part.scores[~part.is_target], llr=llr, points=points
        )
        for part in used
    ]
    draws = [draws_of(part, llr, replicates, points) for part in used]
    drawn: dict[str, np.ndarray] = {}
    if draws and all(draws):
        drawn = {name: np.mean([found[name] for found in draws], axis=0) for name in draws[0]}
    values: dict = dict(empty)
    for name in each[0] if each else ():
        values[name] = mean_figure(name, [figures[name] for figures in each])
    counted = used or parts
    targets = sum(int(part.is_target.sum()) for part in counted)
    trials = sum(len(part.is_target) for part in counted)
    speakers = sum(len(np.unique(np.concatenate([part.enrol, part.test]))) for part in counted)
    values |= {"targets": targets, "nontargets": trials - targets, "speakers": speakers}
    if used:
        values |= intervals_of(values, drawn, points)
        values["no_interval"] = why_none(values, drawn, points)
    return Figures(values, drawn)


def mean_figure(name: str, column: Sequence[float | None]) -> float | None:
    """Mean of one figure over several lists; None where one of them has none.

    Parameters
    ----------
    name : str
        The figure, which says how far it is rounded.
    column : sequence of float or None
        Of each list.
    """
    known = [value for value in column if value is not None]
    if len(known) < len(column):
        return None
    return round(float(np.mean(known)), DIGITS.get(name, 6))


def draws_of(
    part: Part, llr: bool, replicates: int, points: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Figures under draws of the speakers; empty where there are none to draw, or one speaker only.

    Parameters
    ----------
    part : Part
        The trials, of both classes.
    llr, replicates, points
        As for `mean_figures`.
    """
    size, left, right = speaker_rows(part.enrol, part.test, part.is_target)
    if not replicates or size < 2:
        return {}
    weights = drawn_weights(size, replicates, part.seed)
    trials = sort_trials(part.scores, part.is_target, left, right)
    found = weighted_figures(trials, weights, points)
    if llr:
        found |= weighted_llr_figures(part.scores, part.is_target, left, right, weights, points)
    return found


def intervals_of(
    values: Mapping, drawn: Mapping[str, np.ndarray], points: Mapping[str, float]
) -> dict[str, list[float] | None]:
    """Intervals of the figures that have one; None where they were not drawn, and where one would mean nothing.

    Parameters
    ----------
    values : mapping
        Figures, and ``targets`` and ``speakers``.
    drawn : mapping of str to (R,) float array
        Their replicates.
    points : mapping of str to float
        As in `Drawing`.
    """
    found: dict[str, list[float] | None] = {}
    for name, (measure, prior) in measures_of(points).items():
        unit = 100 if name == "eer_percent" else 1
        bounded = not name.startswith(("cllr", "act_dcf"))
        ends: tuple[float, float] | None = None
        told = why_no_interval(measure, values["speakers"], values["eer_percent"], prior)
        if name in drawn and not told:
            ends = interval(
                min(values[name] / unit, 1) if bounded else values[name],
                drawn[name] / unit,
                values["speakers"],
                floor=0.5 / values["targets"],
                bounded=bounded,
            )
        digits = DIGITS.get(name, 6)
        found[f"{name}_interval"] = ends and [round(unit * end, digits) for end in ends]
    return found


def measures_of(points: Mapping[str, float]) -> dict[str, tuple[str, float | None]]:
    """Figures that have intervals -> what `why_no_interval` calls them, and their priors.

    Parameters
    ----------
    points : mapping of str to float
        As in `Drawing`.
    """
    found: dict[str, tuple[str, float | None]] = {"eer_percent": ("eer", None)}
    for kind in ("min", "act"):
        found |= {f"{kind}_dcf_{point}": (kind, prior) for point, prior in points.items()}
    return found | {"cllr": ("cllr", None)}


def why_none(
    values: Mapping, drawn: Mapping[str, np.ndarray], points: Mapping[str, float]
) -> dict[str, str]:
    """Why figures have no interval, in a few words; of those that were drawn.

    Parameters
    ----------
    values : mapping
        Figures, their intervals, and ``speakers``.
    drawn, points : mappings
        As of `intervals_of`.
    """
    told: dict[str, str] = {}
    for name, (measure, prior) in measures_of(points).items():
        if name in drawn and values[f"{name}_interval"] is None:
            reason = why_no_interval(measure, values["speakers"], values["eer_percent"], prior)
            told[name] = reason or "its draws do not vary"
    return told


def curves_of(
    tests: TrialSet,
    scores: np.ndarray,
    llr: bool,
    drawing: Drawing,
    chosen: tuple[str, Thresholds] | None = None,
) -> dict:
    """DET curve with its band, error rates by threshold, decisions, histograms, calibration and the worst trials of one score file.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    scores : (N,) float array
        One per trial.
    llr : bool
        They are log-likelihood ratios.
    drawing : Drawing
        How the band is made.
    chosen : (str, mapping of str to float), optional
        Name of the set that thresholds were chosen on, and these; None: they are chosen on the
        trials themselves.  Log-likelihood ratios have Bayes' thresholds whatever is chosen.
    """
    target, nontarget = sorted_scores(scores[tests.is_target], scores[~tests.is_target])
    thresholds, targets, nontargets = counts_below(target, nontarget)
    miss, false_alarm = targets / targets[-1], 1 - nontargets / nontargets[-1]
    fine, coarse = (det_positions(miss, false_alarm, points) for points in (300, BAND_POINTS))
    edges, target_share, nontarget_share = histogram(target, nontarget)
    columns = {
        "miss": miss[fine],
        "false_alarm": false_alarm[fine],
        "edges": edges,
        "target_share": target_share,
        "nontarget_share": nontarget_share,
    }
    size, left, right = speaker_rows(*tests.speakers, tests.is_target)
    eer = 100 * equal_error_rate(target, nontarget)
    means_something = not why_no_interval("eer", size, eer)
    if drawing.replicates and means_something and len(coarse) > 1:
        from scipy.special import stdtrit

        replicates = min(drawing.replicates, REPLICATES_OF_BANDS)
        drawn_miss, drawn_false_alarm = weighted_rates(
            sort_trials(scores, tests.is_target, left, right),
            drawn_weights(size, replicates, drawing.seed),
            (targets + nontargets)[coarse],
        )
        low, high = miss_band(
            miss[coarse],
            false_alarm[coarse],
            drawn_miss,
            drawn_false_alarm,
            float(stdtrit(size - 1, 0.975)),
            0.5 / min(len(target), len(nontarget)),
        )
        columns |= {"band_false_alarm": false_alarm[coarse], "band_low": low, "band_high": high}
    if llr:
        columns["said"], columns["found"] = calibration_points(target, nontarget)
    rates = [
        [float(f"{value:.6g}") for value in row]
        for row in rate_table(thresholds, miss, false_alarm)
    ]
    if chosen is None:
        costs_least = cheapest_thresholds((thresholds, miss, false_alarm), drawing.points)
        chosen = (tests.name, costs_least)
    where, least = (None, None) if llr else chosen
    decisions = decisions_at(scores, tests.is_target, drawing.points, least, where)
    return {
        name: [float(f"{value:.6g}") for value in values] for name, values in columns.items()
    } | {"rates": rates, "decisions": decisions, "worst": worst_trials(tests, scores)}


def worst_trials(tests: TrialSet, scores: np.ndarray) -> dict[str, list]:
    """Target trials of the lowest and non-target trials of the highest scores, as [enrol, test, score], the worst first.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    scores : (N,) float array
        One per trial.
    """
    worst = {}
    for kind, chosen, sign in (
        ("targets", tests.is_target, 1),
        ("nontargets", ~tests.is_target, -1),
    ):
        rows = np.flatnonzero(chosen)
        first = rows[np.argsort(sign * scores[rows], kind="stable")[:WORST_TRIALS]]
        worst[kind] = [
            [tests.enrol[row], tests.test[row], float(f"{scores[row]:.6g}")] for row in first
        ]
    return worst
