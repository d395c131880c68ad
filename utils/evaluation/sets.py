"""Test sets (trials, classes, speakers, subsets) and the score files of systems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.data_dir.ledger import count_lost_trials
from utils.data_dir.lists import read_trial_list
from utils.data_dir.trial_rules import no_error_rate
from utils.errors import UserError
from utils.evaluation.subsets import subset_files, trial_speakers, trial_subsets
from utils.files import read_lines
from utils.packed.facts import WATERMARKS
from utils.receipts import existing_receipt
from utils.scoring.backend_files import Families
from utils.scoring.centring import read_centring
from utils.scoring.score_files import score_receipt, scores_of_trials
from utils.trials.checked import read_labelled_trials


@dataclass
class TrialSet:
    """A list of N trials: both sides, classes, speakers and subsets.

    ``speakers`` are indices (N,) of each side's speaker in ``speaker_names``, which are sorted (of
    several folds, one fold's names after the other's).  ``watermarks`` are warnings that are shown
    beside every figure.
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

    ``head`` has the first columns of its rows (``system``, ``test_set``, ``protocol``,
    ``backend``); ``scores`` are (N,) for the trials of each fold.  ``llr`` is True if the step that
    made them declares log-likelihood ratios; ``centred`` names the mean that was subtracted from
    the embeddings, if known.
    """

    head: dict[str, str]
    scores: list[np.ndarray]
    llr: bool
    watermarks: list[str]
    centred: str | None = None


def read_test_set(data: Path, watermarks: Sequence[str] = ()) -> TrialSet:
    """A test set from its data directory; ``watermarks`` are added to its own."""
    enrol, test, is_target = read_labelled_trials(data)
    indices, names = speaker_indices(trial_speakers(data, enrol), trial_speakers(data, test))
    return TrialSet(
        name=data.name,
        enrol=enrol,
        test=test,
        speakers=indices,
        speaker_names=names,
        is_target=np.asarray(is_target),
        subsets=trial_subsets(data, enrol, test),
        watermarks=[*read_watermarks(data), *watermarks],
    )


def sets_without_error_rate(data: Path, sets: Sequence[str]) -> dict[str, str]:
    """Set -> why it has no error rate (no classes, or only one); prints a line for each."""
    reasons = {}
    for name in sets:
        trials = data / name / "trials"
        reason = no_error_rate(read_trial_list(trials))
        if reason:
            reasons[name] = reason
            print(f"{trials}: {reason}")
    return reasons


def speaker_indices(
    enrol: Sequence[str], test: Sequence[str]
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """Index (N,) of each side's speaker in the sorted names of all speakers, and these names."""
    names = sorted({*enrol, *test})
    index = {speaker: number for number, speaker in enumerate(names)}
    enrol_indices = np.fromiter(map(index.__getitem__, enrol), np.int32, len(enrol))
    test_indices = np.fromiter(map(index.__getitem__, test), np.int32, len(test))
    return (enrol_indices, test_indices), names


def read_watermarks(data: Path) -> list[str]:
    """Warnings about a test set: its ``watermarks``, and trials that its ledger counts as lost."""
    watermarks = []
    if (data / WATERMARKS).exists():
        watermarks = read_lines(data / WATERMARKS)
    lost = count_lost_trials(data)
    if lost:
        watermarks.append(f"{lost} trials are lost: their audio was dropped")
    return watermarks


def pool_folds(folds: Sequence[TrialSet], name: str) -> TrialSet:
    """The trials of several folds as one list; UserError if a speaker is in two of them."""
    fold_by_speaker: dict[str, int] = {}
    for number, fold in enumerate(folds, 1):
        for speaker in fold.speaker_names:
            first = fold_by_speaker.setdefault(speaker, number)
            if first != number:
                raise UserError(
                    f"speaker '{speaker}' of test set {fold.name} is tested in fold {first} and "
                    f"in fold {number}, expected folds without common speakers; make them again"
                )
    enrol: list[str] = []
    test: list[str] = []
    names: list[str] = []
    watermarks: list[str] = []
    subsets: dict[str, None] = {}
    enrol_speakers, test_speakers = [], []
    for fold in folds:
        enrol_speakers.append(fold.speakers[0] + len(names))
        test_speakers.append(fold.speakers[1] + len(names))
        enrol += fold.enrol
        test += fold.test
        names += fold.speaker_names
        watermarks += fold.watermarks
        subsets |= dict.fromkeys(fold.subsets)
    members = {}
    for subset in subsets:
        parts = [fold.subsets.get(subset, np.zeros(len(fold.enrol), bool)) for fold in folds]
        members[subset] = np.concatenate(parts)
    return TrialSet(
        name=name,
        enrol=enrol,
        test=test,
        speakers=(np.concatenate(enrol_speakers), np.concatenate(test_speakers)),
        speaker_names=names,
        is_target=np.concatenate([fold.is_target for fold in folds]),
        subsets=members,
        watermarks=list(dict.fromkeys(watermarks)),
    )


def read_system(
    name: str,
    paths: Sequence[Path],
    folds: Sequence[TrialSet],
    data: Sequence[Path],
    families: Families,
) -> System:
    """Scores of one system: a score file for each fold, with its receipt.

    ``data`` are the data directories of the folds, ``families`` the registries of back ends.
    """
    counts: list[dict] = []
    scores: list[np.ndarray] = []
    marks: list[str] = []
    centrings: list[str | None] = []
    for path, fold, folder in zip(paths, folds, data, strict=True):
        recorded = existing_receipt(score_receipt(path))["counts"]
        counts.append(recorded)
        scores.append(scores_of_trials(path, fold.enrol, fold.test, folder / "trials"))
        marks += [*fold.watermarks, *recorded.get("watermarks", [])]
        centrings.append(read_centring(path, families))
    head = {
        "system": name,
        "test_set": folds[0].name,
        "protocol": counts[0].get("protocol", "whole"),
        "backend": paths[0].stem,
    }
    are_llr = all(bool(recorded.get("llr", False)) for recorded in counts)
    centred = None
    if None not in centrings:
        centred = "; ".join(dict.fromkeys(text for text in centrings if text))
    return System(head, scores, are_llr, list(dict.fromkeys(marks)), centred)


def score_files(folder: Path) -> list[Path]:
    """Score files of one system and set (``scores/<set>``), the plain cosine first.

    Protocols other than whole utterances have a folder each.  Without any score file: a path that
    does not exist, so that the task reports it as missing.
    """
    paths = sorted([*folder.glob("*.scores"), *folder.glob("*/*.scores")])
    if not paths:
        return [folder / "*.scores"]
    cosine = folder / "cosine.scores"
    if cosine in paths:
        paths.remove(cosine)
        paths.insert(0, cosine)
    return paths


def score_label(scores: Path, test_set: str) -> str:
    """Name of a score file in its set: ``cosine``, or ``crops_10x4s_rows/cosine``."""
    if scores.parent.name == test_set:
        return scores.stem
    return f"{scores.parent.name}/{scores.stem}"


def set_inputs(data: Path, sets: Iterable[str]) -> dict[str, Path]:
    """Files of the test sets that results depend on, by the names of a `Task`'s inputs."""
    inputs = {}
    for name in sets:
        folder = data / name
        inputs[f"{name}/trials"] = folder / "trials"
        for part in (*subset_files(folder), "ledger.json", WATERMARKS):
            if (folder / part).exists():
                inputs[f"{name}/{part}"] = folder / part
    return inputs
