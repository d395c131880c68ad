"""Subsets of a trial list: by properties that both sides share, by their values, by duration.

They follow from the maps of the data directory: any ``spk2<word>`` and ``utt2<word>`` with few
values, and ``utt2dur``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, product
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.data_dir.lists import read_spk2utt
from utils.embeddings.folders import look_up_rows
from utils.errors import UserError

WORDS = {"gender": "sex"}  # word in the name of a map -> word in results
NOT_GROUPS = (
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
# largest number of groups of a map, and how many of them, the most frequent, are shown
MOST_VALUES, MOST_SHOWN = 64, 20
MOST_NUMBERS = 5  # more different numbers of speakers are measurements (age), not groups
DURATION_EDGES_SECONDS = (2.0, 4.0, 8.0, 16.0)


def subset_files(data: Path) -> list[str]:
    """Names of the files of a data directory that trials are broken down by."""
    names = [name for name in ("utt2spk", "enroll.spk2utt", "utt2dur") if (data / name).exists()]
    maps = {path.name for path in [*data.glob("spk2*"), *data.glob("utt2*")]}
    return names + sorted(maps - set(NOT_GROUPS))


def read_values(data: Path, kind: str) -> dict[str, dict[str, str]]:
    """Maps that group speakers (``spk``) or utterances (``utt``): {"sex": {"spk1": "f"}}.

    Measurements, and maps of speakers with many values, are left out.
    """
    maps = {}
    for name in subset_files(data):
        if name.startswith(f"{kind}2") and name not in NOT_GROUPS:
            word = name.removeprefix(f"{kind}2")
            values = read_map(data / name)
            if is_grouping(set(values.values()), kind):
                maps[WORDS.get(word, word.replace("_", " "))] = values
    return dict(sorted(maps.items(), key=lambda item: item[0] != "sex"))


def is_grouping(values: set[str], kind: str) -> bool:
    """True if values are names of groups; whole numbers may be, such as sessions of utterances."""
    if kind == "utt":
        return not all(_is_decimal(value) for value in values)
    if len(values) > MOST_NUMBERS and all(value.isdigit() for value in values):
        return False
    return len(values) <= MOST_VALUES


def _is_decimal(value: str) -> bool:
    """True for a number with a point."""
    return "." in value and value.replace(".", "", 1).removeprefix("-").isdigit()


def trial_speakers(data: Path, names: Sequence[str]) -> list[str]:
    """Speaker of each of N sides: utterances, speaker models (``enroll.spk2utt``) or speakers.

    UserError if a name is none of these.
    """
    utt2spk = read_map(data / "utt2spk")
    speaker_by_name = {speaker: speaker for speaker in utt2spk.values()} | utt2spk
    if (data / "enroll.spk2utt").exists():
        for model, keys in read_spk2utt(data / "enroll.spk2utt").items():
            speaker = utt2spk.get(keys[0], model)
            speaker_by_name[model] = speaker
    for name in names:
        if name not in speaker_by_name:
            raise UserError(
                f"{data}/trials: '{name}' is neither an utterance nor a speaker of {data}/utt2spk; "
                "correct one of the lists"
            )
    return [speaker_by_name[name] for name in names]


def trial_subsets(data: Path, enrol: Sequence[str], test: Sequence[str]) -> dict[str, np.ndarray]:
    """Subset -> (N,) bool mask of its trials; ``all`` comes first.

    By maps of speakers: ``same sex``, ``same age group``, ``same sex and age group``.  By maps of
    utterances: ``within condition``, ``across conditions``.  By both: ``across conditions, same
    sex``. Then trials with one value on both sides (``sex: f``), and bands of the shorter side's
    duration (``seconds: 2 to 4``). Trials with a speaker or utterance that a map leaves out
    are in no subset of that map; if the map has no enrolment side (speaker models), the value of
    the test side counts alone.
    """
    by_speaker, by_utterance = read_values(data, "spk"), read_values(data, "utt")
    alike: dict[str, np.ndarray] = {}  # by maps of speakers
    recorded: dict[str, np.ndarray] = {}  # by maps of utterances
    single: dict[str, np.ndarray] = {}  # by one value of a map
    if by_speaker:
        enrol_speakers, test_speakers = trial_speakers(data, enrol), trial_speakers(data, test)
    for word, value_by_name in by_speaker.items():
        left, right, values = encode_sides(value_by_name, enrol_speakers, test_speakers)
        alike[f"same {word}"] = (left >= 0) & (left == right)
        single |= value_subsets(word, left, right, values)
    for one, other in combinations(list(alike), 2):
        alike[f"{one} and {other.removeprefix('same ')}"] = alike[one] & alike[other]
    for word, value_by_name in by_utterance.items():
        left, right, values = encode_sides(value_by_name, enrol, test)
        within = (left >= 0) & (left == right)
        across = (left >= 0) & (right >= 0) & (left != right)
        if within.any():  # neither, if the enrolment sides are speaker models
            recorded[f"within {word}"] = within
        if across.any():
            recorded[f"across {word}s"] = across
        if (left < 0).all():
            left = right
        single |= value_subsets(word, left, right, values)
    subsets = {"all": np.ones(len(enrol), bool)} | alike | recorded
    for of_utterances, of_speakers in product(recorded, alike):
        member = recorded[of_utterances] & alike[of_speakers]
        subsets[f"{of_utterances}, {of_speakers}"] = member
    return subsets | single | duration_bands(data, enrol, test)


def encode_sides(
    value_by_name: Mapping[str, str], enrol: Sequence[str], test: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Index (N,) of each side's value (-1: none), and the values, most frequent first."""
    counts = Counter(value_by_name.values())
    values = sorted(counts, key=lambda value: (-counts[value], value))
    index = {value: number for number, value in enumerate(values)}
    index_of_name = {name: index[value] for name, value in value_by_name.items()}
    return look_up_rows(enrol, index_of_name), look_up_rows(test, index_of_name), values


def value_subsets(
    word: str, left: np.ndarray, right: np.ndarray, values: Sequence[str]
) -> dict[str, np.ndarray]:
    """Mask of the trials with a value on both sides, for each of the most frequent values.

    Empty if there is only one value, or more than `MOST_VALUES`.
    """
    if not 1 < len(values) <= MOST_VALUES:
        return {}
    members = {}
    for value in sorted(values[:MOST_SHOWN]):
        number = values.index(value)
        member = (left == number) & (right == number)
        if member.any():
            members[f"{word}: {value}"] = member
    return members


def duration_bands(data: Path, enrol: Sequence[str], test: Sequence[str]) -> dict[str, np.ndarray]:
    """Masks of the trials by the seconds of their shorter side; empty without ``utt2dur``.

    If one side is a speaker model or a speaker, the other side counts.  Bands without trials are
    left out.
    """
    if not (data / "utt2dur").exists():
        return {}
    seconds = {name: float(value) for name, value in read_map(data / "utt2dur").items()}
    sides = zip(enrol, test, strict=True)
    shorter = np.array([min(seconds.get(a, np.inf), seconds.get(b, np.inf)) for a, b in sides])
    bands = {}
    for low, high in pairwise((0.0, *DURATION_EDGES_SECONDS, np.inf)):
        name = f"{low:g} to {high:g}"
        if low == 0:
            name = f"under {high:g}"
        elif high == np.inf:
            name = f"{low:g} and more"
        member = (shorter >= low) & (shorter < high)
        if member.any():
            bands[f"seconds: {name}"] = member
    if len(bands) < 2:
        return {}
    return bands
