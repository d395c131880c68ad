"""A threshold of one's own recordings: the fit, its error bounds, and when no number is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.metrics.operating_points import effective_prior
from utils.scoring.thresholds.bounds import (
    LEAST_SPEAKERS,
    Bound,
    Bounds,
    error_bounds,
    false_alarm_bound,
)
from utils.scoring.thresholds.centred_scores import CentredScores, folder_mean
from utils.scoring.thresholds.cross_validation import (
    FixedScores,
    Scores,
    count_errors,
    validated_scores,
)
from utils.scoring.thresholds.files import Calibration, Threshold, unit
from utils.scoring.thresholds.fit import Fitted, Rule, fit, fit_calibration
from utils.scoring.thresholds.trials import Trials, make_trials, uses_sessions

CENTRING_SPEAKERS = 20  # from so many on, embeddings are centred by their mean
SLOPE_SPEAKERS = 30  # from so many on, the slope is fitted, too
CURVE_RATES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
CLOSEST = 3
SAME_PERSON = "one person under two names?"
OPTIMISTIC = (
    "misses are optimistic: no speaker has recordings of two sessions, and the same day, room and "
    "microphone on both sides are easier than what comes later"
)
# scores (T,) of trials of embeddings (F, E), by the back end and the norm of a model
ModelScores = Callable[[np.ndarray, Trials], np.ndarray]


@dataclass(frozen=True)
class Embeddings:
    """Embeddings (F, E) of files, with the speaker and the session of each."""

    vectors: np.ndarray
    speakers: Sequence[str]
    sessions: Sequence[str]

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Speakers and sessions (F,) as numbers, in the order of their names."""
        _, speakers = np.unique(self.speakers, return_inverse=True)
        named = [f"{one}\0{other}" for one, other in zip(self.speakers, self.sessions, strict=True)]
        _, sessions = np.unique(named, return_inverse=True)
        return speakers, sessions

    def names(self) -> list[str]:
        """Names of the speakers, by their numbers."""
        return np.unique(self.speakers).tolist()


@dataclass(frozen=True)
class Settings:
    """What a threshold is for, and the model's own calibration (None: it has none).

    ``model_scores`` are those of a model with a back end or a norm; None: cosine.
    """

    p_target: float = 0.5
    c_miss: float = 1.0
    c_fa: float = 1.0
    enrol_files: int = 1
    calibration: Calibration | None = None
    model_scores: ModelScores | None = None

    @property
    def prior(self) -> float:
        """The effective prior."""
        return effective_prior(self.p_target, self.c_miss, self.c_fa)


class ClosePair(NamedTuple):
    """Two speakers, their mean score, and whether a speaker has a lower one with himself."""

    one: str
    other: str
    score: float
    is_suspect: bool


@dataclass(frozen=True)
class OwnThreshold:
    """A fitted threshold with all that is said of it.

    ``closest`` are pairs of speakers, those with the highest mean scores first.
    """

    fitted: Fitted
    mean: np.ndarray | None
    bounds: Bounds
    false_alarms: list[list[float]]
    counts: dict[str, float]
    marks: list[str]
    shift: dict[str, float] | None
    closest: list[ClosePair] = field(default_factory=list)


def fit_own_threshold(embeddings: Embeddings, settings: Settings) -> OwnThreshold:
    """Fit a threshold to embeddings of one's own recordings, by cross-validation over speakers.

    UserError where no number can be given: no targets, fewer than five speakers, or a cost that may
    be no better than a fixed answer.
    """
    speakers, sessions = embeddings.numbers()
    trials = refuse_few(embeddings, settings)
    scores = make_scores(embeddings.vectors, speakers, trials, settings)
    fits_slope = len(trials.target_speakers()) >= SLOPE_SPEAKERS
    slope = None
    if settings.calibration is not None:
        slope = settings.calibration.slope
    rule = Rule(settings.prior, slope, fits_slope)
    fitted = fit(scores.without(), trials.is_target, trials.weights(), rule)
    if not np.isfinite(fitted.threshold):
        raise UserError(
            f"at {describe_point(settings)} always giving one answer costs least on these "
            "recordings, so that no threshold is worth writing; the speakers are too alike for "
            "this model, or folders mix speakers"
        )
    validated = validated_scores(trials, scores, rule, fitted)
    bounds = error_bounds(count_errors(trials, validated, fitted.threshold), settings.prior)
    closest = _closest(trials, validated, embeddings.names())
    _refuse_worthless(bounds, settings, closest[0])
    mean = None
    if is_centred(trials, settings):
        mean = folder_mean(unit(embeddings.vectors), speakers)
    return OwnThreshold(
        fitted,
        mean,
        bounds,
        false_alarm_curve(trials, validated),
        _counts(trials, speakers, sessions, bounds),
        _marks(trials, speakers, sessions, fitted, rule),
        _shift(embeddings.vectors, speakers, trials, settings),
        closest,
    )


def trials_of(embeddings: Embeddings, enrol_files: int) -> Trials:
    """All trials of some files; UserError where there is no target or no nontarget."""
    speakers, sessions = embeddings.numbers()
    try:
        trials = make_trials(speakers, sessions, enrol_files)
    except ValueError as error:
        raise UserError(str(error)) from None
    is_target = trials.is_target
    if not is_target.any():
        needed = f"{enrol_files + 1} different recordings"
        if uses_sessions(speakers, sessions):
            needed = f"{enrol_files} recordings of one session and one of another"
        raise UserError(f"no targets: no speaker has {needed}, so that misses cannot be counted")
    if is_target.all():
        raise UserError("recordings of one speaker, so that false alarms cannot be counted")
    return trials


def refuse_few(embeddings: Embeddings, settings: Settings) -> Trials:
    """The trials of some files; UserError if no threshold can be fitted to so few speakers."""
    trials = trials_of(embeddings, settings.enrol_files)
    number = len(trials.target_speakers())
    if number >= LEAST_SPEAKERS:
        return trials
    perfect = Bounds(Bound(0, 1, LEAST_SPEAKERS, LEAST_SPEAKERS), Bound(0, 1, 1, 1), settings.prior)
    raise UserError(
        f"{number} speakers whose recordings can be compared with each other, expected at least "
        f"{LEAST_SPEAKERS}: no threshold; {_would_do(perfect)} at {describe_point(settings)}"
    )


def _refuse_worthless(bounds: Bounds, settings: Settings, closest: ClosePair) -> None:
    """Refuse a threshold whose cost may be that of a fixed answer."""
    if bounds.cost_bound < 1:
        return
    suspicion = ""
    if closest.is_suspect:
        suspicion = f"; {closest.one} and {closest.other} are very close: {SAME_PERSON}"
    answer = "rejecting everybody"
    if settings.prior > 0.5:
        answer = "accepting everybody"
    raise UserError(
        f"no threshold: at {describe_point(settings)}, {bounds.miss.number} speakers cannot show "
        f"that one is better than {answer}: by the approximate 95 % bounds the normalised cost may "
        f"be {bounds.cost_bound:.2g} (misses {bounds.miss.bound:.1%}, false alarms "
        f"{bounds.false_alarm.bound:.1%}), expected less than 1; {_would_do(bounds)}{suspicion}"
    )


def _would_do(bounds: Bounds) -> str:
    needed = bounds.speakers_needed()
    if needed is None:
        return "with such error rates no number of speakers would do"
    return f"about {needed} speakers would do"


def describe_point(settings: Settings | Threshold) -> str:
    """Prior and costs in words."""
    costs = "equal costs"
    if settings.c_miss != settings.c_fa:
        costs = f"costs of {settings.c_miss:g} for a miss and {settings.c_fa:g} for a false alarm"
    return f"a prior of {settings.p_target:g} and {costs}"


def make_threshold(own: OwnThreshold, settings: Settings, maker: Mapping) -> Threshold:
    """What ``threshold.json`` holds of a fit to scores of a ``maker``, as in `ModelScoring`."""
    return Threshold(
        maker["model"],
        own.fitted.threshold,
        own.fitted.calibration,
        own.mean,
        maker["backend"],
        settings.enrol_files,
        settings.p_target,
        settings.c_miss,
        settings.c_fa,
        errors_entry(own.bounds),
        own.false_alarms,
        own.counts,
        own.marks,
        own.shift,
        norm=maker["norm"],
    )


def errors_entry(bounds: Bounds) -> dict[str, dict[str, float]]:
    """Both error rates and the normalised cost, with bounds, as ``threshold.json`` has them."""
    return {
        "miss": {"rate": bounds.miss.rate, "bound": bounds.miss.bound},
        "false_alarm": {"rate": bounds.false_alarm.rate, "bound": bounds.false_alarm.bound},
        "cost": {"rate": bounds.cost, "bound": bounds.cost_bound},
    }


def is_centred(trials: Trials, settings: Settings) -> bool:
    """Whether embeddings are centred: cosine, and enough speakers."""
    return settings.model_scores is None and trials.num_speakers >= CENTRING_SPEAKERS


def make_scores(
    vectors: np.ndarray,
    speakers: np.ndarray,
    trials: Trials,
    settings: Settings,
    may_centre: bool = True,
) -> Scores:
    """Scores of the model, or cosines: centred, if that is allowed and there are enough speakers.

    A model's cohort is its own, so that its norm is the same whichever speakers are left out.
    """
    if settings.model_scores is not None:
        return FixedScores(settings.model_scores(vectors, trials))
    centre = may_centre and is_centred(trials, settings)
    cosines = CentredScores(unit(vectors), speakers, trials, centre)
    if centre:
        return cosines
    return FixedScores(cosines.without())


def false_alarm_curve(trials: Trials, scores: np.ndarray) -> list[list[float]]:
    """Rows [threshold, false-alarm rate, bound], by growing thresholds, to no false alarm at all.

    Bounds never grow with the threshold.
    """
    nontarget = ~trials.is_target
    order = np.argsort(scores[nontarget], kind="stable")[::-1]
    falling = scores[nontarget][order]
    above = np.cumsum(trials.weights()[nontarget][order])
    positions = np.searchsorted(above, CURVE_RATES) - 1
    places = positions[positions >= 0]
    thresholds = {float(np.nextafter(falling[0], np.inf)), *falling[places].tolist()}
    rows: list[list[float]] = []
    largest = 0.0
    for threshold in sorted(thresholds, reverse=True):
        bound = false_alarm_bound(count_errors(trials, scores, threshold))
        largest = max(largest, bound.bound)
        rows.append([threshold, bound.rate, largest])
    return rows[::-1]


def _counts(
    trials: Trials, speakers: np.ndarray, sessions: np.ndarray, bounds: Bounds
) -> dict[str, float]:
    is_target = trials.is_target
    return {
        "files": len(speakers),
        "speakers": trials.num_speakers,
        "sessions": len(np.unique(sessions)),
        "target_speakers": bounds.miss.number,
        "pairs_of_speakers": bounds.false_alarm.number,
        "targets": int(is_target.sum()),
        "nontargets": int((~is_target).sum()),
        "effective_speakers": round(bounds.miss.effective, 1),
        "effective_pairs": round(bounds.false_alarm.effective, 1),
    }


def session_marks(speakers: np.ndarray, sessions: np.ndarray) -> list[str]:
    """What has to be said of misses that are counted within one session."""
    if uses_sessions(speakers, sessions):
        return []
    return [OPTIMISTIC]


def _marks(
    trials: Trials, speakers: np.ndarray, sessions: np.ndarray, fitted: Fitted, rule: Rule
) -> list[str]:
    marks = session_marks(speakers, sessions)
    without_targets = trials.num_speakers - len(trials.target_speakers())
    if without_targets:
        marks.append(f"{without_targets} speakers give no targets, only pairs of different people")
    if fitted.calibration is None:
        reason = "no score of two speakers is as high as one of the same speaker"
        if not rule.has_ratio():
            reason = f"the model has no calibration, and a slope takes {SLOPE_SPEAKERS} speakers"
        marks.append(f"a threshold of scores and no likelihood ratio: {reason}")
    return marks


def _shift(
    vectors: np.ndarray, speakers: np.ndarray, trials: Trials, settings: Settings
) -> dict[str, float] | None:
    """How far the model's own calibration is off here, and its errors at this prior and costs.

    ``nats`` is what has to be added to its log-likelihood ratios.
    """
    own = settings.calibration
    if own is None:
        return None
    scores = make_scores(vectors, speakers, trials, settings, may_centre=False).without()
    here = fit_calibration(scores, trials.is_target, trials.weights(), own.slope)
    threshold = own.threshold(settings.p_target, settings.c_miss, settings.c_fa)
    bounds = error_bounds(count_errors(trials, scores, threshold), settings.prior)
    return {
        "nats": here.offset - own.offset,
        "threshold": threshold,
        "miss": bounds.miss.rate,
        "false_alarm": bounds.false_alarm.rate,
    }


def _closest(trials: Trials, scores: np.ndarray, names: Sequence[str]) -> list[ClosePair]:
    """Pairs of different speakers with the highest mean scores."""
    size = trials.num_speakers
    nontarget = ~trials.is_target
    own = trials.first[~nontarget]
    own_means = np.bincount(own, scores[~nontarget], size)[own] / np.bincount(own, None, size)[own]
    low = np.minimum(trials.first, trials.second)[nontarget]
    high = np.maximum(trials.first, trials.second)[nontarget]
    pairs, index = np.unique(low * size + high, return_inverse=True)
    means = np.bincount(index, scores[nontarget]) / np.bincount(index)
    closest = []
    for place in np.argsort(-means, kind="stable")[:CLOSEST]:
        one, other = divmod(int(pairs[place]), size)
        score = float(means[place])
        closest.append(ClosePair(names[one], names[other], score, score > own_means.min()))
    return closest


def try_threshold(threshold: Threshold, embeddings: Embeddings, settings: Settings) -> Bounds:
    """Errors of a fitted threshold on other recordings, with bounds of their own.

    UserError without targets or nontargets.
    """
    trials = trials_of(embeddings, threshold.enrol_files)
    if settings.model_scores is not None:
        scores = settings.model_scores(embeddings.vectors, trials)
    else:
        prepared = threshold.prepare(embeddings.vectors)
        speakers, _ = embeddings.numbers()
        scores = CentredScores(prepared, speakers, trials, centre=False).without()
    prior = effective_prior(threshold.p_target, threshold.c_miss, threshold.c_fa)
    return error_bounds(count_errors(trials, scores, threshold.threshold), prior)
