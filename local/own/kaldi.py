"""A corpus that is one Kaldi data directory, or a folder of those called train, dev and test."""

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

MADE_AGAIN = {"utt2dur", "vad.scp", "feats.scp", "cmvn.scp", "utt2num_frames"}
ARCHIVED = re.compile(r"(.*):\d+")


def kaldi_folders(corpus: Path) -> dict[str, Path]:
    """Set -> data directory; the set is empty where there is only one.

    Parameters
    ----------
    corpus : path
        Folder; empty result: it is no Kaldi directory.
    """
    if _is_data_dir(corpus):
        return {"": corpus}
    return {name: corpus / name for name in SETS if _is_data_dir(corpus / name)}


def _is_data_dir(folder: Path) -> bool:
    """Whether a folder has the lists of recordings or of features; one of features alone is refused by name when it is read."""
    return any((folder / name).exists() for name in ("wav.scp", "feats.scp"))


def read_kaldi(corpus: Path, root: Path | None, allow_pipes: bool) -> Corpus:
    """The utterances of Kaldi directories.

    Parameters
    ----------
    corpus : path
        One directory, or the folder of several.
    root : path or None
        Where relative paths of wav.scp start; None: the current folder.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.

    Raises
    ------
    UserError
        A directory is bad, two share an utterance or a speaker, or there are too few speakers.
    """
    folders = kaldi_folders(corpus)
    read = {
        name: read_data_dir(folder, allow_pipes=allow_pipes, needs_audio=True)
        for name, folder in folders.items()
    }
    start = None
    for data in read.values():
        if any(map(_is_relative, data.wav_scp.values())):
            start = root or Path()
        data.wav_scp = {
            recording: _resolve(entry, root) for recording, entry in data.wav_scp.items()
        }
    found = Corpus(
        "Kaldi directories " + ", ".join(read) if "" not in read else "a Kaldi directory",
        DataDir(corpus, {}, {}),
        start=start,
    )
    lost: set[str] = set()
    for name, data in read.items():
        lost |= MADE_AGAIN & data.maps.keys()
        models = data.maps.pop("enroll.spk2utt", {})
        if name in ("dev", "test") and models and not data.trials:
            raise UserError(
                f"{data.path}/enroll.spk2utt: models, but no trials beside it, expected both or none; add the trials, or take the models away"
            )
        if name == "dev" and data.trials:
            _refuse_unfit_for_dev(data.path, Trials.of(data.trials), models)
        if name in ("dev", "test") and data.trials:
            found.trials[name], found.models[name] = data.trials, models
        elif data.trials:
            found.notes.append(
                f"{data.path}/trials is left aside: speakers are dealt to sets anew, or are for training"
            )
        data.trials = None
        data.maps = {file: mapping for file, mapping in data.maps.items() if file not in MADE_AGAIN}
        for speaker in data.utt2spk.values():
            other = found.spk2set.setdefault(speaker, name)
            if other != name:
                raise UserError(
                    f"{data.path}/utt2spk: speaker '{speaker}' is in {corpus / other} too; a speaker is in one set; remove one of them"
                )
    found.data = (
        combine_data_dirs(list(read.values())) if len(read) > 1 else next(iter(read.values()))
    )
    found.data.path = corpus
    partly = sorted({file for data in read.values() for file in data.maps} - found.data.maps.keys())
    found.notes += [f"{', '.join(partly)}: not in every directory, left aside"] if partly else []
    found.spk2set = {speaker: name for speaker, name in found.spk2set.items() if name}
    refuse_few_speakers(
        len(set(found.data.utt2spk.values())),
        corpus,
        f"{len(found.data.utt2spk)} utterances",
        "expected several in utt2spk",
    )
    if lost:
        found.notes.append(f"{', '.join(sorted(lost))}: made again by this recipe, not taken over")
    return found


def _refuse_unfit_for_dev(path: Path, trials: Trials, models: Mapping[str, str]) -> None:
    """Refuse dev trials that training cannot be watched by: those without an error rate, and those of models."""
    remedy = "training is watched by them; mend them, or take the file (and enroll.spk2utt) away to have trials made"
    if reason := no_error_rate(trials):
        raise UserError(f"{path}/trials: {reason}; {remedy}")
    named = next((name for name in trials.enrol if name in models), None)
    if named is not None:
        raise UserError(
            f"{path}/trials:{trials.enrol.index(named) + 1}: enrolment side '{named}' is a model of enroll.spk2utt, expected an utterance; {remedy}"
        )


def _is_relative(entry: str) -> bool:
    return bool(file_of(entry)) and not os.path.isabs(entry)


def _resolve(entry: str, root: Path | None) -> str:
    """An entry of a foreign wav.scp as our lists name it."""
    return entry if entry.rstrip().endswith("|") else path_from_checkout((root or Path()) / entry)


def file_of(entry: str) -> str:
    """The file that an entry of wav.scp names; empty for a pipe.

    Parameters
    ----------
    entry : str
        Path, ``archive:offset`` or pipe.
    """
    if entry.rstrip().endswith("|"):
        return ""
    archived = ARCHIVED.fullmatch(entry)
    return archived[1] if archived else entry
