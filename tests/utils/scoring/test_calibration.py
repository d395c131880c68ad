"""Calibration: known maps, the optimum, properties, degenerate lists, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from tests.conftest import ROOT
from utils.metrics.llr import cllr, min_cllr
from utils.scoring.calibration import (
    RIDGE,
    cross_entropy,
    is_separable,
    quality_features,
    train_calibration,
)


def simulated_llrs(rng, num_targets, num_nontargets, separation=6.0):
    """Scores that are their own log-likelihood ratios (Peterson et al. 1954).

    Targets are Normal(+m/2, m), nontargets Normal(-m/2, m), with m the separation.
    """
    llr = rng.normal(0, separation**0.5, num_targets + num_nontargets)
    is_target = np.arange(len(llr)) < num_targets
    return llr + np.where(is_target, separation / 2, -separation / 2), is_target


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0.0), (0.04, 0.7), (25.0, -300.0)])
@pytest.mark.parametrize("p_target", [0.01, 0.5, 0.9])
def test_a_known_affine_map_is_undone(gain, shift, p_target):
    llr, is_target = simulated_llrs(np.random.default_rng(1), 60_000, 200_000)
    scores = gain * llr + shift
    weights, offset = train_calibration(scores[:, None], is_target, p_target)
    print(f"gain {weights[0] * gain:.4f} (1), shift {offset + weights[0] * shift:.4f} (0)")
    assert weights[0] * gain == pytest.approx(1, abs=0.05)
    assert offset + weights[0] * shift == pytest.approx(0, abs=0.1)


def test_cllr_falls_nearly_to_min_cllr_on_trials_of_others():
    rng = np.random.default_rng(2)
    dev, dev_is_target = simulated_llrs(rng, 5_000, 50_000)
    test, is_target = simulated_llrs(rng, 5_000, 50_000)
    weights, offset = train_calibration(0.03 * dev[:, None] + 0.5, dev_is_target)
    raw, calibrated = 0.03 * test + 0.5, weights[0] * (0.03 * test + 0.5) + offset
    before = cllr(raw[is_target], raw[~is_target])
    after = cllr(calibrated[is_target], calibrated[~is_target])
    least = min_cllr(raw[is_target], raw[~is_target])
    print(f"Cllr {before:.4f} -> {after:.4f}, minCllr {least:.4f}")
    assert before > 0.8
    assert least <= after < 1.02 * least


def test_the_cost_is_cllr_at_a_prior_of_one_half():
    llr, is_target = simulated_llrs(np.random.default_rng(3), 200, 900)
    assert cross_entropy(llr, is_target) == pytest.approx(
        cllr(llr[is_target], llr[~is_target]), rel=1e-12
    )


@pytest.mark.parametrize("p_target", [0.01, 0.3])
def test_the_cost_equals_a_slow_obvious_loop(p_target):
    llr, is_target = simulated_llrs(np.random.default_rng(4), 20, 90, separation=2.0)
    posterior = [1 / (1 + (1 - p_target) / p_target * np.exp(-value)) for value in llr]
    miss = np.mean([-np.log(p) for p, yes in zip(posterior, is_target, strict=True) if yes])
    false_alarm = np.mean(
        [-np.log(1 - p) for p, yes in zip(posterior, is_target, strict=True) if not yes]
    )
    nothing = -p_target * np.log(p_target) - (1 - p_target) * np.log(1 - p_target)
    assert cross_entropy(llr, is_target, p_target) == pytest.approx(
        (p_target * miss + (1 - p_target) * false_alarm) / nothing
    )


@settings(max_examples=25)
@given(
    st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.sampled_from([0.01, 0.5])
)
def test_affine_maps_of_the_scores_and_the_order_of_trials_change_no_calibrated_score(
    seed, gain, shift, p_target
):
    rng = np.random.default_rng(seed)
    scores, is_target = simulated_llrs(rng, 60, 200, separation=3.0)
    assume(not is_separable(scores, is_target))

    def calibrated(features, classes):
        weights, offset = train_calibration(features, classes, p_target)
        return features @ weights + offset

    plain = calibrated(scores[:, None], is_target)
    assert calibrated(gain * scores[:, None] + shift, is_target) == pytest.approx(
        plain, abs=1e-3, rel=1e-4
    )
    order = rng.permutation(len(scores))
    assert calibrated(scores[order, None], is_target[order]) == pytest.approx(
        plain[order], abs=1e-3, rel=1e-4
    )


def standardised_solution(features, is_target, p_target):
    """Cost and gradient as a function of weights of standardised features and of the offset.

    The objective written down once more, from the module's docstring: the oracle of the fit.
    """
    share = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    mean = share @ features
    spread = np.sqrt(share @ (features - mean) ** 2)
    standardised = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    log_odds = np.log(p_target / (1 - p_target))
    nothing = -p_target * np.log(p_target) - (1 - p_target) * np.log(1 - p_target)

    def cost(solution):
        posterior_log_odds = standardised @ solution + log_odds
        signed = np.where(is_target, -posterior_log_odds, posterior_log_odds)
        slopes = share / nothing * (expit(posterior_log_odds) - is_target)
        penalised = np.append(solution[:-1], 0)
        value = share @ np.logaddexp(0, signed) / nothing + RIDGE / 2 * penalised @ penalised
        return value, slopes @ standardised + RIDGE * penalised

    def standardise(weights, offset):
        return np.append(weights * spread, offset + weights @ mean)

    return cost, standardise


def listed_features(kind):
    """Features and classes of one kind of list."""
    rng = np.random.default_rng(11)
    if kind == "few trials":
        llr, is_target = simulated_llrs(rng, 8, 30, separation=1.0)
        return llr[:, None], is_target
    if kind == "few errors":
        llr, is_target = simulated_llrs(rng, 500, 5000, separation=16.0)
        return llr[:, None], is_target
    if kind == "one outlier":
        llr, is_target = simulated_llrs(rng, 500, 5000)
        llr[0] = 1e5
        return llr[:, None], is_target
    if kind == "separable":
        llr, is_target = simulated_llrs(rng, 50, 500, separation=200.0)
        return llr[:, None], is_target
    llr, is_target = simulated_llrs(rng, 400, 4000, separation=3.0)
    if kind == "one system":
        return 0.05 * llr[:, None] - 3, is_target
    if kind == "the same system twice":
        return np.column_stack([llr, llr]), is_target
    if kind == "four systems":
        others = [simulated_llrs(rng, 400, 4000, separation)[0] for separation in (1, 2, 4)]
        return np.column_stack([llr, *others]) * [1e-3, 1, 50, 1e4] + [0, 5, -1, 100], is_target
    assert kind == "quality measures"
    enrol, test = rng.uniform(0, 3, (2, len(llr)))
    measures = quality_features(enrol, test, ["min", "max", "difference"])
    return np.column_stack([llr + measures[:, 0], measures]), is_target


KINDS = ["one system", "four systems", "quality measures", "the same system twice"]
KINDS += ["few trials", "few errors", "one outlier", "separable"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p_target", [0.001, 0.01, 0.1, 0.5])
def test_the_fit_is_the_optimum_of_the_objective(kind, p_target):
    features, is_target = listed_features(kind)
    cost, standardise = standardised_solution(features, is_target, p_target)
    fitted = standardise(*train_calibration(features, is_target, p_target))
    value, gradient = cost(fitted)
    options = {"maxiter": 5000, "ftol": 0.0, "gtol": 1e-10}
    reference = minimize(cost, np.zeros(len(fitted)), jac=True, method="L-BFGS-B", options=options)
    print(f"cost {value - reference.fun:.1e} above the reference, {fitted - reference.x}")
    assert np.abs(gradient).max() < 1e-9
    assert value <= reference.fun * (1 + 1e-12)
    if kind != "separable":  # there the cost is flat, and the reference itself uncertain
        assert fitted == pytest.approx(reference.x, abs=1e-6)


@pytest.mark.parametrize("p_target", [0.001, 0.01, 0.5, 0.9])
def test_two_scores_that_only_count_have_weights_by_hand(p_target):
    """3 of 4 targets and 1 of 4 nontargets have score 1, the others 0.

    So the likelihood ratio of score 1 is 3 and that of score 0 is 1/3, whatever the prior.
    """
    scores = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    is_target = np.arange(8) < 4
    weights, offset = train_calibration(scores[:, None], is_target, p_target)
    assert weights[0] == pytest.approx(2 * np.log(3), abs=1e-3)  # the ridge moves it a little
    assert offset == pytest.approx(-np.log(3), abs=1e-3)


def test_a_fit_that_stops_early_is_refused(monkeypatch):
    from utils.scoring import calibration

    monkeypatch.setattr(calibration, "TOLERANCE", 1e-1)
    llr, is_target = simulated_llrs(np.random.default_rng(12), 300, 3000)
    with pytest.raises(ValueError, match=r"did not converge: gradient .*expected less than 1e-06"):
        train_calibration(llr[:, None], is_target, 0.01)


def test_only_a_fit_imports_scikit_learn():
    code = "import sys, steps.apply_calibration, utils.scoring.calibration as calibration\n"
    code += (
        "assert calibration.cross_entropy(calibration.np.ones(2), calibration.np.arange(2) > 0)\n"
    )
    code += "print(sorted(name for name in sys.modules if name.startswith('sklearn')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_there_is_no_better_weight_nearby():
    llr, is_target = simulated_llrs(np.random.default_rng(5), 300, 3000, separation=3.0)
    weights, offset = train_calibration(llr[:, None], is_target, 0.05)
    best = cross_entropy(weights[0] * llr + offset, is_target, 0.05)
    for change in (-0.02, 0.02):
        assert cross_entropy((weights[0] + change) * llr + offset, is_target, 0.05) > best
        assert cross_entropy(weights[0] * llr + offset + change, is_target, 0.05) > best


def test_noise_gets_no_weight():
    rng = np.random.default_rng(6)
    llr, is_target = simulated_llrs(rng, 20_000, 100_000)
    weights, _ = train_calibration(np.column_stack([llr, rng.normal(0, 3, len(llr))]), is_target)
    print(f"weights {weights}")
    assert weights[0] == pytest.approx(1, abs=0.05)
    assert abs(weights[1]) < 0.02


def test_two_systems_that_know_different_things_are_better_together():
    """Independent log-likelihood ratios of the same trials add up."""
    rng = np.random.default_rng(7)
    one, is_target = simulated_llrs(rng, 10_000, 50_000, 3.0)
    two, _ = simulated_llrs(rng, 10_000, 50_000, 3.0)
    weights, offset = train_calibration(np.column_stack([0.1 * one, 5 * two + 2]), is_target)
    assert weights * [0.1, 5] == pytest.approx([1, 1], abs=0.06)
    fused = 0.1 * weights[0] * one + weights[1] * (5 * two + 2) + offset
    assert cross_entropy(fused, is_target) < 0.75 * cross_entropy(one, is_target)


def test_a_quality_measure_that_shifts_scores_is_compensated():
    """Short utterances score lower, whatever the class; with the measure, calibration undoes it."""
    rng = np.random.default_rng(8)
    llr, is_target = simulated_llrs(rng, 10_000, 50_000)
    enrol, test = rng.uniform(0, 2, (2, len(llr)))
    shifted = llr + 3 * np.minimum(enrol, test)
    alone = shifted[:, None]
    together = np.column_stack([shifted, quality_features(enrol, test, ["min", "difference"])])
    costs = []
    for features in (alone, together):
        weights, offset = train_calibration(features, is_target)
        costs.append(cross_entropy(features @ weights + offset, is_target))
    unshifted = cross_entropy(llr, is_target)
    print(f"without {costs[0]:.4f}, with {costs[1]:.4f}, unshifted {unshifted:.4f}")
    assert costs[1] == pytest.approx(unshifted, rel=0.01)
    assert costs[0] > 1.1 * costs[1]


def test_min_max_and_difference_by_hand_and_together_bounded():
    features = quality_features(
        np.array([1.0, 5.0]), np.array([3.0, 2.0]), ["min", "max", "difference"]
    )
    assert features.tolist() == [[1, 3, 2], [2, 5, 3]]
    llr, is_target = simulated_llrs(np.random.default_rng(9), 500, 2000)
    enrol, test = np.random.default_rng(10).uniform(0, 2, (2, len(llr)))
    weights, _ = train_calibration(
        np.column_stack([llr, quality_features(enrol, test, ["min", "max", "difference"])]),
        is_target,
    )
    assert np.abs(weights).max() < 5


def test_separable_scores_have_bounded_weights_that_separate():
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.9])
    is_target = np.array([False, False, False, True, True])
    weights, offset = train_calibration(scores[:, None], is_target)
    llr = scores * weights[0] + offset
    print(f"llr {llr}")
    assert is_separable(llr, is_target)
    assert np.abs(llr).min() > 5
    assert np.abs(llr).max() < 50
    assert not is_separable(np.array([0.0, 0.0]), np.array([True, False]))


@pytest.mark.parametrize(
    ("features", "classes", "p_target", "words"),
    [
        ([[1.0], [2.0]], [True, True], 0.5, "2 target and 0 nontarget trials"),
        ([[1.0], [2.0]], [False, False], 0.5, "0 target and 2 nontarget trials"),
        ([[1.0], [1.0]], [True, False], 0.5, "feature 0 is the same"),
        ([[1.0], [np.nan]], [True, False], 0.5, "not a finite number"),
        ([[1.0], [np.inf]], [True, False], 0.5, "not a finite number"),
        ([[1.0], [2.0]], [True, False], 1.0, "p_target is 1.0"),
        ([[1.0], [2.0]], [True, False], 0.0, "p_target is 0.0"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(features, classes, p_target, words):
    with pytest.raises(ValueError, match=words):
        train_calibration(np.array(features), np.array(classes), p_target)
