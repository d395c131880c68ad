"""Subsets of a trial list: what both sides have in common, what they are, and how long they last.

Which of them exist follows from the maps in the data directory: any ``spk2<word>`` and ``utt2<word>`` with few values, and ``utt2dur``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, repeat
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.data_dir.lists import read_spk2utt
from utils.embeddings.folders import rows_of
from utils.errors import UserError

WORDS = {"gender": "sex"}  # of a map's name, where the page has a better one
NOT_VALUES = (
    "spk2utt",
    "utt2spk",
    "utt2dur",
    "utt2num_samples",
    "utt2num_frames",
    "utt2uniq",
    "utt2max_frames",
    "utt2original",
    "utt2augmentation",
)
# values of a map by which trials are broken down, and how many, the most frequent, are shown
MOST_VALUES, MOST_SHOWN = 64, 20
MOST_NUMBERS = 5  # of speakers: more of them are measurements (ages in years), not groups
DURATION_EDGES_SECONDS = (2.0, 4.0, 8.0, 16.0)


def subset_files(data: Path) -> list[str]:
    """Names of the files of a data directory that say which trials belong together.

    Parameters
    ----------
    data : path
        Data directory.
    """
    found = sorted(
        {path.name for pattern in ("spk2*", "utt2*") for path in data.glob(pattern)}
        - set(NOT_VALUES)
    )
    return [
        name for name in ("utt2spk", "enroll.spk2utt", "utt2dur") if (data / name).exists()
    ] + found


def read_values(data: Path, kind: str) -> dict[str, dict[str, str]]:
    """Maps that tell groups apart: not measurements, and of speakers not too many values.

    Parameters
    ----------
    data : path
        Data directory.
    kind : str
        ``spk`` or ``utt``.

    Returns
    -------
    dict of str to dict
        Word (``sex``, ``age group``) -> name -> value.
    """
    found = {}
    for name in subset_files(data):
        if name.startswith(f"{kind}2") and name not in NOT_VALUES:
            word = name.removeprefix(f"{kind}2")
            values = read_map(data / name)
            if is_grouping(set(values.values()), kind):
                found[WORDS.get(word, word.replace("_", " "))] = values
    return dict(sorted(found.items(), key=lambda item: item[0] != "sex"))


def is_grouping(values: set[str], kind: str) -> bool:
    """Whether values are names of groups; whole numbers may be, of sessions for example.

    Parameters
    ----------
    values : set of str
        Those of a map.
    kind : str
        ``spk`` or ``utt``.
    """
    if kind == "utt":
        return not all(
            "." in value and value.replace(".", "", 1).removeprefix("-").isdigit()
            for value in values
        )
    return len(values) <= MOST_VALUES and not (
        len(values) > MOST_NUMBERS and all(value.isdigit() for value in values)
    )


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
        speaker_of |= {
            model: utt2spk.get(keys[0], model)
            for model, keys in read_spk2utt(data / "enroll.spk2utt").items()
        }
    unknown = next((name for name in names if name not in speaker_of), None)
    if unknown is not None:
        raise UserError(
            f"{data}/trials: '{unknown}' is neither an utterance nor a speaker of {data}/utt2spk"
        )
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
        utterances, ``within condition`` and ``across conditions``; of both, ``across conditions, same sex`` and so on; then for each
        value of a map the trials both of whose sides have it, ``sex: f``, and bands of the shorter side, ``seconds: 2 to 4``.  The trials
        of a speaker or utterance that a map leaves out are in no subset of that map; where the map knows no enrolment side (models),
        the value of the test side counts alone.
    """
    by_speaker, by_utterance = read_values(data, "spk"), read_values(data, "utt")
    alike: dict[str, np.ndarray] = {}  # by maps of speakers
    recorded: dict[str, np.ndarray] = {}  # by maps of utterances
    single: dict[str, np.ndarray] = {}  # by one value of a map
    if by_speaker:
        enrol_speakers, test_speakers = trial_speakers(data, enrol), trial_speakers(data, test)
    for word, value_of in by_speaker.items():
        left, right, values = sides_of(value_of, enrol_speakers, test_speakers)
        known, same = (left >= 0) & (right >= 0), left == right
        alike[f"same {word}"] = known & same
        single |= of_each_value(word, left, right, values)
    for pair in combinations(list(alike), 2):
        alike[f"{pair[0]} and {pair[1].removeprefix('same ')}"] = alike[pair[0]] & alike[pair[1]]
    for word, value_of in by_utterance.items():
        left, right, values = sides_of(value_of, enrol, test)
        known, same = (left >= 0) & (right >= 0), left == right
        # neither where models of several utterances enrol
        found = {f"within {word}": known & same, f"across {word}s": known & ~same}
        recorded |= {name: member for name, member in found.items() if member.any()}
        if (left < 0).all():
            left = right
        single |= of_each_value(word, left, right, values)
    both = {f"{a}, {b}": recorded[a] & alike[b] for a in recorded for b in alike}
    everything = {"all": np.ones(len(enrol), bool)}
    bands = duration_bands(data, enrol, test)
    return everything | alike | recorded | both | single | bands


def sides_of(
    value_of: Mapping[str, str], enrol: Sequence[str], test: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Value of each side of the trials, as its place among the values from the most frequent down; -1 where there is none.

    Parameters
    ----------
    value_of : mapping of str to str
        Name -> value; names without one are allowed.
    enrol, test : sequences of N str
        Names of the two sides.

    Returns
    -------
    enrol_values, test_values : (N,) int arrays
        Places.
    values : list of str
        The values.
    """
    counts = Counter(value_of.values())
    values = sorted(counts, key=lambda value: (-counts[value], value))
    place = {value: number for number, value in enumerate(values)}
    of_name = {name: place[value] for name, value in value_of.items()}
    left, right = rows_of(enrol, of_name), rows_of(test, of_name)
    return left, right, values


def of_each_value(
    word: str, left: np.ndarray, right: np.ndarray, values: Sequence[str]
) -> dict[str, np.ndarray]:
    """Trials both of whose sides have a value, for the most frequent values that have any; nothing where there is one value only, or far too many.

    Parameters
    ----------
    word : str
        What the values are of.
    left, right : (N,) int arrays
        From `sides_of`.
    values : sequence of str
        From `sides_of`.
    """
    shown = range(min(len(values), MOST_SHOWN)) if 1 < len(values) <= MOST_VALUES else ()
    members = {
        f"{word}: {values[number]}": (left == number) & (right == number)
        for number in sorted(shown, key=lambda number: values[number])
    }
    return {name: member for name, member in members.items() if member.any()}


def duration_bands(data: Path, enrol: Sequence[str], test: Sequence[str]) -> dict[str, np.ndarray]:
    """Trials by the seconds of their shorter side; nothing without ``utt2dur``, and no band without trials.

    Parameters
    ----------
    data : path
        Data directory.
    enrol, test : sequences of N str
        Names of the two sides; of a model of several utterances or a speaker the durations are not known, and the other side counts.
    """
    if not (data / "utt2dur").exists():
        return {}
    seconds = {name: float(value) for name, value in read_map(data / "utt2dur").items()}
    left, right = (
        np.fromiter(map(seconds.get, names, repeat(np.inf)), float, len(names))
        for names in (enrol, test)
    )
    shorter = np.minimum(left, right)
    bands = {}
    for low, high in pairwise((0.0, *DURATION_EDGES_SECONDS, np.inf)):
        name = f"{low:g} to {high:g}"
        if low == 0:
            name = f"under {high:g}"
        elif high == np.inf:
            name = f"{low:g} and more"
        bands[f"seconds: {name}"] = (shorter >= low) & (shorter < high)
    filled = {name: member for name, member in bands.items() if member.any()}
    return filled if len(filled) > 1 else {}
