"""Who is trained on, who is dev, and which trials dev has, where a corpus has thousands of speakers and a million utterances."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from local.trial_design import stratified_order
from utils.errors import UserError

DEV_SPEAKERS = 40  # as many as VoxCeleb1's list O has
FEW_SPEAKERS = 400  # below, a tenth is dev
TARGETS_PER_SPEAKER = 500  # 40 dev speakers then have as many trials as list O


def choose_dev_speakers(
    spk2group: Mapping[str, str],
    wanted: int | None,
    seed: int,
    single: Collection[str] = frozenset(),
) -> tuple[set[str], str]:
    """Draw the speakers that are kept out of the training.

    Parameters
    ----------
    spk2group : mapping of str to str
        Training speaker -> group (corpus and sex), which dev has in proportion.
    wanted : int or None
        How many; None: 40, or a tenth and at least 2 of fewer than 400; 0: none, as in the papers.
    seed : int
        Of the draw.
    single : collection of str
        Speakers of one utterance, who have no target trial: they are trained on.

    Returns
    -------
    speakers : set of str
        Those of dev.
    said : str
        How many, and why.

    Raises
    ------
    UserError
        Too few are left to train on, or one alone would be dev.
    """
    total = len(spk2group)
    number = (
        wanted
        if wanted is not None
        else DEV_SPEAKERS
        if total >= FEW_SPEAKERS
        else max(2, total // 10)
    )
    if number == 1 or number < 0 or (number and total - number < 2):
        raise UserError(
            f"{number} of {total} training speakers for dev, expected 2 or more, and 2 or more others; 0: none; correct --dev-speakers"
        )
    fit = {speaker: group for speaker, group in spk2group.items() if speaker not in single}
    if number > len(fit):
        raise UserError(
            f"{number} of {total} training speakers for dev, but {total - len(fit)} have one utterance and no target trial, {len(fit)} have more; "
            "lower --dev-speakers, or 0: none"
        )
    order = stratified_order(fit, seed)
    why = (
        "as asked for"
        if wanted is not None
        else f"a tenth of fewer than {FEW_SPEAKERS}"
        if total < FEW_SPEAKERS
        else "drawn with the seed"
    )
    return {
        order[index * len(order) // number] for index in range(number)
    }, f"dev: {number} of {total:,} training speakers, {why}"


def design_dev_trials(
    utt2spk: Mapping[str, str],
    utt2session: Mapping[str, str],
    spk2group: Mapping[str, str],
    seed: int,
) -> list[str]:
    """Trials of many utterances: up to 500 target pairs of each speaker, across sessions where there are several, and as many impostor pairs.

    Half of the impostor pairs are within a group of similar speakers, as far as there are so many.  Pairs are unordered and distinct.

    Parameters
    ----------
    utt2spk, utt2session : mappings of str to str
        Utterance -> speaker; utterance -> session (video).
    spk2group : mapping of str to str
        Speaker -> sex, or anything that makes speakers alike.
    seed : int
        Of the draws.

    Returns
    -------
    list of str
        Lines ``<enrol> <test> target|nontarget`` in byte order.

    Raises
    ------
    UserError
        No speaker has two utterances.
    """
    utterances = np.array(sorted(utt2spk))
    speaker = np.unique([utt2spk[key] for key in utterances], return_inverse=True)[1]
    session = np.unique([utt2session[key] for key in utterances], return_inverse=True)[1]
    group = np.unique([spk2group[utt2spk[key]] for key in utterances], return_inverse=True)[1]
    random = np.random.default_rng(seed)
    targets = np.concatenate(
        [
            _target_pairs(np.flatnonzero(speaker == number), session, random)
            for number in range(speaker.max() + 1)
        ]
    )
    if not len(targets):
        raise UserError("dev: no speaker has two utterances, expected some; raise --dev-speakers")
    impostors = _impostor_pairs(len(targets), speaker, group, random)
    named = [(pairs, word) for pairs, word in ((targets, "target"), (impostors, "nontarget"))]
    return sorted(
        f"{utterances[first]} {utterances[second]} {word}"
        for pairs, word in named
        for first, second in pairs
    )


def _target_pairs(rows: np.ndarray, session: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n, 2) rows of one speaker's pairs."""
    first, second = (rows[side] for side in np.triu_indices(len(rows), k=1))
    across = session[first] != session[second]
    chosen = np.flatnonzero(across) if across.any() else np.arange(len(first))
    chosen = random.choice(chosen, min(TARGETS_PER_SPEAKER, len(chosen)), replace=False)
    return np.stack([first[chosen], second[chosen]], axis=1)


def _impostor_pairs(
    wanted: int, speaker: np.ndarray, group: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """(n, 2) rows of pairs of two speakers, drawn 20 times as often as wanted, without those that come again."""
    drawn = np.sort(random.integers(len(speaker), size=(20 * wanted + 1000, 2)), axis=1)
    drawn = drawn[speaker[drawn[:, 0]] != speaker[drawn[:, 1]]]
    drawn = drawn[np.sort(np.unique(drawn @ [len(speaker), 1], return_index=True)[1])]
    alike = group[drawn[:, 0]] == group[drawn[:, 1]]
    similar = drawn[alike][: wanted // 2]
    return np.concatenate([similar, drawn[~alike], drawn[alike][len(similar) :]])[:wanted]


def part_of_map(mapping: Mapping[str, str], names: Sequence[str] | set[str]) -> dict[str, str]:
    """A map for some names; empty where it does not know all of them, since a list has to cover its data directory.

    Parameters
    ----------
    mapping : mapping of str to str
        Speaker -> value.
    names : collection of str
        Speakers.
    """
    return {name: mapping[name] for name in names} if set(names) <= mapping.keys() else {}
