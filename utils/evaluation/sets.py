"""Lists of trials, what is known of them, and the score files of systems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.data_dir.ledger import lost_trials_of
from utils.data_dir.lists import read_trial_list
from utils.data_dir.trial_rules import no_error_rate
from utils.errors import UserError
from utils.evaluation.subsets import subset_files, trial_speakers, trial_subsets
from utils.files import read_lines
from utils.packed.facts import WATERMARKS
from utils.receipts import existing_receipt
from utils.scoring.backend_files import Families
from utils.scoring.centring import centring_of
from utils.scoring.score_files import receipt_of, scores_of_trials
from utils.trials.checked import read_labelled_trials


@dataclass
class TrialSet:
    """A list of trials and what is known of them.

    Attributes
    ----------
    name : str
        Name of the set.
    enrol, test : sequences of N str
        Both sides.
    speakers : pair of (N,) int arrays
        Speaker of each side, as its place in ``speaker_names``.
    speaker_names : sequence of str
        All speakers, in byte order; of folds, one fold's after the other's.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    subsets : dict of str to (N,) bool array
        From `trial_subsets`.
    watermarks : list of str
        What has to be said beside every figure.
    """

    name: str
    enrol: Sequence[str]
    test: Sequence[str]
    speakers: tuple[np.ndarray, np.ndarray]
    speaker_names: Sequence[str]
    is_target: np.ndarray
    subsets: Mapping[str, np.ndarray]
    watermarks: list[str]


@dataclass
class System:
    """Scores of one system on one test set, or on the test sets of several folds.

    Attributes
    ----------
    head : dict
        ``system``, ``test_set``, ``protocol`` and ``backend``: the first columns of its rows.
    scores : list of (N,) float arrays
        Of the trials of each fold.
    llr : bool
        They are log-likelihood ratios: the step that made them says so.
    watermarks : list of str
        What has to be said beside its figures.
    centred : str or None
        What its embeddings were centred by; None: not known, or there are none.
    """

    head: dict[str, str]
    scores: list[np.ndarray]
    llr: bool
    watermarks: list[str]
    centred: str | None = None


def read_test_set(data: Path, watermarks: Sequence[str] = ()) -> TrialSet:
    """A test set from its data directory.

    Parameters
    ----------
    data : path
        With ``trials`` and ``utt2spk``.
    watermarks : sequence of str
        What has to be said of it for other reasons than lost trials.
    """
    enrol, test, is_target = read_labelled_trials(data)
    enrol_speakers, test_speakers = trial_speakers(data, enrol), trial_speakers(data, test)
    names = sorted({*enrol_speakers, *test_speakers})
    place = {speaker: number for number, speaker in enumerate(names)}
    return TrialSet(
        name=data.name,
        enrol=enrol,
        test=test,
        speakers=(_places(enrol_speakers, place), _places(test_speakers, place)),
        speaker_names=names,
        is_target=np.asarray(is_target),
        subsets=trial_subsets(data, enrol, test),
        watermarks=[*watermarks_of(data), *watermarks],
    )


def sets_without_error_rate(data: Path, sets: Sequence[str]) -> dict[str, str]:
    """Sets whose trials have no class, or one only, and why they have no error rate; says so.

    Parameters
    ----------
    data : path
        Folder of data directories.
    sets : sequence of str
        Those with trials.
    """
    reasons = {name: no_error_rate(read_trial_list(data / name / "trials")) for name in sets}
    unrated = {name: reason for name, reason in reasons.items() if reason}
    for name, reason in unrated.items():
        print(f"{data / name / 'trials'}: {reason}")
    return unrated


def _places(speakers: Sequence[str], place: Mapping[str, int]) -> np.ndarray:
    """Place of each speaker."""
    return np.fromiter(map(place.__getitem__, speakers), np.int32, len(speakers))


def watermarks_of(data: Path) -> list[str]:
    """What has to be said beside every figure of a test set.

    Parameters
    ----------
    data : path
        Data directory; where its ledger counts lost trials, the list is not the published one; whoever made it may have left ``watermarks``.
    """
    said = read_lines(data / WATERMARKS) if (data / WATERMARKS).exists() else []
    lost = lost_trials_of(data)
    if lost:
        return [*said, f"{lost} trials are lost: their audio was dropped"]
    return said


def pooled_set(folds: Sequence[TrialSet], name: str) -> TrialSet:
    """The trials of several folds as one list.

    Parameters
    ----------
    folds : sequence of TrialSet
        No speaker is in two of them.
    name : str
        Of the list.

    Raises
    ------
    UserError
        A speaker is.
    """
    seen: dict[str, int] = {}
    for number, fold in enumerate(folds, 1):
        for speaker in fold.speaker_names:
            if seen.setdefault(speaker, number) != number:
                raise UserError(
                    f"speaker '{speaker}' of test set {fold.name} is tested in fold {seen[speaker]} and in fold {number}; "
                    "folds share no speaker"
                )
    subsets = {
        subset: np.concatenate(
            [fold.subsets.get(subset, np.zeros(len(fold.enrol), bool)) for fold in folds]
        )
        for subset in dict.fromkeys(subset for fold in folds for subset in fold.subsets)
    }
    return TrialSet(
        name=name,
        enrol=[key for fold in folds for key in fold.enrol],
        test=[key for fold in folds for key in fold.test],
        speakers=(_pooled_places(folds, 0), _pooled_places(folds, 1)),
        speaker_names=[speaker for fold in folds for speaker in fold.speaker_names],
        is_target=np.concatenate([fold.is_target for fold in folds]),
        subsets=subsets,
        watermarks=list(dict.fromkeys(mark for fold in folds for mark in fold.watermarks)),
    )


def _pooled_places(folds: Sequence[TrialSet], side: int) -> np.ndarray:
    """Speakers of one side of the trials of all folds, as places among the speakers of all."""
    first_places = np.cumsum([0, *(len(fold.speaker_names) for fold in folds)])[:-1]
    return np.concatenate(
        [fold.speakers[side] + first for fold, first in zip(folds, first_places, strict=True)]
    )


def read_system(
    name: str,
    paths: Sequence[Path],
    folds: Sequence[TrialSet],
    data: Sequence[Path],
    families: Families,
) -> System:
    """Scores of one system.

    Parameters
    ----------
    name : str
        Of the system.
    paths : sequence of path
        Score file of each fold, with the receipt of the step that made it.
    folds : sequence of TrialSet
        Their trials.
    data : sequence of path
        Data directory of each.
    families : mapping of registries
        Of back ends, as of `utils.scoring.backend_files`.
    """
    counts = [existing_receipt(receipt_of(path))["counts"] for path in paths]
    scores = [
        scores_of_trials(path, fold.enrol, fold.test, folder / "trials")
        for path, fold, folder in zip(paths, folds, data, strict=True)
    ]
    marks = dict.fromkeys(
        mark
        for fold, found in zip(folds, counts, strict=True)
        for mark in [*fold.watermarks, *found.get("watermarks", [])]
    )
    head = {
        "system": name,
        "test_set": folds[0].name,
        "protocol": counts[0].get("protocol", "whole"),
        "backend": paths[0].stem,
    }
    are_llr = all(bool(found.get("llr", False)) for found in counts)
    said = [centring_of(path, families) for path in paths]
    centred = None if None in said else "; ".join(dict.fromkeys(filter(None, said)))
    return System(head, scores, are_llr, list(marks), centred)


def score_files(folder: Path) -> list[Path]:
    """Score files of one system and set, by whole utterances and in a folder of its own by any other protocol; the plain cosine first.

    Where there are none: one that does not exist, for which the task then asks.

    Parameters
    ----------
    folder : path
        ``scores/<set>``.
    """
    found = [*folder.glob("*.scores"), *folder.glob("*/*.scores")]
    if not found:
        return [folder / "*.scores"]
    return sorted(found, key=lambda path: (path != folder / "cosine.scores", path))


def label_of(scores: Path, test_set: str) -> str:
    """How a score file is called among those of its set: ``cosine``, or ``crops_10x4s_rows/cosine``.

    Parameters
    ----------
    scores : path
        ``scores/<set>/[<folder>/]<backend>.scores``.
    test_set : str
        Name of the set.
    """
    return scores.stem if scores.parent.name == test_set else f"{scores.parent.name}/{scores.stem}"


def inputs_of_sets(data: Path, sets: Iterable[str]) -> dict[str, Path]:
    """Files of the test sets that results depend on.

    Parameters
    ----------
    data : path
        Folder of data directories.
    sets : iterable of str
        Names of those with trials.
    """
    inputs = {f"{name}/trials": data / name / "trials" for name in sets}
    return inputs | {
        f"{name}/{part}": data / name / part
        for name in sets
        for part in (*subset_files(data / name), "ledger.json", WATERMARKS)
        if (data / name / part).exists()
    }
