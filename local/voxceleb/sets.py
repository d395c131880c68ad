"""Dev speakers and dev trials of a corpus with thousands of speakers and a million utterances."""

from collections.abc import Collection, Mapping

import numpy as np

from local.trial_design import stratified_order
from utils.errors import UserError

DEV_SPEAKERS = 40  # as in VoxCeleb1's list O
FEW_SPEAKERS = 400  # of fewer, a tenth is dev
TARGETS_PER_SPEAKER = 500  # 40 dev speakers then have as many trials as list O


def choose_dev_speakers(
    spk2group: Mapping[str, str],
    wanted: int | None,
    seed: int,
    single: Collection[str] = frozenset(),
) -> tuple[set[str], str]:
    """Draw the training speakers that are held out, with the groups (corpus, sex) in proportion.

    ``wanted`` None: 40, or, of fewer than 400, a tenth and at least 2; 0: none, as in the papers.
    ``single`` are speakers with one utterance, who have no target trial. Returns the speakers, and
    a line about their number. UserError: too few are left for training, or dev would have one.
    """
    total = len(spk2group)
    if wanted is not None:
        number, reason = wanted, "as asked for"
    elif total >= FEW_SPEAKERS:
        number, reason = DEV_SPEAKERS, "drawn with the seed"
    else:
        number, reason = max(2, total // 10), f"a tenth of fewer than {FEW_SPEAKERS}"
    if number == 1 or number < 0 or (number and total - number < 2):
        raise UserError(
            f"{number} of {total} training speakers for dev, expected 2 or more, and 2 or more "
            "others; correct --dev-speakers (0: no dev set)"
        )
    eligible = {speaker: group for speaker, group in spk2group.items() if speaker not in single}
    if number > len(eligible):
        raise UserError(
            f"{number} of {total} training speakers for dev, but {total - len(eligible)} have one "
            f"utterance and no target trial, expected at most the {len(eligible)} others; lower "
            "--dev-speakers (0: no dev set)"
        )
    order = stratified_order(eligible, seed)
    speakers = {order[index * len(order) // number] for index in range(number)}
    return speakers, f"dev: {number} of {total:,} training speakers, {reason}"


def design_dev_trials(
    utt2spk: Mapping[str, str],
    utt2session: Mapping[str, str],
    spk2group: Mapping[str, str],
    seed: int,
) -> list[str]:
    """Trials of many utterances, as lines in byte order.

    Up to 500 target pairs of each speaker, across sessions (videos) where there are several, and as
    many nontarget pairs, half of them within a group of similar speakers as far as there are so
    many. Pairs are unordered and distinct. UserError: no speaker has two utterances.
    """
    utterances = np.array(sorted(utt2spk))
    speakers = [utt2spk[key] for key in utterances]
    speaker = _number(speakers)
    session = _number([utt2session[key] for key in utterances])
    group = _number([spk2group[name] for name in speakers])
    random = np.random.default_rng(seed)
    rows_by_speaker = [np.flatnonzero(speaker == number) for number in range(speaker.max() + 1)]
    targets = np.concatenate([_target_pairs(rows, session, random) for rows in rows_by_speaker])
    if not len(targets):
        raise UserError("dev: no speaker has two utterances, expected some; raise --dev-speakers")
    nontargets = _nontarget_pairs(len(targets), speaker, group, random)
    lines = [f"{utterances[first]} {utterances[second]} target" for first, second in targets]
    lines += [f"{utterances[first]} {utterances[second]} nontarget" for first, second in nontargets]
    return sorted(lines)


def _number(names: list[str]) -> np.ndarray:
    """Each name as a number, equal for equal names."""
    return np.unique(names, return_inverse=True)[1]


def _target_pairs(rows: np.ndarray, session: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n, 2) rows of one speaker's pairs."""
    first_side, second_side = np.triu_indices(len(rows), k=1)
    first, second = rows[first_side], rows[second_side]
    chosen = np.flatnonzero(session[first] != session[second])
    if not len(chosen):
        chosen = np.arange(len(first))
    chosen = random.choice(chosen, min(TARGETS_PER_SPEAKER, len(chosen)), replace=False)
    return np.stack([first[chosen], second[chosen]], axis=1)


def _nontarget_pairs(
    wanted: int, speaker: np.ndarray, group: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """(n, 2) rows of pairs of two speakers: 20 times as many are drawn, repeated ones removed."""
    drawn = np.sort(random.integers(len(speaker), size=(20 * wanted + 1000, 2)), axis=1)
    drawn = drawn[speaker[drawn[:, 0]] != speaker[drawn[:, 1]]]
    _, first_index = np.unique(drawn @ [len(speaker), 1], return_index=True)
    drawn = drawn[np.sort(first_index)]
    alike = group[drawn[:, 0]] == group[drawn[:, 1]]
    similar = drawn[alike][: wanted // 2]
    return np.concatenate([similar, drawn[~alike], drawn[alike][len(similar) :]])[:wanted]
