"""Enrolment: models of some utterances of each speaker, and the utterances they are tested with.

`enrol_and_verify` is N x M enrolment and verification (GE2E), where all models meet all test
utterances; `draw_models` is for the designs of utils/trials/design.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from utils.data_dir.trial_list import class_name
from utils.trials.pairs import Sessions

# A model must not have the name of its speaker, whose mean would contain the test utterances too.
MODEL = "-model"


@dataclass
class TrialDesign:
    """A YAML of `steps.make_enrolment`, as in recipes/vctk_ge2e/conf/trials."""

    # shell patterns: only utterances with these names enrol, and test
    enrol_names: str = "*"
    test_names: str = "*"
    # A list of the data directory, such as utt2prompt: half of its values enrol and the other half
    # test, the same for all speakers, so that no trial has one value (sentence, recording, session)
    # on both sides.  Empty: none.
    apart_by: str = ""
    watermark: str = ""  # beside every figure of the trials; empty: none


@dataclass(frozen=True)
class Pools:
    """The utterances that may enrol, and those that may test."""

    may_enrol: set[str]
    may_test: set[str]


def may_enrol_and_test(
    utt2spk: Mapping[str, str],
    design: TrialDesign,
    value_of: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Pools:
    """The utterances that match the names of a design, or half of them each.

    ``value_of`` is the list that the design names: utterance -> sentence, recording or session.
    Its values, shuffled and then sorted by the first speaker who has each, enrol and test in turn:
    values that a single speaker has are divided within that speaker.
    """
    may_enrol = {key for key in utt2spk if fnmatchcase(key, design.enrol_names)}
    may_test = {key for key in utt2spk if fnmatchcase(key, design.test_names)}
    if value_of is None:
        return Pools(may_enrol, may_test)
    first_speaker: dict[str, str] = {}
    for key in sorted(utt2spk):
        first_speaker.setdefault(value_of[key], utt2spk[key])
    shuffled = np.random.default_rng(seed).permutation(sorted(first_speaker)).tolist()
    enrol_values = set(sorted(shuffled, key=first_speaker.__getitem__)[::2])
    return Pools(
        {key for key in may_enrol if value_of[key] in enrol_values},
        {key for key in may_test if value_of[key] not in enrol_values},
    )


def enrol_and_verify(
    spk2utt: Mapping[str, list[str]],
    enrol_utterances: int,
    test_utterances: int,
    speakers: int | None = None,
    seed: int = 0,
    pools: Pools | None = None,
) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Draw disjoint utterances to enrol and to test speakers; (models, trials, left_out).

    ``speakers``: number to draw; None: all with enough utterances, the others are ``left_out``.
    The draw of a speaker's utterances depends on seed and speaker only.  ``pools``: utterances that
    may enrol, and test; None: all.

    ``models``: ``<speaker>-model`` -> utterances; ``trials``: lines
    ``<model> <utterance> target|nontarget`` for all pairs.  ValueError if fewer than two speakers
    are left, or fewer than asked for.
    """
    counts = {"enrol_utterances": enrol_utterances, "test_utterances": test_utterances}
    for name, number in counts.items():
        if number < 1:
            raise ValueError(f"{name} is {number}, expected 1 or more")
    drawn = {}
    for speaker, utterances in spk2utt.items():
        random = np.random.default_rng([seed, *speaker.encode()])
        shuffled = random.permutation(sorted(utterances)).tolist()
        enrolled, tested = _divide(shuffled, enrol_utterances, test_utterances, pools)
        if len(enrolled) == enrol_utterances and len(tested) == test_utterances:
            drawn[speaker] = enrolled, tested
    wanted = len(drawn) if speakers is None else speakers
    if len(drawn) < max(wanted, 2) or wanted < 2:
        needed = enrol_utterances + test_utterances
        raise ValueError(
            f"{len(drawn)} of {len(spk2utt)} speakers have the {needed} utterances that enrolment "
            f"and test need; {max(wanted, 2)} speakers are wanted"
        )
    chosen = np.random.default_rng(seed).permutation(sorted(drawn))[:wanted].tolist()
    models, tests = {}, {}
    for speaker in sorted(chosen):
        models[speaker + MODEL], tests[speaker + MODEL] = drawn[speaker]
    trials = []
    for model in models:
        for own, utterances in tests.items():
            kind = class_name(model == own)
            trials += [f"{model} {utterance} {kind}" for utterance in utterances]
    return models, trials, sorted(spk2utt.keys() - drawn.keys())


def _divide(
    shuffled: list[str], enrol_utterances: int, test_utterances: int, pools: Pools | None
) -> tuple[list[str], list[str]]:
    """The first utterances that may enrol, and the first of the rest that may test."""
    may_enrol, may_test = shuffled, shuffled
    if pools:
        may_enrol = [key for key in shuffled if key in pools.may_enrol]
        may_test = [key for key in shuffled if key in pools.may_test]
    enrolled = may_enrol[:enrol_utterances]
    tested = [key for key in may_test if key not in enrolled]
    return sorted(enrolled), sorted(tested[:test_utterances])


def single_trials(models: Mapping[str, list[str]], trials: Iterable[str]) -> list[str]:
    """The trials of `enrol_and_verify` with every utterance of a model enrolled by itself."""
    singles = []
    for trial in trials:
        model, test, kind = trial.split()
        singles += [f"{utterance} {test} {kind}" for utterance in models[model]]
    return singles


def draw_models(
    spk2utt: Mapping[str, Sequence[str]],
    utt2session: Mapping[str, str],
    enrol_utterances: int,
    enrol_sessions: int | None,
    sessions: Sessions,
    seed: int,
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Draw a model of each speaker with enough utterances, and the utterances to test with.

    ``enrol_sessions``: number of sessions of a model, used as evenly as possible; None: any.
    ``sessions``: tests are ``across``: of sessions that the model lacks; ``within``: of those that
    it has; ``any``: all others.  The draw of a speaker depends on seed and speaker only.

    Returns ``<speaker>-model`` -> utterances, and speaker -> test utterances, at least one.
    """
    models, tests = {}, {}
    for speaker, utterances in sorted(spk2utt.items()):
        random = np.random.default_rng([seed, *speaker.encode()])
        shuffled = random.permutation(sorted(utterances)).tolist()
        if enrol_sessions is None:
            enrolled = shuffled[:enrol_utterances]
        else:
            enrolled = _draw_from_sessions(
                shuffled, utt2session, enrol_utterances, enrol_sessions, random
            )
        if len(enrolled) < enrol_utterances:
            continue
        model_sessions = {utt2session.get(utterance) for utterance in enrolled}
        rest = []
        for utterance in sorted(set(utterances).difference(enrolled)):
            is_within = utt2session.get(utterance) in model_sessions
            if sessions == "any" or is_within == (sessions == "within"):
                rest.append(utterance)
        if rest:
            models[speaker + MODEL], tests[speaker] = sorted(enrolled), rest
    return models, tests


def _draw_from_sessions(
    shuffled: list[str],
    utt2session: Mapping[str, str],
    enrol_utterances: int,
    enrol_sessions: int,
    random: np.random.Generator,
) -> list[str]:
    """The utterances of a model from ``enrol_sessions`` sessions; none if there are too few."""
    by_session: dict[str, list[str]] = {}
    for utterance in shuffled:
        by_session.setdefault(utt2session[utterance], []).append(utterance)
    # the utterances of each session, the largest share first
    smallest, rest = divmod(enrol_utterances, enrol_sessions)
    shares = [smallest + 1] * rest + [smallest] * (enrol_sessions - rest)
    order = random.permutation(sorted(by_session)).tolist()
    # sessions with enough for the largest share first, then the larger ones
    order.sort(key=lambda session: -min(len(by_session[session]), shares[0]))
    chosen = order[:enrol_sessions]
    if len(chosen) < enrol_sessions:
        return []
    drawn: list[str] = []
    for session, share in zip(chosen, shares, strict=True):
        if len(by_session[session]) < share:
            return []
        drawn += by_session[session][:share]
    return drawn
