"""Which recordings are compared: sessions, groups of files, and what each trial weighs."""

import numpy as np
import pytest

from utils.scoring.thresholds.trials import make_trials, uses_sessions


def pairs(trials):
    return [
        (*sorted([*enrol.tolist()]), int(test))
        for enrol, test in zip(trials.enrol, trials.test, strict=True)
    ]


def test_without_sessions_all_pairs_of_files_are_compared_once():
    speakers = np.array([0, 0, 0, 1])
    trials = make_trials(speakers, speakers)  # one session each
    assert pairs(trials) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert trials.is_target.tolist() == [True, True, False, True, False, False]
    assert trials.target_speakers().tolist() == [0]


def test_files_may_come_in_any_order():
    trials = make_trials(np.array([1, 0, 1, 2]), np.array([1, 0, 1, 2]))
    targets = [pair for pair, own in zip(pairs(trials), trials.is_target, strict=True) if own]
    assert targets == [(0, 2)]
    assert (trials.first[-1], trials.second[-1]) == (1, 2)


def test_where_a_speaker_has_two_sessions_targets_are_of_two_sessions():
    speakers = np.array([0, 0, 0, 1, 1])
    sessions = np.array([0, 0, 1, 2, 2])
    assert uses_sessions(speakers, sessions)
    trials = make_trials(speakers, sessions)
    targets = [
        pair for pair, is_target in zip(pairs(trials), trials.is_target, strict=True) if is_target
    ]
    assert targets == [(0, 2), (1, 2)]  # none within session 0, and none of speaker 1
    assert (~trials.is_target).sum() == 6  # speaker 1 is still somebody else


def test_models_of_two_files_are_tested_by_all_files_that_are_not_in_them():
    speakers = np.array([0, 0, 0, 0, 1, 1, 1])
    trials = make_trials(speakers, speakers, enrol_files=2)
    groups = {tuple(enrol) for enrol in trials.enrol.tolist()}
    assert groups == {(0, 1), (2, 3), (4, 5)}  # file 6 is left over
    of_first = sorted(test for *enrol, test in pairs(trials) if enrol == [0, 1])
    assert of_first == [2, 3, 4, 5, 6]
    assert trials.is_target.sum() == 2 + 2 + 1


def test_models_of_two_files_are_tested_by_another_session():
    speakers = np.zeros(6, int)
    speakers[5] = 1
    sessions = np.array([0, 0, 0, 1, 1, 2])
    trials = make_trials(speakers, sessions, enrol_files=2)
    targets = {
        pair for pair, is_target in zip(pairs(trials), trials.is_target, strict=True) if is_target
    }
    assert targets == {(0, 1, 3), (0, 1, 4)}  # (2, 3) is of both sessions


def test_each_speaker_and_each_pair_of_speakers_weighs_the_same():
    speakers = np.repeat([0, 1, 2], [4, 2, 3])
    trials = make_trials(speakers, speakers)
    weights, is_target = trials.weights(), trials.is_target
    for speaker in range(3):
        assert weights[is_target & (trials.first == speaker)].sum() == pytest.approx(1 / 3)
    for pair in ((0, 1), (0, 2), (1, 2)):
        own = (trials.first == pair[0]) & (trials.second == pair[1])
        assert weights[own].sum() == pytest.approx(1 / 3)


def test_more_trials_than_fit_into_memory_are_refused():
    speakers = np.arange(10_000) // 10
    with pytest.raises(ValueError, match="49,995,000|50,000,000 trials"):
        make_trials(speakers, speakers)
