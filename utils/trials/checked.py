"""Read trials and check them against the lists beside them: utt2spk and the enrolment models."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.archive import read_scp
from utils.archive.iterate import read_integers
from utils.data_dir import read_map
from utils.data_dir.lists import are_targets, raise_first, read_trial_list
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import (
    MODELS,
    Lists,
    agreement_faults,
    models_of_two_speakers,
    trial_notes,
)
from utils.errors import UserError
from utils.trials.speakers import read_models


def read_labelled_trials(
    data: Path, *, print_notes: bool = True
) -> tuple[list[str], list[str], np.ndarray]:
    """Read the trials of a data directory for error rates: enrol, test, is_target (T,) bool.

    ``data`` has ``trials``, ``utt2spk`` and, if enrolment sides are models, ``enroll.spk2utt``.
    ``print_notes``: print which classes cannot be checked.  UserError if the list has no classes or
    one only, or contradicts itself or the other lists.
    """
    path = data / "trials"
    trials = read_trial_list(path)
    is_target = are_targets(trials, path)
    utt2spk, models = read_map(data / "utt2spk"), read_models(data)
    notes = refuse_contradictions(path, trials, utt2spk, models, data / MODELS)
    if print_notes:
        for note in notes:
            print(f"{path}: {note}")
    return trials.enrol, trials.test, is_target


def read_trials_to_score(
    path: Path, embeddings: Path, enroll_spk2utt: Path | None = None
) -> Trials:
    """Read trials with classes or without, and print what cannot be checked.

    Classes have to agree with a ``utt2spk`` beside the list, if there is one.  ``embeddings``:
    folder of the enrolment sides' embeddings.  ``enroll_spk2utt``: models and their utterances;
    None: the embeddings have the sides' names.

    UserError if the list contradicts itself or the lists beside it, or names models whose
    embeddings are not there.
    """
    trials = read_trial_list(path)
    beside = path.parent / "utt2spk"
    utt2spk = read_map(beside) if beside.is_file() else {}
    models = read_models(path.parent, enroll_spk2utt)
    models_path = enroll_spk2utt or path.parent / MODELS
    for note in refuse_contradictions(path, trials, utt2spk, models, models_path):
        print(f"{path}: {note}")
    if enroll_spk2utt is None:
        if models:
            _refuse_other_models(path, trials, models, embeddings)
        if utt2spk and trials.kinds is not None:
            _refuse_own_means(path, trials, utt2spk, embeddings)
    return trials


def _refuse_other_models(
    path: Path, trials: Trials, models: Mapping[str, Sequence[str]], embeddings: Path
) -> None:
    """Refuse models whose names have embeddings of other utterances, as far as counts show it."""
    speakers, counted = embeddings / "spk_xvector.scp", embeddings / "num_utts.ark"
    means = read_scp(speakers) if speakers.is_file() else {}
    num_utts = read_integers(counted) if counted.is_file() else {}
    embedded = read_scp(embeddings / "xvector.scp")
    for number, name in enumerate(trials.enrol, start=1):
        if name not in models:
            continue
        members = models[name]
        if name in embedded:
            fits = list(members) == [name]
        else:
            fits = name in means and num_utts.get(name, len(members)) == len(members)
        if not fits:
            models_path = path.parent / MODELS
            raise UserError(
                f"{path}:{number}: enrolment side '{name}' is a model of {len(members)} utterances "
                f"in {models_path}, and no embedding in {embeddings} is their mean; "
                f"give --enroll-spk2utt {models_path}"
            )


def _refuse_own_means(
    path: Path, trials: Trials, utt2spk: Mapping[str, str], embeddings: Path
) -> None:
    """Refuse a speaker whose embedding is the mean of all utterances, the test side included."""
    counted, speakers = embeddings / "num_utts.ark", set(trials.enrol) - utt2spk.keys()
    if not speakers or not counted.is_file():
        return
    embedded, num_utts = read_scp(embeddings / "xvector.scp"), read_integers(counted)
    num_embedded = Counter(utt2spk[name] for name in embedded if name in utt2spk)
    averaged = {name for name in speakers if num_utts.get(name) == num_embedded[name]}
    for number, (enrol, test) in enumerate(zip(trials.enrol, trials.test, strict=True), start=1):
        if enrol in averaged and utt2spk.get(test) == enrol and test in embedded:
            raise UserError(
                f"{path}:{number}: test side '{test}' is among the {num_utts[enrol]} utterances "
                f"whose mean enrols speaker '{enrol}', expected one that the mean does not "
                "contain; list models of other utterances in an enroll.spk2utt, "
                "and give --enroll-spk2utt"
            )


def refuse_contradictions(
    path: Path,
    trials: Trials,
    utt2spk: Mapping[str, str],
    models: Mapping[str, Sequence[str]],
    models_path: Path,
) -> list[str]:
    """Refuse trials that contradict themselves or other lists; return notes, a sentence each.

    ``path`` and ``models_path``: files of trials and models, for messages.  ``utt2spk`` and
    ``models`` (model -> utterances) may be empty.
    """
    faults = models_of_two_speakers(models, utt2spk)
    raise_first(models_path.parent, (fault._replace(file=models_path.name) for fault in faults))
    lists = Lists(trials, utt2spk, models, path.name)
    raise_first(path.parent, agreement_faults(lists))
    return trial_notes(lists)
