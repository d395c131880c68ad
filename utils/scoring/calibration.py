"""Calibration and fusion: an affine map of scores that makes them log-likelihood ratios.

    llr = offset + sum over features of weight x feature

The features are the scores of one system, or of several (fusion), and quality measures of the two
sides.  The weights minimise the cross-entropy of the posteriors at a stated prior, which at a prior
of 1/2 is Cllr.  Where scores separate the classes, ever larger weights are better: a small ridge on
the weights of the standardised features keeps them finite.

References
----------
Brummer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
Language 20, 2006.
Brummer et al., "Fusion of heterogeneous speaker recognition systems in the STBU submission for the
NIST SRE 2006", IEEE TASLP 15, 2007.
Garcia-Romero et al., "Magneto: x-vector magnitude estimation network plus offset for improved
speaker recognition", Odyssey 2020 (quality measures).
"""

import warnings
from collections.abc import Sequence

import numpy as np

RIDGE = 1e-6  # of the cross-entropy in bits: moves the weights of ordinary data by less than 0.1 %
TOLERANCE = 1e-14  # of the gradient: the default, 1e-4, moves an offset by 0.6 at a prior of 0.01
LARGEST_GRADIENT = 1e-6


def train_calibration(
    features: np.ndarray, is_target: np.ndarray, p_target: float = 0.5
) -> tuple[np.ndarray, float]:
    """Weights (F,) and offset of the affine map of (N, F) features, trained at a target prior.

    The share of targets in the list changes nothing: each class weighs as its prior.
    Raises ValueError for trials of one class, a feature that is not finite or does not vary, and a
    prior outside (0, 1).
    """
    features, is_target = np.asarray(features, np.float64), np.asarray(is_target, bool)
    check_training(features, is_target, p_target)
    share = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    mean = share @ features
    spread = np.sqrt(share @ np.square(features - mean))
    standardised = (features - mean) / spread
    weights, intercept = _fit_logistic(standardised, is_target, share / entropy(p_target))
    weights = weights / spread
    log_odds = np.log(p_target) - np.log1p(-p_target)  # of the prior, which the intercept includes
    return weights, float(intercept - log_odds - weights @ mean)


def _fit_logistic(
    features: np.ndarray, is_target: np.ndarray, trial_weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Weights and intercept of a ridge logistic regression; ValueError if it does not converge."""
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the solver: the gradient below decides
        model.fit(features, is_target, sample_weight=trial_weights)
    weights, intercept = model.coef_[0], float(model.intercept_[0])
    errors = trial_weights * (expit(features @ weights + intercept) - is_target)
    gradient = np.append(errors @ features + RIDGE * weights, errors.sum())
    largest = np.abs(gradient).max()
    if not largest < LARGEST_GRADIENT:
        raise ValueError(
            f"the weights did not converge: gradient {largest:.1e}, expected less than "
            f"{LARGEST_GRADIENT:.0e}"
        )
    return weights, intercept


def check_training(features: np.ndarray, is_target: np.ndarray, p_target: float) -> None:
    """ValueError for training trials that no calibration can be learned from."""
    if not 0 < p_target < 1:
        raise ValueError(f"p_target is {p_target}, expected a prior in (0, 1)")
    if is_target.all() or not is_target.any():
        raise ValueError(
            f"{is_target.sum()} target and {(~is_target).sum()} nontarget trials; "
            "calibration needs both"
        )
    if not np.isfinite(features).all():
        raise ValueError("a feature is not a finite number")
    constant = np.flatnonzero(np.ptp(features, axis=0) <= 1e-12 * np.abs(features).max(axis=0))
    if len(constant):
        raise ValueError(f"feature {constant[0]} is the same in all trials: nothing to learn from")


def entropy(p_target: float) -> float:
    """Entropy of a prior in nats: the cross-entropy of a system that always answers the prior."""
    return float(-p_target * np.log(p_target) - (1 - p_target) * np.log1p(-p_target))


def cross_entropy(llr: np.ndarray, is_target: np.ndarray, p_target: float = 0.5) -> float:
    """Cross-entropy of posteriors at a prior, divided by the prior's entropy; at 1/2 it is Cllr."""
    log_odds = np.log(p_target) - np.log1p(-p_target)
    miss = np.logaddexp(0, -(llr[is_target] + log_odds)).mean()
    false_alarm = np.logaddexp(0, llr[~is_target] + log_odds).mean()
    return float((p_target * miss + (1 - p_target) * false_alarm) / entropy(p_target))


def is_separable(llr: np.ndarray, is_target: np.ndarray) -> bool:
    """True if a threshold makes no error, so that only the ridge bounds the weights."""
    return bool(llr[is_target].min() > llr[~is_target].max())


def quality_features(enrol: np.ndarray, test: np.ndarray, combine: Sequence[str]) -> np.ndarray:
    """One quality measure of both sides (N,) as features of the trial, (N, len(combine)) float64.

    Of ``min``, ``max`` and ``difference`` (max - min); any two hold all that a linear map can use.
    The order of the sides changes nothing.
    """
    low = np.minimum(enrol, test).astype(np.float64)
    high = np.maximum(enrol, test).astype(np.float64)
    features = {"min": low, "max": high, "difference": high - low}
    return np.stack([features[name] for name in combine], axis=1)
