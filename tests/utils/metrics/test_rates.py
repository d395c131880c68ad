"""Error rates against values by hand, a slow independent way, and properties of any scores."""

import itertools
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.metrics.curves import det_points, histogram, miss_band
from utils.metrics.rates import (
    best_accuracy,
    equal_error_rate,
    error_rates,
    kaldi_error_rate,
    min_detection_cost,
    tpr_at,
)
from utils.metrics.summary import evaluate
from utils.scoring.score_files import read_scores

scores = st.lists(st.integers(-50, 50), min_size=1, max_size=40).map(
    np.array
)  # integers: many ties


def slow_rates(target, nontarget):
    """Miss and false-alarm rate of accepting score >= threshold, counted trial by trial."""
    for threshold in [*sorted({*target, *nontarget}), float("inf")]:
        yield (
            sum(score < threshold for score in target) / len(target),
            sum(score >= threshold for score in nontarget) / len(nontarget),
        )


def slow_equal_error_rate(target, nontarget):
    """Walk along the ROC; intersect each segment with miss = false alarm by bisection."""
    points = list(slow_rates(target, nontarget))
    for (miss, false_alarm), (next_miss, next_false_alarm) in itertools.pairwise(points):
        if miss <= false_alarm and next_miss >= next_false_alarm:
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                before = miss + middle * (next_miss - miss) < false_alarm + middle * (
                    next_false_alarm - false_alarm
                )
                low, high = (middle, high) if before else (low, middle)
            return miss + low * (next_miss - miss)
    raise AssertionError("the ROC runs from (0, 1) to (1, 0): it must cross")


@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.0),  # separable
        ([0.0, 1.0], [2.0, 3.0], 1.0),  # labels swapped
        ([1.0, 3.0], [0.0, 2.0], 0.5),  # one error on each side of four
        ([1.0, 1.0], [1.0, 1.0], 0.5),  # all tied: a coin toss, whatever the file order
        ([1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.8, 1.5], 0.25),  # one of four on each side
        (
            [1.0, 2.0],
            [0.0, 0.0, 1.0],
            0.2,
        ),  # tie at 1: from (0, 1/3) to (1/2, 0), which meets miss = false alarm at 1/5
    ],
)
def test_eer_by_hand(target, nontarget, expected):
    assert equal_error_rate(target, nontarget) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "nontarget", "p_target", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.01, 0.0),
        ([0.0, 3.0], [1.0, 2.0], 0.5, 0.5),  # reject 0: half of the targets missed, no false alarm
        ([0.0, 3.0], [1.0, 2.0], 0.01, 0.5),  # the same at a rare target: 0.01 x 0.5 / 0.01
        ([1.0], [1.0], 0.01, 1.0),  # no information: the trivial decision
        (
            [1.0] * 9 + [0.0],
            [0.5] + [0.0] * 999,
            0.01,
            0.1,
        ),  # threshold 1: one of ten missed, no false alarm
    ],
)
def test_min_cost_by_hand(target, nontarget, p_target, expected):
    assert min_detection_cost(target, nontarget, p_target) == pytest.approx(expected)


def test_costs_weigh_the_two_errors():
    target, nontarget = [0.0, 3.0], [1.0, 2.0]
    assert min_detection_cost(target, nontarget, 0.5, c_miss=1, c_fa=10) == pytest.approx(
        0.5
    )  # 0.5 x 0.5 / min(0.5, 5)
    assert min_detection_cost(target, nontarget, 0.5, c_miss=10, c_fa=1) == pytest.approx(
        1.0
    )  # accept all: 0.5 / min(5, 0.5)


def test_error_rates_by_hand():
    thresholds, miss, false_alarm = error_rates([1, 2], [0, 1])
    assert thresholds.tolist() == [0, 1, 2, np.inf]
    assert miss.tolist() == [0, 0, 0.5, 1]
    assert false_alarm.tolist() == [1, 0.5, 0, 0]


@given(scores, scores)
def test_error_rates_equal_counting_trial_by_trial(target, nontarget):
    _, miss, false_alarm = error_rates(target, nontarget)
    assert np.column_stack([miss, false_alarm]) == pytest.approx(
        np.array(list(slow_rates(target, nontarget)))
    )


@given(scores, scores)
def test_eer_equals_bisection_along_the_roc(target, nontarget):
    assert equal_error_rate(target, nontarget) == pytest.approx(
        slow_equal_error_rate(target, nontarget), abs=1e-9
    )


@given(scores, scores, st.randoms())
def test_eer_does_not_depend_on_the_order_of_trials(target, nontarget, random):
    shuffled = (
        random.sample(list(target), len(target)),
        random.sample(list(nontarget), len(nontarget)),
    )
    assert equal_error_rate(*shuffled) == equal_error_rate(target, nontarget)


@given(scores, scores)
def test_eer_ignores_monotone_rescaling(target, nontarget):
    assert equal_error_rate(2.0 * target + 7, 2.0 * nontarget + 7) == pytest.approx(
        equal_error_rate(target, nontarget)
    )
    assert equal_error_rate(np.exp(target), np.exp(nontarget)) == pytest.approx(
        equal_error_rate(target, nontarget)
    )


@given(scores, scores)
def test_swapping_sides_swaps_errors(target, nontarget):
    assert equal_error_rate(-nontarget, -target) == pytest.approx(
        equal_error_rate(target, nontarget)
    )


@given(scores, scores)
def test_negating_scores_gives_the_complement(target, nontarget):
    assert equal_error_rate(-target, -nontarget) == pytest.approx(
        1 - equal_error_rate(target, nontarget)
    )


@given(scores, scores, st.integers(2, 5))
def test_repeating_every_trial_changes_nothing(target, nontarget, times):
    repeated = evaluate(np.repeat(target, times), np.repeat(nontarget, times))
    once = evaluate(target, nontarget)
    counted = dict.fromkeys(
        ["targets", "nontargets", "eer_kaldi_percent"]
    )  # Kaldi's rule moves in steps of one trial
    assert repeated | counted == once | counted


@given(scores, scores, st.floats(0.001, 0.999))
def test_min_cost_never_beats_zero_nor_loses_to_trivial(target, nontarget, p_target):
    assert 0 <= min_detection_cost(target, nontarget, p_target) <= 1 + 1e-9


@given(scores, scores, st.floats(0.001, 0.999))
def test_min_cost_equals_the_best_of_all_thresholds(target, nontarget, p_target):
    costs = [
        p_target * miss + (1 - p_target) * false_alarm
        for miss, false_alarm in slow_rates(target, nontarget)
    ]
    assert min_detection_cost(target, nontarget, p_target) == pytest.approx(
        min(costs) / min(p_target, 1 - p_target)
    )


def test_normal_scores_have_the_error_rate_of_the_formula():
    rng = np.random.default_rng(0)
    target, nontarget = (
        rng.normal(2, 1, 200_000),
        rng.normal(0, 1, 200_000),
    )  # both errors Phi(-1) = 15.866 % at threshold 1
    eer = equal_error_rate(target, nontarget)
    print(f"EER {100 * eer:.3f} %, expected 15.866 %")
    assert eer == pytest.approx(0.158655, abs=0.002)


@pytest.mark.parametrize(
    ("target", "nontarget", "message"),
    [
        ([], [1.0], "got 0 and 1"),
        ([1.0, 2.0], [], "got 2 and 0"),
        ([np.nan], [1.0], "finite"),
        ([1.0], [-np.inf, 0.0], "finite"),
    ],
)
def test_what_has_no_error_rate_is_refused(target, nontarget, message):
    with pytest.raises(ValueError, match=message):
        equal_error_rate(target, nontarget)


@pytest.mark.parametrize(
    "options", [{"p_target": 0.0}, {"p_target": 1.0}, {"c_miss": 0.0}, {"c_fa": -1.0}]
)
def test_meaningless_costs_are_refused(options):
    with pytest.raises(ValueError, match="need 0 < p_target < 1 and positive costs"):
        min_detection_cost([1.0], [0.0], **options)


def test_evaluate_gives_what_the_single_metrics_give():
    rng = np.random.default_rng(1)
    target, nontarget = rng.normal(1, 1, 300), rng.normal(0, 1, 3000)
    row = evaluate(target, nontarget)
    assert row["eer_percent"] == pytest.approx(100 * equal_error_rate(target, nontarget), abs=1e-4)
    assert [row[f"min_dcf_{p}"] for p in (0.01, 0.05)] == pytest.approx(
        [min_detection_cost(target, nontarget, p) for p in (0.01, 0.05)], abs=1e-6
    )
    assert row["min_dcf"] == row["min_dcf_0.01"]
    assert (row["targets"], row["nontargets"]) == (300, 3000)


def test_580_000_scores_of_two_normal_classes_have_the_error_rate_of_theory():
    rng = np.random.default_rng(2)
    target, nontarget = rng.normal(3, 1, 290_000), rng.normal(0, 1, 290_000)
    start = time.process_time()
    row = evaluate(target, nontarget)
    print(f"evaluate: {time.process_time() - start:.3f} s of processor time")
    assert row["eer_percent"] == pytest.approx(
        6.681, abs=0.1
    )  # the normal distribution's tail beyond 1.5


def test_det_points_lie_on_the_curve_and_keep_its_ends():
    rng = np.random.default_rng(3)
    _, miss, false_alarm = error_rates(rng.normal(2, 1, 5000), rng.normal(0, 1, 50_000))
    few_miss, few_false_alarm = det_points(miss, false_alarm, 100)
    whole = set(zip(miss, false_alarm, strict=True))
    inside = [(m, f) for m, f in zip(miss, false_alarm, strict=True) if 0 < m < 1 and 0 < f < 1]
    few = list(zip(few_miss, few_false_alarm, strict=True))
    assert set(few) <= whole
    assert 50 < len(few) <= 102
    assert (few[0], few[-1]) == (inside[0], inside[-1])


def test_det_of_a_detector_without_errors_is_the_corner():
    miss, false_alarm = det_points(*error_rates([2.0, 3.0], [0.0, 1.0])[1:])
    assert (miss.tolist(), false_alarm.tolist()) == ([0], [0])


@given(scores, scores)
def test_histogram_shares_sum_to_one(target, nontarget):
    edges, target_share, nontarget_share = histogram(target, nontarget, 10)
    assert len(edges) == 11
    assert target_share.sum() == pytest.approx(1)
    assert nontarget_share.sum() == pytest.approx(1)


GOLDEN = Path(__file__).parents[2] / "golden" / "kaldi"


@pytest.mark.parametrize(
    ("file", "expected"),
    [line.split() for line in (GOLDEN / "compute_eer.txt").read_text().splitlines()],
)
def test_kaldis_rule_gives_what_kaldi_gave(file, expected):
    kind = {
        (enrol, test): word
        for enrol, test, word in map(str.split, (GOLDEN / "trials").read_text().splitlines())
    }
    enrol, test, values = read_scores(GOLDEN / file)
    is_target = np.array([kind[pair] == "target" for pair in zip(enrol, test, strict=True)])
    assert (
        f"{100 * kaldi_error_rate(values[is_target], values[~is_target]):.4g}"
        == f"{float(expected):.4g}"
    )


def slow_kaldi_error_rate(target, nontarget):
    """The same rule, a target score at a time."""
    target, nontarget = sorted(target), sorted(nontarget)
    for rank, score in enumerate(target[:-1]):
        if nontarget[max(0, len(nontarget) - 1 - int(len(nontarget) * rank / len(target)))] < score:
            return rank / len(target)
    return (len(target) - 1) / len(target)


@given(scores, scores)
def test_kaldis_rule_equals_a_walk_over_the_targets(target, nontarget):
    assert kaldi_error_rate(target, nontarget) == slow_kaldi_error_rate(target, nontarget)


@given(scores, scores)
def test_best_accuracy_equals_the_best_of_all_thresholds(target, nontarget):
    shares = [
        ((1 - miss) * len(target) + (1 - false_alarm) * len(nontarget))
        / (len(target) + len(nontarget))
        for miss, false_alarm in slow_rates(target, nontarget)
    ]
    assert best_accuracy(target, nontarget) == pytest.approx(max(shares))


@given(scores, scores, st.floats(0, 1))
def test_targets_found_at_a_false_alarm_rate_equal_the_best_allowed_threshold(
    target, nontarget, rate
):
    allowed = [
        1 - miss for miss, false_alarm in slow_rates(target, nontarget) if false_alarm <= rate
    ]
    assert tpr_at(target, nontarget, rate) == pytest.approx(max(allowed))


def test_a_rate_of_false_alarms_is_that_of_their_count():
    assert tpr_at([1], [0, 0, 1], 1 / 3) == 1.0


def test_targets_found_by_hand():
    target, nontarget = [1.0, 2.0, 3.0, 4.0], [0.0, 1.5, 2.5, 2.6]
    assert [tpr_at(target, nontarget, rate) for rate in (0, 0.25, 0.5, 0.75, 1)] == [
        0.5,
        0.5,
        0.75,
        1.0,
        1.0,
    ]


def test_float32_scores_stay_so_and_give_the_same_figures():
    rng = np.random.default_rng(4)
    target, nontarget = (rng.normal(shift, 1, 5000).astype(np.float32) for shift in (2, 0))
    assert error_rates(target, nontarget)[0].dtype == np.float32
    assert evaluate(target, nontarget, llr=True) == pytest.approx(
        evaluate(target.astype(float), nontarget.astype(float), llr=True), abs=2e-6
    )


def test_memory_grows_by_few_bytes_for_each_trial():
    """60 million scores take some GiB at this rate (tests/bench/bench_metrics.py --large)."""
    rng = np.random.default_rng(4)
    target, nontarget = (rng.normal(shift, 1, 200_000).astype(np.float32) for shift in (2, 0))
    evaluate(target[:100], nontarget[:100], llr=True)  # imports
    tracemalloc.start()
    evaluate(target, nontarget, llr=True)
    each = tracemalloc.get_traced_memory()[1] / (len(target) + len(nontarget))
    tracemalloc.stop()
    print(f"{each:.0f} bytes for each trial")
    assert each < 100


def test_figures_that_need_llrs_are_left_out_of_other_scores():
    row = evaluate([1.0, 2.0], [0.0, 1.5], points={"0.01": 0.01, "0.05": 0.05, "0.3": 0.3})
    assert [row[name] for name in ("cllr", "act_dcf_0.01", "act_dcf_0.3")] == [None] * 3
    assert row["min_dcf_0.3"] is not None
    assert evaluate([1.0, 2.0], [0.0, 1.5], llr=True)["cllr"] is not None


def test_a_band_holds_the_curve_and_is_as_wide_as_its_draws():
    miss, false_alarm = np.array([0.1, 0.2, 0.4]), np.array([0.4, 0.2, 0.1])
    factor = np.array([[0.9, 1.0, 1.1]])
    low, high = miss_band(
        miss, false_alarm, miss[:, None] * factor, np.repeat(false_alarm[:, None], 3, axis=1), 2.0
    )
    assert (low < miss).all()
    assert (high > miss).all()
    spread = 2 * np.std(np.log(0.2 * factor / (1 - 0.2 * factor)), ddof=1)
    assert np.log(high[1] / (1 - high[1])) - np.log(0.25) == pytest.approx(spread)
