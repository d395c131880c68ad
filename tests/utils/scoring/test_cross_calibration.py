"""Calibration by cross-validation over speakers: what each map heard, and what comes out."""

from itertools import combinations

import numpy as np
import pytest

from utils.metrics.llr import cllr, min_cllr
from utils.scoring.calibration import train_calibration
from utils.scoring.cross_calibration import assign_folds, cross_calibrated

SPEAKER_OF = [f"s{k:02d}" for k in range(12) for _ in range(3)]
PAIRS = np.array(list(combinations(range(len(SPEAKER_OF)), 2)))
FOLD_OF = assign_folds(SPEAKER_OF, 4, 0)
FOLDS = np.array([FOLD_OF[speaker] for speaker in SPEAKER_OF])[PAIRS].T
IS_TARGET = np.array([SPEAKER_OF[one] == SPEAKER_OF[other] for one, other in PAIRS])


def drawn(seed=0):
    """Two systems whose scores are turned likelihood ratios."""
    rng = np.random.default_rng(seed)
    llr = rng.normal(np.where(IS_TARGET, 2.0, -2.0)[:, None], 2.0, (len(PAIRS), 2))
    return 0.1 * llr + (0.4, -0.2)


def test_speakers_are_dealt_evenly_by_the_seed():
    assert sorted(FOLD_OF.values()) == sorted([0, 1, 2, 3] * 3)
    assert assign_folds(SPEAKER_OF[::-1], 4, 0) == FOLD_OF
    assert assign_folds(SPEAKER_OF, 4, 1) != FOLD_OF
    with pytest.raises(ValueError, match="3 speakers, expected at least 4"):
        assign_folds(["a", "b", "c"], 3, 0)


def test_a_trial_is_scored_by_the_map_of_those_without_its_speakers():
    features = drawn()
    llr, weights = cross_calibrated(features, IS_TARGET, (FOLDS[0], FOLDS[1]))
    assert len(weights) == 4 + 6  # of one fold, and of two
    for one, other in ((0, 0), (1, 3)):
        here = ((one, other) == np.sort(FOLDS, axis=0).T).all(axis=1)
        others = ~np.isin(FOLDS, (one, other)).any(axis=0)
        expected, offset = train_calibration(features[others], IS_TARGET[others])
        assert here.any()
        assert llr[here] == pytest.approx(features[here] @ expected + offset)


def test_what_is_told_of_a_trials_speakers_changes_nothing_in_its_score():
    features = drawn()
    sides = (FOLDS[0], FOLDS[1])
    before, _ = cross_calibrated(features, IS_TARGET, sides)
    own = (FOLDS == 2).any(axis=0)
    spoilt = features.copy()
    spoilt[own] = np.where(IS_TARGET[own, None], -9, 9) + spoilt[own]
    after, _ = cross_calibrated(spoilt, IS_TARGET, sides)
    alone = (FOLDS == 2).all(axis=0)
    # The maps of trials of fold 2 have heard nothing of it.
    shift = (after - before)[alone] / (spoilt - features)[alone].sum(axis=1)
    assert np.ptp(shift) < 1e-9


def test_the_result_is_calibrated_and_better_than_one_system():
    features = drawn()
    fused, _ = cross_calibrated(features, IS_TARGET, (FOLDS[0], FOLDS[1]))
    single, _ = cross_calibrated(features[:, :1], IS_TARGET, (FOLDS[0], FOLDS[1]))
    assert cllr(fused[IS_TARGET], fused[~IS_TARGET]) < cllr(single[IS_TARGET], single[~IS_TARGET])
    assert cllr(fused[IS_TARGET], fused[~IS_TARGET]) < 0.1 + min_cllr(
        fused[IS_TARGET], fused[~IS_TARGET]
    )


def test_too_little_to_learn_from_is_said():
    sides = tuple(np.array(column) for column in ([0, 0, 1, 2], [0, 1, 2, 2]))
    with pytest.raises(ValueError, match="1 target and 0 nontarget trials to learn from"):
        cross_calibrated(np.arange(4.0)[:, None], np.array([True, False, False, True]), sides)
