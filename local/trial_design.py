"""Trials of a corpus that has no trial list of its own."""

from collections.abc import Iterable, Mapping

import numpy as np

from utils.trials.pairs import Pairs, Sides, sorted_trials

NONTARGETS_PER_TARGET = 10

Trial = tuple[
    str, str, bool
]  # enrolment utterance, test utterance, whether the speaker is the same


def design_trials(
    utt2spk: Mapping[str, str], spk2group: Mapping[str, str], seed: int
) -> tuple[list[Trial], str]:
    """All target pairs, and ten nontarget pairs for each: five within a group, five across groups.

    Groups are of similar speakers, by sex and age. Pairs are unordered and distinct; where there
    are fewer than wanted, all are used. Returns the trials in byte order, and shortages as a text.
    """
    utterances = np.array(sorted(utt2spk, key=str.encode))
    speakers = [utt2spk[key] for key in utterances]
    groups = [spk2group[speaker] for speaker in speakers]
    sides = Sides.of_utterances(speaker=speakers, group=groups)
    targets = Pairs(sides, "target")
    wanted = NONTARGETS_PER_TARGET // 2 * len(targets)
    chosen, shortages = [targets.at(np.arange(len(targets)))], []
    random = np.random.default_rng(seed)
    for name, kind in (
        ("one sex and age group", "same_group"),
        ("different sexes or age groups", "cross_group"),
    ):
        nontargets = Pairs(sides, kind)
        chosen.append(nontargets.at(nontargets.draw(wanted, random)))
        if len(nontargets) < wanted:
            shortages.append(
                f"only {len(nontargets)} nontarget trials of {name} exist, {wanted} were asked for"
            )
    enrol, test, is_target = sorted_trials(chosen, [True, False, False])
    enrol_names, test_names = utterances[enrol].tolist(), utterances[test].tolist()
    trials = list(zip(enrol_names, test_names, is_target.tolist(), strict=True))
    return trials, "; ".join(shortages)


def trial_lines(trials: Iterable[Trial]) -> list[str]:
    """Trials as lines of a list, ``<enrol> <test> target|nontarget``."""
    lines = []
    for enrol, test, is_target in trials:
        word = "nontarget"
        if is_target:
            word = "target"
        lines.append(f"{enrol} {test} {word}")
    return lines


def stratified_order(spk2group: Mapping[str, str], seed: int) -> list[str]:
    """All speakers, group by group, shuffled within each.

    Every n-th speaker of the result is a sample with all groups in proportion.
    """
    speakers = sorted(spk2group, key=str.encode)
    draws = np.random.default_rng(seed).permutation(len(speakers))
    draw_by_speaker = dict(zip(speakers, draws, strict=True))

    def group_and_draw(speaker):
        return spk2group[speaker], draw_by_speaker[speaker]

    return sorted(speakers, key=group_and_draw)
