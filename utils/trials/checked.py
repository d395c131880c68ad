"""Trials read and held against the lists beside them: utt2spk, and the enrolment models."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.archive import read_scp
from utils.archive.iterate import read_integers
from utils.data_dir import read_map
from utils.data_dir.formats import Fault
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
from utils.trials.speakers import models_of


def read_labelled_trials(
    data: Path, *, say_notes: bool = True
) -> tuple[list[str], list[str], np.ndarray]:
    """Trials whose classes an error rate can be computed from."""
    path = data / "trials"
    listed = read_trial_list(path)
    is_target = are_targets(listed, path)
    utt2spk, models = read_map(data / "utt2spk"), models_of(data)
    for note in refuse_contradictions(path, listed, utt2spk, models, data / MODELS):
        if say_notes:
            print(f"{path}: {note}")
    return listed.enrol, listed.test, is_target


def read_trials_to_score(
    path: Path, embeddings: Path, enroll_spk2utt: Path | None = None
) -> Trials:
    """Trials with classes or without; says what cannot be known of them."""
    trials = read_trial_list(path)
    beside = path.parent / "utt2spk"
    utt2spk = read_map(beside) if beside.is_file() else {}
    models = models_of(path.parent, enroll_spk2utt)
    where = enroll_spk2utt or path.parent / MODELS
    for note in refuse_contradictions(path, trials, utt2spk, models, where):
        print(f"{path}: {note}")
    if enroll_spk2utt is None and models:
        _refuse_other_models(path, trials, models, embeddings)
    if enroll_spk2utt is None and utt2spk and trials.kinds is not None:
        _refuse_own_means(path, trials, utt2spk, embeddings)
    return trials


def _refuse_other_models(
    path: Path, trials: Trials, models: Mapping[str, Sequence[str]], embeddings: Path
) -> None:
    """Refuse names of models that would be taken for utterances or speakers: their embeddings are of other utterances, as far as can be seen."""
    speakers, counted = embeddings / "spk_xvector.scp", embeddings / "num_utts.ark"
    means = read_scp(speakers) if speakers.is_file() else {}
    num_utts = read_integers(counted) if counted.is_file() else {}
    embedded = read_scp(embeddings / "xvector.scp")
    for number, name in enumerate(trials.enrol, start=1):
        if name not in models:
            continue
        members = models[name]
        fits = list(members) == [name]
        if name not in embedded:
            fits = name in means and num_utts.get(name, len(members)) == len(members)
        if not fits:
            where = path.parent / MODELS
            raise UserError(
                f"{path}:{number}: enrolment side '{name}' is a model of {len(members)} utterances of {where}, "
                f"and no embedding of {embeddings} is that; give --enroll-spk2utt {where}"
            )


def _refuse_own_means(
    path: Path, trials: Trials, utt2spk: Mapping[str, str], embeddings: Path
) -> None:
    """Refuse trials of a speaker whose embedding is the mean of all his utterances, the test side among them."""
    counted, speakers = embeddings / "num_utts.ark", set(trials.enrol) - utt2spk.keys()
    if not speakers or not counted.is_file():
        return
    embedded, num_utts = read_scp(embeddings / "xvector.scp"), read_integers(counted)
    there = Counter(utt2spk[name] for name in embedded if name in utt2spk)
    whole = {name for name in speakers if num_utts.get(name) == there[name]}
    for number, (enrol, test) in enumerate(zip(trials.enrol, trials.test, strict=True), start=1):
        if enrol in whole and utt2spk.get(test) == enrol and test in embedded:
            raise UserError(
                f"{path}:{number}: test side '{test}' is among the {num_utts[enrol]} utterances whose mean enrols speaker '{enrol}', "
                "expected one that the mean has not heard; list models of other utterances in an enroll.spk2utt, and give --enroll-spk2utt"
            )


def refuse_contradictions(
    path: Path,
    trials: Trials,
    utt2spk: Mapping[str, str],
    models: Mapping[str, Sequence[str]],
    where: Path,
) -> list[str]:
    """Refuse trials that contradict themselves or other lists."""
    raise_first(where.parent, _named(models_of_two_speakers(models, utt2spk), where.name))
    lists = Lists(trials, utt2spk, models, path.name)
    raise_first(path.parent, agreement_faults(lists))
    return trial_notes(lists)


def _named(faults: Iterator[Fault], file: str) -> Iterator[Fault]:
    """The same faults of a file of another name."""
    return (fault._replace(file=file) for fault in faults)
