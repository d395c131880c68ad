"""The cohort of score normalisation: who is in it, and who may not be."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from utils.archive import read_vectors
from utils.data_dir import read_map
from utils.embedding_rows import read_embeddings, vectors_of
from utils.embeddings import refuse_not_finite
from utils.errors import UserError
from utils.files import read_lines
from utils.leakage import refuse_leakage
from utils.receipt_contents import fingerprint, read_receipt
from utils.scores import receipt_of
from utils.trial_speakers import speakers_of_sides

MAKER = {"backend": "back end", "embeddings": "embeddings", "enrol_embeddings": "embeddings of enrolment sides"}


def read_cohort(folder: Path, cohort_of: str, cohort_list: Path | None = None) -> tuple[list[str], np.ndarray]:
    """Names and embeddings of a cohort.

    Parameters
    ----------
    folder : path
        Folder of embeddings.
    cohort_of : str
        ``speakers`` or ``utterances``.
    cohort_list : path or None
        Who of them, one at the head of each line; None: all.

    Returns
    -------
    names, vectors : list of C str, (C, D) float array

    Raises
    ------
    UserError
        Somebody of the list has no embedding, or an embedding is not finite.
    """
    names, vectors = read_vectors(folder / "spk_xvector.scp") if cohort_of == "speakers" else read_embeddings(folder)
    if cohort_list:
        wanted = list(dict.fromkeys(line.split()[0] for line in read_lines(cohort_list) if line.split()))
        if not wanted:
            raise UserError(f"{cohort_list}: names no member; expected one at the head of each line")
        row_of = {name: row for row, name in enumerate(names)}
        missing = [name for name in wanted if name not in row_of]
        if missing:
            raise UserError(f"{cohort_list}: no embedding of '{missing[0]}' in {folder}; {len(missing)} of {len(wanted)} lack one: "
                            "extract them, or take them off the list")
        names, vectors = wanted, vectors[[row_of[name] for name in wanted]]
    refuse_not_finite(names, vectors, folder)
    return names, vectors_of(vectors)


def refuse_shared_speakers(members: Iterable[str], cohort_of: str, cohort_utt2spk: Path | None, sides: Iterable[str], data: Path,
                           enroll_spk2utt: Path | None, allow_leakage: bool) -> list[str]:
    """Refuse a cohort that a speaker of the trials is in: normalised scores would be too good.

    Parameters
    ----------
    members : iterable of str
        Names of the cohort: speakers, or utterances.
    cohort_of : str
        Which of the two.
    cohort_utt2spk : path or None
        Speakers of the utterances.
    sides : iterable of str
        Names in the trials.
    data : path
        Their data directory.
    enroll_spk2utt : path or None
        Models and their utterances.
    allow_leakage : bool
        Go on nevertheless.

    Returns
    -------
    list of str
        What has to be said beside every figure.

    Raises
    ------
    UserError
        There is one and ``allow_leakage`` is False, or nobody says whose voices the cohort's are.
    """
    speakers = set(members)
    if cohort_of == "utterances":
        if cohort_utt2spk is None:
            raise UserError("--cohort-utt2spk is missing: it says whose the cohort's utterances are, so that no speaker of the trials is among them")
        speaker_of = read_map(cohort_utt2spk)
        unknown = sorted(speakers - speaker_of.keys())
        if unknown:
            raise UserError(f"{cohort_utt2spk}: no speaker for '{unknown[0]}' of the cohort; {len(unknown)} of {len(speakers)} members lack one")
        speakers = {speaker_of[member] for member in speakers}
    return refuse_leakage({data.name: speakers_of_sides(sides, data, enroll_spk2utt)}, {"cohort": speakers}, allow=allow_leakage)


def refuse_other_scores(scores: Path, inputs: Mapping[str, Path]) -> dict:
    """Refuse a score file that was made with something else than what its normalisation uses.

    Parameters
    ----------
    scores : path
        Score file; one without a receipt is from outside, and is believed.
    inputs : mapping of str to path
        Receipts of the back end and of the embeddings.

    Returns
    -------
    dict
        Counts of its receipt: ``protocol``, perhaps ``watermarks``.

    Raises
    ------
    UserError
        They differ.
    """
    receipt = read_receipt(receipt_of(scores))
    if receipt is None:
        return {}
    for label, what in MAKER.items():
        made = receipt["inputs"].get(label)
        if made and (label not in inputs or made["content"] != fingerprint(inputs[label])):
            raise UserError(f"{scores}: made with the {what} of {Path(made['path']).parent.parent}, this is {inputs.get(label, 'none')}; "
                            "normalise with the same, or score again")
    return receipt["counts"]
