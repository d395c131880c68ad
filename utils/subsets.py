"""Subsets of a trial list by what both sides have in common: same sex, same age group, within and across recording conditions.

Which of them exist follows from the maps in the data directory.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.embeddings import read_spk2utt
from utils.errors import UserError

SPEAKER_MAPS = {"spk2gender": "sex", "spk2age_group": "age group"}
UTTERANCE_MAPS = {"utt2condition": "condition"}
LISTS = ("utt2spk", "enroll.spk2utt", *SPEAKER_MAPS, *UTTERANCE_MAPS)  # of a data directory; all but utt2spk may be missing


def trial_speakers(data: Path, names: Sequence[str]) -> list[str]:
    """Speaker of each side of the trials.

    Parameters
    ----------
    data : path
        Data directory with ``utt2spk`` and, where enrolment sides are models of several utterances, ``enroll.spk2utt``.
    names : sequence of N str
        Utterances, models or speakers.

    Returns
    -------
    list of N str
        A model's speaker is that of its utterances.

    Raises
    ------
    UserError
        A name is none of these.
    """
    utt2spk = read_map(data / "utt2spk")
    speaker_of = {speaker: speaker for speaker in utt2spk.values()} | utt2spk
    if (data / "enroll.spk2utt").exists():
        speaker_of |= {model: utt2spk.get(keys[0], model) for model, keys in read_spk2utt(data / "enroll.spk2utt").items()}
    unknown = next((name for name in names if name not in speaker_of), None)
    if unknown is not None:
        raise UserError(f"{data}/trials: '{unknown}' is neither an utterance nor a speaker of {data}/utt2spk")
    return [speaker_of[name] for name in names]


def trial_subsets(data: Path, enrol: Sequence[str], test: Sequence[str]) -> dict[str, np.ndarray]:
    """Which trials belong to which subset.

    Parameters
    ----------
    data : path
        Data directory.
    enrol, test : sequences of N str
        Names of the two sides of each trial.

    Returns
    -------
    dict of str to (N,) bool array
        ``all`` first; then, of maps of speakers, ``same sex``, ``same age group``, ``same sex and age group``; of maps of
        utterances, ``within condition`` and ``across conditions``; of both, ``across conditions, same sex`` and so on.  The trials
        of a speaker or utterance that a map leaves out are in no subset of that map.
    """
    subsets = {"all": np.ones(len(enrol), bool)}
    alike = {}
    present = {name: word for name, word in SPEAKER_MAPS.items() if (data / name).exists()}
    if present:
        enrol_speakers, test_speakers = trial_speakers(data, enrol), trial_speakers(data, test)
        for name, word in present.items():
            known, same = compare(read_map(data / name), enrol_speakers, test_speakers)
            alike[f"same {word}"] = known & same
    for pair in combinations(list(alike), 2):
        alike[f"{pair[0]} and {pair[1].removeprefix('same ')}"] = alike[pair[0]] & alike[pair[1]]
    recorded = {}
    for name, word in UTTERANCE_MAPS.items():
        if (data / name).exists():
            known, same = compare(read_map(data / name), enrol, test)
            recorded |= {f"within {word}": known & same, f"across {word}s": known & ~same}
    both = {f"{a}, {b}": recorded[a] & alike[b] for a in recorded for b in alike}
    return subsets | alike | recorded | both


def compare(value_of: Mapping[str, str], enrol: Sequence[str], test: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Whether both sides have a value, and whether it is the same.

    Parameters
    ----------
    value_of : mapping of str to str
        Name -> value; names without one are allowed.
    enrol, test : sequences of N str
        Names of the two sides.

    Returns
    -------
    known, same : (N,) bool arrays
        ``same`` means nothing where ``known`` is False.
    """
    code = {value: number for number, value in enumerate(sorted(set(value_of.values())))}
    left, right = (np.array([code.get(value_of.get(name, ""), -1) for name in names], np.int64) for names in (enrol, test))
    return (left >= 0) & (right >= 0), left == right
