"""Operating points: a prior and two costs, or the one prior that asks for the same decisions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.metrics.llr import actual_cost
from utils.metrics.operating_points import effective_prior, operating_points
from utils.metrics.rates import min_detection_cost
from utils.metrics.summary import evaluate

COSTS = st.floats(0.1, 20)


def test_effective_priors_by_hand():
    assert effective_prior(0.01) == 0.01
    assert effective_prior(0.01, 10, 1) == pytest.approx(0.1 / 1.09)  # NIST SRE 2008's costs
    assert effective_prior(0.5, 1, 3) == pytest.approx(0.25)


@given(st.floats(0.001, 0.999), COSTS, COSTS, st.integers(0, 10_000))
def test_costs_at_the_effective_prior_are_those_of_prior_and_costs(p_target, c_miss, c_fa, seed):
    rng = np.random.default_rng(seed)
    target, nontarget = rng.normal(1, 2, 30), rng.normal(-1, 2, 50)
    prior = effective_prior(p_target, c_miss, c_fa)
    assert min_detection_cost(target, nontarget, prior) == pytest.approx(
        min_detection_cost(target, nontarget, p_target, c_miss, c_fa)
    )
    assert actual_cost(target, nontarget, prior) == pytest.approx(
        actual_cost(target, nontarget, p_target, c_miss, c_fa)
    )


def test_points_are_named_as_given_and_stand_in_the_order_of_their_priors():
    points = operating_points("0.001,0.010:10:1,0.5")
    assert points == {
        "0.001": 0.001,
        "0.01": 0.01,
        "0.05": 0.05,
        "0.01:10:1": pytest.approx(0.0917431),
        "0.5": 0.5,
    }
    assert list(points) == ["0.001", "0.01", "0.05", "0.01:10:1", "0.5"]
    assert list(operating_points(None)) == ["0.01", "0.05"]
    row = evaluate([1.0, 2.0], [0.0, 1.5], llr=True, points=points)
    assert {name for name in row if "dcf" in name} == {
        "min_dcf",
        *(f"{kind}_dcf_{point}" for kind in ("min", "act") for point in points),
    }


@pytest.mark.parametrize(
    "text", ["1.5", "0", "0.1:1", "0.1:1:1:1", "often", "0.1:0:1", "0.1:1:inf", "0.1,,", "nan"]
)
def test_what_is_no_operating_point_is_refused_in_one_line(text):
    with pytest.raises(
        UserError,
        match=r"^--operating-points: '.*' \(.*\), expected a prior such as 0\.001, or prior:cost",
    ):
        operating_points(text)
