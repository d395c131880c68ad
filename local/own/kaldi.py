"""A corpus that is one Kaldi data directory, or a folder with train, dev and test."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local.corpus import path_from_checkout
from local.own.corpus import SETS, Corpus, refuse_few_speakers
from utils.data_dir import DataDir, combine_data_dirs, read_data_dir
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import no_error_rate
from utils.errors import UserError
from utils.files import atomic_write

MADE_AGAIN = {"utt2dur", "vad.scp", "feats.scp", "cmvn.scp", "utt2num_frames"}
ARCHIVES = ("feats.scp", "vad.scp", "cmvn.scp")
FEATURE_FACTS = ("frame_shift", "feats.json")  # beside the lists
ARCHIVED = re.compile(r"(.*):\d+")


def kaldi_folders(corpus: Path) -> dict[str, Path]:
    """Set -> data directory; ``""`` if the folder is one itself; empty if there is none."""
    if _is_data_dir(corpus):
        return {"": corpus}
    return {name: corpus / name for name in SETS if _is_data_dir(corpus / name)}


def _is_data_dir(folder: Path) -> bool:
    """Whether a folder lists recordings or features; features alone are refused when it is read."""
    return any((folder / name).exists() for name in ("wav.scp", "feats.scp"))


def read_kaldi(
    corpus: Path, root: Path | None, allow_pipes: bool, features: bool = False
) -> Corpus:
    """The utterances of one Kaldi directory, or of a folder of several.

    Relative paths of scp files start at ``root``, or else at the current folder. With ``features``
    audio is not needed, and the lists of features are kept. UserError: a directory is bad, two
    share an utterance or a speaker, or there are too few speakers.
    """
    directories = {}
    made_again = MADE_AGAIN
    if features:
        made_again = set()
    for name, folder in kaldi_folders(corpus).items():
        directories[name] = read_data_dir(folder, allow_pipes=allow_pipes, needs_audio=not features)
        if features:
            _keep_features_only(directories[name], root)
    form = "a Kaldi directory"
    if "" not in directories:
        form = "Kaldi directories " + ", ".join(directories)
    result = Corpus(form, DataDir(corpus, {}, {}))
    not_kept: set[str] = set()
    for name, data in directories.items():
        if _resolve_paths(data, root):
            result.start = root or Path()
        _take_trials(result, name, data)
        not_kept |= made_again & data.maps.keys()
        for file in made_again:
            data.maps.pop(file, None)
        _assign_set(result, name, data, corpus)
    result.data = _combine(list(directories.values()), result.notes)
    result.data.path = corpus
    result.spk2set = {speaker: name for speaker, name in result.spk2set.items() if name}
    refuse_few_speakers(
        len(set(result.data.utt2spk.values())),
        corpus,
        f"{len(result.data.utt2spk)} utterances",
        "expected several in utt2spk",
    )
    if not_kept:
        result.notes.append(
            f"{', '.join(sorted(not_kept))}: not copied, the recipe computes its own"
        )
    return result


def _resolve_paths(data: DataDir, root: Path | None) -> bool:
    """Write the paths of wav.scp as our lists have them; whether any of them was relative."""
    has_relative = False
    resolved = {}
    for recording, entry in data.wav_scp.items():
        if entry_file(entry) and not os.path.isabs(entry):
            has_relative = True
        resolved[recording] = entry
        if not _is_pipe(entry):
            resolved[recording] = path_from_checkout((root or Path()) / entry)
    data.wav_scp = resolved
    return has_relative


def _keep_features_only(data: DataDir, root: Path | None) -> None:
    """Leave out the audio, and write the paths of feature lists as our lists have them."""
    if "feats.scp" not in data.maps:
        raise UserError(
            f"{data.path}/feats.scp: no such file, expected features, as other directories of "
            "this corpus have; make them, or give the audio of all"
        )
    data.wav_scp, data.segments = {}, None
    for name in ARCHIVES:
        entries = data.maps.get(name, {})
        for key, entry in entries.items():
            entries[key] = path_from_checkout((root or Path()) / entry)


def copy_feature_facts(corpus: Path, home: Path) -> list[Path]:
    """Copy what a Kaldi directory says about its features beside the lists; the files written."""
    source = corpus
    if not _is_data_dir(corpus):
        source = corpus / home.name
    written = []
    for name in FEATURE_FACTS:
        if (source / name).exists():
            with atomic_write(home / name) as file:
                file.write((source / name).read_text(encoding="utf-8-sig"))
            written.append(home / name)
    return written


def _take_trials(result: Corpus, name: str, data: DataDir) -> None:
    """Move the trials and enrolment models of dev and test to the result; others are not used."""
    models = data.maps.pop("enroll.spk2utt", {})
    trials, data.trials = data.trials, None
    if name not in ("dev", "test"):
        if trials:
            result.notes.append(
                f"{data.path}/trials is not used: its speakers are for training, or are divided "
                "into new sets"
            )
        return
    if models and not trials:
        raise UserError(
            f"{data.path}/enroll.spk2utt: enrolment models without trials, expected both or "
            "neither; add the trials, or remove the models"
        )
    if trials:
        if name == "dev":
            _refuse_unfit_for_dev(data.path, Trials.of(trials), models)
        result.trials[name], result.models[name] = trials, models


def _assign_set(result: Corpus, name: str, data: DataDir, corpus: Path) -> None:
    """Note the set of each speaker; UserError if one is in two."""
    for speaker in data.utt2spk.values():
        other = result.spk2set.setdefault(speaker, name)
        if other != name:
            raise UserError(
                f"{data.path}/utt2spk: speaker '{speaker}' is in {corpus / other} too, expected "
                "each speaker in one set; remove one of them"
            )


def _combine(directories: list[DataDir], notes: list[str]) -> DataDir:
    """All directories as one; lists that some of them lack are left out, with a note."""
    if len(directories) == 1:
        return directories[0]
    combined = combine_data_dirs(directories)
    files: set[str] = set()
    for data in directories:
        files |= data.maps.keys()
    if partly := sorted(files - combined.maps.keys()):
        notes.append(f"{', '.join(partly)}: not in every directory, left out")
    return combined


def _refuse_unfit_for_dev(path: Path, trials: Trials, models: Mapping[str, str]) -> None:
    """Refuse dev trials that cannot monitor training: without an error rate, or of models."""
    remedy = (
        "training is monitored with them; correct them, or remove the file (and enroll.spk2utt) "
        "to have trials made"
    )
    if reason := no_error_rate(trials):
        raise UserError(f"{path}/trials: {reason}; {remedy}")
    for number, name in enumerate(trials.enrol, start=1):
        if name in models:
            raise UserError(
                f"{path}/trials:{number}: enrolment side '{name}' is a model of enroll.spk2utt, "
                f"expected an utterance; {remedy}"
            )


def entry_file(entry: str) -> str:
    """The file of an entry of wav.scp (a path or ``archive:offset``); empty for a pipe."""
    if _is_pipe(entry):
        return ""
    archived = ARCHIVED.fullmatch(entry)
    if archived:
        return archived[1]
    return entry


def _is_pipe(entry: str) -> bool:
    return entry.rstrip().endswith("|")
