"""Scores as log-likelihood ratios: by hand, against slow ways, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.metrics.llr import (
    actual_cost,
    bayes_threshold,
    calibration_points,
    cllr,
    hull_equal_error_rate,
    min_cllr,
    pav_blocks,
)
from utils.metrics.rates import counts_below, equal_error_rate, min_detection_cost, sorted_scores

scores = st.lists(st.integers(-50, 50), min_size=1, max_size=40).map(np.array)


def slow_pav(target, nontarget):
    """(targets, nontargets) of each block, joined one after the other; best score last."""
    blocks = []
    for score in sorted({*target, *nontarget}):
        blocks.append([int(np.sum(target == score)), int(np.sum(nontarget == score))])
        while len(blocks) > 1 and blocks[-2][0] * sum(blocks[-1]) >= blocks[-1][0] * sum(
            blocks[-2]
        ):
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    return blocks


@given(scores, scores)
def test_pav_equals_joining_blocks_one_by_one(target, nontarget):
    _, *counts = counts_below(*sorted_scores(target, nontarget))
    ends, in_targets, in_nontargets = pav_blocks(*counts)
    assert np.column_stack([in_targets, in_nontargets]).tolist() == slow_pav(target, nontarget)
    assert ends[-1] == len(counts[0]) - 1


@given(scores, scores)
def test_min_cllr_is_the_cllr_of_what_pav_makes_of_the_scores(target, nontarget):
    llr = []
    with np.errstate(divide="ignore"):
        for targets, nontargets in slow_pav(target, nontarget):
            llr.append(
                (
                    np.log(targets / len(target)) - np.log(nontargets / len(nontarget)),
                    targets,
                    nontargets,
                )
            )
    bits = sum(
        targets / len(target) * np.log2(1 + np.exp(-value)) for value, targets, _ in llr if targets
    )
    bits += sum(
        nontargets / len(nontarget) * np.log2(1 + np.exp(value))
        for value, _, nontargets in llr
        if nontargets
    )
    assert min_cllr(target, nontarget) == pytest.approx(bits / 2)


@given(scores, scores)
def test_no_calibration_beats_min_cllr_and_it_never_says_worse_than_nothing(target, nontarget):
    assert min_cllr(target, nontarget) <= cllr(target, nontarget) + 1e-9
    assert -1e-12 <= min_cllr(target, nontarget) <= 1 + 1e-9


@pytest.mark.slow
@given(scores, scores)
def test_the_hulls_eer_is_the_worst_best_error_rate_over_priors(target, nontarget):
    priors = np.linspace(0.0005, 0.9995, 2000)
    worst = max(
        min_detection_cost(target, nontarget, prior) * min(prior, 1 - prior) for prior in priors
    )
    hull = hull_equal_error_rate(target, nontarget)
    assert hull == pytest.approx(worst, abs=1e-3)
    assert hull <= equal_error_rate(target, nontarget) + 1e-12


@given(scores, scores, st.floats(0.001, 0.999))
def test_actual_cost_is_never_below_the_lowest(target, nontarget, p_target):
    assert (
        actual_cost(target, nontarget, p_target)
        >= min_detection_cost(target, nontarget, p_target) - 1e-9
    )


def test_cllr_by_hand():
    assert cllr([0.0], [0.0, 0.0]) == pytest.approx(1.0)
    assert cllr([np.log(3)], [np.log(1 / 3)]) == pytest.approx(np.log2(4 / 3))
    assert cllr([1000.0], [-1000.0]) == 0
    assert cllr([-1000.0], [-1000.0]) == pytest.approx(500 / np.log(2))


def test_the_threshold_and_actual_cost_by_hand():
    assert bayes_threshold(0.5) == 0
    assert bayes_threshold(0.01) == pytest.approx(np.log(99))
    assert bayes_threshold(0.5, c_miss=10, c_fa=1) == pytest.approx(-np.log(10))
    assert actual_cost([5.0, 4.0], [0.0, 0.0, 5.0], 0.01) == pytest.approx(
        (0.01 * 0.5 + 0.99 / 3) / 0.01
    )
    assert actual_cost([np.log(99)], [0.0], 0.01) == pytest.approx(
        0, abs=1e-12
    )  # at the threshold: accepted


def test_ratios_of_normal_scores_are_calibrated_and_stretched_ones_are_not():
    """Two classes at +-2 with variance 4: the score is its own log-likelihood ratio."""
    rng = np.random.default_rng(0)
    target, nontarget = rng.normal(2, 2, 50_000), rng.normal(-2, 2, 50_000)
    good, stretched, best = (
        cllr(target, nontarget),
        cllr(3 * target, 3 * nontarget),
        min_cllr(target, nontarget),
    )
    print(f"Cllr {good:.4f}, stretched {stretched:.4f}, lowest {best:.4f}")
    assert best == pytest.approx(good, abs=0.003)
    assert stretched > good + 0.1
    said, found = calibration_points(target, nontarget)
    inside = np.abs(said) < 3
    assert found[inside] == pytest.approx(said[inside], abs=0.35)
    stretched_said, stretched_found = calibration_points(3 * target, 3 * nontarget)
    assert stretched_found == pytest.approx(found)
    assert stretched_said == pytest.approx(3 * said)


@pytest.mark.parametrize(
    "options", [{"p_target": 0.0}, {"p_target": 0.5, "c_miss": 0}, {"p_target": 0.5, "c_fa": -1}]
)
def test_meaningless_costs_are_refused(options):
    with pytest.raises(ValueError, match="positive costs"):
        actual_cost([1.0], [0.0], **options)
