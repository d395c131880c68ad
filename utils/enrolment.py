"""N x M enrolment and verification: a model of some utterances for each speaker, and trials of all models against others' and own utterances."""

from collections.abc import Mapping

import numpy as np

MODEL = "-model"  # so that a model never passes for the speaker, whose mean would hold the test utterances too


def enrol_and_verify(spk2utt: Mapping[str, list[str]], enrol_utterances: int, test_utterances: int, speakers: int | None = None,
                     seed: int = 0) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Draw disjoint utterances to enrol and to test speakers with.

    Parameters
    ----------
    spk2utt : mapping of str to list of str
        Speaker -> utterances.
    enrol_utterances, test_utterances : int
        How many of each speaker; one who has not as many in all is left out.
    speakers : int or None
        How many to draw; None: all.
    seed : int
        Of the draws; those of a speaker's utterances depend on seed and speaker alone.

    Returns
    -------
    models, trials, left_out : dict of str to list of str, list of str, list of str
        Model ``<speaker>-model`` -> its utterances; ``<model> <utterance> target|nontarget`` for all pairs; speakers with too few utterances.

    Raises
    ------
    ValueError
        Fewer than two speakers are left, or fewer than asked for.
    """
    for name, number in {"enrol_utterances": enrol_utterances, "test_utterances": test_utterances}.items():
        if number < 1:
            raise ValueError(f"{name} is {number}, expected 1 or more")
    needed = enrol_utterances + test_utterances
    fit = sorted(speaker for speaker, utterances in spk2utt.items() if len(utterances) >= needed)
    wanted = len(fit) if speakers is None else speakers
    if len(fit) < max(wanted, 2) or wanted < 2:
        raise ValueError(f"{len(fit)} of {len(spk2utt)} speakers have the {needed} utterances that enrolment and test need; "
                         f"{max(wanted, 2)} speakers are wanted")
    chosen = sorted(np.random.default_rng(seed).permutation(fit)[:wanted].tolist())
    models, tests = {}, []
    for speaker in chosen:
        drawn = np.random.default_rng([seed, *speaker.encode()]).permutation(sorted(spk2utt[speaker]))[:needed].tolist()
        models[speaker + MODEL] = sorted(drawn[:enrol_utterances])
        tests += [(utterance, speaker + MODEL) for utterance in sorted(drawn[enrol_utterances:])]
    trials = [f"{model} {utterance} {'target' if model == own else 'nontarget'}" for model in models for utterance, own in tests]
    return models, trials, sorted(spk2utt.keys() - set(fit))
