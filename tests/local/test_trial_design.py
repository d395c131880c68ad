"""Design of trials and order of speakers, on numbers small enough to count."""

from collections import Counter

from local.trial_design import design_trials, stratified_order

UTT2SPK = {f"{speaker}{number}": speaker for speaker in "abcd" for number in (1, 2)}
SPK2GROUP = {"a": "f", "b": "f", "c": "m", "d": "m"}


def test_where_pairs_are_few_all_of_them_are_trials():
    """Four speakers of two utterances: 4 targets, 2 x 4 nontargets within groups, 16 across."""
    trials, shortage = design_trials(UTT2SPK, SPK2GROUP, seed=1)
    assert len(trials) == len({(enrol, test) for enrol, test, _ in trials}) == 4 + 8 + 16
    assert [(enrol, test) for enrol, test, is_target in trials if is_target] == [
        ("a1", "a2"),
        ("b1", "b2"),
        ("c1", "c2"),
        ("d1", "d2"),
    ]
    assert shortage == (
        "only 8 nontarget trials of one sex and age group exist, 20 were asked for; "
        "only 16 nontarget trials of different sexes or age groups exist, 20 were asked for"
    )


def test_trials_are_in_byte_order_whatever_the_order_of_the_utterances():
    trials, _ = design_trials(dict(reversed(UTT2SPK.items())), SPK2GROUP, seed=1)
    assert trials == sorted(trials) == design_trials(UTT2SPK, SPK2GROUP, seed=1)[0]


def test_every_fold_has_all_groups_in_proportion():
    spk2group = {f"s{number:02d}": "xyyzzzz"[number % 7] for number in range(63)}
    folds = [stratified_order(spk2group, seed=1)[first::4] for first in range(4)]
    assert sorted(sum(folds, [])) == sorted(spk2group)
    for group in "xyz":
        counts = [Counter(spk2group[speaker] for speaker in fold)[group] for fold in folds]
        print(group, counts)
        assert max(counts) - min(counts) <= 1
    assert stratified_order(spk2group, seed=2) != stratified_order(spk2group, seed=1)
