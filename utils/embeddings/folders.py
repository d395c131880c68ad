"""Folders of embeddings: xvector.scp, spk_xvector.scp, num_utts.ark, provenance.json.

`read_trial_vectors` reads the vectors that trials compare (utterances, models, speaker means);
`finish_embeddings` writes all but the utterances.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, read_vectors, write_text_vectors
from utils.archive.iterate import read_integers
from utils.data_dir import read_map
from utils.embeddings.enrolment import Averaging, SpeakerModels, average_enrolment
from utils.embeddings.rows import read_embeddings
from utils.errors import UserError
from utils.files import atomic_write


@dataclass
class TrialVectors:
    """The vectors (N, D), or matrices (N, R, D), that T trials compare."""

    names: list[str]  # N utterances, then the models that trials name
    vectors: np.ndarray
    enrol_rows: np.ndarray  # (T,), row of each enrolment side
    test_rows: np.ndarray
    num_utts: np.ndarray  # (N,), utterances averaged: 1 but for models and speakers


@dataclass
class _Means:
    """Vectors of models or speakers, their numbers of utterances, and where they are from."""

    names: list[str]
    vectors: np.ndarray
    num_utts: list[int]
    path: Path


def embeddings_inputs(folder: Path) -> dict[str, Path]:
    """The inputs of a step that reads embeddings, for its `Task`.

    The receipt of the step that made them, what steps.embed writes last, or the list itself if they
    are foreign.
    """
    scp = folder / "xvector.scp"
    if (folder / "embed.json").exists():
        return {"embeddings": folder / "embed.json"}
    if scp.exists() and not (folder / "provenance.json").exists():
        return {"embeddings": scp}
    return {"embeddings": folder / "receipts" / "collect_embeddings.json"}


def read_trial_vectors(
    folder: Path,
    enrol: Sequence[str],
    test: Sequence[str],
    trials: Path,
    models: SpeakerModels | None = None,
    enrol_folder: Path | None = None,
) -> TrialVectors:
    """Vectors of both sides (T names each) of the trials of a list.

    ``models`` has the utterances of each enrolment side, of which `average_enrolment` makes its
    vector; without it an enrolment side is an utterance, or else a speaker of
    ``spk_xvector.scp``. ``enrol_folder`` has the embeddings of enrolment sides, if ``folder`` has
    those of test sides only. UserError: a side has no embedding, or sizes differ.
    """
    enrol_folder = enrol_folder or folder
    names, vectors = read_embeddings(folder)
    enrol_names, enrol_vectors = names, vectors
    if enrol_folder != folder:
        enrol_names, enrol_vectors = read_embeddings(enrol_folder)
    test_rows = look_up_rows(test, _number(names))
    means = None
    if models is not None:
        enrol_rows = look_up_rows(enrol, {})
        means = _average_models(models, enrol_names, enrol_vectors, enrol_folder)
    else:
        enrol_rows = look_up_rows(enrol, _number(enrol_names))
        if (enrol_rows < 0).any():
            means = _means_of_speakers(enrol_folder)
    num_utts = np.ones(len(enrol_names), np.int64)
    if means is not None:
        _refuse_other_sizes(enrol_vectors, enrol_folder / "xvector.scp", means.vectors, means.path)
        rows_of_means = look_up_rows(enrol, _number(means.names, first=len(enrol_names)))
        enrol_rows = np.where(enrol_rows >= 0, enrol_rows, rows_of_means)
        num_utts = np.concatenate([num_utts, np.array(means.num_utts, np.int64)])
        enrol_names = enrol_names + means.names
        enrol_vectors = np.concatenate([enrol_vectors, means.vectors])
    missing = np.flatnonzero((enrol_rows < 0) | (test_rows < 0))
    if len(missing):
        index = int(missing[0])
        side, name, searched = "test", test[index], folder
        if enrol_rows[index] < 0:
            side, name, searched = "enrolment", enrol[index], enrol_folder
        raise UserError(
            f"{trials}:{index + 1}: {side} side '{name}' of trial '{enrol[index]} {test[index]}' "
            f"has no embedding in {searched}; {len(missing)} of {len(enrol)} trials lack one: "
            "extract it, or remove the trial from the list"
        )
    if enrol_folder == folder:
        return TrialVectors(enrol_names, enrol_vectors, enrol_rows, test_rows, num_utts)
    _refuse_other_sizes(
        vectors, folder / "xvector.scp", enrol_vectors, enrol_folder / "xvector.scp"
    )
    return TrialVectors(
        names + enrol_names,
        np.concatenate([vectors, enrol_vectors]),
        enrol_rows + len(names),
        test_rows,
        np.concatenate([np.ones(len(names), np.int64), num_utts]),
    )


def read_model_vectors(folder: Path, models: SpeakerModels) -> Iterator[tuple[str, np.ndarray]]:
    """Each model with its vector, from a folder of embeddings; UserError if one is missing."""
    names, vectors = read_embeddings(folder)
    averages = _average_models(models, names, vectors, folder)
    yield from zip(averages.names, averages.vectors, strict=True)


def _average_models(
    models: SpeakerModels, names: list[str], vectors: np.ndarray, folder: Path
) -> _Means:
    """Vectors of models, from the embeddings of their utterances."""
    row_by_utterance, utterances = _number(names), models.utterances
    _refuse_missing(row_by_utterance, utterances, folder)
    means = _average_rows(vectors, row_by_utterance, utterances, models.averaging)
    num_utts = [len(keys) for keys in utterances.values()]
    return _Means(list(utterances), means, num_utts, folder / "enroll.spk2utt")


def _means_of_speakers(folder: Path) -> _Means | None:
    """Mean vectors of the speakers of a folder; None if it has no list of them."""
    speakers = folder / "spk_xvector.scp"
    if not speakers.exists():
        return None
    names, means = read_vectors(speakers)
    return _Means(names, means, _speaker_counts(folder, names), speakers)


def _number(names: Sequence[str], first: int = 0) -> dict[str, int]:
    """Name -> row, counted from ``first``."""
    return {name: row for row, name in enumerate(names, first)}


def _speaker_counts(folder: Path, speakers: Sequence[str]) -> list[int]:
    """Utterances of each speaker; 1 without ``num_utts.ark``, as in Kaldi without --num-utts."""
    path = folder / "num_utts.ark"
    if not path.exists():
        return [1] * len(speakers)
    counts = read_integers(path)
    for speaker in speakers:
        if counts.get(speaker, 0) < 1:
            raise UserError(
                f"{path}: no number of utterances (1 or more) for speaker '{speaker}' of "
                f"{folder}/spk_xvector.scp; make both again"
            )
    return [counts[speaker] for speaker in speakers]


def _refuse_other_sizes(
    vectors: np.ndarray, path: Path, others: np.ndarray, others_path: Path
) -> None:
    """Refuse vectors or matrices of another size than those that they are compared with."""
    if vectors.shape[1:] != others.shape[1:]:
        raise UserError(
            f"{others_path}: {_describe_size(others)}, those of {path} are "
            f"{_describe_size(vectors)}; embed both sides with the same network and protocol"
        )


def _describe_size(embeddings: np.ndarray) -> str:
    if embeddings.ndim == 2:
        return f"vectors of {embeddings.shape[1]} dimensions"
    return f"matrices of {embeddings.shape[1]} x {embeddings.shape[2]}"


def look_up_rows(names: Sequence[str], row_by_name: Mapping[str, int]) -> np.ndarray:
    """Row of each of T names, -1 for unknown ones."""
    rows = map(row_by_name.get, names, repeat(-1))  # millions of names
    return np.fromiter(rows, np.int64, len(names))


def refuse_not_finite(
    keys: Sequence[str], vectors: np.ndarray, folder: Path, meaning: str = "NaN or Inf"
) -> None:
    """Raise UserError, with the first name, if some rows (N, D) or (N, R, D) have a NaN or an Inf.

    ``meaning`` is what such a row says about the embedding, for the message.
    """
    # A sum is finite if all its terms are; this saves a boolean array of the size of the vectors.
    with np.errstate(invalid="ignore", over="ignore"):  # Inf and -Inf in one row
        sums = vectors.reshape(len(vectors), -1).sum(axis=1)
    bad = np.flatnonzero(~np.isfinite(sums))
    if len(bad):
        raise UserError(
            f"{folder}: the embedding of '{keys[bad[0]]}' is {meaning}; {len(bad)} of {len(keys)} "
            "are; extract them again"
        )


def look_up_speakers(keys: list[str], utt2spk: Path) -> list[str]:
    """Speaker of each utterance, from a list; UserError if one has none."""
    speaker_by_utterance = read_map(utt2spk)
    unknown = [key for key in keys if key not in speaker_by_utterance]
    if unknown:
        raise UserError(
            f"{utt2spk}: no speaker for '{unknown[0]}'; {len(unknown)} of {len(keys)} embedded "
            "utterances lack one; add them, or give the list of the embedded data directory"
        )
    return [speaker_by_utterance[key] for key in keys]


def finish_embeddings(
    output: Path,
    keys: Sequence[str],
    embeddings_ND: np.ndarray,
    utt2spk: Mapping[str, str],
    provenance: Mapping,
) -> list:
    """Write ``spk_xvector.{ark,scp}``, ``num_utts.ark`` and ``provenance.json``.

    A speaker's vector is the mean of the embeddings, without length normalisation, as Kaldi's
    ivector-mean computes it. Returns the outputs for the receipt. UserError: an utterance has no
    speaker.
    """
    unknown = [key for key in keys if key not in utt2spk]
    if unknown:
        raise UserError(
            f"{output}: utterance '{unknown[0]}' is not in utt2spk; {len(unknown)} are missing; "
            "add them"
        )
    spk2utt: dict[str, list[str]] = {}
    for speaker in sorted({utt2spk[key] for key in keys}):
        spk2utt[speaker] = []
    for key in keys:
        spk2utt[utt2spk[key]].append(key)
    means_SD = _mean_vectors(embeddings_ND, _number(keys), spk2utt, output)
    with ArchiveWriter(output / "spk_xvector.ark", output / "spk_xvector.scp") as writer:
        for speaker, mean_D in zip(spk2utt, means_SD, strict=True):
            writer.write(speaker, mean_D)
    num_utts = {speaker: len(utterances) for speaker, utterances in spk2utt.items()}
    write_text_vectors(output / "num_utts.ark", num_utts)
    with atomic_write(output / "provenance.json") as file:
        json.dump(dict(provenance), file, indent=1)
        file.write("\n")
    return [writer, output / "num_utts.ark", output / "provenance.json"]


def _mean_vectors(
    vectors: np.ndarray,
    row_by_utterance: Mapping[str, int],
    spk2utt: Mapping[str, Sequence[str]],
    folder: Path,
) -> np.ndarray:
    """Mean embedding of each speaker, computed in float64."""
    _refuse_missing(row_by_utterance, spk2utt, folder)
    return _average_rows(vectors, row_by_utterance, spk2utt, "mean")


def _average_rows(
    vectors: np.ndarray,
    row_by_utterance: Mapping[str, int],
    models: Mapping[str, Sequence[str]],
    averaging: Averaging,
) -> np.ndarray:
    """One vector or matrix of each model, from the embeddings (N, [R,] D) of its utterances."""
    averages = []
    for keys in models.values():
        rows = [row_by_utterance[key] for key in keys]
        averages.append(average_enrolment(vectors[rows], averaging))
    return np.array(averages, vectors.dtype)


def _refuse_missing(
    row_by_utterance: Mapping[str, int], spk2utt: Mapping[str, Sequence[str]], folder: Path
) -> None:
    """Refuse a speaker or model with an utterance that has no embedding."""
    missing = []
    for model, keys in spk2utt.items():
        missing += [(model, key) for key in keys if key not in row_by_utterance]
    if missing:
        model, key = missing[0]
        raise UserError(
            f"{folder}/xvector.scp: no embedding of '{key}', which model '{model}' enrols; "
            f"{len(missing)} are missing; extract them"
        )
