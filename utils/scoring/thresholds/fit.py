"""One fit of a threshold to scored trials: with a log-likelihood ratio, or of the score alone.

The ratio is offset + slope x score.  Offset, or both, minimise the weighted cross-entropy at a
prior of 1/2 (Brummer and du Preez, 2006), by Newton's method; the threshold follows from prior and
costs.  Without a ratio the threshold is the one of lowest cost on these trials, in the middle of
the range that has it.
"""

from dataclasses import dataclass

import numpy as np

from utils.metrics.llr import bayes_threshold
from utils.scoring.thresholds.files import Calibration

MOST_STEPS = 100
BINS = 4096  # of scores, for each class: a bin's mean stands for its scores
SMALL_GRADIENT = 1e-9


@dataclass(frozen=True)
class Rule:
    """How a threshold is fitted: at an effective prior, to a ratio of given or of fitted slope."""

    prior: float
    slope: float | None  # the model's; None: it has none
    fits_slope: bool  # whether there are enough speakers

    def has_ratio(self) -> bool:
        """Whether the fit gives a log-likelihood ratio where the classes overlap."""
        return self.fits_slope or self.slope is not None


@dataclass(frozen=True)
class Fitted:
    """The lowest score that is accepted, and the ratio behind it, if there is one."""

    threshold: float
    calibration: Calibration | None


def fit(scores: np.ndarray, is_target: np.ndarray, weights: np.ndarray, rule: Rule) -> Fitted:
    """The threshold of weighted trials (T,); each class weighs as the rule's prior says."""
    overlaps = scores[is_target].min() <= scores[~is_target].max()
    if rule.has_ratio() and overlaps and np.ptp(scores) > 0:
        slope = rule.slope
        if rule.fits_slope:
            slope = None
        calibration = fit_calibration(scores, is_target, weights, slope)
        if calibration.slope > 0:
            threshold = (bayes_threshold(rule.prior) - calibration.offset) / calibration.slope
            return Fitted(threshold, calibration)
    return Fitted(cheapest_threshold(scores, is_target, weights, rule.prior), None)


def fit_calibration(
    scores: np.ndarray, is_target: np.ndarray, weights: np.ndarray, slope: float | None
) -> Calibration:
    """The affine map to log-likelihood ratios; with a given slope the offset alone.

    The classes must overlap where the slope is fitted: otherwise it has no largest value.
    """
    if len(scores) > 2 * BINS:
        scores, is_target, weights = _binned(scores, is_target, weights)
    share = weights.copy()
    for member in (is_target, ~is_target):
        share[member] /= 2 * share[member].sum()
    centre = share @ scores
    spread = np.sqrt(share @ np.square(scores - centre))
    standard = (scores - centre) / spread
    sign = np.where(is_target, -1.0, 1.0)
    parameters = np.array([0.0, 1.0])
    if slope is not None:
        parameters[1] = slope * spread
    free = slice(0, 2 if slope is None else 1)
    design = np.stack([np.ones_like(standard), standard])[free]

    def cost(values: np.ndarray) -> float:
        return float(share @ np.logaddexp(0, sign * (values[0] + values[1] * standard)))

    lowest = cost(parameters)
    for _ in range(MOST_STEPS):
        wrong = _sigmoid(sign * (parameters[0] + parameters[1] * standard))
        gradient = design @ (share * sign * wrong)
        if np.abs(gradient).max() < SMALL_GRADIENT:
            break
        curvature = (design * (share * wrong * (1 - wrong))) @ design.T
        curvature[np.diag_indices(len(gradient))] += 1e-12
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature, gradient)
        tried = cost(parameters - step)
        while not tried <= lowest and np.abs(step).max() > 1e-12:
            step /= 2
            tried = cost(parameters - step)
        parameters, lowest = parameters - step, tried
    fitted_slope = parameters[1] / spread
    return Calibration(float(parameters[0] - fitted_slope * centre), float(fitted_slope))


def _binned(
    scores: np.ndarray, is_target: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, classes and weights of the bins that hold trials: a fit to them is as good."""
    low, width = scores.min(), np.ptp(scores) / BINS
    place = np.minimum(((scores - low) / width).astype(np.int64), BINS - 1)
    place += BINS * is_target
    total = np.bincount(place, weights, 2 * BINS)
    used = np.flatnonzero(total)
    means = np.bincount(place, weights * scores, 2 * BINS)[used] / total[used]
    return means, used >= BINS, total[used]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-values)), without overflow."""
    from scipy.special import expit

    return expit(values)


def cheapest_threshold(
    scores: np.ndarray, is_target: np.ndarray, weights: np.ndarray, prior: float
) -> float:
    """The threshold of lowest cost, in the middle of the scores that have it.

    Infinite where accepting nothing, or everything, costs least.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    each = weights[order]
    miss = np.append(0, np.cumsum(each * is_target[order])) / weights[is_target].sum()
    rejected = np.append(0, np.cumsum(each * ~is_target[order])) / weights[~is_target].sum()
    cost = prior * miss + (1 - prior) * (1 - rejected)
    between = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])  # not among ties
    cost[~between] = np.inf
    best = np.flatnonzero(cost <= cost.min() + 1e-12)
    low, high = best[0], best[-1]
    edges = np.concatenate([[-np.inf], ordered, [np.inf]])
    return float((edges[low] + edges[high + 1]) / 2)
