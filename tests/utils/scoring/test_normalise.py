"""Score normalisation against a slow obvious loop, by hand, its properties, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.scoring import cohort_scores
from utils.scoring.cohort_device import cohort_statistics_on
from utils.scoring.cohort_scores import (
    CohortScores,
    NoSpread,
    closest_members,
    cohort_statistics,
    statistics_by_others,
)
from utils.scoring.normalise import METHODS, Normalisation, normalise


def dot(sides, members):
    """Dot products."""
    return sides @ members.T


def unit(rng, count, dimensions=8):
    """Random rows of length 1."""
    rows = rng.standard_normal((count, dimensions))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that a little work has many of them, the last ones not full."""
    for name, size in (
        ("SIDES_AT_A_TIME", 7),
        ("MEMBERS_AT_A_TIME", 11),
        ("SCORES_AT_A_TIME", 150),
        ("GATHERED_AT_A_TIME", 20),
    ):
        monkeypatch.setattr(cohort_scores, name, size)


def normalise_slowly(score, sides, enrol, test, cohort, method, top_k):
    """One trial after the other, everything sorted, as the formulas read."""
    against = [[float(side @ member) for member in cohort] for side in sides]
    found = []
    for raw, a, b in zip(score, enrol, test, strict=True):
        chosen = {
            "z_norm": [(a, range(len(cohort)))],
            "t_norm": [(b, range(len(cohort)))],
            "s_norm": [(a, range(len(cohort))), (b, range(len(cohort)))],
            "as_norm1": [
                (
                    side,
                    sorted(range(len(cohort)), key=lambda c, side=side: -against[side][c])[:top_k],
                )
                for side in (a, b)
            ],
            "as_norm2": [
                (
                    own,
                    sorted(range(len(cohort)), key=lambda c, other=other: -against[other][c])[
                        :top_k
                    ],
                )
                for own, other in ((a, b), (b, a))
            ],
        }[method]
        parts = []
        for side, members in chosen:
            values = [against[side][c] for c in members]
            mean = sum(values) / len(values)
            parts.append(
                (raw - mean) / (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
            )
        found.append(sum(parts) / len(parts))
    return found


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_equals_a_slow_obvious_loop(method, num_threads, small_blocks):
    rng = np.random.default_rng(1)
    sides, cohort, raw = unit(rng, 30), unit(rng, 40), rng.standard_normal(90)
    enrol, test = rng.integers(30, size=(2, 90))
    against = CohortScores(dot, sides, cohort, num_threads)
    fast, statistics = normalise(raw, enrol, test, against, Normalisation(method, 9))
    assert fast == pytest.approx(
        normalise_slowly(raw, sides, enrol, test, cohort, method, 9), rel=1e-9
    )
    assert (statistics is None) == (method == "as_norm2")


def test_as_norm1_by_hand():
    """Cohort scores of e are 1, 3, 0 (closest two: mean 2, deviation 1), of t 4, 0, 8 (6 and 2).

    So a score of 10 is 8 and 2 deviations above.
    """
    table = np.array([[1.0, 3.0, 0.0], [4.0, 0.0, 8.0]])
    against = CohortScores(dot, table, np.eye(3))
    scores, (means, deviations) = normalise(
        np.array([10.0]), np.array([0]), np.array([1]), against, Normalisation("as_norm1", 2)
    )
    assert scores.tolist() == [(8 + 2) / 2]
    assert means.tolist() == [2, 6]
    assert deviations.tolist() == [1, 2]


def test_as_norm2_by_hand():
    """t is closest to members 0 and 2, e to members 0 and 1.

    There e scores 1 and 0 (mean 1/2, deviation 1/2), and t scores 4 and 0 (2 and 2).
    """
    table = np.array([[1.0, 3.0, 0.0], [4.0, 0.0, 8.0]])
    against = CohortScores(dot, table, np.eye(3))
    scores, statistics = normalise(
        np.array([10.0]), np.array([0]), np.array([1]), against, Normalisation("as_norm2", 2)
    )
    assert scores.tolist() == [(9.5 / 0.5 + 8 / 2) / 2]
    assert statistics is None


def test_sides_that_a_method_does_not_look_at_are_not_scored():
    rng, seen = np.random.default_rng(2), []

    def watched(sides, members):
        seen.append(len(sides))
        return dot(sides, members)

    sides, enrol, test = unit(rng, 10), np.array([0, 0, 1]), np.array([5, 6, 7])
    for method, expected in (("z_norm", 2), ("t_norm", 3), ("s_norm", 5), ("as_norm1", 5)):
        seen.clear()
        against = CohortScores(watched, sides, unit(rng, 6))
        normalise(np.zeros(3), enrol, test, against, Normalisation(method, 3))
        assert sum(seen) == expected, method


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(METHODS), st.floats(0.1, 50), st.floats(-20, 20))
def test_an_affine_map_of_all_scores_changes_nothing(seed, method, gain, shift):
    rng = np.random.default_rng(seed)
    sides, cohort = unit(rng, 12), unit(rng, 15)
    enrol, test = rng.integers(12, size=(2, 20))
    raw = rng.standard_normal(20)
    how = Normalisation(method, 5)
    plain = normalise(raw, enrol, test, CohortScores(dot, sides, cohort), how)[0]
    against = CohortScores(lambda a, b: gain * dot(a, b) + shift, sides, cohort)
    mapped = normalise(gain * raw + shift, enrol, test, against, how)[0]
    assert mapped == pytest.approx(plain, rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["s_norm", "as_norm1", "as_norm2"]))
def test_neither_the_order_of_trials_nor_of_the_cohort_nor_which_side_enrols_matters(seed, method):
    rng = np.random.default_rng(seed)
    sides, cohort, raw = unit(rng, 12), unit(rng, 15), rng.standard_normal(20)
    enrol, test = rng.integers(12, size=(2, 20))
    how = Normalisation(method, 5)
    plain = normalise(raw, enrol, test, CohortScores(dot, sides, cohort), how)[0]
    order = rng.permutation(20)
    against = CohortScores(dot, sides, cohort[rng.permutation(15)])
    shuffled = normalise(raw[order], test[order], enrol[order], against, how)[0]
    assert shuffled == pytest.approx(plain[order])


def test_threads_change_no_bit():
    rng = np.random.default_rng(3)
    sides, cohort = unit(rng, 3000).astype(np.float32), unit(rng, 500).astype(np.float32)
    for top_k in (None, 100):
        one, two = (
            np.stack(cohort_statistics(CohortScores(dot, sides, cohort, num_threads), top_k))
            for num_threads in (1, 2)
        )
        assert (one == two).all()


@pytest.mark.parametrize("top_k", [None, 2, 30, 50])
@pytest.mark.parametrize("shape", [(40, 8), (40, 3, 8)])
def test_a_torch_device_gives_the_same_statistics(top_k, shape, monkeypatch):
    monkeypatch.setattr("utils.scoring.cohort_device.SIDES_AT_A_TIME", 16)
    monkeypatch.setattr("utils.scoring.cohort_device.MEMBERS_AT_A_TIME", 20)
    rng = np.random.default_rng(4)
    sides, cohort = rng.standard_normal(shape), unit(rng, 50)
    vectors = sides if sides.ndim == 2 else sides.mean(axis=1)
    here = cohort_statistics(CohortScores(dot, vectors, cohort), top_k)
    there = cohort_statistics_on("cpu", sides, cohort, top_k)
    assert np.stack(there) == pytest.approx(np.stack(here), rel=1e-9)


@pytest.mark.parametrize(
    ("top_k", "size", "words"),
    [
        (1, 5, "top_k is 1, expected 2 to 5"),
        (6, 5, "top_k is 6, expected 2 to 5"),
        (None, 1, "a cohort of 1"),
        (1, 1, "a cohort of 1"),
        (None, 0, "cohort of 0"),
    ],
)
def test_a_cohort_without_statistics_is_refused(top_k, size, words):
    sides, cohort = np.ones((2, 3)), np.ones((size, 3))
    with pytest.raises(ValueError, match=words):
        cohort_statistics(CohortScores(dot, sides, cohort), top_k)
    with pytest.raises(ValueError, match=words):
        cohort_statistics_on("cpu", sides, cohort, top_k)


@pytest.mark.parametrize("method", METHODS)
def test_a_side_whose_cohort_scores_do_not_differ_is_named(method):
    """Float32, so that rounding makes some difference that is none."""
    rng = np.random.default_rng(5)
    sides, cohort = (
        unit(rng, 6).astype(np.float32),
        np.tile(unit(rng, 1), (50, 1)).astype(np.float32),
    )
    with pytest.raises(NoSpread, match="all alike") as refused:
        normalise(
            np.zeros(2),
            np.array([3, 4]),
            np.array([3, 4]),
            CohortScores(dot, sides, cohort),
            Normalisation(method, 9),
        )
    assert refused.value.side == 3


def test_the_closest_are_the_closest(small_blocks):
    rng = np.random.default_rng(6)
    sides, cohort = unit(rng, 20), unit(rng, 50)
    found = np.sort(closest_members(CohortScores(dot, sides, cohort), 7), axis=1)
    assert (found == np.sort(np.argsort(-dot(sides, cohort), axis=1)[:, :7], axis=1)).all()


def test_sides_without_trials_cost_nothing():
    rng, seen = np.random.default_rng(7), []

    def watched(sides, members):
        seen.append(len(sides))
        return dot(sides, members)

    sides, cohort = unit(rng, 2000), unit(rng, 9)
    members = closest_members(CohortScores(dot, sides, cohort), 3)
    against = CohortScores(watched, sides, cohort)
    statistics_by_others(against, members, np.array([0, 1]), np.array([1999, 1999]))
    assert sum(seen) == cohort_scores.SIDES_AT_A_TIME
