"""Enrolment models of several utterances out of stated numbers of sessions, and which utterances are left to test with."""

from collections.abc import Mapping, Sequence

import numpy as np

from utils.trials.enrolment import MODEL
from utils.trials.pairs import Sessions


def draw_models(spk2utt: Mapping[str, Sequence[str]], utt2session: Mapping[str, str], enrol_utterances: int, enrol_sessions: int | None,
                sessions: Sessions, seed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """One model for each speaker who has utterances enough, and the utterances that he is tested with.

    Parameters
    ----------
    spk2utt : mapping of str to sequence of str
        Speaker -> utterances.
    utt2session : mapping of str to str
        Utterance -> session; empty where sessions play no part.
    enrol_utterances : int
        Utterances of a model.
    enrol_sessions : int or None
        From exactly so many sessions, as evenly as can be; None: whatever session.
    sessions : str
        ``across``: tests are of sessions that the model has not; ``within``: of those that it has; ``any``: all others.
    seed : int
        Of the draws; those of a speaker depend on seed and speaker alone.

    Returns
    -------
    models, tests : dicts of str to list of str
        Model ``<speaker>-model`` -> its utterances; speaker -> utterances to test with, at least one.  Who has too few is in neither.
    """
    models, tests = {}, {}
    for speaker, utterances in sorted(spk2utt.items()):
        random = np.random.default_rng([seed, *speaker.encode()])
        enrolled = _draw_utterances(random.permutation(sorted(utterances)).tolist(), utt2session, enrol_utterances, enrol_sessions, random)
        theirs = {utt2session.get(utterance) for utterance in enrolled}
        rest = [utterance for utterance in sorted(utterances) if utterance not in set(enrolled)
                and (sessions == "any" or (utt2session[utterance] in theirs) == (sessions == "within"))]
        if enrolled and rest:
            models[speaker + MODEL], tests[speaker] = sorted(enrolled), rest
    return models, tests


def _draw_utterances(shuffled: list[str], utt2session: Mapping[str, str], enrol_utterances: int, enrol_sessions: int | None,
                     random: np.random.Generator) -> list[str]:
    """Utterances of a model, none where there are too few."""
    if enrol_sessions is None:
        return shuffled[:enrol_utterances] if len(shuffled) >= enrol_utterances else []
    by_session: dict[str, list[str]] = {}
    for utterance in shuffled:
        by_session.setdefault(utt2session[utterance], []).append(utterance)
    shares = [(enrol_utterances + place) // enrol_sessions for place in reversed(range(enrol_sessions))]  # the largest first
    order = sorted(random.permutation(sorted(by_session)).tolist(), key=lambda session: -min(len(by_session[session]), shares[0]))
    chosen = order[:enrol_sessions]
    fits = len(chosen) == enrol_sessions and all(len(by_session[session]) >= share for session, share in zip(chosen, shares, strict=True))
    return [utterance for session, share in zip(chosen, shares, strict=True) for utterance in by_session[session][:share]] if fits else []
