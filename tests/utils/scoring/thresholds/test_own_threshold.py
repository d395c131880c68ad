"""A threshold of one's own recordings: the rules by numbers of speakers, and when it is refused."""

import numpy as np
import pytest

from utils.errors import UserError
from utils.scoring.thresholds.centred_scores import CentredScores, folder_mean
from utils.scoring.thresholds.cross_validation import assign_folds, validated_scores
from utils.scoring.thresholds.files import Calibration, unit
from utils.scoring.thresholds.fit import Rule, fit
from utils.scoring.thresholds.own_threshold import (
    OPTIMISTIC,
    Embeddings,
    Settings,
    fit_own_threshold,
    make_threshold,
    try_threshold,
)
from utils.scoring.thresholds.trials import make_trials

OWN = Calibration(-8.0, 20.0)


def folder(num_speakers, noise=2.0, files=6, seed=0, sessions=1):
    """Embeddings around a point for each speaker, all of them away from 0."""
    rng = np.random.default_rng([seed, num_speakers])
    points = rng.normal(size=(num_speakers, 1, 64)) + 0.5
    vectors = (points + noise * rng.normal(size=(num_speakers, files, 64))).reshape(-1, 64)
    names, labels = [], []
    for speaker in range(num_speakers):
        for number in range(files):
            names.append(f"s{speaker:02d}")
            labels.append(str(number % sessions))
    return Embeddings(vectors, names, labels)


GOOD = folder(8, noise=0.3)


@pytest.mark.parametrize(("prior", "cost"), [(0.01, "10"), (0.05, "2.2")])
def test_eight_good_speakers_are_too_few_for_rare_targets(prior, cost):
    with pytest.raises(UserError, match=f"may be {cost} .*about \\d+ speakers would do"):
        fit_own_threshold(GOOD, Settings(prior, calibration=OWN))


def test_eight_good_speakers_do_for_a_prior_of_one_half():
    own = fit_own_threshold(GOOD, Settings(0.5, calibration=OWN))
    assert own.bounds.miss.rate == own.bounds.false_alarm.rate == 0
    assert own.bounds.cost_bound == pytest.approx(0.414, abs=0.001)
    assert own.fitted.calibration is None  # the classes do not overlap
    assert any("no score of two speakers is as high" in mark for mark in own.marks)


def test_fewer_than_five_speakers_get_no_number():
    with pytest.raises(UserError, match="4 speakers .* at least 5: .* about 5 speakers would do"):
        fit_own_threshold(folder(4), Settings())
    with pytest.raises(UserError, match="about 27 speakers would do at a prior of 0.01"):
        fit_own_threshold(folder(4), Settings(0.01))


def test_speakers_with_one_file_do_not_count():
    five = folder(5, noise=0.5)
    speakers = [*five.speakers[:24], *(f"t{number}" for number in range(6))]  # 4 speakers with 6
    with pytest.raises(UserError, match="4 speakers whose recordings can be compared"):
        fit_own_threshold(Embeddings(five.vectors, speakers, five.sessions), Settings())
    lonely = Embeddings(five.vectors, [f"t{number}" for number in range(30)], [""] * 30)
    with pytest.raises(UserError, match="no targets"):
        fit_own_threshold(lonely, Settings())
    with pytest.raises(UserError, match="one speaker"):
        fit_own_threshold(Embeddings(five.vectors, ["a"] * 30, [""] * 30), Settings())


def test_speakers_that_cannot_be_told_apart_get_no_number():
    with pytest.raises(UserError, match="than rejecting everybody|always giving one answer"):
        fit_own_threshold(folder(8, noise=30.0), Settings(0.5, calibration=OWN))


def test_below_30_speakers_the_slope_is_the_models():
    assert fit_own_threshold(folder(29), Settings(calibration=OWN)).fitted.calibration.slope == (
        pytest.approx(20.0)
    )
    fitted = fit_own_threshold(folder(30), Settings(calibration=OWN)).fitted.calibration
    assert abs(fitted.slope - 20.0) > 0.5
    own = fit_own_threshold(folder(12, noise=1.5), Settings())
    assert own.fitted.calibration is None
    assert any("the model has no calibration" in mark for mark in own.marks)


def test_embeddings_are_centred_from_20_speakers_on():
    assert fit_own_threshold(folder(19), Settings(calibration=OWN)).mean is None
    twenty = folder(20)
    own = fit_own_threshold(twenty, Settings(calibration=OWN))
    numbers, _ = twenty.numbers()
    assert own.mean == pytest.approx(folder_mean(unit(twenty.vectors), numbers))


def test_sessions_make_the_mark_and_the_targets():
    flat = fit_own_threshold(folder(8, noise=1.0), Settings(calibration=OWN))
    assert OPTIMISTIC in flat.marks
    assert flat.counts["targets"] == 8 * 15
    own = fit_own_threshold(folder(8, noise=1.0, sessions=2), Settings(calibration=OWN))
    assert OPTIMISTIC not in own.marks
    assert own.counts["targets"] == 8 * 9


@pytest.mark.parametrize("num_speakers", [8, 24])
def test_no_speaker_takes_part_in_the_fit_of_its_own_trials(num_speakers):
    """Replaced vectors of two speakers leave the threshold of their trials as it was."""
    embeddings = folder(num_speakers, noise=1.5)
    speakers, sessions = embeddings.numbers()
    trials = make_trials(speakers, sessions)
    folds = assign_folds(trials)
    left_out = np.flatnonzero(np.isin(folds, folds[[1, 5]]))
    rule = Rule(0.5, 20.0, fits_slope=False)
    own = (trials.first == 1) & (trials.second == 5)
    thresholds = []
    for replaced in (False, True):
        vectors = unit(embeddings.vectors)
        if replaced:
            rows = np.isin(speakers, (1, 5))
            vectors[rows] = unit(np.random.default_rng(9).normal(size=(rows.sum(), 64)) - 2)
        scores = CentredScores(vectors, speakers, trials, centre=num_speakers >= 20)
        final = fit(scores.without(), trials.is_target, trials.weights(), rule)
        moved = validated_scores(trials, scores, rule, final)
        threshold = scores.without(left_out)[own] - moved[own] + final.threshold
        assert np.ptp(threshold) < 1e-9
        thresholds.append(threshold[0])
    assert thresholds[0] == pytest.approx(thresholds[1], abs=1e-9)


def test_models_of_several_files_have_a_threshold_of_their_own():
    embeddings = folder(12, noise=2.0, files=8)
    single = fit_own_threshold(embeddings, Settings(calibration=OWN))
    several = fit_own_threshold(embeddings, Settings(calibration=OWN, enrol_files=3))
    assert several.fitted.threshold > single.fitted.threshold + 0.05
    assert several.bounds.cost < single.bounds.cost


def test_the_shift_of_the_models_own_calibration_is_measured():
    embeddings = folder(12, noise=1.5)
    own = fit_own_threshold(embeddings, Settings(calibration=OWN))
    assert own.fitted.calibration.offset == pytest.approx(OWN.offset + own.shift["nats"])
    right = Calibration(own.fitted.calibration.offset, 20.0)
    assert fit_own_threshold(embeddings, Settings(calibration=right)).shift["nats"] == (
        pytest.approx(0, abs=1e-6)
    )


def test_one_person_under_two_names_is_the_closest_pair():
    embeddings = folder(10, noise=1.0)
    speakers = [
        "s99" if name == "s03" and number % 2 else name
        for number, name in enumerate(embeddings.speakers)
    ]
    divided = Embeddings(embeddings.vectors, speakers, embeddings.sessions)
    own = fit_own_threshold(divided, Settings(calibration=OWN))
    assert own.closest[0][:2] == ("s03", "s99")
    assert [pair.is_suspect for pair in own.closest] == [True, False, False]
    with pytest.raises(UserError, match="s03 and s99 are very close: one person under two names"):
        fit_own_threshold(divided, Settings(0.01, calibration=OWN))


def test_false_alarms_of_other_thresholds_have_bounds_that_never_grow():
    own = fit_own_threshold(folder(20), Settings(calibration=OWN))
    thresholds, rates, bounds = np.array(own.false_alarms).T
    assert (np.diff(thresholds) > 0).all()
    assert (np.diff(rates) <= 0).all()
    assert (np.diff(bounds) <= 0).all()
    assert (bounds > rates).all()
    assert rates[-1] == 0
    assert bounds[-1] == pytest.approx(1 - 0.05 ** (1 / 190))


def test_a_fitted_threshold_does_on_new_speakers_what_was_said():
    settings = Settings(calibration=OWN)
    own = fit_own_threshold(folder(24), settings)
    threshold = make_threshold(own, settings, {"model": "m", "backend": None, "norm": None})
    found = try_threshold(threshold, folder(40, seed=7), settings)
    assert found.miss.rate <= own.bounds.miss.bound
    assert found.false_alarm.rate <= own.bounds.false_alarm.bound
    assert found.miss.rate == pytest.approx(own.bounds.miss.rate, abs=0.1)
