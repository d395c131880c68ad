"""Calibration and fusion: an affine map of scores that makes them log-likelihood ratios.

    llr = offset + sum over features of weight x feature

The features are the scores of one system, or of several (fusion), and quality measures of the two sides.  The weights minimise the
cross-entropy of the posteriors at a stated prior, which at a prior of 1/2 is Cllr.  Scores that separate the classes have no best weights
(ever larger ones are better): a ridge on the weights of standardised features bounds them, and is too small to show otherwise.

References
----------
Brummer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language 20, 2006.
Brummer et al., "Fusion of heterogeneous speaker recognition systems in the STBU submission for the NIST SRE 2006", IEEE TASLP 15, 2007.
Garcia-Romero et al., "Magneto: x-vector magnitude estimation network plus offset for improved speaker recognition", Odyssey 2020 (quality measures).
"""

from collections.abc import Sequence

import numpy as np

RIDGE = 1e-6  # of the cross-entropy in bits: shifts the weights of ordinary data by less than 1 in 1,000
LARGEST_GRADIENT = 1e-6


def train_calibration(
    features: np.ndarray, is_target: np.ndarray, p_target: float = 0.5
) -> tuple[np.ndarray, float]:
    """Weights and offset of the affine map.

    Parameters
    ----------
    features : (N, F) float array
        Of each trial.
    is_target : (N,) bool array
        Whether the two sides are the same speaker.
    p_target : float
        Prior at which the posteriors are judged, in (0, 1); whatever the share of targets in the list.

    Returns
    -------
    weights, offset : (F,) float64 array, float

    Raises
    ------
    ValueError
        Trials of one class, a feature that is not finite or does not vary, or a prior outside (0, 1).
    """
    from scipy.optimize import minimize

    features, is_target = np.asarray(features, np.float64), np.asarray(is_target, bool)
    check_training(features, is_target, p_target)
    share = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    mean = (
        share @ features
    )  # weighted as the cost is: the result does not depend on the share of targets in the list
    spread = np.sqrt(share @ np.square(features - mean))
    standardised = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    signs, prior = np.where(is_target, -1.0, 1.0), np.log(p_target) - np.log1p(-p_target)
    bits = share / entropy(p_target)

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        argument = signs * (standardised @ weights + prior)
        decay = np.exp(
            -np.abs(argument)
        )  # one exponential for log(1 + exp(argument)) and for its slope
        losses, slopes = (
            np.maximum(argument, 0) + np.log1p(decay),
            np.where(argument > 0, 1, decay) / (1 + decay),
        )
        ridge = np.append(RIDGE * weights[:-1], 0.0)
        return float(bits @ losses + ridge @ weights / 2), (
            bits * signs * slopes
        ) @ standardised + ridge

    found = minimize(
        cost,
        np.zeros(standardised.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 0.0, "gtol": 1e-10},
    )
    if not np.abs(cost(found.x)[1]).max() < LARGEST_GRADIENT:
        raise ValueError(f"the weights did not settle: {found.message}")
    weights = found.x[:-1] / spread
    return weights, float(found.x[-1] - weights @ mean)


def check_training(features: np.ndarray, is_target: np.ndarray, p_target: float) -> None:
    """Refuse what nothing can be learned from.

    Parameters
    ----------
    features : (N, F) float64 array
        Of each trial.
    is_target : (N,) bool array
        Their classes.
    p_target : float
        Prior.

    Raises
    ------
    ValueError
        As `train_calibration`.
    """
    if not 0 < p_target < 1:
        raise ValueError(f"p_target is {p_target}, expected a prior in (0, 1)")
    if is_target.all() or not is_target.any():
        raise ValueError(
            f"{is_target.sum()} target and {(~is_target).sum()} nontarget trials; calibration needs both"
        )
    if not np.isfinite(features).all():
        raise ValueError("a feature is not a finite number")
    flat = np.flatnonzero(np.ptp(features, axis=0) <= 1e-12 * np.abs(features).max(axis=0))
    if len(flat):
        raise ValueError(f"feature {flat[0]} is the same in all trials: nothing to learn from")


def entropy(p_target: float) -> float:
    """Of a prior, in nats: what saying nothing costs.

    Parameters
    ----------
    p_target : float
        In (0, 1).
    """
    return float(-p_target * np.log(p_target) - (1 - p_target) * np.log1p(-p_target))


def cross_entropy(llr: np.ndarray, is_target: np.ndarray, p_target: float = 0.5) -> float:
    """Cost of posteriors at a prior, divided by that of saying nothing; at 1/2 it is Cllr.

    Parameters
    ----------
    llr : (N,) float array
        Log-likelihood ratios, natural logarithms.
    is_target : (N,) bool array
        Classes.
    p_target : float
        Prior, in (0, 1).
    """
    prior = np.log(p_target) - np.log1p(-p_target)
    miss = np.logaddexp(0, -(llr[is_target] + prior)).mean()
    false_alarm = np.logaddexp(0, llr[~is_target] + prior).mean()
    return float((p_target * miss + (1 - p_target) * false_alarm) / entropy(p_target))


def is_separable(llr: np.ndarray, is_target: np.ndarray) -> bool:
    """True when a threshold makes no error, so that only the ridge kept the weights from growing.

    Parameters
    ----------
    llr : (N,) float array
        Calibrated scores of the training trials.
    is_target : (N,) bool array
        Classes.
    """
    return bool(llr[is_target].min() > llr[~is_target].max())


def quality_features(enrol: np.ndarray, test: np.ndarray, combine: Sequence[str]) -> np.ndarray:
    """Quality measures of both sides as features of the trial, which do not depend on the order of the sides.

    Parameters
    ----------
    enrol, test : (N,) float arrays
        One measure of both sides of each trial.
    combine : sequence of str
        Of ``min``, ``max``, ``difference`` (the larger minus the smaller: any two of the three say all that a linear map can use).

    Returns
    -------
    (N, len(combine)) float64 array
    """
    low, high = (
        np.minimum(enrol, test).astype(np.float64),
        np.maximum(enrol, test).astype(np.float64),
    )
    table = {"min": low, "max": high, "difference": high - low}
    return np.stack([table[name] for name in combine], axis=1)
