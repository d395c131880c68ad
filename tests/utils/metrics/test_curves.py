"""Tables of false-alarm and miss rates; the rest of curves.py is tested with the metrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.metrics.curves import rate_table
from utils.metrics.rates import error_rates, tpr_at

SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=40)


def test_a_table_by_hand():
    target, nontarget = [3.0, 4.0, 5.0, 1.0], [0.0, 1.0, 2.0, 3.5]
    table = rate_table(*error_rates(target, nontarget), rates=(0.25, 0.5))
    assert table == [(2.0, 0.5, 0.25), (3.0, 0.25, 0.25), (4.0, 0.0, 0.5)]


@given(SCORES, SCORES, st.floats(0.01, 0.9))
def test_rows_are_what_counting_gives_and_hold_the_best_allowed_threshold(target, nontarget, rate):
    table = rate_table(*error_rates(target, nontarget), rates=(rate,))
    for threshold, false_alarm, miss in table:
        assert false_alarm == pytest.approx(np.mean(np.array(nontarget) >= threshold))
        assert miss == pytest.approx(np.mean(np.array(target) < threshold))
    thresholds = [row[0] for row in table]
    assert thresholds == sorted(thresholds)
    allowed = [miss for _, false_alarm, miss in table if false_alarm <= rate]
    assert min(allowed, default=1.0) == pytest.approx(1 - tpr_at(target, nontarget, rate))
