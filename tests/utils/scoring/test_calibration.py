"""Calibration: maps that are known are found again, properties, degenerate lists, and what is refused."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils.metrics.llr import cllr, min_cllr
from utils.scoring.calibration import (
    cross_entropy,
    is_separable,
    quality_features,
    train_calibration,
)


def simulated_llrs(rng, num_targets, num_nontargets, separation=6.0):
    """Scores that are their own log-likelihood ratios: Normal(+m/2, m) of targets, Normal(-m/2, m) of nontargets (Peterson et al. 1954)."""
    llr = rng.normal(0, separation**0.5, num_targets + num_nontargets)
    is_target = np.arange(len(llr)) < num_targets
    return llr + np.where(is_target, separation / 2, -separation / 2), is_target


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
    (dev, dev_is_target), (test, is_target) = (simulated_llrs(rng, 5_000, 50_000) for _ in range(2))
    weights, offset = train_calibration(0.03 * dev[:, None] + 0.5, dev_is_target)
    raw, calibrated = 0.03 * test + 0.5, weights[0] * (0.03 * test + 0.5) + offset
    before, after, least = (
        cllr(raw[is_target], raw[~is_target]),
        cllr(calibrated[is_target], calibrated[~is_target]),
        min_cllr(raw[is_target], raw[~is_target]),
    )
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
    """Short utterances score lower, whatever the class: told so, calibration is nearly what it would be without the shift."""
    rng = np.random.default_rng(8)
    llr, is_target = simulated_llrs(rng, 10_000, 50_000)
    enrol, test = rng.uniform(0, 2, (2, len(llr)))
    shifted = llr + 3 * np.minimum(enrol, test)
    alone, together = (
        shifted[:, None],
        np.column_stack([shifted, quality_features(enrol, test, ["min", "difference"])]),
    )
    costs = []
    for features in (alone, together):
        weights, offset = train_calibration(features, is_target)
        costs.append(cross_entropy(features @ weights + offset, is_target))
    print(
        f"without {costs[0]:.4f}, with {costs[1]:.4f}, unshifted {cross_entropy(llr, is_target):.4f}"
    )
    assert costs[1] == pytest.approx(cross_entropy(llr, is_target), rel=0.01)
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
    scores, is_target = (
        np.array([0.1, 0.2, 0.3, 0.8, 0.9]),
        np.array([False, False, False, True, True]),
    )
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
