"""Which pairs of utterances are compared when a corpus has no trial list of its own."""

from collections.abc import Mapping

import numpy as np

IMPOSTORS_PER_TARGET = 10


def design_trials(utt2spk: Mapping[str, str], spk2group: Mapping[str, str], seed: int) -> tuple[list[tuple[str, str, bool]], str]:
    """All target pairs, and ten impostor pairs for each of them: five within a group of similar speakers, five across groups.

    Pairs are unordered and distinct, drawn from all that there are; where one kind has fewer than asked for, all of it is taken.

    Parameters
    ----------
    utt2spk : mapping of str to str
        Utterance -> speaker.
    spk2group : mapping of str to str
        Speaker -> group, for example sex and age group: impostors of the same group are the hard ones.
    seed : int
        Same utterances, groups and seed: same trials.

    Returns
    -------
    trials : list of (str, str, bool)
        Enrolment utterance, test utterance, whether they are of one speaker; in byte order.
    shortage : str
        What there was too little of, as a sentence; empty when nothing.
    """
    utterances = np.array(sorted(utt2spk, key=str.encode))
    speakers = np.unique([utt2spk[key] for key in utterances], return_inverse=True)[1]
    groups = np.unique([spk2group[utt2spk[key]] for key in utterances], return_inverse=True)[1]
    enrol, test = np.triu_indices(len(utterances), k=1)
    is_target = speakers[enrol] == speakers[test]
    is_same_group = groups[enrol] == groups[test]
    wanted = IMPOSTORS_PER_TARGET // 2 * int(is_target.sum())
    chosen, shortages = [np.flatnonzero(is_target)], []
    random = np.random.default_rng(seed)
    for kind, candidates in [("same", np.flatnonzero(is_same_group & ~is_target)), ("different", np.flatnonzero(~is_same_group))]:
        chosen.append(random.choice(candidates, min(wanted, len(candidates)), replace=False))
        if len(candidates) < wanted:
            shortages.append(f"{wanted} impostor trials of the {kind} sex and age group wanted, there are {len(candidates)}")
    order = np.sort(np.concatenate(chosen))
    trials = zip(utterances[enrol[order]].tolist(), utterances[test[order]].tolist(), is_target[order].tolist(), strict=True)
    return list(trials), "; ".join(shortages)


def stratified_order(spk2group: Mapping[str, str], seed: int) -> list[str]:
    """All speakers, group after group, shuffled within each: every n-th of them is a sample with all groups in proportion.

    Parameters
    ----------
    spk2group : mapping of str to str
        Speaker -> group.
    seed : int
        Same speakers, groups and seed: same order.
    """
    speakers = sorted(spk2group, key=str.encode)
    draw = dict(zip(speakers, np.random.default_rng(seed).permutation(len(speakers)), strict=True))
    return sorted(speakers, key=lambda speaker: (spk2group[speaker], draw[speaker]))
