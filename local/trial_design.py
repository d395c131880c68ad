"""Which pairs of utterances are compared when a corpus has no trial list of its own."""

from collections.abc import Mapping

import numpy as np

from utils.trials.pairs import Pairs, Sides, sorted_trials

IMPOSTORS_PER_TARGET = 10


def design_trials(
    utt2spk: Mapping[str, str], spk2group: Mapping[str, str], seed: int
) -> tuple[list[tuple[str, str, bool]], str]:
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
    speakers = [utt2spk[key] for key in utterances]
    sides = Sides.of_utterances(
        speaker=speakers, group=[spk2group[speaker] for speaker in speakers]
    )
    targets = Pairs(sides, "target")
    wanted = IMPOSTORS_PER_TARGET // 2 * len(targets)
    chosen, shortages = [targets.at(np.arange(len(targets)))], []
    random = np.random.default_rng(seed)
    for name, kind in (("same", "same_group"), ("different", "cross_group")):
        impostors = Pairs(sides, kind)
        chosen.append(impostors.at(impostors.draw(wanted, random)))
        if len(impostors) < wanted:
            shortages.append(
                f"{wanted} impostor trials of the {name} sex and age group wanted, there are {len(impostors)}"
            )
    enrol, test, is_target = sorted_trials(chosen, [True, False, False])
    trials = zip(
        utterances[enrol].tolist(), utterances[test].tolist(), is_target.tolist(), strict=True
    )
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
