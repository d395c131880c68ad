"""Folders of embeddings: ``xvector.scp`` (utterances), ``spk_xvector.scp`` (speaker means), ``provenance.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from utils.archive import read_vectors
from utils.errors import UserError
from utils.files import read_lines


@dataclass
class TrialVectors:
    """The vectors that trials compare.

    Attributes
    ----------
    names : list of N str
        Utterances, then models where the trials name any.
    vectors : (N, D) float array
        Their vectors.
    enrol_rows, test_rows : (T,) int arrays
        Row of each side of each trial.
    """

    names: list[str]
    vectors: np.ndarray
    enrol_rows: np.ndarray
    test_rows: np.ndarray


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


def read_trial_vectors(folder: Path, enrol: Sequence[str], test: Sequence[str], trials: Path,
                       models: Mapping[str, Sequence[str]] | None = None) -> TrialVectors:
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

    Raises
    ------
    UserError
        A side has no embedding, or the speakers' vectors have another size than the utterances'.
    """
    names, vectors = read_vectors(folder / "xvector.scp")
    row_of = dict(zip(names, range(len(names)), strict=True))
    test_rows = rows_of(test, row_of)
    enrol_rows = rows_of(enrol, {} if models else row_of)
    speakers = folder / "spk_xvector.scp"
    if models or (speakers.exists() and (enrol_rows < 0).any()):
        more, means = (list(models), model_means(vectors, row_of, models, folder)) if models else read_vectors(speakers)
        if means.shape[1] != vectors.shape[1]:
            raise UserError(f"{speakers}: vectors of {means.shape[1]} dimensions, those of xvector.scp have {vectors.shape[1]}")
        enrol_rows = np.where(enrol_rows >= 0, enrol_rows, rows_of(enrol, {name: row for row, name in enumerate(more, len(names))}))
        names, vectors = names + more, np.concatenate([vectors, means])
    missing = np.flatnonzero((enrol_rows < 0) | (test_rows < 0))
    if len(missing):
        k = int(missing[0])
        side, name = ("enrolment", enrol[k]) if enrol_rows[k] < 0 else ("test", test[k])
        raise UserError(f"{trials}:{k + 1}: {side} side '{name}' of trial '{enrol[k]} {test[k]}' has no embedding in {folder}; "
                        f"{len(missing)} of {len(enrol)} trials lack one: extract it, or take the trial off the list")
    return TrialVectors(names, vectors, enrol_rows, test_rows)


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


def model_means(vectors: np.ndarray, row_of_utterance: Mapping[str, int], spk2utt: Mapping[str, Sequence[str]], folder: Path) -> np.ndarray:
    """Mean of the utterances of each model, as Kaldi's ivector-mean computes it.

    Parameters
    ----------
    vectors : (N, D) float array
        Embeddings of utterances.
    row_of_utterance : mapping of str to int
        Row of each utterance.
    spk2utt : mapping of str to sequence of str
        Model -> utterances.
    folder : path
        For messages.

    Returns
    -------
    (M, D) float array
        Of the type of ``vectors``, summed in float64.
    """
    missing = [(model, key) for model, keys in spk2utt.items() for key in keys if key not in row_of_utterance]
    if missing:
        raise UserError(f"{folder}/xvector.scp: no embedding of '{missing[0][1]}', which model '{missing[0][0]}' enrols; {len(missing)} are missing")
    means = [vectors[[row_of_utterance[key] for key in keys]].mean(axis=0, dtype=np.float64) for keys in spk2utt.values()]
    return np.array(means, vectors.dtype)


def read_spk2utt(path: Path) -> dict[str, list[str]]:
    """Models and their utterances.

    Parameters
    ----------
    path : path
        ``<model> <utterance> ...`` on each line.

    Raises
    ------
    UserError
        A model without utterances.
    """
    rows = [line.split() for line in read_lines(path)]
    for number, row in enumerate(rows, 1):
        if len(row) < 2:
            raise UserError(f"{path}:{number}: {len(row)} fields, expected 2 or more: <model> <utterance> ...")
    return {row[0]: row[1:] for row in rows}


def refuse_not_finite(keys: Sequence[str], vectors: np.ndarray, folder: Path, meaning: str = "NaN or Inf") -> None:
    """Name the first row that holds a NaN or an Inf.

    Parameters
    ----------
    keys : sequence of N str
        Names of the rows.
    vectors : (N, D) float array
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
    bad = np.flatnonzero(~np.isfinite(vectors.sum(axis=1)))  # a sum is finite when all terms are, and spares a boolean array of the same size
    if len(bad):
        raise UserError(f"{folder}: the embedding of '{keys[bad[0]]}' is {meaning}; {len(bad)} of {len(keys)} are; extract them again")
