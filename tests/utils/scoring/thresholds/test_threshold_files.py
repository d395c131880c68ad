"""threshold.json: what it says of a score, that it comes back, and what is refused."""

import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.scoring.thresholds import Calibration, Threshold, read_threshold
from utils.scoring.thresholds.files import write_threshold

FITTED = Threshold(
    "a" * 64,
    0.5,
    Calibration(-10.0, 20.0),
    np.array([0.5, 0.0]),
    false_alarms=[[0.4, 0.1, 0.2], [0.5, 0.01, 0.05], [0.6, 0.0, 0.02]],
    counts={"speakers": 40},
    marks=["misses are optimistic"],
    recordings=["0123456789abcdef"],
)


def test_a_score_is_decided_at_the_threshold_and_has_a_ratio():
    at, below = FITTED.decide(0.5), FITTED.decide(0.499)
    assert (at.accepted, below.accepted) == (True, False)
    assert at.ratio == 0
    assert FITTED.decide(0.55).ratio == pytest.approx(1.0)
    assert FITTED.decide(0.55, threshold=0.6).accepted is False
    assert Threshold("m", 0.5).decide(0.5).ratio is None


def test_another_prior_moves_the_threshold_where_there_is_a_ratio():
    assert FITTED.at_prior(0.5) == 0.5
    # at prior 0.01 the ratio has to be 99: log 99 = 4.595, of 20 for each point of score
    assert FITTED.at_prior(0.01) == pytest.approx(0.5 + np.log(99) / 20)
    assert FITTED.at_prior(0.5, c_fa=10.0) == pytest.approx(0.5 + np.log(10) / 20)
    assert Threshold("m", 0.5).at_prior(0.01) is None
    assert Threshold("m", 0.5).at_prior(0.5) == 0.5


def test_a_false_alarm_rate_has_the_lowest_threshold_whose_bound_is_within_it():
    assert FITTED.at_false_alarm_rate(0.05) == 0.5
    assert FITTED.at_false_alarm_rate(0.2) == 0.4
    assert FITTED.at_false_alarm_rate(0.019) is None
    assert FITTED.smallest_false_alarm_rate() == 0.02


def test_vectors_are_normalised_centred_and_averaged():
    # (2, 0) - the mean (0.5, 0) is (0.5, 0), and (0, 3) becomes (-0.5, 1)
    prepared = FITTED.prepare(np.array([[2.0, 0.0], [0.0, 3.0]]))
    expected = [[1, 0], [-0.5 / np.sqrt(1.25), 1 / np.sqrt(1.25)]]
    assert prepared == pytest.approx(np.array(expected))
    one = FITTED.score(np.array([[2.0, 0.0]]), np.array([0.0, 3.0]))
    assert one == pytest.approx(-0.5 / np.sqrt(1.25))
    both = prepared.mean(axis=0)
    person = both / np.linalg.norm(both)
    two = FITTED.score(np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([5.0, 0.0]))
    assert two == pytest.approx(person[0])


def test_vectors_of_another_size_or_of_length_0_are_refused():
    with pytest.raises(UserError, match="3 values, a mean of 2"):
        FITTED.prepare(np.ones((1, 3)))
    with pytest.raises(UserError, match="length 0"):
        FITTED.prepare(np.zeros((1, 2)))


def test_what_is_written_comes_back(tmp_path):
    path = tmp_path / "threshold.json"
    write_threshold(path, FITTED)
    read = read_threshold(path, "a" * 64)
    assert read.mean.tolist() == [0.5, 0.0]
    assert read.calibration == FITTED.calibration
    for name in ("threshold", "marks", "counts", "false_alarms", "recordings"):
        assert getattr(read, name) == getattr(FITTED, name)
    first = path.read_bytes()
    write_threshold(path, read)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, this version reads up to 1"),
        ({"threshold": "high"}, "'threshold' is"),
        ({"threshold": float("inf")}, "not a threshold"),
        ({"calibration": {"offset": 1.0, "slope": -1.0}}, "not a threshold"),
        ({"calibration": {"offset": 1.0}}, "not a threshold"),
        ({"mean": [1.0, "x"]}, "not a threshold"),
        ({"p_target": 1.5}, "not a threshold"),
        ({"false_alarms": [[0.1, 0.2]]}, "not a threshold"),
        ({"enrol_files": 0}, "not a threshold"),
    ],
)
def test_a_damaged_or_newer_file_is_refused_in_one_line(tmp_path, change, message):
    path = tmp_path / "threshold.json"
    write_threshold(path, FITTED)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message) as raised:
        read_threshold(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_threshold_of_another_model_is_refused(tmp_path):
    path = tmp_path / "threshold.json"
    write_threshold(path, FITTED)
    with pytest.raises(UserError, match="fitted for model aaaaaaaaaaaa, this one is bbbbbbbbbbbb"):
        read_threshold(path, "b" * 64)
    with pytest.raises(UserError, match="no such file"):
        read_threshold(tmp_path / "other.json")
