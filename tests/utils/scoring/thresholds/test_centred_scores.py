"""Centred cosines from sums are those that are computed one at a time."""

import numpy as np
import pytest

from utils.scoring.thresholds.centred_scores import CentredScores, folder_mean
from utils.scoring.thresholds.files import centred, person, unit
from utils.scoring.thresholds.trials import make_trials

RNG = np.random.default_rng(3)
SPEAKERS = np.repeat(np.arange(6), [3, 5, 4, 4, 3, 4])
VECTORS = unit(RNG.normal(size=(len(SPEAKERS), 8)) + 0.6)


def expected_score(trials, number, left_out, centre):
    """The definition: a mean without the trial's speakers, subtracted from both sides."""
    own = {trials.first[number], trials.second[number], *left_out}
    mean = None
    if centre:
        kept = [speaker for speaker in range(6) if speaker not in own]
        mean = np.mean([VECTORS[speaker == SPEAKERS].mean(axis=0) for speaker in kept], axis=0)
    enrolled = person(centred(VECTORS[trials.enrol[number]], mean))
    return enrolled @ centred(VECTORS[trials.test[number]][None], mean)[0]


@pytest.mark.parametrize("enrol_files", [1, 2, 3])
@pytest.mark.parametrize(("centre", "left_out"), [(True, []), (True, [1, 4]), (False, [])])
def test_scores_are_those_of_the_definition(enrol_files, centre, left_out):
    trials = make_trials(SPEAKERS, SPEAKERS, enrol_files)
    scores = CentredScores(VECTORS, SPEAKERS, trials, centre).without(np.array(left_out, int))
    for number in RNG.permutation(len(scores))[:60]:
        expected = expected_score(trials, number, left_out, centre)
        assert scores[number] == pytest.approx(expected, abs=1e-10)


def test_a_mean_of_no_speaker_is_an_error():
    trials = make_trials(SPEAKERS, SPEAKERS)
    scores = CentredScores(VECTORS, SPEAKERS, trials, centre=True)
    with pytest.raises(ValueError, match="no speaker is left"):
        scores.without(np.arange(4))


def test_the_mean_of_a_folder_counts_each_speaker_alike():
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert folder_mean(vectors, np.array([0, 0, 0, 1])).tolist() == [0.5, 0.5]
