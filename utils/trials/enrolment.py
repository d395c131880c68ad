"""Enrolment: models of some utterances of each speaker, and the utterances that they are tried against.

First N x M enrolment and verification (GE2E), where all models meet all test utterances; then
`draw_models`, for the designs of utils/trials/design.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from utils.trials.pairs import Sessions

# So that a model never passes for the speaker, whose mean would hold the test utterances too.
MODEL = "-model"


@dataclass
class TrialDesign:
    """A YAML of `steps.make_enrolment`, as in recipes/vctk_ge2e/conf/trials."""

    enrol_names: str = "*"
    test_names: str = "*"
    apart_by: str = ""
    watermark: str = ""


@dataclass(frozen=True)
class Pools:
    """Which utterances one may enrol with, and which test."""

    may_enrol: set[str]
    may_test: set[str]


def may_enrol_and_test(
    utt2spk: Mapping[str, str],
    design: TrialDesign,
    value_of: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Pools:
    """Which utterances one may enrol with, and which test."""
    enrol, test = (
        {key for key in utt2spk if fnmatchcase(key, pattern)}
        for pattern in (design.enrol_names, design.test_names)
    )
    if value_of is None:
        return Pools(enrol, test)
    first_speaker: dict[str, str] = {}
    for key in sorted(utt2spk):
        first_speaker.setdefault(value_of[key], utt2spk[key])
    drawn = np.random.default_rng(seed).permutation(sorted(first_speaker)).tolist()
    to_enrol = set(sorted(drawn, key=first_speaker.__getitem__)[::2])
    return Pools(
        {key for key in enrol if value_of[key] in to_enrol},
        {key for key in test if value_of[key] not in to_enrol},
    )


def enrol_and_verify(
    spk2utt: Mapping[str, list[str]],
    enrol_utterances: int,
    test_utterances: int,
    speakers: int | None = None,
    seed: int = 0,
    pools: Pools | None = None,
) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Draw disjoint utterances to enrol and to test speakers with."""
    wanted_of = {"enrol_utterances": enrol_utterances, "test_utterances": test_utterances}
    for name, number in wanted_of.items():
        if number < 1:
            raise ValueError(f"{name} is {number}, expected 1 or more")
    needed, drawn = enrol_utterances + test_utterances, {}
    for speaker, utterances in spk2utt.items():
        random = np.random.default_rng([seed, *speaker.encode()])
        order = random.permutation(sorted(utterances)).tolist()
        may_enrol = [key for key in order if pools is None or key in pools.may_enrol]
        enrolled = may_enrol[:enrol_utterances]
        rest = [key for key in order if key not in enrolled]
        may_test = [key for key in rest if pools is None or key in pools.may_test]
        drawn[speaker] = sorted(enrolled), sorted(may_test[:test_utterances])
    fit = sorted(
        speaker
        for speaker, (enrolled, tested) in drawn.items()
        if len(enrolled) + len(tested) == needed
    )
    wanted = len(fit) if speakers is None else speakers
    if len(fit) < max(wanted, 2) or wanted < 2:
        raise ValueError(
            f"{len(fit)} of {len(spk2utt)} speakers have the {needed} utterances that enrolment and test need; "
            f"{max(wanted, 2)} speakers are wanted"
        )
    chosen = sorted(np.random.default_rng(seed).permutation(fit)[:wanted].tolist())
    models, tests = {}, []
    for speaker in chosen:
        models[speaker + MODEL], tested = drawn[speaker]
        tests += [(utterance, speaker + MODEL) for utterance in tested]
    trials = [
        f"{model} {utterance} {'target' if model == own else 'nontarget'}"
        for model in models
        for utterance, own in tests
    ]
    return models, trials, sorted(spk2utt.keys() - set(fit))


def single_trials(models: Mapping[str, list[str]], trials: Iterable[str]) -> list[str]:
    """The same trials, every utterance of a model enrolling by itself."""
    return [
        f"{utterance} {test} {kind}"
        for model, test, kind in map(str.split, trials)
        for utterance in models[model]
    ]


def draw_models(
    spk2utt: Mapping[str, Sequence[str]],
    utt2session: Mapping[str, str],
    enrol_utterances: int,
    enrol_sessions: int | None,
    sessions: Sessions,
    seed: int,
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """One model for each speaker who has utterances enough, and the utterances that he is tested with."""
    models, tests = {}, {}
    for speaker, utterances in sorted(spk2utt.items()):
        random = np.random.default_rng([seed, *speaker.encode()])
        enrolled = _draw_utterances(
            random.permutation(sorted(utterances)).tolist(),
            utt2session,
            enrol_utterances,
            enrol_sessions,
            random,
        )
        theirs = {utt2session.get(utterance) for utterance in enrolled}
        rest = [
            utterance
            for utterance in sorted(utterances)
            if utterance not in set(enrolled)
            and (sessions == "any" or (utt2session[utterance] in theirs) == (sessions == "within"))
        ]
        if enrolled and rest:
            models[speaker + MODEL], tests[speaker] = sorted(enrolled), rest
    return models, tests


def _draw_utterances(
    shuffled: list[str],
    utt2session: Mapping[str, str],
    enrol_utterances: int,
    enrol_sessions: int | None,
    random: np.random.Generator,
) -> list[str]:
    """Utterances of a model, none where there are too few."""
    if enrol_sessions is None:
        return shuffled[:enrol_utterances] if len(shuffled) >= enrol_utterances else []
    by_session: dict[str, list[str]] = {}
    for utterance in shuffled:
        by_session.setdefault(utt2session[utterance], []).append(utterance)
    shares = [
        (enrol_utterances + place) // enrol_sessions for place in reversed(range(enrol_sessions))
    ]  # the largest first
    order = sorted(
        random.permutation(sorted(by_session)).tolist(),
        key=lambda session: -min(len(by_session[session]), shares[0]),
    )
    chosen = order[:enrol_sessions]
    fits = len(chosen) == enrol_sessions and all(
        len(by_session[session]) >= share for session, share in zip(chosen, shares, strict=True)
    )
    if not fits:
        return []
    return [
        utterance
        for session, share in zip(chosen, shares, strict=True)
        for utterance in by_session[session][:share]
    ]
