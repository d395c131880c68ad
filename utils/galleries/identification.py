"""Who of a gallery speaks in a recording, or nobody of it.

People are ranked by their scores.  In an open set, where a stranger may speak, the first one is
identified if the score reaches a threshold.  For a false-alarm rate a of the whole gallery of N
people, that is the threshold of rate a / N for each of them: the probability that a stranger
reaches it with anybody is then at most a, however the scores depend on each other.

Shapes: ``E`` embedding.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.embeddings.recordings import EmbeddedRecording, Limits
from utils.errors import UserError
from utils.galleries.files import Gallery
from utils.scoring.thresholds import Threshold
from utils.scoring.verification import ModelScoring, Rule

LEVEL = 0.95  # of the bounds of a fitted threshold


@dataclass(frozen=True)
class Candidate:
    """A person of the gallery, with score and log-likelihood ratio (None: no calibration)."""

    name: str
    score: float
    ratio: float | None
    num_files: int


@dataclass(frozen=True)
class OpenSet:
    """The lowest score that identifies a person of ``num_people``.

    Attributes
    ----------
    false_alarm_rate : float
        Of the whole gallery.
    threshold : float or None
        None: there is no decision.
    basis : str
        What the threshold rests on, or why there is none.
    """

    false_alarm_rate: float
    num_people: int
    threshold: float | None
    basis: str


@dataclass(frozen=True)
class WindowIdentification:
    """The first of the gallery in a window of a recording; ``name`` is None for a stranger."""

    start_seconds: float
    end_seconds: float
    first: Candidate
    name: str | None


@dataclass(frozen=True)
class Identification:
    """The outcome for a recording.

    Attributes
    ----------
    candidates : tuple of Candidate
        The first of the gallery, the most likely first.
    margin : float or None
        Score of the first less that of the second; None: there is one person.
    name : str or None
        Who is identified; None: nobody of the gallery, or there is no decision.
    open_set : OpenSet
        The rule of the decision.
    remarks : tuple of str
        What is to be said of the recording.
    windows : tuple of WindowIdentification
        Of a recording in windows.
    """

    candidates: tuple[Candidate, ...]
    margin: float | None
    name: str | None
    open_set: OpenSet
    remarks: tuple[str, ...] = ()
    windows: tuple[WindowIdentification, ...] = ()

    @property
    def decision(self) -> str | None:
        """``identified``, ``unknown`` or None."""
        if self.open_set.threshold is None:
            return None
        return "unknown" if self.name is None else "identified"


class Identifier:
    """Identifies people of a gallery by the scores of its model.

    ``rule`` is that of single comparisons (None: none), ``where`` the model, for messages.
    UserError: nobody is enrolled, or the rate is not between 0 and 1.
    """

    def __init__(
        self,
        scoring: ModelScoring,
        gallery: Gallery,
        rule: Rule | None,
        false_alarm_rate: float,
        where: Path,
    ):
        if not gallery.people:
            raise UserError("the gallery is empty; enrol a person by steps.enrol")
        if not 0 < false_alarm_rate < 1:
            raise UserError(f"--false-alarm-rate: {false_alarm_rate:g}, expected between 0 and 1")
        self.scoring, self.gallery, self.rule = scoring, gallery, rule
        self.open_set = open_set(rule, len(gallery.people), false_alarm_rate, where)
        self.owners = {
            vector.tobytes(): person.name
            for person in gallery.people.values()
            for vector in person.vectors
        }

    def identify(
        self, recording: EmbeddedRecording, top: int = 5, limits: Limits | None = None
    ) -> Identification:
        """The first people for a recording, and the decision.

        UserError: it is one of those that enrolled a person.
        """
        if top < 1:
            raise UserError(f"--top: {top}, expected 1 or more")
        owner = self.owners.get(recording.vector.tobytes())
        if owner is not None:
            raise UserError(
                f"{recording.name}: one of the recordings that enrolled '{owner}'; give another one"
            )
        ranked = self._rank(recording.vector)
        margin = None
        if len(ranked) > 1:
            margin = ranked[0].score - ranked[1].score
        remarks = [
            f"{recording.name}: {text}" for text in recording.remarks_as("test", limits or Limits())
        ]
        windows = []
        if len(recording.windows) > 1:
            for window in recording.windows:
                first = self._rank(window.vector)[0]
                name = self._decide(first)
                times = window.start_seconds, window.end_seconds
                windows.append(WindowIdentification(*times, first, name))
        return Identification(
            tuple(ranked[:top]),
            margin,
            self._decide(ranked[0]),
            self.open_set,
            tuple(remarks),
            tuple(windows),
        )

    def remarks(self) -> list[str]:
        """What is to be said of the rule and this gallery."""
        if self.rule is None:
            return []
        remarks = list(self.rule.fitted.marks)
        wanted = self.rule.fitted.enrol_files
        people = self.gallery.people.values()
        others = sum(person.num_files != wanted for person in people)
        if others and not self.rule.is_own:
            remarks.append(
                f"{others} of {len(people)} people have another number of recordings than the "
                f"{wanted} that the threshold was fitted for, and their scores differ by that; fit "
                "it by steps.fit_threshold --enrol-files"
            )
        return remarks

    def _rank(self, test_E: np.ndarray) -> list[Candidate]:
        """All people, the most likely first; of equal scores in the order of their names."""
        candidates = []
        for person in self.gallery.people.values():
            score = self.scoring.score(person.vectors, test_E, self.rule)
            ratio = None
            if self.rule is not None:
                ratio = self.scoring.decide(score, self.rule).ratio
            candidates.append(Candidate(person.name, score, ratio, person.num_files))
        return sorted(candidates, key=_place)

    def _decide(self, first: Candidate) -> str | None:
        """Who is identified, if anybody."""
        threshold = self.open_set.threshold
        if threshold is None or first.score < threshold:
            return None
        return first.name


def _place(candidate: Candidate) -> tuple[float, str]:
    return -candidate.score, candidate.name


def open_set(rule: Rule | None, num_people: int, rate: float, where: Path) -> OpenSet:
    """The rule of an open set of N people at a false-alarm rate of the whole gallery."""
    fit_one = (
        "fit a threshold on recordings of your own: python -m steps.fit_threshold "
        f"{where} FOLDER threshold.json"
    )
    if rule is None:
        return OpenSet(rate, num_people, None, f"{where} has no threshold; {fit_one}")
    if rule.is_own or not rule.fitted.false_alarms:
        basis = f"no false alarms were counted ({rule.basis}); {fit_one}"
        return OpenSet(rate, num_people, None, basis)
    threshold = rule.fitted.at_false_alarm_rate(rate / num_people)
    if threshold is None:
        return OpenSet(rate, num_people, None, _unsupported(rule.fitted, num_people, rate))
    return OpenSet(rate, num_people, threshold, rule.basis)


def _unsupported(fitted: Threshold, num_people: int, rate: float) -> str:
    """Why a fit gives no threshold of so small a rate, and what would do."""
    smallest = fitted.smallest_false_alarm_rate()
    text = (
        f"a false-alarm rate of {rate:g} for all {num_people} people takes one of "
        f"{rate / num_people:.2g} for each, and so few speakers show no less than {smallest:.2g}; "
        f"fit a threshold on {speakers_needed(rate / num_people)} speakers or more"
    )
    shown = _rounded_up(num_people * smallest)
    if shown < 1:
        text += f", or give --false-alarm-rate {shown:g}"
    return text


def _rounded_up(rate: float) -> float:
    """A rate with two digits, not below it."""
    unit = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.ceil(rate / unit + 1e-6) * unit


def speakers_needed(rate: float) -> int:
    """The fewest speakers whose pairs, without any false alarm, have a bound of at most a rate.

    Clopper and Pearson's bound of no error in n pairs is 1 - 0.05 ** (1 / n).
    """
    pairs = math.log(1 - LEVEL) / math.log1p(-rate)
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)
