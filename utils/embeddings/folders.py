"""Folders of embeddings, read and written: ``xvector.scp`` (utterances), ``spk_xvector.scp`` (speaker means), ``num_utts.ark``, ``provenance.json``.

First what steps read: the vectors that trials compare, and checks of what was read; then `finish_embeddings`, which writes all but the utterances.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, read_vectors, write_text_vectors
from utils.archive.iterate import read_integers
from utils.data_dir import read_map
from utils.embeddings.rows import read_embeddings
from utils.errors import UserError
from utils.files import atomic_write


@dataclass
class TrialVectors:
    """The vectors that trials compare.

    Attributes
    ----------
    names : list of N str
        Utterances, then models where the trials name any.
    vectors : (N, D) or (N, R, D) float array
        Their vectors, or their matrices of R rows.
    enrol_rows, test_rows : (T,) int arrays
        Row of each side of each trial.
    num_utts : (N,) int array
        Of how many utterances each is the mean: 1, but for models and speakers.
    """

    names: list[str]
    vectors: np.ndarray
    enrol_rows: np.ndarray
    test_rows: np.ndarray
    num_utts: np.ndarray


def embeddings_inputs(folder: Path) -> dict[str, Path]:
    """What a step that reads embeddings depends on: the receipt of whoever made them, or the list itself where it came from outside.

    Parameters
    ----------
    folder : path
        Folder of embeddings.
    """
    receipt = folder / "receipts" / "collect_embeddings.json"
    is_foreign = (folder / "xvector.scp").exists() and not (folder / "provenance.json").exists()
    return {"embeddings": folder / "xvector.scp" if is_foreign else receipt}


def read_trial_vectors(
    folder: Path,
    enrol: Sequence[str],
    test: Sequence[str],
    trials: Path,
    models: Mapping[str, Sequence[str]] | None = None,
    enrol_folder: Path | None = None,
) -> TrialVectors:
    """Vectors of both sides of trials.

    Parameters
    ----------
    folder : path
        Folder of embeddings.
    enrol, test : sequences of T str
        Names of the two sides.
    trials : path
        Where they are from, for messages.
    models : mapping of str to sequence of str, optional
        Enrolment side -> its utterances, whose mean is its vector.  Without it, an enrolment side is an utterance, or else a
        speaker of ``spk_xvector.scp``.
    enrol_folder : path, optional
        Where the embeddings of enrolment sides are, where those of ``folder`` are for the test sides alone.

    Raises
    ------
    UserError
        A side has no embedding, or vectors or matrices have several sizes.
    """
    enrol_folder = enrol_folder or folder
    names, vectors = read_embeddings(folder)
    enrol_names, enrol_vectors = names, vectors
    if enrol_folder != folder:
        enrol_names, enrol_vectors = read_embeddings(enrol_folder)
    test_rows = rows_of(test, _places(names))
    enrol_rows = rows_of(enrol, {} if models else _places(enrol_names))
    num_utts = np.ones(len(enrol_names), np.int64)
    means = None
    if models:
        means = _means_of_models(models, enrol_names, enrol_vectors, enrol_folder)
    elif (enrol_rows < 0).any():
        means = _means_of_speakers(enrol_folder)
    if means is not None:
        _refuse_other_sizes(enrol_vectors, enrol_folder / "xvector.scp", means.vectors, means.where)
        rows_of_means = rows_of(enrol, _places(means.names, first=len(enrol_names)))
        enrol_rows = np.where(enrol_rows >= 0, enrol_rows, rows_of_means)
        num_utts = np.concatenate([num_utts, np.array(means.num_utts, np.int64)])
        enrol_names = enrol_names + means.names
        enrol_vectors = np.concatenate([enrol_vectors, means.vectors])
    missing = np.flatnonzero((enrol_rows < 0) | (test_rows < 0))
    if len(missing):
        k = int(missing[0])
        side, name, where = "test", test[k], folder
        if enrol_rows[k] < 0:
            side, name, where = "enrolment", enrol[k], enrol_folder
        raise UserError(
            f"{trials}:{k + 1}: {side} side '{name}' of trial '{enrol[k]} {test[k]}' has no embedding in {where}; "
            f"{len(missing)} of {len(enrol)} trials lack one: extract it, or take the trial off the list"
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


@dataclass
class _Means:
    """Vectors of models or speakers, of how many utterances each is the mean, and where they are from."""

    names: list[str]
    vectors: np.ndarray
    num_utts: list[int]
    where: Path


def _means_of_models(
    models: Mapping[str, Sequence[str]], names: list[str], vectors: np.ndarray, folder: Path
) -> _Means:
    """Those of models, from the embeddings of their utterances."""
    means = _mean_vectors(vectors, _places(names), models, folder)
    num_utts = [len(utterances) for utterances in models.values()]
    return _Means(list(models), means, num_utts, folder / "enroll.spk2utt")


def _means_of_speakers(folder: Path) -> _Means | None:
    """Those of the speakers of a folder; None where it has no list of them."""
    speakers = folder / "spk_xvector.scp"
    if not speakers.exists():
        return None
    names, means = read_vectors(speakers)
    return _Means(names, means, _speaker_counts(folder, names), speakers)


def _places(names: Sequence[str], first: int = 0) -> dict[str, int]:
    """Row of each name, counted from ``first``."""
    return {name: row for row, name in enumerate(names, first)}


def _speaker_counts(folder: Path, speakers: Sequence[str]) -> list[int]:
    """Of how many utterances each speaker is the mean; without ``num_utts.ark``, as in Kaldi without --num-utts, of one."""
    path = folder / "num_utts.ark"
    if not path.exists():
        return [1] * len(speakers)
    count_of = read_integers(path)
    for speaker in speakers:
        if count_of.get(speaker, 0) < 1:
            raise UserError(
                f"{path}: no number of utterances, from 1, for speaker '{speaker}' of {folder}/spk_xvector.scp; make both again"
            )
    return [count_of[speaker] for speaker in speakers]


def _refuse_other_sizes(
    vectors: np.ndarray, where: Path, others: np.ndarray, others_where: Path
) -> None:
    """Hold embeddings against others that they are to be compared with: vectors or matrices of other sizes are refused."""
    if vectors.shape[1:] != others.shape[1:]:
        found, expected = (" x ".join(map(str, array.shape[1:])) for array in (others, vectors))
        kind = {1: "vectors of {} dimensions", 2: "matrices of {}"}
        raise UserError(
            f"{others_where}: {kind[others.ndim - 1].format(found)}, those of {where} are {kind[vectors.ndim - 1].format(expected)}; "
            "embed both sides alike"
        )


def rows_of(names: Sequence[str], row_of: Mapping[str, int]) -> np.ndarray:
    """Row of each name, -1 where there is none.

    Parameters
    ----------
    names : sequence of T str
        What is looked up.
    row_of : mapping of str to int
        Where.
    """
    return np.fromiter(map(row_of.get, names, repeat(-1)), np.int64, len(names))


def refuse_not_finite(
    keys: Sequence[str], vectors: np.ndarray, folder: Path, meaning: str = "NaN or Inf"
) -> None:
    """Name the first row that holds a NaN or an Inf.

    Parameters
    ----------
    keys : sequence of N str
        Names of the rows.
    vectors : (N, D) or (N, R, D) float array
        What is checked.
    folder : path
        For messages.
    meaning : str
        What such a row says about the embedding.

    Raises
    ------
    UserError
        There is one.
    """
    # A sum is finite when all its terms are; it spares a boolean array of the size of the vectors.
    with np.errstate(invalid="ignore", over="ignore"):  # Inf and -Inf in one row
        sums = vectors.reshape(len(vectors), -1).sum(axis=1)
    bad = np.flatnonzero(~np.isfinite(sums))
    if len(bad):
        raise UserError(
            f"{folder}: the embedding of '{keys[bad[0]]}' is {meaning}; {len(bad)} of {len(keys)} are; extract them again"
        )


def speakers_of(keys: list[str], utt2spk: Path) -> list[str]:
    """Speaker of each utterance.

    Parameters
    ----------
    keys : list of N str
        Utterances.
    utt2spk : path
        ``<utterance> <speaker>`` on each line.

    Raises
    ------
    UserError
        An utterance has none.
    """
    speaker_of = read_map(utt2spk)
    unknown = [key for key in keys if key not in speaker_of]
    if unknown:
        raise UserError(
            f"{utt2spk}: no speaker for '{unknown[0]}'; {len(unknown)} of {len(keys)} embedded utterances lack one"
        )
    return [speaker_of[key] for key in keys]


def finish_embeddings(
    output: Path,
    keys: Sequence[str],
    embeddings_ND: np.ndarray,
    utt2spk: Mapping[str, str],
    provenance: Mapping,
) -> list:
    """Write ``spk_xvector.{ark,scp}``, ``num_utts.ark`` and ``provenance.json``.

    Parameters
    ----------
    output : path
        Folder of the embeddings.
    keys : sequence of N str
        Utterances.
    embeddings_ND : (N, D) float array
        Their embeddings; a speaker's mean is theirs as they are, without length normalisation, as Kaldi's ivector-mean computes it.
    utt2spk : mapping of str to str
        Utterance -> speaker; may name more utterances.
    provenance : mapping
        Facts that decide which embeddings may be compared: model, front_end, sample_rate_hz, vad, crops, augmentation.

    Returns
    -------
    list
        What was written, for the receipt.

    Raises
    ------
    UserError
        An utterance has no speaker.
    """
    unknown = [key for key in keys if key not in utt2spk]
    if unknown:
        raise UserError(
            f"{output}: utterance '{unknown[0]}' is not in utt2spk; {len(unknown)} are missing"
        )
    spk2utt: dict[str, list[str]] = {
        speaker: [] for speaker in sorted({utt2spk[key] for key in keys})
    }
    for key in keys:
        spk2utt[utt2spk[key]].append(key)
    means_SD = _mean_vectors(embeddings_ND, _places(keys), spk2utt, output)
    with ArchiveWriter(output / "spk_xvector.ark", output / "spk_xvector.scp") as writer:
        for speaker, mean_D in zip(spk2utt, means_SD, strict=True):
            writer.write(speaker, mean_D)
    write_text_vectors(
        output / "num_utts.ark",
        {speaker: len(utterances) for speaker, utterances in spk2utt.items()},
    )
    with atomic_write(output / "provenance.json") as file:
        json.dump(dict(provenance), file, indent=1)
        file.write("\n")
    return [writer, output / "num_utts.ark", output / "provenance.json"]


def _mean_vectors(
    vectors: np.ndarray,
    row_of_utterance: Mapping[str, int],
    spk2utt: Mapping[str, Sequence[str]],
    folder: Path,
) -> np.ndarray:
    """Mean of the utterances of each speaker or model, in float64, as Kaldi's ivector-mean computes it; of matrices row by row."""
    missing = [
        (model, key)
        for model, keys in spk2utt.items()
        for key in keys
        if key not in row_of_utterance
    ]
    if missing:
        raise UserError(
            f"{folder}/xvector.scp: no embedding of '{missing[0][1]}', which model '{missing[0][0]}' enrols; {len(missing)} are missing"
        )
    means = [
        vectors[[row_of_utterance[key] for key in keys]].mean(axis=0, dtype=np.float64)
        for keys in spk2utt.values()
    ]
    return np.array(means, vectors.dtype)
